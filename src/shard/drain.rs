//! The call to stop accepting.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Told once to all who listen.
#[derive(Default)]
pub struct Drain {
    called: Cell<bool>,
    wakers: RefCell<Vec<Waker>>,
}

impl Drain {
    /// Nobody is told yet.
    pub fn new() -> Rc<Drain> {
        Rc::default()
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
