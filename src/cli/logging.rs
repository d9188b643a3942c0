//! The error log, on standard error.

use tracing_subscriber::EnvFilter;

/// Logs from `level` on; the environment variable `CORELANE_LOG` (`proxy=debug,...`) overrides it.
pub fn start(level: &str) {
    let filter = std::env::var("CORELANE_LOG").unwrap_or_else(|_| format!("corelane={level}"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .try_init();
}
