//! Moving a body from one connection to the other, by copy or by splice.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::Context;
use super::body::{Body, BodyError};
use super::client::{Client, Departure};
use crate::http1::write_chunk_size;
use crate::ring::{BUF_CAPACITY, Buf, Pipe, Spliced, Timer, Traffic};
use crate::transport::Stream;

/// One direction of an exchange.
pub struct Flow<'a> {
    pub context: &'a Context,
    pub from: &'a Stream,
    pub to: &'a Stream,
    pub timer: &'a Timer,
    /// Longest time between two reads or writes.
    pub idle: Duration,
    /// The client to keep an eye on while bytes flow towards it.
    pub watch: Option<&'a Client>,
}

/// Why a body did not arrive whole.
#[derive(Debug)]
pub enum Broken {
    /// The sender ended or reset the connection in the middle of it.
    CutShort,
    /// The sender broke a rule.
    Source(BodyError),
    /// The sender paused for too long.
    SourceTimeout,
    /// The receiver takes no more.
    Sink,
    /// The receiver paused for too long.
    SinkTimeout,
    /// The watched client reset its connection.
    ClientGone,
}

/// How the splicing of a body went.
enum SpliceEnd {
    /// No payload is left that needs no look.
    Dry,
    /// The source has ended.
    EndOfStream,
    /// These sockets cannot splice; nothing is in the pipe.
    Unfit,
}

