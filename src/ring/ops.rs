//! Socket operations as futures. Each owns its memory until the kernel is done with it.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::task::{Context, Poll};

use rustix::io::Errno;
use socket2::SockAddr;

use super::sys::buffers::Buf;
use super::sys::request::{Hold, Request};
use super::sys::uring::{self, Key, Outcome, Progress};
use super::{Ring, Tier};

/// One operation in flight; dropping it cancels the operation.
pub(super) struct Operation {
    ring: Ring,
    key: Option<Key>,
}

impl Operation {
    pub(super) fn start(ring: &Ring, request: Request) -> Operation {
        Operation { ring: ring.clone(), key: Some(ring.start(request)) }
    }

    /// Whether its result waits to be taken.
    pub(super) fn has_result(&self) -> bool {
        self.key.is_none_or(|key| self.ring.has_result(key))
    }

    /// Another operation on the same ring.
    pub(super) fn next(&self, request: Request) -> Operation {
        Operation::start(&self.ring, request)
    }

    /// The only result of a one-shot operation.
    pub(super) fn poll_last(&mut self, context: &mut Context<'_>) -> Poll<(Outcome, Hold)> {
        let key = self.key.expect("an operation is not polled after its end");
        match self.ring.poll(key, Some(context.waker())) {
            Progress::Last(outcome, hold) => {
                self.key = None;
                Poll::Ready((outcome, hold))
            }
            Progress::More(_) | Progress::Pending => Poll::Pending,
        }
    }

    async fn last(mut self) -> (Outcome, Hold) {
        poll_fn(|context| self.poll_last(context)).await
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.ring.abandon(key);
        }
    }
}

pub(super) fn to_result((result, _): Outcome) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}

/// A socket, closed through the ring when dropped.
pub struct Socket {
    ring: Ring,
    fd: Option<OwnedFd>,
    /// How many guards want it non-blocking: one for each direction at most.
    nonblocking: Cell<u8>,
}

/// See [`Socket::nonblocking`].
pub struct NonBlocking<'a>(&'a Socket);

impl Drop for NonBlocking<'_> {
    fn drop(&mut self) {
        let left = self.0.nonblocking.get() - 1;
        self.0.nonblocking.set(left);
        if left == 0 {
            // Were this to fail, ring operations would poll first: slower, still right.
            let _ = rustix::io::ioctl_fionbio(self.0, false);
        }
    }
}

impl Socket {
    /// Takes over a descriptor.
    pub fn new(ring: &Ring, fd: OwnedFd) -> Socket {
        Socket { ring: ring.clone(), fd: Some(fd), nonblocking: Cell::new(0) }
    }

    /// The ring it is served by.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Connects (connect(2)); dropping the future gives up.
    ///
    /// # Errors
    /// Those of connect(2).
    pub async fn connect(&self, address: &SockAddr) -> io::Result<()> {
        let request = Request::Connect { fd: self.raw(), address: Box::new(address.clone()) };
        let (outcome, _) = Operation::start(&self.ring, request).last().await;
        to_result(outcome).map(drop)
    }

    /// Waits until the socket can be read without blocking.
    ///
    /// # Errors
    /// Those of poll(2).
    pub async fn readable(&self) -> io::Result<()> {
        self.ring
            .poll_fd(self.as_fd(), libc::POLLIN as u32 | libc::POLLRDHUP as u32)
            .await
            .map(drop)
    }

    /// Waits until the socket can be written without blocking.
    ///
    /// # Errors
    /// Those of poll(2).
    pub async fn writable(&self) -> io::Result<()> {
        self.ring.poll_fd(self.as_fd(), libc::POLLOUT as u32).await.map(drop)
    }

    /// Ends our sending side.
    pub fn shutdown_write(&self) {
        // An error says that the connection is gone already.
        let _ = rustix::net::shutdown(self, rustix::net::Shutdown::Write);
    }

    /// While the guard lives, direct calls on this socket (splice) return EAGAIN instead of
    /// blocking. Ring operations then get EAGAIN too, and fall back to a poll.
    ///
    /// # Errors
    /// Those of ioctl(2).
    pub fn nonblocking(&self) -> io::Result<NonBlocking<'_>> {
        if self.nonblocking.get() == 0 {
            rustix::io::ioctl_fionbio(self, true)?;
        }
        self.nonblocking.set(self.nonblocking.get() + 1);
        Ok(NonBlocking(self))
    }

    pub(super) fn raw(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("the descriptor leaves only in drop").as_fd()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(fd) = self.fd.take() {
            self.ring.close(fd);
        }
    }
}

/// Receives from a socket into buffers that the kernel picks only when bytes are there, so that
/// waiting holds none.
pub struct Receiver {
    ring: Ring,
    fd: RawFd,
    armed: Option<Key>,
    style: Style,
    /// What is armed is a poll, and a receive into a buffer of our choice is to follow.
    polling: bool,
    /// The last receive found no buffer. Being polled is no reason to ask again: the same task may
    /// have two such receivers, whose answers would wake each other for ever.
    starved: bool,
    /// It receives from a server, and may use the reserve.
    from_server: bool,
}

