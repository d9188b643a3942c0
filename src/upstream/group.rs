//! An upstream as one shard sees it: its servers, its balancer, and the requests that wait.

mod sticky;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::allowance::{Allowance, Exceeded};
use super::passive::Attempt;
use super::queue::{Queue, Turn};
use super::server::share;
use super::{News, Server, Standing, Verdict};
use crate::balance::{Balancer, PolicyKind, Servers};
use crate::plan::{RetryPlan, ServerId, ServerPlan, UpstreamPlan};
use crate::ring::{Ring, Tick, Timer};
use crate::transport::Stream;

pub use sticky::Wish;

/// Where a group stands.
pub struct Site {
    /// The shard's number, from 0.
    pub shard: usize,
    /// How many shards there are.
    pub shards: usize,
    /// Differs between shards.
    pub seed: u64,
    /// Where servers' changes are noted.
    pub news: Rc<News>,
}

/// An upstream.
pub struct Group {
    servers: Vec<Rc<Server>>,
    balancer: Rc<RefCell<Balancer>>,
    policy: PolicyKind,
    seed: u64,
    /// How much it may be asked to do at once.
    pub allowance: Rc<Allowance>,
    /// Shared with the group of an earlier plan, whose requests may still wait.
    queue: Rc<Queue>,
    queue_limit: usize,
    queue_timeout: std::time::Duration,
}

/// Why there is no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// All that may be tried have been, or there is none at all.
    NoneLeft,
    /// Servers are full, and so is the queue.
    QueueFull,
    /// Servers were full for as long as a request may wait.
    QueueTimeout,
}

/// Why a request gets no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// There is none for it.
    Busy(Busy),
    /// It would have to wait, and too many do.
    Exceeded(Exceeded),
}

/// The servers already tried for a request.
#[derive(Default)]
pub struct Tried {
    servers: [Option<u32>; RetryPlan::TRIES_MAX as usize],
    count: usize,
    /// Those before this one may be tried once more.
    round: usize,
}

impl Tried {
    fn add(&mut self, server: usize) {
        if let Some(slot) = self.servers.get_mut(self.count) {
            *slot = Some(server as u32);
            self.count += 1;
        }
    }

    fn contains(&self, server: usize) -> bool {
        self.servers[self.round..self.count].contains(&Some(server as u32))
    }

    /// How many tries there were.
    pub fn count(&self) -> usize {
        self.count
    }
}

/// Which servers a choice is made from; tried in this order.
#[derive(Clone, Copy)]
enum Among {
    Healthy { backup: bool },
    All { backup: bool },
}

impl Among {
    /// Those that take requests.
    const HEALTHY: [Among; 2] = [Among::Healthy { backup: false }, Among::Healthy { backup: true }];

    /// All of them, should none of those be left.
    const ANY: [Among; 4] = [
        Among::Healthy { backup: false },
        Among::Healthy { backup: true },
        Among::All { backup: false },
        Among::All { backup: true },
    ];
}

struct View<'a> {
    servers: &'a [Rc<Server>],
    tried: &'a Tried,
    among: Among,
    now: Tick,
}

impl View<'_> {
    fn eligible(&self, i: usize) -> bool {
        let server = &self.servers[i];
        let fits = match self.among {
            Among::Healthy { backup } => server.is_backup() == backup && server.may_try(self.now),
            Among::All { backup } => server.is_backup() == backup && server.is_last_resort(),
        };
        fits && !self.tried.contains(i)
    }
}

impl Servers for View<'_> {
    fn len(&self) -> usize {
        self.servers.len()
    }

    fn weight(&self, i: usize) -> u32 {
        self.servers[i].weight()
    }

    fn ramp(&self, i: usize) -> u32 {
        self.servers[i].ramp(self.now)
    }

    fn active(&self, i: usize) -> u32 {
        self.servers[i].active()
    }

    fn usable(&self, i: usize) -> bool {
        !self.servers[i].is_full() && self.eligible(i)
    }
}

impl Group {
    /// An upstream of which nothing is known but its plan.
    pub fn new(plan: &UpstreamPlan, site: &Site) -> Rc<Group> {
        Group::succeed(plan, None, site)
    }

