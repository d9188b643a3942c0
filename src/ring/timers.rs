//! Deadlines of a shard: the limit of its next wait, and the clock of its turn.
//!
//! A connection sets and clears a deadline several times for each request, and nearly none ever
//! passes. So setting one only stores it; the heap holds at most a later look at it, and is touched
//! when a deadline comes before that look.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::Ring;
use super::slots::Slots;

/// Nanoseconds since the ring was made.
pub type Tick = u64;

/// No deadline.
const NEVER: Tick = Tick::MAX;

/// The time was up first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

struct Slot {
    deadline: Tick,
    /// When the heap will look at this slot next; `NEVER`: it will not.
    look: Tick,
    /// Tells the heap's entries for this slot from those for one that was here before.
    generation: u32,
    waker: Option<Waker>,
    /// What waits is idle, or is owed something only by somebody who may never come.
    waits: Waits,
    /// It was ended before its time.
    called: bool,
}

/// What may end a wait before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// Nothing.
    Bound,
    /// The end of all.
    UntilDrain,
    /// That, and want of room.
    Idle,
}

impl Default for Slot {
    fn default() -> Self {
        let (waker, waits, called) = (None, Waits::Bound, false);
        Slot { deadline: NEVER, look: NEVER, generation: 0, waker, waits, called }
    }
}

/// All deadlines of one ring.
#[derive(Default)]
pub(super) struct Timers {
    slots: Slots<Slot>,
    heap: BinaryHeap<Reverse<Look>>,
    /// Entries of the heap that mean nothing any more.
    stale: usize,
}

/// When to look at which slot, if it is still of that generation.
type Look = (Tick, u32, u32);

/// Fewer stale entries are not worth going through the heap for.
const STALE_AT_LEAST: usize = 1024;

impl Timers {
    fn insert(&mut self) -> u32 {
        self.slots.insert()
    }

    fn remove(&mut self, key: u32) {
        let slot = &mut self.slots[key];
        self.stale += usize::from(slot.look != NEVER);
        *slot = Slot { generation: slot.generation.wrapping_add(1), ..Slot::default() };
        self.slots.remove(key);
        self.forget_stale();
    }

    fn set(&mut self, key: u32, deadline: Tick) {
        let slot = &mut self.slots[key];
        slot.deadline = deadline;
        if deadline < slot.look {
            self.stale += usize::from(slot.look != NEVER);
            slot.look = deadline;
            self.heap.push(Reverse((deadline, key, slot.generation)));
            self.forget_stale();
        }
    }

    /// Keeps the heap in proportion to the deadlines that are set.
    fn forget_stale(&mut self) {
        if self.stale > STALE_AT_LEAST && self.stale > self.heap.len() / 2 {
            let slots = &self.slots;
            self.heap.retain(|Reverse((look, key, generation))| {
                let slot = &slots[*key];
                slot.generation == *generation && slot.look == *look
            });
            self.stale = 0;
        }
    }

    /// When the heap wants to be looked at next.
    pub(super) fn next(&self) -> Option<Tick> {
        self.heap.peek().map(|Reverse((look, ..))| *look)
    }

