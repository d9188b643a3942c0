//! Signals as events.

use std::io;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::{Handle, Signals};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// SIGTERM, SIGINT: finish, then exit; the second time exit at once.
    Stop,
    /// SIGUSR1: print what was recorded.
    Report,
    /// SIGHUP.
    HangUp,
}

/// While it lives, signals are listened to.
pub struct Listening(Handle);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Calls `action` for each signal, on a thread of its own.
///
/// # Errors
/// Those of sigaction(2) and of starting a thread.
pub fn listen(action: impl Fn(Request) + Send + 'static) -> io::Result<Listening> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGUSR1, SIGHUP])?;
    let listening = Listening(signals.handle());
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            action(match signal {
                SIGUSR1 => Request::Report,
                SIGHUP => Request::HangUp,
                _ => Request::Stop,
            });
        }
    })?;
    Ok(listening)
}
