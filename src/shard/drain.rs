//! The call to stop accepting.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Told once to all who listen.
#[derive(Default)]
pub struct Drain {
    called: Cell<bool>,
    listeners: Cell<usize>,
    wakers: RefCell<Vec<Waker>>,
}

impl Drain {
    /// Nobody is told yet.
    pub fn new() -> Rc<Drain> {
        Rc::default()
    }

    /// One more listener, until the guard is dropped.
    pub fn listener(self: &Rc<Drain>) -> Listening {
        self.listeners.set(self.listeners.get() + 1);
        Listening(self.clone())
    }

    /// Listeners that have not let in yet what waited for them.
    pub fn listeners(&self) -> usize {
        self.listeners.get()
    }

    /// Tells everybody.
    pub fn call(&self) {
        self.called.set(true);
        self.wakers.take().into_iter().for_each(Waker::wake);
    }

    /// Ready once it was called.
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.called.get() {
            return Poll::Ready(());
        }
        let mut wakers = self.wakers.borrow_mut();
        if !wakers.iter().any(|known| known.will_wake(context.waker())) {
            wakers.push(context.waker().clone());
        }
        Poll::Pending
    }
}

/// A listener's part in the drain: the shard does not end before it is dropped.
pub struct Listening(Rc<Drain>);

impl Listening {
    /// As [`Drain::poll`].
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll(context)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.listeners.set(self.0.listeners.get() - 1);
    }
}
