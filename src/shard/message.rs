//! What the control thread tells a shard, and what a shard tells it.

use crate::plan::Address;
use crate::telemetry::Report;

/// To a shard.
#[derive(Debug)]
pub enum Command {
    /// Accept no more, finish what is in progress, then end.
    Drain,
    /// End at once.
    Stop,
    /// Send an `Event::Report`.
    Report,
    /// A server's name was resolved: upstream and server by index.
    Resolved {
        /// Index into the plan's upstreams.
        upstream: usize,
        /// Index into its servers.
        server: usize,
        /// Where it listens now.
        address: Address,
    },
}

/// From a shard.
pub enum Event {
    /// It serves.
    Ready,
    /// What it recorded so far.
    Report(Box<Report>),
    /// It has ended; what it recorded.
    Ended(Box<Report>),
    /// It could not start, or could not go on.
    Failed(String),
}