    /// Adds the wakers of all who wait.
    pub(super) fn waiting(&self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.slots.iter().filter_map(|slot| slot.waker.clone()));
    }

    /// Ends all waits that a drain may end.
    pub(super) fn end_for_drain(&mut self, wakers: &mut Vec<Waker>) {
        for slot in self.slots.iter_mut().filter(|slot| slot.waits != Waits::Bound) {
            slot.called = true;
            wakers.extend(slot.waker.take());
        }
    }

    /// Ends the `most` idle waits whose deadlines come first, of those up to `last`.
    pub(super) fn end_idle(&mut self, last: Tick, most: usize, wakers: &mut Vec<Waker>) {
        let ends =
            |slot: &&mut Slot| slot.waits == Waits::Idle && slot.deadline <= last && !slot.called;
        let mut idle: Vec<&mut Slot> = self.slots.iter_mut().filter(ends).collect();
        if idle.len() > most {
            idle.select_nth_unstable_by_key(most, |slot| slot.deadline);
        }
        for slot in idle.into_iter().take(most) {
            slot.called = true;
            wakers.extend(slot.waker.take());
        }
    }

    /// Collects the wakers of deadlines that have passed.
    pub(super) fn expire(&mut self, now: Tick, wakers: &mut Vec<Waker>) {
        while let Some(&Reverse((look, key, generation))) = self.heap.peek() {
            if look > now {
                break;
            }
            self.heap.pop();
            let slot = &mut self.slots[key];
            if generation != slot.generation || look != slot.look {
                self.stale = self.stale.saturating_sub(1);
                continue;
            }
            slot.look = NEVER;
            if slot.deadline <= now {
                wakers.extend(slot.waker.take());
            } else if slot.deadline != NEVER {
                slot.look = slot.deadline;
                self.heap.push(Reverse((slot.deadline, key, generation)));
            }
        }
    }
}

/// One deadline at a time for one task.
pub struct Timer {
    ring: Ring,
    key: u32,
}

impl Timer {
    pub(super) fn new(ring: &Ring) -> Timer {
        let key = ring.with_timers(Timers::insert);
        Timer { ring: ring.clone(), key }
    }

    /// Runs `future` for at most `limit`, counted from now: [`Elapsed`] when the time is up; the
    /// future is then to be dropped. Not an async function, here and below: that would hold the
    /// future twice, before its first poll and after.
    pub fn within<F: Future>(&self, limit: Duration, future: F) -> Until<'_, F> {
        self.until(self.after(limit), future)
    }

    /// As [`Timer::within`], until a given moment.
    pub fn until<F: Future>(&self, deadline: Tick, future: F) -> Until<'_, F> {
        Until { timer: self, deadline, future }
    }

    /// Polls `action` for at most `limit`, or until [`Ring::end_waits`] or
    /// [`Ring::end_oldest_idle`]: [`Elapsed`] when the time is up. Not an async function, so that
    /// what waits for long holds little.
    pub fn idle<T, A>(&self, limit: Duration, action: A) -> Idle<'_, A>
    where
        A: FnMut(&mut Context<'_>) -> Poll<T> + Unpin,
    {
        self.with_slot(|slot| slot.waits = Waits::Idle);
        Idle { timer: self, deadline: self.after(limit), action }
    }

    /// As [`Timer::idle`], but only [`Ring::end_waits`] ends it early.
    pub fn until_drain<T, A>(&self, limit: Duration, action: A) -> Idle<'_, A>
    where
        A: FnMut(&mut Context<'_>) -> Poll<T> + Unpin,
    {
        self.with_slot(|slot| slot.waits = Waits::UntilDrain);
        Idle { timer: self, deadline: self.after(limit), action }
    }

    /// The moment `limit` from now.
    pub fn after(&self, limit: Duration) -> Tick {
        let nanos = Tick::try_from(limit.as_nanos()).unwrap_or(NEVER);
        self.ring.now().saturating_add(nanos).min(NEVER - 1)
    }

    /// Ready from `deadline` on; until then the task is woken at that moment.
    pub fn poll_at(&self, deadline: Tick, context: &mut Context<'_>) -> Poll<Elapsed> {
        let now = self.ring.now();
        self.ring.with_timers(|timers| {
            let slot = &mut timers.slots[self.key];
            if now >= deadline || std::mem::take(&mut slot.called) {
                return Poll::Ready(Elapsed);
            }
            if !slot.waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
                slot.waker = Some(context.waker().clone());
            }
            if slot.deadline != deadline {
                timers.set(self.key, deadline);
            }
            Poll::Pending
        })
    }

    /// Forgets the deadline.
    pub fn clear(&self) {
        self.with_slot(|slot| slot.deadline = NEVER);
    }

    fn with_slot(&self, action: impl FnOnce(&mut Slot)) {
        self.ring.with_timers(|timers| action(&mut timers.slots[self.key]));
    }

    /// Waits for `time`.
    pub async fn sleep(&self, time: Duration) {
        let _ = self.within(time, std::future::pending::<()>()).await;
    }
}

