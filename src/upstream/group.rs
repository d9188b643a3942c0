//! An upstream as one shard sees it: its servers, its balancer, and the requests that wait.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::allowance::{Allowance, Exceeded};
use super::passive::Attempt;
use super::server::share;
use super::{News, Place, Server, Standing, Verdict};
use crate::balance::{Balancer, Servers};
use crate::plan::{RetryPlan, UpstreamPlan};
use crate::ring::{Ring, Tick, Timer};

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
    balancer: RefCell<Balancer>,
    /// How much it may be asked to do at once.
    pub allowance: Allowance,
    max_tries: usize,
    queue: RefCell<VecDeque<Rc<Waiter>>>,
    queue_limit: usize,
    queue_timeout: std::time::Duration,
    /// Waiters that were called and have not chosen yet: newcomers must not overtake them.
    called: Cell<usize>,
    /// Counts the places that became free: each is offered to each waiter once at most.
    round: Cell<u64>,
}

#[derive(Default)]
struct Waiter {
    /// It may choose now.
    called: Cell<bool>,
    /// The round of calls in which it was called last.
    round: Cell<u64>,
    waker: RefCell<Option<Waker>>,
}

/// Why there is no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// All that may be tried have been, or none has an address.
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
}

impl Tried {
    fn add(&mut self, server: usize) {
        if let Some(slot) = self.servers.get_mut(self.count) {
            *slot = Some(server as u32);
            self.count += 1;
        }
    }

    fn contains(&self, server: usize) -> bool {
        self.servers[..self.count].contains(&Some(server as u32))
    }

    /// How many.
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
            Among::Healthy { backup } => server.backup == backup && server.may_try(self.now),
            Among::All { backup } => server.backup == backup && server.is_last_resort(),
        };
        fits && server.is_resolved() && !self.tried.contains(i)
    }
}

impl Servers for View<'_> {
    fn len(&self) -> usize {
        self.servers.len()
    }

    fn weight(&self, i: usize) -> u32 {
        self.servers[i].weight
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
    /// The plan's upstream number `upstream`.
    pub fn new(plan: &UpstreamPlan, upstream: usize, site: &Site) -> Rc<Group> {
        let Site { shard, shards, seed, .. } = *site;
        let names: Vec<_> =
            plan.servers.iter().map(|s| (s.address.to_string(), s.weight)).collect();
        let new_server = |server| Rc::new(Server::new(plan, Place { upstream, server }, site));
        let queue_limit = match plan.queue.max {
            0 => 0,
            max => share(max, shard, shards).max(1) as usize,
        };
        Rc::new(Group {
            servers: (0..plan.servers.len()).map(new_server).collect(),
            balancer: RefCell::new(Balancer::new(plan.policy, &names, seed)),
            allowance: Allowance::new(&plan.retry, &plan.breaker, shard, shards),
            max_tries: plan.servers.len().min(plan.retry.tries as usize),
            queue: RefCell::default(),
            queue_limit,
            queue_timeout: plan.queue.timeout,
            called: Cell::new(0),
            round: Cell::new(0),
        })
    }

    /// Its servers, in the order of the plan.
    pub fn servers(&self) -> &[Rc<Server>] {
        &self.servers
    }

    /// Requests waiting for a server.
    pub fn waiting(&self) -> usize {
        self.queue.borrow().len()
    }

    /// Most servers that one request may be tried on.
    pub fn max_tries(&self) -> usize {
        self.max_tries
    }

    /// Chooses a server not in `tried` for a request with this hash `key`, and counts the request
    /// there until the lease is dropped. Waits in the queue while the servers are full.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn acquire(
        self: &Rc<Self>,
        ring: &Ring,
        timer: &Timer,
        key: u64,
        tried: &mut Tried,
    ) -> Result<Lease, Denied> {
        if self.queue.borrow().is_empty() && self.called.get() == 0 {
            match self.choose(key, tried, ring.now()) {
                Some(lease) => return Ok(lease),
                None if !self.is_full(tried, ring.now()) => {
                    return Err(Denied::Busy(Busy::NoneLeft));
                }
                None => {}
            }
        }
        if self.queue.borrow().len() >= self.queue_limit {
            return Err(Denied::Busy(Busy::QueueFull));
        }
        let _waits = self.allowance.wait().map_err(Denied::Exceeded)?;
        let deadline = timer.after(self.queue_timeout);
        let mut round = 0;
        loop {
            let turn = InQueue::join(self, round);
            timer
                .until(deadline, turn.called())
                .await
                .map_err(|_| Denied::Busy(Busy::QueueTimeout))?;
            round = turn.use_up();
            if let Some(lease) = self.choose(key, tried, ring.now()) {
                if self.has_room(ring.now()) {
                    self.call_next();
                }
                return Ok(lease);
            }
            // The place is not for this request; perhaps for another.
            self.call_next();
            if !self.is_full(tried, ring.now()) {
                return Err(Denied::Busy(Busy::NoneLeft));
            }
        }
    }

    fn choose(self: &Rc<Self>, key: u64, tried: &mut Tried, now: Tick) -> Option<Lease> {
        let mut view =
            View { servers: &self.servers, tried, among: Among::Healthy { backup: false }, now };
        let mut balancer = self.balancer.borrow_mut();
        let mut chosen = balancer.choose(&view, key);
        if chosen.is_none() && !any_full(&view) {
            let fallbacks = [
                Among::Healthy { backup: true },
                Among::All { backup: false },
                Among::All { backup: true },
            ];
            chosen = fallbacks.into_iter().find_map(|among| {
                view.among = among;
                balancer.choose(&view, key)
            });
        }
        let index = chosen?;
        tried.add(index);
        let server = self.servers[index].clone();
        let attempt = server.begin(now);
        Some(Lease { group: self.clone(), server, attempt })
    }

    /// Whether waiting may help: a server that could take the request has no room just now.
    fn is_full(&self, tried: &Tried, now: Tick) -> bool {
        [
            Among::Healthy { backup: false },
            Among::All { backup: false },
            Among::All { backup: true },
        ]
        .into_iter()
        .any(|among| any_full(&View { servers: &self.servers, tried, among, now }))
    }

    /// Takes over what holds for a server in the whole process.
    pub fn apply(&self, server: usize, standing: &Standing, now: Tick) {
        let Some(server) = self.servers.get(server) else { return };
        if server.apply(standing, now) {
            // Who waits for room may go to it; each calls the next while there is more.
            self.place_is_free();
        }
    }

    fn place_is_free(&self) {
        self.round.set(self.round.get() + 1);
        self.call_next();
    }

    /// Whether a server that takes requests has room for more.
    fn has_room(&self, now: Tick) -> bool {
        self.servers.iter().any(|server| !server.is_full() && server.may_try(now))
    }

    /// Calls the first waiter that was not called in this round.
    fn call_next(&self) {
        let round = self.round.get();
        let next = {
            let mut queue = self.queue.borrow_mut();
            let first = queue.iter().position(|waiter| waiter.round.get() != round);
            first.and_then(|first| queue.remove(first))
        };
        if let Some(waiter) = next {
            waiter.called.set(true);
            waiter.round.set(round);
            self.called.set(self.called.get() + 1);
            if let Some(waker) = waiter.waker.take() {
                waker.wake();
            }
        }
    }

    /// Closes idle connections that have had their time.
    pub fn sweep(&self, now: Tick) {
        self.servers.iter().for_each(|server| server.sweep(now));
    }
}

