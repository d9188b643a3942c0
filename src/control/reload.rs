//! Another plan while the proxy runs: all shards get it, or nothing changes. It comes from another
//! configuration, or from what was found out about names and files of servers.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::discovery::Discovery;
use super::identity::Identities;
use super::limits;
use super::sockets::{Inherited, Sockets};
use super::supervisor::StartError;
use crate::plan::{Plan, ShardPlan};
use crate::shard::Socket;

/// Where a new plan comes from when a reload is asked for. `Err`: one line for each complaint.
pub type Source = Box<dyn FnMut() -> Result<Plan, Vec<String>> + Send>;

/// The plan in force and what follows from it for the whole process.
pub struct Configuration {
    source: Option<Source>,
    identities: Identities,
    /// What the source gave last.
    configured: Plan,
    discovery: Discovery,
    /// The plan in force.
    pub plan: Arc<Plan>,
    /// The sockets of its listeners.
    pub sockets: Sockets,
    progress: Progress,
}

/// What is under way.
enum Progress {
    None,
    /// So many shards have yet to take the plan, which a reload brought or not; another reload was
    /// asked for meanwhile.
    Adopting {
        since: Instant,
        shards: usize,
        reload: bool,
        again: bool,
    },
}

/// What follows when a shard has taken the plan in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The others have not yet.
    Wait,
    /// Another reload was asked for meanwhile, and may begin.
    Reload,
    /// Nothing is under way any more; whether that was a reload.
    Rest { reloaded: bool },
}

/// Why a new plan was refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused(pub Vec<String>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl Configuration {
    /// The first plan. Returns the sockets of each shard.
    ///
    /// # Errors
    /// Why it cannot listen, or not look up the names of servers.
    pub fn new(
        configured: Plan,
        source: Option<Source>,
        inherited: Vec<Inherited>,
        mut discovery: Discovery,
    ) -> Result<(Configuration, Vec<Vec<Socket>>), StartError> {
        let mut identities = Identities::default();
        let mut sockets = Sockets::new(configured.shards.cpus.len(), inherited);
        let opened = sockets.change(&configured.listeners).map_err(StartError::Open)?;
        discovery.adopt(&configured)?;
        let mut plan = discovery.compose(&configured, None);
        identities.number(&mut plan);
        let configuration = Configuration {
            source,
            identities,
            configured,
            discovery,
            plan: Arc::new(plan),
            sockets,
            progress: Progress::None,
        };
        Ok((configuration, opened))
    }

    /// Makes the next plan the one in force, and returns what each shard is then to accept from;
    /// `None` while the shards have not all taken the one before: then it follows by itself.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub fn next(&mut self) -> Result<Option<Vec<Vec<Socket>>>, Refused> {
        if let Progress::Adopting { again, .. } = &mut self.progress {
            *again = true;
            return Ok(None);
        }
        let since = now();
        let source = self.source.as_mut().ok_or_else(|| {
            Refused(vec!["this process was not started from a file; restart it".to_owned()])
        })?;
        let mut plan = source().map_err(Refused)?;
        if let Some(warning) = limits::fit(&mut plan) {
            tracing::warn!("{warning}");
        }
        plan.shards = unchangeable(&self.plan.shards, plan.shards);
        let listeners = self.sockets.change(&plan.listeners);
        let listeners = listeners.map_err(|error| Refused(vec![error.to_string()]))?;
        if let Err(error) = self.discovery.adopt(&plan) {
            tracing::error!(%error, "names and files of servers are no longer looked at");
        }
        self.configured = plan;
        let plan = self.discovery.compose(&self.configured, None);
        self.enforce(plan, since, listeners.len(), true);
        Ok(Some(listeners))
    }

    /// Takes in what was found out about servers. Returns what each shard is then to accept from,
    /// if that makes another plan; `None` also while the shards have not all taken the one before:
    /// to be asked again then.
    pub fn catch_up(&mut self) -> Option<Vec<Vec<Socket>>> {
        if matches!(self.progress, Progress::Adopting { .. }) {
            return None;
        }
        let since = now();
        match self.discovery.catch_up(&self.configured) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => tracing::error!(%error, "names of servers are not looked up"),
        }
        let plan = self.discovery.compose(&self.configured, Some(&self.plan));
        let upstreams = self.plan.upstreams.iter().zip(&plan.upstreams);
        if upstreams.clone().all(|(old, new)| Arc::ptr_eq(old, new)) {
            return None;
        }
        for (old, new) in upstreams.filter(|(old, new)| !Arc::ptr_eq(old, new)) {
            let (before, servers) = (old.servers.len(), new.servers.len());
            tracing::info!(upstream = new.name, before, servers, "an upstream's servers change");
        }
        let shards = plan.shards.cpus.len();
        let kept = || (0..plan.listeners.len()).map(Socket::Kept).collect();
        let listeners = (0..shards).map(|_| kept()).collect();
        self.enforce(plan, since, shards, false);
        Some(listeners)
    }

    fn enforce(&mut self, mut plan: Plan, since: Instant, shards: usize, reload: bool) {
        self.identities.number(&mut plan);
        self.plan = Arc::new(plan);
        self.progress = Progress::Adopting { since, shards, reload, again: false };
    }

    /// A shard serves by the plan in force, or has ended. Says what follows.
    pub fn adopted(&mut self) -> Next {
        let Progress::Adopting { since, shards, reload, again } = &mut self.progress else {
            return Next::Wait;
        };
        *shards = shards.saturating_sub(1);
        if *shards > 0 {
            return Next::Wait;
        }
        let (took, reload, again) = (now().duration_since(*since), *reload, *again);
        self.progress = Progress::None;
        let milliseconds = took.as_secs_f64() * 1e3;
        match reload {
            true => tracing::info!(milliseconds, "reloaded: all shards serve by it"),
            false => tracing::debug!(milliseconds, "all shards know of other servers"),
        }
        match again {
            true => Next::Reload,
            false => Next::Rest { reloaded: reload },
        }
    }
}

/// What of a new plan's `[shards]`, `[ring]` and `[splice]` can be taken over: not where shards
/// run, and what they were set up with.
fn unchangeable(present: &ShardPlan, new: ShardPlan) -> ShardPlan {
    let max_connections = new.max_connections;
    let kept = ShardPlan { max_connections, ..present.clone() };
    if kept != new {
        tracing::warn!(
            "`shards`, [ring], [splice] or `connections_per_client` changed; that takes effect at \
             the next start"
        );
    }
    kept
}

/// Only this thread, its like and the ring read a clock.
#[allow(clippy::disallowed_methods, reason = "what is no request is timed here")]
fn now() -> Instant {
    Instant::now()
}
