//! What request and response heads share.
//!
//! httparse finds the parts and checks every byte; it is lenient in a few places where smuggling
//! starts, so a head that it accepted is checked again for those: lines ended by LF alone, empty
//! lines before the start line, bytes after the head's end.

use std::fmt;
use std::mem::MaybeUninit;

use super::survey::line_start;
use super::{Fault, HeadLimits};

/// One field line: name as sent, value without the white space around it.
pub type Field<'b> = httparse::Header<'b>;

/// The most fields that any head may have, whatever the limits say.
pub const MAX_FIELDS: usize = 256;

/// The versions spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

impl Version {
    /// From httparse's minor version, which is 0 or 1.
    #[inline]
    pub(super) fn from_minor(minor: Option<u8>) -> Self {
        match minor {
            Some(0) => Version::Http10,
            _ => Version::Http11,
        }
    }

    /// As Via names it (RFC 9110 §7.6.3).
    pub fn digits(self) -> &'static str {
        match self {
            Version::Http10 => "1.0",
            Version::Http11 => "1.1",
        }
    }
}

/// Room on the stack for the fields of one head. Nothing is written to it before it is needed.
pub struct FieldStorage<'b>([MaybeUninit<Field<'b>>; MAX_FIELDS]);

impl<'b> FieldStorage<'b> {
    /// Room for [`MAX_FIELDS`] fields.
    #[inline(always)]
    pub fn new() -> Self {
        FieldStorage([const { MaybeUninit::uninit() }; MAX_FIELDS])
    }

    /// As many slots as fields are allowed.
    #[inline]
    pub(super) fn slots(&mut self, limits: &HeadLimits) -> &mut [MaybeUninit<Field<'b>>] {
        &mut self.0[..limits.fields.min(MAX_FIELDS)]
    }
}

impl Default for FieldStorage<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FieldStorage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FieldStorage").finish_non_exhaustive()
    }
}

/// Parses strictly: httparse's leniencies are all off by default.
#[inline]
pub(super) fn parser() -> httparse::ParserConfig {
    httparse::ParserConfig::default()
}

/// The whole of `head` must have been parsed, and its last field line and empty line must end
/// with CRLF.
#[inline]
pub(super) fn check_end(head: &[u8], parsed: httparse::Status<usize>) -> Result<(), Fault> {
    if parsed != httparse::Status::Complete(head.len()) {
        return Err(Fault::Incomplete);
    }
    match head.ends_with(b"\r\n\r\n") {
        true => Ok(()),
        false => Err(Fault::BareLf),
    }
}

/// A parsed head's bytes together with its fields, to find the line that a field came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldLines<'b, 's> {
    /// The head from its start line to its empty line.
    pub head: &'b [u8],
    /// Its fields, in order; each lies in `head`.
    pub fields: &'s [Field<'b>],
}

impl<'b> FieldLines<'b, '_> {
    /// The bytes of the field lines `from..to`, line ends included.
    #[inline]
    pub(super) fn lines(&self, from: usize, to: usize) -> &'b [u8] {
        self.head.get(self.start(from)..self.start(to)).unwrap_or_default()
    }

    /// Where field line `i` begins, or the empty line behind the last one.
    #[inline]
    fn start(&self, i: usize) -> usize {
        match self.fields.get(i) {
            Some(field) => line_start(self.head, field),
            None => self.head.len() - 2,
        }
    }
}

/// The first field with this name, in any case.
pub(super) fn find<'b>(fields: &[Field<'b>], name: &str) -> Option<&'b [u8]> {
    fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

#[cfg(test)]
mod tests {
    use crate::http1::{
        Fault, FieldStorage, HeadLimits, MAX_FIELDS, parse_request, parse_response,
    };

    const LIMITS: HeadLimits = HeadLimits { bytes: 4096, fields: 4 };

    fn request(head: &[u8], limits: HeadLimits) -> Result<usize, Fault> {
        let mut storage = FieldStorage::new();
        let parsed = parse_request(head, &mut storage, &limits);
        parsed.map(|head| head.fields.len()).map_err(|refusal| refusal.fault)
    }

    /// The parser does not count on the scanner to have seen every line end.
    #[test]
    fn line_ends_without_the_scanner() {
        for (head, fault) in [
            (&b"GET / HTTP/1.1\nHost: a\r\n\r\n"[..], Fault::BareLf),
            (b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", Fault::BareLf),
            (b"GET / HTTP/1.1\r\nHost: a\n\r\n", Fault::BareLf),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\n", Fault::BareLf),
            (b"GET / HTTP/1.0\r\n\n", Fault::BareLf),
            (b"GET / HTTP/1.0\n\r\n", Fault::BareLf),
            (b"\nGET / HTTP/1.0\r\n\r\n", Fault::BareLf),
            (b"\r\rGET / HTTP/1.0\r\n\r\n", Fault::BareCr),
            (b"GET / HTTP/1.0\r\n", Fault::Incomplete),
            (b"GET / HTTP/1.0\r\n\r\n\r\n", Fault::Incomplete),
            (b"\r\n", Fault::Incomplete),
            (b"", Fault::Incomplete),
        ] {
            assert_eq!(request(head, LIMITS), Err(fault), "{}", head.escape_ascii());
        }
        let mut storage = FieldStorage::new();
        let head = b"HTTP/1.1 200 OK\nX: a\r\n\r\n";
        let refusal = parse_response(head, &mut storage, false, &LIMITS).unwrap_err();
        assert_eq!(refusal.fault, Fault::BareLf);
    }

    #[test]
    fn field_limits() {
        let head = |count| format!("GET / HTTP/1.0\r\n{}\r\n", "X: a\r\n".repeat(count));
        assert_eq!(request(head(4).as_bytes(), LIMITS), Ok(4));
        assert_eq!(request(head(5).as_bytes(), LIMITS), Err(Fault::TooManyFields));
        let unlimited = HeadLimits { bytes: usize::MAX, fields: usize::MAX };
        assert_eq!(request(head(MAX_FIELDS).as_bytes(), unlimited), Ok(MAX_FIELDS));
        assert_eq!(request(head(MAX_FIELDS + 1).as_bytes(), unlimited), Err(Fault::TooManyFields));
    }
}