/// How a receiver asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// One operation for many receives.
    Multi,
    /// One operation each.
    Single,
    /// A poll, then a receive into a buffer of our own choice.
    PollThenReceive,
}

impl Receiver {
    /// Receives from `socket`, which the caller must keep for as long. `many`: small messages are
    /// expected again and again, so that a multishot operation pays.
    pub fn new(socket: &Socket, many: bool) -> Receiver {
        let style = match socket.ring.tier() {
            Tier::V6_1 if many => Style::Multi,
            Tier::V6_1 | Tier::V5_19 => Style::Single,
            Tier::V5_8 => Style::PollThenReceive,
        };
        let (ring, fd) = (socket.ring.clone(), socket.raw());
        let (polling, starved, from_server) = (false, false, !many);
        Receiver { ring, fd, armed: None, style, polling, starved, from_server }
    }

    /// Asks the kernel for bytes now, so that they are there when polled for.
    pub fn arm(&mut self) {
        if self.armed.is_none() {
            let fd = self.fd;
            let request = match self.style {
                Style::Multi => Request::Recv { fd, multi: true },
                Style::Single => Request::Recv { fd, multi: false },
                Style::PollThenReceive => return self.arm_poll(),
            };
            self.armed = Some(self.ring.start(request));
        }
    }

    fn arm_poll(&mut self) {
        let request = Request::Poll { fd: self.fd, events: libc::POLLIN as u32 };
        self.polling = true;
        self.armed = Some(self.ring.start(request));
    }

    /// From now on one operation each: this peer sends in bulk, which a multishot receive would
    /// copy into buffers before splice could move it.
    pub fn expect_bulk(&mut self) {
        if self.style == Style::Multi {
            self.style = Style::Single;
            if let Some(key) = self.armed {
                self.ring.stop_operation(key);
            }
        }
    }

    /// Stops a multishot receive: nobody will take for a while what it brings. The next
    /// [`Receiver::poll_recv`] asks again.
    pub fn pause(&mut self) {
        if let (Style::Multi, Some(key)) = (self.style, self.armed) {
            self.ring.stop_operation(key);
        }
    }

    /// Whether something (bytes, the end, an error) has arrived and was not taken yet.
    pub fn has_news(&self) -> bool {
        self.armed.is_some_and(|key| self.ring.has_result(key))
    }

    /// The next bytes; `None` at the end of the stream.
    ///
    /// # Errors
    /// Those of recv(2).
    pub async fn recv(&mut self) -> io::Result<Option<Buf>> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// As [`Receiver::recv`].
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Buf>>> {
        loop {
            if self.starved && !self.ring.stock().can_serve() {
                self.ring.stock().wait(context.waker());
                return Poll::Pending;
            }
            self.starved = false;
            self.arm();
            let key = self.armed.expect("armed above");
            let (outcome, hold) = match self.ring.poll(key, Some(context.waker())) {
                Progress::Pending => return Poll::Pending,
                Progress::More(outcome) => (outcome, Hold::Nothing),
                Progress::Last(outcome, hold) => {
                    self.armed = None;
                    (outcome, hold)
                }
            };
            if self.polling {
                self.polling = false;
                if !self.receive_after_poll(outcome, context)? {
                    return Poll::Pending;
                }
                continue;
            }
            match uring::received(self.ring.stock(), outcome, hold) {
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::NOBUFS) if !self.ring.stock().grow() => match self.from_server {
                        true => self.arm_poll(),
                        false => self.starved = true,
                    },
                    // Buffers are there again, or the receive was stopped (`expect_bulk`, or a
                    // backlog): ask again.
                    Some(Errno::NOBUFS | Errno::CANCELED | Errno::INTR) => {}
                    // The socket is non-blocking just now, or a poll spoke too soon.
                    Some(Errno::AGAIN) => self.arm_poll(),
                    _ => return Poll::Ready(Err(error)),
                },
                done => return Poll::Ready(done),
            }
        }
    }

    /// The poll says that bytes are there: `false` while no buffer is.
    fn receive_after_poll(
        &mut self,
        outcome: Outcome,
        context: &mut Context<'_>,
    ) -> io::Result<bool> {
        match to_result(outcome) {
            Err(error) if Errno::from_io_error(&error) != Some(Errno::CANCELED) => {
                return Err(error);
            }
            Err(_) => return Ok(true),
            Ok(_) => {}
        }
        let stock = self.ring.stock();
        let buf = if self.from_server { stock.lease_reserved() } else { stock.lease() };
        let Some(buf) = buf else {
            self.starved = true;
            stock.wait(context.waker());
            return Ok(false);
        };
        self.armed = Some(self.ring.start(Request::RecvInto { fd: self.fd, buf }));
        Ok(true)
    }

    /// Stops receiving so that the bytes stay in the socket; returns what had been taken already,
    /// in order. The end of the stream shows again at the next receive or splice.
    ///
    /// # Errors
    /// Those of recv(2), which the kernel tells only once.
    pub async fn stop(&mut self) -> io::Result<Vec<Buf>> {
        let mut taken = Vec::new();
        let Some(key) = self.armed else { return Ok(taken) };
        self.ring.stop_operation(key);
        while self.armed.is_some() {
            let next = poll_fn(|context| match self.ring.poll(key, Some(context.waker())) {
                Progress::Pending => Poll::Pending,
                Progress::More(outcome) => Poll::Ready((outcome, Hold::Nothing)),
                Progress::Last(outcome, hold) => {
                    self.armed = None;
                    Poll::Ready((outcome, hold))
                }
            });
            let (outcome, hold) = next.await;
            if self.polling {
                continue;
            }
            match uring::received(self.ring.stock(), outcome, hold) {
                Ok(received) => taken.extend(received),
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::CANCELED | Errno::NOBUFS | Errno::INTR | Errno::AGAIN) => {}
                    _ => return Err(error),
                },
            }
        }
        self.polling = false;
        Ok(taken)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(key) = self.armed {
            self.ring.abandon(key);
        }
    }
}

