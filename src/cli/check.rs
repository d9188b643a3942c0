//! `corelane check`: says whether a configuration would be accepted, as `nginx -t` does.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::config::{self, Complaint, Machine};

/// Loads the configuration at `path` as a start on `machine` would.
///
/// One line on standard output and success if it is accepted; else every complaint on standard
/// error, then their number.
pub fn check(path: &Path, machine: &Machine) -> ExitCode {
    let name = path.display();
    // What cannot be written because the reader has gone is not worth a panic: the exit code
    // still tells.
    let mut stderr = io::stderr().lock();
    match config::load(path, machine) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                let _ = writeln!(stderr, "{}", warning_line(warning));
            }
            let summary = &loaded.summary;
            let _ = writeln!(io::stdout(), "configuration file {name} is ok: {summary}");
            ExitCode::SUCCESS
        }
        Err(complaints) => {
            for complaint in &complaints {
                let _ = writeln!(stderr, "{complaint}");
            }
            let count = complaints.len();
            let errors = if count == 1 { "error" } else { "errors" };
            let _ = writeln!(stderr, "configuration file {name} is refused: {count} {errors}");
            ExitCode::FAILURE
        }
    }
}

/// A warning, marked so that nobody takes it for the reason of a failure.
fn warning_line(warning: &Complaint) -> String {
    let mut marked = warning.clone();
    marked.what = format!("warning: {}", warning.what);
    marked.to_string()
}
