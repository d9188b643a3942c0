//! Connections that one shard accepts and another serves (`steering = "balance"`).
//!
//! They go from mailbox to mailbox. A shard that drains tells the others when it will hand over no
//! more, and serves what is under way to it until all have said so: nothing is lost in between.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::guard::{Loads, Obituary};
use crate::plan::Plan;
use crate::ring::Sender;

/// From shard to shard.
pub enum Handed {
    /// A connection to be served as if it had been accepted here.
    Connection {
        /// Who accepted it.
        from: usize,
        /// The plan in force there.
        plan: Arc<Plan>,
        /// Which of the plan's listeners it came to.
        listener: usize,
        /// The connection.
        fd: OwnedFd,
    },
    /// That shard hands over no more.
    NoMore(usize),
}

/// A shard's way to the others.
pub struct Handover {
    /// Its own number.
    pub number: usize,
    peers: Vec<Option<Sender<Handed>>>,
}

impl Handover {
    /// That of shard `number`; to itself it has no way.
    pub fn new(number: usize, senders: &[Sender<Handed>]) -> Handover {
        let senders = senders.iter().enumerate();
        let peers = senders.map(|(other, sender)| (other != number).then(|| sender.clone()));
        Handover { number, peers: peers.collect() }
    }

    /// The others.
    pub fn peers(&self) -> impl Iterator<Item = usize> {
        let known = self.peers.iter().enumerate().filter(|(_, sender)| sender.is_some());
        known.map(|(shard, _)| shard)
    }

    /// Hands a connection to `shard`.
    ///
    /// # Errors
    /// Gives it back when that shard has ended.
    pub fn pass(
        &self,
        shard: usize,
        loads: &Loads,
        (plan, listener): (Arc<Plan>, usize),
        fd: OwnedFd,
    ) -> Result<(), OwnedFd> {
        let Some(Some(peer)) = self.peers.get(shard) else { return Err(fd) };
        loads.handed_to(shard);
        match peer.pass(Handed::Connection { from: self.number, plan, listener, fd }) {
            Err(Handed::Connection { fd, .. }) => {
                loads.handed_back_by(shard);
                Err(fd)
            }
            _ => Ok(()),
        }
    }

    /// Tells the others that nothing comes any more.
    pub fn close(&self) {
        for peer in self.peers.iter().flatten() {
            peer.send(Handed::NoMore(self.number));
        }
    }
}

/// What the others are told once a shard has ended, even by a panic.
pub struct LastWords {
    /// That it takes no more.
    pub obituary: Obituary,
    /// That it hands over no more.
    pub handover: Handover,
}

impl LastWords {
    /// Tells them.
    pub fn say(&self) {
        self.obituary.publish();
        self.handover.close();
    }
}
