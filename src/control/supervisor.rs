//! Starts the shards, watches them, and ends them.

mod answers;
mod measuring;
mod succession;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::oneshot;

use super::access_log::AccessLog;
use super::admin::{self, AdminSocket, Ask, Office, Sample};
use super::audience::Audience;
use super::clock::now;
use super::difference::difference;
use super::discovery::Discovery;
use super::observe::Observer;
use super::outcome::Reloads;
use super::reload::{Configuration, Next, Opened, Source};
use super::reports::Reports;
use super::shards::Shards;
use super::signals::{self, Listening, Request};
use super::sockets::Sockets;
use super::upgrade::{Heir, Heritage, Predecessor};
use super::{health, limits, privileges, service};
use crate::config::Written;
use crate::plan::{Address, Plan, TierChoice};
use crate::shard::{self, Command, Event, Tier};
use crate::telemetry::Report;

/// Why the proxy did not start: one sentence with the remedy.
#[derive(Debug)]
pub struct StartError(pub String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        StartError(format!("cannot start: {error}; raise the limit that this names"))
    }
}

/// A proxy that serves.
pub struct Running {
    /// Where it listens, in the order of the plan, with the ports that the kernel chose.
    pub addresses: Vec<Address>,
    /// The ring tier in use.
    pub tier: Tier,
    configuration: Configuration,
    /// Serves the admin address, if there is one.
    admin: Option<admin::Server>,
    office: Office,
    reloads: Reloads,
    /// When it began to serve.
    since: SystemTime,
    shards: Shards,
    health: health::Handle,
    events: mpsc::Receiver<Message>,
    /// For who is started later.
    messages: mpsc::Sender<Message>,
    /// The file that this process was started from.
    program: Result<PathBuf, String>,
    /// A new process is about to take over.
    upgrading: bool,
    /// The new process that has taken over.
    heir: Option<Heir>,
    /// The process before this one has not ended yet.
    has_predecessor: bool,
    /// This process is the service, and not the one before it or after it.
    in_charge: bool,
    _signals: Listening,
}

enum Message {
    Shard(usize, Event),
    Signal(Request),
    /// The service manager wants to know whether all shards are alive.
    Beat,
    /// Something was found out about names or files of servers.
    Discovery,
    /// Somebody asks at the admin address.
    Asked(Ask),
    /// A new process serves, or why not.
    Successor(io::Result<Heir>),
    /// The process before this one has come to that.
    Predecessor(Predecessor),
}

/// Binds, starts every shard, and returns when all of them serve. `written` is what the plan was
/// made of; when a reload is asked for, the new plan comes from `source`.
///
/// # Errors
/// [`StartError`]; nothing is left running or listening, and no socket's file behind.
pub fn start(
    mut plan: Plan,
    written: Written,
    source: Option<Source>,
) -> Result<Running, StartError> {
    let shards = plan.shards.cpus.len();
    let account = privileges::look_up(plan.account.as_ref()).map_err(StartError)?;
    let stays_root = account.is_none() && rustix::process::geteuid().is_root();
    limits::raise(shards, stays_root).map_err(StartError)?;
    let asked = plan.shards.clone();
    let warning = limits::fit(&mut plan);
    limits::use_small_pages();
    let tier = Tier::probe(ceiling(plan.shards.ring.tier))
        .map_err(|error| StartError(error.to_string()))?;
    let mut heritage = Heritage::receive().map_err(|error| {
        StartError(format!("cannot take over from another process: {error}; start it anew"))
    })?;
    let mut inherited = std::mem::take(&mut heritage.left.sockets);
    inherited.extend(service::sockets().map_err(|error| {
        StartError(format!(
            "the service manager passes a socket that cannot be used: {error}; list only stream \
             sockets in the socket unit"
        ))
    })?);
    let mut admin = AdminSocket::inherit(plan.admin.as_ref(), &mut inherited);
    let step = admin.prepare(plan.admin.as_ref());
    let step = step.map_err(|error| StartError(error.to_string()))?;
    admin.take(step);
    let mut sockets = Sockets::new(shards, inherited);
    let opened = sockets.change(&plan.listeners).map_err(StartError)?;
    let mut access_log = AccessLog::default();
    let log_step = access_log.prepare(plan.access_log.as_ref()).map_err(StartError)?;
    if let Some(account) = account {
        account.own(sockets.files().chain(admin.file()).chain(log_step.files()));
        account.become_them().map_err(StartError)?;
    }
    access_log.take(log_step);
    let (messages_in, messages) = mpsc::channel();
    let from_discovery = messages_in.clone();
    let discovery = Discovery::new(&heritage.left.names, move || {
        // Without a receiver all is over.
        let _ = from_discovery.send(Message::Discovery);
    });
    let open = Opened { sockets, admin, access_log };
    let configuration = Configuration::new(plan, written, asked, source, open, discovery)?;
    let addresses = configuration.sockets.addresses();
    let plan = configuration.plan.clone();

    // From here on, whatever was started ends when it is dropped.
    let (events_in, events_out) = mpsc::channel();
    let (notices_in, notices) = shard::notices(plan.shards.cpus.len());
    let shards = Shards::start(&plan, tier, &events_in, &notices_in)?;
    drop(notices_in);
    drop(events_in);
    let count = shards.commands().len();
    await_all(count, &events_out, |event| matches!(event, Event::Ready))?;
    let health = health::start(&plan, shards.commands().to_vec(), notices)?;
    shards.tell(|| configuration.access_log.command());
    // Nothing is accepted before all of it runs.
    for (shard, sockets) in shards.commands().iter().zip(opened) {
        shard.send(Command::Listen(sockets));
    }
    await_all(count, &events_out, |event| matches!(event, Event::Listening))?;
    let from_signals = messages_in.clone();
    pass_on(events_out, messages_in.clone())?;
    let _signals = signals::listen(move |request| {
        // Without a receiver all is over.
        let _ = from_signals.send(Message::Signal(request));
    })?;
    if let Some(warning) = warning {
        tracing::warn!("{warning}");
    }
    if let Some(interval) = service::watchdog() {
        beat(interval / 3, messages_in.clone())?;
    }
    let from_admin = messages_in.clone();
    let ask = move |ask| {
        // Without a receiver all is over.
        let _ = from_admin.send(Message::Asked(ask));
    };
    let office = Office::new(ask, health.clone());
    let mut running = Running {
        addresses,
        tier,
        configuration,
        admin: None,
        office,
        reloads: Reloads::default(),
        since: SystemTime::now(),
        shards,
        health,
        events: messages,
        messages: messages_in,
        program: std::env::current_exe().map_err(|error| error.to_string()),
        upgrading: false,
        heir: None,
        has_predecessor: false,
        in_charge: true,
        _signals,
    };
    running.serve_admin();
    let from_predecessor = running.messages.clone();
    running.has_predecessor = heritage.report_ready(move |news| {
        // Without a receiver all is over.
        let _ = from_predecessor.send(Message::Predecessor(news));
    })?;
    running.in_charge = !running.has_predecessor;
    running.configuration.sockets.settle();
    running.configuration.sockets.steer(&plan.shards.cpus);
    running.configuration.admin.settle();
    Ok(running)
}