impl Flow<'_> {
    /// Moves what is left of `body`.
    ///
    /// # Errors
    /// [`Broken`]; some of the body may have been sent.
    pub async fn run(&self, body: &mut Body) -> Result<(), Broken> {
        let mut may_splice = self.context.splice.enabled;
        let mut bulk = false;
        while !body.ended() {
            if may_splice && !self.from.has_ahead() && self.is_worth_splicing(body, bulk) {
                self.from.leave_in_socket().await.map_err(|_| Broken::CutShort)?;
                if !self.from.has_ahead() {
                    match self.context.pipes.lend() {
                        Some(mut pipe) => match self.splice(body, &mut pipe).await? {
                            SpliceEnd::Dry => {}
                            SpliceEnd::EndOfStream => return self.end_of_stream(body).await,
                            SpliceEnd::Unfit => may_splice = false,
                        },
                        None => may_splice = false,
                    }
                }
                continue;
            }
            if body.unframed() > 0 {
                // It is copied: the guess that it would be spliced was wrong.
                self.from.expect(Traffic::Messages);
            }
            let received = self.within(self.from.recv(), Broken::SourceTimeout).await?;
            let Ok(Some(mut buf)) = received else {
                return match received {
                    Ok(_) => self.end_of_stream(body).await,
                    Err(_) => Err(Broken::CutShort),
                };
            };
            bulk = buf.len() >= BUF_CAPACITY;
            self.copy(body, &mut buf).await?;
            if !buf.is_empty() {
                self.send(buf).await?;
            }
            self.send_bytes(body.take_tail()).await?;
        }
        Ok(())
    }

    fn is_worth_splicing(&self, body: &Body, bulk: bool) -> bool {
        match body.unframed() {
            u64::MAX => bulk,
            n => n >= self.context.splice.threshold && n > 0,
        }
    }

    /// Frames received bytes for the other side.
    async fn copy(&self, body: &mut Body, buf: &mut Buf) -> Result<(), Broken> {
        let surplus = body.frame(buf).map_err(Broken::Source)?;
        self.context.count(|counters| counters.copied += buf.len() as u64);
        if !surplus.is_empty() {
            let mut rest = self.within(self.context.ring.buf(), Broken::SourceTimeout).await?;
            rest.extend(&surplus);
            self.from.put_back(rest);
        }
        Ok(())
    }

    async fn end_of_stream(&self, body: &mut Body) -> Result<(), Broken> {
        let end = body.end_of_stream().ok_or(Broken::CutShort)?;
        self.send_bytes(end.to_vec()).await
    }

    /// Sends a head and what came with it: `buf` starts with the head, unless it is in `before`.
    ///
    /// # Errors
    /// [`Broken`].
    pub async fn send_first(&self, before: Vec<u8>, buf: Buf, tail: Vec<u8>) -> Result<(), Broken> {
        if before.is_empty() {
            self.send(buf).await?;
        } else {
            let sending = self.to.socket.send_after(before, buf);
            let sent = self.within(sending, Broken::SinkTimeout).await?;
            sent.result.map_err(|_| Broken::Sink)?;
        }
        self.send_bytes(tail).await
    }

    /// Sends the bytes of `buf`.
    pub async fn send(&self, buf: Buf) -> Result<(), Broken> {
        let sent = self.within(self.to.socket.send(buf, false), Broken::SinkTimeout).await?;
        sent.result.map_err(|_| Broken::Sink)
    }

    async fn send_bytes(&self, bytes: Vec<u8>) -> Result<(), Broken> {
        if bytes.is_empty() {
            return Ok(());
        }
        let sending = self.to.socket.send_bytes(bytes);
        let sent = self.within(sending, Broken::SinkTimeout).await?;
        sent.result.map_err(|_| Broken::Sink)
    }

    /// Splices payload while none of it needs a look.
    async fn splice(&self, body: &mut Body, pipe: &mut Pipe) -> Result<SpliceEnd, Broken> {
        let (Ok(_from), Ok(_to)) = (self.from.socket.nonblocking(), self.to.socket.nonblocking())
        else {
            return Ok(SpliceEnd::Unfit);
        };
        let mut woken = false;
        loop {
            let most = body.unframed();
            if most == 0 {
                return Ok(SpliceEnd::Dry);
            }
            match pipe.fill(&self.from.socket, most) {
                Ok(Spliced::Moved(n)) => {
                    woken = false;
                    body.skip(n as u64).map_err(Broken::Source)?;
                    self.drain(body, pipe, n).await?;
                }
                // Readable, but not by splice: it stops at urgent data (tcp(7)), where a receive
                // goes on.
                Ok(Spliced::NotReady) if woken => return Ok(SpliceEnd::Unfit),
                Ok(Spliced::NotReady) => {
                    let readable = self.within(self.from.socket.readable(), Broken::SourceTimeout);
                    readable.await?.map_err(|_| Broken::CutShort)?;
                    woken = true;
                }
                Ok(Spliced::End) => return Ok(SpliceEnd::EndOfStream),
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    return Ok(SpliceEnd::Unfit);
                }
                Err(_) => return Err(Broken::CutShort),
            }
        }
    }

    /// Empties the pipe, which holds `n` payload bytes, into the receiver.
    async fn drain(&self, body: &Body, pipe: &mut Pipe, n: usize) -> Result<(), Broken> {
        if body.leaves_chunked() {
            let mut line = [0; 18];
            self.send_bytes(write_chunk_size(&mut line, n as u64).to_vec()).await?;
        }
        while pipe.inside() > 0 {
            match pipe.drain(&self.to.socket, false) {
                Ok(Spliced::Moved(_)) => {}
                Ok(Spliced::NotReady) => {
                    let writable = self.within(self.to.socket.writable(), Broken::SinkTimeout);
                    writable.await?.map_err(|_| Broken::Sink)?;
                }
                Ok(Spliced::End) | Err(_) => return Err(Broken::Sink),
            }
        }
        self.context.count(|counters| counters.spliced += n as u64);
        if body.leaves_chunked() {
            self.send_bytes(b"\r\n".to_vec()).await?;
        }
        Ok(())
    }

    /// Runs `future` within the idle time, and while the watched client is there.
    async fn within<F: Future>(&self, future: F, too_late: Broken) -> Result<F::Output, Broken> {
        let mut future = pin!(future);
        let watched = poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            match self.watch.map(|client| client.poll_departure(context)) {
                Some(Poll::Ready(Departure::Reset)) => Poll::Ready(Err(Broken::ClientGone)),
                _ => Poll::Pending,
            }
        });
        self.timer.within(self.idle, watched).await.unwrap_or(Err(too_late))
    }
}
