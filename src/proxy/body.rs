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
    /// Payload bytes that have come.
    passed: u64,
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
    /// We moved more of it than there is, or have no room to frame it: a fault of ours. To go on
    /// would send a wrong frame.
    OutOfStep,
}

impl Body {
    /// A request's body of at most `limit` bytes. `hop`: names of trailers that stay behind.
    pub fn of_request(framing: RequestFraming, hop: Vec<Box<str>>, limit: Option<u64>) -> Body {
        let (incoming, outgoing) = match framing {
            RequestFraming::None | RequestFraming::Length(0) => (Incoming::Ended, Outgoing::Raw),
            RequestFraming::Length(n) => (Incoming::Length(n), Outgoing::Raw),
            RequestFraming::Chunked => {
                (Incoming::Chunked(ChunkedDecoder::without_trailers(hop)), Outgoing::Chunked)
            }
        };
        Body {
            incoming,
            outgoing,
            allowance: limit.unwrap_or(u64::MAX),
            passed: 0,
            tail: Vec::new(),
        }
    }

    /// A response's body. `hop`: names of trailers that stay behind.
    pub fn of_response(framing: ResponseFraming, hop: Vec<Box<str>>, out: BodyOut) -> Body {
        let incoming = match framing {
            ResponseFraming::None | ResponseFraming::Length(0) => Incoming::Ended,
            ResponseFraming::Length(n) => Incoming::Length(n),
            ResponseFraming::Chunked => Incoming::Chunked(ChunkedDecoder::without_trailers(hop)),
            ResponseFraming::UntilClose => Incoming::UntilClose,
        };
        let outgoing =
            if matches!(out, BodyOut::Chunked) { Outgoing::Chunked } else { Outgoing::Raw };
        Body { incoming, outgoing, allowance: u64::MAX, passed: 0, tail: Vec::new() }
    }

    /// Whether all of it has come.
    pub fn ended(&self) -> bool {
        matches!(self.incoming, Incoming::Ended)
    }

    /// Whether payload leaves as chunks.
    pub fn leaves_chunked(&self) -> bool {
        self.outgoing == Outgoing::Chunked
    }

    /// Whether the receiver takes the end of the connection for the end of what is still to come.
    pub fn lasts_until_close(&self) -> bool {
        let unannounced = matches!(self.incoming, Incoming::Chunked(_) | Incoming::UntilClose);
        unannounced && !self.leaves_chunked()
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
            self.enclose(buf)?;
        } else {
            self.tail.clear();
        }
        Ok(surplus)
    }

    /// Bytes that must follow what `frame` left in the buffer.
    pub fn take_tail(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.tail)
    }

    /// Counts `n` payload bytes that went past `frame`, no more than [`Body::unframed`] said.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`]; [`BodyError::OutOfStep`] for more than that.
    pub fn skip(&mut self, n: u64) -> Result<(), BodyError> {
        if n > self.unframed() {
            return Err(BodyError::OutOfStep);
        }
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

    /// Payload bytes that have come so far.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    fn spend(&mut self, n: u64) -> Result<(), BodyError> {
        self.passed += n;
        self.allowance = self.allowance.checked_sub(n).ok_or(BodyError::TooLarge)?;
        Ok(())
    }

    /// Puts the payload in `buf` into one chunk, with the last chunk behind it if it has ended.
    fn enclose(&mut self, buf: &mut Buf) -> Result<(), BodyError> {
        let mut end = Vec::new();
        if !buf.is_empty() {
            let mut line = [0; 18];
            // Received buffers have headroom.
            if !buf.prepend(write_chunk_size(&mut line, buf.len() as u64)) {
                return Err(BodyError::OutOfStep);
            }
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
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::{HEADROOM, Ring, Tier};

    fn buf(bytes: &[u8]) -> Buf {
        let ring = Ring::new(Tier::V5_8, 8, 8).expect("tests need io_uring");
        let mut buf = ring.try_buf().expect("a buffer");
        assert_eq!(buf.extend(bytes), bytes.len());
        buf
    }

    #[test]
    fn a_body_is_framed_where_it_lies() {
        let mut body = Body::of_response(ResponseFraming::UntilClose, Vec::new(), BodyOut::Chunked);
        let mut some = buf(b"hello");
        assert!(body.frame(&mut some).expect("framed").is_empty());
        assert_eq!((some.bytes(), body.take_tail().len()), (&b"5\r\nhello\r\n"[..], 0));
        assert_eq!(body.end_of_stream(), Some(&b"0\r\n\r\n"[..]));
    }

    /// Better no bytes than bytes without their frame.
    #[test]
    fn without_room_for_its_frame_a_body_does_not_go_on() {
        let mut body = Body::of_response(ResponseFraming::UntilClose, Vec::new(), BodyOut::Chunked);
        let mut full = buf(b"hello");
        assert!(full.prepend(&[b'.'; HEADROOM]));
        assert!(matches!(body.frame(&mut full), Err(BodyError::OutOfStep)));
    }

    #[test]
    fn no_more_is_skipped_than_there_is() {
        let out_of_step = |result| matches!(result, Err(BodyError::OutOfStep));
        let mut body = Body::of_request(RequestFraming::Length(5), Vec::new(), None);
        assert!(out_of_step(body.skip(6)));
        assert!(body.skip(5).is_ok() && body.ended());
        assert!(out_of_step(body.skip(1)));

        let mut body = Body::of_request(RequestFraming::Chunked, Vec::new(), None);
        assert!(out_of_step(body.skip(1)), "before any chunk");
        body.frame(&mut buf(b"3\r\na")).expect("a chunk begins");
        assert!(out_of_step(body.skip(3)));
        assert!(body.skip(2).is_ok() && !body.ended());
        assert!(out_of_step(body.skip(1)), "between chunks");

        let mut body =
            Body::of_response(ResponseFraming::UntilClose, Vec::new(), BodyOut::UntilClose);
        assert!(body.lasts_until_close() && body.skip(1 << 40).is_ok());
    }

    #[test]
    fn what_is_skipped_counts_towards_the_limit() {
        let mut body = Body::of_request(RequestFraming::Length(9), Vec::new(), Some(4));
        assert!(body.skip(4).is_ok());
        assert!(matches!(body.skip(1), Err(BodyError::TooLarge)));
    }
}
