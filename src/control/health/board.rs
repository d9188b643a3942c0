//! What is known of each server, and which shard has yet to hear it. Time is an argument.
//!
//! The last word counts: a finding replaces what was known. A shard ignores what this board says
//! of a server as long as its own finding is on its way here, and this board says it again
//! afterwards, so all shards end up with the finding that came last.

use std::fmt;
use std::time::{Duration, Instant};

use crate::plan::{Address, CheckPlan, Plan, ServerAddress, ServerPlan, ServerState};
use crate::shard::{Ejection, Fact, Finding, Outbox, Place, Standing};

/// All servers.
pub struct Board {
    upstreams: Vec<Upstream>,
    /// One for each shard.
    outboxes: Vec<Outbox<Place>>,
}

struct Upstream {
    name: String,
    check: Option<CheckPlan>,
    servers: Vec<Server>,
}

struct Server {
    name: String,
    address: Option<Address>,
    state: ServerState,
    ejection: Option<Ejected>,
    checks: Checks,
}

#[derive(Clone, Copy)]
struct Ejected {
    until: Instant,
    length: Duration,
    on_trial: bool,
    /// Successful checks have ended the waiting.
    hastened: bool,
}

/// What active checks tell.
struct Checks {
    pass: bool,
    /// In a row, since the last failure of a check or a request.
    successes: u32,
    /// In a row.
    failures: u32,
}

/// What a server is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It takes requests.
    Up,
    /// Requests failed.
    Ejected,
    /// Checks failed.
    Failing,
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
            Status::Failing => "failing",
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
    pub reason: String,
}

impl Server {
    fn new(plan: &ServerPlan) -> Server {
        let address = match &plan.address {
            ServerAddress::Fixed(address) => Some(address.clone()),
            ServerAddress::Name { .. } => None,
        };
        Server {
            name: plan.address.to_string(),
            address,
            state: plan.state,
            ejection: None,
            checks: Checks { pass: true, successes: 0, failures: 0 },
        }
    }

    fn status(&self) -> Status {
        match (self.state, self.ejection) {
            (ServerState::Drain, _) => Status::Drain,
            (ServerState::Down, _) => Status::Down,
            (ServerState::Up, _) if !self.checks.pass => Status::Failing,
            (ServerState::Up, Some(_)) => Status::Ejected,
            (ServerState::Up, None) => Status::Up,
        }
    }

    fn standing(&self, now: Instant) -> Standing {
        let ejection = self.ejection.map(|ejected| Ejection {
            left: ejected.until.saturating_duration_since(now),
            length: ejected.length,
            on_trial: ejected.on_trial,
        });
        Standing { state: self.state, checks_pass: self.checks.pass, ejection }
    }

    fn set_ejection(&mut self, ejection: Option<Ejection>, now: Instant) {
        if ejection.is_some_and(|ejection| !ejection.on_trial) {
            self.checks.successes = 0;
        }
        let hastened = self.ejection.is_some_and(|ejected| ejected.hastened);
        self.ejection = ejection.map(|Ejection { left, length, on_trial }| {
            let until = now + left;
            Ejected { until, length, on_trial, hastened }
        });
    }

    /// A check succeeded; says whether that changes anything.
    fn check_passed(&mut self, rise: u32, now: Instant) -> bool {
        let checks = &mut self.checks;
        checks.failures = 0;
        checks.successes = checks.successes.saturating_add(1);
        if checks.successes < rise {
            return false;
        }
        // The rule is at the head of `upstream::health`.
        if !std::mem::replace(&mut checks.pass, true) {
            self.ejection = None;
            return true;
        }
        match &mut self.ejection {
            Some(ejected) if !ejected.hastened => {
                ejected.until = ejected.until.min(now);
                ejected.hastened = true;
                true
            }
            _ => false,
        }
    }

    /// A check failed; says whether that takes the server out.
    fn check_failed(&mut self, fall: u32) -> bool {
        let checks = &mut self.checks;
        checks.successes = 0;
        checks.failures = checks.failures.saturating_add(1);
        checks.failures >= fall && std::mem::replace(&mut checks.pass, false)
    }
}

impl Board {
    /// The plan's servers, of which nothing is known beyond that.
    pub fn new(plan: &Plan, shards: usize) -> Board {
        let upstreams = plan.upstreams.iter().map(|plan| Upstream {
            name: plan.name.clone(),
            check: plan.check.clone(),
            servers: plan.servers.iter().map(Server::new).collect(),
        });
        Board {
            upstreams: upstreams.collect(),
            outboxes: (0..shards).map(|_| Outbox::default()).collect(),
        }
    }

    /// A shard has found out something.
    pub fn found(&mut self, finding: &Finding, now: Instant) -> Option<Change<'_>> {
        match &finding.fact {
            Fact::Address(address) => {
                self.server_mut(finding.place)?.address = Some(address.clone());
                None
            }
            Fact::Health { ejection, reason } => self.change(finding.place, |server| {
                server.set_ejection(*ejection, now);
                Some((*reason).to_owned())
            }),
        }
    }

    /// An operator has decided.
    pub fn set_state(&mut self, place: Place, state: ServerState) -> Option<Change<'_>> {
        self.change(place, |server| {
            server.state = state;
            Some("set by hand".to_owned())
        })
    }

    /// Where to check a server; `None`: not now, since it is left alone or has no address.
    pub fn target(&self, place: Place) -> Option<Address> {
        let server = self.upstreams.get(place.upstream)?.servers.get(place.server)?;
        server.address.clone().filter(|_| server.state != ServerState::Down)
    }

    /// A check has ended; `Err` says what was wrong.
    pub fn checked(
        &mut self,
        place: Place,
        outcome: Result<(), String>,
        now: Instant,
    ) -> Option<Change<'_>> {
        let CheckPlan { rise, fall, .. } = *self.upstreams.get(place.upstream)?.check.as_ref()?;
        self.change(place, |server| match outcome {
            Ok(()) => {
                server.check_passed(rise, now).then(|| format!("{rise} checks in a row succeeded"))
            }
            Err(why) => server
                .check_failed(fall)
                .then(|| format!("{fall} checks in a row failed, the last: {why}")),
        })
    }

    fn server_mut(&mut self, place: Place) -> Option<&mut Server> {
        self.upstreams.get_mut(place.upstream)?.servers.get_mut(place.server)
    }

    /// Changes a server, and notes that all shards must hear of it if `change` gives a reason.
    fn change(
        &mut self,
        place: Place,
        change: impl FnOnce(&mut Server) -> Option<String>,
    ) -> Option<Change<'_>> {
        let server = self.server_mut(place)?;
        let old = server.status();
        let reason = change(server)?;
        let new = server.status();
        self.outboxes.iter_mut().for_each(|outbox| outbox.note(place));
        let upstream = &self.upstreams[place.upstream];
        let (upstream, server) = (&upstream.name, &upstream.servers[place.server].name);
        (old != new).then_some(Change { upstream, server, old, new, reason })
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
