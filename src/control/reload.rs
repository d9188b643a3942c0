//! Another plan while the proxy runs: all shards get it, or nothing changes.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::identity::Identities;
use super::limits;
use super::sockets::{Inherited, OpenError, Sockets};
use crate::plan::{Plan, ShardPlan};
use crate::shard::Socket;

/// Where a new plan comes from when a reload is asked for. `Err`: one line for each complaint.
pub type Source = Box<dyn FnMut() -> Result<Plan, Vec<String>> + Send>;

/// The plan in force and what follows from it for the whole process.
pub struct Configuration {
    source: Option<Source>,
    identities: Identities,
    /// The plan in force.
    pub plan: Arc<Plan>,
    /// The sockets of its listeners.
    pub sockets: Sockets,
    progress: Progress,
}

/// What is under way.
enum Progress {
    None,
    /// So many shards have yet to take the plan; another reload was asked for meanwhile.
    Adopting {
        since: Instant,
        shards: usize,
        again: bool,
    },
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
    /// Why it cannot listen.
    pub fn new(
        mut plan: Plan,
        source: Option<Source>,
        inherited: Vec<Inherited>,
    ) -> Result<(Configuration, Vec<Vec<Socket>>), OpenError> {
        let mut identities = Identities::default();
        identities.number(&mut plan);
        let mut sockets = Sockets::new(plan.shards.cpus.len(), inherited);
        let opened = sockets.change(&plan.listeners)?;
        let plan = Arc::new(plan);
        let configuration =
            Configuration { source, identities, plan, sockets, progress: Progress::None };
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
        self.identities.number(&mut plan);
        self.sockets.steer(&plan.shards.cpus);
        self.plan = Arc::new(plan);
        self.progress = Progress::Adopting { since, shards: listeners.len(), again: false };
        Ok(Some(listeners))
    }

    /// Whether some shard has yet to take the plan in force.
    pub fn is_changing(&self) -> bool {
        matches!(self.progress, Progress::Adopting { .. })
    }

    /// A shard serves by the plan in force, or has ended. Says whether another reload was asked for
    /// meanwhile, and may begin.
    pub fn adopted(&mut self) -> bool {
        let Progress::Adopting { since, shards, again } = &mut self.progress else { return false };
        *shards = shards.saturating_sub(1);
        if *shards > 0 {
            return false;
        }
        let (took, again) = (now().duration_since(*since), *again);
        self.progress = Progress::None;
        tracing::info!(milliseconds = took.as_secs_f64() * 1e3, "reloaded: all shards serve by it");
        again
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
