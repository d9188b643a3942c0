//! The process between: the old one starts it from its own program, it starts the new one, and it
//! is ended when that serves.
//!
//! A service manager waits for the end of its own children only: systemd sends a process that is
//! not its child SIGTERM when the service is to stop, and SIGKILL at once (KillMode= of
//! systemd.kill(5), seen with versions 252 and 257). The new process becomes the manager's child
//! when this one ends, which is before the manager is told of it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::net::{SendFlags, send};
use rustix::process::{Pid, Signal, kill_process};

use super::{VARIABLE, await_events, receive};

/// Set for the process between: the program to start.
const PROGRAM: &str = "CORELANE_LAUNCH";
/// The program that this process was started from, also when its file was replaced.
const SELF: &str = "/proc/self/exe";

/// If this is a process between: starts the new one, waits for its end, and returns the code to end
/// with, which is that of the new one.
pub fn launch() -> Option<ExitCode> {
    let program = std::env::var_os(PROGRAM)?;
    Some(start(&program).unwrap_or_else(|error| {
        eprintln!("corelane: {} cannot be started: {error}", Path::new(&program).display());
        ExitCode::FAILURE
    }))
}

fn start(program: &OsStr) -> io::Result<ExitCode> {
    let mut command = Command::new(program);
    command.args(arguments()).env_remove(PROGRAM).env(VARIABLE, "1");
    // It names the old process (sd_watchdog_enabled(3)).
    command.env_remove("WATCHDOG_PID");
    let mut child = command.spawn()?;
    let number = child.id().to_string();
    send(rustix::stdio::stdin(), number.as_bytes(), SendFlags::NOSIGNAL)?;
    let code = child.wait()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os().skip(1)
}

/// A new process and the one between.
pub struct Launched {
    between: Child,
    /// Once it is known.
    process: Option<Pid>,
}

impl Launched {
    /// Starts `program` with the arguments of this process, and with `stdin`.
    ///
    /// # Errors
    /// When nothing can be started.
    pub fn start(program: &Path, stdin: OwnedFd) -> io::Result<Launched> {
        let mut command = Command::new(SELF);
        command.args(arguments()).env(PROGRAM, program).stdin(Stdio::from(stdin));
        Ok(Launched { between: command.spawn()?, process: None })
    }

    /// Waits to hear the number of the new process through the other end of its standard input.
    ///
    /// # Errors
    /// When it says none before the deadline.
    pub fn await_number(&mut self, socket: &OwnedFd, deadline: Instant) -> io::Result<()> {
        await_events(socket, PollFlags::IN, deadline)?;
        let (text, _) = receive(socket.as_fd())?;
        let number = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
        self.process = number.and_then(Pid::from_raw);
        self.process.map(drop).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Leaves the new process to itself. Returns its number.
    ///
    /// # Errors
    /// Those of kill(2) and wait(2).
    pub fn leave(&mut self) -> io::Result<u32> {
        self.between.kill()?;
        self.between.wait()?;
        let number = self.process.map(|process| process.as_raw_nonzero().get().unsigned_abs());
        number.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Ends both.
    pub fn kill(&mut self) {
        // The one between has not reaped it, so the number is still its.
        if let (Some(process), Ok(None)) = (self.process, self.between.try_wait()) {
            let _ = kill_process(process, Signal::KILL);
        }
        let _ = self.between.kill();
    }

    /// How the new process ended, if the one between has seen that.
    pub fn wait(&mut self) -> io::Result<std::process::ExitStatus> {
        self.between.wait()
    }
}
