//! What is known of each server, and which shard has yet to hear it. Time is an argument.
//!
//! The last word counts: a finding replaces what was known. A shard ignores what this board says
//! of a server as long as its own finding is on its way here, and this board says it again
//! afterwards, so all shards end up with the finding that came last.

use std::fmt;
use std::time::{Duration, Instant};

use crate::plan::{Plan, ServerState};
use crate::shard::{Ejection, Finding, Outbox, Place, Standing};

/// All servers.
pub struct Board {
    upstreams: Vec<Upstream>,
    /// One for each shard.
    outboxes: Vec<Outbox<Place>>,
}

struct Upstream {
    name: String,
    servers: Vec<Server>,
}

struct Server {
    name: String,
    state: ServerState,
    ejection: Option<Ejected>,
}

#[derive(Clone, Copy)]
struct Ejected {
    until: Instant,
    length: Duration,
    on_trial: bool,
}

/// What a server is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It takes requests.
    Up,
    /// Requests failed.
    Ejected,
    /// By hand: no new requests.
    Drain,
    /// By hand: left alone.
    Down,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Up => "up",
            Status::Ejected => "ejected",
            Status::Drain => "drain",
            Status::Down => "down",
        })
    }
}

/// A change of status.
#[derive(Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The upstream's name.
    pub upstream: &'a str,
    /// The server's address as configured.
    pub server: &'a str,
    /// What it was.
    pub old: Status,
    /// What it is.
    pub new: Status,
    /// Why.
    pub reason: &'a str,
}

impl Server {
    fn status(&self) -> Status {
        match (self.state, self.ejection) {
            (ServerState::Drain, _) => Status::Drain,
            (ServerState::Down, _) => Status::Down,
            (ServerState::Up, Some(_)) => Status::Ejected,
            (ServerState::Up, None) => Status::Up,
        }
    }

    fn standing(&self, now: Instant) -> Standing {
        let ejection = self.ejection.map(|Ejected { until, length, on_trial }| Ejection {
            left: until.saturating_duration_since(now),
            length,
            on_trial,
        });
        Standing { state: self.state, ejection }
    }
}

impl Board {
    /// The plan's servers, of which nothing is known beyond that.
    pub fn new(plan: &Plan, shards: usize) -> Board {
        let upstreams = plan.upstreams.iter().map(|plan| {
            let server = |server: &crate::plan::ServerPlan| Server {
                name: server.address.to_string(),
                state: server.state,
                ejection: None,
            };
            let servers = plan.servers.iter().map(server).collect();
            Upstream { name: plan.name.clone(), servers }
        });
        Board {
            upstreams: upstreams.collect(),
            outboxes: (0..shards).map(|_| Outbox::default()).collect(),
        }
    }

    /// A shard has found out something.
    pub fn found<'a>(&'a mut self, finding: &'a Finding, now: Instant) -> Option<Change<'a>> {
        let ejection = finding.ejection.map(|Ejection { left, length, on_trial }| Ejected {
            until: now + left,
            length,
            on_trial,
        });
        self.change(finding.place, finding.reason, |server| server.ejection = ejection)
    }

    /// An operator has decided.
    pub fn set_state(&mut self, place: Place, state: ServerState) -> Option<Change<'_>> {
        self.change(place, "set by hand", |server| server.state = state)
    }

    fn change<'a>(
        &'a mut self,
        place: Place,
        reason: &'a str,
        change: impl FnOnce(&mut Server),
    ) -> Option<Change<'a>> {
        let upstream = self.upstreams.get_mut(place.upstream)?;
        let server = upstream.servers.get_mut(place.server)?;
        let old = server.status();
        change(server);
        self.outboxes.iter_mut().for_each(|outbox| outbox.note(place));
        let new = server.status();
        (old != new).then_some(Change {
            upstream: &upstream.name,
            server: &server.name,
            old,
            new,
            reason,
        })
    }

    /// What to tell a shard now, if anything: nothing while the last message is under way to it.
    pub fn next_batch(&mut self, shard: usize, now: Instant) -> Option<Vec<(Place, Standing)>> {
        let places = self.outboxes.get_mut(shard)?.next_message()?;
        let standing = |place: Place| {
            let server = self.upstreams.get(place.upstream)?.servers.get(place.server)?;
            Some((place, server.standing(now)))
        };
        Some(places.into_iter().filter_map(standing).collect())
    }

    /// A shard has taken the last message.
    pub fn applied(&mut self, shard: usize) {
        if let Some(outbox) = self.outboxes.get_mut(shard) {
            outbox.delivered();
        }
    }
}

#[cfg(test)]
mod tests;
