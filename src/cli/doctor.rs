//! `corelane doctor`: looks at what the proxy runs on, and says what to change. Changes nothing.

mod network;
mod system;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

/// How a finding is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// As it should be.
    Good,
    /// It works, and could be better.
    Advice,
    /// It does not work.
    Problem,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Good => "good",
            Level::Advice => "advice",
            Level::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    level: Level,
    /// What was looked at.
    topic: String,
    /// How it is.
    state: String,
    /// Why that matters; for what is not as it should be.
    reason: &'static str,
    /// The command that mends it.
    mend: Option<String>,
}

impl Finding {
    fn good(topic: impl Into<String>, state: impl Into<String>) -> Finding {
        let (topic, state) = (topic.into(), state.into());
        Finding { level: Level::Good, topic, state, reason: "", mend: None }
    }

    fn advice(
        topic: impl Into<String>,
        state: impl Into<String>,
        reason: &'static str,
        mend: impl Into<String>,
    ) -> Finding {
        let good = Finding::good(topic, state);
        Finding { level: Level::Advice, reason, mend: Some(mend.into()), ..good }
    }

    fn problem(
        topic: impl Into<String>,
        state: impl Into<String>,
        reason: &'static str,
        mend: impl Into<String>,
    ) -> Finding {
        Finding { level: Level::Problem, ..Finding::advice(topic, state, reason, mend) }
    }

    fn to_json(&self) -> Value {
        json!({
            "level": self.level.name(),
            "topic": self.topic,
            "state": self.state,
            "reason": self.reason,
            "mend": self.mend,
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8}{}: {}", self.level.name(), self.topic, self.state)?;
        if !self.reason.is_empty() {
            write!(f, "\n        {}", self.reason)?;
        }
        match &self.mend {
            Some(mend) => write!(f, "\n        mend: {mend}"),
            None => Ok(()),
        }
    }
}

/// The machine's /proc and /sys.
struct Machine {
    root: PathBuf,
}

impl Machine {
    fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    /// A file's text without the white space around it.
    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.path(file)).ok().map(|text| text.trim().to_owned())
    }

    fn number(&self, file: &str) -> Option<u64> {
        self.read(file)?.parse().ok()
    }

    /// The names in a directory, in order; none, if it cannot be read.
    fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort_by_key(|name| (digits(name), name.clone()));
        names
    }
}

/// The number at a name's end: `rx-10` stands behind `rx-9`.
fn digits(name: &str) -> u64 {
    let end = name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    name[end..].parse().unwrap_or(0)
}

/// Options of the command.
#[derive(clap::Args)]
pub struct Options {
    /// Print JSON: an array of findings.
    #[arg(long)]
    json: bool,
    /// Show only what could be better.
    #[arg(long)]
    quiet: bool,
}

/// Prints what was found. Exit 1 if there is a problem, else 0.
pub fn doctor(options: &Options, cpus: &[usize]) -> ExitCode {
    let mut findings = examine(Path::new("/"), cpus);
    let worst = findings.iter().map(|finding| finding.level).max();
    if options.quiet {
        findings.retain(|finding| finding.level > Level::Good);
    }
    if options.json {
        let all: Vec<Value> = findings.iter().map(Finding::to_json).collect();
        println!("{:#}", Value::Array(all));
    } else {
        findings.iter().for_each(|finding| println!("{finding}"));
    }
    match worst {
        Some(Level::Problem) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

/// Looks at the machine whose /proc and /sys are below `root`; the limits and the rings are those
/// of this process. Shards would run on `cpus`.
fn examine(root: &Path, cpus: &[usize]) -> Vec<Finding> {
    let machine = Machine { root: root.to_owned() };
    let mut findings = system::examine(&machine, cpus);
    findings.extend(network::examine(&machine, cpus));
    findings
}

#[cfg(test)]
mod tests;
