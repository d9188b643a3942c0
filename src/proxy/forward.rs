//! Moving a body from one connection to the other, by copy or by splice.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use super::Context;
use super::body::{Body, BodyError};
use super::client::{Client, Gone, Watched};
use super::splicing::{self, Splicing, Stop};
use crate::guard::Pace;
use crate::http1::write_chunk_size;
use crate::ring::{BUF_CAPACITY, Buf, Elapsed, SendOp, Tick, Timer, Traffic, Until};
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
    /// How slowly the body may come.
    pub pace: Option<&'a Cell<Pace>>,
    /// Told how much payload has been sent.
    pub passed: Option<&'a Cell<u64>>,
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
    /// It sent too little over time.
    SourceSlow,
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
                    match splicing::begin(self.context, self.from, self.to) {
                        Some(mut splicing) => match self.splice(body, &mut splicing).await? {
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
            let received = self.await_source(self.from.recv()).await?;
            let Ok(Some(mut buf)) = received else {
                return match received {
                    Ok(_) => self.end_of_stream(body).await,
                    Err(_) => Err(Broken::CutShort),
                };
            };
            bulk = buf.len() >= BUF_CAPACITY;
            self.came(buf.len());
            self.copy(body, &mut buf).await?;
            let tail = body.take_tail();
            if !buf.is_empty() {
                self.send(buf, !tail.is_empty()).await?;
            }
            self.send_bytes(tail).await?;
            self.tell(body);
        }
        Ok(())
    }

    fn tell(&self, body: &Body) {
        if let Some(passed) = self.passed {
            passed.set(body.passed());
        }
    }

    fn is_worth_splicing(&self, body: &Body, bulk: bool) -> bool {
        match body.unframed() {
            u64::MAX => bulk,
            n => n >= self.context.splice.threshold && n > 0,
        }
    }

    /// Frames received bytes for the other side.
    pub async fn copy(&self, body: &mut Body, buf: &mut Buf) -> Result<(), Broken> {
        let surplus = body.frame(buf).map_err(Broken::Source)?;
        self.context.count(|counters| counters.copied += buf.len() as u64);
        if !surplus.is_empty() {
            let mut rest = self.within(self.context.ring.buf(), || Broken::SourceTimeout).await?;
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
            self.send(buf, !tail.is_empty()).await?;
        } else {
            self.sent(self.to.socket.send_after(before, buf)).await?;
        }
        self.send_bytes(tail).await
    }

    /// Sends the bytes of `buf`; `more`: others follow at once.
    async fn send(&self, buf: Buf, more: bool) -> Result<(), Broken> {
        self.sent(self.to.socket.send(buf, more)).await
    }

    pub async fn send_bytes(&self, bytes: Vec<u8>) -> Result<(), Broken> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.sent(self.to.socket.send_bytes(bytes)).await
    }

    /// Waits until the receiver has taken all of it.
    async fn sent(&self, sending: SendOp) -> Result<(), Broken> {
        let sent = self.within(sending, || Broken::SinkTimeout).await?;
        sent.result.map_err(|_| Broken::Sink)
    }

    /// Splices payload while none of it needs a look. Where it leaves as chunks, the end of a chunk
    /// goes out with the size of the next, if that is here already, else at once.
    async fn splice<G>(
        &self,
        body: &mut Body,
        splicing: &mut Splicing<'_, G>,
    ) -> Result<SpliceEnd, Broken> {
        let mut chunk_open = false;
        loop {
            let stop = match splicing.fill(body.unframed()) {
                Ok(n) => {
                    self.came(n);
                    body.skip(n as u64).map_err(Broken::Source)?;
                    if body.leaves_chunked() {
                        self.begin_chunk(n, chunk_open).await?;
                        chunk_open = true;
                    }
                    self.drain(splicing, n, chunk_open).await?;
                    self.tell(body);
                    continue;
                }
                Err(stop) => stop,
            };
            if std::mem::take(&mut chunk_open) {
                self.send_bytes(b"\r\n".to_vec()).await?;
            }
            match stop {
                Stop::Enough => return Ok(SpliceEnd::Dry),
                Stop::NotReady => {
                    let readable = self.await_source(self.from.socket.readable());
                    readable.await?.map_err(|_| Broken::CutShort)?;
                }
                Stop::End => return Ok(SpliceEnd::EndOfStream),
                Stop::Unfit => return Ok(SpliceEnd::Unfit),
                Stop::Broken => return Err(Broken::CutShort),
            }
        }
    }

    /// Sends the size line of a chunk of `n` bytes, which follow; behind the end of the chunk
    /// before it, where that is still to be sent.
    async fn begin_chunk(&self, n: usize, after_chunk: bool) -> Result<(), Broken> {
        let mut line = [0; 18];
        let line = write_chunk_size(&mut line, n as u64);
        let end: &[u8] = if after_chunk { b"\r\n" } else { b"" };
        let sending = self.to.socket.send_bytes_more([end, line].concat());
        self.sent(sending).await
    }

    /// Sends the `n` payload bytes in the pipe; `more`: other bytes follow at once.
    async fn drain<G>(
        &self,
        splicing: &mut Splicing<'_, G>,
        n: usize,
        more: bool,
    ) -> Result<(), Broken> {
        while !splicing.drain(more).map_err(|_| Broken::Sink)? {
            let writable = self.within(self.to.socket.writable(), || Broken::SinkTimeout);
            writable.await?.map_err(|_| Broken::Sink)?;
        }
        self.context.count(|counters| counters.spliced += n as u64);
        Ok(())
    }

    /// So many bytes came from the source.
    fn came(&self, bytes: usize) {
        if let Some(shared) = self.pace {
            let mut pace = shared.get();
            pace.came(bytes as u64);
            shared.set(pace);
        }
    }

    /// Waits for the source within the idle time, and as long as its pace allows.
    pub fn await_source<F: Future>(&self, future: F) -> Sourced<'_, F> {
        let slow = self.pace.and_then(|shared| shared.get().limit(self.idle));
        let (limit, too_late): (_, fn() -> Broken) = match slow {
            Some(limit) => (limit, || Broken::SourceSlow),
            None => (self.idle, || Broken::SourceTimeout),
        };
        let began = self.context.ring.now();
        Sourced { flow: self, began, waiting: self.within_limit(limit, future, too_late) }
    }

    /// Runs `future` within the idle time, and while the watched client is there.
    fn within<F: Future>(&self, future: F, too_late: fn() -> Broken) -> Within<'_, F> {
        self.within_limit(self.idle, future, too_late)
    }

    fn within_limit<F: Future>(
        &self,
        limit: Duration,
        future: F,
        too_late: fn() -> Broken,
    ) -> Within<'_, F> {
        let waiting = self.timer.within(limit, Watched::new(self.watch, future));
        Within { waiting, too_late }
    }
}

pin_project_lite::pin_project! {
    /// A wait that ends with the watched client, or when it has taken too long.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Within<'a, F> {
        #[pin]
        waiting: Until<'a, Watched<'a, F>>,
        too_late: fn() -> Broken,
    }
}

impl<F: Future> Future for Within<'_, F> {
    type Output = Result<F::Output, Broken>;

    fn poll(self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.waiting.poll(context).map(|waited| match waited {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(Gone)) => Err(Broken::ClientGone),
            Err(Elapsed) => Err((this.too_late)()),
        })
    }
}

pin_project_lite::pin_project! {
    /// See [`Flow::await_source`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Sourced<'a, F> {
        flow: &'a Flow<'a>,
        began: Tick,
        #[pin]
        waiting: Within<'a, F>,
    }
}

impl<F: Future> Future for Sourced<'_, F> {
    type Output = Result<F::Output, Broken>;

    fn poll(self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let waited = ready!(this.waiting.poll(context));
        if let Some(shared) = this.flow.pace {
            let mut pace = shared.get();
            pace.waited(this.flow.context.ring.now() - *this.began);
            shared.set(pace);
        }
        Poll::Ready(waited)
    }
}
