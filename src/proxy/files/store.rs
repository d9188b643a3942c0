//! What a shard has open of files, and what it found nowhere.
//!
//! What was found under a name holds for a time (`valid`); then the name is looked up anew. A file
//! that is open is asked for its size and time whenever it is used, so one that is changed in
//! place is seen at once, and one that is replaced when the time is up. Directories that routes
//! serve from are looked up anew as well: deployments switch a symbolic link there.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lru::LruCache;
use rustix::fs::{CWD, FileType, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::FileFault;
use crate::http1::{Validators, http_date};
use crate::plan::{FileCachePlan, Symlinks};
use crate::proxy::Context;
use crate::ring::{File, Tick};

const SECOND: Tick = 1_000_000_000;
/// Bytes of a path (`PATH_MAX` without its NUL; pathconf(3)): longer ones would only fill what is
/// kept.
const PATH_MAX: usize = 4095;

/// What there is of files in a shard.
pub struct FileStore {
    found: RefCell<LruCache<Box<[u8]>, Entry>>,
    folders: RefCell<HashMap<PathBuf, (Rc<File>, Tick)>>,
    /// As many clones as there are threads that read directories.
    listings: Arc<()>,
    /// What the clock says, for so long.
    date: RefCell<(Tick, i64, Rc<str>)>,
}

/// What was found under a name, and when.
struct Entry {
    node: Node,
    at: Tick,
}

/// What there is under a name.
#[derive(Clone)]
pub enum Node {
    /// A file.
    File(Rc<OpenFile>),
    /// A directory.
    Folder,
    /// Nothing, or nothing that is served.
    Missing,
    /// Something that we must not open, or that the policy on symbolic links keeps out.
    Refused,
}

/// A file that is open.
pub struct OpenFile {
    /// It.
    pub file: File,
    /// Bytes.
    pub size: u64,
    /// With an ETag, whether or not it is sent.
    pub validators: Validators,
    /// The time in the validators as a date.
    pub last_modified: String,
    nanoseconds: i64,
    /// The turn in which it was looked at last, by its time.
    looked: Cell<Tick>,
}

impl OpenFile {
    fn new(file: File, stat: &Stat, now: Tick) -> OpenFile {
        let (size, modified) = (stat.st_size as u64, stat.st_mtime);
        OpenFile {
            file,
            size,
            validators: Validators::of_file(modified, size, true),
            last_modified: http_date(modified),
            nanoseconds: stat.st_mtime_nsec as i64,
            looked: Cell::new(now),
        }
    }

    /// Whether it is as it was when it was opened. All requests of one turn were there before it
    /// began, and one look is enough for them.
    fn is_as_before(&self, now: Tick) -> bool {
        if self.looked.get() == now {
            return true;
        }
        let same = rustix::fs::fstat(&self.file).is_ok_and(|stat| {
            stat.st_size as u64 == self.size
                && stat.st_mtime == self.validators.modified
                && stat.st_mtime_nsec as i64 == self.nanoseconds
        });
        if same {
            self.looked.set(now);
        }
        same
    }
}

impl Default for FileStore {
    fn default() -> FileStore {
        FileStore {
            found: RefCell::new(LruCache::unbounded()),
            folders: RefCell::default(),
            listings: Arc::default(),
            date: RefCell::new((0, 0, Rc::from(""))),
        }
    }
}

impl FileStore {
    /// Lets go of what is no longer valid and was not used since, or of everything where the plan
    /// has no files.
    pub fn sweep(&self, plan: Option<&FileCachePlan>, now: Tick) {
        let Some(plan) = plan else {
            self.clear();
            return;
        };
        self.folders.borrow_mut().retain(|_, (_, at)| is_fresh(*at, plan.valid, now));
        let mut found = self.found.borrow_mut();
        while let Some((_, entry)) = found.peek_lru()
            && (!is_fresh(entry.at, plan.valid, now) || found.len() > plan.max)
        {
            found.pop_lru();
        }
    }

    /// Closes all that serves nobody just now; says whether there was anything.
    pub fn clear(&self) -> bool {
        let any = self.found.borrow().len() + self.folders.borrow().len() > 0;
        self.found.borrow_mut().clear();
        self.folders.borrow_mut().clear();
        any
    }

    /// What a thread holds for as long as it reads a directory.
    pub fn listings(&self) -> &Arc<()> {
        &self.listings
    }

    /// The time of day in seconds since 1970, and as a date. The clock is asked once a second.
    pub fn date(&self, now: Tick) -> (i64, Rc<str>) {
        let mut date = self.date.borrow_mut();
        if now >= date.0 || date.2.is_empty() {
            let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let seconds = wall.as_secs() as i64;
            *date =
                (now + SECOND - u64::from(wall.subsec_nanos()), seconds, http_date(seconds).into());
        }
        (date.1, date.2.clone())
    }
}

fn is_fresh(at: Tick, valid: Duration, now: Tick) -> bool {
    u128::from(now.saturating_sub(at)) < valid.as_nanos()
}

/// Where something is looked for.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The shard.
    pub context: &'a Context,
    /// What it keeps.
    pub cache: &'a FileCachePlan,
    /// Below which directory.
    pub folder: &'a Path,
    /// By which links.
    pub symlinks: Symlinks,
}

