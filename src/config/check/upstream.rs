//! What an upstream says about itself.

use super::duplicates;
use crate::balance::PolicyKind;
use crate::config::complaint::Complaints;
use crate::config::file::{HealthTable, HttpTable, ServerEntry, UpstreamTable};
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
    pending(upstream, complaints);
}

/// Complains of what does not fit together in a servers file. What other entries of the upstream
/// say does not matter: whoever writes the file need not know them.
pub(in crate::config) fn servers_file(servers: &[ServerEntry], complaints: &Complaints) {
    let known = servers.iter().filter_map(|server| server.address.as_ref());
    duplicates(known.map(|address| (address.to_string(), address.spot)), |address, spot| {
        let what = format!("the server {address} is listed twice");
        complaints.error(spot, what, "remove one; a larger `weight` gives a larger share");
    });
}

fn servers(upstream: &UpstreamTable, complaints: &Complaints) {
    let servers = &upstream.servers;
    servers_file(servers, complaints);
    if let Some(file) = &upstream.of_file {
        servers_file(&file.servers, complaints);
    }
    if servers.is_empty() || upstream.servers_file.is_some() {
        // The file says the rest, and may say something else at any time.
        return;
    }
    if servers.iter().all(|server| server.backup == Some(true)) {
        let remedy = "remove `backup` from the servers of every day";
        complaints.error(upstream.spot, "every server of the upstream is a backup", remedy);
    }
    if servers.iter().all(|server| server.state.is_some_and(is_out)) {
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
