//! The error log, on standard error.

mod stderr;

use std::io;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::config::LogSettings;
use crate::control::Recent;
use stderr::Lines;

/// Changes what is logged.
#[derive(Clone)]
pub struct Log(reload::Handle<EnvFilter, Registry>);

impl Log {
    /// Logs by these settings from now on.
    pub fn set(&self, settings: &LogSettings) {
        // Without a log there is nothing to change.
        let _ = self.0.reload(filter(settings));
    }
}

/// What was logged is written before this is gone.
pub struct Written(Lines);

impl Written {
    /// Has a thread write what is logged from now on. Threads have the user that begins them.
    pub fn begin(&self) {
        if let Err(error) = self.0.begin(io::stderr()) {
            tracing::warn!(%error, "no thread can be started for the log; shards write it");
        }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.0.flush();
    }
}

/// Logs by these settings; the environment variable `CORELANE_LOG` (`corelane::proxy=debug,...`)
/// overrides them.
pub fn start(settings: &LogSettings) -> (Log, Written) {
    let lines = Lines::default();
    let (filter, handle) = reload::Layer::new(filter(settings));
    let layer = fmt::layer()
        .with_writer(lines.clone())
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()));
    let _ = tracing_subscriber::registry().with(filter).with(layer).with(Recent).try_init();
    (Log(handle), Written(lines))
}

fn filter(settings: &LogSettings) -> EnvFilter {
    EnvFilter::new(std::env::var("CORELANE_LOG").unwrap_or_else(|_| directives(settings)))
}

/// The level of all, then those of modules. Where several fit, the longest decides.
fn directives(settings: &LogSettings) -> String {
    let of_module = |(module, level): &(&str, &str)| format!(",corelane::{module}={level}");
    let of_modules: String = settings.levels.iter().map(of_module).collect();
    format!("corelane={}{of_modules}", settings.level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_have_levels_of_their_own() {
        let levels = vec![("upstream", "debug"), ("control::health", "trace")];
        let settings = LogSettings { level: "warn", levels };
        assert_eq!(
            directives(&settings),
            "corelane=warn,corelane::upstream=debug,corelane::control::health=trace"
        );
    }
}
