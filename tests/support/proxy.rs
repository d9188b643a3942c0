//! The built binary, run with a configuration.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::client::Client;
use super::confinement::Confinement;
use super::origin::Origin;
use super::usage::Usage;
use super::wire::Address;
use super::{Over, PATIENCE, Tier, lock, ms, pause, timed};

/// The binary under test.
pub fn binary() -> PathBuf {
    std::env::var_os("CORELANE_TEST_BINARY")
        .map_or_else(|| env!("CARGO_BIN_EXE_corelane").into(), PathBuf::from)
}

/// A configuration in the making.
///
/// Left out, there is one shard, one listener on 127.0.0.1, and one route that sends everything
/// to the first upstream.
#[derive(Clone)]
pub struct Config {
    tier: Tier,
    shards: usize,
    /// Lines that no table holds.
    top: String,
    text: String,
    upstream: Option<String>,
    confinement: Confinement,
}

impl Config {
    /// An empty one for this tier.
    pub fn new(tier: Tier) -> Config {
        let (top, text) = (String::new(), String::new());
        let confinement = Confinement::default();
        Config { tier, shards: 1, top, text, upstream: None, confinement }
    }

    /// How many shards.
    pub fn shards(mut self, shards: usize) -> Config {
        self.shards = shards;
        self
    }

    /// Adds lines above the first table.
    pub fn top(mut self, lines: &str) -> Config {
        self.top.extend([lines, "\n"]);
        self
    }

    /// Adds TOML, without its indentation; it must begin with a table header.
    pub fn toml(mut self, text: &str) -> Config {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        self.text.extend(lines.flat_map(|line| [line, "\n"]));
        self
    }

    /// Lets a connection carry any number of requests, for clients that never look whether theirs
    /// is about to be closed.
    pub fn endless(self) -> Config {
        self.toml("[limits]\nkeepalive_requests = \"none\"")
    }

    /// Adds a listener.
    pub fn listener(self, address: &str) -> Config {
        self.toml(&format!("[[listener]]\naddress = {address:?}"))
    }

    /// Adds an upstream; `settings` are further lines of its table.
    pub fn upstream(mut self, name: &str, servers: &[String], settings: &str) -> Config {
        self.upstream.get_or_insert_with(|| name.to_owned());
        let servers = servers.join(", ");
        self.toml(&format!("[[upstream]]\nname = {name:?}\nservers = [{servers}]\n{settings}"))
    }

    /// Adds an upstream with this origin alone.
    pub fn origin(self, name: &str, origin: &Origin) -> Config {
        self.upstream(name, &[origin.server()], "")
    }

    /// Adds a route: lines of its table.
    pub fn route(self, lines: &str) -> Config {
        self.toml(&format!("[[route]]\n{lines}"))
    }

    /// Adds a route for everything, which is answered with this text.
    pub fn saying(self, text: &str) -> Config {
        self.route(&format!("path = \"/\"\nrespond = {{ status = 200, body = {text:?} }}"))
    }

    /// Keeps the process from something.
    pub fn confined(mut self, confinement: Confinement) -> Config {
        self.confinement = confinement;
        self
    }

    /// The text of the file.
    pub fn render(&self) -> String {
        let mut file = format!("shards = {:?}\n{}", cpus(self.shards), self.top);
        if !self.text.contains("[ring]") {
            let _ = write!(file, "[ring]\ntier = \"{}\"\n", self.tier);
        }
        if !self.text.contains("[[listener]]") {
            file += "[[listener]]\naddress = \"127.0.0.1:0\"\n";
        }
        if let (Some(name), false) = (&self.upstream, self.text.contains("[[route]]")) {
            let _ = write!(file, "[[route]]\npath = \"/\"\nupstream = {name:?}\n");
        }
        file + &self.text
    }

    /// Starts the proxy and waits until it is ready.
    #[track_caller]
    pub fn start(&self) -> Proxy {
        let proxy = self.spawn(&["run"]);
        proxy.await_stderr("ready");
        proxy
    }

