//! The error log, on standard error.

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::control::Recent;

/// Changes what is logged.
#[derive(Clone)]
pub struct Log(reload::Handle<EnvFilter, Registry>);

impl Log {
    /// Logs from `level` on, from now on.
    pub fn set_level(&self, level: &str) {
        // Without a log there is nothing to change.
        let _ = self.0.reload(filter(level));
    }
}

/// Logs from `level` on; the environment variable `CORELANE_LOG` (`proxy=debug,...`) overrides it.
pub fn start(level: &str) -> Log {
    let (filter, handle) = reload::Layer::new(filter(level));
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    let _ = tracing_subscriber::registry().with(filter).with(lines).with(Recent).try_init();
    Log(handle)
}

fn filter(level: &str) -> EnvFilter {
    let filter = std::env::var("CORELANE_LOG").unwrap_or_else(|_| format!("corelane={level}"));
    EnvFilter::new(filter)
}
