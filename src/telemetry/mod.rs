//! What a shard counts: latency by phase, and totals. No atomics, no locks, no clock.

mod counters;
mod latency;
mod report;

pub use counters::Counters;
pub use latency::{Latency, Phase, Phases};
pub use report::Report;
