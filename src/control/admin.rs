//! The admin address: what runs is looked at and changed through it, over HTTP.
//!
//! Its connections are tasks of the control side's event loop; no request of a client meets them.
//! What they want to know or do they ask of the main thread, which answers when it has time.

mod api;
mod gate;
mod live;
mod page;
mod patience;
mod server;
mod socket;
mod view;
mod watchers;

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::oneshot;

use super::audience::Totals;
use super::health::{self, Wish};
use super::outcome::Outcome;
use crate::config::Written;
use crate::plan::{Address, Plan};
use crate::telemetry::Report;
use watchers::Watchers;

pub use server::Server;
pub use socket::AdminSocket;

/// What is asked of the main thread. A reply that is dropped means that the process is ending.
pub enum Ask {
    /// How it stands.
    Status(oneshot::Sender<Status>),
    /// What it was told to do.
    InForce(oneshot::Sender<InForce>),
    /// All that goes on, for who watches.
    Sample(oneshot::Sender<Sample>),
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
    /// How the last reload went, if there was one.
    LastReload(oneshot::Sender<Option<Outcome>>),
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

/// The configuration that the process serves by.
pub struct InForce {
    /// Its files.
    pub written: Arc<Written>,
    /// Counts the configurations that were put in force, from 1.
    pub generation: u64,
    /// How the last reload went, if there was one.
    pub last_reload: Option<Outcome>,
}

/// What goes on at one moment.
pub struct Sample {
    /// How it stands.
    pub status: Status,
    /// By which configuration.
    pub in_force: InForce,
    /// What each shard has recorded since its start, and what it holds; in their order.
    pub shards: Vec<Report>,
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
    watchers: Watchers,
}

impl Office {
    /// `ask` passes something on to the main thread.
    pub fn new(ask: impl Fn(Ask) + Send + Sync + 'static, health: health::Handle) -> Office {
        Office { ask: Arc::new(ask), health, watchers: Watchers::default() }
    }
}
