//! How many connections each shard has, for the others to see.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Shards may differ by so many connections, or by this part of the fuller one's, before one hands
/// a connection to another.
const MARGIN_LEAST: u32 = 2;
const MARGIN_PART: u32 = 16;
/// Said in place of a number by a shard that takes no more: for now, or because it has ended.
const NONE_MORE: u32 = u32::MAX;

/// One shard's view of all: it says how many connections it has, and sees what the others say.
///
/// Each shard writes where nobody else does, by plain stores, and the others only read. A
/// connection that was handed over is counted by who handed it over until who takes it has.
pub struct Loads {
    number: usize,
    all: Arc<[Line]>,
    /// How many connections this shard has.
    own: Cell<u32>,
    /// Whether it takes no more for now.
    full: Cell<bool>,
    /// How many were handed to each shard so far.
    handed: Box<[Cell<u32>]>,
}

/// What one shard says; on a cache line of its own, and on none that is fetched with another's.
#[repr(align(128))]
struct Line {
    connections: AtomicU32,
    /// How many it took so far of those that each other shard handed to it.
    taken: Box<[Taken]>,
}

/// A cache line of counts, one for each of so many shards.
#[repr(align(128))]
#[derive(Default)]
struct Taken([AtomicU32; TAKEN_IN_LINE]);

const TAKEN_IN_LINE: usize = 32;

impl Line {
    fn taken_from(&self, shard: usize) -> &AtomicU32 {
        &self.taken[shard / TAKEN_IN_LINE].0[shard % TAKEN_IN_LINE]
    }
}

/// Tells that a shard has ended, from another thread.
pub struct Obituary {
    number: usize,
    all: Arc<[Line]>,
}

impl Loads {
    /// The views of so many shards, in their order.
    pub fn of(shards: usize) -> Vec<Loads> {
        let line = |_| Line {
            connections: AtomicU32::new(0),
            taken: (0..shards.div_ceil(TAKEN_IN_LINE)).map(|_| Taken::default()).collect(),
        };
        let all: Arc<[Line]> = (0..shards).map(line).collect();
        let handed = || (0..shards).map(|_| Cell::new(0)).collect();
        let view = |number| {
            let (own, full) = (Cell::new(0), Cell::new(false));
            Loads { number, all: all.clone(), own, full, handed: handed() }
        };
        (0..shards).map(view).collect()
    }

    /// Says how many connections this shard has.
    pub fn publish(&self, connections: u32) {
        self.own.set(connections);
        let said = if self.full.get() { NONE_MORE } else { connections };
        self.all[self.number].connections.store(said, Ordering::Relaxed);
    }

    /// Says whether this shard takes no more for now: what it is handed meanwhile would wait.
    pub fn set_full(&self, full: bool) {
        if self.full.replace(full) != full {
            self.publish(self.own.get());
        }
    }

    /// Who should serve one connection more, if not this shard, which has `own`: the least loaded
    /// of the others, where this one would have over 2 and over a sixteenth more than that.
    pub fn relief(&self, own: u32) -> Option<usize> {
        let shards = self.all.len();
        // The next one first: shards in the same state should not all choose the same.
        let others = (1..shards).map(|step| (self.number + step) % shards);
        let (least, shard) = others.map(|shard| (self.load(shard), shard)).min_by_key(|it| it.0)?;
        let margin = MARGIN_LEAST.max(own / MARGIN_PART);
        (own.saturating_add(1) > least.saturating_add(margin)).then_some(shard)
    }

    /// The connections of another shard, with those that this one handed to it and it has not
    /// taken. One that is being taken at that moment may be seen twice, never missed.
    fn load(&self, shard: usize) -> u32 {
        let line = &self.all[shard];
        // In this order: what it has taken is among its connections by then.
        let taken = line.taken_from(self.number).load(Ordering::Acquire);
        let connections = line.connections.load(Ordering::Relaxed);
        connections.saturating_add(self.handed[shard].get().wrapping_sub(taken))
    }

    /// A connection is handed to that shard.
    pub fn handed_to(&self, shard: usize) {
        let handed = &self.handed[shard];
        handed.set(handed.get().wrapping_add(1));
    }

    /// It has ended, and took none.
    pub fn handed_back_by(&self, shard: usize) {
        let handed = &self.handed[shard];
        handed.set(handed.get().wrapping_sub(1));
    }

    /// A connection that this shard handed over is taken, and among the connections published.
    pub fn took_from(&self, shard: usize) {
        let taken = self.all[self.number].taken_from(shard);
        // Nobody else writes it.
        let count = taken.load(Ordering::Relaxed).wrapping_add(1);
        taken.store(count, Ordering::Release);
    }

    /// For who is there when the shard has ended.
    pub fn obituary(&self) -> Obituary {
        Obituary { number: self.number, all: self.all.clone() }
    }
}

impl Obituary {
    /// Nobody hands it anything from now on.
    pub fn publish(&self) {
        self.all[self.number].connections.store(NONE_MORE, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_loaded_relieves() {
        let views = Loads::of(3);
        let [first, second, third] = &views[..] else { panic!("three") };
        assert_eq!(first.relief(1), None);
        assert_eq!(first.relief(2), Some(1), "one more would be three more");
        second.publish(4);
        third.publish(3);
        assert_eq!(first.relief(4), None);
        assert_eq!(first.relief(5), Some(2));
        second.publish(100);
        third.publish(100);
        assert_eq!(first.relief(105), None, "a sixteenth");
        assert_eq!(first.relief(106), Some(1));
        assert_eq!(Loads::of(1)[0].relief(1000), None);
    }

    #[test]
    fn what_is_under_way_counts_once() {
        let views = Loads::of(2);
        let [from, to] = &views[..] else { panic!("two") };
        for _ in 0..8 {
            from.handed_to(1);
        }
        assert_eq!(from.load(1), 8);
        for taken in 1..=8 {
            to.publish(taken);
            to.took_from(0);
            assert_eq!(from.load(1), 8);
        }
        to.publish(7);
        assert_eq!(from.load(1), 7);
        from.handed_to(1);
        from.handed_back_by(1);
        assert_eq!(from.load(1), 7);
    }

    #[test]
    fn who_has_ended_gets_nothing() {
        let views = Loads::of(2);
        views[1].obituary().publish();
        views[0].handed_to(1);
        assert_eq!(views[0].relief(1_000_000), None);
    }

    #[test]
    fn who_is_full_gets_nothing_for_now() {
        let views = Loads::of(3);
        views[1].set_full(true);
        views[1].publish(1);
        views[2].publish(8);
        assert_eq!(views[0].relief(9), None);
        assert_eq!(views[0].relief(10), Some(2));
        views[1].set_full(false);
        assert_eq!(views[0].load(1), 1);
        assert_eq!(views[0].relief(10), Some(1));
    }

    /// However connections come, nobody has over 2 and over a sixteenth more than any other.
    #[test]
    fn shares_come_out_even() {
        for shards in [2usize, 3, 8] {
            let views = Loads::of(shards);
            let mut counts = vec![0u32; shards];
            for _ in 0..1000 {
                let chosen = views[0].relief(counts[0]).unwrap_or(0);
                counts[chosen] += 1;
                views[chosen].publish(counts[chosen]);
            }
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(most - least <= 2.max(most / 16), "{counts:?}");
        }
    }
}