    /// Starts the proxy and waits until it is ready, or has ended.
    #[track_caller]
    pub fn try_start(&self) -> Result<Proxy, Exit> {
        let mut proxy = self.spawn(&["run"]);
        let ready = |proxy: &Proxy| proxy.stderr().lines().any(|line| line.starts_with("ready"));
        super::wait_until("it is ready or has ended", || ready(&proxy) || !proxy.is_running());
        if proxy.is_running() { Ok(proxy) } else { Err(proxy.wait()) }
    }

    /// Runs a command that is expected to end by itself: a start that fails, or a check.
    #[track_caller]
    pub fn run_to_end(&self, arguments: &[&str]) -> Exit {
        self.spawn(arguments).wait()
    }

    #[track_caller]
    fn spawn(&self, arguments: &[&str]) -> Proxy {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("config.toml");
        std::fs::write(&file, self.render()).expect("a configuration file");
        let mut command = Command::new(self.confinement.reachable(&binary(), dir.path()));
        command.args(arguments).arg("-c").arg(&file);
        self.confinement.spawn(command, dir, self.render())
    }
}

/// The CPUs for so many shards, a different first one each time: tests that run side by side
/// should not share one core.
fn cpus(count: usize) -> Vec<usize> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let all = core_affinity::get_core_ids().expect("the CPUs of this process");
    let first = NEXT.fetch_add(1, Ordering::Relaxed);
    (0..count).map(|shard| all[(first + shard) % all.len()].id).collect()
}

/// A running process: the proxy, or another command of the binary.
pub struct Proxy {
    child: Child,
    output: Arc<Output>,
    config: String,
    /// Still expected to run; then its death is a fault.
    expected_alive: bool,
    dir: Option<tempfile::TempDir>,
}

/// How a process ended, and all it said.
#[derive(Debug)]
pub struct Exit {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

#[derive(Default)]
struct Output {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Default)]
struct Lines {
    stdout: Vec<String>,
    stderr: Vec<String>,
    /// How many of the two streams have ended.
    ended: usize,
}

impl Proxy {
    /// One listener, one shard, everything to this origin.
    #[track_caller]
    pub fn before(tier: Tier, origin: &Origin) -> Proxy {
        Config::new(tier).origin("app", origin).start()
    }

    /// Runs `command` and keeps what it says.
    #[track_caller]
    pub fn spawn(mut command: Command, dir: Option<tempfile::TempDir>, config: String) -> Proxy {
        command.env("RUST_BACKTRACE", "1").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let output = Arc::new(Output::default());
        follow(child.stdout.take().expect("piped"), &output, |lines| &mut lines.stdout);
        follow(child.stderr.take().expect("piped"), &output, |lines| &mut lines.stderr);
        Proxy { child, output, config, expected_alive: true, dir }
    }

    /// The addresses it listens on, in the order of the file.
    pub fn addresses(&self) -> Vec<Address> {
        let stderr = self.stderr();
        let address = |line: &str| {
            let (_, rest) = line.split_once("listening on ")?;
            rest.split_whitespace().next()?.parse().ok()
        };
        stderr.lines().filter_map(address).collect()
    }

    /// The address of the first listener.
    #[track_caller]
    pub fn address(&self) -> Address {
        let first = self.addresses().into_iter().next();
        first.unwrap_or_else(|| panic!("no \"listening on\" line:\n{}", self.stderr()))
    }

