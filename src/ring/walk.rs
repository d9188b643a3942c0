//! Opening a path one name at a time (openat(2), O_NOFOLLOW), with symbolic links resolved by hand:
//! for where openat2(2) is not to be had. Each step holds its directory, so nobody who renames
//! things meanwhile can lead it out.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, openat, readlinkat};
use rustix::io::{Errno, Result};

/// As many as the kernel follows (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// As openat2(2), of whose `resolve` it knows BENEATH and NO_SYMLINKS. Without BENEATH the kernel
/// is left to resolve the path.
///
/// # Errors
/// As openat2(2).
pub fn open(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd> {
    if !resolve.contains(ResolveFlags::BENEATH) {
        return openat(root, path, flags, Mode::empty());
    }
    if path.starts_with(b"/") {
        return Err(Errno::XDEV);
    }
    let flags = if path.ends_with(b"/") { flags | OFlags::DIRECTORY } else { flags };
    let mut walk = Walk { root, below: Vec::new(), names: VecDeque::new() };
    walk.prepend(path);
    let mut links = 0;
    while let Some(name) = walk.names.pop_front() {
        let last = walk.names.is_empty();
        let stepped = match (&name[..], last) {
            (b"..", _) => {
                walk.below.pop().ok_or(Errno::XDEV)?;
                continue;
            }
            (_, true) => walk.open(&name, flags | OFlags::NOFOLLOW),
            (_, false) => walk
                .open(&name, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC),
        };
        match stepped {
            Ok(fd) if last => return Ok(fd),
            Ok(fd) => walk.below.push(fd),
            // What O_NOFOLLOW says of a link, and O_DIRECTORY.
            Err(error @ (Errno::LOOP | Errno::NOTDIR | Errno::MLINK)) => {
                let target = walk.link(&name).ok_or(error)?;
                links += 1;
                if resolve.contains(ResolveFlags::NO_SYMLINKS) || links > LINKS_MAX {
                    return Err(Errno::LOOP);
                }
                if target.starts_with(b"/") {
                    return Err(Errno::XDEV);
                }
                walk.prepend(&target);
            }
            Err(error) => return Err(error),
        }
    }
    // The directory itself, or one that a link has led back to.
    walk.open(b".", flags)
}

struct Walk<'r> {
    root: BorrowedFd<'r>,
    /// Directories below it, the present one last.
    below: Vec<OwnedFd>,
    /// What is still to be resolved.
    names: VecDeque<Vec<u8>>,
}