/// Sends [`Message::Beat`] once in each interval.
fn beat(interval: Duration, messages: mpsc::Sender<Message>) -> io::Result<()> {
    std::thread::Builder::new().name("watchdog".into()).spawn(move || {
        while messages.send(Message::Beat).is_ok() {
            std::thread::sleep(interval);
        }
    })?;
    Ok(())
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

/// Waits until each shard has sent such an event.
fn await_all(
    shards: usize,
    events: &mpsc::Receiver<(usize, Event)>,
    awaited: impl Fn(&Event) -> bool,
) -> Result<(), StartError> {
    let mut left = shards;
    while left > 0 {
        match events.recv() {
            Ok((_, event)) if awaited(&event) => left -= 1,
            Ok((number, Event::Failed(error))) => {
                let text = format!("shard {number} cannot start: {error}");
                return Err(StartError(text));
            }
            Ok(_) => {}
            Err(_) => return Err(StartError("a shard ended before it served".into())),
        }
    }
    Ok(())
}

/// What is told to the service manager while all is well.
const SERVING: &str = "serving";

/// How far the process is.
struct State {
    reports: Reports,
    observer: Observer,
    audience: Audience,
    /// Not before then may a round of reports begin.
    next_round: Instant,
    /// They want figures with the next report.
    samplers: Vec<oneshot::Sender<Sample>>,
    /// It drains.
    stopping: bool,
    /// It ends at once.
    over: bool,
    /// Asked for during an upgrade.
    stop_wanted: bool,
    reload_wanted: bool,
    failure: Option<String>,
}

impl State {
    fn new(shards: usize, plan: &Arc<Plan>, since: SystemTime) -> State {
        State {
            reports: Reports::new(shards),
            observer: Observer::new(shards, plan),
            audience: Audience::new(since),
            next_round: now(),
            samplers: Vec::new(),
            stopping: false,
            over: false,
            stop_wanted: false,
            reload_wanted: false,
            failure: None,
        }
    }
}

impl Running {
    /// Serves until a signal asks to stop and every shard has ended, and the process before this
    /// one, for a service manager would end that with this one; prints what was recorded.
    ///
    /// # Errors
    /// The sentence of a shard that could not go on.
    pub fn wait(mut self) -> Result<(), String> {
        if self.in_charge {
            service::ready(SERVING);
        }
        let mut state =
            State::new(self.shards.commands().len(), &self.configuration.plan, self.since);
        while self.has_to_go_on(&state) && !state.over {
            let Some(message) = self.next_message(&mut state) else { break };
            match message {
                Message::Signal(request) => self.obey(request, &mut state),
                Message::Shard(shard, event) => self.hear(shard, event, &mut state),
                // A shard that drains takes no other plan.
                Message::Discovery if state.stopping => {}
                Message::Discovery => self.catch_up(),
                Message::Asked(ask) => self.answer(ask, &mut state),
                Message::Successor(result) => self.handed_over(result, &mut state),
                Message::Predecessor(news) => self.hear_of_predecessor(news, &state),
                Message::Beat => {
                    if state.reports.all_alive() && self.in_charge {
                        service::alive();
                    }
                    self.shards.tell(|| Command::Ping);
                }
            }
        }
        self.configuration.access_log.finish();
        state.observer.finish();
        state.audience.print();
        state.audience.gather();
        let sum = state.reports.sum();
        self.publish(sum, &mut state);
        state.failure.map_or(Ok(()), Err)
    }

    fn has_to_go_on(&self, state: &State) -> bool {
        state.reports.any_running() || self.has_predecessor && state.failure.is_none()
    }

    fn obey(&mut self, request: Request, state: &mut State) {
        match request {
            Request::Stop if state.stopping || state.stop_wanted => {
                self.shards.abandon();
                state.over = true;
            }
            // The new process is told as well, once it can be.
            Request::Stop if self.upgrading => state.stop_wanted = true,
            Request::Stop => {
                tracing::info!("draining; a second signal ends at once");
                service::stopping();
                self.drain(state);
            }
            Request::Report => {
                self.configuration.access_log.reopen();
                state.audience.print();
                self.ask_for_reports(state);
            }
            Request::Reload if self.upgrading => state.reload_wanted = true,
            Request::Reload | Request::Upgrade if state.stopping => {}
            Request::Reload => self.reload(),
            Request::Upgrade => self.upgrade(),
        }
    }

    fn hear(&mut self, shard: usize, event: Event, state: &mut State) {
        let complete = match event {
            Event::Ready | Event::Listening => None,
            Event::Adopted => {
                self.adopted(state);
                None
            }
            Event::Alive => {
                state.reports.alive(shard);
                None
            }
            Event::Measured(measured) => {
                state.observer.take(shard, measured);
                None
            }
            Event::Report(part) => state.reports.take(shard, *part),
            Event::Ended(part) => state.reports.end(shard, Some(*part)),
            Event::Failed(error) => {
                tracing::error!("a shard cannot go on: {error}");
                state.failure = Some(error);
                self.drain(state);
                state.reports.end(shard, None)
            }
        };
        if let Some(report) = complete {
            self.publish(report, state);
        }
    }

    /// A shard serves by the plan in force.
    fn adopted(&mut self, state: &mut State) {
        let next = self.configuration.adopted();
        if next != Next::Wait {
            self.reloads.done(SystemTime::now());
        }
        match next {
            _ if state.stopping => {}
            Next::Wait => {}
            // The new process may not have been left what the next plan opens.
            Next::Reload if self.upgrading => state.reload_wanted = true,
            Next::Reload => {
                self.reload();
                // What was found out meanwhile, should that be refused.
                self.catch_up();
            }
            Next::Rest { reloaded } => {
                if reloaded {
                    service::ready(SERVING);
                }
                self.catch_up();
            }
        }
    }

    /// Tells the shards what was found out about servers.
    fn catch_up(&mut self) {
        if let Some(listeners) = self.configuration.catch_up() {
            self.health.adopt(self.configuration.plan.clone(), listeners);
        }
    }

    fn drain(&mut self, state: &mut State) {
        state.stopping = true;
        self.reloads.give_up(answers::DRAINING);
        self.configuration.sockets.let_go();
        self.shards.tell(|| Command::Drain);
    }

    /// Changes to the plan that the source has now, or tells why not.
    fn reload(&mut self) {
        service::reloading();
        let since = SystemTime::now();
        let present = self.configuration.plan.clone();
        let admin = self.configuration.admin.address().cloned();
        match self.configuration.next() {
            Ok(None) => tracing::info!("another reload follows the one under way"),
            Ok(Some(listeners)) => {
                if self.configuration.access_log_changed {
                    self.shards.tell(|| self.configuration.access_log.command());
                }
                let plan = self.configuration.plan.clone();
                self.reloads.begin(since, difference(&present, &plan));
                let addresses = self.configuration.sockets.addresses();
                let before = std::mem::replace(&mut self.addresses, addresses);
                for address in self.addresses.iter().filter(|new| !before.contains(new)) {
                    tracing::info!("listening on {address}");
                }
                if let Some(new) = self.configuration.admin.address()
                    && admin.as_ref() != Some(new)
                {
                    tracing::info!("admin on {new}");
                }
                if present.admin != plan.admin {
                    self.serve_admin();
                }
                self.health.adopt(plan, listeners);
            }
            Err(complaints) => {
                for complaint in &complaints {
                    tracing::error!("{complaint}");
                }
                tracing::error!("reload refused: the configuration in force stays");
                self.reloads.refused(since, SystemTime::now(), complaints);
                service::ready("serving; the last reload was refused, see the log");
            }
        }
    }

    /// The admin address, with the port that the kernel chose.
    pub fn admin(&self) -> Option<&Address> {
        self.configuration.admin.address()
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
        let error =
            start(plan, Written::default(), None).err().expect("it cannot start").to_string();
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
