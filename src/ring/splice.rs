//! Moving bytes between sockets inside the kernel (splice(2)), through a pipe on loan.
//!
//! IORING_OP_SPLICE always goes to a kernel worker thread, so the splice itself is a plain
//! non-blocking call, and readiness comes from the ring.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use super::Socket;

/// Idle pipes kept for the next body.
const KEPT: usize = 16;

/// A shard's stock of pipes.
pub struct Pipes {
    idle: RefCell<Vec<Ends>>,
    /// Pipes that exist, idle or lent out, and the most that may.
    existing: std::cell::Cell<usize>,
    max: usize,
    size: usize,
}

struct Ends {
    read: OwnedFd,
    write: OwnedFd,
    capacity: usize,
}

impl Pipes {
    /// A stock of at most `max` pipes with `size` bytes of room each, where the kernel's limits
    /// (pipe(7), `fs.pipe-max-size`, `fs.pipe-user-pages-soft`) allow that much.
    pub fn new(max: usize, size: usize) -> Rc<Pipes> {
        Rc::new(Pipes { idle: RefCell::default(), existing: 0.into(), max, size })
    }

    /// Lends a pipe for the length of one body; `None` when none is to be had, and the body is
    /// copied instead.
    pub fn lend(self: &Rc<Self>) -> Option<Pipe> {
        let idle = self.idle.borrow_mut().pop();
        let ends = match idle {
            Some(ends) => ends,
            None if self.existing.get() < self.max => {
                let ends = Ends::new(self.size)?;
                self.existing.set(self.existing.get() + 1);
                ends
            }
            None => return None,
        };
        Some(Pipe { stock: self.clone(), ends: Some(ends), inside: 0 })
    }

    /// Pipes that exist, and how many of them are lent out.
    pub fn usage(&self) -> (usize, usize) {
        (self.existing.get(), self.existing.get() - self.idle.borrow().len())
    }

    /// Closes idle pipes; says whether there were any.
    pub fn trim(&self) -> bool {
        let idle = self.idle.take();
        self.existing.set(self.existing.get() - idle.len());
        !idle.is_empty()
    }
}

impl Ends {
    fn new(size: usize) -> Option<Ends> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        // Beyond the user's soft limit the kernel refuses to grow a pipe; a small one serves too.
        let capacity = fcntl_setpipe_size(&write, size).unwrap_or(64 << 10);
        Some(Ends { read, write, capacity })
    }
}

/// A pipe on loan. Bytes inside it are counted: one that is given back with bytes in it is closed.
pub struct Pipe {
    stock: Rc<Pipes>,
    ends: Option<Ends>,
    inside: usize,
}

/// What a splice call did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spliced {
    /// So many bytes moved.
    Moved(usize),
    /// Nothing to move, or no room, until the socket is ready.
    NotReady,
    /// The source has ended.
    End,
}

impl Pipe {
    /// Bytes inside.
    pub fn inside(&self) -> usize {
        self.inside
    }

    /// Bytes it can take at once.
    pub fn capacity(&self) -> usize {
        self.ends().capacity
    }

    /// Moves up to `most` bytes from `socket` into the pipe.
    ///
    /// # Errors
    /// Those of splice(2); EINVAL where the socket cannot splice.
    pub fn fill(&mut self, socket: &Socket, most: u64) -> io::Result<Spliced> {
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(self.capacity());
        let moved = self.splice(socket.as_fd(), self.ends().write.as_fd(), most, false)?;
        if let Spliced::Moved(n) = moved {
            self.inside += n;
        }
        Ok(moved)
    }

    /// Moves the bytes inside to `socket`. `more`: other bytes follow at once.
    ///
    /// # Errors
    /// Those of splice(2).
    pub fn drain(&mut self, socket: &Socket, more: bool) -> io::Result<Spliced> {
        let moved = self.splice(self.ends().read.as_fd(), socket.as_fd(), self.inside, more)?;
        if let Spliced::Moved(n) = moved {
            self.inside -= n;
        }
        Ok(moved)
    }

    fn splice(
        &self,
        from: std::os::fd::BorrowedFd<'_>,
        to: std::os::fd::BorrowedFd<'_>,
        most: usize,
        more: bool,
    ) -> io::Result<Spliced> {
        let mut flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        flags.set(SpliceFlags::MORE, more);
        loop {
            match splice(from, None, to, None, most, flags) {
                Ok(0) => return Ok(Spliced::End),
                Ok(n) => return Ok(Spliced::Moved(n)),
                Err(Errno::AGAIN) => return Ok(Spliced::NotReady),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn ends(&self) -> &Ends {
        self.ends.as_ref().expect("the ends leave only in drop")
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let mut idle = self.stock.idle.borrow_mut();
        if self.inside == 0 && idle.len() < KEPT {
            idle.extend(self.ends.take());
        } else {
            self.stock.existing.set(self.stock.existing.get() - 1);
        }
    }
}
