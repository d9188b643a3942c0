//! The admin address: what runs is looked at and changed through it, over HTTP.
//!
//! Its connections are tasks of the control side's event loop; no request of a client meets them.
//! What they want to know or do they ask of the main thread, which answers when it has time.

mod api;
mod gate;
mod latency;
mod metrics;
mod server;
mod socket;
mod view;

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::oneshot;

use super::audience::Totals;
use super::health::{self, Wish};
use super::observe::Ledger;
use super::outcome::{Outcome, Reloads};
use super::reports::Reports;
use crate::plan::{Address, Plan};
use crate::shard::Tier;
use crate::telemetry::Counters;

pub use server::Server;
pub use socket::AdminSocket;
pub use view::Views;

/// What is asked of the main thread. A reply that is dropped means that the process is ending.
pub enum Ask {
    /// How it stands.
    Status(oneshot::Sender<Status>),
    /// What the shards have recorded; `reset`: it counts anew from then on.
    Totals { reset: bool, reply: oneshot::Sender<Totals> },
    /// Set the state or weight of a server; the reply may be waited for until all shards have it.
    Set {
        upstream: String,
        server: String,
        wish: Wish,
        reply: oneshot::Sender<Result<oneshot::Receiver<()>, NotSet>>,
    },
    /// Read the configuration anew.
    Reload(oneshot::Sender<Result<Outcome, &'static str>>),
    /// Look at what is known.
    Look(Box<dyn FnOnce(&Overview<'_>) + Send>),
    /// How the last reload went, if there was one.
    LastReload(oneshot::Sender<Option<Outcome>>),
}

/// What the main thread knows, for as long as somebody looks at it there.
pub struct Overview<'a> {
    /// The plan in force.
    pub plan: &'a Plan,
    /// What was measured.
    pub ledger: &'a Ledger,
    /// What shards counted, and hold.
    pub reports: &'a Reports,
    /// What the keeper of the servers' health counted.
    pub of_health: Counters,
    /// How reloads went.
    pub reloads: &'a Reloads,
    /// The ring tier in use.
    pub tier: Tier,
    /// No client is accepted any more.
    pub draining: bool,
}

/// How the process stands.
pub struct Status {
    /// The plan in force.
    pub plan: Arc<Plan>,
    /// Where its listeners listen, in their order.
    pub addresses: Vec<Address>,
    /// It accepts no more.
    pub draining: bool,
    /// When it began to serve.
    pub since: SystemTime,
}

/// Why nothing was set.
pub enum NotSet {
    /// There is no such thing; says what there is.
    Unknown(String),
    /// Too much is to be set at once.
    Busy,
}

/// Where connections of the admin address ask.
#[derive(Clone)]
pub struct Office {
    ask: Arc<dyn Fn(Ask) + Send + Sync>,
    health: health::Handle,
}

impl Office {
    /// `ask` passes something on to the main thread.
    pub fn new(ask: impl Fn(Ask) + Send + Sync + 'static, health: health::Handle) -> Office {
        Office { ask: Arc::new(ask), health }
    }
}
