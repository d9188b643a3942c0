//! Another plan while the proxy runs: all shards get it, or nothing changes.

use std::sync::Arc;
use std::time::Instant;

use super::clock::now;
use super::identity::Identities;
use super::limits;
use super::sockets::{Inherited, Sockets};
use crate::plan::{Plan, ShardPlan};
use crate::shard::Socket;

/// Where a new plan comes from when a reload is asked for. `Err`: one line for each complaint.
pub type Source = Box<dyn FnMut() -> Result<Draft, Vec<String>> + Send>;

/// A plan that may yet be refused.
pub struct Draft {
    /// The plan.
    pub plan: Plan,
    /// Called once it is in force.
    pub accepted: Box<dyn FnOnce()>,
}

/// The plan in force and what follows from it for the whole process.
pub struct Configuration {
    source: Option<Source>,
    identities: Identities,
    /// The plan in force.
    pub plan: Arc<Plan>,
    /// What the first plan asked for shards, before it was made to fit the limits.
    asked: ShardPlan,
    /// The sockets of its listeners.
    pub sockets: Sockets,
    /// While some shard has yet to take the plan in force.
    adopting: Option<Adopting>,
}

struct Adopting {
    since: Instant,
    /// So many shards have yet to take the plan.
    shards: usize,
    /// Another reload was asked for meanwhile.
    again: bool,
}

impl Configuration {
    /// The first plan, which asked for these shards before it was made to fit the limits. Returns
    /// the sockets of each shard.
    ///
    /// # Errors
    /// Why it cannot listen.
    pub fn new(
        mut plan: Plan,
        asked: ShardPlan,
        source: Option<Source>,
        inherited: Vec<Inherited>,
    ) -> Result<(Configuration, Vec<Vec<Socket>>), String> {
        let mut identities = Identities::default();
        identities.number(&mut plan);
        let mut sockets = Sockets::new(plan.shards.cpus.len(), inherited);
        let opened = sockets.change(&plan.listeners)?;
        let plan = Arc::new(plan);
        let adopting = None;
        let configuration = Configuration { source, identities, plan, asked, sockets, adopting };
        Ok((configuration, opened))
    }

    /// Makes the next plan the one in force, and returns what each shard is then to accept from;
    /// `None` while the shards have not all taken the one before: then it follows by itself.
    ///
    /// # Errors
    /// One line for each complaint; nothing has changed then.
    pub fn next(&mut self) -> Result<Option<Vec<Vec<Socket>>>, Vec<String>> {
        if let Some(adopting) = &mut self.adopting {
            adopting.again = true;
            return Ok(None);
        }
        let since = now();
        let source = self.source.as_mut().ok_or_else(|| {
            vec!["this process was not started from a file; restart it".to_owned()]
        })?;
        let Draft { mut plan, accepted } = source()?;
        let listeners = self.sockets.change(&plan.listeners).map_err(|error| vec![error])?;
        accepted();
        if !is_same_start(&self.asked, &plan.shards) {
            tracing::warn!(
                "`shards`, [ring], [splice] or `connections_per_client` changed; that takes \
                 effect at the next start"
            );
        }
        let max_connections = plan.shards.max_connections;
        plan.shards = ShardPlan { max_connections, ..self.plan.shards.clone() };
        if let Some(warning) = limits::fit_again(&mut plan) {
            tracing::warn!("{warning}");
        }
        if plan.account != self.plan.account {
            tracing::warn!("`user` or `group` changed; that takes effect at the next start");
            plan.account.clone_from(&self.plan.account);
        }
        self.identities.number(&mut plan);
        self.plan = Arc::new(plan);
        self.adopting = Some(Adopting { since, shards: listeners.len(), again: false });
        Ok(Some(listeners))
    }

    /// Whether some shard has yet to take the plan in force.
    pub fn is_changing(&self) -> bool {
        self.adopting.is_some()
    }

    /// A shard serves by the plan in force. Says whether another reload was asked for meanwhile,
    /// and may begin.
    pub fn adopted(&mut self) -> bool {
        let Some(adopting) = &mut self.adopting else { return false };
        adopting.shards = adopting.shards.saturating_sub(1);
        if adopting.shards > 0 {
            return false;
        }
        let (took, again) = (now().duration_since(adopting.since), adopting.again);
        self.adopting = None;
        tracing::info!(milliseconds = took.as_secs_f64() * 1e3, "reloaded: all shards serve by it");
        again
    }
}

/// Whether shards that start by one of these are as those that start by the other. All but the
/// number of connections is settled then.
fn is_same_start(one: &ShardPlan, other: &ShardPlan) -> bool {
    let max_connections = other.max_connections;
    ShardPlan { max_connections, ..one.clone() } == *other
}
