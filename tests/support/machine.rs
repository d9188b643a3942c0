//! What a test may ask of the machine that others use too.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
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

/// A port that nobody has right now, for who cannot be told to take any. The kernel gives no
/// connection a port below 32768, so it stays free until it is taken, but for another process that
/// asks for the same.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 1_000).expect("below 1000") * 10;
    let next = || 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
    let mut ports = std::iter::repeat_with(next).take(1_000);
    ports.find(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok()).expect("a free port")
}
