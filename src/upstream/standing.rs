//! What shards and the control thread tell each other about servers.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Poll, Waker};

use super::Outbox;
use super::passive::Ejection;
use crate::plan::{Address, ServerState};

/// A server of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Index into the plan's upstreams.
    pub upstream: usize,
    /// Index into its servers.
    pub server: usize,
}

/// What holds for a server in the whole process; the control thread says so to every shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What an operator wants of it.
    pub state: ServerState,
    /// Its active checks say nothing against it.
    pub checks_pass: bool,
    /// Its ejection, as of the message's sending.
    pub ejection: Option<Ejection>,
}

/// What a shard found out about a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The server.
    pub place: Place,
    /// What.
    pub fact: Fact,
}

/// What a shard may find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// What requests tell.
    Health {
        /// The ejection, as of the message's sending; `None`: it is not, or no longer, ejected.
        ejection: Option<Ejection>,
        /// Why that changed last; for the log.
        reason: &'static str,
    },
    /// Where a server listens that was given by name.
    Address(Address),
}

/// The kinds of [`Fact`], which change apart from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// [`Fact::Health`].
    Health,
    /// [`Fact::Address`].
    Address,
}

/// What a shard found out and has not told yet.
#[derive(Default)]
pub struct News {
    outbox: RefCell<Outbox<(Place, Topic)>>,
    waker: RefCell<Option<Waker>>,
}

impl News {
    pub(super) fn note(&self, place: Place, topic: Topic) {
        self.outbox.borrow_mut().note((place, topic));
        self.wake();
    }

    /// Whether the rest of the process may not know yet what this shard found out about a server.
    pub(super) fn is_pending(&self, place: Place, topic: Topic) -> bool {
        self.outbox.borrow().is_pending((place, topic))
    }

    /// Waits until there is something to tell, and the last message was taken.
    pub async fn next(&self) -> Vec<(Place, Topic)> {
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
