//! A shell that does what a reader does, and everything that was started in it.

#![allow(clippy::disallowed_types, reason = "the house rules on locks are for shards")]

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{PATIENCE, binary, comes_true};

/// Around the status of what was run; no program prints it.
const MARK: char = '\u{1e}';

/// What the shell does first. All goes to one place, as in a terminal. When the test is gone, its
/// input ends, and so does what runs in it.
const START: &str = "exec 2>&1
trap 'failed=$?' ERR
trap 'kill -KILL $(jobs -p)' EXIT
set -o pipefail
";

/// bash in a session of its own, by which all that it starts is found again.
pub struct Shell {
    child: Child,
    stdin: ChildStdin,
    said: Arc<Mutex<String>>,
    /// How much of that belongs to earlier commands.
    before: usize,
    folder: tempfile::TempDir,
}

impl Shell {
    /// In a fresh folder, with the binary under test as `corelane` in PATH.
    pub fn new() -> Shell {
        let folder = tempfile::tempdir().expect("a folder");
        let (bin, home) = (folder.path().join("bin"), folder.path().join("home"));
        fs::create_dir(&bin).expect("a folder");
        fs::create_dir(&home).expect("a folder");
        std::os::unix::fs::symlink(binary(), bin.join("corelane")).expect("a link");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&path)));
        let mut command = Command::new("setsid");
        command.args(["bash", "--noprofile", "--norc"]).current_dir(&home);
        command.env("PATH", path.expect("a path")).env("HOME", &home).env("LC_ALL", "C.UTF-8");
        // In a terminal, curl shows no progress beside what it prints.
        fs::write(folder.path().join(".curlrc"), "no-progress-meter\n").expect("a file");
        command.env("CURL_HOME", folder.path());
        // What would lead it elsewhere.
        for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("setsid and bash");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(START.as_bytes()).expect("a shell that reads");
        let said: Arc<Mutex<String>> = Arc::default();
        let (heard, mut stdout) = (said.clone(), child.stdout.take().expect("piped"));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut bytes) {
                lock(&heard).push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Shell { child, stdin, said, before: 0, folder }
    }

    /// The folder that it is in.
    pub fn place(&self) -> PathBuf {
        fs::read_link(format!("/proc/{}/cwd", self.child.id())).expect("a running shell")
    }

    /// Runs commands; gives the status of the one that failed, or 0.
    pub fn run(&mut self, commands: &str) -> Result<i32, String> {
        let file = self.folder.path().join("commands");
        fs::write(&file, commands).expect("a file");
        self.before = lock(&self.said).len();
        self.ask(&format!(". {}", file.display()))
    }

    /// Waits until jobs that were told to end have ended: nobody types faster than that.
    pub fn await_ended(&mut self, jobs: &str) -> Result<(), String> {
        let before = self.before;
        // Whatever their status.
        let waited = self.ask(&format!("wait {jobs} 2>/dev/null || true"));
        self.before = before;
        waited.map(drop)
    }

    fn ask(&mut self, command: &str) -> Result<i32, String> {
        let from = lock(&self.said).len();
        let line = format!(
            "failed=0; {command} </dev/null; last=$?; \
             printf '{MARK}%s{MARK}' $((failed ? failed : last))\n"
        );
        let written = self.stdin.write_all(line.as_bytes());
        written.map_err(|error| format!("the shell is gone: {error}"))?;
        let status = || {
            let said = lock(&self.said);
            said[from..].split(MARK).nth(1).and_then(|status| status.parse().ok())
        };
        // Some commands wait by themselves, as a drain does.
        comes_true(3 * PATIENCE, || status().is_some());
        status().ok_or_else(|| format!("has not ended:\n{}", self.output()))
    }

    /// What the last commands, and what runs beside them, have printed so far.
    pub fn output(&self) -> String {
        let said = lock(&self.said);
        // Every second part is a status.
        let own: String = said[self.before..].split(MARK).step_by(2).collect();
        own.split_inclusive('\n').filter(|line| !is_about_a_job(line)).collect()
    }

    /// Every process in its session that has not ended.
    fn processes(&self) -> Vec<Pid> {
        let entries = fs::read_dir("/proc").expect("processes").filter_map(Result::ok);
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let number = i32::try_from(self.child.id()).expect("a process number");
        numbers
            .filter(|process| session(*process) == Some(number))
            .filter_map(Pid::from_raw)
            .collect()
    }

    /// Ends everything that was started in it.
    pub fn end(&mut self) {
        let gone = comes_true(PATIENCE, || {
            let processes = self.processes();
            for process in &processes {
                let _ = kill_process(*process, Signal::KILL);
            }
            // The shell is in it until it is waited for, and whoever it has started is not yet
            // counted then.
            let _ = self.child.try_wait();
            processes.is_empty()
        });
        assert!(gone || thread::panicking(), "processes are left: {:?}", self.processes());
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.end();
    }
}

/// The session of a process (proc_pid_stat(5)); none, if it has ended.
fn session(process: i32) -> Option<i32> {
    let stat =
        fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    fields.nth(2)?.parse().ok().filter(|_| state != "Z")
}

/// A shell says that a job was ended by a signal, each in words of its own.
fn is_about_a_job(line: &str) -> bool {
    let of_shell = line.contains(": line ");
    of_shell && [" Terminated ", " Killed "].iter().any(|word| line.contains(word))
}

fn lock(said: &Mutex<String>) -> MutexGuard<'_, String> {
    said.lock().unwrap_or_else(PoisonError::into_inner)
}
