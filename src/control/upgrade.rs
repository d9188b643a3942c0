//! A new process takes over: it gets the listening sockets themselves, starts, and says so; then
//! the old one drains. No connection is refused and none in a queue is lost meanwhile, since both
//! hold the same sockets.
//!
//! The new process is started, by way of [`launcher`], with one end of a socket pair as its
//! standard input. The old one sends through it one message for each listener, with its sockets
//! (SCM_RIGHTS, unix(7)), and a last one, with a file that holds what it knows of names; the new
//! one answers when it serves, or ends. Then the old one says that the new one is the service,
//! drains, and closes its end of the pair by ending.

mod launcher;

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

pub use launcher::launch;

use self::launcher::Launched;
use super::clock::now;
use super::sockets::Inherited;

/// Set for a process that is to take over.
const VARIABLE: &str = "CORELANE_TAKE_OVER";
/// Most descriptors in one message; the kernel takes 253 (SCM_MAX_FD).
const DESCRIPTORS_MAX: usize = 128;
/// The longest message.
const MESSAGE_MAX: usize = 1024;
/// What a new process says when it serves.
const READY: &[u8] = b"ready";
/// What an old process says when the service manager knows of the new one.
const IN_CHARGE: &[u8] = b"in charge";
/// What follows the last listener.
const END: &[u8] = b"end";
/// How long a new process may take until it serves.
const START_MAX: Duration = Duration::from_secs(60);

/// What a process leaves to the one that takes over.
#[derive(Default)]
pub struct Legacy {
    /// Its listening sockets.
    pub sockets: Vec<Inherited>,
    /// What it knows of names, as text.
    pub names: String,
}

/// What an old process left to this one.
#[derive(Default)]
pub struct Heritage {
    /// What there is.
    pub left: Legacy,
    takes_over: bool,
}

impl Heritage {
    /// Takes what there is, if this process was started to take over.
    ///
    /// # Errors
    /// When it was, but nothing can be received.
    pub fn receive() -> io::Result<Heritage> {
        if std::env::var_os(VARIABLE).is_none() {
            return Ok(Heritage::default());
        }
        let stdin = rustix::stdio::stdin();
        let mut sockets: Vec<Inherited> = Vec::new();
        loop {
            let (text, descriptors) = receive(stdin)?;
            if text == END {
                let names = descriptors.into_iter().next().map(read_all).transpose()?;
                let left = Legacy { sockets, names: names.unwrap_or_default() };
                return Ok(Heritage { left, takes_over: true });
            }
            let described = Inherited::read(&text).ok_or(io::ErrorKind::InvalidData)?;
            match sockets.last_mut().filter(|last| last.bound == described.bound) {
                Some(last) => last.sockets.extend(descriptors),
                None => sockets.push(Inherited { sockets: descriptors, ..described }),
            }
        }
    }

    /// Tells the old process, if there is one, that this one serves; `hear` is called with what
    /// becomes of it. Says whether there is one.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn report_ready(&self, hear: impl Fn(Predecessor) + Send + 'static) -> io::Result<bool> {
        if !self.takes_over {
            return Ok(false);
        }
        let stdin = rustix::stdio::stdin;
        // Without it, there is nobody to tell.
        let _ = rustix::io::write(stdin(), READY);
        std::thread::Builder::new().name("predecessor".into()).spawn(move || {
            while receive(stdin()).is_ok() {
                hear(Predecessor::Retired);
            }
            hear(Predecessor::Gone);
        })?;
        Ok(true)
    }
}

/// What becomes of the old process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predecessor {
    /// It is no longer the service, but drains.
    Retired,
    /// It has ended.
    Gone,
}

/// One message and the descriptors that came with it.
fn receive(socket: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut text = vec![0; MESSAGE_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut text)];
    let received = recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    text.truncate(received.bytes);
    Ok((text, descriptors))
}

/// A file in memory with this text.
fn file_of(text: &str) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("corelane-names", MemfdFlags::CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}

fn read_all(file: OwnedFd) -> io::Result<String> {
    let mut text = String::new();
    File::from(file).read_to_string(&mut text)?;
    Ok(text)
}

/// Leaves a new process all of this.
fn bequeath(socket: &OwnedFd, legacy: &Legacy, deadline: Instant) -> io::Result<()> {
    for listener in &legacy.sockets {
        let text = listener.describe();
        for part in listener.sockets.chunks(DESCRIPTORS_MAX) {
            send_until(deadline, socket, text.as_bytes(), part)?;
        }
    }
    let names = match legacy.names.as_str() {
        "" => None,
        names => file_of(names)
            .inspect_err(|error| tracing::warn!(%error, "what names stand for is not passed on"))
            .ok(),
    };
    send_until(deadline, socket, END, names.as_slice())
}

/// What does not fit into the queue of messages waits for the new process, which may hang.
fn send_until(
    deadline: Instant,
    socket: &OwnedFd,
    text: &[u8],
    descriptors: &[OwnedFd],
) -> io::Result<()> {
    loop {
        await_events(socket, PollFlags::OUT, deadline)?;
        match send(socket, text, descriptors) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            sent => return sent,
        }
    }
}