/// Accepts connections of one listening socket.
pub struct Acceptor {
    ring: Ring,
    listener: OwnedFd,
    armed: Option<Key>,
}

impl Acceptor {
    /// Accepts from `listener`, a socket in listening state.
    pub fn new(ring: &Ring, listener: OwnedFd) -> Acceptor {
        Acceptor { ring: ring.clone(), listener, armed: None }
    }

    /// The next connection.
    ///
    /// # Errors
    /// Those of accept(2); EMFILE and ENFILE are for the caller to wait out.
    pub async fn accept(&mut self) -> io::Result<OwnedFd> {
        poll_fn(|context| self.poll_accept(context)).await
    }

    /// As [`Acceptor::accept`].
    pub fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<OwnedFd>> {
        loop {
            let fd = self.listener.as_raw_fd();
            let multi = self.ring.tier() == Tier::V6_1;
            let key =
                *self.armed.get_or_insert_with(|| self.ring.start(Request::Accept { fd, multi }));
            let outcome = match self.ring.poll(key, Some(context.waker())) {
                Progress::Pending => return Poll::Pending,
                Progress::More(outcome) => outcome,
                Progress::Last(outcome, _) => {
                    self.armed = None;
                    outcome
                }
            };
            match uring::accepted(outcome) {
                Err(error) if is_passing(&error) => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// Accepts no more until the next [`Acceptor::poll_accept`]; what the kernel had accepted by
    /// then waits for it.
    pub fn pause(&self) {
        if let Some(key) = self.armed {
            self.ring.stop_operation(key);
        }
    }

    /// Stops accepting; connections that the kernel had handed over already are returned.
    pub async fn stop(&mut self) -> Vec<OwnedFd> {
        let mut accepted = Vec::new();
        let Some(key) = self.armed else { return accepted };
        self.ring.stop_operation(key);
        while self.armed.is_some() {
            let outcome = poll_fn(|context| match self.ring.poll(key, Some(context.waker())) {
                Progress::Pending => Poll::Pending,
                Progress::More(outcome) => Poll::Ready(outcome),
                Progress::Last(outcome, _) => {
                    self.armed = None;
                    Poll::Ready(outcome)
                }
            })
            .await;
            accepted.extend(uring::accepted(outcome).ok());
        }
        accepted
    }
}

impl Acceptor {
    /// Ends listening, and returns every connection that was waiting to be accepted.
    pub async fn finish(mut self) -> Vec<OwnedFd> {
        let mut accepted = self.stop().await;
        if rustix::io::ioctl_fionbio(&self.listener, true).is_ok() {
            let flags = rustix::net::SocketFlags::CLOEXEC;
            while let Ok(fd) = rustix::net::accept_with(&self.listener, flags) {
                accepted.push(fd);
            }
        }
        accepted
    }
}

/// Errors of one connection, not of the listener (accept(2), "Error handling"), and a stopped
/// multishot operation.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::CANCELED | Errno::INTR | Errno::CONNABORTED | Errno::PROTO)
    )
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        if let Some(key) = self.armed {
            self.ring.abandon(key);
        }
    }
}

impl Ring {
    /// Waits for poll(2) events on a descriptor and returns those that came.
    ///
    /// # Errors
    /// Those of poll(2).
    pub async fn poll_fd(&self, fd: BorrowedFd<'_>, events: u32) -> io::Result<u32> {
        loop {
            let request = Request::Poll { fd: fd.as_raw_fd(), events };
            let (outcome, _) = Operation::start(self, request).last().await;
            match to_result(outcome) {
                Err(error) if Errno::from_io_error(&error) == Some(Errno::INTR) => {}
                done => return done.map(|events| events as u32),
            }
        }
    }
}
