//! The access log of a shard: what is known of a request becomes a line when it ends.

mod batch;
mod capture;
mod clock;
mod escape;
mod line;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;

use crate::balance::Rng;
use crate::plan::AccessLogPlan;
use crate::ring::Tick;

use batch::Batch;
pub use batch::{Delivery, Outlet};
pub use capture::Capture;
use capture::Wanted;
use clock::WallClock;
pub use line::Entry;
use line::{About, Line, put_line};

/// Captures kept for later requests, and the largest that is, bytes.
const CAPTURES_KEPT: usize = 256;
const CAPTURE_KEPT_MAX: usize = 4 << 10;

/// The access log of one shard, which may be off.
pub struct AccessLog {
    state: RefCell<State>,
    on: Cell<bool>,
}

struct State {
    open: Option<Open>,
    #[allow(clippy::vec_box, reason = "what goes from request to request is a pointer")]
    spare: Vec<Box<Capture>>,
    clock: WallClock,
    rng: Rng,
    /// Counts the formats.
    generation: u32,
    shard: u64,
    process: u64,
}

/// What is written just now, and where to.
struct Open {
    plan: Arc<AccessLogPlan>,
    wanted: Wanted,
    /// One for each target.
    batches: Vec<Batch>,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is on its way, or nobody wants it.
    Well,
    /// There was no room for it.
    LeftOut,
}

impl AccessLog {
    /// That of this shard, off. `seed` differs from shard to shard.
    pub fn new(shard: usize, seed: u64) -> AccessLog {
        let state = State {
            open: None,
            spare: Vec::new(),
            clock: WallClock::new(TimeZone::system()),
            rng: Rng::new(seed),
            generation: 0,
            shard: shard as u64,
            process: std::process::id().into(),
        };
        AccessLog { state: RefCell::new(state), on: Cell::new(false) }
    }

    /// From now on lines are written by this plan, to these outlets, one for each of its targets.
    /// What there is goes to those before.
    pub fn set(&self, log: Option<(Arc<AccessLogPlan>, Vec<Outlet>)>) {
        let mut state = self.state.borrow_mut();
        state.generation += 1;
        let generation = state.generation;
        state.open = log.map(|(plan, outlets)| Open {
            wanted: Wanted::new(&plan.format, generation),
            batches: outlets.into_iter().map(|outlet| Batch::new(outlet, plan.buffer)).collect(),
            plan,
        });
        self.on.set(state.open.is_some());
    }

    /// Has `take` keep what is wanted of a request, if anything is.
    pub fn capture(&self, take: impl FnOnce(&mut Capture, &Wanted)) -> Option<Box<Capture>> {
        if !self.on.get() {
            return None;
        }
        let state = &mut *self.state.borrow_mut();
        let open = state.open.as_ref()?;
        let mut capture = state.spare.pop().unwrap_or_default();
        take(&mut capture, &open.wanted);
        Some(capture)
    }

    /// Writes the line of a request that has ended, unless it `went_well` and is not in the sample,
    /// to the logs with these numbers in the plan that the request began with.
    pub fn write(
        &self,
        (now, went_well): (Tick, bool),
        (logs, began_with): (&[usize], Option<&Arc<AccessLogPlan>>),
        capture: Box<Capture>,
        entry: &Entry<'_>,
    ) -> Written {
        let state = &mut *self.state.borrow_mut();
        let Some(open) = &mut state.open else { return Written::Well };
        let mut written = Written::Well;
        if !went_well || open.plan.sample.takes(state.rng.bits()) {
            for number in logs {
                let Some(at) = open.place(*number, began_with) else { continue };
                let Some(batch) = open.batches.get_mut(at) else { continue };
                let Some(out) = batch.room() else {
                    written = Written::LeftOut;
                    continue;
                };
                let moment = state.clock.moment(now, since_1970);
                let (generation, shard, process) = (state.generation, state.shard, state.process);
                let about = About { moment, generation, shard, process };
                let line = Line { about, capture: &capture, entry };
                put_line(out, &open.plan.format, &line);
                batch.written();
            }
        }
        state.spare(capture);
        written
    }

    /// Takes back the capture of a request that is not logged.
    pub fn give_back(&self, capture: Box<Capture>) {
        self.state.borrow_mut().spare(capture);
    }

    /// Passes on the lines that there are.
    pub fn pass_on(&self) {
        if let Some(open) = &mut self.state.borrow_mut().open {
            for batch in &mut open.batches {
                batch.pass_on();
            }
        }
    }
}

impl Open {
    /// Where the log is that has this number in another plan.
    fn place(&self, number: usize, plan: Option<&Arc<AccessLogPlan>>) -> Option<usize> {
        match plan {
            Some(plan) if !Arc::ptr_eq(plan, &self.plan) => {
                let target = plan.targets().nth(number)?;
                self.plan.targets().position(|known| known == target)
            }
            _ => Some(number),
        }
    }
}

impl State {
    fn spare(&mut self, capture: Box<Capture>) {
        if self.spare.len() < CAPTURES_KEPT && capture.capacity() <= CAPTURE_KEPT_MAX {
            self.spare.push(capture);
        }
    }
}

/// What the wall clock says; nothing before 1970.
fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
