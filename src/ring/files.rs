//! Regular files: opened and read through the ring, so that a disk keeps nobody else waiting.
//!
//! io_uring opens and reads at once what the kernel has in memory. Else it waits for the pages by
//! itself, or hands the call to a worker thread of the kernel, and the shard goes on.

use std::cell::OnceCell;
use std::ffi::CString;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{Errno, ReadWriteFlags};

use super::ops::{Operation, Socket, to_result};
use super::sys::request::{Hold, Opening, Request};
use super::sys::uring::accepted;
use super::{Ring, walk};

/// How often an open is tried again that lost a race with somebody who renames directories
/// (openat2(2), EAGAIN).
const RACES_MAX: usize = 4;

/// An open file or directory, closed through the ring when dropped.
pub struct File {
    ring: Ring,
    fd: Option<OwnedFd>,
    /// It lies in a file system that is memory and nothing else; known when that matters.
    in_memory: OnceCell<bool>,
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("the descriptor leaves only in drop").as_fd()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if let Some(fd) = self.fd.take() {
            // Behind whatever was queued with its number.
            self.ring.close(fd);
        }
    }
}

impl Ring {
    /// Opens a path below a directory (openat2(2)); where this kernel's ring cannot, by the calls
    /// that it has had for longer, which may wait for a disk.
    ///
    /// # Errors
    /// Those of openat2(2). EXDEV: the path leads out of the directory, with
    /// [`ResolveFlags::BENEATH`]. ELOOP: too many symbolic links, or any, with
    /// [`ResolveFlags::NO_SYMLINKS`].
    pub async fn open(
        &self,
        directory: BorrowedFd<'_>,
        path: CString,
        flags: OFlags,
        resolve: ResolveFlags,
    ) -> io::Result<File> {
        let flags = flags | OFlags::CLOEXEC;
        for _ in 0..RACES_MAX {
            let opening = Opening::new(path.clone(), flags.bits(), resolve.bits());
            let request = Request::Open { fd: directory.as_raw_fd(), opening };
            let (outcome, _) = Operation::start(self, request).last().await;
            let error = match accepted(outcome) {
                Ok(fd) => return Ok(self.file(fd)),
                Err(error) => error,
            };
            match Errno::from_io_error(&error) {
                Some(Errno::AGAIN | Errno::INTR) => {}
                Some(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => break,
                _ => return Err(error),
            }
        }
        let fd = walk::open(directory, path.as_bytes(), flags, resolve)?;
        Ok(self.file(fd))
    }

    fn file(&self, fd: OwnedFd) -> File {
        File { ring: self.clone(), fd: Some(fd), in_memory: OnceCell::new() }
    }
}

/// As [`Ring::open`], without a ring: for threads that may wait.
///
/// # Errors
/// Likewise.
pub fn open_now(
    directory: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    resolve: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    for _ in 0..RACES_MAX {
        match openat2(directory, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            // An old kernel, or a seccomp filter.
            Err(Errno::NOSYS | Errno::PERM) => break,
            opened => return opened,
        }
    }
    walk::open(directory, path, flags, resolve)
}

impl File {
    /// Fills `bytes` from `at` on with what stands in the file from `offset` on; says how much of
    /// it there was, 0 at the file's end.
    ///
    /// # Errors
    /// Those of pread(2).
    pub async fn read(
        &self,
        bytes: Vec<u8>,
        at: usize,
        offset: u64,
    ) -> (io::Result<usize>, Vec<u8>) {
        let request = Request::Read { fd: self.as_fd().as_raw_fd(), bytes, at, offset };
        let (outcome, hold) = Operation::start(&self.ring, request).last().await;
        let bytes = match hold {
            Hold::Bytes(bytes) => bytes,
            _ => Vec::new(),
        };
        (to_result(outcome), bytes)
    }

    /// As [`File::read`], but only what is in memory and can be had without waiting; `None`:
    /// nothing can.
    ///
    /// # Errors
    /// Those of preadv2(2), but neither EAGAIN nor EOPNOTSUPP, of file systems that cannot tell.
    pub fn read_now(&self, bytes: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        let mut bytes = [IoSliceMut::new(bytes)];
        loop {
            match rustix::io::preadv2(self, &mut bytes, offset, ReadWriteFlags::NOWAIT) {
                Ok(n) => return Ok(Some(n)),
                Err(Errno::OPNOTSUPP) if self.is_in_memory() => {
                    return Ok(Some(rustix::io::preadv(self, &mut bytes, offset)?));
                }
                Err(Errno::AGAIN | Errno::OPNOTSUPP) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// tmpfs and ramfs cannot tell what is in memory, which all of theirs is.
    fn is_in_memory(&self) -> bool {
        const TMPFS: i64 = 0x0102_1994;
        const RAMFS: i64 = 0x8584_58f6;
        *self.in_memory.get_or_init(|| {
            let found = rustix::fs::fstatfs(self);
            found.is_ok_and(|found| matches!(found.f_type, TMPFS | RAMFS))
        })
    }

    /// Moves up to `most` bytes from `offset` on into a socket, which is non-blocking
    /// (sendfile(2)), and says how many; `None`: the socket is full. What is not in memory is
    /// waited for.
    ///
    /// # Errors
    /// Those of sendfile(2).
    pub fn send(&self, to: &Socket, offset: u64, most: usize) -> io::Result<Option<usize>> {
        let mut offset = offset;
        loop {
            match rustix::fs::sendfile(to, self, Some(&mut offset), most) {
                Ok(n) => return Ok(Some(n)),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
