//! What a test may ask of the machine that others use too.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Keeps the other tests of this file that ask for it waiting: those that watch the processor,
/// count milliseconds, or use much of what all share.
pub fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this process and those that it starts may open so many files each; raises the limit as
/// far as allowed, and says so where that is not enough.
pub fn may_open(files: u64) -> bool {
    let maximum = getrlimit(Resource::Nofile).maximum;
    if maximum.is_some_and(|maximum| maximum < files) {
        println!("skipped: {files} open files are needed, the hard limit is {maximum:?}");
        return false;
    }
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .expect("up to the hard limit");
    true
}
