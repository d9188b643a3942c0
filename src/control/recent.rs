//! The latest lines of the log that say that something is wrong, for who looks at the running
//! proxy. The log itself goes where it goes; these are lost with the process.

use std::collections::VecDeque;
use std::fmt::{self, Write};
#[allow(clippy::disallowed_types, reason = "held for as long as it takes to add a line")]
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// How many are kept.
const LINES_MAX: usize = 50;
/// Longest text that is kept, bytes.
const TEXT_MAX: usize = 500;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was logged.
    pub at: SystemTime,
    /// `error` or `warn`.
    pub level: &'static str,
    /// The message and its fields.
    pub text: String,
}

/// The log is one for the whole process, and so are these.
#[allow(clippy::disallowed_types, reason = "held for as long as it takes to add a line")]
static LINES: Mutex<VecDeque<Line>> = Mutex::new(VecDeque::new());

/// Those that are kept, the newest first.
pub fn lines() -> Vec<Line> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
}

/// Keeps what passes the log's filter.
pub struct Recent;

impl<S: Subscriber> Layer<S> for Recent {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            _ => return,
        };
        let mut text = Text::default();
        event.record(&mut text);
        let line = Line { at: SystemTime::now(), level, text: text.finish() };
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

/// A line in the making: the message, then the fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

impl Text {
    fn finish(self) -> String {
        let mut text = self.message + &self.fields;
        if text.len() > TEXT_MAX {
            let end = (0..=TEXT_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
            text.push('…');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn what_is_wrong_is_kept_and_not_for_ever() {
        let subscriber = tracing_subscriber::registry().with(Recent);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("recent: all is well");
            for number in 0..LINES_MAX + 3 {
                tracing::warn!(number, server = "a:1", "recent: out {}", "of order");
            }
            tracing::error!("recent: {}", "é".repeat(TEXT_MAX));
        });
        let mine: Vec<Line> =
            lines().into_iter().filter(|line| line.text.starts_with("recent: ")).collect();
        assert!(mine.len() <= LINES_MAX && mine.len() > 2, "{}", mine.len());
        assert_eq!((mine[0].level, mine[1].level), ("error", "warn"));
        assert!(mine[0].text.len() <= TEXT_MAX + '…'.len_utf8());
        let last = format!("recent: out of order number={} server=a:1", LINES_MAX + 2);
        assert_eq!(mine[1].text, last);
        assert!(!mine.iter().any(|line| line.text.contains("all is well")));
    }
}
