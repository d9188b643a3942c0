//! What the control thread tells a shard, and what a shard tells it.

use crate::plan::Address;
use crate::telemetry::Report;
use crate::upstream::{Finding, Place, Standing};

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
    /// What holds for these servers now. There is at most one of these under way to each shard:
    /// the next comes after `Notice::Applied`.
    Standings(Vec<(Place, Standing)>),
    /// The last `Notice::Findings` was taken.
    FindingsTaken,
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

/// From a shard, about the health of servers.
#[derive(Debug)]
pub enum Notice {
    /// What it found out. There is at most one of these under way from each shard: the next comes
    /// after `Command::FindingsTaken`.
    Findings(Vec<Finding>),
    /// The last `Command::Standings` holds there.
    Applied,
}

/// Where notices go, with the shard's number.
pub type Notices = tokio::sync::mpsc::Sender<(usize, Notice)>;

/// Makes the queue of notices of so many shards. It has room for all that may be under way.
pub fn notices(shards: usize) -> (Notices, tokio::sync::mpsc::Receiver<(usize, Notice)>) {
    tokio::sync::mpsc::channel(2 * shards.max(1))
}
