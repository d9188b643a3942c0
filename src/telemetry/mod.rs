//! What is counted and measured: latency by phase, totals, what is held now; what a shard records,
//! and what is made of it. No atomics, no locks, no clock.

mod counters;
mod gauges;
mod hgrm;
mod history;
mod hlog;
mod interval;
mod latency;
mod record;
mod report;
mod summary;

pub use counters::Counters;
pub use gauges::{Gauges, ServerUse};
pub use hdrhistogram::Histogram;
pub use hgrm::hgrm;
pub use history::History;
pub use hlog::{LogInterval, hlog_head, hlog_lines};
pub use interval::{
    Interval, KEYS_MAX, Members, Requests, RouteInterval, RouteSlot, ServerInterval, Shape,
};
pub use latency::{Durations, Latency, Phase, Phases};
pub use record::{End, Method, Record, ServerAt, StatusClass};
pub use report::Report;
pub use summary::{PERCENTILES, Summary};
