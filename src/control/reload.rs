//! Another plan while the proxy runs: all shards get it, or nothing changes. It comes from another
//! configuration, or from what was found out about names and files of servers.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::access_log::AccessLog;
use super::admin::AdminSocket;
use super::clock::now;
use super::discovery::Discovery;
use super::identity::Identities;
use super::limits;
use super::maintenance::Watchman;
use super::sockets::Sockets;
use super::upgrade::Legacy;
use crate::config::Written;
use crate::plan::{Plan, RoutePlan, ShardPlan};
use crate::shard::Socket;

/// Where a new plan comes from when a reload is asked for. `Err`: one line for each complaint.
pub type Source = Box<dyn FnMut() -> Result<Draft, Vec<String>> + Send>;

/// A plan that may yet be refused.
pub struct Draft {
    /// The plan.
    pub plan: Plan,
    /// What it was made of.
    pub written: Written,
    /// Called once it is in force.
    pub accepted: Box<dyn FnOnce()>,
}

/// The plan in force and what follows from it for the whole process.
pub struct Configuration {
    source: Option<Source>,
    identities: Identities,
    /// What the source gave last.
    configured: Plan,
    discovery: Discovery,
    watchman: Watchman,
    /// The plan in force.
    pub plan: Arc<Plan>,
    /// What the source gave last, as it was written.
    pub written: Arc<Written>,
    /// How many plans the source has given that were put in force.
    pub generation: u64,
    /// What the first plan asked for shards, before it was made to fit the limits.
    asked: ShardPlan,
    /// The sockets of its listeners.
    pub sockets: Sockets,
    /// The socket of the admin address.
    pub admin: AdminSocket,
    /// The access log.
    pub access_log: AccessLog,
    /// Whether shards must be told of it with the plan in force.
    pub access_log_changed: bool,
    /// While some shard has yet to take the plan in force.
    adopting: Option<Adopting>,
}

/// What a configuration has open.
pub struct Opened {
    /// Of its listeners.
    pub sockets: Sockets,
    /// Of its admin address.
    pub admin: AdminSocket,
    /// Its access log.
    pub access_log: AccessLog,
}

struct Adopting {
    since: Instant,
    /// So many shards have yet to take the plan.
    shards: usize,
    /// Whether a reload brought it.
    reload: bool,
    /// Another reload was asked for meanwhile.
    again: bool,
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

impl Configuration {
    /// The first plan, which asked for these shards before it was made to fit the limits; the
    /// sockets of its listeners are open.
    ///
    /// # Errors
    /// Why the names of servers cannot be looked up.
    pub fn new(
        configured: Plan,
        written: Written,
        asked: ShardPlan,
        source: Option<Source>,
        opened: Opened,
        mut discovery: Discovery,
    ) -> io::Result<Configuration> {
        let mut identities = Identities::default();
        discovery.adopt(&configured)?;
        let mut watchman = Watchman::default();
        watchman.adopt(&configured)?;
        let mut plan = discovery.compose(&configured, None);
        identities.number(&mut plan);
        let plan = Arc::new(plan);
        let adopting = None;
        let Opened { sockets, admin, access_log } = opened;
        Ok(Configuration {
            source,
            identities,
            configured,
            discovery,
            watchman,
            plan,
            written: Arc::new(written),
            generation: 1,
            asked,
            sockets,
            admin,
            access_log,
            access_log_changed: false,
            adopting,
        })
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
        let Draft { mut plan, written, accepted } = source()?;
        let admin = self.admin.prepare(plan.admin.as_ref());
        let admin = admin.map_err(|error| vec![error.to_string()])?;
        let access_log = self.access_log.prepare(plan.access_log.as_ref());
        let access_log = access_log.map_err(|error| vec![error])?;
        let listeners = self.sockets.change(&plan.listeners).map_err(|error| vec![error])?;
        self.admin.take(admin);
        self.written = Arc::new(written);
        self.generation += 1;
        self.access_log_changed = self.access_log.take(access_log);
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
        if let Err(error) = self.discovery.adopt(&plan) {
            tracing::error!(%error, "names and files of servers are no longer looked at");
        }
        if let Err(error) = self.watchman.adopt(&plan) {
            tracing::error!(%error, "files that say when routes are closed are not watched");
        }
        RoutePlan::succeed(Arc::make_mut(&mut plan.routes), &self.plan.routes);
        self.configured = plan;
        let plan = self.discovery.compose(&self.configured, None);
        self.sockets.steer(&plan.shards.cpus);
        self.enforce(plan, since, true);
        Ok(Some(listeners))
    }

    /// For another process: all sockets, and what is known of names.
    ///
    /// # Errors
    /// Those of dup(2).
    pub fn legacy(&self) -> io::Result<Legacy> {
        let mut sockets = self.sockets.legacy()?;
        sockets.extend(self.admin.legacy()?);
        Ok(Legacy { sockets, names: self.discovery.legacy() })
    }

    /// Takes in what was found out about servers. Returns what each shard is then to accept from,
    /// if that makes another plan; `None` also while the shards have not all taken the one before:
    /// to be asked again then.
    pub fn catch_up(&mut self) -> Option<Vec<Vec<Socket>>> {
        if self.adopting.is_some() {
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
        let kept = || (0..plan.listeners.len()).map(Socket::Kept).collect();
        let listeners = plan.shards.cpus.iter().map(|_| kept()).collect();
        self.enforce(plan, since, false);
        Some(listeners)
    }

    fn enforce(&mut self, mut plan: Plan, since: Instant, reload: bool) {
        let shards = plan.shards.cpus.len();
        self.identities.number(&mut plan);
        self.plan = Arc::new(plan);
        self.adopting = Some(Adopting { since, shards, reload, again: false });
    }

    /// A shard serves by the plan in force. Says what follows.
    pub fn adopted(&mut self) -> Next {
        let Some(adopting) = &mut self.adopting else { return Next::Wait };
        adopting.shards = adopting.shards.saturating_sub(1);
        if adopting.shards > 0 {
            return Next::Wait;
        }
        let Adopting { since, reload, again, .. } = *adopting;
        self.adopting = None;
        let milliseconds = (now().duration_since(since).as_secs_f64() * 1e6).round() / 1e3;
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

/// Whether shards that start by one of these are as those that start by the other. All but the
/// number of connections is settled then.
fn is_same_start(one: &ShardPlan, other: &ShardPlan) -> bool {
    let max_connections = other.max_connections;
    ShardPlan { max_connections, ..one.clone() } == *other
}
