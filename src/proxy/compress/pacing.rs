//! How much a shard compresses before it looks at its sockets again.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::proxy::Context;
use crate::ring::{Ring, Tick, Timer};

/// What is compressed in one go, bytes: about 0.2 ms at the usual levels.
pub const PIECE: usize = 8 << 10;
/// So many pieces are compressed between two visits to the kernel, by all responses of a shard
/// together: whoever waits for something else waits a millisecond longer at most.
const PIECES: u64 = 4;
/// What the encoders of a shard hold at most, bytes. A response for whose encoder there is no room
/// goes out as it is.
const MEMORY_MAX: usize = 512 << 20;

/// What the responses of a shard that are compressed share.
#[derive(Default)]
pub struct Compression {
    /// What encoders hold, bytes.
    held: Cell<usize>,
    /// The turn that was seen last, by its time.
    seen: Cell<Tick>,
    /// Numbers pieces in the order in which they are asked for. Those below `limit` may be
    /// compressed now.
    next: Cell<u64>,
    limit: Cell<u64>,
}

impl Compression {
    /// What one more encoder may hold, bytes.
    pub fn room(&self) -> usize {
        MEMORY_MAX.saturating_sub(self.held.get())
    }

    /// Waits until a piece may be compressed: first come, first served, so that none starves.
    pub async fn turn(&self, ring: &Ring, timer: &Timer) {
        self.look(ring.now());
        let number = self.next.get();
        self.next.set(number + 1);
        while number >= self.limit.get() {
            // Any time that begins with the next turn.
            timer.sleep(Duration::from_nanos(1)).await;
            self.look(ring.now());
        }
    }

    /// Each turn lets so many more through; what the ones before did not use is gone.
    fn look(&self, now: Tick) {
        if self.seen.replace(now) != now {
            self.limit.set(self.limit.get().min(self.next.get()) + PIECES);
        }
    }
}

/// Counts what an encoder holds for as long as it lives.
pub struct Active {
    context: Rc<Context>,
    memory: usize,
}

impl Active {
    /// One more, of so many bytes.
    pub fn new(context: &Rc<Context>, memory: usize) -> Active {
        let held = &context.compression.held;
        held.set(held.get() + memory);
        Active { context: context.clone(), memory }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let held = &self.context.compression.held;
        held.set(held.get() - self.memory);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::future::{Future, poll_fn};
    use std::task::Poll;

    use glommio::{LocalExecutorBuilder, Placement};

    use super::*;
    use crate::ring::{Tier, mailbox};

    /// Runs `body` beside the pump of a ring.
    fn with_ring<F: Future<Output = ()> + 'static>(
        body: impl Fn(Ring) -> F + Send + Copy + 'static,
    ) {
        for tier in [Tier::V5_8, Tier::V5_19, Tier::V6_1] {
            let executor = LocalExecutorBuilder::new(Placement::Unbound);
            let executor = executor.spawn(move || async move {
                let ring = Ring::new(tier, 64, 64).expect("tests need io_uring");
                let (task, handle) = (body(ring.clone()), ring.clone());
                ring.spawn(async move {
                    let limit = Duration::from_secs(10);
                    handle.timer().within(limit, task).await.expect("the test hangs");
                    handle.stop();
                });
                ring.pump().await.expect("the pump goes on");
            });
            executor.expect("glommio starts").join().expect("the test passes");
        }
    }

    /// Eight large responses want all of the shard; what they get of each turn is bounded, and the
    /// same for all.
    #[test]
    fn a_turn_has_so_many_pieces_whoever_wants_them() {
        const RESPONSES: usize = 8;
        const EACH: usize = 40;
        with_ring(|ring| async move {
            let compression = Rc::new(Compression::default());
            let taken: Rc<RefCell<Vec<(Tick, usize)>>> = Rc::default();
            for response in 0..RESPONSES {
                let (ring, compression) = (ring.clone(), compression.clone());
                let taken = taken.clone();
                ring.clone().spawn(async move {
                    let timer = ring.timer();
                    for _ in 0..EACH {
                        compression.turn(&ring, &timer).await;
                        taken.borrow_mut().push((ring.now(), response));
                    }
                });
            }
            let timer = ring.timer();
            while taken.borrow().len() < RESPONSES * EACH {
                timer.sleep(Duration::from_micros(100)).await;
            }
            let mut turns: BTreeMap<Tick, u64> = BTreeMap::new();
            let mut counts = [0; RESPONSES];
            for (turn, response) in taken.borrow().iter() {
                *turns.entry(*turn).or_default() += 1;
                counts[*response] += 1;
                let (least, most) = (counts.iter().min(), counts.iter().max());
                assert!(most.unwrap() - least.unwrap() <= 2, "{counts:?}");
            }
            assert!(turns.values().all(|pieces| *pieces <= PIECES), "{turns:?}");
        });
    }

    /// Somebody else's message is seen in the turn after the one in which it came, or the one after
    /// that, however much there is to compress.
    #[test]
    fn nobody_else_waits_longer_than_two_turns() {
        with_ring(|ring| async move {
            let compression = Rc::new(Compression::default());
            let over = Rc::new(Cell::new(false));
            for _ in 0..8 {
                let (ring, compression, over) = (ring.clone(), compression.clone(), over.clone());
                ring.clone().spawn(async move {
                    let timer = ring.timer();
                    while !over.get() {
                        compression.turn(&ring, &timer).await;
                    }
                });
            }
            let (sender, mut messages) = mailbox::<()>().expect("an eventfd");
            let (_, mut turns) = ring.counts();
            for _ in 0..50 {
                // Sent while the others are busy: from a task that is polled once a turn.
                let timer = ring.timer();
                timer.sleep(Duration::from_nanos(1)).await;
                turns = turns.max(ring.counts().1);
                let mut receiving = std::pin::pin!(messages.recv(&ring));
                let mut sent = false;
                poll_fn(|context| {
                    let poll = receiving.as_mut().poll(context);
                    if !std::mem::replace(&mut sent, true) {
                        turns = ring.counts().1;
                        assert!(sender.send(()));
                    }
                    if poll.is_ready() { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                let waited = ring.counts().1 - turns;
                assert!(waited <= 2, "{waited} turns");
            }
            over.set(true);
        });
    }
}
