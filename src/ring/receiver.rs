//! Receiving bytes.

use std::future::poll_fn;
use std::io;
use std::os::fd::RawFd;
use std::task::{Context, Poll};

use rustix::io::Errno;

use super::ops::{Socket, to_result};
use super::sys::buffers::{BUF_CAPACITY, Buf};
use super::sys::request::{Hold, Request};
use super::sys::table::{Key, Progress};
use super::sys::uring::{self, Outcome};
use super::{Ring, Tier};

/// What a receive takes of a message that splice will move: enough for a head and for most small
/// messages, should the guess be wrong.
const BEFORE_BULK: usize = 4 << 10;

/// Messages of a server in a row that must have come whole, before any of them was passed on, for
/// the next to be expected so. Where that is wrong, what arrives within a turn (often 32 buffers)
/// is in buffers until it can be passed on, and splice does not find it.
const ALIKE: u8 = 32;

/// Receives from a socket into buffers that the kernel picks only when bytes are there, so that
/// waiting holds none.
pub struct Receiver {
    ring: Ring,
    fd: RawFd,
    armed: Option<Key>,
    style: Style,
    traffic: Traffic,
    /// What is armed brings one receive after the other.
    multi: bool,
    /// What is armed is a poll, and a receive into a buffer of our choice is to follow.
    polling: bool,
    /// The last receive found no buffer. Being polled is no reason to ask again: the same task may
    /// have two such receivers, whose answers would wake each other for ever.
    starved: bool,
    /// It receives from a server, and may use the reserve.
    from_server: bool,
    /// Messages in a row that came whole, up to `ALIKE`.
    whole: u8,
    /// What [`Receiver::stop`] was told behind the bytes that it brought. The kernel tells it once.
    failed: Option<Errno>,
}

/// What a receiver's peer is expected to send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Whole messages: a receive takes what is there.
    Messages,
    /// A head and then much more, for splice to move: a receive takes little of it, since every
    /// byte of it is copied twice.
    Bulk,
}

/// How a receiver of messages asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// One operation for many receives.
    Multi,
    /// One operation each.
    Single,
    /// A poll, then a receive into a buffer of our own choice.
    PollThenReceive,
}

impl Traffic {
    /// Most bytes that one receive brings.
    fn most(self) -> usize {
        match self {
            Traffic::Messages => BUF_CAPACITY,
            Traffic::Bulk => BEFORE_BULK,
        }
    }
}

impl Receiver {
    /// Receives from `socket`, which the caller must keep for as long. `many`: small messages are
    /// expected again and again, so that a multishot operation pays.
    pub fn new(socket: &Socket, many: bool) -> Receiver {
        let style = match socket.ring().tier() {
            Tier::V6_1 if many => Style::Multi,
            Tier::V6_1 | Tier::V5_19 => Style::Single,
            Tier::V5_8 => Style::PollThenReceive,
        };
        let (ring, fd) = (socket.ring().clone(), socket.raw());
        Receiver {
            ring,
            fd,
            armed: None,
            style,
            traffic: Traffic::Messages,
            multi: false,
            polling: false,
            starved: false,
            from_server: !many,
            whole: 0,
            failed: None,
        }
    }

    /// Asks the kernel for bytes now, so that they are there when polled for.
    pub fn arm(&mut self) {
        if self.from_server && self.style == Style::Multi && self.ring.stock().is_busy() {
            // Many who take little, perhaps: no message is to bring more than one buffer.
            (self.style, self.whole) = (Style::Single, 0);
            self.pause();
        }
        self.ask();
    }

    fn ask(&mut self) {
        if self.armed.is_none() {
            let fd = self.fd;
            let request = match self.style {
                Style::PollThenReceive => return self.arm_poll(),
                Style::Multi if self.traffic == Traffic::Messages => Request::RecvMulti { fd },
                Style::Multi | Style::Single => Request::Recv { fd, most: self.traffic.most() },
            };
            self.multi = matches!(request, Request::RecvMulti { .. });
            self.armed = Some(self.ring.start(request));
        }
    }

