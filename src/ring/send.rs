//! Sending bytes, in one piece or in several.

use std::future::Future;
use std::io;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;

use super::ops::{Operation, Socket, to_result};
use super::sys::buffers::Buf;
use super::sys::request::{Hold, Request};

/// A send under way. Resolves when all bytes are sent, or with the error and how many were.
pub struct SendOp {
    fd: RawFd,
    sent: usize,
    state: State,
}

enum State {
    /// A send operation is in flight.
    Sending(Operation),
    /// A poll is in flight: the socket was non-blocking and full. Then this is to be sent.
    Waiting(Operation, Payload),
    /// Resolved.
    Taken,
}

/// Bytes, then those of a buffer.
#[derive(Debug)]
struct Payload {
    bytes: Vec<u8>,
    buf: Option<Buf>,
}

/// What became of a send.
pub struct Sent {
    /// Bytes that the kernel accepted.
    pub accepted: usize,
    /// All of them, or why not.
    pub result: io::Result<()>,
    /// The vector that was sent, if there was one and it is as it was given.
    pub bytes: Option<Vec<u8>>,
}

impl Socket {
    /// Starts sending all bytes of `buf`. The kernel has them from the next turn on, whether or not
    /// the returned future is polled. `more`: others follow immediately (MSG_MORE).
    pub fn send(&self, buf: Buf, more: bool) -> SendOp {
        self.start_send(Request::Send { fd: self.raw(), buf, more })
    }

    /// As [`Socket::send`], from a vector: for what may have to wait long, and then holds no more
    /// memory than it needs.
    pub fn send_bytes(&self, bytes: Vec<u8>) -> SendOp {
        self.start_send(Request::SendBytes { fd: self.raw(), bytes, more: false })
    }

    /// As [`Socket::send_bytes`]; others follow immediately (MSG_MORE).
    pub fn send_bytes_more(&self, bytes: Vec<u8>) -> SendOp {
        self.start_send(Request::SendBytes { fd: self.raw(), bytes, more: true })
    }

    /// As [`Socket::send`], `head` before the buffer's bytes (sendmsg(2)).
    pub fn send_after(&self, head: Vec<u8>, buf: Buf) -> SendOp {
        self.start_send(Request::SendVectored { fd: self.raw(), head, buf })
    }

    fn start_send(&self, request: Request) -> SendOp {
        let state = State::Sending(Operation::start(self.ring(), request));
        SendOp { fd: self.raw(), sent: 0, state }
    }
}

impl SendOp {
    /// Whether the kernel has finished the operation: dropping this then cancels nothing.
    pub fn is_done(&self) -> bool {
        match &self.state {
            State::Sending(operation) => operation.has_result(),
            State::Waiting(..) => false,
            State::Taken => true,
        }
    }

    /// Judges a completed send operation: `Ok` to resolve with, `Err` the state to go on in.
    fn judge(
        &mut self,
        operation: &Operation,
        result: io::Result<usize>,
        hold: Hold,
    ) -> Result<Sent, State> {
        let payload = Payload::from(hold);
        let in_parts = self.sent > 0;
        let accepted = self.sent + *result.as_ref().unwrap_or(&0);
        self.sent = accepted;
        let done = |result, payload: Payload| {
            let bytes = (!in_parts && payload.buf.is_none()).then_some(payload.bytes);
            Ok(Sent { accepted, result, bytes })
        };
        match result {
            Ok(n) if n >= payload.len() => done(Ok(()), payload),
            Ok(0) => done(Err(io::ErrorKind::WriteZero.into()), payload),
            Ok(n) => Err(self.resend(operation, payload, n)),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::INTR) => Err(self.resend(operation, payload, 0)),
                Some(Errno::AGAIN) => {
                    let request = Request::Poll { fd: self.fd, events: libc::POLLOUT as u32 };
                    Err(State::Waiting(operation.next(request), payload))
                }
                _ => done(Err(error), payload),
            },
        }
    }

    /// Sends what is left after `n` of these bytes went out.
    fn resend(&self, after: &Operation, mut payload: Payload, n: usize) -> State {
        let of_bytes = n.min(payload.bytes.len());
        payload.bytes.drain(..of_bytes);
        let (fd, head) = (self.fd, payload.bytes);
        State::Sending(after.next(match payload.buf {
            None => Request::SendBytes { fd, bytes: head, more: false },
            Some(mut buf) => {
                buf.advance(n - of_bytes);
                match head.is_empty() {
                    true => Request::Send { fd, buf, more: false },
                    false => Request::SendVectored { fd, head, buf },
                }
            }
        }))
    }
}

impl Payload {
    fn len(&self) -> usize {
        self.bytes.len() + self.buf.as_ref().map_or(0, Buf::len)
    }
}

impl From<Hold> for Payload {
    fn from(hold: Hold) -> Payload {
        match hold {
            Hold::Buf(buf) => Payload { bytes: Vec::new(), buf: Some(buf) },
            Hold::Bytes(bytes) => Payload { bytes, buf: None },
            Hold::Vectored(vectored) => {
                let (bytes, buf) = vectored.into_parts();
                Payload { bytes, buf: Some(buf) }
            }
            Hold::Nothing | Hold::Accepting | Hold::Address(_) | Hold::Opening(_) => {
                unreachable!("a send holds what it sends")
            }
        }
    }
}

impl Future for SendOp {
    type Output = Sent;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Sent> {
        loop {
            let (State::Sending(operation) | State::Waiting(operation, _)) = &mut self.state else {
                panic!("a send is not polled after its end");
            };
            let (outcome, hold) = ready!(operation.poll_last(context));
            match std::mem::replace(&mut self.state, State::Taken) {
                State::Sending(operation) => {
                    match self.judge(&operation, to_result(outcome), hold) {
                        Ok(sent) => return Poll::Ready(sent),
                        Err(state) => self.state = state,
                    }
                }
                State::Waiting(operation, payload) => {
                    self.state = self.resend(&operation, payload, 0);
                }
                State::Taken => unreachable!("matched above"),
            }
        }
    }
}
