//! The bytes of a body on their way through: delimited as they came, framed as they leave.

use crate::http1::{
    BodyOut, ChunkStep, ChunkedDecoder, Refusal, RequestFraming, ResponseFraming, write_chunk_size,
};
use crate::ring::Buf;

/// A body under way.
#[derive(Debug)]
pub struct Body {
    incoming: Incoming,
    outgoing: Outgoing,
    /// Payload bytes that may still come.
    allowance: u64,
    /// Bytes that belong behind the last framed ones but found no room there.
    tail: Vec<u8>,
}

#[derive(Debug)]
enum Incoming {
    Length(u64),
    Chunked(ChunkedDecoder),
    UntilClose,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outgoing {
    Raw,
    Chunked,
}

/// Why a body cannot go on.
#[derive(Debug)]
pub enum BodyError {
    /// Its framing is wrong.
    Malformed(Refusal),
    /// It is larger than allowed.
    TooLarge,
}

impl Body {
    /// A request's body of at most `limit` bytes.
    pub fn of_request(framing: RequestFraming, limit: Option<u64>) -> Body {
        let (incoming, outgoing) = match framing {
            RequestFraming::None | RequestFraming::Length(0) => (Incoming::Ended, Outgoing::Raw),
            RequestFraming::Length(n) => (Incoming::Length(n), Outgoing::Raw),
            RequestFraming::Chunked => {
                (Incoming::Chunked(ChunkedDecoder::new()), Outgoing::Chunked)
            }
        };
        Body { incoming, outgoing, allowance: limit.unwrap_or(u64::MAX), tail: Vec::new() }
    }

    /// A response's body.
    pub fn of_response(framing: ResponseFraming, out: BodyOut) -> Body {
        let incoming = match framing {
            ResponseFraming::None | ResponseFraming::Length(0) => Incoming::Ended,
            ResponseFraming::Length(n) => Incoming::Length(n),
            ResponseFraming::Chunked => Incoming::Chunked(ChunkedDecoder::new()),
            ResponseFraming::UntilClose => Incoming::UntilClose,
        };
        let outgoing =
            if matches!(out, BodyOut::Chunked) { Outgoing::Chunked } else { Outgoing::Raw };
        Body { incoming, outgoing, allowance: u64::MAX, tail: Vec::new() }
    }

    /// Whether all of it has come.
    pub fn ended(&self) -> bool {
        matches!(self.incoming, Incoming::Ended)
    }

    /// Whether payload leaves as chunks.
    pub fn leaves_chunked(&self) -> bool {
        self.outgoing == Outgoing::Chunked
    }

    /// How many payload bytes are certain to come next without framing between them; `u64::MAX`
    /// where the body lasts until the connection closes.
    pub fn unframed(&self) -> u64 {
        match &self.incoming {
            Incoming::Length(n) => *n,
            Incoming::Chunked(decoder) => decoder.pending(),
            Incoming::UntilClose => u64::MAX,
            Incoming::Ended => 0,
        }
    }

    /// Turns received bytes into bytes to send, in place, and returns those that came after the
    /// body's end.
    ///
    /// # Errors
    /// [`BodyError`]; the bytes are then of no use.
    pub fn frame(&mut self, buf: &mut Buf) -> Result<Vec<u8>, BodyError> {
        let surplus = match &mut self.incoming {
            Incoming::Ended => take_surplus(buf, 0),
            Incoming::UntilClose => Vec::new(),
            Incoming::Length(left) => {
                let n = buf.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= n as u64;
                if *left == 0 {
                    self.incoming = Incoming::Ended;
                }
                take_surplus(buf, n)
            }
            Incoming::Chunked(decoder) => {
                let (surplus, trailers) = unchunk(decoder, buf)?;
                if let Some(trailers) = trailers {
                    self.incoming = Incoming::Ended;
                    self.tail = trailers;
                }
                surplus
            }
        };
        self.spend(buf.len() as u64)?;
        if self.outgoing == Outgoing::Chunked {
            self.enclose(buf);
        } else {
            self.tail.clear();
        }
        Ok(surplus)
    }

    /// As [`Body::frame`], for an unchunked body behind a head of `head_len` bytes.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`].
    pub fn frame_behind(&mut self, buf: &mut Buf, head_len: usize) -> Result<Vec<u8>, BodyError> {
        let here = buf.len() - head_len;
        let n = here.min(usize::try_from(self.unframed()).unwrap_or(usize::MAX));
        self.skip(n as u64)?;
        Ok(take_surplus(buf, head_len + n))
    }

    /// Bytes that must follow what `frame` left in the buffer.
    pub fn take_tail(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.tail)
    }

    /// Counts `n` payload bytes that went past `frame`.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`].
    pub fn skip(&mut self, n: u64) -> Result<(), BodyError> {
        match &mut self.incoming {
            Incoming::Length(left) => {
                *left -= n;
                if *left == 0 {
                    self.incoming = Incoming::Ended;
                }
            }
            Incoming::Chunked(decoder) => decoder.skip(n),
            Incoming::UntilClose | Incoming::Ended => {}
        }
        self.spend(n)
    }

    /// The connection has ended: the bytes that end the body on the other side, or `None` if it
    /// was cut short.
    pub fn end_of_stream(&mut self) -> Option<&'static [u8]> {
        if !matches!(self.incoming, Incoming::UntilClose) {
            return None;
        }
        self.incoming = Incoming::Ended;
        Some(if self.leaves_chunked() { b"0\r\n\r\n" } else { b"" })
    }

    fn spend(&mut self, n: u64) -> Result<(), BodyError> {
        self.allowance = self.allowance.checked_sub(n).ok_or(BodyError::TooLarge)?;
        Ok(())
    }

    /// Puts the payload in `buf` into one chunk, with the last chunk behind it if it has ended.
    fn enclose(&mut self, buf: &mut Buf) {
        let mut end = Vec::new();
        if !buf.is_empty() {
            let mut line = [0; 18];
            let fits = buf.prepend(write_chunk_size(&mut line, buf.len() as u64));
            debug_assert!(fits, "received buffers have headroom");
            end.extend_from_slice(b"\r\n");
        }
        if self.ended() {
            end.extend_from_slice(b"0\r\n");
            end.append(&mut self.tail);
            end.extend_from_slice(b"\r\n");
        }
        let taken = buf.extend(&end);
        end.drain(..taken);
        self.tail = end;
    }
}

/// Moves the payload of all chunks in `buf` to its start. Returns what follows the body, and the
/// trailers once the last chunk has come.
#[allow(clippy::type_complexity)]
fn unchunk(
    decoder: &mut ChunkedDecoder,
    buf: &mut Buf,
) -> Result<(Vec<u8>, Option<Vec<u8>>), BodyError> {
    let bytes = buf.bytes_mut();
    let (mut read, mut written) = (0, 0);
    loop {
        match decoder.step(&bytes[read..]).map_err(BodyError::Malformed)? {
            ChunkStep::Payload { skip, len } => {
                bytes.copy_within(read + skip..read + skip + len, written);
                written += len;
                read += skip + len;
            }
            ChunkStep::NeedMore { .. } => {
                buf.truncate(written);
                return Ok((Vec::new(), None));
            }
            ChunkStep::Done { consumed } => {
                let surplus = bytes[read + consumed..].to_vec();
                buf.truncate(written);
                return Ok((surplus, Some(decoder.trailers().to_vec())));
            }
        }
    }
}

fn take_surplus(buf: &mut Buf, at: usize) -> Vec<u8> {
    let surplus = buf.bytes()[at..].to_vec();
    buf.truncate(at);
    surplus
}