fn any_full(view: &View<'_>) -> bool {
    (0..view.servers.len()).any(|i| view.servers[i].is_full() && view.eligible(i))
}

/// A place in the queue. Given up unused after being called, it calls the next.
struct InQueue<'a> {
    group: &'a Group,
    waiter: Rc<Waiter>,
}

impl<'a> InQueue<'a> {
    fn join(group: &'a Group, round: u64) -> InQueue<'a> {
        let waiter = Rc::new(Waiter { round: Cell::new(round), ..Waiter::default() });
        // Who was called before, and could not use the place, keeps its turn.
        match round {
            0 => group.queue.borrow_mut().push_back(waiter.clone()),
            _ => group.queue.borrow_mut().push_front(waiter.clone()),
        }
        InQueue { group, waiter }
    }

    async fn called(&self) {
        poll_fn(|context| {
            if self.waiter.called.get() {
                return Poll::Ready(());
            }
            *self.waiter.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Takes the call, and says of which round it was.
    fn use_up(self) -> u64 {
        self.leave();
        self.waiter.round.get()
    }
}

impl InQueue<'_> {
    /// Is a called waiter no more; `false` if it was none.
    fn leave(&self) -> bool {
        let called = self.waiter.called.replace(false);
        if called {
            self.group.called.set(self.group.called.get() - 1);
        }
        called
    }
}

impl Drop for InQueue<'_> {
    fn drop(&mut self) {
        if self.leave() {
            self.group.call_next();
        } else {
            self.group.queue.borrow_mut().retain(|other| !Rc::ptr_eq(other, &self.waiter));
        }
    }
}

/// A request's place at a server: counted there until dropped.
pub struct Lease {
    group: Rc<Group>,
    server: Rc<Server>,
    attempt: Attempt,
}

impl Lease {
    /// Learns from an attempt on the server.
    pub fn learn(&self, verdict: Verdict, now: Tick) {
        self.server.learn(verdict, self.attempt, now);
    }

    /// The server.
    pub fn server(&self) -> &Rc<Server> {
        &self.server
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.server.end(self.attempt);
        self.group.place_is_free();
    }
}
