//! What an upstream says about itself.

use super::duplicates;
use crate::balance::PolicyKind;
use crate::config::complaint::Complaints;
use crate::config::file::{HealthTable, HttpTable, UpstreamTable};
use crate::config::quantity::duration_text;
use crate::plan::ServerState;

/// Complains of what does not fit together within an upstream.
pub(super) fn check(upstream: &UpstreamTable, complaints: &Complaints) {
    servers(upstream, complaints);
    if let Some(hash) = &upstream.hash
        && upstream.balance != Some(PolicyKind::ConsistentHash)
    {
        let what = "`hash` has no effect with this `balance`";
        complaints.error(hash.spot, what, "write balance = \"consistent_hash\" or remove `hash`");
    }
    ejection(upstream, complaints);
    if let Some(health) = &upstream.health {
        checks(health, complaints);
    }
    retries(upstream, complaints);
    pending(upstream, complaints);
}

fn servers(upstream: &UpstreamTable, complaints: &Complaints) {
    let known = upstream.servers.iter().filter_map(|server| server.address.as_ref());
    duplicates(known.map(|address| (address.to_string(), address.spot)), |address, spot| {
        let what = format!("the server {address} is listed twice");
        complaints.error(spot, what, "remove one; a larger `weight` gives a larger share");
    });
    let servers = &upstream.servers;
    if !servers.is_empty() && servers.iter().all(|server| server.backup == Some(true)) {
        let remedy = "remove `backup` from the servers of every day";
        complaints.error(upstream.spot, "every server of the upstream is a backup", remedy);
    }
    if !servers.is_empty() && servers.iter().all(|server| server.state.is_some_and(is_out)) {
        let what = "every server of the upstream is set to drain or down";
        let remedy = "its requests are answered 502 until one is up";
        complaints.warning(upstream.spot, what, remedy);
    }
}

fn is_out(state: ServerState) -> bool {
    state != ServerState::Up
}

fn ejection(upstream: &UpstreamTable, complaints: &Complaints) {
    let plan = upstream.passive.plan();
    if plan.max_ejection < plan.ejection
        && let Some(longest) = &upstream.passive.max_ejection
    {
        let [least, most] = [plan.ejection, plan.max_ejection].map(duration_text);
        let what = format!("`max_ejection` is \"{most}\", but the first ejection is {least}");
        complaints.error(longest.spot, what, format!("write at least \"{least}\""));
    }
}

fn checks(health: &HealthTable, complaints: &Complaints) {
    if let Some(timeout) = &health.timeout
        && timeout.value > health.interval()
    {
        let [most, longer] = [health.interval(), timeout.value].map(duration_text);
        let what = format!("`timeout` is \"{longer}\", but a check begins every {most}");
        complaints.error(timeout.spot, what, format!("write at most \"{most}\""));
    }
    for (key, spot) in health.http.keys().filter(|_| health.tcp) {
        let what = format!("`{key}` has no effect with type = \"tcp\"");
        complaints.error(spot, what, "remove it, or write type = \"http\"");
    }
    let HttpTable { method: Some(method), body: Some(body), .. } = &health.http else { return };
    if method.value == "HEAD" {
        let what = "an answer to HEAD has no body to look at";
        complaints.error(body.spot, what, "write method = \"GET\" or remove `body`");
    }
}

/// A budget or limit for retries must let some through, and there must be some to limit.
fn retries(upstream: &UpstreamTable, complaints: &Complaints) {
    let retry = upstream.retry.plan();
    let never = retry.tries == 1 && !retry.stale;
    let set = [&upstream.retry.budget_percent, &upstream.retry.budget_min];
    if !never
        && (retry.budget_percent, retry.budget_min) == (0, 0)
        && let Some(spot) = set.into_iter().flatten().map(|set| set.spot).max()
    {
        let remedy = "raise `budget_min`, or write tries = 1 and stale = false";
        complaints.error(spot, "a budget of nothing allows no retry", remedy);
    }
    let limits = set.into_iter().flatten().map(|set| set.spot);
    let limits = limits.chain(upstream.limits.max_retries.as_ref().map(|set| set.spot));
    for spot in limits.filter(|_| never) {
        let what = "this has no effect: with tries = 1 and stale = false nothing is tried again";
        complaints.error(spot, what, "remove it");
    }
}

/// The queue is part of what is pending.
fn pending(upstream: &UpstreamTable, complaints: &Complaints) {
    let Some(most) = &upstream.limits.max_pending else { return };
    if let (Some(pending), Some(queue)) = (most.value, upstream.queue.max)
        && pending < queue
    {
        let what = format!("max_pending = {pending}, but `queue` lets {queue} requests wait");
        let remedy = format!("write at least {queue}, or lower `max` of `queue`");
        complaints.error(most.spot, what, remedy);
    }
}