    /// A client of the first listener.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(&self.address())
    }

    /// The response to a GET request on a connection of its own.
    #[track_caller]
    pub fn get(&self, path: &str) -> super::Response {
        self.client().get(path)
    }

    /// Asks for `path` until it is over, and counts the answers, which must all be 200. Of the
    /// clients with these numbers, every second one goes on a new connection now and then.
    pub fn keep_asking(&self, path: &str, number: usize, over: &Over, served: &AtomicU64) {
        let mut client = self.client();
        for count in 1.. {
            if over.is_so() {
                return;
            }
            assert_eq!(client.get(path).status, 200);
            served.fetch_add(1, Ordering::Relaxed);
            if number % 2 == 1 && count % 20 == 0 {
                client = self.client();
            }
        }
    }

    /// Writes this configuration to its file; the process reads that when it is told to.
    #[track_caller]
    pub fn rewrite(&self, config: &Config) {
        self.rewrite_text(&config.render());
    }

    /// Writes this text to its file.
    #[track_caller]
    pub fn rewrite_text(&self, text: &str) {
        std::fs::write(self.dir().join("config.toml"), text).expect("its file");
    }

    /// Gives it this configuration, and waits until all shards serve by it.
    #[track_caller]
    pub fn reload(&self, config: &Config) {
        self.reload_text(&config.render());
    }

    /// Likewise, with the text of a configuration.
    #[track_caller]
    pub fn reload_text(&self, text: &str) {
        let count = || self.stderr().matches("reloaded: all shards").count();
        let before = count();
        self.rewrite_text(text);
        self.signal(Signal::HUP);
        super::wait_until("it has reloaded", || count() > before);
    }

    /// Starts an upgrade, and waits until the new process serves.
    #[track_caller]
    pub fn upgrade(&self) -> Successor {
        self.succession(|| self.signal(Signal::USR2))
    }

    /// The process that has taken over once this is done, of those whose log is this one's.
    #[track_caller]
    pub fn succession(&self, action: impl FnOnce()) -> Successor {
        let lines = || {
            let said = self.stderr();
            let lines = said.lines().filter(|line| line.contains("another process has taken over"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let before = lines().len();
        action();
        super::wait_until("another process has taken over", || lines().len() > before);
        Successor::of(&lines()[before])
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The directory of its configuration file, for sockets and the like.
    pub fn dir(&self) -> &Path {
        self.dir.as_ref().expect("a directory").path()
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        join(&lock(&self.output.lines).stderr)
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        join(&lock(&self.output.lines).stdout)
    }

    /// Waits for a line of standard error that contains `needle`; gives that line.
    #[track_caller]
    pub fn await_stderr(&self, needle: &str) -> String {
        self.await_line(needle, |lines| &lines.stderr)
    }

    /// Waits for a line of standard output that contains `needle`; gives that line.
    #[track_caller]
    pub fn await_stdout(&self, needle: &str) -> String {
        self.await_line(needle, |lines| &lines.stdout)
    }

    #[track_caller]
    fn await_line(&self, needle: &str, stream: fn(&Lines) -> &Vec<String>) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = lock(&self.output.lines);
        loop {
            if let Some(line) = stream(&lines).iter().find(|line| line.contains(needle)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || lines.ended == 2 {
                let said = join(&lines.stderr);
                drop(lines);
                panic!("no line with {needle:?} came.\n{}\nIt said:\n{said}", self.config);
            }
            lines = self
                .output
                .changed
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Sends a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("a running process");
    }

    /// Asks it to stop (SIGTERM) and waits for its end.
    #[track_caller]
    pub fn terminate(self) -> Exit {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self) -> Exit {
        self.expected_alive = false;
        super::wait_until("the process ends", || !self.is_running());
        super::wait_until("its output ends", || lock(&self.output.lines).ended == 2);
        let status = self.child.wait().expect("an ended child");
        assert!(status.signal().is_none(), "killed, {status}:\n{}", self.stderr());
        Exit { status, stdout: self.stdout(), stderr: self.stderr() }
    }

    /// Waits for its end alone: a successor writes to the same outputs.
    #[track_caller]
    pub fn wait_without_output(mut self) -> ExitStatus {
        self.expected_alive = false;
        super::wait_until("the process ends", || !self.is_running());
        self.child.wait().expect("an ended child")
    }

    /// What it holds just now, by its report (SIGUSR1) and its open files.
    #[track_caller]
    pub fn usage(&self) -> Usage {
        let from = lock(&self.output.lines).stderr.len();
        self.signal(Signal::USR1);
        let deadline = Instant::now() + PATIENCE;
        let mut lines = lock(&self.output.lines);
        // The line that ends each report.
        while !lines.stderr[from..].iter().any(|line| line.starts_with("connections reused ")) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero() && lines.ended < 2, "no report:\n{}", join(&lines.stderr));
            lines = self
                .output
                .changed
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        let report = lines.stderr[from..].to_vec();
        drop(lines);
        Usage::new(&report, &self.open_files())
    }

    /// Resident memory, bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("a running process");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).expect("a size").parse::<u64>().expect("a number") << 10
    }

    /// CPU time it has used, in steps of 10 ms.
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()));
        let stat = stat.expect("a running process");
        // Behind the name in parentheses, which may hold anything: proc_pid_stat(5), from field 3.
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        let ticks = fields.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>());
        // USER_HZ is 100 on every architecture that has a tier.
        ms(10 * ticks.map(|n| n.expect("a number")).sum::<u64>())
    }

    /// Fails if it uses more than a fifth of a processor while its peers keep still.
    #[track_caller]
    pub fn assert_does_not_spin(&self, for_so_long: Duration) {
        let before = self.cpu_time();
        let (passed, ()) = timed(|| pause(for_so_long));
        let used = self.cpu_time() - before;
        assert!(used < passed / 5, "used {used:?} of {passed:?}");
    }

    /// Connections to a TCP listener that the kernel has made and the process has not accepted.
    pub fn accept_queue(&self, address: &Address) -> u64 {
        let sockets = std::fs::read_to_string("/proc/net/tcp").expect("a list of sockets");
        // proc(5): of a listening socket (state 0A), the receive queue is its accept queue. There
        // is one for each shard.
        let port = format!(":{:04X}", address.port());
        let of_listener = |line: &str| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let (local, state, queues) = (fields.get(1)?, fields.get(3)?, fields.get(4)?);
            let listens = local.ends_with(&port) && *state == "0A";
            let (_, received) = queues.split_once(':').filter(|_| listens)?;
            u64::from_str_radix(received, 16).ok()
        };
        sockets.lines().filter_map(of_listener).sum()
    }

    /// Its open files, as /proc shows them: `socket:[1234]`, `pipe:[1235]`.
    pub fn open_files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", self.pid()));
        let links = entries.expect("a running process").filter_map(|entry| {
            Some(std::fs::read_link(entry.ok()?.path()).ok()?.to_string_lossy().into_owned())
        });
        links.collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let died = self.expected_alive && !self.is_running();
        let _ = self.child.kill();
        let _ = self.child.wait();
        let stderr = self.stderr();
        if thread::panicking() {
            eprintln!("--- the proxy's configuration\n{}--- its stderr\n{stderr}---", self.config);
            return;
        }
        assert!(!died, "the proxy died:\n{stderr}");
        assert!(!stderr.contains("panicked at"), "the proxy panicked:\n{stderr}");
    }
}

