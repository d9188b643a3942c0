//! Chunked transfer coding (RFC 9112 §7.1).
//!
//! The decoder delimits, it does not copy: each step says how many bytes of the input are framing
//! and how many behind them are payload. Payload may also pass it by, through a pipe in the
//! kernel, and is then reported by [`ChunkedDecoder::skip`]. Only trailers are kept.

use super::{Fault, Refusal, trailers};

/// Bytes of chunk extensions in one body. They are dropped, so a sender that makes each payload
/// byte cost hundreds of extension bytes is attacking, not informing (RFC 9112 §7.1.1).
const EXTENSIONS_MAX: usize = 16 * 1024;

/// Bytes of the trailer section.
const TRAILERS_MAX: usize = 8 * 1024;

/// Hexadecimal digits in `u64::MAX`.
const SIZE_DIGITS_MAX: u8 = 16;

/// What one step found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkStep {
    /// All of the input was framing; the body goes on.
    NeedMore {
        /// Always the whole input.
        consumed: usize,
    },
    /// Payload was found; consumed are `skip + len` bytes.
    Payload {
        /// Bytes of framing before it.
        skip: usize,
        /// Bytes of payload in the input after `skip`; more than none.
        len: usize,
    },
    /// The body is complete. Bytes behind `consumed` belong to the next message.
    Done {
        /// Bytes of framing.
        consumed: usize,
    },
}

/// Delimits one chunked body.
#[derive(Clone, Debug, Default)]
pub struct ChunkedDecoder {
    state: State,
    /// The size as far as its digits were read, then the payload bytes still to come.
    remaining: u64,
    /// Bytes of chunk extensions so far; <= EXTENSIONS_MAX.
    extensions: usize,
    /// Bytes of the trailer section so far; <= TRAILERS_MAX.
    trailer_bytes: usize,
    /// Trailer lines that go on, then the line being read.
    trailers: Vec<u8>,
    /// Where in `trailers` the line being read begins; <= trailers.len().
    line: usize,
    /// Names of trailers that do not go on.
    hop: Vec<Box<str>>,
}

/// What the next byte must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The first digit of a size.
    #[default]
    SizeStart,
    /// A digit, white space, `;` or CR; so many digits were read.
    Size(u8),
    /// White space or the `;` of an extension.
    Space,
    /// In an extension.
    Extension,
    /// The LF behind a size line.
    SizeLf,
    /// Payload; `remaining` > 0.
    Payload,
    /// The CR behind a chunk's payload.
    PayloadCr,
    /// The LF behind a chunk's payload.
    PayloadLf,
    /// A trailer line's first byte, or the CR of the empty line.
    LineStart,
    /// In a trailer line.
    Line,
    /// The LF behind a trailer line.
    LineLf,
    /// The LF of the empty line.
    EndLf,
    /// Nothing: the body is complete.
    Done,
}

impl ChunkedDecoder {
    /// A decoder for one body.
    pub fn new() -> Self {
        Self::default()
    }

    /// A decoder that leaves out trailers with these names, in any case: those that Connection
    /// named in the head.
    pub fn without_trailers(hop: Vec<Box<str>>) -> Self {
        ChunkedDecoder { hop, ..Self::default() }
    }

    /// One step over `input`, which starts at the first byte not consumed so far.
    #[inline]
    pub fn step(&mut self, input: &[u8]) -> Result<ChunkStep, Refusal> {
        let mut at = 0;
        loop {
            match self.state {
                State::Payload => return Ok(self.payload(at, input.len() - at)),
                State::Done => return Ok(ChunkStep::Done { consumed: at }),
                state => {
                    let Some(byte) = input.get(at) else {
                        return Ok(ChunkStep::NeedMore { consumed: at });
                    };
                    self.state = self.framing(state, *byte)?;
                    at += 1;
                }
            }
        }
    }

    /// Payload bytes of the current chunk still to come.
    pub fn pending(&self) -> u64 {
        match self.state {
            State::Payload => self.remaining,
            _ => 0,
        }
    }

    /// `n` payload bytes were moved without passing through [`step`](Self::step);
    /// n <= [`pending`](Self::pending).
    pub fn skip(&mut self, n: u64) {
        debug_assert!(n <= self.pending(), "skipped more than is pending");
        if self.state == State::Payload {
            self.advance(n);
        }
    }

