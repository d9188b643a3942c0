//! The admin address: what runs is looked at and changed through it, over HTTP.
//!
//! Its connections are tasks of the control side's event loop; no request of a client meets them.
//! What they want to know or do they ask of the main thread, which answers when it has time.

mod api;
mod change;
mod gate;
mod latency;
mod live;
mod metrics;
mod page;
mod patience;
mod server;
mod socket;
mod view;
mod watchers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::sync::oneshot;

use super::audience::Totals;
use super::health::{self, Wish};
use super::observe::{Key, Ledger};
use super::outcome::{Outcome, Reloads};
use super::reports::Reports;
use crate::config::Written;
use crate::plan::{Address, Plan, ServerId};
use crate::shard::Tier;
use crate::telemetry::{Counters, Histogram, Latency, Phase, Report, StatusClass};
use watchers::Watchers;

pub use server::Server;
pub use socket::AdminSocket;
pub use view::Views;

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
    /// Look at what is known.
    Look(Box<dyn FnOnce(&Overview<'_>) + Send>),
    /// Close the routes of this name, or open them; `None`: the configuration counts again.
    Close { route: String, closed: Option<bool>, reply: oneshot::Sender<Result<(), NotSet>> },
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
    /// What was counted besides: by the keeper of the servers' health, and by the access log.
    pub besides: Counters,
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
    /// What each shard has counted since its start, and what it holds; in their order.
    pub shards: Vec<Report>,
    /// What was recorded of requests.
    pub measured: Recorded,
}

/// What of the ledger is shown to who watches.
pub struct Recorded {
    /// How long requests took altogether, since the start.
    pub total: Histogram<u64>,
    /// Latency in the last ten seconds.
    pub lately: Latency,
    /// Requests that ended since the start, by class of status.
    pub statuses: [u64; StatusClass::ALL.len()],
    /// Body bytes from clients and to them, since the start.
    pub bytes: [u64; 2],
    /// By server: the 99th percentile of the last ten seconds, microseconds.
    pub p99s: BTreeMap<ServerId, u64>,
}

impl Recorded {
    /// From all that is known at this moment.
    pub fn of(ledger: &Ledger, now: Instant) -> Recorded {
        let mut statuses = [0; StatusClass::ALL.len()];
        let mut bytes = [0; 2];
        for route in ledger.routes.values() {
            for counts in &route.requests {
                statuses.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
            bytes[0] += route.from_clients;
            bytes[1] += route.to_clients;
        }
        let p99 = |key: &Key| {
            let Key::Server(id) = key else { return None };
            let (latency, _) = ledger.last(std::slice::from_ref(key), live::SPAN, now);
            let histogram = latency.histogram(Phase::Total);
            (!histogram.is_empty()).then(|| (*id, histogram.value_at_percentile(99.0)))
        };
        let p99s = ledger.servers.keys().filter_map(p99).collect();
        let (lately, _) = ledger.last(&[Key::All], live::SPAN, now);
        Recorded { total: ledger.all.histogram(Phase::Total), lately, statuses, bytes, p99s }
    }
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
