//! Checks the passwords that requests bring, so that no shard has to.

#![allow(clippy::disallowed_types, reason = "these threads take their work from one queue")]

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use crate::shard::{INQUIRIES_MAX, Inquiry};

/// At most so many at once: the more, the less is left for shards.
const THREADS_MAX: usize = 4;
/// How much a shard on the same CPU goes before (nice(2)): three quarters of it.
const NICENESS: i32 = 5;

/// Starts the threads that check for so many shards; they end when nobody can ask any more.
///
/// # Errors
/// When none can be started.
pub fn start(shards: usize) -> io::Result<SyncSender<Inquiry>> {
    // Room for all that shards let wait, so that whoever fills one leaves the others theirs.
    let (desk, inquiries) = sync_channel(shards * INQUIRIES_MAX);
    let queue = Arc::new(Mutex::new(Queue { inquiries, turns: Turns::default() }));
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    for _ in 0..(cpus / 2).clamp(1, THREADS_MAX) {
        let queue = queue.clone();
        thread::Builder::new().name("passwords".into()).spawn(move || check(&queue))?;
    }
    Ok(desk)
}

fn check(queue: &Mutex<Queue>) {
    // Of this thread alone, on Linux. Where that is not allowed, shards have to share.
    let _ = rustix::process::setpriority_process(None, NICENESS);
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some(inquiry) = next else { break };
        inquiry.answer();
    }
}

/// What waits, of all shards.
struct Queue {
    inquiries: Receiver<Inquiry>,
    turns: Turns<Inquiry>,
}

impl Queue {
    /// Waits for one; `None`: there will be none.
    fn next(&mut self) -> Option<Inquiry> {
        if self.turns.is_empty() {
            let inquiry = self.inquiries.recv().ok()?;
            self.turns.push(inquiry.client(), inquiry);
        }
        while let Ok(inquiry) = self.inquiries.try_recv() {
            self.turns.push(inquiry.client(), inquiry);
        }
        self.turns.pop()
    }
}

/// Clients take turns, so that whoever guesses a thousand times keeps others waiting for one check.
struct Turns<T> {
    of_client: HashMap<u128, VecDeque<T>>,
    /// Those who have something waiting, each once.
    next: VecDeque<u128>,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Turns { of_client: HashMap::new(), next: VecDeque::new() }
    }
}

impl<T> Turns<T> {
    fn is_empty(&self) -> bool {
        self.next.is_empty()
    }

    fn push(&mut self, client: u128, one: T) {
        let waiting = self.of_client.entry(client).or_default();
        if waiting.is_empty() {
            self.next.push_back(client);
        }
        waiting.push_back(one);
    }

    fn pop(&mut self) -> Option<T> {
        let client = self.next.pop_front()?;
        let waiting = self.of_client.get_mut(&client)?;
        let one = waiting.pop_front();
        match waiting.is_empty() {
            true => drop(self.of_client.remove(&client)),
            false => self.next.push_back(client),
        }
        one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_take_turns() {
        let mut turns = Turns::default();
        (0..100).for_each(|guess| turns.push(1, (1, guess)));
        turns.push(2, (2, 0));
        turns.push(3, (3, 0));
        turns.push(3, (3, 1));
        let first: Vec<(u128, i32)> = (0..7).filter_map(|_| turns.pop()).collect();
        assert_eq!(first, [(1, 0), (2, 0), (3, 0), (1, 1), (3, 1), (1, 2), (1, 3)]);
        turns.push(2, (2, 1));
        assert_eq!([turns.pop(), turns.pop()], [Some((1, 4)), Some((2, 1))]);
        assert_eq!((0..).map_while(|_| turns.pop()).count(), 95);
        assert!(turns.is_empty() && turns.of_client.is_empty());
    }
}
