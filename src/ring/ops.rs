//! Socket operations as futures. Each owns its memory until the kernel is done with it.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::task::{Context, Poll};

use rustix::io::Errno;
use socket2::SockAddr;

use super::Ring;
use super::sys::request::{Hold, Request};
use super::sys::table::{Key, Progress};
use super::sys::uring::Outcome;

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
        self.key.is_none_or(|key| self.ring.result(key).is_some())
    }

    /// Another operation on the same ring.
    pub(super) fn next(&self, request: Request) -> Operation {
        Operation::start(&self.ring, request)
    }

    /// The only result of a one-shot operation.
    pub(super) fn poll_last(&mut self, context: &mut Context<'_>) -> Poll<(Outcome, Hold)> {
        let key = self.key.expect("an operation is not polled after its end");
        match self.ring.poll(key, context.waker()) {
            Progress::Last(outcome, hold) => {
                self.key = None;
                Poll::Ready((outcome, hold))
            }
            Progress::More(_) | Progress::Pending => Poll::Pending,
        }
    }

    pub(super) async fn last(mut self) -> (Outcome, Hold) {
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
