//! What limits say together, and of clients.

use super::{Complaints, shard_cpus};
use crate::config::Machine;
use crate::config::file::{File, LimitsTable};
use crate::config::quantity::size_text;
use crate::plan::ShardPlan;

/// A higher least rate of bodies shuts out clients on ordinary lines, bytes a second.
const BODY_RATE_MEANT: u64 = 1 << 20;

/// Complains of numbers of connections, and warns of limits that nobody means.
pub(super) fn check(file: &File, machine: &Machine, complaints: &Complaints) {
    let shards = shard_cpus(file.shards.as_ref(), machine).len();
    let connections = file.limits.connections.as_ref();
    if let Some(connections) = connections
        && (connections.value as usize) < shards
    {
        let what = format!("{} connections for {shards} shards", connections.value);
        complaints.error(connections.spot, what, format!("write at least {shards}"));
    }
    let all = connections.map_or(ShardPlan::CONNECTIONS, |connections| connections.value);
    if let Some(each) = &file.limits.connections_per_client
        && each.value.is_some_and(|each| each >= all)
    {
        let what = format!("one client may take all of the {all} connections");
        complaints.warning(each.spot, what, "write less, or \"none\"");
    }
    body_rate(&file.limits, complaints);
    file.routes.iter().for_each(|route| body_rate(&route.limits, complaints));
}

fn body_rate(limits: &LimitsTable, complaints: &Complaints) {
    if let Some(rate) = &limits.body_rate
        && let Some(bytes) = rate.value.filter(|bytes| *bytes > BODY_RATE_MEANT)
    {
        let what = format!("whoever sends less than {} a second is cut off", size_text(bytes));
        let remedy = "write what the slowest client manages; the default is \"100B\"";
        complaints.warning(rate.spot, what, remedy);
    }
}
