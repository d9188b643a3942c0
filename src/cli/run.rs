//! `corelane run`.

use super::logging;
use crate::config::{self, Origin};
use crate::control;
use crate::plan::Plan;

/// Serves what a configuration describes until a signal asks to stop.
///
/// # Errors
/// What is wrong and how to mend it.
pub fn run(origin: &Origin) -> Result<(), String> {
    let mut loaded = config::load(origin, &control::machine()).map_err(|complaints| {
        for complaint in &complaints {
            eprintln!("{complaint}");
        }
        format!("{origin} is refused: {} error(s)", complaints.len())
    })?;
    let (log, written_log) = logging::start(&loaded.log);
    let written = std::mem::take(&mut loaded.written);
    let plan = accept(loaded);
    let origin = origin.clone();
    let again = move || {
        let loaded = config::load(&origin, &control::machine());
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
    announce(&running);
    written_log.begin();
    running.wait()
}

/// The plan of a configuration that is no error, but may be a mistake.
fn accept(loaded: config::Loaded) -> Plan {
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    if !loaded.notes.is_empty() {
        let notes = loaded.notes.len();
        tracing::info!(notes, "`corelane check --nginx` lists what of nginx.conf is not needed");
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
