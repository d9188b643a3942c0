//! What is known, as the API shows it. The form is described in docs/admin.md: what is there stays,
//! more may come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use super::{InForce, Status};
use crate::config::WrittenFile;
use crate::control::audience::Totals;
use crate::control::health::ServerView;
use crate::control::outcome::Outcome;
use crate::plan::{Action, Plan, RoutePlan, ServerId, ServerPlan, UpstreamPlan};
use crate::telemetry::ServerUse;

/// What is known of each server.
pub type Views = BTreeMap<ServerId, ServerView>;

/// Whole seconds since 1970.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub fn about(status: &Status, changes: &str) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "process": std::process::id(),
        "state": if status.draining { "draining" } else { "serving" },
        "since": seconds(status.since),
        "shards": status.plan.shards.cpus.len(),
        "changes": changes,
    })
}

pub fn config(in_force: &InForce) -> Value {
    let files = in_force.written.files.iter();
    let file = |file: &WrittenFile| json!({ "name": file.name, "text": file.text });
    json!({
        "generation": in_force.generation,
        "files": files.map(file).collect::<Vec<_>>(),
        "last_reload": in_force.last_reload.as_ref().map(outcome),
    })
}

pub fn listeners(status: &Status) -> Value {
    let listeners = status.plan.listeners.iter().zip(&status.addresses);
    let listener = listeners.map(|(plan, bound)| {
        json!({
            "address": plan.address.to_string(),
            "listening": bound.to_string(),
            "backlog": plan.backlog,
            "proxy_protocol": plan.proxy_protocol,
        })
    });
    json!({ "listeners": listener.collect::<Vec<_>>() })
}

/// Those of one name, or all.
pub fn routes(plan: &Plan, only: Option<&str>) -> Value {
    let wanted = |route: &&RoutePlan| only.is_none_or(|only| route.name == only);
    let routes = plan.routes.iter().filter(wanted).map(|route| {
        let (action, target) = match &route.action {
            Action::Upstream(index) => {
                let upstream = plan.upstreams.get(*index);
                ("upstream", json!(upstream.map(|upstream| &upstream.name)))
            }
            Action::Respond { status, .. } => ("respond", json!(status)),
            Action::Redirect(redirect) => ("redirect", json!(redirect.status)),
            Action::Files(files) => ("files", json!(files.place.folder())),
        };
        json!({
            "name": route.name,
            "hosts": route.hosts,
            "path": route.path,
            "action": action,
            "target": target,
            "maintenance": route.closed().is_some(),
            "by_hand": route.by_hand.said().is_some(),
        })
    });
    json!({ "routes": routes.collect::<Vec<_>>() })
}

pub fn upstreams(plan: &Plan, views: &Views, totals: &Totals) -> Value {
    let upstreams = plan.upstreams.iter().map(|upstream| {
        let ids = || upstream.servers.iter().map(|server| server.id);
        let mut sum = ServerUse::default();
        ids().for_each(|id| sum.merge(&usage(totals, id)));
        let up = ids().filter_map(|id| views.get(&id)).filter(|view| view.status.is_up()).count();
        json!({
            "name": upstream.name,
            "balance": upstream.policy.name(),
            "servers": upstream.servers.len(),
            "up": up,
            "active": sum.active,
            "idle": sum.idle,
            "requests": sum.requests,
        })
    });
    json!({ "upstreams": upstreams.collect::<Vec<_>>() })
}

/// Those of one upstream, or of all.
pub fn servers(plan: &Plan, views: &Views, totals: &Totals, only: Option<&str>) -> Value {
    let wanted = |upstream: &&Arc<UpstreamPlan>| only.is_none_or(|only| upstream.name == only);
    let mut servers = Vec::new();
    for upstream in plan.upstreams.iter().filter(wanted) {
        let known = upstream.servers.iter().filter_map(|plan| {
            let view = views.get(&plan.id)?;
            Some(server(&upstream.name, plan, view, &usage(totals, plan.id)))
        });
        servers.extend(known);
    }
    json!({ "servers": servers })
}

fn server(upstream: &str, plan: &ServerPlan, view: &ServerView, usage: &ServerUse) -> Value {
    let checks = match view.checks_pass {
        None => "none",
        Some(true) => "passing",
        Some(false) => "failing",
    };
    json!({
        "upstream": upstream,
        "server": plan.host,
        "address": plan.address.to_string(),
        "status": view.status.to_string(),
        "state": view.state.name(),
        "checks": checks,
        "ejected": view.ejected_for.is_some(),
        "ejected_for_ms": view.ejected_for.map(milliseconds),
        "weight": view.weight,
        "backup": plan.backup,
        "max_connections": plan.max_connections,
        "active": usage.active,
        "idle": usage.idle,
        "requests": usage.requests,
        "failures": usage.failures,
    })
}

fn usage(totals: &Totals, id: ServerId) -> ServerUse {
    totals.servers.get(&id.0).copied().unwrap_or_default()
}

pub fn counters(totals: &Totals) -> Value {
    let object = |entries: Vec<(&'static str, u64)>| -> Map<String, Value> {
        entries.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
    };
    json!({
        "since": seconds(totals.since),
        "counters": object(totals.counters.named()),
        "gauges": object(totals.gauges.named()),
    })
}

pub fn outcome(outcome: &Outcome) -> Value {
    let (reloaded, changes, errors) = match &outcome.result {
        Ok(changes) => (true, changes.as_slice(), &[][..]),
        Err(errors) => (false, &[][..], errors.as_slice()),
    };
    json!({
        "reloaded": reloaded,
        "changes": changes,
        "errors": errors,
        "at": seconds(outcome.at),
        "milliseconds": milliseconds(outcome.took),
    })
}

/// Before there was any.
pub fn no_outcome() -> Value {
    json!({ "reloaded": null })
}
