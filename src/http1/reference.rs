//! The same rules once more, written to be read and not to be fast, without httparse and without
//! anything that the parsers use but the list of names that Connection may not nominate.
//! [`differential`](super::differential) compares the two.

mod request;
mod response;

use super::name::may_be_nominated;

pub(super) use request::Request;
pub(super) use response::Response;

/// Fields that are this hop's own in either direction.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "content-length",
];

/// What earlier proxies say of a request, and this one does not.
const FORWARDED_ELSE: [&str; 5] = [
    "x-real-ip",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-scheme",
    "x-forwarded-server",
];

/// A head as the reference reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The three parts of the start line.
    pub start: [Vec<u8>; 3],
    /// Names as sent, values without white space around them.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Bytes up to and with the empty line.
    pub len: usize,
}

/// Reads one whole head that `input` begins with; None if it is to be refused or incomplete.
/// `empty_lines`: how many may stand before the start line.
pub(super) fn head(input: &[u8], empty_lines: usize) -> Option<Head> {
    let mut lines = Vec::new();
    let mut rest = input;
    let mut skipped = 0;
    loop {
        let (line, after) = line(rest)?;
        rest = after;
        match (line.is_empty(), lines.is_empty()) {
            (true, true) if skipped < empty_lines => skipped += 1,
            (true, true) => return None,
            (true, false) => break,
            (false, _) => lines.push(line),
        }
    }
    let mut start = lines[0].splitn(3, |byte| *byte == b' ').map(<[u8]>::to_vec);
    let start = [start.next()?, start.next()?, start.next().unwrap_or_default()];
    let fields = lines[1..].iter().map(|line| field(line)).collect::<Option<Vec<_>>>()?;
    Some(Head { start, fields, len: input.len() - rest.len() })
}

/// A line without its CRLF, and what follows it.
fn line(input: &[u8]) -> Option<(&[u8], &[u8])> {
    for (i, byte) in input.iter().enumerate() {
        match byte {
            b'\r' if input.get(i + 1) == Some(&b'\n') => {
                return Some((&input[..i], &input[i + 2..]));
            }
            b'\r' | b'\n' | 0 => return None,
            _ => {}
        }
    }
    None
}

fn field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let clean = value.iter().all(|byte| *byte == b'\t' || *byte >= 0x20 && *byte != 0x7f);
    let name = String::from_utf8(name.to_vec()).ok().filter(|name| is_token(name))?;
    clean.then(|| (name, trim(value).to_vec()))
}

pub(super) fn is_token(name: &str) -> bool {
    let special = "!#$%&'*+-.^_`|~";
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || special.contains(c))
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

impl Head {
    /// Values of the fields with this name.
    pub(super) fn values(&self, name: &str) -> Vec<String> {
        let named = self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.iter().map(|byte| char::from(*byte)).collect()).collect()
    }

    /// Elements of all fields with this name, read as one list, in lower case.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let all = self.values(name).join(",").to_ascii_lowercase();
        all.split(',')
            .map(|e| e.trim_matches([' ', '\t']).to_owned())
            .filter(|e| !e.is_empty())
            .collect()
    }

    /// What Content-Length and Transfer-Encoding say: a length, chunked, both missing; or None for
    /// what must be refused.
    pub(super) fn declared(&self, minor: u8) -> Option<(Option<u64>, bool)> {
        let chunked = match &self.values("transfer-encoding")[..] {
            [] => false,
            [one] if one.eq_ignore_ascii_case("chunked") && minor == 1 => true,
            _ => return None,
        };
        let length = match &self.values("content-length")[..] {
            [] => None,
            [one] if one.chars().all(|c| c.is_ascii_digit()) => Some(one.parse().ok()?),
            _ => return None,
        };
        (!(chunked && length.is_some())).then_some((length, chunked))
    }
}