impl Walk<'_> {
    fn here(&self) -> BorrowedFd<'_> {
        self.below.last().map_or(self.root, |fd| fd.as_fd())
    }

    fn open(&self, name: &[u8], flags: OFlags) -> Result<OwnedFd> {
        openat(self.here(), name, flags, Mode::empty())
    }

    /// Where a symbolic link points; `None`: it is none.
    fn link(&self, name: &[u8]) -> Option<Vec<u8>> {
        let is_link = rustix::fs::statat(self.here(), name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_symlink());
        let target = is_link.then(|| readlinkat(self.here(), name, Vec::new()).ok())??;
        Some(target.into_bytes())
    }

    fn prepend(&mut self, path: &[u8]) {
        let names = path.split(|byte| *byte == b'/');
        let names = names.filter(|name| !name.is_empty() && *name != b".");
        for name in names.rev() {
            self.names.push_front(name.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use crate::ring::{Ring, Tier};

    /// A root with all kinds of ways out of it.
    fn stage() -> tempfile::TempDir {
        let stage = tempfile::tempdir().expect("a directory");
        let root = stage.path().join("root");
        fs::create_dir_all(root.join("a/b")).expect("directories");
        fs::write(stage.path().join("secret"), "secret").expect("a file");
        fs::write(root.join("file"), "file").expect("a file");
        fs::write(root.join("a/b/deep"), "deep").expect("a file");
        let link = |target: &Path, name: &str| symlink(target, root.join(name)).expect("a link");
        link(Path::new("file"), "inside");
        link(Path::new("a/b"), "shortcut");
        link(Path::new("../file"), "a/up");
        link(Path::new("../../file"), "a/b/up-twice");
        link(Path::new("../secret"), "out");
        link(Path::new("../../secret"), "a/out");
        link(&stage.path().join("secret"), "absolute");
        link(&root.join("file"), "absolute-inside");
        link(Path::new("loop"), "loop");
        link(Path::new("nothing"), "dangling");
        link(Path::new(".."), "above");
        stage
    }

    type Found = core::result::Result<&'static str, Errno>;

    /// Paths, and what is found with links that stay inside, and with none.
    const TABLE: [(&str, Found, Found); 20] = [
        ("file", Ok("file"), Ok("file")),
        ("a/b/deep", Ok("deep"), Ok("deep")),
        ("./a//b/./deep", Ok("deep"), Ok("deep")),
        ("a/../file", Ok("file"), Ok("file")),
        ("inside", Ok("file"), Err(Errno::LOOP)),
        ("shortcut/deep", Ok("deep"), Err(Errno::LOOP)),
        ("a/up", Ok("file"), Err(Errno::LOOP)),
        ("shortcut/up-twice", Ok("file"), Err(Errno::LOOP)),
        ("out", Err(Errno::XDEV), Err(Errno::LOOP)),
        ("a/out", Err(Errno::XDEV), Err(Errno::LOOP)),
        ("above/secret", Err(Errno::XDEV), Err(Errno::LOOP)),
        ("absolute", Err(Errno::XDEV), Err(Errno::LOOP)),
        ("absolute-inside", Err(Errno::XDEV), Err(Errno::LOOP)),
        ("/etc/passwd", Err(Errno::XDEV), Err(Errno::XDEV)),
        ("../secret", Err(Errno::XDEV), Err(Errno::XDEV)),
        ("a/../../secret", Err(Errno::XDEV), Err(Errno::XDEV)),
        ("loop", Err(Errno::LOOP), Err(Errno::LOOP)),
        ("dangling", Err(Errno::NOENT), Err(Errno::LOOP)),
        ("file/x", Err(Errno::NOTDIR), Err(Errno::NOTDIR)),
        ("a/nothing/x", Err(Errno::NOENT), Err(Errno::NOENT)),
    ];

    /// Runs a future whose only company is the ring.
    fn drive<T>(ring: &Ring, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        loop {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            match future.as_mut().poll(&mut context) {
                std::task::Poll::Ready(output) => return output,
                std::task::Poll::Pending => ring.turn(true).expect("a turn"),
            }
        }
    }

    fn read(fd: OwnedFd) -> String {
        std::io::read_to_string(fs::File::from(fd)).expect("text")
    }

    #[test]
    fn paths_lead_where_openat2_would_lead() {
        let stage = stage();
        let root = fs::File::open(stage.path().join("root")).expect("the root");
        let (beneath, never) = (ResolveFlags::BENEATH, ResolveFlags::NO_SYMLINKS);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        for (path, inside, none) in TABLE {
            for (resolve, expected) in [(beneath, inside), (beneath | never, none)] {
                let opened = open(root.as_fd(), path.as_bytes(), flags, resolve).map(read);
                assert_eq!(opened.as_deref().map_err(|e| *e), expected, "{path}, {resolve:?}");
                let kernel = rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve);
                assert_eq!(kernel.map(read).as_deref().map_err(|e| *e), expected, "{path}: kernel");
            }
        }
        let open = |path: &[u8]| open(root.as_fd(), path, flags, beneath);
        assert!(open(b"").is_ok() && open(b".").is_ok() && open(b"a/b/../..").is_ok());
        assert!(open(b"shortcut").is_ok());
    }

    /// The same table through the ring.
    #[test]
    fn the_ring_opens_below_a_directory() {
        let stage = stage();
        let root = fs::File::open(stage.path().join("root")).expect("the root");
        let ring = Ring::new(Tier::V5_8, 8, 8).expect("tests need io_uring");
        for (path, inside, none) in TABLE {
            for (more, expected) in
                [(ResolveFlags::empty(), inside), (ResolveFlags::NO_SYMLINKS, none)]
            {
                let name = CString::new(path).expect("no NUL");
                let resolve = ResolveFlags::BENEATH | more;
                let opening = ring.open(root.as_fd(), name, OFlags::RDONLY, resolve);
                let opened = drive(&ring, opening);
                let opened = opened.map(|file| {
                    let mut bytes = [0; 16];
                    let n = file.read_now(&mut bytes, 0).expect("read").unwrap_or_else(|| {
                        rustix::io::pread(&file, &mut bytes[..], 0).expect("read")
                    });
                    String::from_utf8_lossy(&bytes[..n]).into_owned()
                });
                let opened = opened.map_err(|e| Errno::from_io_error(&e).expect("an errno"));
                assert_eq!(opened.as_deref().map_err(|e| *e), expected, "{path}, {resolve:?}");
            }
        }
    }
}
