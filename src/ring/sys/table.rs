//! Every operation in flight, and the memory that it has lent to the kernel.

use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Waker;

use super::buffers::Stock;
use super::request::Hold;
use super::uring::{Outcome, discard};
use crate::ring::slots::Slots;

/// How many results a multishot operation may pile up before it is stopped.
const BACKLOG: usize = 2;
/// In a slot: the operation has lent nothing.
const NOTHING: u32 = u32::MAX;

/// Names an operation in flight.
pub type Key = u32;

/// What polling an operation says.
pub enum Progress {
    /// Nothing yet.
    Pending,
    /// A result, and more may follow.
    More(Outcome),
    /// The last result; the memory comes back.
    Last(Outcome, Hold),
}

/// Whether the kernel must be asked to cancel an operation.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    No,
    Needed,
}

/// The table. An operation's memory stays in it until [`Table::complete`] was told of its last
/// completion; nothing else takes it out.
#[derive(Default)]
pub struct Table {
    slots: Slots<Slot>,
    /// What was lent, apart from the slots: an idle connection's receive lends nothing.
    holds: Slots<Hold>,
    in_flight: usize,
}

#[derive(Default)]
struct Slot {
    waker: Option<Waker>,
    results: Results,
    /// A key of `Table::holds`, or `NOTHING`.
    hold: u32,
    state: State,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Free,
    /// The kernel may still touch what was lent.
    InFlight,
    /// As `InFlight`, and a stop was asked for.
    Stopping,
    /// As `InFlight`, but nobody waits: results are thrown away.
    Orphan,
    /// The kernel is done; results wait to be taken.
    Done,
}

/// Results not taken yet; the first needs no allocation.
#[derive(Default)]
struct Results {
    first: Option<Outcome>,
    #[allow(clippy::box_collection, reason = "keeps slots small; hardly any has a backlog")]
    rest: Option<Box<VecDeque<Outcome>>>,
}

impl Results {
    fn push(&mut self, outcome: Outcome) {
        if self.first.is_none() {
            self.first = Some(outcome);
        } else {
            self.rest.get_or_insert_default().push_back(outcome);
        }
    }

    fn pop(&mut self) -> Option<Outcome> {
        let first = self.first.take()?;
        self.first = self.rest.as_mut().and_then(|rest| rest.pop_front());
        if self.first.is_none() {
            self.rest = None;
        }
        Some(first)
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.as_ref().map_or(0, |rest| rest.len())
    }
}

impl Table {
    /// A new operation that lends `hold` to the kernel.
    pub fn insert(&mut self, hold: Hold) -> Key {
        let hold = match hold {
            Hold::Nothing => NOTHING,
            hold => {
                let place = self.holds.insert();
                self.holds[place] = hold;
                place
            }
        };
        let key = self.slots.insert();
        let slot = &mut self.slots[key];
        (slot.hold, slot.state) = (hold, State::InFlight);
        self.in_flight += 1;
        key
    }