    /// The trailer section, complete after [`ChunkStep::Done`]: lines with their CRLF, of fields
    /// that may be forwarded (RFC 9110 §6.5.1).
    pub fn trailers(&self) -> &[u8] {
        &self.trailers[..self.line]
    }

    /// `available` bytes of input follow the first `skip`.
    #[inline]
    fn payload(&mut self, skip: usize, available: usize) -> ChunkStep {
        if available == 0 {
            return ChunkStep::NeedMore { consumed: skip };
        }
        let len = usize::try_from(self.remaining).map_or(available, |most| most.min(available));
        self.advance(len as u64);
        ChunkStep::Payload { skip, len }
    }

    #[inline]
    fn advance(&mut self, n: u64) {
        self.remaining = self.remaining.saturating_sub(n);
        if self.remaining == 0 {
            self.state = State::PayloadCr;
        }
    }

    /// One byte that is not payload: what must follow it.
    #[inline]
    fn framing(&mut self, state: State, byte: u8) -> Result<State, Fault> {
        match (state, byte) {
            (State::SizeStart, _) => self.digit(0, byte),
            (State::Size(_), b'\r') => Ok(State::SizeLf),
            (State::Size(_) | State::Space, b';' | b' ' | b'\t') => self.extension(byte),
            (State::Size(digits), _) => self.digit(digits, byte),
            (State::Space, _) => Err(Fault::ChunkExtension),
            (State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Extension, _) => self.extension(byte).map(|_| State::Extension),
            (State::SizeLf, b'\n') => Ok(self.size_complete()),
            (State::PayloadCr, b'\r') => Ok(State::PayloadLf),
            (State::PayloadLf, b'\n') => Ok(State::SizeStart),
            (State::SizeLf | State::PayloadCr | State::PayloadLf, _) => Err(Fault::ChunkEnd),
            (State::LineStart, b'\r') => Ok(State::EndLf),
            (State::LineStart | State::Line, _) => self.trailer_byte(byte),
            (State::LineLf, b'\n') => self.trailer_line(),
            (State::EndLf, b'\n') => Ok(State::Done),
            (State::LineLf | State::EndLf, _) => Err(Fault::BareCr),
            // Unreachable: `step` handles both.
            (State::Payload | State::Done, _) => Ok(state),
        }
    }

    /// `chunk-size = 1*HEXDIG`; `digits` were read before this one.
    #[inline]
    fn digit(&mut self, digits: u8, byte: u8) -> Result<State, Fault> {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ => return Err(Fault::ChunkSize),
        };
        if digits == SIZE_DIGITS_MAX {
            return Err(Fault::ChunkTooLarge);
        }
        self.remaining = self.remaining << 4 | u64::from(value);
        Ok(State::Size(digits + 1))
    }

    #[inline]
    fn size_complete(&mut self) -> State {
        match self.remaining {
            0 => State::LineStart,
            _ => State::Payload,
        }
    }

    /// Extensions are not understood here, and then must be ignored (RFC 9112 §7.1.1). A LF in one
    /// ends the line for some recipients, so no control byte is let through.
    #[cold]
    fn extension(&mut self, byte: u8) -> Result<State, Fault> {
        if byte.is_ascii_control() && byte != b'\t' {
            return Err(Fault::ChunkExtension);
        }
        if self.extensions == EXTENSIONS_MAX {
            return Err(Fault::ChunkExtensionsTooLong);
        }
        self.extensions += 1;
        match byte {
            b' ' | b'\t' => Ok(State::Space),
            _ => Ok(State::Extension),
        }
    }

    #[cold]
    fn trailer_byte(&mut self, byte: u8) -> Result<State, Fault> {
        match byte {
            b'\r' => return Ok(State::LineLf),
            b'\n' => return Err(Fault::BareLf),
            0 => return Err(Fault::Nul),
            _ if self.trailer_bytes >= TRAILERS_MAX => return Err(Fault::TrailersTooLarge),
            _ => {}
        }
        self.trailer_bytes += 1;
        self.trailers.push(byte);
        Ok(State::Line)
    }

    /// A trailer line is complete: keeps it if it goes on.
    #[cold]
    fn trailer_line(&mut self) -> Result<State, Fault> {
        self.trailer_bytes += 2;
        if self.trailer_bytes > TRAILERS_MAX {
            return Err(Fault::TrailersTooLarge);
        }
        if trailers::passes(&self.trailers[self.line..], &self.hop)? {
            self.trailers.extend_from_slice(b"\r\n");
            self.line = self.trailers.len();
        } else {
            self.trailers.truncate(self.line);
        }
        Ok(State::LineStart)
    }
}

