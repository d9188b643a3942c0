//! `corelane check`: says whether a configuration would be accepted, as `nginx -t` does.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::config::{self, Complaint, Machine, Origin};

/// Loads a configuration as a start on `machine` would.
///
/// One line on standard output and success if it is accepted; else every complaint on standard
/// error, then their number.
pub fn check(origin: &Origin, machine: &Machine) -> ExitCode {
    // What cannot be written because the reader has gone is not worth a panic: the exit code
    // still tells.
    let mut stderr = io::stderr().lock();
    match config::load(origin, machine) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                let _ = writeln!(stderr, "{}", marked("warning", warning));
            }
            for note in &loaded.notes {
                let _ = writeln!(stderr, "{}", marked("note", note));
            }
            let summary = &loaded.summary;
            let _ = writeln!(io::stdout(), "configuration file {origin} is ok: {summary}");
            ExitCode::SUCCESS
        }
        Err(complaints) => {
            for complaint in &complaints {
                let _ = writeln!(stderr, "{complaint}");
            }
            let count = complaints.len();
            let errors = if count == 1 { "error" } else { "errors" };
            let _ = writeln!(stderr, "configuration file {origin} is refused: {count} {errors}");
            ExitCode::FAILURE
        }
    }
}

/// A remark, marked so that nobody takes it for the reason of a failure.
fn marked(mark: &str, remark: &Complaint) -> String {
    let mut marked = remark.clone();
    marked.what = format!("{mark}: {}", remark.what);
    marked.to_string()
}
