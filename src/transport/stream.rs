//! A connected stream. What it receives and what it sends are independent, and all of it works
//! through shared references: one task may forward in both directions at once.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::RecvFlags;

use super::proxy_protocol::Endpoints;
use crate::ring::{Buf, Receiver, Ring, Socket, Traffic};

/// A connection to a client or a server.
pub struct Stream {
    // The receiver first: its operation must be cancelled before the socket is closed.
    receiver: RefCell<Receiver>,
    /// Received, but for later.
    ahead: RefCell<VecDeque<Buf>>,
    /// Where bytes leave.
    pub socket: Socket,
}

impl Stream {
    /// A client's connection: it sends many small requests.
    pub fn client(ring: &Ring, fd: OwnedFd) -> Stream {
        Stream::new(ring, fd, true)
    }

    /// A connection to a server: a response may be large, and splice shall find it in the socket.
    pub fn server(ring: &Ring, fd: OwnedFd) -> Stream {
        Stream::new(ring, fd, false)
    }

    fn new(ring: &Ring, fd: OwnedFd, many: bool) -> Stream {
        let socket = Socket::new(ring, fd);
        let receiver = RefCell::new(Receiver::new(&socket, many));
        Stream { receiver, ahead: RefCell::default(), socket }
    }

    /// The peer's IP address; `None` for a Unix socket.
    ///
    /// # Errors
    /// Those of getpeername(2), ENOTCONN when the peer has left already.
    pub fn peer_ip(&self) -> io::Result<Option<IpAddr>> {
        let address = rustix::net::getpeername(&self.socket)?;
        let address = address.and_then(|any| SocketAddr::try_from(any).ok());
        Ok(address.map(|address| address.ip().to_canonical()))
    }

    /// The addresses of both ends; `None` for a Unix socket.
    ///
    /// # Errors
    /// Those of getpeername(2) and getsockname(2), ENOTCONN when the peer has left already.
    pub fn endpoints(&self) -> io::Result<Option<Endpoints>> {
        let peer = rustix::net::getpeername(&self.socket)?;
        let here = rustix::net::getsockname(&self.socket)?;
        let peer = peer.and_then(|any| SocketAddr::try_from(any).ok());
        let here = SocketAddr::try_from(here).ok();
        Ok(peer.zip(here).map(|(peer, here)| Endpoints::new(peer, here)))
    }

    /// The next bytes, those put back before all others; `None` at the end.
    ///
    /// # Errors
    /// Those of recv(2).
    pub async fn recv(&self) -> io::Result<Option<Buf>> {
        std::future::poll_fn(|context| self.poll_recv(context)).await
    }

    /// As [`Stream::recv`].
    pub fn poll_recv(&self, context: &mut Context<'_>) -> Poll<io::Result<Option<Buf>>> {
        if let Some(buf) = self.take_ahead() {
            return Poll::Ready(Ok(Some(buf)));
        }
        self.receiver.borrow_mut().poll_recv(context)
    }

    /// Bytes put back, without waiting.
    pub fn take_ahead(&self) -> Option<Buf> {
        self.ahead.borrow_mut().pop_front()
    }

    /// Whether bytes were put back and not taken yet.
    pub fn has_ahead(&self) -> bool {
        !self.ahead.borrow().is_empty()
    }

    /// Puts back the end of what was received last: it will be received first.
    pub fn put_back(&self, buf: Buf) {
        self.ahead.borrow_mut().push_front(buf);
    }

    /// Asks the kernel for bytes now, so that they are there when polled for.
    pub fn arm(&self) {
        self.receiver.borrow_mut().arm();
    }

    /// Whether something has arrived and was not taken yet.
    pub fn has_news(&self) -> bool {
        self.receiver.borrow().has_news()
    }

    /// Whether there is no news, and what arrives now will be.
    pub fn is_watching(&self) -> bool {
        self.receiver.borrow().is_watching()
    }

    /// Whether the socket, asked directly, has neither bytes nor an end nor an error.
    pub fn is_silent(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let mut byte = [0; 1];
        matches!(rustix::net::recv(&self.socket, &mut byte[..], flags), Err(Errno::AGAIN))
    }

    /// Makes the end of this connection a reset, or an orderly one again (SO_LINGER, socket(7)). A
    /// reset throws away what the peer has not taken yet, and tells it that this was not all.
    pub fn reset_on_close(&self, reset: bool) {
        let linger = reset.then_some(Duration::ZERO);
        // An error: the connection is over already.
        let _ = rustix::net::sockopt::set_socket_linger(&self.socket, linger);
    }

    /// Says what is expected to come next.
    pub fn expect(&self, traffic: Traffic) {
        self.receiver.borrow_mut().expect(traffic);
    }

    /// A server's message came whole: the next may be asked for like many.
    pub fn came_whole(&self) {
        self.receiver.borrow_mut().came_whole();
    }

    /// There is more of a server's message to come: from now on as much is received as is asked
    /// for. What had arrived is put back.
    #[allow(clippy::await_holding_refcell_ref, reason = "one direction has one reader")]
    pub async fn came_in_part(&self) {
        let mut receiver = self.receiver.borrow_mut();
        if receiver.came_in_part() {
            let taken = receiver.stop().await;
            self.ahead.borrow_mut().extend(taken);
        }
    }

    /// Leaves what arrives in the socket, for splice to find; what had arrived is put back.
    ///
    /// # Errors
    /// Those of recv(2), behind what had arrived.
    #[allow(clippy::await_holding_refcell_ref, reason = "one direction has one reader")]
    pub async fn leave_in_socket(&self) -> io::Result<()> {
        let mut receiver = self.receiver.borrow_mut();
        let taken = receiver.stop().await;
        receiver.expect(Traffic::Bulk);
        let mut ahead = self.ahead.borrow_mut();
        ahead.extend(taken);
        match ahead.is_empty() {
            true => receiver.take_failure().map_or(Ok(()), Err),
            false => Ok(()),
        }
    }

    /// Puts aside, for later, what arrived while something else was awaited, and asks for no more.
    pub fn put_aside(&self, buf: Buf) {
        self.put_back(buf);
        self.receiver.borrow_mut().pause();
    }
}
