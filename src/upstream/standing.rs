//! What shards and the control thread tell each other about servers.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Poll, Waker};

use super::Outbox;
use super::passive::Ejection;
use crate::plan::{ServerId, ServerState};

/// What holds for a server in the whole process; the control thread says so to every shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What an operator wants of it.
    pub state: ServerState,
    /// Its share of requests relative to the others; at least 1.
    pub weight: u32,
    /// Its active checks say nothing against it.
    pub checks_pass: bool,
    /// Its ejection, as of the message's sending.
    pub ejection: Option<Ejection>,
}

/// What requests told a shard about a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The server.
    pub server: ServerId,
    /// The ejection, as of the message's sending; `None`: it is not, or no longer, ejected.
    pub ejection: Option<Ejection>,
    /// Why that changed last; for the log.
    pub reason: &'static str,
}

/// What a shard found out and has not told yet.
#[derive(Default)]
pub struct News {
    outbox: RefCell<Outbox<ServerId>>,
    waker: RefCell<Option<Waker>>,
}

impl News {
    pub(super) fn note(&self, server: ServerId) {
        self.outbox.borrow_mut().note(server);
        self.wake();
    }

    /// Whether the rest of the process may not know yet what this shard found out about a server.
    pub(super) fn is_pending(&self, server: ServerId) -> bool {
        self.outbox.borrow().is_pending(server)
    }

    /// Waits until there is something to tell, and the last message was taken.
    pub async fn next(&self) -> Vec<ServerId> {
        poll_fn(|context| match self.outbox.borrow_mut().next_message() {
            Some(changed) => Poll::Ready(changed),
            None => {
                *self.waker.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    /// The control thread has taken the last message.
    pub fn delivered(&self) {
        self.outbox.borrow_mut().delivered();
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
