//! What `[resolver]` says about itself.

use crate::config::complaint::Complaints;
use crate::config::file::ResolverTable;
use crate::config::quantity::duration_text;

/// Complains of times that contradict each other.
pub(super) fn check(table: &ResolverTable, complaints: &Complaints) {
    let plan = table.plan();
    if let Some(most) = &table.max_ttl
        && plan.max_ttl < plan.min_ttl
    {
        let [least, written] = [plan.min_ttl, plan.max_ttl].map(duration_text);
        let what = format!("`max_ttl` is \"{written}\", but `min_ttl` is {least}");
        complaints.error(most.spot, what, format!("write at least \"{least}\""));
    }
}
