//! Commands.

pub mod origin;

use std::process::ExitCode;

/// Reads the command line, runs the command and says how it went.
pub fn main() -> ExitCode {
    ExitCode::FAILURE
}
