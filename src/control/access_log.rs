//! The access log of the process: which file or daemon is open, and who writes to it.
//!
//! Each target has a thread of its own, so that one that takes nothing keeps no other waiting. It
//! ends when nobody can send it lines any more: after a change to another target, that is when each
//! shard has sent what it had for it.

mod sink;
mod syslog;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::clock::now;
use crate::plan::AccessLogPlan;
use crate::shard::{Command, Delivery, Outlet};
use crate::telemetry::Counters;
use sink::Sink;

/// How long the end of the process waits for targets that take no lines.
const LAST_LINES: Duration = Duration::from_secs(2);

/// What is written, and to where.
#[derive(Default)]
pub struct AccessLog {
    open: Option<Open>,
    /// Threads that are to end.
    ending: Vec<mpsc::Receiver<()>>,
    /// Lines that could not be written.
    lost: Arc<AtomicU64>,
}

struct Open {
    plan: Arc<AccessLogPlan>,
    deliveries: mpsc::Sender<Delivery>,
    /// Closed when the thread has ended.
    ended: mpsc::Receiver<()>,
}

/// What becomes of the log.
pub enum Step {
    /// It stays as it is.
    Keep,
    /// There is none any more.
    Close,
    /// The same target is written to otherwise.
    Change(Arc<AccessLogPlan>),
    /// This is written to.
    Open(Arc<AccessLogPlan>, Sink),
}

impl Step {
    /// The file that was opened, if it is an ordinary one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Step::Open(_, sink) => sink.file(),
            Step::Keep | Step::Close | Step::Change(_) => None,
        }
    }
}

impl AccessLog {
    /// Opens what another plan writes to, if that is another target. No thread is started.
    ///
    /// # Errors
    /// A sentence with the remedy.
    pub fn prepare(&self, plan: Option<&Arc<AccessLogPlan>>) -> Result<Step, String> {
        let present = self.open.as_ref().map(|open| &open.plan);
        match (present, plan) {
            _ if present == plan => Ok(Step::Keep),
            (_, None) => Ok(Step::Close),
            (Some(present), Some(plan)) if present.to == plan.to => Ok(Step::Change(plan.clone())),
            (_, Some(plan)) => {
                let sink = Sink::open(plan.to.clone(), self.lost.clone())?;
                Ok(Step::Open(plan.clone(), sink))
            }
        }
    }

    /// Takes a step that was prepared; says whether shards must be told.
    pub fn take(&mut self, step: Step) -> bool {
        match step {
            Step::Keep => return false,
            Step::Close => self.close(),
            Step::Change(plan) => {
                if let Some(open) = &mut self.open {
                    open.plan = plan;
                }
            }
            Step::Open(plan, sink) => {
                self.close();
                match start(sink) {
                    Ok((deliveries, ended)) => self.open = Some(Open { plan, deliveries, ended }),
                    Err(error) => tracing::error!(%error, "no thread writes the access log"),
                }
            }
        }
        true
    }

    fn close(&mut self) {
        let is_running =
            |ended: &mpsc::Receiver<()>| ended.try_recv() == Err(mpsc::TryRecvError::Empty);
        self.ending.retain(is_running);
        self.ending.extend(self.open.take().map(|open| open.ended));
    }

    /// What shards are told of it.
    pub fn command(&self) -> Command {
        let log = |open: &Open| (open.plan.clone(), Outlet(open.deliveries.clone()));
        Command::Log(self.open.as_ref().map(log))
    }

    /// Opens the file anew, which may have been renamed.
    pub fn reopen(&self) {
        if let Some(open) = &self.open {
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
        if let Some(open) = &self.open {
            let _ = open.deliveries.send(Delivery::End);
        }
        self.close();
        let deadline = now() + LAST_LINES;
        for ended in self.ending.drain(..) {
            let left = deadline.saturating_duration_since(now());
            if ended.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Timeout) {
                tracing::warn!("the end of the access log is not written: it is not taken");
            }
        }
    }
}

type Started = (mpsc::Sender<Delivery>, mpsc::Receiver<()>);

fn start(sink: Sink) -> io::Result<Started> {
    let (deliveries, delivered) = mpsc::channel();
    let (alive, ended) = mpsc::channel();
    std::thread::Builder::new().name("access-log".into()).spawn(move || {
        sink.run(&delivered);
        drop(alive);
    })?;
    Ok((deliveries, ended))
}
