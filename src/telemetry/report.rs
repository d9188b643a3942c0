//! What shards recorded, as text for people.

use std::collections::BTreeMap;
use std::fmt;

use super::{Counters, Gauges, Latency, Phase, ServerUse};

/// Everything that shards recorded, merged.
#[derive(Clone, Default)]
pub struct Report {
    /// Latency by phase. Shards leave it empty: they hand over what they record apart from their
    /// reports.
    pub latency: Latency,
    /// Totals.
    pub counters: Counters,
    /// What was held when it was made.
    pub gauges: Gauges,
    /// What goes on at each server, by its number in the plan.
    pub servers: BTreeMap<u32, ServerUse>,
}

impl Report {
    /// Adds another shard's.
    pub fn merge(&mut self, other: &Report) {
        self.latency.merge(&other.latency);
        self.counters.merge(&other.counters);
        self.gauges.merge(&other.gauges);
        for (server, theirs) in &other.servers {
            self.servers.entry(*server).or_default().merge(theirs);
        }
    }
}

const PERCENTILES: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<12}{:>12}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "latency, us", "count", "p50", "p90", "p99", "p99.9", "p99.99", "max"
        )?;
        for phase in Phase::ALL {
            let histogram = self.latency.histogram(phase);
            write!(f, "{:<12}{:>12}", phase.name(), histogram.len())?;
            for percentile in PERCENTILES {
                write!(f, "{:>10}", histogram.value_at_percentile(percentile))?;
            }
            writeln!(f, "{:>10}", histogram.max())?;
        }
        for (name, value) in self.counters.entries().into_iter().chain(self.gauges.entries()) {
            writeln!(f, "{name}: {value}")?;
        }
        let Counters { reused, dialled, .. } = self.counters;
        let sum = (reused + dialled).max(1);
        write!(
            f,
            "connections reused {reused} of {} ({:.1} %)",
            reused + dialled,
            reused as f64 * 100.0 / sum as f64
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Durations, Phases};

    #[test]
    fn the_report_names_every_phase_and_the_reuse_ratio() {
        let mut report = Report::default();
        let phases = Phases { started: 1, ended: 3_000_000, ..Phases::default() };
        report.latency.record(&Durations::from(&phases));
        report.counters.reused = 3;
        report.counters.dialled = 1;
        report.gauges.pipes_lent = 2;
        let mut sum = report.clone();
        sum.merge(&report);
        assert!(sum.to_string().contains("\npipes in use: 4\n"), "{sum}");
        let text = report.to_string();
        for phase in Phase::ALL {
            assert!(text.lines().any(|line| line.starts_with(phase.name())), "{text}");
        }
        assert!(text.contains("connections reused 3 of 4 (75.0 %)"), "{text}");
    }
}
