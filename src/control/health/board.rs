//! What is known of each server, and which shard has yet to hear it. Time is an argument.
//!
//! The last word counts: a finding replaces what was known. A shard ignores what this board says
//! of a server as long as its own finding is on its way here, and this board says it again
//! afterwards, so all shards end up with the finding that came last.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use crate::plan::{Address, CheckPlan, Plan, ServerId, ServerPlan, ServerState, UpstreamPlan};
use crate::shard::{Ejection, Finding, Outbox, Standing};

/// All servers.
pub struct Board {
    servers: BTreeMap<ServerId, Server>,
    /// One for each shard.
    outboxes: Vec<Outbox<ServerId>>,
}

struct Server {
    upstream: String,
    name: String,
    check: Option<CheckPlan>,
    address: Address,
    /// What the plan says of its state; an operator may have said otherwise since.
    planned: ServerState,
    state: ServerState,
    /// Likewise. 0: no new requests.
    planned_weight: u32,
    weight: u32,
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

impl Default for Checks {
    fn default() -> Checks {
        Checks { pass: true, successes: 0, failures: 0 }
    }
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

impl Status {
    /// All.
    pub const ALL: [Status; 5] =
        [Status::Up, Status::Ejected, Status::Failing, Status::Drain, Status::Down];

    /// Whether it takes requests.
    pub fn is_up(self) -> bool {
        self == Status::Up
    }
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

/// What is known of a server, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerView {
    /// All in one word.
    pub status: Status,
    /// What an operator wants of it.
    pub state: ServerState,
    /// Its share of requests; 0: none of those that are new.
    pub weight: u32,
    /// Whether its checks let it take requests; `None`: it has none.
    pub checks_pass: Option<bool>,
    /// How long it is still ejected; zero while a trial is due or under way.
    pub ejected_for: Option<Duration>,
}

/// A change of status.
#[derive(Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The upstream's name.
    pub upstream: &'a str,
    /// The server's address.
    pub server: &'a str,
    /// What it was.
    pub old: Status,
    /// What it is.
    pub new: Status,
    /// Why.
    pub reason: String,
}

impl Server {
    fn new(upstream: &UpstreamPlan, plan: &ServerPlan) -> Server {
        Server {
            upstream: upstream.name.clone(),
            name: plan.address.to_string(),
            check: upstream.check.clone(),
            address: plan.address.clone(),
            planned: plan.state,
            state: plan.state,
            planned_weight: plan.weight,
            weight: plan.weight,
            ejection: None,
            checks: Checks::default(),
        }
    }

    /// Takes over what another plan says of it. A state or weight that was set by hand stays,
    /// unless the plan has changed its mind too.
    fn adopt(mut self, upstream: &UpstreamPlan, plan: &ServerPlan) -> Server {
        if self.planned != plan.state {
            (self.planned, self.state) = (plan.state, plan.state);
        }
        if self.planned_weight != plan.weight {
            (self.planned_weight, self.weight) = (plan.weight, plan.weight);
        }
        if self.check != upstream.check {
            self.check = upstream.check.clone();
            // What is known to fail stays out until new checks succeed.
            let pass = self.checks.pass || self.check.is_none();
            self.checks = Checks { pass, ..Checks::default() };
        }
        self
    }

    /// What shards are to do. Without a weight a server has no share of new requests, but keeps its
    /// sessions, as if it were drained: so HAProxy has it too.
    fn effective_state(&self) -> ServerState {
        match self.state {
            ServerState::Up if self.weight == 0 => ServerState::Drain,
            state => state,
        }
    }

    fn status(&self) -> Status {
        match (self.effective_state(), self.ejection) {
            (ServerState::Drain, _) => Status::Drain,
            (ServerState::Down, _) => Status::Down,
            (ServerState::Up, _) if !self.checks.pass => Status::Failing,
            (ServerState::Up, Some(_)) => Status::Ejected,
            (ServerState::Up, None) => Status::Up,
        }
    }

    fn view(&self, now: Instant) -> ServerView {
        let left = |ejected: Ejected| ejected.until.saturating_duration_since(now);
        ServerView {
            status: self.status(),
            state: self.state,
            weight: self.weight,
            checks_pass: self.check.is_some().then_some(self.checks.pass),
            ejected_for: self.ejection.map(left),
        }
    }

    fn standing(&self, now: Instant) -> Standing {
        let ejection = self.ejection.map(|ejected| Ejection {
            left: ejected.until.saturating_duration_since(now),
            length: ejected.length,
            on_trial: ejected.on_trial,
        });
        let (state, weight) = (self.effective_state(), self.weight.max(1));
        Standing { state, weight, checks_pass: self.checks.pass, ejection }
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
        let outboxes = (0..shards).map(|_| Outbox::default()).collect();
        Board { servers: servers(plan, BTreeMap::new()), outboxes }
    }

