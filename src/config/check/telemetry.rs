//! What `[telemetry]` says about itself.

use crate::config::complaint::Complaints;
use crate::config::file::TelemetryTable;
use crate::config::quantity::short_duration_text;

/// Complains of bounds that are not in order.
pub(super) fn check(table: &TelemetryTable, complaints: &Complaints) {
    for pair in table.buckets.as_deref().unwrap_or_default().windows(2) {
        let [before, bound] = pair else { continue };
        if bound.value <= before.value {
            let [bound_text, before_text] =
                [bound, before].map(|bound| short_duration_text(bound.value));
            let what = format!("the bucket \"{bound_text}\" comes after \"{before_text}\"");
            complaints.error(bound.spot, what, "write upper bounds in ascending order, each once");
        }
    }
}