/// Fields whose names are neither dropped nor nominated by Connection.
fn passing(head: &Head, dropped: &[&str]) -> Vec<(String, Vec<u8>)> {
    let nominated = head.list("connection");
    let mut forwarding = vec!["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
    forwarding.extend(FORWARDED_ELSE);
    let is_request = dropped.contains(&"content_length");
    let passes = |(name, _): &&(String, Vec<u8>)| {
        let lower = name.to_ascii_lowercase();
        let known = lower == "upgrade" || lower == "expect" || lower == "x-request-id";
        let named = nominated.contains(&lower) && may_be_nominated(name) && !known;
        // Any mixture of hyphens and underscores.
        let like = lower.contains('_')
            && is_request
            && (forwarding.contains(&&*lower.replace('_', "-"))
                || dropped.contains(&&*lower.replace('-', "_")));
        !dropped.contains(&&*lower) && !named && !like
    };
    head.fields.iter().filter(passes).cloned().collect()
}

fn too_many_named(head: &Head) -> bool {
    let options = head.list("connection");
    let ours = |option: &String| ["close", "keep-alive", "upgrade"].contains(&&**option);
    options.len() > 32 && !options.iter().all(ours)
}

/// How a chunked body ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Chunked {
    /// Complete: payload, trailer lines, bytes consumed.
    Complete(Vec<u8>, Vec<Vec<u8>>, usize),
    /// The input ended first, at the payload so far.
    Incomplete(Vec<u8>),
    Refused,
}

/// Decodes a chunked body that `input` begins with.
pub(super) fn chunked(input: &[u8]) -> Chunked {
    let mut payload = Vec::new();
    let mut at = 0;
    loop {
        let (size, after) = match size_line(&input[at..]) {
            Ok(Some((size, len))) => (size, at + len),
            Ok(None) => return Chunked::Incomplete(payload),
            Err(()) => return Chunked::Refused,
        };
        if size == 0 {
            return trailers(input, after, payload);
        }
        let available = (input.len() - after) as u64;
        payload.extend_from_slice(&input[after..][..size.min(available) as usize]);
        if size >= available {
            return Chunked::Incomplete(payload);
        }
        at = after + size as usize;
        match &input[at..] {
            [b'\r', b'\n', ..] => at += 2,
            [b'\r'] => return Chunked::Incomplete(payload),
            _ => return Chunked::Refused,
        }
    }
}

/// The size that the first line gives, and the line's length.
fn size_line(input: &[u8]) -> Result<Option<(u64, usize)>, ()> {
    let digits = input.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits > 16 {
        return Err(());
    }
    let Some(next) = input.get(digits) else {
        return Ok(None);
    };
    if digits == 0 || !b"\r; \t".contains(next) {
        return Err(());
    }
    let extension = input[digits..].iter().take_while(|byte| **byte != b'\r').count();
    let end = digits + extension;
    let text = &input[digits..end];
    if text.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f) {
        return Err(());
    }
    // White space must lead to a semicolon, unless that is not there yet.
    let mut space = false;
    for (i, byte) in text.iter().enumerate() {
        match byte {
            b' ' | b'\t' if i == 0 || space => space = true,
            b';' => break,
            _ => return Err(()),
        }
    }
    let ends_in_space = space && !text.contains(&b';');
    match &input[end..] {
        [] => Ok(None),
        _ if ends_in_space => Err(()),
        [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => {
            let digits = std::str::from_utf8(&input[..digits]).map_err(|_| ())?;
            Ok(Some((u64::from_str_radix(digits, 16).map_err(|_| ())?, end + 2)))
        }
        _ => Err(()),
    }
}

fn trailers(input: &[u8], mut at: usize, payload: Vec<u8>) -> Chunked {
    let mut found = Vec::new();
    loop {
        let rest = &input[at..];
        let stop = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0));
        let Some(stop) = stop else {
            return Chunked::Incomplete(payload);
        };
        match &rest[stop..] {
            [b'\r', b'\n', ..] if stop == 0 => return Chunked::Complete(payload, found, at + 2),
            [b'\r', b'\n', ..] if field(&rest[..stop]).is_none() => return Chunked::Refused,
            [b'\r', b'\n', ..] => found.push(rest[..stop].to_vec()),
            [b'\r'] => return Chunked::Incomplete(payload),
            _ => return Chunked::Refused,
        }
        at += stop + 2;
    }
}
