//! Time: waiting for a condition, the stalls of slow peers, and how long something took.
//!
//! The only place in the tests that sleeps; `tests/tidy.rs` sees to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest wait for anything that should happen at once.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(2);
/// For how long a count must stay the same to be called steady.
const STEADY: Duration = Duration::from_millis(200);

/// Milliseconds, for brevity.
pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Waits until `condition` holds; fails the test with `what` after [`PATIENCE`].
#[track_caller]
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    wait_at_most(PATIENCE, what, condition);
}

/// The same for what takes its time by design: fails after `limit`.
#[track_caller]
pub fn wait_at_most(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    assert!(comes_true(limit, &mut condition), "waited {limit:?} in vain until {what}");
}

/// Whether `condition` comes true within `limit`.
pub fn comes_true(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}

/// Waits until `count` has stopped changing; gives what it has become.
#[track_caller]
pub fn wait_until_steady(what: &str, count: impl Fn() -> u64) -> u64 {
    let (mut last, mut since) = (count(), Instant::now());
    wait_until(what, || {
        let now = count();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() >= STEADY
    });
    last
}

/// The stall of a slow peer, as its script has it: the time in which it does nothing is what the
/// proxy is tested with. Never a way to wait for something to happen.
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Tells clients that go on and on that it is over.
#[derive(Default)]
pub struct Over(AtomicBool);

/// See [`Over::at_the_end`].
pub struct Ending<'a>(&'a Over);

impl Over {
    /// It is over when the result is dropped: the clients are waited for, also where the test fails
    /// before its end.
    #[must_use]
    pub fn at_the_end(&self) -> Ending<'_> {
        Ending(self)
    }

    pub fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// How long `action` took, and what it gave.
pub fn timed<T>(action: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = action();
    (start.elapsed(), result)
}
