//! The validated, immutable configuration that shards run.
//!
//! `config` turns a file into a [`Plan`]; nothing below `config` ever sees the file. A plan is
//! shared as one `Arc`, and an exchange keeps the plan it began with.

mod access_log;
mod account;
mod admin;
mod allowance;
mod content;
mod edits;
mod expires;
mod files;
mod health;
mod listener;
mod map;
mod members;
mod program;
mod rate;
mod resolver;
mod retry;
mod route;
mod shards;
mod steps;
mod sticky;
mod telemetry;
mod template;
mod timeouts;
mod trace;
mod trust;
mod upstream;
mod value;

pub use crate::http1::{Coding, FieldEdits};
pub use access_log::{
    AccessLogPlan, Escape, FIELDS_MAX, FormatError, LogFormat, LogTarget, Sample, Segment, Variable,
};
pub use account::Account;
pub use admin::{AdminPlan, Token, is_loopback};
pub use allowance::{BreakerPlan, BudgetPlan};
pub use content::{
    Asked, BasicAuthPlan, ByHand, CompressPlan, ContentPlan, CorsPlan, MaintenancePlan,
    OriginPattern, OriginPatternError, Origins, Page, Switch, TypePattern,
};
pub use edits::{EditsPlan, is_ok};
pub use expires::{Expires, ExpiresPlan, Moment};
pub use files::{
    FileCachePlan, FileTypes, FilesPlan, LastResort, Listing, Place, Symlinks, TryPath, TryPiece,
    TryPlan,
};
pub use health::{CheckKind, CheckPlan, HttpCheck, PassivePlan, ServerState};
pub use listener::{Address, ListenerPlan, Steering};
pub use map::MapPlan;
pub use members::{Found, Member, ServerAddress, WEIGHT_MAX};
pub use program::{Matcher, Program, RedirectFrom, RedirectRule, TargetPlan};
pub use rate::{RateKey, RatePlan};
pub use resolver::ResolverPlan;
pub use retry::{RetryOn, RetryPlan};
pub use route::{Action, BodyText, Redirect, RoutePlan};
pub use shards::{RingPlan, ShardPlan, SplicePlan, TierChoice};
pub use steps::{Condition, ErrorPage, PageAt, PageStatus, Return, Rewrite, Step, Test, Then};
pub use sticky::{CookiePlan, SameSite, StickyPlan};
pub use telemetry::{HistogramLogPlan, TelemetryPlan};
pub use template::{Scope, Template, TemplateError, Term};
pub use timeouts::{Limits, Timeouts};
pub use trace::{Created, TracingPlan};
pub use trust::TrustedProxies;
pub use upstream::{
    HashKey, PoolPlan, ProxyVersion, QueuePlan, ServerId, ServerPlan, ServersFile, UpstreamPlan,
};
pub use value::ValueOf;

use std::sync::Arc;

use crate::route::Table;

/// Everything a shard needs to serve. What is large is shared: a plan that differs from another in
/// the servers of one upstream has the rest in common with it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to run: CPUs, ring and splice settings. All but the number of connections is fixed for
    /// the life of the process.
    pub shards: ShardPlan,
    /// As whom to serve, where the process is started as root. Fixed as well.
    pub account: Option<Account>,
    /// Addresses to listen on, in the order of the file.
    pub listeners: Vec<ListenerPlan>,
    /// Where it is asked and told things while it runs.
    pub admin: Option<AdminPlan>,
    /// What is written about each request, if anything.
    pub access_log: Option<Arc<AccessLogPlan>>,
    /// Whether requests are given trace ids.
    pub tracing: TracingPlan,
    /// Upstream groups; routes refer to them by index.
    pub upstreams: Vec<Arc<UpstreamPlan>>,
    /// How names of servers are looked up.
    pub resolver: ResolverPlan,
    /// How measurements are told.
    pub telemetry: TelemetryPlan,
    /// What shards keep of files, if a route serves any.
    pub file_cache: Option<FileCachePlan>,
    /// How often requests may come; routes refer to them by index.
    pub rates: Vec<RatePlan>,
    /// Routes in the order of the file; [`Table`] answers with an index into this.
    pub routes: Arc<[RoutePlan]>,
    /// Maps, by the numbers of their names; sorted by those.
    pub maps: Arc<[(u32, MapPlan)]>,
    /// Host and path to route index, of the routes for all listeners.
    pub table: Arc<Table>,
    /// For the listeners that a route names, by their names: its routes and those for all.
    pub tables: Arc<[(String, Table)]>,

    /// Timeouts before a route is known (head, keep-alive), and defaults for the rest.
    pub timeouts: Timeouts,
    /// Limits before a route is known (head), and defaults for the rest.
    pub limits: Limits,
}

impl Plan {
    /// The map whose name has this number.
    pub fn map(&self, number: u32) -> Option<&MapPlan> {
        let at = self.maps.binary_search_by_key(&number, |(known, _)| *known).ok()?;
        self.maps.get(at).map(|(_, map)| map)
    }
}
