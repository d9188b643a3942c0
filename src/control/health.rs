//! The health of servers in the whole process, on a thread of its own.
//!
//! Shards report what they find out; this thread puts it in one order, adds what its own checks
//! find, logs each change once, and tells every shard what holds now.

mod board;
mod check;
mod watch;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};

pub use self::board::{ServerView, Status};

use self::board::{Board, Change};
use self::watch::Watches;
use super::clock::now;
use crate::plan::{Plan, ServerId, ServerState};
use crate::shard::{Command, Notice, Sender, Socket};
use crate::telemetry::Counters;

/// Orders that may wait for this thread. They come from people.
const ORDERS_MAX: usize = 64;

/// Speaks to the thread.
#[derive(Clone)]
pub struct Handle {
    orders: mpsc::Sender<Order>,
    tally: Arc<Tally>,
    runtime: tokio::runtime::Handle,
}

/// What an operator wants of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Whether it takes requests.
    pub state: Option<ServerState>,
    /// Its share of them; 0: none of those that are new.
    pub weight: Option<u32>,
}

/// What others of the control plane want done. It all goes through this one thread, so that shards
/// get it in one order.
enum Order {
    /// Done when every shard does so.
    Set(Vec<ServerId>, Wish, oneshot::Sender<()>),
    Look(oneshot::Sender<BTreeMap<ServerId, ServerView>>),
    /// A new plan, and for each shard what its listeners are.
    Adopt(Arc<Plan>, Vec<Vec<Socket>>),
}

/// What was counted. Only this thread writes; reports read.
#[derive(Default)]
struct Tally {
    ejections: AtomicU64,
    checked_out: AtomicU64,
    returns: AtomicU64,
}

impl Tally {
    /// Logs a change, and counts it.
    fn announce(&self, change: Option<Change>) {
        let Some(Change { upstream, server, old, new, reason }) = change else { return };
        match new {
            Status::Ejected => drop(self.ejections.fetch_add(1, Ordering::Relaxed)),
            Status::Failing => drop(self.checked_out.fetch_add(1, Ordering::Relaxed)),
            Status::Up => drop(self.returns.fetch_add(1, Ordering::Relaxed)),
            Status::Drain | Status::Down => {}
        }
        match (old, new) {
            (_, Status::Up) => {
                tracing::info!(upstream, server, %old, %new, reason, "server returned");
            }
            (Status::Up, Status::Ejected | Status::Failing) => {
                tracing::warn!(upstream, server, %old, %new, reason, "server taken out");
            }
            (Status::Up, Status::Drain | Status::Down) => {
                tracing::info!(upstream, server, %old, %new, reason, "server taken out");
            }
            _ => tracing::info!(upstream, server, %old, %new, reason, "server is still out"),
        }
    }
}

impl Handle {
    /// Sets the state or weight of servers; `done` is told when every shard goes by it. `false` if
    /// too many orders wait already.
    pub fn set(&self, servers: Vec<ServerId>, wish: Wish, done: oneshot::Sender<()>) -> bool {
        self.orders.try_send(Order::Set(servers, wish, done)).is_ok()
    }

    /// What is known of each server; `None` when all is over.
    pub async fn look(&self) -> Option<BTreeMap<ServerId, ServerView>> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order::Look(reply)).await.ok()?;
        answer.await.ok()
    }

    /// The event loop of what is no request.
    pub fn runtime(&self) -> &tokio::runtime::Handle {
        &self.runtime
    }

    /// Gives every shard another plan, with its listeners; waits while too many orders wait.
    pub fn adopt(&self, plan: Arc<Plan>, listeners: Vec<Vec<Socket>>) {
        // Without the thread there are no shards either.
        let _ = self.orders.blocking_send(Order::Adopt(plan, listeners));
    }

    /// What was counted since the start.
    pub fn counters(&self) -> Counters {
        Counters {
            ejections: self.tally.ejections.load(Ordering::Relaxed),
            checked_out: self.tally.checked_out.load(Ordering::Relaxed),
            returns: self.tally.returns.load(Ordering::Relaxed),
            ..Counters::default()
        }
    }
}

