//! What the control thread tells a shard, and what a shard tells it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::plan::{AccessLogPlan, Plan, ServerId};
use crate::proxy::{Measured, Outlet};
use crate::telemetry::{Interval, Report};
use crate::upstream::{Finding, Standing};

/// To a shard.
#[derive(Debug)]
pub enum Command {
    /// Accept no more, finish what is in progress, then end.
    Drain,
    /// End at once.
    Stop,
    /// Send an `Event::Report`.
    Report,
    /// Send an `Event::Measured` with what was recorded of requests, and record into this from then
    /// on, if it fits.
    Measure(Option<Box<Interval>>),
    /// Send an `Event::Alive`.
    Ping,
    /// Log requests by this plan from now on, or not at all. What was logged by another goes where
    /// that says.
    Log(Option<(Arc<AccessLogPlan>, Vec<Outlet>)>),
    /// Accept for each of the plan's listeners, and send an `Event::Listening`.
    Listen(Vec<Socket>),
    /// Serve by this plan from the next request on, and send an `Event::Adopted`.
    Adopt {
        /// The plan.
        plan: Arc<Plan>,
        /// What becomes of its listeners, in their order.
        listeners: Vec<Socket>,
    },
    /// What holds for these servers now. There is at most one of these under way to each shard:
    /// the next comes after `Notice::Applied`.
    Standings(Vec<(ServerId, Standing)>),
    /// The last `Notice::Findings` was taken.
    FindingsTaken,
}

/// Where a listener's connections come from. Open sockets that no listener has are closed, once
/// what waits in their queues has been let in.
#[derive(Debug)]
pub enum Socket {
    /// From the socket of this listener of the present plan, by index.
    Kept(usize),
    /// From new ones.
    Opened(Vec<OwnedFd>),
}

/// From a shard.
pub enum Event {
    /// It serves, and accepts nothing yet.
    Ready,
    /// It accepts.
    Listening,
    /// It serves by the plan that it was sent last.
    Adopted,
    /// It works off its tasks.
    Alive,
    /// What it counted so far.
    Report(Box<Report>),
    /// What it recorded of requests since the last time. Those that began with an earlier plan come
    /// apart from the others.
    Measured(Measured),
    /// It has ended; what it counted.
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