    /// Another plan's servers from now on; what is known of those that stay, stays. All shards are
    /// to be told of all, some of which they meet for the first time. Returns what changed by that
    /// for those that stay.
    pub fn adopt(&mut self, plan: &Plan) -> Vec<Change<'_>> {
        let before: BTreeMap<ServerId, Status> =
            self.servers.iter().map(|(id, server)| (*id, server.status())).collect();
        self.servers = servers(plan, std::mem::take(&mut self.servers));
        for outbox in &mut self.outboxes {
            self.servers.keys().for_each(|id| outbox.note(*id));
        }
        let changed = self.servers.iter().filter_map(|(id, server)| {
            let (old, new) = (*before.get(id)?, server.status());
            let reason = "the configuration was changed".to_owned();
            let (upstream, server) = (&server.upstream, &server.name);
            (old != new).then_some(Change { upstream, server, old, new, reason })
        });
        changed.collect()
    }

    /// A shard has found out something.
    pub fn found(&mut self, finding: &Finding, now: Instant) -> Option<Change<'_>> {
        self.change(finding.server, |server| {
            server.set_ejection(finding.ejection, now);
            Some(finding.reason.to_owned())
        })
    }

    /// An operator has decided.
    pub fn set_state(&mut self, id: ServerId, state: ServerState) -> Option<Change<'_>> {
        self.change(id, |server| {
            server.state = state;
            Some("set by hand".to_owned())
        })
    }

    /// An operator has decided; 0: no new requests.
    pub fn set_weight(&mut self, id: ServerId, weight: u32) -> Option<Change<'_>> {
        self.change(id, |server| {
            server.weight = weight;
            Some(format!("weight set to {weight} by hand"))
        })
    }

    /// Its address as configured, for logs.
    pub fn name(&self, id: ServerId) -> &str {
        self.servers.get(&id).map_or("", |server| &server.name)
    }

    /// Whether all shards do what was last said of a server.
    pub fn is_known(&self, id: ServerId) -> bool {
        !self.outboxes.iter().any(|outbox| outbox.is_pending(id))
    }

    /// What is known of each server.
    pub fn views(&self, now: Instant) -> BTreeMap<ServerId, ServerView> {
        self.servers.iter().map(|(id, server)| (*id, server.view(now))).collect()
    }

    /// Where to check a server; `None`: not now, since it is left alone.
    pub fn target(&self, id: ServerId) -> Option<Address> {
        let server = self.servers.get(&id)?;
        (server.state != ServerState::Down).then(|| server.address.clone())
    }

    /// A check has ended; `Err` says what was wrong.
    pub fn checked(
        &mut self,
        id: ServerId,
        outcome: Result<(), String>,
        now: Instant,
    ) -> Option<Change<'_>> {
        let CheckPlan { rise, fall, .. } = *self.servers.get(&id)?.check.as_ref()?;
        self.change(id, |server| match outcome {
            Ok(()) => {
                server.check_passed(rise, now).then(|| format!("{rise} checks in a row succeeded"))
            }
            Err(why) => server
                .check_failed(fall)
                .then(|| format!("{fall} checks in a row failed, the last: {why}")),
        })
    }

    /// Changes a server, and notes that all shards must hear of it if `change` gives a reason.
    fn change(
        &mut self,
        id: ServerId,
        change: impl FnOnce(&mut Server) -> Option<String>,
    ) -> Option<Change<'_>> {
        let server = self.servers.get_mut(&id)?;
        let old = server.status();
        let reason = change(server)?;
        let new = server.status();
        self.outboxes.iter_mut().for_each(|outbox| outbox.note(id));
        let (upstream, server) = (&server.upstream, &server.name);
        (old != new).then_some(Change { upstream, server, old, new, reason })
    }

    /// What to tell a shard now, if anything: nothing while the last message is under way to it.
    pub fn next_batch(&mut self, shard: usize, now: Instant) -> Option<Vec<(ServerId, Standing)>> {
        let ids = self.outboxes.get_mut(shard)?.next_message()?;
        let standing = |id: ServerId| Some((id, self.servers.get(&id)?.standing(now)));
        Some(ids.into_iter().filter_map(standing).collect())
    }

    /// A shard has taken the last message.
    pub fn applied(&mut self, shard: usize) {
        if let Some(outbox) = self.outboxes.get_mut(shard) {
            outbox.delivered();
        }
    }
}

/// The servers of a plan, with what is `known` of them.
fn servers(plan: &Plan, mut known: BTreeMap<ServerId, Server>) -> BTreeMap<ServerId, Server> {
    let mut of_upstream = |upstream: &'_ UpstreamPlan| -> Vec<(ServerId, Server)> {
        let server = |server: &ServerPlan| match known.remove(&server.id) {
            Some(same) => (server.id, same.adopt(upstream, server)),
            None => (server.id, Server::new(upstream, server)),
        };
        upstream.servers.iter().map(server).collect()
    };
    plan.upstreams.iter().flat_map(|upstream| of_upstream(upstream)).collect()
}

#[cfg(test)]
mod tests;