/// Starts the thread. It ends with the last shard.
///
/// # Errors
/// When no thread or no event loop can be started.
pub fn start(
    plan: &Arc<Plan>,
    shards: Vec<Sender<Command>>,
    notices: mpsc::Receiver<(usize, Notice)>,
) -> io::Result<Handle> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (orders, orders_out) = mpsc::channel(ORDERS_MAX);
    let tally = Arc::<Tally>::default();
    let board = Board::new(plan, shards.len());
    let desk = Desk { board, shards, tally: tally.clone(), awaiting: Vec::new() };
    let handle = runtime.handle().clone();
    let plan = plan.clone();
    std::thread::Builder::new().name("health".into()).spawn(move || {
        let desk = Rc::new(RefCell::new(desk));
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, listen(plan, desk, notices, orders_out));
    })?;
    Ok(Handle { orders, tally, runtime: handle })
}

/// Takes what shards and operators say, until the last shard has ended.
async fn listen(
    plan: Arc<Plan>,
    desk: Rc<RefCell<Desk>>,
    mut notices: mpsc::Receiver<(usize, Notice)>,
    mut orders: mpsc::Receiver<Order>,
) {
    let mut watches = Watches::default();
    watches.adopt(&plan, &desk);
    loop {
        tokio::select! {
            notice = notices.recv() => match notice {
                Some((shard, notice)) => desk.borrow_mut().hear(shard, notice),
                None => return,
            },
            Some(order) = orders.recv() => match order {
                Order::Set(servers, wish, done) => desk.borrow_mut().set(servers, wish, done),
                Order::Look(reply) => drop(reply.send(desk.borrow().board.views(now()))),
                Order::Adopt(plan, listeners) => {
                    desk.borrow_mut().adopt(&plan, listeners);
                    watches.adopt(&plan, &desk);
                }
            },
        }
    }
}

/// The board, and whom it is shown to.
struct Desk {
    board: Board,
    shards: Vec<Sender<Command>>,
    tally: Arc<Tally>,
    /// Who wants to know when every shard has heard of a server.
    awaiting: Vec<(Vec<ServerId>, oneshot::Sender<()>)>,
}

impl Desk {
    fn set(&mut self, servers: Vec<ServerId>, wish: Wish, done: oneshot::Sender<()>) {
        for &server in &servers {
            if let Some(weight) = wish.weight {
                tracing::info!(server = self.board.name(server), weight, "weight set by hand");
                self.tally.announce(self.board.set_weight(server, weight));
            }
            if let Some(state) = wish.state {
                self.tally.announce(self.board.set_state(server, state));
            }
        }
        self.awaiting.push((servers, done));
        self.tell_all();
    }

    fn tell_who_waits(&mut self) {
        // Nobody, but while an operator waits.
        for (servers, done) in std::mem::take(&mut self.awaiting) {
            if done.is_closed() {
                continue;
            }
            match servers.iter().all(|server| self.board.is_known(*server)) {
                true => drop(done.send(())),
                false => self.awaiting.push((servers, done)),
            }
        }
    }

    /// Shards hear of the plan before they hear of its servers.
    fn adopt(&mut self, plan: &Arc<Plan>, listeners: Vec<Vec<Socket>>) {
        for (shard, listeners) in self.shards.iter().zip(listeners) {
            shard.send(Command::Adopt { plan: plan.clone(), listeners });
        }
        for change in self.board.adopt(plan) {
            self.tally.announce(Some(change));
        }
        self.tell_all();
    }

    fn checked(&mut self, server: ServerId, outcome: Result<(), String>) {
        self.tally.announce(self.board.checked(server, outcome, now()));
        self.tell_all();
    }

    fn hear(&mut self, shard: usize, notice: Notice) {
        match notice {
            Notice::Findings(findings) => {
                for finding in &findings {
                    self.tally.announce(self.board.found(finding, now()));
                }
                // Before any standing that has these in it: see `Server::apply`.
                if let Some(shard) = self.shards.get(shard) {
                    shard.send(Command::FindingsTaken);
                }
            }
            Notice::Applied => self.board.applied(shard),
        }
        self.tell_all();
        self.tell_who_waits();
    }

    /// Sends each shard what it does not know, if the last message to it was taken.
    fn tell_all(&mut self) {
        for (number, shard) in self.shards.iter().enumerate() {
            if let Some(standings) = self.board.next_batch(number, now()) {
                // A shard that has ended needs no more.
                shard.send(Command::Standings(standings));
            }
        }
    }
}
