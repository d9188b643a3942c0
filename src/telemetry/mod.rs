//! What a shard counts: latency by phase, totals, what it holds now. No atomics, no locks, no
//! clock.

mod counters;
mod gauges;
mod latency;
mod record;
mod report;

pub use counters::Counters;
pub use gauges::{Gauges, ServerUse};
pub use latency::{Latency, Phase, Phases};
pub use record::{End, Method, Record, ServerAt, StatusClass};
pub use report::Report;
