//! The file of a Unix listening socket: it stays when the socket is closed, unless it is removed.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, Stat, fstat, lstat, open};

/// A socket's file. Dropped, it is removed, if it is still the same: a successor may have put its
/// own in its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Held open, so that no other file gets its number.
    file: OwnedFd,
}

impl SocketFile {
    /// Takes over the file to which a socket has just been bound.
    ///
    /// # Errors
    /// Those of open(2) with O_PATH.
    pub fn bound_at(path: &Path) -> io::Result<SocketFile> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = open(path, flags, Mode::empty())?;
        Ok(SocketFile { path: path.to_owned(), file })
    }

    fn is_in_place(&self) -> bool {
        let same = |a: Stat, b: Stat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
        matches!((fstat(&self.file), lstat(&self.path)), (Ok(ours), Ok(there)) if same(ours, there))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_in_place() {
            // An error: somebody else was faster, or took the directory's write permission away.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_file_goes_with_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let _socket = UnixListener::bind(&path).unwrap();
        drop(SocketFile::bound_at(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn a_successors_file_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        for _ in 0..20 {
            let socket = UnixListener::bind(&path).unwrap();
            let file = SocketFile::bound_at(&path).unwrap();
            // Closed first: nothing but the file itself keeps its number from being used again.
            drop(socket);
            fs::remove_file(&path).unwrap();
            let _successor = UnixListener::bind(&path).unwrap();
            drop(file);
            assert!(path.exists());
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_file_that_is_gone_is_no_matter() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let _socket = UnixListener::bind(&path).unwrap();
        let file = SocketFile::bound_at(&path).unwrap();
        fs::remove_file(&path).unwrap();
        drop(file);
        assert!(!path.exists());
    }
}