impl Place<'_> {
    /// What there is under this path, which holds no dot segments and does not begin with a slash.
    ///
    /// # Errors
    /// [`FileFault::Short`], [`FileFault::Broken`].
    pub async fn find(&self, path: &[u8]) -> Result<Node, FileFault> {
        let folder = self.folder.as_os_str().as_bytes();
        if path.len().max(folder.len()) > PATH_MAX {
            return Ok(Node::Missing);
        }
        let key = [&[self.symlinks as u8], folder, &[0], path].concat();
        if let Some(node) = self.known(&key) {
            return Ok(node);
        }
        let node = match self.open(path).await {
            // Its own descriptor is one that is wanted.
            Err(FileFault::Short) if self.context.relieve() => self.open(path).await?,
            opened => opened?,
        };
        self.keep(key.into(), &node);
        Ok(node)
    }

    /// A descriptor of the directory, for another thread.
    ///
    /// # Errors
    /// [`FileFault`].
    pub async fn root(&self) -> Result<OwnedFd, FileFault> {
        let folder = self.open_folder().await?.ok_or(FileFault::NotFound)?;
        rustix::io::fcntl_dupfd_cloexec(&*folder, 3).map_err(|error| fault(error.into()))
    }

    fn known(&self, key: &[u8]) -> Option<Node> {
        let mut found = self.context.files.found.borrow_mut();
        let entry = found.get(key)?;
        let now = self.context.ring.now();
        let fresh = is_fresh(entry.at, self.cache.valid, now);
        let node = entry.node.clone();
        let holds = match &node {
            Node::File(file) => fresh && file.is_as_before(now),
            _ => fresh,
        };
        holds.then_some(node)
    }

    fn keep(&self, key: Box<[u8]>, node: &Node) {
        let mut found = self.context.files.found.borrow_mut();
        if self.cache.max == 0 || self.cache.valid.is_zero() {
            return;
        }
        found.put(key, Entry { node: node.clone(), at: self.context.ring.now() });
        while found.len() > self.cache.max {
            found.pop_lru();
        }
    }

    async fn open(&self, path: &[u8]) -> Result<Node, FileFault> {
        let Some(folder) = self.open_folder().await? else { return Ok(Node::Missing) };
        let name = if path.is_empty() { b"." } else { path };
        let Ok(name) = CString::new(name) else { return Ok(Node::Missing) };
        // O_NONBLOCK: a FIFO would be waited for.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let resolve = match self.symlinks {
            Symlinks::Inside => inside,
            Symlinks::Never => inside | ResolveFlags::NO_SYMLINKS,
            Symlinks::Anywhere => ResolveFlags::empty(),
        };
        let file = match self.context.ring.open(folder.as_fd(), name, flags, resolve).await {
            Ok(file) => file,
            Err(error) => return judge(&error),
        };
        let stat = rustix::fs::fstat(&file).map_err(|error| fault(error.into()))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                // A read of a non-blocking file would be given up where it should wait.
                let _ = rustix::fs::fcntl_setfl(&file, OFlags::empty());
                let now = self.context.ring.now();
                Ok(Node::File(Rc::new(OpenFile::new(file, &stat, now))))
            }
            FileType::Directory => Ok(Node::Folder),
            _ => Ok(Node::Missing),
        }
    }

    /// The directory, however many links lead there; `None`: there is none.
    async fn open_folder(&self) -> Result<Option<Rc<File>>, FileFault> {
        let (files, now) = (&self.context.files, self.context.ring.now());
        if let Some((folder, at)) = files.folders.borrow().get(self.folder)
            && is_fresh(*at, self.cache.valid, now)
        {
            return Ok(Some(folder.clone()));
        }
        let path = match self.folder.as_os_str().as_bytes() {
            b"" => b".",
            path => path,
        };
        let Ok(path) = CString::new(path) else { return Ok(None) };
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        match self.context.ring.open(CWD, path, flags, ResolveFlags::empty()).await {
            Ok(folder) => {
                let folder = Rc::new(folder);
                let mut folders = files.folders.borrow_mut();
                // Requests may say which they are.
                if folders.len() < self.cache.max || folders.contains_key(self.folder) {
                    folders.insert(self.folder.to_owned(), (folder.clone(), now));
                }
                Ok(Some(folder))
            }
            Err(error) => match judge(&error)? {
                Node::Refused => Err(FileFault::Forbidden),
                _ => Ok(None),
            },
        }
    }
}

/// What an error of openat2(2) means for whoever asks.
fn judge(error: &io::Error) -> Result<Node, FileFault> {
    match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::NXIO) => Ok(Node::Missing),
        Some(Errno::ACCESS | Errno::PERM | Errno::LOOP | Errno::XDEV) => Ok(Node::Refused),
        _ => Err(fault(io::Error::from_raw_os_error(error.raw_os_error().unwrap_or_default()))),
    }
}

/// What it means that something cannot be had.
pub fn fault(error: io::Error) -> FileFault {
    match Errno::from_io_error(&error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => FileFault::Short,
        _ => FileFault::Broken,
    }
}
