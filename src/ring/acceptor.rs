//! Accepting connections.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::io::Errno;

use super::sys::request::Request;
use super::sys::table::{Key, Progress};
use super::sys::uring;
use super::{Ring, Tier};

/// How often, and after what rest, connections that wait are tried again when a socket closes.
const ERRORS_MAX: usize = 200;
const REST: Duration = Duration::from_millis(5);

/// Accepts connections of one listening socket.
pub struct Acceptor {
    ring: Ring,
    listener: OwnedFd,
    armed: Option<Key>,
    /// Whether what is armed accepts all who come.
    all: bool,
    /// A wait for somebody to come, where accept(2) itself does not wait.
    readable: Option<Key>,
}

impl Acceptor {
    /// Accepts from `listener`, a socket in listening state.
    pub fn new(ring: &Ring, listener: OwnedFd) -> Acceptor {
        Acceptor { ring: ring.clone(), listener, armed: None, all: false, readable: None }
    }

    /// The next connection. With `all`, the kernel may accept everyone who waits, whom the next
    /// calls return: cheaper, where there is room for as many as the socket's queue holds.
    ///
    /// # Errors
    /// Those of accept(2); EMFILE and ENFILE are for the caller to wait out.
    pub fn poll_accept(
        &mut self,
        context: &mut Context<'_>,
        all: bool,
    ) -> Poll<io::Result<OwnedFd>> {
        if self.all && !all {
            self.pause();
        }
        loop {
            let fd = self.listener.as_raw_fd();
            if let Some(key) = self.readable {
                match self.ring.poll(key, context.waker()) {
                    Progress::Pending => return Poll::Pending,
                    Progress::More(_) => continue,
                    Progress::Last(..) => self.readable = None,
                }
            }
            let key = *self.armed.get_or_insert_with(|| {
                self.all = all && self.ring.tier() == Tier::V6_1;
                self.ring.start(Request::Accept { fd, multi: self.all })
            });
            let outcome = match self.ring.poll(key, context.waker()) {
                Progress::Pending => return Poll::Pending,
                Progress::More(outcome) => outcome,
                Progress::Last(outcome, _) => {
                    self.armed = None;
                    outcome
                }
            };
            match uring::accepted(outcome) {
                // Another process made the socket non-blocking when it emptied the queue, and
                // kernels before 5.19 take that for a wish not to wait.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::AGAIN) => {
                    let request = Request::Poll { fd, events: libc::POLLIN as u32 };
                    self.readable = Some(self.ring.start(request));
                }
                Err(error) if is_passing(&error) => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// Accepts no more until the next [`Acceptor::poll_accept`]; what the kernel had accepted by
    /// then waits for it.
    pub fn pause(&mut self) {
        self.all = false;
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
            let outcome = poll_fn(|context| match self.ring.poll(key, context.waker()) {
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

    /// Ends listening, and returns every connection that was waiting to be accepted.
    pub async fn finish(mut self) -> Vec<OwnedFd> {
        let mut accepted = self.stop().await;
        if rustix::io::ioctl_fionbio(&self.listener, true).is_ok() {
            let flags = rustix::net::SocketFlags::CLOEXEC;
            let mut errors = 0;
            while errors < ERRORS_MAX {
                match rustix::net::accept_with(&self.listener, flags) {
                    Ok(fd) => accepted.push(fd),
                    Err(error) if is_passing(&error.into()) => errors += 1,
                    // Others give back what is short.
                    Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                        errors += 1;
                        self.ring.timer().sleep(REST).await;
                    }
                    // EAGAIN: there are no more.
                    Err(_) => break,
                }
            }
        }
        accepted
    }
}

/// Errors of one connection, not of the listener (accept(2), "Error handling", which names those of
/// the network too), and a stopped multishot operation.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::CANCELED
                | Errno::INTR
                | Errno::CONNABORTED
                | Errno::PROTO
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::NOPROTOOPT
                | Errno::NONET
                | Errno::OPNOTSUPP
        )
    )
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        for key in [self.armed, self.readable].into_iter().flatten() {
            self.ring.abandon(key);
        }
    }
}
