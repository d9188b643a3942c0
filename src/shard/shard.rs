//! A shard from start to end.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use glommio::{BuilderErrorKind, GlommioError, LocalExecutorBuilder, Placement, ReactorErrorKind};

use super::commons::Commons;
use super::herald::Herald;
use super::listeners::Listeners;
use super::message::{Command, Event, Notices, Socket};
use crate::plan::Plan;
use crate::proxy::{Context, Inquiry, Service};
use crate::ring::{Mailbox, Ring, Tier, Unavailable};

/// glommio's own rings serve nothing here; these are its smallest.
const EXECUTOR_RING_DEPTH: usize = 16;
const EXECUTOR_IO_MEMORY: usize = 64 << 10;
/// glommio interrupts its run queue this often to look at its rings.
const EXECUTOR_PREEMPT: Duration = Duration::from_secs(1);
/// How often idle connections, buffers and pipes are looked through.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Receive buffers kept when they are not in use.
const KEPT_BUFFERS: usize = 64;
/// How often a draining shard looks whether it is done.
const DRAIN_INTERVAL: Duration = Duration::from_millis(20);
/// How long requests that are given up at the end may take to be recorded, and how often to look.
const CUT_MAX: Duration = Duration::from_millis(100);
const CUT_INTERVAL: Duration = Duration::from_millis(1);

/// Everything a shard starts with.
pub struct Setup {
    /// Its number, from 0.
    pub number: usize,
    /// The plan to run.
    pub plan: Arc<Plan>,
    /// The ring tier that was probed.
    pub tier: Tier,
    /// Commands.
    pub mailbox: Mailbox<Command>,
    /// Where its events go, with its number.
    pub events: mpsc::Sender<(usize, Event)>,
    /// What it has in common with the others.
    pub commons: Commons,
    /// Where goes what it finds out about servers.
    pub notices: Notices,
    /// Where passwords are checked.
    pub desk: mpsc::SyncSender<Inquiry>,
    /// Differs from shard to shard and from start to start.
    pub seed: u64,
}

/// A shard's thread.
pub struct Thread(JoinHandle<()>);

impl Thread {
    /// Waits until it has ended and has said how.
    pub fn join(self) {
        // The thread that waits for it tells also of a panic, and has none itself.
        let _ = self.0.join();
    }
}

/// Starts a shard: a thread pinned to its CPU, and another that waits for the end of that and
/// tells: [`Event::Ended`] or [`Event::Failed`].
///
/// # Errors
/// Why the thread that waits cannot start.
pub fn spawn(setup: Setup) -> Result<Thread, String> {
    let (number, events) = (setup.number, setup.events.clone());
    let last_words = setup.commons.last_words(number);
    let live = move || {
        let event = live(setup);
        last_words.say();
        // Without a receiver the process is ending anyway.
        let _ = events.send((number, event));
    };
    let thread = std::thread::Builder::new().name(format!("end-{number}"));
    thread.spawn(live).map(Thread).map_err(|error| error.to_string())
}

/// Runs a shard, and says how it ended: an executor that cannot be set up, or that panics, has no
/// last words of its own.
fn live(setup: Setup) -> Event {
    let cpu = setup.plan.shards.cpus[setup.number];
    let executor = LocalExecutorBuilder::new(Placement::Fixed(cpu))
        .name(&format!("shard-{}", setup.number))
        .ring_depth(EXECUTOR_RING_DEPTH)
        .io_memory(EXECUTOR_IO_MEMORY)
        .preempt_timer(EXECUTOR_PREEMPT)
        .spawn(move || run(setup));
    match executor.and_then(|executor| executor.join()) {
        Ok(Ok(report)) => Event::Ended(Box::new(report)),
        Ok(Err(sentence)) => Event::Failed(sentence),
        Err(error) => Event::Failed(why_no_executor(error)),
    }
}

/// What ended an executor, with the remedy.
fn why_no_executor(error: GlommioError<()>) -> String {
    match error {
        GlommioError::IoError(error) => Unavailable::from_error(error).to_string(),
        GlommioError::ReactorError(ReactorErrorKind::MemLockLimit(..)) => {
            Unavailable::Memlock.to_string()
        }
        GlommioError::BuilderError(BuilderErrorKind::ThreadPanic(_)) => {
            "it panicked; please report this".into()
        }
        other => format!("{other}; please report this"),
    }
}

