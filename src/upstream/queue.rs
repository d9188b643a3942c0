//! Requests that wait for a server with room.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// The queue of an upstream in one shard.
#[derive(Default)]
pub struct Queue {
    waiters: RefCell<VecDeque<Rc<Waiter>>>,
    /// Waiters that were called and have not chosen yet: newcomers must not overtake them.
    called: Cell<usize>,
    /// Counts the places that became free: each is offered to each waiter once at most.
    round: Cell<u64>,
}

#[derive(Default)]
struct Waiter {
    /// It may choose now.
    called: Cell<bool>,
    /// The round of calls in which it was called last.
    round: Cell<u64>,
    waker: RefCell<Option<Waker>>,
}

impl Queue {
    /// Whether nobody is before a newcomer.
    pub fn is_idle(&self) -> bool {
        self.waiters.borrow().is_empty() && self.called.get() == 0
    }

    /// Requests waiting.
    pub fn waiting(&self) -> usize {
        self.waiters.borrow().len()
    }

    /// A server has room for one more.
    pub fn place_is_free(&self) {
        self.round.set(self.round.get() + 1);
        self.call_next();
    }

    /// Calls the first waiter that was not called in this round.
    pub fn call_next(&self) {
        let round = self.round.get();
        let next = {
            let mut waiters = self.waiters.borrow_mut();
            let first = waiters.iter().position(|waiter| waiter.round.get() != round);
            first.and_then(|first| waiters.remove(first))
        };
        if let Some(waiter) = next {
            waiter.called.set(true);
            waiter.round.set(round);
            self.called.set(self.called.get() + 1);
            if let Some(waker) = waiter.waker.take() {
                waker.wake();
            }
        }
    }
}

/// A place in the queue. Given up unused after being called, it calls the next.
pub struct Turn<'a> {
    queue: &'a Queue,
    waiter: Rc<Waiter>,
}

impl<'a> Turn<'a> {
    /// Joins the queue: in the first place who has used up a call of this `round`, else, with
    /// round 0, in the last.
    pub fn join(queue: &'a Queue, round: u64) -> Turn<'a> {
        let waiter = Rc::new(Waiter { round: Cell::new(round), ..Waiter::default() });
        // Who was called before, and could not use the place, keeps its turn.
        match round {
            0 => queue.waiters.borrow_mut().push_back(waiter.clone()),
            _ => queue.waiters.borrow_mut().push_front(waiter.clone()),
        }
        Turn { queue, waiter }
    }

    /// Waits to be called.
    pub async fn called(&self) {
        poll_fn(|context| {
            if self.waiter.called.get() {
                return Poll::Ready(());
            }
            *self.waiter.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Takes the call, and says of which round it was.
    pub fn use_up(self) -> u64 {
        self.leave();
        self.waiter.round.get()
    }

    /// Is a called waiter no more; `false` if it was none.
    fn leave(&self) -> bool {
        let called = self.waiter.called.replace(false);
        if called {
            self.queue.called.set(self.queue.called.get() - 1);
        }
        called
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.leave() {
            self.queue.call_next();
        } else {
            self.queue.waiters.borrow_mut().retain(|other| !Rc::ptr_eq(other, &self.waiter));
        }
    }
}
