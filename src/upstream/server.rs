//! One server as one shard sees it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use socket2::SockAddr;

use super::group::Site;
use super::health::Health;
use super::passive::{Attempt, FailureKind, Passive};
use super::pool::Pool;
use super::{Fact, Finding, News, Place, Standing, Topic};
use crate::balance::{WHOLE, ramp};
use crate::plan::{Address, PassivePlan, ServerState, UpstreamPlan};
use crate::ring::Tick;
use crate::transport::Stream;

/// How much later than the one before it a shard begins the trial of an ejected server. The first
/// goes alone if the others have heard of it by then.
const STAGGER: Duration = Duration::from_millis(100);

/// How an attempt on a server ended, as far as its health is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answered.
    Good,
    /// It refused the connection.
    Refused,
    /// It did not answer, or broke off.
    Failed,
}

/// A server: its address, its requests in progress, its idle connections, its health.
pub struct Server {
    /// For logs: the address as configured.
    pub name: String,
    pub(super) weight: u32,
    pub(super) backup: bool,
    /// This shard's share of `max_connections`.
    pub(super) limit: u32,
    address: RefCell<Option<SockAddr>>,
    active: Cell<u32>,
    pool: RefCell<Pool>,
    place: Place,
    news: Rc<News>,
    health: RefCell<Health>,
    /// Whether `health` has nothing to say; saves asking it for each request.
    fit: Cell<bool>,
    /// Why its health changed last.
    reason: Cell<&'static str>,
    passive: PassivePlan,
    slow_start: Duration,
    /// When it returned, while it is given less than its weight.
    returned: Cell<Option<Tick>>,
    requests: Cell<u64>,
}

impl Server {
    pub(super) fn new(plan: &UpstreamPlan, place: Place, site: &Site) -> Server {
        let Site { shard, shards, .. } = *site;
        let server = &plan.servers[place.server];
        let address = match &server.address {
            crate::plan::ServerAddress::Fixed(address) => to_sockaddr(address),
            crate::plan::ServerAddress::Name { .. } => None,
        };
        let rank = ((shard + place.server) % shards) as u32;
        let stagger = rank * STAGGER.min(plan.passive.ejection / shards as u32);
        let passive = Passive::new(stagger);
        let health = Health { state: server.state, checks_pass: true, passive };
        Server {
            name: server.address.to_string(),
            weight: server.weight,
            backup: server.backup,
            limit: server.max_connections.map_or(u32::MAX, |max| share(max, shard, shards).max(1)),
            address: RefCell::new(address),
            active: Cell::new(0),
            pool: RefCell::new(Pool::new(&plan.pool)),
            place,
            news: site.news.clone(),
            fit: Cell::new(health.is_fit()),
            health: RefCell::new(health),
            reason: Cell::new(""),
            passive: plan.passive.clone(),
            slow_start: plan.slow_start,
            returned: Cell::new(None),
            requests: Cell::new(0),
        }
    }

    /// Where it listens; `None` while its name has not been resolved.
    pub fn address(&self) -> Option<SockAddr> {
        self.address.borrow().clone()
    }

    /// Replaces the address after its name was resolved anew; idle connections go to the old one.
    /// The checker hears of it from here.
    pub fn set_address(&self, address: &Address) {
        let new = to_sockaddr(address);
        if *self.address.borrow() != new {
            *self.address.borrow_mut() = new;
            self.pool.borrow_mut().clear();
            self.news.note(self.place, Topic::Address);
        }
    }

    /// Requests in progress.
    pub fn active(&self) -> u32 {
        self.active.get()
    }

    /// Requests begun so far.
    pub fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// Idle connections.
    pub fn idle(&self) -> usize {
        self.pool.borrow().count()
    }

    pub(super) fn is_resolved(&self) -> bool {
        self.address.borrow().is_some()
    }

    pub(super) fn is_full(&self) -> bool {
        self.active.get() >= self.limit
    }

    /// Whether its health lets a request through now.
    pub(super) fn may_try(&self, now: Tick) -> bool {
        self.fit.get() || self.health.borrow().may_try(Duration::from_nanos(now))
    }

    /// Whether a request may go to it when no server takes requests.
    pub(super) fn is_last_resort(&self) -> bool {
        self.fit.get() || self.health.borrow().is_last_resort()
    }

    /// Whether an operator wants it left alone.
    pub(super) fn is_set_down(&self) -> bool {
        !self.fit.get() && self.health.borrow().state == ServerState::Down
    }

    /// The part of its weight that it is given now, of [`WHOLE`].
    pub(super) fn ramp(&self, now: Tick) -> u32 {
        let Some(returned) = self.returned.get() else { return WHOLE };
        let part = ramp(Duration::from_nanos(now.saturating_sub(returned)), self.slow_start);
        if part >= WHOLE {
            self.returned.set(None);
        }
        part
    }

