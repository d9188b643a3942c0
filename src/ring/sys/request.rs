//! What operations ask of the kernel, and the memory that they lend it.

use std::ffi::CString;
use std::os::fd::RawFd;

use io_uring::types::{Fd, OpenHow};
use io_uring::{opcode, squeue};
use socket2::SockAddr;

use super::buffers::{BUF_CAPACITY, Buf};
use crate::ring::tier::Tier;

/// The one buffer group of a ring.
pub(super) const GROUP: u16 = 0;

/// What the kernel is asked to do. Memory moves in with the request.
#[derive(Debug)]
pub enum Request {
    /// accept4(2); with `multi`, again and again.
    Accept { fd: RawFd, multi: bool },
    /// connect(2).
    Connect { fd: RawFd, address: Box<SockAddr> },
    /// recv(2) into a published buffer, again and again.
    RecvMulti { fd: RawFd },
    /// recv(2) of at most `most` bytes into a published buffer.
    Recv { fd: RawFd, most: usize },
    /// recv(2) of at most `most` bytes behind the bytes of a buffer.
    RecvInto { fd: RawFd, buf: Buf, most: usize },
    /// send(2) of all bytes of a buffer; `more`: MSG_MORE.
    Send { fd: RawFd, buf: Buf, more: bool },
    /// send(2) of all bytes of a vector; `more`: MSG_MORE.
    SendBytes { fd: RawFd, bytes: Vec<u8>, more: bool },
    /// sendmsg(2) of bytes and a buffer in one go.
    SendVectored { fd: RawFd, head: Vec<u8>, buf: Buf },
    /// poll(2) for one event.
    Poll { fd: RawFd, events: u32 },
    /// openat2(2) below a directory.
    Open { fd: RawFd, opening: Box<Opening> },
    /// pread(2) of a file's bytes from `offset` on over all of a vector from `at` on.
    Read { fd: RawFd, bytes: Vec<u8>, at: usize, offset: u64 },
}

/// What the kernel may touch until the last completion.
#[derive(Debug, Default)]
pub enum Hold {
    #[default]
    Nothing,
    /// Nothing, but a result is a descriptor that somebody must own.
    Accepting,
    Address(#[allow(dead_code)] Box<SockAddr>),
    Buf(Buf),
    Bytes(Vec<u8>),
    Vectored(Box<Vectored>),
    /// A path and how to open it; a result is a descriptor, as with `Accepting`.
    Opening(#[allow(dead_code)] Box<Opening>),
}

impl Hold {
    /// Whether a result is a descriptor that somebody must own.
    pub fn brings_descriptor(&self) -> bool {
        matches!(self, Hold::Accepting | Hold::Opening(_))
    }
}

/// Memory of an open.
pub struct Opening {
    path: CString,
    how: OpenHow,
}

impl Opening {
    /// `flags`: O_… of open(2); `resolve`: RESOLVE_… of openat2(2).
    pub fn new(path: CString, flags: u32, resolve: u64) -> Box<Opening> {
        Box::new(Opening { path, how: OpenHow::new().flags(flags.into()).resolve(resolve) })
    }
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opening({:?})", self.path)
    }
}

/// Memory of a vectored send.
pub struct Vectored {
    head: Vec<u8>,
    pub buf: Buf,
    parts: [libc::iovec; 2],
    header: libc::msghdr,
}

impl std::fmt::Debug for Vectored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vectored({} + {:?})", self.head.len(), self.buf)
    }
}

