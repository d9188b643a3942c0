//! Takes in what the shards measure.
//!
//! Each second every shard is sent an emptied interval, records into that from then on, and sends
//! back the one that it had. What that holds is added up here; emptied, it goes out the next time.

mod histogram_log;
mod ledger;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clock::now;
use crate::plan::{HistogramLogPlan, Plan};
use crate::shard::{Command, Measured};
use crate::telemetry::Interval;
use histogram_log::HistogramLog;

pub use ledger::{Key, Ledger};

/// How often the shards are asked while somebody may look.
const PACE: Duration = Duration::from_secs(1);
/// And otherwise: counts of an interval have 32 bits.
const PACE_UNSEEN: Duration = Duration::from_secs(60);

/// What has been measured, and whom to ask for more.
pub struct Observer {
    /// All of it.
    pub ledger: Ledger,
    plan: Arc<Plan>,
    shards: Vec<Turn>,
    next: Instant,
    /// When the shards were asked, while answers to that are missing.
    round: Option<Instant>,
    log: Option<HistogramLog>,
}

/// Whose turn it is.
#[derive(Default)]
struct Turn {
    /// An emptied interval for the shard.
    spare: Option<Box<Interval>>,
    /// How often it was asked and has not answered yet.
    owing: u32,
}

impl Observer {
    /// Of so many shards, which begin with `plan`.
    pub fn new(shards: usize, plan: &Arc<Plan>) -> Observer {
        let now = now();
        let ledger = Ledger::new(now, plan);
        let log = plan.telemetry.histogram_log.as_ref().and_then(|plan| start_log(plan, &ledger));
        let shards = std::iter::repeat_with(Turn::default).take(shards).collect();
        Observer { ledger, plan: plan.clone(), shards, next: now, round: None, log }
    }

    /// Goes by the plan in force.
    pub fn adopt(&mut self, plan: &Arc<Plan>) {
        if Arc::ptr_eq(&self.plan, plan) {
            return;
        }
        self.ledger.adopt(plan);
        let (old, new) = (&self.plan.telemetry.histogram_log, &plan.telemetry.histogram_log);
        if old != new {
            if let Some(log) = self.log.take() {
                log.retire(self.ledger.at(now()), self.ledger.began());
            }
            self.log = new.as_ref().and_then(|plan| start_log(plan, &self.ledger));
        }
        self.plan = plan.clone();
        // Shards keep the plan before until they have told what was recorded by it.
        self.next = now();
    }

    /// How long until the shards are to be asked.
    pub fn wait(&self) -> Duration {
        self.next.saturating_duration_since(now())
    }

    /// The time has come: what to tell each of the shards.
    pub fn tick(&mut self) -> Vec<(usize, Command)> {
        // Of whoever has not answered since, it is in the next.
        self.end_round();
        let now = now();
        self.round = Some(now);
        let seen = self.plan.admin.is_some() || self.log.is_some();
        self.next = now + if seen { PACE } else { PACE_UNSEEN };
        // Whoever is slow is not asked twice.
        let ready = |turn: &Turn| turn.owing == 0;
        let shards = self.shards.iter_mut().enumerate().filter(|(_, turn)| ready(turn));
        shards.map(|(shard, turn)| (shard, turn.ask())).collect()
    }

    /// Somebody looks now: what to tell each of the shards.
    pub fn ask(&mut self) -> Vec<(usize, Command)> {
        self.shards.iter_mut().map(Turn::ask).enumerate().collect()
    }

    /// A shard has answered.
    pub fn take(&mut self, shard: usize, mut measured: Measured) {
        measured.interval.settle();
        if !measured.interval.is_empty() {
            self.ledger.take(&measured);
            if let Some(log) = &mut self.log {
                log.take(&measured.interval);
            }
        }
        let Some(turn) = self.shards.get_mut(shard) else { return };
        // What began with an earlier plan comes unasked, and has other places.
        if !measured.retired {
            turn.owing = turn.owing.saturating_sub(1);
            let Measured { mut interval, .. } = measured;
            interval.clear();
            turn.spare = Some(interval);
        }
        if self.shards.iter().all(|turn| turn.owing == 0) {
            self.end_round();
        }
    }

    /// What has come since the round before was recorded up to the moment of asking.
    fn end_round(&mut self) {
        let Some(asked) = self.round.take() else { return };
        self.ledger.cut(asked);
        if let Some(log) = &mut self.log {
            log.write_if_due(self.ledger.at(asked), self.ledger.began());
        }
    }

    /// The process ends: writes what is left.
    pub fn finish(&mut self) {
        if let Some(log) = self.log.take() {
            log.end(self.ledger.at(now()), self.ledger.began());
        }
    }
}

impl Turn {
    fn ask(&mut self) -> Command {
        self.owing += 1;
        Command::Measure(self.spare.take())
    }
}

fn start_log(plan: &HistogramLogPlan, ledger: &Ledger) -> Option<HistogramLog> {
    match HistogramLog::start(plan, ledger.at(now())) {
        Ok(log) => Some(log),
        Err(error) => {
            tracing::error!(%error, "the histogram log cannot be written");
            None
        }
    }
}