    fn arm_poll(&mut self) {
        let request = Request::Poll { fd: self.fd, events: libc::POLLIN as u32 };
        (self.polling, self.multi) = (true, false);
        self.armed = Some(self.ring.start(request));
    }

    /// What to ask for from now on; what is armed already stays as it is.
    pub fn expect(&mut self, traffic: Traffic) {
        self.traffic = traffic;
    }

    /// A server's message came whole. After `ALIKE` of them in a row one operation is to receive
    /// all that follow.
    pub fn came_whole(&mut self) {
        self.whole = (self.whole + 1).min(ALIKE);
        if self.whole == ALIKE && self.ring.tier() == Tier::V6_1 {
            (self.style, self.traffic) = (Style::Multi, Traffic::Messages);
        }
    }

    /// There is more of a server's message to come, which may be for splice. `true`:
    /// [`Receiver::stop`] must follow, since what is armed would take more of it.
    pub fn came_in_part(&mut self) -> bool {
        self.whole = 0;
        if self.style == Style::Multi {
            self.style = Style::Single;
        }
        self.multi && self.armed.is_some()
    }

    /// Stops a multishot receive: nobody will take for a while what it brings. The next
    /// [`Receiver::poll_recv`] asks again.
    pub fn pause(&mut self) {
        if let (true, Some(key)) = (self.multi, self.armed) {
            self.ring.stop_operation(key);
        }
    }

    /// Whether something (bytes, the end, an error) has arrived and was not taken yet.
    pub fn has_news(&self) -> bool {
        self.failed.is_some() || self.result().is_some_and(|result| !is_only_an_end(result))
    }

    /// Whether there is no news, and what arrives now will be.
    pub fn is_watching(&self) -> bool {
        self.armed.is_some() && self.failed.is_none() && self.result().is_none()
    }

    fn result(&self) -> Option<i32> {
        self.armed.and_then(|key| self.ring.result(key))
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
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error.into()));
        }
        loop {
            if std::mem::take(&mut self.starved) {
                let stock = self.ring.stock();
                if !stock.can_serve(self.from_server) {
                    self.starved = true;
                    stock.wait(context.waker(), self.from_server);
                    return Poll::Pending;
                }
                stock.pass_on();
            }
            self.ask();
            let key = self.armed.expect("asked above");
            let (outcome, hold) = match self.ring.poll(key, context.waker()) {
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
                    Some(Errno::NOBUFS) if !self.ring.stock().offer() => match self.from_server {
                        true => self.arm_poll(),
                        false => self.starved = true,
                    },
                    // Buffers are there again, or the receive was stopped (`pause`, or a backlog):
                    // ask again.
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
            stock.wait(context.waker(), self.from_server);
            return Ok(false);
        };
        let (fd, most) = (self.fd, self.traffic.most());
        self.armed = Some(self.ring.start(Request::RecvInto { fd, buf, most }));
        Ok(true)
    }

    /// Stops receiving so that the bytes stay in the socket; returns what had been taken already,
    /// in order. The end of the stream shows again at the next receive or splice, and an error is
    /// what the next receive brings.
    pub async fn stop(&mut self) -> Vec<Buf> {
        let mut taken = Vec::new();
        let Some(key) = self.armed else { return taken };
        self.ring.stop_operation(key);
        while self.armed.is_some() {
            let next = poll_fn(|context| match self.ring.poll(key, context.waker()) {
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
                Err(_) if is_only_an_end(outcome.0) => {}
                Err(error) => self.failed = Errno::from_io_error(&error),
            }
        }
        self.polling = false;
        taken
    }

    /// The error that the next receive would bring.
    pub fn take_failure(&mut self) -> Option<io::Error> {
        self.failed.take().map(io::Error::from)
    }
}

/// Whether a result says only that an operation has ended, and nothing of the stream.
fn is_only_an_end(result: i32) -> bool {
    [Errno::CANCELED, Errno::NOBUFS, Errno::INTR, Errno::AGAIN]
        .iter()
        .any(|error| result == -error.raw_os_error())
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(key) = self.armed {
            self.ring.abandon(key);
        }
    }
}
