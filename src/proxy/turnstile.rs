//! How many connections each client has, over all shards.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::Arc;

use crate::guard::{Entry, Tally, client_bits};

/// A shard's way to the common count.
#[derive(Clone)]
pub struct Turnstile {
    tally: Arc<Tally>,
    hasher: RandomState,
}

/// A connection that was counted: to be handed back.
#[derive(Clone, Copy, Debug)]
pub struct Ticket(NonZeroU64);

/// There are as many connections of this client as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowded;

impl Turnstile {
    /// The way to `tally`; `hasher` must be the same for all shards.
    pub fn new(tally: Arc<Tally>, hasher: RandomState) -> Turnstile {
        Turnstile { tally, hasher }
    }

    /// Counts a connection of the client with this address; `None`: it is not counted. Those who
    /// come through a Unix socket have no address, and are not.
    ///
    /// # Errors
    /// [`Crowded`].
    pub fn enter(&self, client: Option<IpAddr>) -> Result<Option<Ticket>, Crowded> {
        if client.is_none() {
            return Ok(None);
        }
        let key = NonZeroU64::MIN | self.hasher.hash_one(client_bits(client));
        match self.tally.enter(key.get()) {
            Entry::Counted => Ok(Some(Ticket(key))),
            Entry::Uncounted => Ok(None),
            Entry::Full => Err(Crowded),
        }
    }

    /// The connection has ended.
    pub fn leave(&self, ticket: Ticket) {
        self.tally.leave(ticket.0.get());
    }
}
