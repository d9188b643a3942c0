//! Servers files, read again when they change.
//!
//! Editors and other programs replace a file by renaming another, or a link on the way to it, so
//! it is its directory that is watched (inotify(7)), and any change there is a reason to look.
//! Some file systems do not tell; whoever has this looks now and then as well.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use crate::config;
use crate::plan::Member;

/// What is a reason to look: a file was written and closed, renamed, or removed.
const EVENTS: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);

/// The files, and the directories that they are in.
pub struct Watch {
    /// `None` where the kernel gives none; then it takes longer until a change is seen.
    inotify: Option<AsyncFd<OwnedFd>>,
    /// The numbers of the directories in it.
    watched: BTreeSet<i32>,
    files: BTreeMap<PathBuf, Known>,
}

/// What is known of a file.
struct Known {
    members: Arc<[Member]>,
    /// As it was looked at last; `None`: it could not be read.
    text: Option<String>,
    /// Nobody has looked yet.
    is_new: bool,
}

impl Watch {
    /// Of no file.
    #[allow(deprecated, reason = "`register` asks for what owning the descriptor gives anyway")]
    pub fn new() -> Watch {
        let flags = CreateFlags::NONBLOCK | CreateFlags::CLOEXEC;
        let begun = inotify::init(flags).map_err(io::Error::from).and_then(AsyncFd::new);
        let inotify = begun.inspect_err(|error| {
            tracing::warn!(%error, "changes of servers files will be seen late");
        });
        Watch { inotify: inotify.ok(), watched: BTreeSet::new(), files: BTreeMap::new() }
    }

    /// Watches these files from now on, of which this was read last.
    pub fn adopt(&mut self, files: BTreeMap<PathBuf, Arc<[Member]>>) {
        let mut before = std::mem::take(&mut self.files);
        let known = |(path, members): (PathBuf, Arc<[Member]>)| {
            let before = before.remove(&path).filter(|before| before.members == members);
            let new = Known { members, text: None, is_new: true };
            (path, before.unwrap_or(new))
        };
        self.files = files.into_iter().map(known).collect();
        self.watch_directories();
    }

    /// A directory may have been replaced, and then it is another that is watched from now on.
    fn watch_directories(&mut self) {
        let Some(inotify) = &self.inotify else { return };
        let directories: BTreeSet<&Path> = self.files.keys().filter_map(|p| p.parent()).collect();
        let watch = |directory: &Path| {
            let here = directory.as_os_str().is_empty();
            let directory = if here { Path::new(".") } else { directory };
            // One that is watched already has its number.
            let watched = inotify::add_watch(inotify.get_ref(), directory, EVENTS);
            watched.inspect_err(|error| {
                let directory = directory.display();
                tracing::debug!(%error, %directory, "a directory cannot be watched");
            })
        };
        let watched: BTreeSet<i32> = directories.into_iter().flat_map(watch).collect();
        for left in self.watched.difference(&watched) {
            // The kernel has forgotten those that were removed.
            let _ = inotify::remove_watch(inotify.get_ref(), *left);
        }
        self.watched = watched;
    }

    /// Waits until there is a reason to look.
    pub async fn changed(&self) {
        let Some(inotify) = &self.inotify else { return std::future::pending().await };
        loop {
            let Ok(mut ready) = inotify.readable().await else {
                return std::future::pending().await;
            };
            let any = drain(inotify.get_ref());
            ready.clear_ready();
            if any {
                return;
            }
        }
    }

    /// Looks at all files; those that say something else than before.
    pub fn look(&mut self) -> Vec<(PathBuf, Arc<[Member]>)> {
        self.watch_directories();
        let changed = |(path, known): (&PathBuf, &mut Known)| {
            known.look(path).then(|| (path.clone(), known.members.clone()))
        };
        self.files.iter_mut().filter_map(changed).collect()
    }
}

/// Takes off all events; says whether there were any.
fn drain(inotify: &OwnedFd) -> bool {
    let mut space = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(inotify, &mut space);
    let mut any = false;
    loop {
        match reader.next() {
            Ok(_) | Err(Errno::INTR) => any = true,
            Err(_) => return any,
        }
    }
}

impl Known {
    /// Says whether the file says something else than before. What is wrong is told once, and
    /// changes nothing.
    fn look(&mut self, path: &Path) -> bool {
        let is_new = std::mem::replace(&mut self.is_new, false);
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                if is_new || self.text.take().is_some() {
                    let file = path.display();
                    let what = "a servers file cannot be read; its last servers stay";
                    tracing::error!(%error, %file, "{what}");
                }
                return false;
            }
        };
        if self.text.as_ref() == Some(&text) {
            return false;
        }
        let name = path.display().to_string();
        let read = config::servers_from_text(&text, &name);
        self.text = Some(text);
        match read {
            Ok(members) if *members == *self.members => false,
            Ok(members) => {
                tracing::info!(file = name, entries = members.len(), "a servers file has changed");
                self.members = members.into();
                true
            }
            Err(complaints) => {
                for complaint in &complaints {
                    tracing::error!("{complaint}");
                }
                tracing::error!(file = name, "a servers file is refused; its last servers stay");
                false
            }
        }
    }
}
