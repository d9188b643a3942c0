//! Which rule a head broke that httparse refused. Only looks closer, never changes the verdict;
//! speed does not matter here.

use httparse::Error;

use super::Fault;

/// Names the fault of a refused request head.
#[cold]
pub(super) fn of_request(error: Error, head: &[u8]) -> Fault {
    match error {
        Error::TooManyHeaders => Fault::TooManyFields,
        Error::HeaderName | Error::HeaderValue => of_fields(head),
        Error::Token | Error::Version | Error::NewLine | Error::Status => request_line(head),
    }
}

/// Names the fault of a refused response head.
#[cold]
pub(super) fn of_response(error: Error, head: &[u8]) -> Fault {
    match error {
        Error::TooManyHeaders => Fault::TooManyFields,
        Error::HeaderName | Error::HeaderValue => of_fields(head),
        Error::Version if head.get(8) == Some(&b' ') && is_version(&head[..8]) => Fault::Version,
        Error::Token | Error::Version | Error::NewLine | Error::Status => Fault::StatusLine,
    }
}

/// `method SP target SP version`
fn request_line(head: &[u8]) -> Fault {
    let line = lines(head).next().unwrap_or_default();
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Fault::RequestLine;
    };
    if !is_token(method) {
        return Fault::Method;
    }
    if target.is_empty() {
        return Fault::RequestLine;
    }
    if !target.iter().all(u8::is_ascii_graphic) {
        return Fault::Target;
    }
    match is_version(version) {
        true => Fault::Version,
        false => Fault::RequestLine,
    }
}

/// The first field line that is wrong.
fn of_fields(head: &[u8]) -> Fault {
    lines(head).skip(1).find_map(of_field_line).unwrap_or(Fault::FieldName)
}

/// What is wrong with a field line, given without its CRLF.
pub(super) fn of_field_line(line: &[u8]) -> Option<Fault> {
    if let [b' ' | b'\t', ..] = line {
        return Some(Fault::Folded);
    }
    let Some(colon) = memchr::memchr(b':', line) else {
        return (!line.is_empty()).then_some(Fault::FieldName);
    };
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        return match is_token(name.trim_ascii_end()) {
            true => Some(Fault::SpaceBeforeColon),
            false => Some(Fault::FieldName),
        };
    }
    let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    match value.iter().find(|byte| is_control(byte)) {
        Some(0) => Some(Fault::Nul),
        Some(b'\r') => Some(Fault::BareCr),
        Some(_) => Some(Fault::FieldValue),
        None => None,
    }
}

/// Lines without their CRLF.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// RFC 9110 §5.6.2.
fn is_token(bytes: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(is_tchar)
}

/// `HTTP/DIGIT.DIGIT` (RFC 9112 §2.3).
fn is_version(bytes: &[u8]) -> bool {
    matches!(bytes, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'])
}
