//! One server as one shard sees it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use socket2::SockAddr;

use super::group::Site;
use super::health::Health;
use super::passive::{Attempt, FailureKind, Passive};
use super::pool::Pool;
use super::{Finding, News, Standing};
use crate::balance::{WHOLE, ramp};
use crate::plan::{Address, PassivePlan, ServerId, ServerPlan, ServerState, UpstreamPlan};
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
    /// For logs: its address.
    pub name: String,
    /// `None` if it is none that a socket could have.
    address: Option<SockAddr>,
    active: Cell<u32>,
    pool: RefCell<Pool>,
    id: ServerId,
    news: Rc<News>,
    health: RefCell<Health>,
    /// Whether `health` has nothing to say; saves asking it for each request.
    fit: Cell<bool>,
    /// Why its health changed last.
    reason: Cell<&'static str>,
    settings: Settings,
    /// No plan names it any more.
    removed: Cell<bool>,
    /// When it returned, while it is given less than its weight.
    returned: Cell<Option<Tick>>,
    requests: Cell<u64>,
    failures: Cell<u64>,
}

impl Server {
    /// The server number `index` of an upstream.
    pub(super) fn new(plan: &UpstreamPlan, index: usize, site: &Site) -> Server {
        let Site { shard, shards, .. } = *site;
        let server = &plan.servers[index];
        let rank = ((shard + index) % shards) as u32;
        let ejection = server.passive.as_ref().unwrap_or(&plan.passive).ejection;
        let stagger = rank * STAGGER.min(ejection / shards as u32);
        let passive = Passive::new(stagger);
        let health = Health { state: server.state, checks_pass: true, passive };
        Server {
            name: server.address.to_string(),
            address: to_sockaddr(&server.address),
            active: Cell::new(0),
            pool: RefCell::new(Pool::new(&plan.pool)),
            id: server.id,
            news: site.news.clone(),
            fit: Cell::new(health.is_fit()),
            health: RefCell::new(health),
            reason: Cell::new(""),
            settings: Settings::new(plan, server, site),
            removed: Cell::new(false),
            returned: Cell::new(None),
            requests: Cell::new(0),
            failures: Cell::new(0),
        }
    }

    /// Its number.
    pub fn id(&self) -> ServerId {
        self.id
    }

    /// Takes over what another plan says of it. What it has, and what is known of it, stays.
    pub(super) fn adopt(&self, plan: &UpstreamPlan, server: &ServerPlan, site: &Site) {
        self.settings.adopt(plan, server, site);
        self.pool.borrow_mut().resize(&plan.pool);
    }

    /// No plan names it any more: requests that have it finish, and then nothing is left of it.
    pub(super) fn remove(&self) {
        self.removed.set(true);
        self.pool.borrow_mut().clear();
    }

    /// Sets its share of requests; says whether that changes anything.
    pub(super) fn set_weight(&self, weight: u32) -> bool {
        self.settings.weight.replace(weight) != weight
    }

    pub(super) fn weight(&self) -> u32 {
        self.settings.weight.get()
    }

    pub(super) fn is_backup(&self) -> bool {
        self.settings.backup.get()
    }

    /// Where it listens.
    pub fn address(&self) -> Option<&SockAddr> {
        self.address.as_ref()
    }

    /// Requests in progress.
    pub fn active(&self) -> u32 {
        self.active.get()
    }

    /// Requests begun so far.
    pub fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// Attempts that failed so far.
    pub fn failures(&self) -> u64 {
        self.failures.get()
    }

    /// Idle connections.
    pub fn idle(&self) -> usize {
        self.pool.borrow().count()
    }

    pub(super) fn is_full(&self) -> bool {
        self.active.get() >= self.settings.limit.get()
    }

    /// Whether its health lets a request through now.
    pub(super) fn may_try(&self, now: Tick) -> bool {
        self.fit.get() || self.health.borrow().may_try(Duration::from_nanos(now))
    }

