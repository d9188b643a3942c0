//! `corelane run`.

use std::path::Path;

use super::logging;
use crate::config;
use crate::control;

/// Serves what `path` describes until a signal asks to stop.
///
/// # Errors
/// What is wrong and how to mend it.
pub fn run(path: &Path) -> Result<(), String> {
    let loaded = config::load(path, &control::machine()).map_err(|complaints| {
        for complaint in &complaints {
            eprintln!("{complaint}");
        }
        format!("{} is refused: {} error(s)", path.display(), complaints.len())
    })?;
    logging::start(loaded.log.level);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let running = control::start(loaded.plan).map_err(|error| error.to_string())?;
    announce(&running);
    running.wait()
}

/// Says where the proxy listens, whatever the log level.
pub fn announce(running: &control::Running) {
    for address in &running.addresses {
        eprintln!("listening on {address}");
    }
    eprintln!("ready (io_uring tier {})", running.tier);
}