    /// Counts a request; says what it is to the server's record.
    pub(super) fn begin(&self, now: Tick) -> Attempt {
        self.active.set(self.active.get() + 1);
        self.requests.set(self.requests.get() + 1);
        if self.fit.get() {
            return Attempt::Ordinary;
        }
        let attempt = self.health.borrow_mut().passive.begin(Duration::from_nanos(now));
        if attempt == Attempt::Trial {
            // Elsewhere they wait for its outcome.
            self.news.note(self.place, Topic::Health);
        }
        attempt
    }

    pub(super) fn end(&self, attempt: Attempt) {
        self.active.set(self.active.get() - 1);
        if attempt == Attempt::Trial && self.health.borrow_mut().passive.abandon(attempt) {
            self.news.note(self.place, Topic::Health);
        }
    }

    /// Learns from an attempt.
    pub(super) fn learn(&self, verdict: Verdict, attempt: Attempt, now: Tick) {
        if verdict == Verdict::Good && attempt == Attempt::Ordinary {
            return;
        }
        let time = Duration::from_nanos(now);
        let mut health = self.health.borrow_mut();
        let mut failed = |kind| health.passive.failed(time, kind, attempt, &self.passive);
        let changed = match verdict {
            Verdict::Refused => failed(FailureKind::Refused),
            Verdict::Failed => failed(FailureKind::Other),
            Verdict::Good => health.passive.succeeded(time, attempt),
        };
        drop(health);
        if changed {
            self.reason.set(reason(verdict, attempt));
            self.news.note(self.place, Topic::Health);
            self.settle(now);
        }
    }

    /// What this shard has found out on a topic.
    pub fn finding(&self, topic: Topic, now: Tick) -> Option<Finding> {
        let fact = match topic {
            Topic::Health => {
                let ejection = self.health.borrow().passive.ejection(Duration::from_nanos(now));
                Fact::Health { ejection, reason: self.reason.get() }
            }
            Topic::Address => Fact::Address(Address::Ip(self.address()?.as_socket()?)),
        };
        Some(Finding { place: self.place, fact })
    }

    /// Takes over what holds in the whole process; says whether the server has returned by that.
    ///
    /// What this shard has found out and not told yet is newer than any message that comes before
    /// the answer to that. So all shards end up with what the control thread heard last.
    pub(super) fn apply(&self, standing: &Standing, now: Tick) -> bool {
        let mut health = self.health.borrow_mut();
        health.state = standing.state;
        health.checks_pass = standing.checks_pass;
        if !self.news.is_pending(self.place, Topic::Health) {
            health.passive.apply(standing.ejection, Duration::from_nanos(now));
        }
        drop(health);
        self.settle(now)
    }

    /// Whether requests go to it as usual.
    pub fn is_fit(&self) -> bool {
        self.fit.get()
    }

    /// Draws the conclusions from a change; says whether the server has returned.
    fn settle(&self, now: Tick) -> bool {
        let fit = self.health.borrow().is_fit();
        match (self.fit.replace(fit), fit) {
            (true, false) => {
                self.pool.borrow_mut().clear();
                self.returned.set(None);
                false
            }
            (false, true) => {
                self.returned.set(Some(now));
                true
            }
            _ => false,
        }
    }

    pub(super) fn take_idle(&self, now: Tick, once: bool) -> Option<Stream> {
        self.pool.borrow_mut().take(now, once)
    }

    /// Keeps a connection for the next request, if one is to be expected.
    pub fn keep(&self, stream: Stream, now: Tick) {
        if self.fit.get() {
            self.pool.borrow_mut().put(stream, now);
        }
    }

    /// Closes idle connections that have had their time.
    pub fn sweep(&self, now: Tick) {
        self.pool.borrow_mut().expire(now);
    }

    /// Closes all idle connections; says whether there were any.
    pub fn close_idle(&self) -> bool {
        let mut pool = self.pool.borrow_mut();
        let any = pool.count() > 0;
        pool.clear();
        any
    }
}

/// Shard `shard`'s part of `total` things divided among `shards`; the parts add up to `total`.
pub(super) fn share(total: u32, shard: usize, shards: usize) -> u32 {
    let (shard, shards) = (shard as u32, shards as u32);
    total / shards + u32::from(shard < total % shards)
}

/// Why a server was ejected or returned.
fn reason(verdict: Verdict, attempt: Attempt) -> &'static str {
    match (verdict, attempt) {
        (Verdict::Good, Attempt::Trial) => "the trial request succeeded",
        (Verdict::Good, _) => "a request succeeded",
        (_, Attempt::Trial) => "the trial request failed",
        (Verdict::Refused, _) => "it refused a connection",
        (Verdict::Failed, _) => "too many requests failed",
    }
}

fn to_sockaddr(address: &Address) -> Option<SockAddr> {
    match address {
        Address::Ip(address) => Some((*address).into()),
        Address::Unix(path) => SockAddr::unix(path).ok(),
    }
}
