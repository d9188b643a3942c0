//! Starts the shards, watches them, and ends them.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc;

use super::reports::Reports;
use super::shards::Shards;
use super::signals::{self, Listening, Request};
use super::{health, limits, resolve};
use crate::plan::{Address, Plan, ServerPlan, ServerState, TierChoice};
use crate::shard::{self, BindError, Bound, Command, Event, Place, SocketFile, Tier, Unavailable};
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
    plan: Arc<Plan>,
    shards: Shards,
    health: health::Handle,
    events: mpsc::Receiver<Message>,
    _signals: Listening,
    /// Of Unix sockets; removed at the end.
    _files: Vec<SocketFile>,
}

enum Message {
    Shard(usize, Event),
    Signal(Request),
}

/// Binds, starts every shard, and returns when all of them serve.
///
/// # Errors
/// [`StartError`]; nothing is left running or listening, and no socket's file behind.
pub fn start(mut plan: Plan) -> Result<Running, StartError> {
    let shards = plan.shards.cpus.len();
    limits::raise(shards).map_err(StartError::Other)?;
    let warning = limits::fit(&mut plan);
    limits::use_small_pages();
    let tier = Tier::probe(ceiling(plan.shards.ring.tier)).map_err(StartError::Ring)?;
    let bound = plan.listeners.iter().map(|listener| shard::bind(listener, shards));
    let mut bound: Vec<Bound> = bound.collect::<Result<_, _>>().map_err(StartError::Bind)?;
    let addresses = bound.iter().map(|bound| bound.address.clone()).collect();
    let files = bound.iter_mut().filter_map(|bound| bound.file.take()).collect();
    let plan = Arc::new(plan);

    // From here on, whatever was started ends when it is dropped.
    let (events_in, events_out) = mpsc::channel();
    let (notices_in, notices) = shard::notices(plan.shards.cpus.len());
    let shards = Shards::start(&plan, tier, bound, &events_in, &notices_in)?;
    drop(notices_in);
    drop(events_in);
    await_ready(shards.commands().len(), &events_out)?;
    let (messages_in, messages) = mpsc::channel();
    let from_signals = messages_in.clone();
    pass_on(events_out, messages_in)?;
    let signals = signals::listen(move |request| {
        // Without a receiver all is over.
        let _ = from_signals.send(Message::Signal(request));
    })?;
    let health = health::start(&plan, shards.commands().to_vec(), notices)?;
    resolve::start(&plan, shards.commands())?;
    if let Some(warning) = warning {
        tracing::warn!("{warning}");
    }
    let (_signals, _files) = (signals, files);
    Ok(Running { addresses, tier, plan, shards, health, events: messages, _signals, _files })
}

/// Passes on what shards say, until they all have ended.
fn pass_on(
    events: mpsc::Receiver<(usize, Event)>,
    messages: mpsc::Sender<Message>,
) -> io::Result<()> {
    std::thread::Builder::new().name("events".into()).spawn(move || {
        for (number, event) in events {
            if messages.send(Message::Shard(number, event)).is_err() {
                break;
            }
        }
    })?;
    Ok(())
}

fn ceiling(choice: TierChoice) -> Option<Tier> {
    match choice {
        TierChoice::Auto => None,
        TierChoice::V6_1 => Some(Tier::V6_1),
        TierChoice::V5_19 => Some(Tier::V5_19),
        TierChoice::V5_8 => Some(Tier::V5_8),
    }
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
    pub fn wait(mut self) -> Result<(), String> {
        let mut reports = Reports::new(self.shards.commands().len());
        let mut stopping = false;
        let mut failure = None;
        while reports.any_running() {
            let Ok(message) = self.events.recv() else { break };
            let complete = match message {
                Message::Signal(Request::Stop) if stopping => {
                    self.shards.abandon();
                    break;
                }
                Message::Signal(Request::Stop) => {
                    stopping = true;
                    tracing::info!("draining; a second signal ends at once");
                    self.shards.tell(|| Command::Drain);
                    None
                }
                Message::Signal(Request::Report) => {
                    reports.ask();
                    self.shards.tell(|| Command::Report);
                    None
                }
                Message::Signal(Request::HangUp) => {
                    tracing::warn!("SIGHUP: this version does not reload; restart it instead");
                    None
                }
                Message::Shard(_, Event::Ready) => None,
                Message::Shard(shard, Event::Report(part)) => reports.take(shard, *part),
                Message::Shard(shard, Event::Ended(part)) => reports.end(shard, Some(*part)),
                Message::Shard(shard, Event::Failed(error)) => {
                    tracing::error!("a shard cannot go on: {error}");
                    failure = Some(error);
                    stopping = true;
                    self.shards.tell(|| Command::Drain);
                    reports.end(shard, None)
                }
            };
            if let Some(report) = complete {
                self.print(report);
            }
        }
        self.print(reports.sum());
        failure.map_or(Ok(()), Err)
    }

    /// Sets the state of a server, in every shard: by the upstream's name and the server's address
    /// as configured. `false` if there is no such server, or if too many such orders wait already.
    pub fn set_server_state(&self, upstream: &str, server: &str, state: ServerState) -> bool {
        let place = self.plan.upstreams.iter().enumerate().find_map(|(index, plan)| {
            let named = |plan: &ServerPlan| plan.address.to_string() == server;
            let server = plan.servers.iter().position(named).filter(|_| plan.name == upstream)?;
            Some(Place { upstream: index, server })
        });
        place.is_some_and(|place| self.health.set_state(place, state))
    }

    /// What the shards report, and what the checker has counted.
    fn print(&self, mut report: Report) {
        report.counters.merge(&self.health.counters());
        print(&report);
    }
}

/// On standard error, where a closed reader is no reason to fail.
fn print(report: &Report) {
    let _ = writeln!(io::stderr(), "{report}");
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::config;
    use crate::control::machine;

    /// The names of this process's threads.
    fn threads() -> Vec<String> {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let name = |task: io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
        };
        tasks.filter_map(name).collect()
    }

    /// Starts with a Unix socket, after `spoil` has made the plan one that cannot be carried out.
    #[allow(clippy::disallowed_methods, reason = "tests time themselves")]
    fn fails_and_leaves_nothing_behind(spoil: impl FnOnce(&mut Plan)) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let text = format!(
            "shards = 1\n[[listener]]\naddress = \"unix:{}\"\n\
             [[route]]\npath = \"/\"\nrespond = {{ status = 200 }}\n",
            path.display()
        );
        let loaded = config::from_text(&text, "config.toml", &machine());
        let mut plan = loaded.unwrap_or_else(|errors| panic!("{}", errors[0])).plan;
        spoil(&mut plan);
        let error = start(plan).err().expect("it cannot start").to_string();
        assert!(!path.exists());
        // A thread that was joined may be listed for a moment more.
        let deadline = Instant::now() + Duration::from_secs(5);
        while threads().iter().any(|name| name.starts_with("shard-") || name == "events\n") {
            assert!(Instant::now() < deadline, "still running: {:?}", threads());
            std::thread::yield_now();
        }
        error
    }

    #[test]
    fn a_start_that_fails_late_leaves_nothing_behind() {
        // The first shard starts; for the second there is no such CPU.
        let error = fails_and_leaves_nothing_behind(|plan| plan.shards.cpus.push(usize::MAX));
        assert!(!error.is_empty());
        // Each shard starts, and finds that the kernel does not give it such a ring.
        let error = fails_and_leaves_nothing_behind(|plan| plan.shards.ring.entries = 0);
        assert!(error.starts_with("shard 0 cannot start: "), "{error}");
    }
}