/// The entry for `request`, and the memory that must outlive the operation.
pub(super) fn prepare(request: Request, tier: Tier) -> (squeue::Entry, Hold) {
    const POLL_FIRST: u16 = 1;
    let no_signal = libc::MSG_NOSIGNAL;
    match request {
        Request::Accept { fd, multi: true } => {
            let entry = opcode::AcceptMulti::new(Fd(fd)).flags(libc::SOCK_CLOEXEC).build();
            (entry, Hold::Accepting)
        }
        Request::Accept { fd, multi: false } => {
            let none = std::ptr::null_mut();
            let entry = opcode::Accept::new(Fd(fd), none, none.cast()).flags(libc::SOCK_CLOEXEC);
            (entry.build(), Hold::Accepting)
        }
        Request::Connect { fd, address } => {
            let pointer = address.as_ptr().cast::<libc::sockaddr>();
            let entry = opcode::Connect::new(Fd(fd), pointer, address.len()).build();
            (entry, Hold::Address(address))
        }
        Request::RecvMulti { fd } => (opcode::RecvMulti::new(Fd(fd), GROUP).build(), Hold::Nothing),
        Request::Recv { fd, most } => {
            let most = most.min(BUF_CAPACITY) as u32;
            let entry = opcode::Recv::new(Fd(fd), std::ptr::null_mut(), most)
                .buf_group(GROUP)
                .ioprio(POLL_FIRST)
                .build()
                .flags(squeue::Flags::BUFFER_SELECT);
            (entry, Hold::Nothing)
        }
        Request::RecvInto { fd, mut buf, most } => {
            let (pointer, room) = buf.spare();
            let entry = opcode::Recv::new(Fd(fd), pointer, room.min(most) as u32);
            (entry.flags(libc::MSG_DONTWAIT).build(), Hold::Buf(buf))
        }
        Request::Send { fd, buf, more } => {
            let flags = no_signal | wait_all(tier) | with_more(more);
            let entry = opcode::Send::new(Fd(fd), buf.as_ptr(), buf.len() as u32).flags(flags);
            (entry.build(), Hold::Buf(buf))
        }
        Request::SendBytes { fd, bytes, more } => {
            let flags = no_signal | wait_all(tier) | with_more(more);
            let entry = opcode::Send::new(Fd(fd), bytes.as_ptr(), bytes.len() as u32).flags(flags);
            (entry.build(), Hold::Bytes(bytes))
        }
        Request::SendVectored { fd, head, buf } => {
            let vectored = Vectored::new(head, buf);
            let flags = (no_signal | wait_all(tier)) as u32;
            let entry = opcode::SendMsg::new(Fd(fd), &raw const vectored.header).flags(flags);
            (entry.build(), Hold::Vectored(vectored))
        }
        Request::Open { fd, opening } => {
            let entry = opcode::OpenAt2::new(Fd(fd), opening.path.as_ptr(), &raw const opening.how);
            (entry.build(), Hold::Opening(opening))
        }
        Request::Read { fd, mut bytes, at, offset } => {
            let into = bytes.get_mut(at..).unwrap_or_default();
            let entry = opcode::Read::new(Fd(fd), into.as_mut_ptr(), into.len() as u32);
            (entry.offset(offset).build(), Hold::Bytes(bytes))
        }
        Request::Poll { fd, events } => {
            (opcode::PollAdd::new(Fd(fd), events).build(), Hold::Nothing)
        }
    }
}

fn with_more(more: bool) -> i32 {
    if more { libc::MSG_MORE } else { 0 }
}

/// Since 5.19 the kernel itself goes on after a short send.
fn wait_all(tier: Tier) -> i32 {
    if tier == Tier::V5_8 { 0 } else { libc::MSG_WAITALL }
}

impl Vectored {
    fn new(head: Vec<u8>, buf: Buf) -> Box<Vectored> {
        let none = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        // SAFETY: all-zero bytes are a valid msghdr (integers and null pointers).
        let header: libc::msghdr = unsafe { std::mem::zeroed() };
        let mut vectored = Box::new(Vectored { head, buf, parts: [none; 2], header });
        vectored.parts = [
            libc::iovec {
                iov_base: vectored.head.as_ptr() as *mut _,
                iov_len: vectored.head.len(),
            },
            libc::iovec { iov_base: vectored.buf.as_ptr() as *mut _, iov_len: vectored.buf.len() },
        ];
        vectored.header.msg_iov = vectored.parts.as_mut_ptr();
        vectored.header.msg_iovlen = 2;
        vectored
    }

    /// Splits again into what was sent.
    pub fn into_parts(self) -> (Vec<u8>, Buf) {
        (self.head, self.buf)
    }
}
