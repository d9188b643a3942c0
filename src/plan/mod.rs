//! The validated, immutable configuration that shards run.
//!
//! `config` turns a file into a [`Plan`]; nothing below `config` ever sees the file. A plan is
//! shared as one `Arc`, and an exchange keeps the plan it began with.

mod allowance;
mod health;
mod listener;
mod rate;
mod retry;
mod route;
mod shards;
mod sticky;
mod timeouts;
mod trust;
mod upstream;

pub use crate::http1::FieldEdits;
pub use allowance::{BreakerPlan, BudgetPlan};
pub use health::{CheckKind, CheckPlan, HttpCheck, PassivePlan, ServerState};
pub use listener::{Address, ListenerPlan, Steering};
pub use rate::{RateKey, RatePlan};
pub use retry::{RetryOn, RetryPlan};
pub use route::{Action, BodyText, Redirect, RedirectPart, RoutePlan};
pub use shards::{RingPlan, ShardPlan, SplicePlan, TierChoice};
pub use sticky::{CookiePlan, SameSite, StickyPlan};
pub use timeouts::{Limits, Timeouts};
pub use trust::TrustedProxies;
pub use upstream::{
    HashKey, PoolPlan, ProxyVersion, QueuePlan, ServerAddress, ServerId, ServerPlan, UpstreamPlan,
};

use crate::route::Table;

/// Everything a shard needs to serve.
#[derive(Debug)]
pub struct Plan {
    /// Where to run: CPUs, ring and splice settings. Fixed for the life of the process.
    pub shards: ShardPlan,
    /// Addresses to listen on, in the order of the file.
    pub listeners: Vec<ListenerPlan>,
    /// Upstream groups; routes refer to them by index.
    pub upstreams: Vec<UpstreamPlan>,
    /// How often requests may come; routes refer to them by index.
    pub rates: Vec<RatePlan>,
    /// Routes in the order of the file; [`Table`] answers with an index into this.
    pub routes: Vec<RoutePlan>,
    /// Host and path to route index.
    pub table: Table,
    /// Timeouts before a route is known (head, keep-alive), and defaults for the rest.
    pub timeouts: Timeouts,
    /// Limits before a route is known (head), and defaults for the rest.
    pub limits: Limits,
}
