//! The health of servers in the whole process, on a thread of its own.
//!
//! Shards report what they find out; this thread puts it in one order, adds what its own checks
//! find, logs each change once, and tells every shard what holds now.

mod board;
mod check;
mod watch;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use self::board::{Board, Change, Status};
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
}

/// What others of the control plane want done. It all goes through this one thread, so that shards
/// get it in one order.
enum Order {
    SetState(ServerId, ServerState),
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
    /// Sets the state of a server in every shard; `false` if too many orders wait already.
    pub fn set_state(&self, server: ServerId, state: ServerState) -> bool {
        self.orders.try_send(Order::SetState(server, state)).is_ok()
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
    let desk = Desk { board: Board::new(plan, shards.len()), shards, tally: tally.clone() };
    let plan = plan.clone();
    std::thread::Builder::new().name("health".into()).spawn(move || {
        let desk = Rc::new(RefCell::new(desk));
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, listen(plan, desk, notices, orders_out));
    })?;
    Ok(Handle { orders, tally })
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
                Order::SetState(server, state) => desk.borrow_mut().set_state(server, state),
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
}

impl Desk {
    fn set_state(&mut self, server: ServerId, state: ServerState) {
        self.tally.announce(self.board.set_state(server, state));
        self.tell_all();
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
