//! How many connections each client has, over all shards.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;

use crate::guard::{Entry, Tally, client_bits};

/// A shard's way to the common count.
#[derive(Clone)]
pub struct Turnstile {
    tally: Arc<Tally>,
    hasher: RandomState,
}

/// A connection that is counted for its client, until this is dropped.
pub struct Ticket {
    tally: Arc<Tally>,
    key: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.tally.leave(self.key);
    }
}

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
        let key = self.hasher.hash_one(client_bits(client));
        match self.tally.enter(key) {
            Entry::Counted => Ok(Some(Ticket { tally: self.tally.clone(), key })),
            Entry::Uncounted => Ok(None),
            Entry::Full => Err(Crowded),
        }
    }
}