/// The size line of a chunk of `n` bytes. A chunk of none would end the body.
pub fn write_chunk_size(out: &mut [u8; 18], n: u64) -> &[u8] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digits = (u64::BITS - (n | 1).leading_zeros()).div_ceil(4) as usize;
    for (i, digit) in out[..digits].iter_mut().enumerate() {
        *digit = HEX[(n >> (4 * (digits - 1 - i)) & 15) as usize];
    }
    out[digits..digits + 2].copy_from_slice(b"\r\n");
    &out[..digits + 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::differential::decode;

    #[test]
    fn steps() {
        let mut decoder = ChunkedDecoder::new();
        let input = b"5\r\nhello\r\n0\r\n\r\nGET";
        assert_eq!(decoder.step(&input[..4]), Ok(ChunkStep::Payload { skip: 3, len: 1 }));
        assert_eq!(decoder.pending(), 4);
        assert_eq!(decoder.step(b""), Ok(ChunkStep::NeedMore { consumed: 0 }));
        assert_eq!(decoder.step(&input[4..]), Ok(ChunkStep::Payload { skip: 0, len: 4 }));
        assert_eq!(decoder.pending(), 0);
        assert_eq!(decoder.step(&input[8..10]), Ok(ChunkStep::NeedMore { consumed: 2 }));
        assert_eq!(decoder.step(&input[10..]), Ok(ChunkStep::Done { consumed: 5 }));
        assert_eq!(decoder.step(&input[15..]), Ok(ChunkStep::Done { consumed: 0 }));
    }

    /// Payload may go through a pipe instead of a buffer.
    #[test]
    fn skipped_payload() {
        let mut decoder = ChunkedDecoder::new();
        assert_eq!(decoder.step(b"ffffffffffffffff\r\n"), Ok(ChunkStep::NeedMore { consumed: 18 }));
        decoder.skip(u64::MAX - 1);
        assert_eq!(decoder.pending(), 1);
        decoder.skip(1);
        assert_eq!(decoder.step(b"\r\n0\r\n\r\n"), Ok(ChunkStep::Done { consumed: 7 }));
    }

    #[test]
    fn trailers_of_the_hop() {
        let mut decoder = ChunkedDecoder::without_trailers(vec!["x-hop".into()]);
        let step = decoder.step(b"0\r\nX-HOP: 1\r\nx-hops: 2\r\n\r\n");
        assert_eq!(step, Ok(ChunkStep::Done { consumed: 26 }));
        assert_eq!(decoder.trailers(), b"x-hops: 2\r\n");
    }

    #[test]
    fn trailers() {
        let body = b"0\r\nX-Sum: 1\r\nHost: b\r\nX_Forwarded_For: c\r\nset-cookie: d\r\ny:\r\n\r\n";
        for piece in [1, 2, usize::MAX] {
            let (_, end) = decode(body, piece).unwrap();
            assert_eq!(end, Some((body.len(), b"X-Sum: 1\r\ny:\r\n".to_vec())));
        }
    }

    #[test]
    fn limits() {
        let fault = |body: String| decode(body.as_bytes(), usize::MAX).unwrap_err();
        let extensions = format!("1;{}\r\nx\r\n", "e".repeat(999)).repeat(17);
        assert_eq!(fault(extensions), Fault::ChunkExtensionsTooLong);
        let long = format!("0\r\nX: {}\r\n", "t".repeat(TRAILERS_MAX));
        assert_eq!(fault(long), Fault::TrailersTooLarge);
        // Fields that are dropped count as well.
        let many = format!("0\r\n{}", "Host: a\r\n".repeat(TRAILERS_MAX));
        assert_eq!(fault(many), Fault::TrailersTooLarge);
        // So do the ends of lines: names of one byte must not come for less than they cost.
        let short = format!("0\r\n{}", "a:\r\n".repeat(TRAILERS_MAX));
        assert_eq!(fault(short), Fault::TrailersTooLarge);
    }

    #[test]
    fn size_lines() {
        let mut out = [0; 18];
        for (n, line) in [(0, "0\r\n"), (15, "f\r\n"), (16, "10\r\n"), (0xabc, "abc\r\n")] {
            assert_eq!(write_chunk_size(&mut out, n), line.as_bytes());
        }
        assert_eq!(write_chunk_size(&mut out, u64::MAX), b"ffffffffffffffff\r\n");
    }
}
