//! The access log of the process: which file or daemon is open, and who writes to it.
//!
//! Each target has a thread of its own, so that one that takes nothing keeps no other waiting. It
//! ends when nobody can send it lines any more: after a change to another target, that is when each
//! shard has sent what it had for it.

mod sink;
mod syslog;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::clock::now;
use crate::plan::{AccessLogPlan, LogTarget};
use crate::shard::{Command, Delivery, Outlet};
use crate::telemetry::Counters;
use sink::Sink;

/// How long the end of the process waits for targets that take no lines.
const LAST_LINES: Duration = Duration::from_secs(2);

/// What is written, and to where.
#[derive(Default)]
pub struct AccessLog {
    plan: Option<Arc<AccessLogPlan>>,
    /// By the number of the target.
    open: Vec<Open>,
    /// Threads that are to end.
    ending: Vec<mpsc::Receiver<()>>,
    /// Lines that could not be written.
    lost: Arc<AtomicU64>,
}

struct Open {
    target: LogTarget,
    deliveries: mpsc::Sender<Delivery>,
    /// Closed when the thread has ended.
    ended: mpsc::Receiver<()>,
}

/// What becomes of the log.
pub enum Step {
    /// It stays as it is.
    Keep,
    /// It is written by this plan, or there is none, to these targets.
    Change(Option<Arc<AccessLogPlan>>, Vec<Prepared>),
}

/// A target.
pub enum Prepared {
    /// That was open with this number.
    Kept(usize),
    New(LogTarget, Box<Sink>),
}

impl Step {
    /// The files that were opened, so far as they are ordinary ones.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let prepared = match self {
            Step::Keep => &[],
            Step::Change(_, prepared) => &prepared[..],
        };
        prepared.iter().filter_map(|one| match one {
            Prepared::Kept(_) => None,
            Prepared::New(_, sink) => sink.file(),
        })
    }
}

impl AccessLog {
    /// Opens what another plan writes to, so far as these are other targets. No thread is started.
    ///
    /// # Errors
    /// A sentence with the remedy.
    pub fn prepare(&self, plan: Option<&Arc<AccessLogPlan>>) -> Result<Step, String> {
        if self.plan.as_ref() == plan {
            return Ok(Step::Keep);
        }
        // Each is there for one; two names may mean the same target.
        let mut free: Vec<usize> = (0..self.open.len()).collect();
        let prepare = |target: &LogTarget| match free
            .iter()
            .position(|at| self.open[*at].target == *target)
        {
            Some(place) => Ok(Prepared::Kept(free.swap_remove(place))),
            None => {
                let sink = Sink::open(target.clone(), self.lost.clone())?;
                Ok(Prepared::New(target.clone(), Box::new(sink)))
            }
        };
        let targets = plan.iter().flat_map(|plan| plan.targets());
        let prepared: Result<Vec<Prepared>, String> = targets.map(prepare).collect();
        Ok(Step::Change(plan.cloned(), prepared?))
    }

    /// Takes a step that was prepared; says whether shards must be told.
    pub fn take(&mut self, step: Step) -> bool {
        let Step::Change(plan, prepared) = step else { return false };
        let mut before: Vec<Option<Open>> = self.open.drain(..).map(Some).collect();
        for one in prepared {
            let open = match one {
                Prepared::Kept(at) => before.get_mut(at).and_then(Option::take),
                Prepared::New(target, sink) => Some(start(target, *sink)),
            };
            self.open.extend(open);
        }
        self.plan = plan;
        self.end(before.into_iter().flatten());
        true
    }

    fn end(&mut self, open: impl Iterator<Item = Open>) {
        let is_running =
            |ended: &mpsc::Receiver<()>| ended.try_recv() == Err(mpsc::TryRecvError::Empty);
        self.ending.retain(is_running);
        self.ending.extend(open.map(|open| open.ended));
    }

    /// What shards are told of it.
    pub fn command(&self) -> Command {
        let outlets = || self.open.iter().map(|open| Outlet(open.deliveries.clone())).collect();
        Command::Log(self.plan.clone().map(|plan| (plan, outlets())))
    }

    /// Opens the files anew, which may have been renamed.
    pub fn reopen(&self) {
        for open in &self.open {
            // Without the thread there is nothing to write.
            let _ = open.deliveries.send(Delivery::Reopen);
        }
    }

    /// What was counted since the start.
    pub fn counters(&self) -> Counters {
        Counters { log_lines_lost: self.lost.load(Ordering::Relaxed), ..Counters::default() }
    }

    /// All shards have ended: waits until what they sent is written, as far as it is taken.
    pub fn finish(&mut self) {
        let open: Vec<Open> = self.open.drain(..).collect();
        for open in &open {
            let _ = open.deliveries.send(Delivery::End);
        }
        self.end(open.into_iter());
        let deadline = now() + LAST_LINES;
        for ended in self.ending.drain(..) {
            let left = deadline.saturating_duration_since(now());
            if ended.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Timeout) {
                tracing::warn!("the end of the access log is not written: it is not taken");
            }
        }
    }
}

fn start(target: LogTarget, sink: Sink) -> Open {
    let (deliveries, delivered) = mpsc::channel();
    let (alive, ended) = mpsc::channel();
    let run = move || {
        sink.run(&delivered);
        drop(alive);
    };
    if let Err(error) = std::thread::Builder::new().name("access-log".into()).spawn(run) {
        tracing::error!(%error, to = %target, "no thread writes the access log");
    }
    Open { target, deliveries, ended }
}
