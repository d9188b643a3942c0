//! `corelane run`.

use std::path::Path;

use super::logging;
use crate::config;
use crate::control;
use crate::plan::Plan;

/// Serves what `path` describes until a signal asks to stop.
///
/// # Errors
/// What is wrong and how to mend it.
pub fn run(path: &Path) -> Result<(), String> {
    let mut loaded = config::load(path, &control::machine()).map_err(|complaints| {
        for complaint in &complaints {
            eprintln!("{complaint}");
        }
        format!("{} is refused: {} error(s)", path.display(), complaints.len())
    })?;
    let (log, written_log) = logging::start(&loaded.log)?;
    let written = std::mem::take(&mut loaded.written);
    let plan = accept(loaded);
    let path = path.to_owned();
    let again = move || {
        let loaded = config::load(&path, &control::machine());
        let lines = |complaints: Vec<config::Complaint>| {
            complaints.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let mut loaded = loaded.map_err(lines)?;
        let (log, settings) = (log.clone(), loaded.log.clone());
        let accepted = Box::new(move || log.set(&settings));
        let written = std::mem::take(&mut loaded.written);
        Ok(control::Draft { plan: accept(loaded), written, accepted })
    };
    let running = control::start(plan, written, Some(Box::new(again)));
    let running = running.map_err(|error| error.to_string())?;
    written_log.flush();
    announce(&running);
    running.wait()
}

/// The plan of a configuration that is no error, but may be a mistake.
fn accept(loaded: config::Loaded) -> Plan {
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    loaded.plan
}

/// Says where the proxy listens, whatever the log level.
pub fn announce(running: &control::Running) {
    for address in &running.addresses {
        eprintln!("listening on {address}");
    }
    if let Some(address) = running.admin() {
        eprintln!("admin on {address}");
    }
    eprintln!("ready (io_uring tier {})", running.tier);
}