    /// An upstream of a new plan, with what its predecessor's servers have and what is known of
    /// them. The predecessor may go on with the requests that it has.
    pub fn succeed(
        plan: &UpstreamPlan,
        old: Option<(&UpstreamPlan, &Group)>,
        site: &Site,
    ) -> Rc<Group> {
        let Site { shard, shards, seed, .. } = *site;
        let same_choice = old.filter(|(old, _)| balances_alike(old, plan));
        let balancer = same_choice.map(|(_, group)| group.balancer.clone());
        let allowance = match old {
            Some((_, group)) => {
                group.allowance.adopt(&plan.budget, &plan.breaker, shard, shards);
                group.allowance.clone()
            }
            None => Rc::new(Allowance::new(&plan.budget, &plan.breaker, shard, shards)),
        };
        let queue_limit = match plan.queue.max {
            0 => 0,
            max => share(max, shard, shards).max(1) as usize,
        };
        let servers = servers(plan, old.map(|(_, group)| group), site);
        let new_balancer = || Rc::new(RefCell::new(balancer_of(plan.policy, &servers, seed)));
        Rc::new(Group {
            balancer: balancer.unwrap_or_else(new_balancer),
            servers,
            policy: plan.policy,
            seed,
            allowance,
            queue: old.map_or_else(Rc::default, |(_, group)| group.queue.clone()),
            queue_limit,
            queue_timeout: plan.queue.timeout,
        })
    }

    /// Its servers, in the order of the plan.
    pub fn servers(&self) -> &[Rc<Server>] {
        &self.servers
    }

    /// Requests waiting for a server.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// Chooses a server not in `tried` for a request, and counts the request there until the lease
    /// is dropped. Waits in the queue while the servers are full.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn acquire(
        self: &Rc<Self>,
        ring: &Ring,
        timer: &Timer,
        wish: Wish,
        tried: &mut Tried,
    ) -> Result<Lease, Denied> {
        let others_wait = !self.queue.is_idle();
        if let Some(lease) = self.stick(wish, tried, ring.now(), others_wait) {
            return Ok(lease);
        }
        if !others_wait {
            match self.choose(wish.key, tried, ring.now()) {
                Some(lease) => return Ok(lease),
                None if !self.is_full(tried, ring.now()) => {
                    return Err(Denied::Busy(Busy::NoneLeft));
                }
                None => {}
            }
        }
        if self.queue.waiting() >= self.queue_limit {
            return Err(Denied::Busy(Busy::QueueFull));
        }
        let _waits = self.allowance.wait().map_err(Denied::Exceeded)?;
        let deadline = timer.after(self.queue_timeout);
        let mut round = 0;
        loop {
            let turn = Turn::join(&self.queue, round);
            if round == 0 && self.has_room(ring.now()) {
                // Those before may wait for servers of an earlier plan only, or for one that has no
                // room while another has.
                self.queue.place_is_free();
            }
            timer
                .until(deadline, turn.called())
                .await
                .map_err(|_| Denied::Busy(Busy::QueueTimeout))?;
            round = turn.use_up();
            let stuck = self.stick(wish, tried, ring.now(), false);
            if let Some(lease) = stuck.or_else(|| self.choose(wish.key, tried, ring.now())) {
                if self.has_room(ring.now()) {
                    self.queue.call_next();
                }
                return Ok(lease);
            }
            // The place is not for this request; perhaps for another.
            self.queue.call_next();
            if !self.is_full(tried, ring.now()) {
                return Err(Denied::Busy(Busy::NoneLeft));
            }
        }
    }

    /// As [`Group::acquire`], for a request that has been to a server already: one that takes
    /// requests and has room at once, or none. Those that were not tried come first; when there is
    /// none of them, each may be tried again.
    pub fn acquire_another(
        self: &Rc<Self>,
        wish: Wish,
        tried: &mut Tried,
        now: Tick,
    ) -> Option<Lease> {
        if !self.queue.is_idle() {
            return None;
        }
        let another = |tried: &mut Tried| {
            let stuck = self.stick(wish, tried, now, false);
            stuck.or_else(|| self.choose_among(&Among::HEALTHY, wish.key, tried, now))
        };
        let lease = another(tried);
        if lease.is_some() || self.is_full(tried, now) {
            return lease;
        }
        tried.round = tried.count;
        another(tried)
    }

    fn choose(self: &Rc<Self>, key: u64, tried: &mut Tried, now: Tick) -> Option<Lease> {
        self.choose_among(&Among::ANY, key, tried, now)
    }

    /// A server of the first of these sets that has one. If any of the first set is merely full,
    /// the others are not asked.
    fn choose_among(
        self: &Rc<Self>,
        sets: &[Among],
        key: u64,
        tried: &mut Tried,
        now: Tick,
    ) -> Option<Lease> {
        let mut chosen = None;
        for (nth, &among) in sets.iter().enumerate() {
            let view = View { servers: &self.servers, tried, among, now };
            chosen = self.balancer.borrow_mut().choose(&view, key);
            if chosen.is_some() || (nth == 0 && any_full(&view)) {
                break;
            }
        }
        Some(self.lease(chosen?, tried, now))
    }

    /// Counts a request at this server.
    fn lease(self: &Rc<Self>, index: usize, tried: &mut Tried, now: Tick) -> Lease {
        tried.add(index);
        let server = self.servers[index].clone();
        let attempt = Cell::new(server.begin(now));
        Lease { queue: self.queue.clone(), server, index, attempt }
    }

    /// Whether waiting may help: a server that could take the request has no room just now.
    fn is_full(&self, tried: &Tried, now: Tick) -> bool {
        let any_full = |among| any_full(&View { servers: &self.servers, tried, among, now });
        Among::ANY.into_iter().any(any_full)
    }

    /// Takes over what holds for a server in the whole process.
    pub fn apply(&self, server: &Server, standing: &Standing, now: Tick) {
        if server.set_weight(standing.weight) {
            // Some policies reckon with weights beforehand.
            *self.balancer.borrow_mut() = balancer_of(self.policy, &self.servers, self.seed);
        }
        if server.apply(standing, now) {
            // Who waits for room may go to it; each calls the next while there is more.
            self.queue.place_is_free();
        }
    }

    /// A new plan may have more room than the old one had.
    pub fn look_again(&self) {
        self.queue.place_is_free();
    }

    /// No plan has this upstream any more; the requests that it has go on.
    pub fn remove(&self) {
        self.servers.iter().for_each(|server| server.remove());
    }

    /// Whether a server that takes requests has room for more.
    fn has_room(&self, now: Tick) -> bool {
        let takes_more = |server: &Rc<Server>| !server.is_full() && server.may_try(now);
        self.servers.iter().any(takes_more)
    }

    /// Closes idle connections that have had their time.
    pub fn sweep(&self, now: Tick) {
        self.servers.iter().for_each(|server| server.sweep(now));
    }
}

