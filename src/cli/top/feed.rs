//! What `top` waits for: figures, keys, signals. Each comes from a thread of its own, by one
//! channel.

use std::io;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::figures::Figures;
use crate::cli::ctl::client::{Over, Target, follow};
use crate::cli::ctl::{NOT_ASKED, REFUSED};

/// Between two tries to reach the proxy.
const RETRY: Duration = Duration::from_millis(250);
/// So often in a row: a restart or an upgrade takes less.
const TRIES_MAX: u32 = 12;

/// Something that has come.
pub enum Message {
    /// What goes on.
    Figures(Box<Figures>),
    /// A key was pressed.
    Key(KeyEvent),
    /// The terminal has another size.
    Resized,
    /// There is no connection for now; why.
    Lost(String),
    /// A signal wants an end.
    Quit,
    /// There will be no figures; the exit code, and why.
    Gone(u8, String),
}

/// Passes on what the proxy says, and tries again when the connection is lost.
///
/// # Errors
/// Why no thread could be started; likewise below.
pub fn figures(target: Target, messages: &Sender<Message>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let messages = messages.clone();
    let mut tries = 0;
    start("figures", move || {
        loop {
            let each = |value| {
                tries = 0;
                messages.send(Message::Figures(Box::new(Figures::read(&value)))).is_ok()
            };
            let next = match runtime.block_on(follow(&target, "/v1/live", each)) {
                Over::Enough => return,
                Over::Refused(why) => Message::Gone(REFUSED, why),
                Over::Lost(why) if tries >= TRIES_MAX => Message::Gone(NOT_ASKED, why),
                Over::Lost(why) => Message::Lost(why),
            };
            let over = matches!(next, Message::Gone(..));
            if messages.send(next).is_err() || over {
                return;
            }
            tries += 1;
            thread::sleep(RETRY);
        }
    })
}

/// Passes on keys and changes of size. It ends with the process.
pub fn keys(messages: &Sender<Message>) -> io::Result<()> {
    let messages = messages.clone();
    start("keys", move || {
        loop {
            let message = match event::read() {
                Ok(Event::Key(key)) if key.kind == KeyEventKind::Press => Message::Key(key),
                Ok(Event::Resize(..)) => Message::Resized,
                Ok(_) => continue,
                // The terminal has gone.
                Err(_) => Message::Quit,
            };
            let over = matches!(message, Message::Quit);
            if messages.send(message).is_err() || over {
                return;
            }
        }
    })
}

/// Passes on signals that would end the process where it stands.
pub fn signals(messages: &Sender<Message>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let messages = messages.clone();
    start("signals", move || {
        for _ in signals.forever() {
            if messages.send(Message::Quit).is_err() {
                return;
            }
        }
    })
}

fn start(name: &str, task: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(task).map(drop)
}