    /// Operations that the kernel has not finished.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Takes the next result of `key`, or leaves `waker` to be woken when there is one. After
    /// `Progress::Last` the key is void.
    pub fn poll(&mut self, key: Key, waker: &Waker) -> Progress {
        let slot = &mut self.slots[key];
        match slot.results.pop() {
            Some(outcome) if slot.state == State::Done && slot.results.first.is_none() => {
                Progress::Last(outcome, self.release(key))
            }
            Some(outcome) => Progress::More(outcome),
            None => {
                if !slot.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
                    slot.waker = Some(waker.clone());
                }
                Progress::Pending
            }
        }
    }

    /// Adds the wakers of all who wait for a result.
    pub fn waiting(&self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.slots.iter().filter_map(|slot| slot.waker.clone()));
    }

    /// The result of `key` that is to be taken next.
    pub fn result(&self, key: Key) -> Option<i32> {
        self.slots[key].results.first.map(|(result, _)| result)
    }

    /// `key` shall end; its last result still has to be taken.
    pub fn stop(&mut self, key: Key) -> Cancel {
        let slot = &mut self.slots[key];
        if slot.state != State::InFlight {
            return Cancel::No;
        }
        slot.state = State::Stopping;
        Cancel::Needed
    }

    /// Nobody will take results of `key` any more. What it has lent stays until the kernel is done.
    pub fn abandon(&mut self, key: Key, stock: &Rc<Stock>) -> Cancel {
        let slot = &mut self.slots[key];
        slot.waker = None;
        let accepting = self.holds.get(slot.hold).is_some_and(Hold::brings_descriptor);
        while let Some(outcome) = slot.results.pop() {
            discard(stock, accepting, outcome);
        }
        match slot.state {
            State::InFlight => {
                slot.state = State::Orphan;
                return Cancel::Needed;
            }
            State::Stopping => slot.state = State::Orphan,
            State::Done => drop(self.release(key)),
            State::Orphan | State::Free => debug_assert!(false, "abandoned twice"),
        }
        Cancel::No
    }

    /// Takes note of a completion of `key`, the last one or not. A waiting task's waker goes into
    /// `wakers`.
    pub fn complete(
        &mut self,
        key: Key,
        outcome: Outcome,
        last: bool,
        stock: &Rc<Stock>,
        wakers: &mut Vec<Waker>,
    ) -> Cancel {
        self.in_flight -= usize::from(last);
        let slot = &mut self.slots[key];
        let accepting = self.holds.get(slot.hold).is_some_and(Hold::brings_descriptor);
        if slot.state == State::Orphan {
            discard(stock, accepting, outcome);
            if last {
                drop(self.release(key));
            }
            return Cancel::No;
        }
        slot.results.push(outcome);
        wakers.extend(slot.waker.take());
        if last {
            slot.state = State::Done;
            Cancel::No
        } else if slot.results.len() >= BACKLOG && !accepting {
            // Nobody takes what it brings: back-pressure instead of memory.
            self.stop(key)
        } else {
            Cancel::No
        }
    }

    /// Keys of operations that somebody may still wait for.
    pub fn awaited(&self) -> Vec<Key> {
        let awaited =
            |key: &Key| matches!(self.slots[*key].state, State::InFlight | State::Stopping);
        (0..self.slots.len()).filter(awaited).collect()
    }

    /// Leaks everything that was lent: the kernel may still write to it.
    pub fn leak(&mut self) {
        self.holds.iter_mut().for_each(|hold| std::mem::forget(std::mem::take(hold)));
    }

    fn release(&mut self, key: Key) -> Hold {
        let slot = &mut self.slots[key];
        (slot.waker, slot.state) = (None, State::Free);
        let place = std::mem::replace(&mut slot.hold, NOTHING);
        self.slots.remove(key);
        if place == NOTHING {
            return Hold::Nothing;
        }
        self.holds.remove(place);
        std::mem::take(&mut self.holds[place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: Outcome = (1, 0);

    fn fixture() -> (Table, Rc<Stock>, Vec<Waker>) {
        (Table::default(), Stock::new(8, false), Vec::new())
    }

    #[test]
    fn memory_stays_until_the_last_completion() {
        let (mut table, stock, mut wakers) = fixture();
        let buf = stock.lease().unwrap();
        let key = table.insert(Hold::Buf(buf));
        assert_eq!(table.abandon(key, &stock), Cancel::Needed);
        assert_eq!(stock.usage().1, 1, "the kernel has it still");
        assert_eq!(table.complete(key, (-125, 0), true, &stock, &mut wakers), Cancel::No);
        assert_eq!((stock.usage().1, table.in_flight()), (0, 0));
    }

    #[test]
    fn results_come_in_order_and_the_last_one_frees_the_key() {
        let (mut table, stock, mut wakers) = fixture();
        let key = table.insert(Hold::Nothing);
        assert!(matches!(table.poll(key, Waker::noop()), Progress::Pending));
        assert_eq!(table.complete(key, DATA, false, &stock, &mut wakers), Cancel::No);
        assert_eq!(wakers.len(), 1);
        assert_eq!(table.complete(key, (2, 0), false, &stock, &mut wakers), Cancel::Needed);
        assert_eq!(table.complete(key, (-125, 0), true, &stock, &mut wakers), Cancel::No);
        assert!(matches!(table.poll(key, Waker::noop()), Progress::More((1, 0))));
        assert!(matches!(table.poll(key, Waker::noop()), Progress::More((2, 0))));
        assert!(matches!(table.poll(key, Waker::noop()), Progress::Last((-125, 0), Hold::Nothing)));
        assert_eq!(table.insert(Hold::Nothing), key);
    }

    /// What every idle connection has at least one of.
    #[test]
    fn a_slot_is_small() {
        assert!(size_of::<Slot>() <= 48, "{} bytes", size_of::<Slot>());
    }
}