/// Collects the lines of a stream in a thread.
fn follow(
    stream: impl std::io::Read + Send + 'static,
    output: &Arc<Output>,
    kept: fn(&mut Lines) -> &mut Vec<String>,
) {
    let output = output.clone();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            kept(&mut lock(&output.lines)).push(line);
            output.changed.notify_all();
        }
        lock(&output.lines).ended += 1;
        output.changed.notify_all();
    });
}

fn join(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// A process that has taken over from the one that the test started.
pub struct Successor(Pid);

impl Successor {
    /// The one that this line of the old one's log names.
    #[track_caller]
    fn of(line: &str) -> Successor {
        let number = line.split_once("process=").and_then(|(_, number)| number.trim().parse().ok());
        Successor(number.and_then(Pid::from_raw).unwrap_or_else(|| panic!("no process: {line}")))
    }

    /// Sends a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(self.0, signal).expect("a running process");
    }

    /// Its process number.
    pub fn number(&self) -> i32 {
        self.0.as_raw_nonzero().get()
    }

    /// Whether it runs; a process that nobody has waited for yet does not.
    pub fn is_running(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.as_raw_nonzero()));
        let Ok(stat) = stat else { return false };
        let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
        state != Some('Z')
    }

    /// Asks it to stop, and waits until it has ended.
    #[track_caller]
    pub fn terminate(self) {
        self.signal(Signal::TERM);
        super::wait_until("the successor has ended", || !self.is_running());
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = kill_process(self.0, Signal::KILL);
        }
    }
}
