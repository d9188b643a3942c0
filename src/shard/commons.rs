//! What shards have in common: the count of each client's connections, and what they tell each
//! other of the requests that rates let through, of how many connections they have, and of
//! connections that another is to serve.
//!
//! What rates let through they tell directly, from mailbox to mailbox: a message to each other
//! shard, at most one in each interval, and none while no route with a rate is asked for.

use std::hash::RandomState;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::handover::{Handed, Handover, LastWords};
use super::listeners::Listeners;
use crate::guard::{Loads, Tally};
use crate::plan::Plan;
use crate::proxy::{Context, Rates, Taken, Turnstile};
use crate::ring::{Mailbox, Sender, mailbox};

/// How long requests are collected before the others are told of them.
const INTERVAL: Duration = Duration::from_millis(100);
/// Most keys that a shard is told of by all others in an interval: each costs it about 50 ns.
const KEYS_TOLD_MAX: usize = 32_768;
/// A shard that has not looked at so many messages is told no more until it has.
const UNREAD_MAX: usize = 16;

/// What one shard has in common with the others.
pub struct Commons {
    hasher: RandomState,
    tally: Option<Arc<Tally>>,
    /// Keys that it may tell of in an interval.
    news: usize,
    peers: Vec<Peer>,
    inbox: Option<Inbox>,
    loads: Loads,
    /// The ways to the mailboxes of all.
    ways: Vec<Sender<Handed>>,
    handed: Option<Mailbox<Handed>>,
}

type Message = Arc<[Taken]>;

/// Another shard.
struct Peer {
    sender: Sender<Message>,
    unread: Arc<AtomicUsize>,
}

/// Where a shard is told.
struct Inbox {
    mailbox: Mailbox<Message>,
    unread: Arc<AtomicUsize>,
}

/// The commons of each shard, in their order.
///
/// # Errors
/// Those of eventfd(2).
pub fn commons(plan: &Plan) -> io::Result<Vec<Commons>> {
    let shards = plan.shards.cpus.len();
    let hasher = RandomState::new();
    let tally = plan.shards.connections_per_client.map(|most| {
        let connections = plan.shards.max_connections as usize * shards;
        Arc::new(Tally::new(most, connections))
    });
    let alone = |loads| Commons {
        hasher: hasher.clone(),
        tally: tally.clone(),
        news: 0,
        peers: Vec::new(),
        inbox: None,
        loads,
        ways: Vec::new(),
        handed: None,
    };
    let mut all: Vec<Commons> = Loads::of(shards).into_iter().map(alone).collect();
    if shards == 1 {
        return Ok(all);
    }
    let mut ways = Vec::new();
    for commons in &mut all {
        let (sender, handed) = mailbox()?;
        ways.push(sender);
        commons.handed = Some(handed);
    }
    for number in 0..shards {
        all[number].ways = ways.clone();
        let (sender, mailbox) = mailbox()?;
        let unread = Arc::new(AtomicUsize::new(0));
        all[number].news = (KEYS_TOLD_MAX / shards).max(1);
        all[number].inbox = Some(Inbox { mailbox, unread: unread.clone() });
        for (_, other) in all.iter_mut().enumerate().filter(|(other, _)| *other != number) {
            other.peers.push(Peer { sender: sender.clone(), unread: unread.clone() });
        }
    }
    Ok(all)
}

impl Commons {
    /// The shard's rates.
    pub fn rates(&self, plan: &Plan) -> Rates {
        Rates::new(&plan.rates, self.hasher.clone(), self.news)
    }

    /// The shard's way to the count of each client's connections.
    pub fn turnstile(&self) -> Option<Turnstile> {
        let tally = self.tally.clone()?;
        Some(Turnstile::new(tally, self.hasher.clone()))
    }

    /// What the others are to be told when this shard, which has that number, has ended.
    pub fn last_words(&self, number: usize) -> LastWords {
        let handover = Handover::new(number, &self.ways);
        LastWords { obituary: self.loads.obituary(), handover }
    }

    /// The way by which this shard, which has that number, hands connections to others.
    pub fn handover(&self, number: usize) -> Handover {
        Handover::new(number, &self.ways)
    }

    /// The shard's part in what all say of their connections; once.
    pub fn loads(&mut self) -> Loads {
        std::mem::replace(&mut self.loads, Loads::of(1).remove(0))
    }

    /// Starts to tell and to hear.
    pub fn start(self, context: &Rc<Context>, listeners: &Rc<Listeners>) {
        if let Some(handed) = self.handed {
            listeners.take_over(context, handed);
        }
        if let Some(inbox) = self.inbox {
            context.ring.spawn(inbox.hear(context.clone()));
            context.ring.spawn(tell(context.clone(), self.peers));
        }
    }
}

impl Inbox {
    async fn hear(mut self, context: Rc<Context>) {
        while let Some(taken) = self.mailbox.recv(&context.ring).await {
            self.unread.fetch_sub(1, Ordering::Relaxed);
            let service = context.service.borrow().clone();
            service.rates.charge(&taken, context.ring.now());
        }
    }
}

async fn tell(context: Rc<Context>, peers: Vec<Peer>) {
    let timer = context.ring.timer();
    loop {
        let service = context.service.borrow().clone();
        service.rates.news().await;
        timer.sleep(INTERVAL).await;
        // Another plan may have come meanwhile.
        let service = context.service.borrow().clone();
        let taken: Message = service.rates.tell().into();
        for peer in &peers {
            if peer.unread.load(Ordering::Relaxed) < UNREAD_MAX {
                peer.unread.fetch_add(1, Ordering::Relaxed);
                peer.sender.send(taken.clone());
            }
        }
    }
}
