//! Where a head ends: a search that goes on where it stopped.
//!
//! Each call sees all bytes received so far and looks only at the new ones. Whatever breaks the
//! line structure of a head is refused at the first such byte, without waiting for the rest, and
//! the verdict does not depend on how the bytes were split over calls.

use memchr::memchr3;

use super::{Fault, Refusal};

/// How many empty lines before a request line are ignored. RFC 9112 §2.2 asks for at least one:
/// old clients send CRLF after a body.
const EMPTY_LINES_MAX: usize = 4;

/// Limits for one head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes, from the first byte received to the empty line.
    pub bytes: usize,
    /// Fields; at most [`MAX_FIELDS`](super::MAX_FIELDS) whatever stands here.
    pub fields: usize,
}

/// Looks for the empty line that ends a head (RFC 9112 §2.1).
#[derive(Clone, Debug, Default)]
pub struct HeadScanner {
    /// Bytes known to be empty lines before the start line; start <= line.
    start: usize,
    /// Where the line begins that is being searched; line <= looked.
    line: usize,
    /// Bytes that need no second look; looked <= bytes received.
    looked: usize,
}

impl HeadScanner {
    /// A scanner for the next head.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks on in `bytes`, which begins with what earlier calls saw. `Some(len)` when
    /// `bytes[..len]` is a whole head with its empty line and any empty lines before it.
    pub fn find_end(
        &mut self,
        bytes: &[u8],
        limits: &HeadLimits,
    ) -> Result<Option<usize>, Refusal> {
        let window = &bytes[..bytes.len().min(limits.bytes)];
        while let Some(found) = memchr3(b'\r', b'\n', 0, &window[self.looked..]) {
            let at = self.looked + found;
            match (window[at], window.get(at + 1)) {
                (b'\r', Some(b'\n')) => {
                    self.looked = at + 2;
                    if let Some(end) = self.line_ended(at)? {
                        return Ok(Some(end));
                    }
                }
                (b'\r', None) => {
                    self.looked = at;
                    return self.more(window, limits);
                }
                (b'\r', _) => return Err(Fault::BareCr.into()),
                (b'\n', _) => return Err(Fault::BareLf.into()),
                _ => return Err(Fault::Nul.into()),
            }
        }
        self.looked = window.len();
        self.more(window, limits)
    }

    /// A CRLF stands at `at`: the head's end, or the next line begins behind it.
    #[inline]
    fn line_ended(&mut self, at: usize) -> Result<Option<usize>, Refusal> {
        let empty = at == self.line;
        self.line = self.looked;
        if !empty {
            return Ok(None);
        }
        if at > self.start {
            return Ok(Some(self.looked));
        }
        self.start = self.looked;
        if self.start > 2 * EMPTY_LINES_MAX {
            return Err(Fault::EmptyLines.into());
        }
        Ok(None)
    }

    /// No end in the window: an error if more bytes could not bring it either.
    fn more(&self, window: &[u8], limits: &HeadLimits) -> Result<Option<usize>, Refusal> {
        if window.len() < limits.bytes {
            return Ok(None);
        }
        if self.line == self.start {
            return Err(Fault::TargetTooLong.into());
        }
        Err(Fault::HeadTooLarge.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_end(bytes: &[u8], limit: usize) -> Result<Option<usize>, Fault> {
        let limits = HeadLimits { bytes: limit, fields: 10 };
        let whole = HeadScanner::new().find_end(bytes, &limits);
        let mut scanner = HeadScanner::new();
        let by_bytes = (0..=bytes.len())
            .map(|len| scanner.find_end(&bytes[..len], &limits))
            .find(|verdict| *verdict != Ok(None));
        assert_eq!(whole, by_bytes.unwrap_or(Ok(None)));
        whole.map_err(|refusal| refusal.fault)
    }

    #[test]
    fn ends_at_the_first_empty_line() {
        assert_eq!(find_end(b"a\r\nb\r\n\r\n", 100), Ok(Some(8)));
        assert_eq!(find_end(b"a\r\n\r\nGET / HTTP/1.1\r\n\r\n", 100), Ok(Some(5)));
        assert_eq!(find_end(b"a\r\n\r", 100), Ok(None));
        assert_eq!(find_end(b"", 100), Ok(None));
    }

    #[test]
    fn head_may_fill_the_limit() {
        assert_eq!(find_end(b"a\r\nb\r\n\r\n", 8), Ok(Some(8)));
        assert_eq!(find_end(b"a\r\nb\r\n\r\n", 7), Err(Fault::HeadTooLarge));
        assert_eq!(find_end(b"a\r\nb\r\n", 7), Ok(None));
    }

    /// 414 where the request line is to blame, 431 where fields are.
    #[test]
    fn limit_names_the_culprit() {
        assert_eq!(find_end(b"GET /aaaaaaaaaaaaaaa", 16), Err(Fault::TargetTooLong));
        assert_eq!(find_end(b"\r\nGET /aaaaaaaaaaaaaaa", 16), Err(Fault::TargetTooLong));
        assert_eq!(find_end(b"GET / \r\naaaaaaaaaaaaaaa", 16), Err(Fault::HeadTooLarge));
        assert_eq!(Refusal::from(Fault::TargetTooLong).status(), 414);
        assert_eq!(Refusal::from(Fault::HeadTooLarge).status(), 431);
    }

    /// Whoever speaks another protocol hears so at once, not at the header timeout.
    #[test]
    fn refuses_without_waiting() {
        assert_eq!(find_end(b"GET / HTTP/1.1\n", 100), Err(Fault::BareLf));
        assert_eq!(find_end(b"\x16\x03\x01\0", 100), Err(Fault::Nul));
    }
}
