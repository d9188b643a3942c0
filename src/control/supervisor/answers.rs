//! What the main thread answers to those who ask at the admin address.

use std::time::SystemTime;

use tokio::sync::oneshot;

use super::{Running, State};
use crate::control::admin::{Ask, InForce, NotSet, Overview, Recorded, Sample, Status};
use crate::control::clock::now;
use crate::control::health::Wish;
use crate::plan::{ServerPlan, UpstreamPlan};
use crate::telemetry::{Counters, Report};

/// Why nothing is reloaded during a drain.
pub(super) const DRAINING: &str = "this process drains and will end; nothing is reloaded any more";
/// Why nothing is reloaded during an upgrade.
const UPGRADING: &str = "another process is about to take over; ask again when it has";

impl Running {
    /// Answers, now or when that is known. Who has gone meanwhile gets nothing.
    pub(super) fn answer(&mut self, ask: Ask, state: &mut State) {
        match ask {
            Ask::Status(reply) => drop(reply.send(self.status(state))),
            Ask::InForce(reply) => drop(reply.send(self.in_force())),
            Ask::Sample(reply) => {
                state.samplers.retain(|waiting| !waiting.is_closed());
                state.samplers.push(reply);
                self.ask_for_reports(state);
            }
            Ask::Totals { reset, reply } => {
                state.audience.wait(reset, reply);
                self.ask_for_reports(state);
            }
            Ask::Set { upstream, server, wish, reply } => {
                let _ = reply.send(self.set(&upstream, &server, wish));
            }
            Ask::Close { route, closed, reply } => drop(reply.send(self.close(&route, closed))),
            Ask::Reload(reply) if state.stopping || state.stop_wanted => {
                let _ = reply.send(Err(DRAINING));
            }
            Ask::Reload(reply) if self.upgrading => drop(reply.send(Err(UPGRADING))),
            Ask::Reload(reply) => {
                self.reloads.wait(reply);
                self.reload();
            }
            Ask::Look(look) => {
                let (plan, ledger) = (&*self.configuration.plan, &state.observer.ledger);
                look(&Overview {
                    plan,
                    ledger,
                    reports: &state.reports,
                    besides: self.counted_besides(),
                    reloads: &self.reloads,
                    tier: self.tier,
                    draining: state.stopping,
                });
            }
            Ask::LastReload(reply) => drop(reply.send(self.reloads.last().cloned())),
        }
    }

    fn status(&self, state: &State) -> Status {
        Status {
            plan: self.configuration.plan.clone(),
            addresses: self.addresses.clone(),
            draining: state.stopping,
            since: self.since,
        }
    }

    fn in_force(&self) -> InForce {
        InForce {
            written: self.configuration.written.clone(),
            generation: self.configuration.generation,
            last_reload: self.reloads.last().cloned(),
        }
    }

    /// Sets the state or weight of a server, by its upstream's name and its address; or of all that
    /// a name and port from the configuration stand for.
    fn set(
        &self,
        upstream: &str,
        server: &str,
        wish: Wish,
    ) -> Result<oneshot::Receiver<()>, NotSet> {
        let upstreams = &self.configuration.plan.upstreams;
        let group = upstreams.iter().find(|plan| plan.name == upstream);
        let Some(group) = group else {
            let names = upstreams.iter().map(|plan| plan.name.clone());
            return Err(unknown(&format!("upstream `{upstream}`"), names.collect()));
        };
        let meant = |plan: &&ServerPlan| plan.host == server || plan.address.to_string() == server;
        let ids: Vec<_> = group.servers.iter().filter(meant).map(|plan| plan.id).collect();
        if ids.is_empty() {
            return Err(unknown(&format!("server `{server}` in `{upstream}`"), servers(group)));
        }
        let (done, all_know) = oneshot::channel();
        match self.health.set(ids, wish, done) {
            true => Ok(all_know),
            false => Err(NotSet::Busy),
        }
    }

    /// Closes the routes of this name, or opens them: of the plan in force and, as they have it in
    /// common, of the one that shards may still serve by.
    fn close(&self, name: &str, closed: Option<bool>) -> Result<(), NotSet> {
        let routes = &self.configuration.plan.routes;
        let mut found = routes.iter().filter(|route| route.name == name).peekable();
        if found.peek().is_none() {
            let names = routes.iter().map(|route| route.name.clone());
            return Err(unknown(&format!("route `{name}`"), names.collect()));
        }
        for route in found {
            let before = route.by_hand.said();
            route.by_hand.say(closed);
            match closed {
                _ if closed == before => {}
                None => tracing::info!(route = name, "maintenance as configured again"),
                Some(true) => tracing::info!(route = name, "maintenance begins by hand"),
                Some(false) => tracing::info!(route = name, "maintenance is over by hand"),
            }
        }
        Ok(())
    }

    fn sample(&self, state: &State) -> Sample {
        Sample {
            status: self.status(state),
            in_force: self.in_force(),
            shards: state.reports.each().cloned().collect(),
            measured: Recorded::of(&state.observer.ledger, now()),
        }
    }

    /// What is counted here, and not by a shard.
    fn counted_besides(&self) -> Counters {
        let mut counters = self.health.counters();
        counters.merge(&self.configuration.access_log.counters());
        counters
    }

    /// A report is complete: with what others have counted it goes to all who wait for one.
    pub(super) fn publish(&self, mut report: Report, state: &mut State) {
        report.counters.merge(&self.counted_besides());
        report.latency.clone_from(&state.observer.ledger.all);
        for reply in std::mem::take(&mut state.samplers) {
            // Whoever asked may have gone.
            let _ = reply.send(self.sample(state));
        }
        if state.audience.hear(&report, SystemTime::now()) {
            super::print(&report);
        }
    }

    /// Serves the admin address as it is now.
    pub(super) fn serve_admin(&mut self) {
        let shared = self.configuration.admin.share();
        let server = shared.map(|shared| {
            let (socket, plan) = shared?;
            let office = self.office.clone();
            Some(crate::control::admin::Server::start(self.health.runtime(), socket, &plan, office))
        });
        match server {
            Ok(server) => self.admin = server,
            Err(error) => {
                // Least of all by what held before.
                self.admin = None;
                tracing::error!(%error, "the admin address cannot be served");
            }
        }
    }
}

fn servers(upstream: &UpstreamPlan) -> Vec<String> {
    let mut names: Vec<String> =
        upstream.servers.iter().map(|server| server.host.clone()).collect();
    names.dedup();
    names
}

/// Most names in a sentence.
const NAMES_MAX: usize = 20;

fn unknown(what: &str, names: Vec<String>) -> NotSet {
    let more = if names.len() > NAMES_MAX { ", …" } else { "" };
    let names: Vec<String> = names.into_iter().take(NAMES_MAX).collect();
    let there = match names.is_empty() {
        true => "there is none at all".to_owned(),
        false => format!("there is: {}{more}", names.join(", ")),
    };
    NotSet::Unknown(format!("there is no {what}; {there}"))
}
