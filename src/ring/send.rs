//! Sending whole buffers, in one piece or in several.

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
    /// A poll is in flight: the socket was non-blocking and full. Then these are to be sent.
    Waiting(Operation, Vec<u8>, Buf),
    /// Resolved.
    Taken,
}

/// What became of a send, and its buffer.
pub struct Sent {
    /// Bytes that the kernel accepted.
    pub accepted: usize,
    /// All of them, or why not.
    pub result: io::Result<()>,
    /// What was given to be sent before the buffer.
    pub before: Vec<u8>,
    /// The buffer. `None` where the kernel took both in several parts.
    pub buf: Option<Buf>,
}

impl Socket {
    /// Starts sending all bytes of `buf`. The kernel has them from the next turn on, whether or not
    /// the returned future is polled. `more`: others follow immediately (MSG_MORE).
    pub fn send(&self, buf: Buf, more: bool) -> SendOp {
        self.start_send(Request::Send { fd: self.raw(), buf, more })
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
    /// Judges a completed send operation: `Ok` to resolve with, `Err` the state to go on in.
    fn judge(
        &mut self,
        operation: &Operation,
        result: io::Result<usize>,
        hold: Hold,
    ) -> Result<Sent, State> {
        let (before, buf) = match hold {
            Hold::Buf(buf) => (Vec::new(), buf),
            Hold::Vectored(vectored) => vectored.into_parts(),
            _ => unreachable!("a send holds a buffer"),
        };
        let in_parts = self.sent > 0;
        let accepted = self.sent + *result.as_ref().unwrap_or(&0);
        self.sent = accepted;
        let done = |result, before, buf: Buf| {
            Ok(Sent { accepted, result, before, buf: (!in_parts).then_some(buf) })
        };
        match result {
            Ok(n) if n >= before.len() + buf.len() => done(Ok(()), before, buf),
            Ok(0) => done(Err(io::ErrorKind::WriteZero.into()), before, buf),
            Ok(n) => Err(self.resend(operation, before, buf, n)),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::INTR) => Err(self.resend(operation, before, buf, 0)),
                Some(Errno::AGAIN) => {
                    let request = Request::Poll { fd: self.fd, events: libc::POLLOUT as u32 };
                    Err(State::Waiting(operation.next(request), before, buf))
                }
                _ => done(Err(error), before, buf),
            },
        }
    }

    /// Sends what is left after `n` of these bytes went out.
    fn resend(&self, after: &Operation, mut head: Vec<u8>, mut buf: Buf, n: usize) -> State {
        let of_head = n.min(head.len());
        head.drain(..of_head);
        buf.advance(n - of_head);
        let fd = self.fd;
        State::Sending(after.next(match head.is_empty() {
            true => Request::Send { fd, buf, more: false },
            false => Request::SendVectored { fd, head, buf },
        }))
    }
}

impl Future for SendOp {
    type Output = Sent;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Sent> {
        loop {
            match &mut self.state {
                State::Sending(operation) | State::Waiting(operation, ..) => {
                    let (outcome, hold) = ready!(operation.poll_last(context));
                    match std::mem::replace(&mut self.state, State::Taken) {
                        State::Sending(operation) => {
                            match self.judge(&operation, to_result(outcome), hold) {
                                Ok(sent) => return Poll::Ready(sent),
                                Err(state) => self.state = state,
                            }
                        }
                        State::Waiting(operation, head, buf) => {
                            self.state = self.resend(&operation, head, buf, 0);
                        }
                        State::Taken => unreachable!("matched above"),
                    }
                }
                State::Taken => panic!("a send is not polled after its end"),
            }
        }
    }
}