/// A shard's main task.
async fn run(setup: Setup) -> Result<crate::telemetry::Report, String> {
    let Setup { number, plan, tier, mailbox, events, mut commons, notices, desk, seed } = setup;
    let shards = &plan.shards;
    let ring = Ring::new(tier, shards.ring.entries, shards.ring.buffers as usize)
        .map_err(|error| Unavailable::from_error(error).to_string())?;
    let service = Service::new(plan.clone(), number, seed, commons.rates(&plan));
    let loads = commons.loads();
    let context = Context::new(ring.clone(), service, seed, commons.turnstile(), loads, desk);
    let herald = Rc::new(Herald { number, notices });
    let listeners = Listeners::new(commons.handover(number));
    let last = events.clone();
    let shard = Shard { context: context.clone(), events, herald, listeners: listeners.clone() };
    ring.spawn(sweep(context.clone()));
    ring.spawn(shard.herald.clone().tell(context.clone()));
    commons.start(&context, &listeners);
    shard.tell(Event::Ready);
    ring.spawn(shard.obey(mailbox));
    let pumped = ring.pump().await.map_err(|error| error.to_string());
    // What it has goes out.
    context.access_log.set(None);
    pumped?;
    // Without a receiver the process is ending anyway.
    context.hand_over(None, |measured| drop(last.send((number, Event::Measured(measured)))));
    Ok(context.report())
}

/// A shard that serves.
struct Shard {
    context: Rc<Context>,
    /// Where its events go, with its number.
    events: mpsc::Sender<(usize, Event)>,
    herald: Rc<Herald>,
    listeners: Rc<Listeners>,
}

impl Shard {
    /// Carries out commands.
    async fn obey(self, mut mailbox: Mailbox<Command>) {
        let context = &self.context;
        while let Some(command) = mailbox.recv(&context.ring).await {
            match command {
                Command::Report => self.tell(Event::Report(Box::new(context.report()))),
                Command::Measure(spare) => {
                    context.hand_over(spare, |measured| self.tell(Event::Measured(measured)));
                }
                Command::Ping => self.tell(Event::Alive),
                Command::Log(log) => context.access_log.set(log),
                Command::Listen(sockets) => {
                    self.listeners.adopt(context, sockets);
                    self.tell(Event::Listening);
                }
                Command::Adopt { plan, listeners } => {
                    self.adopt(plan, listeners);
                    self.tell(Event::Adopted);
                }
                Command::Standings(standings) => self.herald.apply(context, &standings),
                Command::FindingsTaken => context.service.borrow().news().delivered(),
                Command::Drain if !context.draining.get() => {
                    context.draining.set(true);
                    self.listeners.close_all();
                    context.ring.end_waits();
                    let stopping = stop_when_done(context.clone(), self.listeners.clone());
                    context.ring.spawn(stopping);
                }
                Command::Drain => {}
                Command::Stop => context.ring.spawn(cut_off(context.clone())),
            }
        }
    }

    fn tell(&self, event: Event) {
        // Without a receiver the process is ending anyway.
        let _ = self.events.send((self.herald.number, event));
    }

    /// Serves by another plan from the next request on.
    fn adopt(&self, plan: Arc<Plan>, listeners: Vec<Socket>) {
        let context = &self.context;
        let service = context.service.borrow().succeed(plan);
        context.adopt(service);
        self.listeners.adopt(context, listeners);
    }
}

/// Ends the shard when its last connection has closed, or when the drain timeout is over.
async fn stop_when_done(context: Rc<Context>, listeners: Rc<Listeners>) {
    let timer = context.ring.timer();
    let limit = context.service.borrow().plan.timeouts.drain;
    let finished = async {
        let pause = context.ring.timer();
        // The connections that waited to be accepted are served too.
        while listeners.open_sources() > 0 || context.connections.get() > 0 {
            pause.sleep(DRAIN_INTERVAL).await;
        }
    };
    if timer.within(limit, finished).await.is_err() {
        let left = context.connections.get();
        tracing::warn!(connections = left, "drain timeout: closing what is left");
    }
    cut_off(context).await;
}

/// Ends the shard. Requests in progress are given up, but not without being recorded.
async fn cut_off(context: Rc<Context>) {
    context.cut_off.set(true);
    context.ring.wake_all();
    let timer = context.ring.timer();
    let pause = context.ring.timer();
    let all_are_closed = async {
        while context.connections.get() > 0 {
            pause.sleep(CUT_INTERVAL).await;
        }
    };
    // Tunnels and connections without a request are not waited for.
    let _ = timer.within(CUT_MAX, all_are_closed).await;
    context.ring.stop();
}

/// Lets go of what has been idle for long.
async fn sweep(context: Rc<Context>) {
    let timer = context.ring.timer();
    loop {
        timer.sleep(SWEEP_INTERVAL).await;
        let service = context.service.borrow().clone();
        service.groups.iter().for_each(|group| group.sweep(context.ring.now()));
        context.ring.trim_buffers(KEPT_BUFFERS);
        context.sweep_files();
        context.access_log.pass_on();
    }
}
