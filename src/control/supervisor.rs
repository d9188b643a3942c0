//! Starts the shards, watches them, and ends them.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc;

use super::signals::{self, Request};
use super::{limits, resolve};
use crate::plan::{Address, Plan, TierChoice};
use crate::shard::{
    self, BindError, Bound, Command, Event, Sender, Setup, SocketFile, Tier, Unavailable, mailbox,
};
use crate::telemetry::Report;

/// Why the proxy did not start: one sentence with the remedy.
#[derive(Debug)]
pub enum StartError {
    /// No usable io_uring.
    Ring(Unavailable),
    /// An address cannot be listened on.
    Bind(BindError),
    /// Anything else.
    Other(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Ring(error) => error.fmt(f),
            StartError::Bind(error) => error.fmt(f),
            StartError::Other(text) => f.write_str(text),
        }
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        StartError::Other(format!("cannot start: {error}; raise the limit that this names"))
    }
}

/// A proxy that serves.
pub struct Running {
    /// Where it listens, in the order of the plan, with the ports that the kernel chose.
    pub addresses: Vec<Address>,
    /// The ring tier in use.
    pub tier: Tier,
    files: Vec<SocketFile>,
    shards: Vec<Sender<Command>>,
    events: mpsc::Receiver<Message>,
}

enum Message {
    Shard(Event),
    Signal(Request),
}

/// Binds, starts every shard, and returns when all of them serve.
///
/// # Errors
/// [`StartError`]; nothing is left running.
pub fn start(plan: Plan) -> Result<Running, StartError> {
    let shards = plan.shards.cpus.len();
    let connections = plan.shards.max_connections.saturating_mul(shards as u32);
    limits::raise(shards).map_err(StartError::Other)?;
    limits::use_small_pages();
    let tier = Tier::probe(ceiling(plan.shards.ring.tier)).map_err(StartError::Ring)?;
    let bound = plan.listeners.iter().map(|listener| shard::bind(listener, shards));
    let mut bound: Vec<Bound> = bound.collect::<Result<_, _>>().map_err(StartError::Bind)?;
    let addresses = bound.iter().map(|bound| bound.address.clone()).collect();
    let files = bound.iter_mut().filter_map(|bound| bound.file.take()).collect();
    let plan = Arc::new(plan);

    let (events_in, events_out) = mpsc::channel();
    let (messages_in, messages) = mpsc::channel();
    let commands = start_shards(&plan, tier, bound, &events_in)?;
    await_ready(shards, &events_out)?;
    let from_signals = messages_in.clone();
    signals::listen(move |request| drop(from_signals.send(Message::Signal(request))))?;
    std::thread::Builder::new().name("events".into()).spawn(move || {
        for (_, event) in events_out {
            if messages_in.send(Message::Shard(event)).is_err() {
                break;
            }
        }
    })?;
    resolve::start(&plan, &commands)?;
    limits::advise(shards, connections);
    Ok(Running { addresses, tier, files, shards: commands, events: messages })
}

fn ceiling(choice: TierChoice) -> Option<Tier> {
    match choice {
        TierChoice::Auto => None,
        TierChoice::V6_1 => Some(Tier::V6_1),
        TierChoice::V5_19 => Some(Tier::V5_19),
        TierChoice::V5_8 => Some(Tier::V5_8),
    }
}

fn start_shards(
    plan: &Arc<Plan>,
    tier: Tier,
    bound: Vec<Bound>,
    events: &mpsc::Sender<(usize, Event)>,
) -> Result<Vec<Sender<Command>>, StartError> {
    let shards = plan.shards.cpus.len();
    let mut listeners: Vec<Vec<_>> = (0..shards).map(|_| Vec::new()).collect();
    for listener in bound {
        for (shard, socket) in listeners.iter_mut().zip(listener.sockets) {
            shard.push(socket);
        }
    }
    let mut commands = Vec::new();
    let commons = shard::commons(plan)?;
    for (number, (listeners, commons)) in listeners.into_iter().zip(commons).enumerate() {
        let (sender, mailbox) = mailbox()?;
        let (plan, events, seed) = (plan.clone(), events.clone(), seed(number));
        let setup = Setup { number, plan, tier, listeners, mailbox, events, commons, seed };
        shard::spawn(setup).map_err(StartError::Other)?;
        commands.push(sender);
    }
    Ok(commands)
}

/// A number that differs from shard to shard and from start to start.
fn seed(number: usize) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(number)
}

fn await_ready(shards: usize, events: &mpsc::Receiver<(usize, Event)>) -> Result<(), StartError> {
    let mut ready = 0;
    while ready < shards {
        match events.recv() {
            Ok((_, Event::Ready)) => ready += 1,
            Ok((number, Event::Failed(error))) => {
                let text = format!("shard {number} cannot start: {error}");
                return Err(StartError::Other(text));
            }
            Ok(_) => {}
            Err(_) => return Err(StartError::Other("a shard ended before it served".into())),
        }
    }
    Ok(())
}

impl Running {
    /// Serves until a signal asks to stop and every shard has ended; prints what was recorded.
    ///
    /// # Errors
    /// The sentence of a shard that could not go on.
    pub fn wait(self) -> Result<(), String> {
        let mut stopping = false;
        let mut ended = 0;
        let mut report = Report::default();
        let mut asked: Option<(usize, Report)> = None;
        let mut failure = None;
        while ended < self.shards.len() {
            match self.events.recv() {
                Ok(Message::Signal(Request::Stop)) if stopping => break,
                Ok(Message::Signal(Request::Stop)) => {
                    stopping = true;
                    tracing::info!("draining; a second signal ends at once");
                    self.tell(|| Command::Drain);
                }
                Ok(Message::Signal(Request::Report)) => {
                    asked = Some((0, report.clone()));
                    self.tell(|| Command::Report);
                }
                Ok(Message::Signal(Request::HangUp)) => {
                    tracing::warn!("SIGHUP: this version does not reload; restart it instead");
                }
                Ok(Message::Shard(Event::Report(part))) => {
                    if let Some((parts, sum)) = &mut asked {
                        sum.merge(&part);
                        *parts += 1;
                        if *parts + ended == self.shards.len() {
                            print(sum);
                            asked = None;
                        }
                    }
                }
                Ok(Message::Shard(Event::Ended(part))) => {
                    ended += 1;
                    report.merge(&part);
                    // Whoever asked gets this shard's part with the rest, or at the end.
                    asked = None;
                }
                Ok(Message::Shard(Event::Failed(error))) => {
                    ended += 1;
                    tracing::error!("a shard cannot go on: {error}");
                    failure = Some(error);
                    stopping = true;
                    self.tell(|| Command::Drain);
                }
                Ok(Message::Shard(Event::Ready)) => {}
                Err(_) => break,
            }
        }
        self.files.iter().for_each(SocketFile::remove);
        print(&report);
        failure.map_or(Ok(()), Err)
    }

    fn tell(&self, command: impl Fn() -> Command) {
        for shard in &self.shards {
            shard.send(command());
        }
    }
}

/// On standard error, where a closed reader is no reason to fail.
fn print(report: &Report) {
    let _ = writeln!(io::stderr(), "{report}");
}