/// Waits until the socket is ready for that.
fn await_events(socket: &OwnedFd, events: PollFlags, deadline: Instant) -> io::Result<()> {
    let mut descriptors = [PollFd::new(socket, events)];
    loop {
        let left = deadline.saturating_duration_since(now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut descriptors, Some(&left)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn send(socket: &OwnedFd, text: &[u8], descriptors: &[OwnedFd]) -> io::Result<()> {
    let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !borrowed.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(socket, &[IoSlice::new(text)], &mut control, flags)?;
    Ok(())
}

impl Inherited {
    /// As text, without the sockets.
    fn describe(&self) -> String {
        let file = if self.with_file { "with its file" } else { "" };
        let purpose = if self.admin { "\nadmin" } else { "" };
        format!("{}\n{}\n{file}{purpose}", self.configured, self.bound)
    }

    /// What [`Inherited::describe`] wrote.
    fn read(text: &[u8]) -> Option<Inherited> {
        let mut lines = std::str::from_utf8(text).ok()?.split('\n');
        let (configured, bound) = (lines.next()?.parse().ok()?, lines.next()?.parse().ok()?);
        let with_file = !lines.next()?.is_empty();
        let admin = lines.next() == Some("admin");
        Some(Inherited { configured, bound, sockets: Vec::new(), with_file, admin })
    }
}

/// A new process that is to take over, and has not said yet that it serves.
pub struct Successor {
    launched: Launched,
    socket: OwnedFd,
    /// It is to serve by then.
    deadline: Instant,
}

impl Successor {
    /// Starts `program` with the arguments of this process, and leaves it all of this.
    ///
    /// # Errors
    /// When it cannot be started, or does not take them in time; then it is ended.
    pub fn start(program: &Path, legacy: &Legacy) -> io::Result<Successor> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let launched = Launched::start(program, theirs)?;
        let deadline = now() + START_MAX;
        let mut successor = Successor { launched, socket: ours, deadline };
        let known = successor.launched.await_number(&successor.socket, deadline);
        match known.and_then(|()| bequeath(&successor.socket, legacy, deadline)) {
            Ok(()) => Ok(successor),
            Err(error) => Err(successor.give_up(error)),
        }
    }

    /// Waits until it serves.
    ///
    /// # Errors
    /// When it ends before, or takes too long; then it is ended.
    pub fn wait(mut self) -> io::Result<Heir> {
        let ready = await_events(&self.socket, PollFlags::IN, self.deadline);
        let outcome = ready.and_then(|()| match receive(self.socket.as_fd())?.0 == READY {
            true => self.launched.leave(),
            false => Err(io::ErrorKind::InvalidData.into()),
        });
        match outcome {
            Ok(process) => Ok(Heir { process, socket: self.socket }),
            Err(error) => Err(self.give_up(error)),
        }
    }

    /// Ends it; says how it ended, if it did so by itself, or else `why`.
    fn give_up(mut self, why: io::Error) -> io::Error {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        // Reset: it had not read all that it was left.
        let ended = matches!(why.kind(), BrokenPipe | ConnectionReset | UnexpectedEof);
        if !ended {
            self.launched.kill();
        }
        match self.launched.wait() {
            Ok(status) if ended => {
                io::Error::other(format!("the new process ended before it served: {status}"))
            }
            _ => why,
        }
    }
}

/// A new process that serves.
pub struct Heir {
    /// Its number.
    pub process: u32,
    /// Open for as long as this process lives.
    socket: OwnedFd,
}

impl Heir {
    /// Tells it that it is the service now.
    pub fn put_in_charge(&self) {
        // Without it, there is nobody to tell.
        let _ = send(&self.socket, IN_CHARGE, &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_come_with_their_text() {
        let flags = SocketFlags::CLOEXEC;
        let (one, two) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        let sent: Vec<OwnedFd> = (0..DESCRIPTORS_MAX).map(|_| one.try_clone().unwrap()).collect();
        let (configured, bound) = ("127.0.0.1:0", "127.0.0.1:8080");
        send(&one, format!("{configured}\n{bound}\n").as_bytes(), &sent).unwrap();
        send(&one, END, &[]).unwrap();
        let (text, descriptors) = receive(two.as_fd()).unwrap();
        let read = Inherited::read(&text).unwrap();
        assert_eq!(read.configured.to_string(), configured);
        assert_eq!(read.bound.to_string(), bound);
        assert!(!read.with_file);
        assert_eq!(read.describe().as_bytes(), text);
        let admin = Inherited { admin: true, with_file: true, ..read };
        let again = Inherited::read(admin.describe().as_bytes()).unwrap();
        assert!(again.admin && again.with_file);
        assert_eq!(descriptors.len(), DESCRIPTORS_MAX);
        assert_eq!(receive(two.as_fd()).unwrap().0, END);
        drop((one, sent, descriptors));
        assert!(receive(two.as_fd()).is_err(), "nobody is left at the other end");
    }

    /// Who is left the sockets may hang before it takes them.
    #[test]
    fn a_legacy_that_nobody_takes_is_given_up() {
        let flags = SocketFlags::CLOEXEC;
        let (one, _two) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        // The least that there is: a few messages.
        socket2::SockRef::from(&one).set_send_buffer_size(1).unwrap();
        let listener = |_| Inherited {
            configured: "127.0.0.1:0".parse().unwrap(),
            bound: "127.0.0.1:8080".parse().unwrap(),
            sockets: vec![one.try_clone().unwrap()],
            with_file: false,
            admin: false,
        };
        let legacy = Legacy { sockets: (0..100).map(listener).collect(), names: String::new() };
        let begun = now();
        let limit = Duration::from_millis(50);
        let error = bequeath(&one, &legacy, begun + limit).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(now() >= begun + limit);
    }
}
