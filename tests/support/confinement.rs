//! A process that is kept from something, so that its start fails as on a machine set up that way.
//!
//! Limits are set by a shell that becomes the process. Capabilities and seccomp filters belong to
//! threads and are inherited: a thread takes them upon itself, starts the process, and ends.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

use super::proxy::Proxy;

/// The user whom nothing belongs to.
const NOBODY: u32 = 65_534;

/// What a process is kept from. Nothing, by default.
#[derive(Clone, Debug, Default)]
pub struct Confinement {
    /// RLIMIT_NOFILE, soft and hard.
    pub open_files: Option<u64>,
    /// RLIMIT_MEMLOCK, soft and hard, KiB.
    pub locked_memory: Option<u64>,
    /// System calls that fail, by number, with this errno: a seccomp filter.
    pub denied: Vec<(i64, i32)>,
    /// Capabilities that even a process of root lacks.
    pub without: Option<CapabilitySet>,
    /// Its files are where every user may read them.
    pub for_all: bool,
    /// It runs as nobody where the tests run as root; else as whoever runs them.
    pub unprivileged: bool,
}

impl Confinement {
    /// Runs `command`, whose files are in `dir`.
    #[track_caller]
    pub fn spawn(&self, command: Command, dir: tempfile::TempDir, config: String) -> Proxy {
        let mut command = self.limited(command);
        if self.unprivileged && rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        if self.denied.is_empty() && self.without.is_none() {
            return Proxy::spawn(command, Some(dir), config);
        }
        let confinement = self.clone();
        let spawning = thread::spawn(move || {
            confinement.enter();
            Proxy::spawn(command, Some(dir), config)
        });
        spawning.join().expect("a confined process")
    }

    /// Takes it upon this thread, for good.
    fn enter(&self) {
        if let Some(capabilities) = self.without {
            // Only who may change the set has something to lose.
            if rustix::process::geteuid().is_root() {
                let removed = remove_capability_from_bounding_set(capabilities);
                removed.expect("a change of the bounding set");
            }
        }
        for (call, errno) in &self.denied {
            apply_filter(&filter(*call, *errno)).expect("a seccomp filter");
        }
    }

    fn limited(&self, command: Command) -> Command {
        let mut limits = String::new();
        for (option, limit) in [("-n", self.open_files), ("-l", self.locked_memory)] {
            if let Some(limit) = limit {
                let _ = write!(limits, "ulimit {option} {limit}; ");
            }
        }
        if limits.is_empty() {
            return command;
        }
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("set -e; {limits}exec \"$0\" \"$@\""));
        shell.arg(command.get_program()).args(command.get_args());
        shell
    }

    /// `binary` at a place in `dir` where it can be run: nobody may not look into everybody's
    /// directories.
    pub fn reachable(&self, binary: &Path, dir: &Path) -> PathBuf {
        if !self.unprivileged && !self.for_all {
            return binary.to_owned();
        }
        let open_to_all = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir, open_to_all).expect("a directory of ours");
        let place = dir.join("corelane");
        std::fs::hard_link(binary, &place)
            .or_else(|_| std::fs::copy(binary, &place).map(drop))
            .expect("a copy of the binary");
        place
    }
}

/// Lets everything pass but one system call.
fn filter(call: i64, errno: i32) -> BpfProgram {
    let arch = std::env::consts::ARCH.try_into().expect("an architecture with seccomp filters");
    let rules = BTreeMap::from([(call, Vec::new())]);
    let denied = SeccompAction::Errno(errno.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, denied, arch)
        .and_then(BpfProgram::try_from)
        .expect("a filter of one rule")
}
