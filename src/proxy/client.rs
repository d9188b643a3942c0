//! The client's side of a connection.

use std::cell::{Cell, OnceCell};
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use super::connection::Counted;
use super::entrance::Told;
use super::listener::Listener;
use crate::ring::{Buf, Timer};
use crate::transport::Stream;

/// How long, and how much, a connection that we end is still read, so that the client gets our
/// answer before a reset (RFC 9112 §9.6).
const LINGER_TIME: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 8 << 20;

/// A client.
pub struct Client {
    pub(super) context: Counted,
    pub(super) stream: Stream,
    pub(super) timer: Timer,
    pub(super) listener: Rc<Listener>,
    /// Who is at the other end, or whom that one announced; `None`: a Unix socket.
    pub(super) peer: Cell<Option<IpAddr>>,
    /// What most connections need not know.
    pub(super) told: OnceCell<Box<Told>>,
    /// It has closed its sending side.
    pub(super) finished: Cell<bool>,
    /// Requests that it may still begin; `u32::MAX`: any number.
    requests_left: Cell<u32>,
}

/// What a client did while it was owed a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// It closed its sending side; it may still read.
    Finished,
    /// It reset the connection.
    Reset,
}

/// The client has gone; nothing can be sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl Client {
    /// The client at the other end of `fd`, which was accepted by this listener.
    ///
    /// # Errors
    /// Those of getpeername(2), ENOTCONN when it has left already.
    pub fn new(context: Counted, listener: Rc<Listener>, fd: OwnedFd) -> io::Result<Client> {
        let stream = Stream::client(&context.ring, fd);
        let (ip, timer) = (stream.peer_ip()?, context.ring.timer());
        let (peer, told, finished) = (Cell::new(ip), OnceCell::new(), Cell::new(false));
        let most = context.service.borrow().plan.limits.keepalive_requests;
        let requests_left = Cell::new(most.unwrap_or(u32::MAX));
        Ok(Client { context, stream, timer, listener, peer, told, finished, requests_left })
    }

    /// It begins a request.
    pub fn begin_request(&self) {
        if self.requests_left.get() != u32::MAX {
            self.requests_left.set(self.requests_left.get().saturating_sub(1));
        }
    }

    /// Whether its connection ends with the present request, whatever it wishes.
    pub fn is_last_request(&self) -> bool {
        self.requests_left.get() == 0 || self.context.draining.get()
    }

    /// Watches a client that is owed a response: what it sends is put aside for later (at most one
    /// buffer), and its leaving is reported, each way once.
    pub fn poll_departure(&self, context: &mut TaskContext<'_>) -> Poll<Departure> {
        if self.finished.get() || self.stream.has_ahead() {
            return Poll::Pending;
        }
        match self.stream.poll_recv(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(Some(buf))) => {
                self.stream.put_aside(buf);
                Poll::Pending
            }
            Poll::Ready(Ok(None)) => {
                self.finished.set(true);
                Poll::Ready(Departure::Finished)
            }
            Poll::Ready(Err(_)) => Poll::Ready(Departure::Reset),
        }
    }

    /// Runs `future` unless the client resets the connection meanwhile: [`Gone`] when it did; the
    /// future is then to be dropped.
    pub fn watched<F: Future>(&self, future: F) -> Watched<'_, F> {
        Watched::new(Some(self), future)
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// [`Gone`] when the client does not take them within `limit`.
    pub async fn send_bytes(&self, bytes: Vec<u8>, limit: Duration) -> Result<(), Gone> {
        if bytes.is_empty() {
            return Ok(());
        }
        let sending = self.stream.socket.send_bytes(bytes);
        let sent = self.timer.within(limit, sending).await.map_err(|_| Gone)?;
        sent.result.map_err(|_| Gone)
    }

    /// Ends our side, and reads on for a while what the client still sends: closing a socket with
    /// unread bytes in it resets the connection, and the client might lose our answer.
    pub async fn linger(&self) {
        self.stream.socket.shutdown_write();
        if self.finished.get() {
            return;
        }
        let _ = self
            .timer
            .within(LINGER_TIME, async {
                let mut left = LINGER_BYTES;
                while let Some(buf) = self.received().await {
                    left = left.saturating_sub(buf.len());
                    if left == 0 {
                        break;
                    }
                }
            })
            .await;
    }

    async fn received(&self) -> Option<Buf> {
        let received: io::Result<Option<Buf>> = self.stream.recv().await;
        received.ok().flatten()
    }
}

pin_project_lite::pin_project! {
    /// See [`Client::watched`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Watched<'a, F> {
        client: Option<&'a Client>,
        #[pin]
        future: F,
    }
}

impl<'a, F> Watched<'a, F> {
    /// Without a client none is watched.
    pub fn new(client: Option<&'a Client>, future: F) -> Watched<'a, F> {
        Watched { client, future }
    }
}

impl<F: Future> Future for Watched<'_, F> {
    type Output = Result<F::Output, Gone>;

    fn poll(self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(context) {
            return Poll::Ready(Ok(output));
        }
        match this.client.map(|client| client.poll_departure(context)) {
            Some(Poll::Ready(Departure::Reset)) => Poll::Ready(Err(Gone)),
            _ => Poll::Pending,
        }
    }
}
