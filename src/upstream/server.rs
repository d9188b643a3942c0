//! One server as one shard sees it.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use socket2::SockAddr;

use super::passive::{FailureKind, Passive};
use super::pool::Pool;
use crate::plan::{Address, PoolPlan, ServerPlan};
use crate::ring::Tick;
use crate::transport::Stream;

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
    passive: RefCell<Passive>,
    /// Whether `passive` has anything to say; saves asking it for each request.
    suspect: Cell<bool>,
    requests: Cell<u64>,
}

impl Server {
    pub(super) fn new(plan: &ServerPlan, pool: &PoolPlan, shard: usize, shards: usize) -> Server {
        let address = match &plan.address {
            crate::plan::ServerAddress::Fixed(address) => to_sockaddr(address),
            crate::plan::ServerAddress::Name { .. } => None,
        };
        Server {
            name: plan.address.to_string(),
            weight: plan.weight,
            backup: plan.backup,
            limit: plan.max_connections.map_or(u32::MAX, |max| share(max, shard, shards).max(1)),
            address: RefCell::new(address),
            active: Cell::new(0),
            pool: RefCell::new(Pool::new(pool)),
            passive: RefCell::new(Passive::new()),
            suspect: Cell::new(false),
            requests: Cell::new(0),
        }
    }

    /// Where it listens; `None` while its name has not been resolved.
    pub fn address(&self) -> Option<SockAddr> {
        self.address.borrow().clone()
    }

    /// Replaces the address after its name was resolved anew; idle connections go to the old one.
    pub fn set_address(&self, address: &Address) {
        let new = to_sockaddr(address);
        if *self.address.borrow() != new {
            *self.address.borrow_mut() = new;
            self.pool.borrow_mut().clear();
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

    /// Whether passive health lets a request through now.
    pub(super) fn may_try(&self, now: Tick) -> bool {
        !self.suspect.get() || self.passive.borrow().may_try(Duration::from_nanos(now))
    }

    /// Counts a request; `true` if it is the trial of a server that is down.
    pub(super) fn begin(&self, now: Tick) -> bool {
        self.active.set(self.active.get() + 1);
        self.requests.set(self.requests.get() + 1);
        if self.suspect.get() {
            self.passive.borrow_mut().begin_trial(Duration::from_nanos(now));
        }
        self.suspect.get()
    }

    pub(super) fn end(&self, trial: bool) {
        self.active.set(self.active.get() - 1);
        if trial && self.suspect.get() {
            self.passive.borrow_mut().abandon_trial();
        }
    }

    /// Learns from an attempt. While the server is down only its trial says anything: the others
    /// were sent before.
    pub(super) fn learn(&self, verdict: Verdict, trial: bool, now: Tick) {
        if (verdict == Verdict::Good || self.suspect.get()) && !trial {
            return;
        }
        let now = Duration::from_nanos(now);
        let mut passive = self.passive.borrow_mut();
        match verdict {
            Verdict::Good => passive.succeeded(now),
            Verdict::Refused => passive.failed(now, FailureKind::Refused),
            Verdict::Failed => passive.failed(now, FailureKind::Other),
        }
        let was_down = self.suspect.replace(passive.is_down(now));
        match (was_down, self.suspect.get()) {
            (false, true) => {
                tracing::warn!(server = self.name, "server is down");
                self.pool.borrow_mut().clear();
            }
            (true, false) => tracing::info!(server = self.name, "server is up again"),
            _ => {}
        }
    }

    pub(super) fn take_idle(&self, now: Tick, once: bool) -> Option<Stream> {
        self.pool.borrow_mut().take(now, once)
    }

    /// Keeps a connection for the next request.
    pub fn keep(&self, stream: Stream, now: Tick) {
        self.pool.borrow_mut().put(stream, now);
    }

    /// Closes idle connections that have had their time.
    pub fn sweep(&self, now: Tick) {
        self.pool.borrow_mut().expire(now);
    }

    /// Closes all idle connections.
    pub fn close_idle(&self) {
        self.pool.borrow_mut().clear();
    }
}

/// Shard `shard`'s part of `total` things divided among `shards`; the parts add up to `total`.
pub(super) fn share(total: u32, shard: usize, shards: usize) -> u32 {
    let (shard, shards) = (shard as u32, shards as u32);
    total / shards + u32::from(shard < total % shards)
}

fn to_sockaddr(address: &Address) -> Option<SockAddr> {
    match address {
        Address::Ip(address) => Some((*address).into()),
        Address::Unix(path) => SockAddr::unix(path).ok(),
    }
}
