//! What `top` waits for: figures, keys, signals. Each comes from a thread of its own, by one
//! channel. Of what the proxy says only the newest is kept, since a terminal that stalls would
//! otherwise have more of it pile up each second.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
#[allow(clippy::disallowed_types, reason = "no shard is near; held for a moment")]
use std::sync::{Mutex, PoisonError};
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
    /// There is [`News`].
    News,
    /// A key was pressed.
    Key(KeyEvent),
    /// The terminal has another size.
    Resized,
    /// A signal wants an end.
    Quit,
}

/// What the proxy says, or the connection to it.
pub enum News {
    /// What goes on.
    Figures(Box<Figures>),
    /// There is no connection for now; why.
    Lost(String),
    /// There will be no figures; the exit code, and why.
    Gone(u8, String),
}

/// The newest, until it is taken.
#[derive(Clone, Default)]
#[allow(clippy::disallowed_types, reason = "no shard is near; held for a moment")]
pub struct Newest(Arc<Mutex<Option<News>>>);

impl Newest {
    /// What has come since this was asked last.
    pub fn take(&self) -> Option<News> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Puts it in the place of what was not taken, and gives notice unless some is on its way;
    /// false: nobody takes any more.
    fn put(&self, news: News, messages: &Sender<Message>) -> bool {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        newest.replace(news).is_some() || messages.send(Message::News).is_ok()
    }
}

/// Passes on what the proxy says, and tries again when the connection is lost.
///
/// # Errors
/// Why no thread could be started; likewise below.
pub fn figures(target: Target, messages: &Sender<Message>) -> io::Result<Newest> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (messages, newest) = (messages.clone(), Newest::default());
    let taken = newest.clone();
    let mut tries = 0;
    start("figures", move || {
        loop {
            let each = |value| {
                tries = 0;
                newest.put(News::Figures(Box::new(Figures::read(&value))), &messages)
            };
            let next = match runtime.block_on(follow(&target, "/v1/live", each)) {
                Over::Enough => return,
                Over::Refused(why) => News::Gone(REFUSED, why),
                Over::Lost(why) if tries >= TRIES_MAX => News::Gone(NOT_ASKED, why),
                Over::Lost(why) => News::Lost(why),
            };
            let over = matches!(next, News::Gone(..));
            if !newest.put(next, &messages) || over {
                return;
            }
            tries += 1;
            thread::sleep(RETRY);
        }
    })?;
    Ok(taken)
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn of_what_nobody_takes_only_the_newest_is_kept() {
        let (sender, messages) = mpsc::channel();
        let newest = Newest::default();
        for round in 0..3 {
            for at in 0..100 {
                let figures = Figures { at: round * 100 + at, ..Figures::default() };
                assert!(newest.put(News::Figures(Box::new(figures)), &sender));
            }
            assert_eq!(messages.try_iter().count(), 1, "one notice");
            let Some(News::Figures(figures)) = newest.take() else { panic!("figures") };
            assert_eq!(figures.at, round * 100 + 99);
            assert!(newest.take().is_none());
        }
        drop(messages);
        assert!(!newest.put(News::Lost(String::new()), &sender), "nobody takes it");
    }
}