/// See [`Timer::idle`].
pub struct Idle<'a, A> {
    timer: &'a Timer,
    deadline: Tick,
    action: A,
}

impl<T, A> Future for Idle<'_, A>
where
    A: FnMut(&mut Context<'_>) -> Poll<T> + Unpin,
{
    type Output = Result<T, Elapsed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match (self.action)(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => self.timer.poll_at(self.deadline, context).map(Err),
        }
    }
}

impl<A> Drop for Idle<'_, A> {
    fn drop(&mut self) {
        // A call that came together with the result must not end a later wait.
        let forget = |slot: &mut Slot| {
            (slot.waits, slot.called, slot.deadline) = (Waits::Bound, false, NEVER);
        };
        self.timer.with_slot(forget);
    }
}

pin_project_lite::pin_project! {
    /// See [`Timer::within`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Until<'a, F> {
        timer: &'a Timer,
        deadline: Tick,
        #[pin]
        future: F,
    }

    impl<F> PinnedDrop for Until<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            this.timer.clear();
        }
    }
}

impl<F: Future> Future for Until<'_, F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(context) {
            return Poll::Ready(Ok(output));
        }
        this.timer.poll_at(*this.deadline, context).map(Err)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.ring.with_timers(|timers| timers.remove(self.key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expired(timers: &mut Timers, now: Tick) -> usize {
        let mut wakers = Vec::new();
        timers.expire(now, &mut wakers);
        wakers.len()
    }

    fn armed(timers: &mut Timers, deadline: Tick) -> u32 {
        let key = timers.insert();
        timers.set(key, deadline);
        timers.slots[key].waker = Some(Waker::noop().clone());
        key
    }

    #[test]
    fn a_deadline_fires_once_and_not_early() {
        let mut timers = Timers::default();
        armed(&mut timers, 10);
        assert_eq!(expired(&mut timers, 9), 0);
        assert_eq!(expired(&mut timers, 10), 1);
        assert_eq!(expired(&mut timers, 1000), 0);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn moving_a_deadline_later_needs_no_heap() {
        let mut timers = Timers::default();
        let key = armed(&mut timers, 10);
        for later in 11..1000 {
            timers.set(key, later);
        }
        assert_eq!(timers.heap.len(), 1);
        assert_eq!(expired(&mut timers, 500), 0);
        assert_eq!(timers.next(), Some(999));
        assert_eq!(expired(&mut timers, 999), 1);
    }

    #[test]
    fn an_earlier_deadline_wins_over_a_later_look() {
        let mut timers = Timers::default();
        let key = armed(&mut timers, 1000);
        timers.set(key, 5);
        assert_eq!(timers.next(), Some(5));
        assert_eq!(expired(&mut timers, 5), 1);
        assert_eq!(expired(&mut timers, 2000), 0);
    }

    #[test]
    fn a_reused_slot_does_not_inherit_a_deadline() {
        let mut timers = Timers::default();
        let key = armed(&mut timers, 10);
        timers.remove(key);
        assert_eq!(armed(&mut timers, 20), key);
        assert_eq!(expired(&mut timers, 10), 0);
        assert_eq!(expired(&mut timers, 20), 1);
    }

    #[test]
    fn deadlines_of_the_departed_are_forgotten() {
        let mut timers = Timers::default();
        for deadline in 0..100_000 {
            let key = armed(&mut timers, 1_000_000 + deadline);
            timers.remove(key);
        }
        assert_eq!(timers.slots.len(), 1);
        assert!(timers.heap.len() <= 2 * STALE_AT_LEAST, "{} entries", timers.heap.len());
    }
}
