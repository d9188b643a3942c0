//! How many at once: the connections of each client, counted over all shards.
//!
//! The only thing that shards share and change, since a count must hold at the moment in which a
//! connection comes, and the kernel hands one client's connections to all shards. It is touched
//! when a connection begins and when it ends, never for a request, and not at all where no limit is
//! set.
//!
//! The table does not grow: a key has its place in one set of [`WAYS`]. Where a set is full of
//! other clients, a connection is let in without being counted; with the room that [`Tally::new`]
//! makes that happens to about one in ten thousand while every connection allowed comes from a
//! client of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use super::sets::{self, WAYS};

/// Places for each connection that there may be.
const PLACES_PER_CONNECTION: usize = 4;
/// The lower bits of a place hold the count, the others those of the key; an unused place is 0.
const COUNT_BITS: u32 = 16;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
/// All see changes of different places in one order; `enter` relies on that.
const ORDER: Ordering = Ordering::SeqCst;

/// The counts of all clients.
pub struct Tally {
    places: Box<[AtomicU64]>,
    most: u64,
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It is counted; [`Tally::leave`] is to follow.
    Counted,
    /// It is let in, but there was no room to count it.
    Uncounted,
    /// There are as many as may be.
    Full,
}

impl Tally {
    /// The most that [`Tally::new`] can count to.
    pub const MOST: u32 = COUNT as u32;

    /// Counts up to `most` for each client, [`Tally::MOST`] at most, where there are up to
    /// `connections` altogether.
    pub fn new(most: u32, connections: usize) -> Tally {
        let places = sets::places(connections * PLACES_PER_CONNECTION);
        let most = u64::from(most).min(COUNT);
        Tally { places: (0..places).map(|_| AtomicU64::new(0)).collect(), most }
    }

    /// One more connection of the client with this key, if that makes no more than may be. Keys are
    /// to be spread evenly over all numbers.
    pub fn enter(&self, key: u64) -> Entry {
        let (set, mark) = self.set(key);
        let own = |place: &u64| *place & COUNT > 0 && *place & !COUNT == mark;
        let look = || -> [u64; WAYS] { std::array::from_fn(|way| set[way].load(ORDER)) };
        // Two shards at a time may have given the same client a place each.
        let count = |seen: &[u64]| {
            seen.iter().filter(|place| own(place)).map(|place| place & COUNT).sum::<u64>()
        };
        loop {
            let seen = look();
            if count(&seen) >= self.most {
                return Entry::Full;
            }
            if let Some(way) = seen.iter().position(own) {
                if exchange(&set[way], seen[way], seen[way] + 1) {
                    return Entry::Counted;
                }
                continue;
            }
            let Some(way) = seen.iter().position(|place| place & COUNT == 0) else {
                return Entry::Uncounted;
            };
            if exchange(&set[way], seen[way], mark | 1) {
                // If another did the same just now, at least one of the two sees it here.
                if count(&look()) <= self.most {
                    return Entry::Counted;
                }
                self.leave(key);
                return Entry::Full;
            }
        }
    }

    /// One less.
    pub fn leave(&self, key: u64) {
        let (set, mark) = self.set(key);
        for place in set {
            let mut seen = place.load(ORDER);
            while seen & COUNT > 0 && seen & !COUNT == mark {
                if exchange(place, seen, seen - 1) {
                    return;
                }
                seen = place.load(ORDER);
            }
        }
    }

    /// The set of a key, and how its places are marked.
    fn set(&self, key: u64) -> (&[AtomicU64], u64) {
        // The lower bits are not spent on the set: the mark must differ within it.
        (&self.places[sets::set_of(key, self.places.len())], key.rotate_right(32) & !COUNT)
    }
}

fn exchange(place: &AtomicU64, seen: u64, next: u64) -> bool {
    place.compare_exchange_weak(seen, next, ORDER, ORDER).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::thread;

    /// Spreads small numbers as a hash would.
    fn spread(number: u64) -> u64 {
        let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    #[test]
    fn the_most_is_the_most() {
        let tally = Tally::new(3, 100);
        assert_eq!([0; 5].map(|_| tally.enter(7)), {
            use Entry::{Counted, Full};
            [Counted, Counted, Counted, Full, Full]
        });
        assert_eq!(tally.enter(7 << 40), Entry::Counted);
        tally.leave(7);
        assert_eq!((tally.enter(7), tally.enter(7)), (Entry::Counted, Entry::Full));
    }

    #[test]
    fn a_full_set_lets_in_and_keeps_its_counts() {
        let tally = Tally::new(1, 2);
        assert_eq!(tally.places.len(), WAYS);
        for client in 0..WAYS as u64 {
            assert_eq!(tally.enter(spread(client)), Entry::Counted);
        }
        assert_eq!(tally.enter(spread(99)), Entry::Uncounted);
        assert_eq!(tally.enter(spread(3)), Entry::Full);
        tally.leave(spread(3));
        assert_eq!(tally.enter(spread(99)), Entry::Counted);
    }

    /// As many clients as there may be connections, each with one.
    #[test]
    fn there_is_room_for_all_but_a_few() {
        let tally = Tally::new(1, 20_000);
        let entries = (0..20_000).map(|client| tally.enter(spread(client)));
        let uncounted = entries.filter(|entry| *entry == Entry::Uncounted).count();
        assert!(uncounted < 10, "{uncounted} of 20000");
    }

    #[test]
    fn many_threads_count_as_one() {
        const MOST: u32 = 2;
        let tally = Tally::new(MOST, 64);
        let inside = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..20_000u64 {
                        // Neighbours come and go in the same set.
                        let neighbour = tally.enter(spread(round % 64));
                        if tally.enter(u64::MAX / 5) == Entry::Counted {
                            assert!(inside.fetch_add(1, ORDER) < u64::from(MOST));
                            inside.fetch_sub(1, ORDER);
                            tally.leave(u64::MAX / 5);
                        }
                        if neighbour == Entry::Counted {
                            tally.leave(spread(round % 64));
                        }
                    }
                });
            }
        });
        assert!(tally.places.iter().all(|place| place.load(ORDER) & COUNT == 0));
    }

    proptest! {
        #[test]
        fn counts_are_those_of_a_map(
            most in 1u32..4,
            steps in prop::collection::vec((0u64..6, any::<bool>()), 1..300),
        ) {
            let tally = Tally::new(most, 100);
            let mut counts: HashMap<u64, u32> = HashMap::new();
            for (client, comes) in steps {
                let count = counts.entry(client).or_default();
                if comes {
                    let expected = if *count < most { Entry::Counted } else { Entry::Full };
                    prop_assert_eq!(tally.enter(spread(client)), expected);
                    *count += u32::from(expected == Entry::Counted);
                } else if *count > 0 {
                    tally.leave(spread(client));
                    *count -= 1;
                }
            }
        }
    }
}