fn balancer_of(policy: PolicyKind, servers: &[Rc<Server>], seed: u64) -> Balancer {
    let name = |server: &Rc<Server>| (server.name.clone(), server.weight());
    let names: Vec<_> = servers.iter().map(name).collect();
    Balancer::new(policy, &names, seed)
}

/// Whether a balancer for one plan serves the other as well.
fn balances_alike(one: &UpstreamPlan, other: &UpstreamPlan) -> bool {
    let counts = |server: &ServerPlan| (server.id, server.weight);
    let (servers, others) = (one.servers.iter().map(counts), other.servers.iter().map(counts));
    one.policy == other.policy && servers.eq(others)
}

/// The servers of a plan: those that there were, and new ones. Others are removed.
fn servers(plan: &UpstreamPlan, old: Option<&Group>, site: &Site) -> Vec<Rc<Server>> {
    let mut known: HashMap<ServerId, &Rc<Server>> =
        old.into_iter().flat_map(Group::servers).map(|server| (server.id(), server)).collect();
    let plans = plan.servers.iter().enumerate();
    let servers = plans.map(|(index, server)| match known.remove(&server.id) {
        Some(same) => {
            same.adopt(plan, server, site);
            same.clone()
        }
        None => Rc::new(Server::new(plan, index, site)),
    });
    let servers = servers.collect();
    known.into_values().for_each(|server| server.remove());
    servers
}

fn any_full(view: &View<'_>) -> bool {
    (0..view.servers.len()).any(|i| view.servers[i].is_full() && view.eligible(i))
}

/// A request's place at a server: counted there until dropped.
pub struct Lease {
    queue: Rc<Queue>,
    server: Rc<Server>,
    index: usize,
    attempt: Cell<Attempt>,
}

impl Lease {
    /// Learns from an attempt on the server. Once that was good, what follows is no trial.
    pub fn learn(&self, verdict: Verdict, now: Tick) {
        self.server.learn(verdict, self.attempt.get(), now);
        if verdict == Verdict::Good {
            self.attempt.set(Attempt::Ordinary);
        }
    }

    /// Keeps the connection, which began with this announcement, for the next request.
    pub fn keep(&self, stream: Stream, announced: &[u8], now: Tick) {
        self.server.keep(stream, announced, now);
    }

    /// Its server's place among those of the upstream, in the order of the plan.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The server.
    pub fn server(&self) -> &Rc<Server> {
        &self.server
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.server.end(self.attempt.get());
        self.queue.place_is_free();
    }
}
