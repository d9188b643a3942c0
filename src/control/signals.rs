//! Signals as events.

use std::io;

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::{Handle, Signals};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// SIGTERM, SIGINT: finish, then exit; the second time exit at once.
    Stop,
    /// SIGUSR1: print what was recorded.
    Report,
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGUSR2: let a new process take over.
    Upgrade,
}

/// While it lives, signals are listened to.
pub struct Listening(Handle);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Asks another process for the same.
pub fn pass_on(process: u32, request: Request) {
    let signal = match request {
        Request::Stop => Signal::TERM,
        Request::Report => Signal::USR1,
        Request::Reload => Signal::HUP,
        Request::Upgrade => Signal::USR2,
    };
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    if let Some(Err(error)) = process.map(|process| kill_process(process, signal)) {
        tracing::warn!(%error, "the new process cannot be told");
    }
}

/// Calls `action` for each signal, on a thread of its own.
///
/// # Errors
/// Those of sigaction(2) and of starting a thread.
pub fn listen(action: impl Fn(Request) + Send + 'static) -> io::Result<Listening> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP])?;
    let listening = Listening(signals.handle());
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            action(match signal {
                SIGUSR1 => Request::Report,
                SIGUSR2 => Request::Upgrade,
                SIGHUP => Request::Reload,
                _ => Request::Stop,
            });
        }
    })?;
    Ok(listening)
}
