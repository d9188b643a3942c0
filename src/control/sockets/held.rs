//! The sockets of one address, and whose file that of a Unix socket is.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use crate::plan::Address;
use crate::shard::{Bound, SocketFile};

/// The sockets of a listener of another process.
pub struct Inherited {
    /// The address as configured there.
    pub configured: Address,
    /// Where it listens.
    pub bound: Address,
    /// All of them.
    pub sockets: Vec<OwnedFd>,
    /// A Unix socket's file is ours to remove in the end.
    pub with_file: bool,
    /// That of the admin address.
    pub admin: bool,
}

impl Inherited {
    /// Closes them. Their file goes with the last who listens there.
    pub fn discard(self) {
        if let (Address::Unix(path), true) = (&self.bound, self.with_file) {
            drop(SocketFile::bound_at(path));
        }
    }
}

/// Sockets that listen at one address.
pub struct Held {
    /// The sockets, and their file once it is this process's.
    pub bound: Bound,
    /// Inherited, and its file with it.
    with_file: bool,
}

impl Held {
    /// Some that this process has opened.
    pub fn opened(bound: Bound) -> Held {
        Held { bound, with_file: false }
    }

    /// Those of another process.
    pub fn inherited(inherited: Inherited) -> Held {
        let Inherited { bound: address, sockets, with_file, .. } = inherited;
        Held { bound: Bound { address, sockets, file: None }, with_file }
    }

    /// The file of a Unix socket, where that is this process's or will be.
    pub fn file(&self) -> Option<&Path> {
        match &self.bound.address {
            Address::Unix(path) if self.has_file() => Some(path),
            _ => None,
        }
    }

    fn has_file(&self) -> bool {
        self.with_file || self.bound.file.is_some()
    }

    /// The same sockets for another process, which finds them by the address as `configured`.
    ///
    /// # Errors
    /// Those of dup(2).
    pub fn legacy(&self, configured: &Address, admin: bool) -> io::Result<Inherited> {
        let sockets = self.bound.sockets.iter().map(OwnedFd::try_clone);
        Ok(Inherited {
            configured: configured.clone(),
            bound: self.bound.address.clone(),
            sockets: sockets.collect::<io::Result<_>>()?,
            with_file: self.has_file(),
            admin,
        })
    }

    /// Answers from now on for a file that another process made; says whether there is one.
    pub fn settle(&mut self) -> bool {
        if let (Address::Unix(path), true) = (&self.bound.address, self.with_file) {
            self.bound.file = SocketFile::bound_at(path).ok();
        }
        self.with_file
    }

    /// Leaves the file to another process.
    pub fn leave_file(&mut self) {
        if let Some(file) = self.bound.file.take() {
            file.leave();
        }
    }
}