    /// Whether its health lets a request of a session through that lives there.
    pub(super) fn may_stick(&self, now: Tick) -> bool {
        self.fit.get() || self.health.borrow().may_stick(Duration::from_nanos(now))
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
        let part = ramp(
            Duration::from_nanos(now.saturating_sub(returned)),
            self.settings.slow_start.get(),
        );
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
            self.news.note(self.id);
        }
        attempt
    }

    pub(super) fn end(&self, attempt: Attempt) {
        self.active.set(self.active.get() - 1);
        if attempt == Attempt::Trial && self.health.borrow_mut().passive.abandon(attempt) {
            self.news.note(self.id);
        }
    }

    /// Learns from an attempt.
    pub(super) fn learn(&self, verdict: Verdict, attempt: Attempt, now: Tick) {
        if verdict == Verdict::Good && attempt == Attempt::Ordinary {
            return;
        }
        if verdict != Verdict::Good {
            self.failures.set(self.failures.get() + 1);
        }
        let time = Duration::from_nanos(now);
        let mut health = self.health.borrow_mut();
        let passive = self.settings.passive.borrow();
        let mut failed = |kind| health.passive.failed(time, kind, attempt, &passive);
        let changed = match verdict {
            Verdict::Refused => failed(FailureKind::Refused),
            Verdict::Failed => failed(FailureKind::Other),
            Verdict::Good => health.passive.succeeded(time, attempt),
        };
        drop((health, passive));
        if changed {
            self.reason.set(reason(verdict, attempt));
            self.news.note(self.id);
            self.settle(now);
        }
    }

    /// What requests of this shard tell about it.
    pub fn finding(&self, now: Tick) -> Finding {
        let ejection = self.health.borrow().passive.ejection(Duration::from_nanos(now));
        Finding { server: self.id, ejection, reason: self.reason.get() }
    }

    /// Takes over what holds in the whole process; says whether the server has returned by that.
    ///
    /// What this shard has found out and not told yet is newer than any message that comes before
    /// the answer to that. So all shards end up with what the control thread heard last.
    pub(super) fn apply(&self, standing: &Standing, now: Tick) -> bool {
        let mut health = self.health.borrow_mut();
        health.state = standing.state;
        health.checks_pass = standing.checks_pass;
        if !self.news.is_pending(self.id) {
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

    pub(super) fn take_idle(&self, announced: &[u8], now: Tick, once: bool) -> Option<Stream> {
        self.pool.borrow_mut().take(announced, now, once)
    }

    /// Keeps a connection, which began with this announcement, for the next request, if one is to
    /// be expected.
    pub(super) fn keep(&self, stream: Stream, announced: &[u8], now: Tick) {
        if self.fit.get() && !self.removed.get() {
            self.pool.borrow_mut().put(stream, announced.into(), now);
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

/// What a plan says of a server.
struct Settings {
    /// The one in force; an operator may have set another than is planned.
    weight: Cell<u32>,
    planned_weight: Cell<u32>,
    backup: Cell<bool>,
    /// This shard's share of `max_connections`.
    limit: Cell<u32>,
    passive: RefCell<PassivePlan>,
    slow_start: Cell<Duration>,
}

impl Settings {
    fn new(plan: &UpstreamPlan, server: &ServerPlan, site: &Site) -> Settings {
        let Site { shard, shards, .. } = *site;
        let limit = server.max_connections.map(|max| share(max, shard, shards).max(1));
        Settings {
            weight: Cell::new(server.weight),
            planned_weight: Cell::new(server.weight),
            backup: Cell::new(server.backup),
            limit: Cell::new(limit.unwrap_or(u32::MAX)),
            passive: RefCell::new(server.passive.as_ref().unwrap_or(&plan.passive).clone()),
            slow_start: Cell::new(plan.slow_start),
        }
    }

    fn adopt(&self, plan: &UpstreamPlan, server: &ServerPlan, site: &Site) {
        let new = Settings::new(plan, server, site);
        // What was set by hand stays, unless the plan has changed its mind too.
        if self.planned_weight.replace(server.weight) != server.weight {
            self.weight.swap(&new.weight);
        }
        self.backup.swap(&new.backup);
        self.limit.swap(&new.limit);
        self.passive.swap(&new.passive);
        self.slow_start.swap(&new.slow_start);
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
