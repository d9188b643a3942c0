//! `corelane import`: an nginx.conf as a configuration of our own.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::{self, Machine};

/// Options of `corelane import`.
#[derive(clap::Args)]
pub struct Options {
    /// The nginx.conf.
    #[arg(value_name = "FILE", default_value = "/etc/nginx/nginx.conf")]
    file: PathBuf,
    /// Where to write it, a file that is not there yet; left out: standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes the text if it would be accepted on this `machine`, else every complaint to standard
/// error, then their number.
pub fn import(options: &Options, machine: &Machine) -> ExitCode {
    let name = options.file.display();
    let mut stderr = io::stderr().lock();
    match config::translated(&options.file, machine) {
        Ok((text, loaded)) => match write(options.output.as_deref(), &text) {
            Ok(()) => {
                let summary = &loaded.summary;
                let notes = loaded.notes.len();
                let _ = writeln!(stderr, "{name}: {summary}; notes at the beginning: {notes}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                let _ = writeln!(stderr, "corelane: {error}");
                ExitCode::FAILURE
            }
        },
        Err(complaints) => {
            for complaint in &complaints {
                let _ = writeln!(stderr, "{complaint}");
            }
            let count = complaints.len();
            let errors = if count == 1 { "error" } else { "errors" };
            let _ = writeln!(stderr, "{name} is refused: {count} {errors}");
            ExitCode::FAILURE
        }
    }
}

fn write(output: Option<&Path>, text: &str) -> Result<(), String> {
    let Some(path) = output else {
        return io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string());
    };
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::AlreadyExists => "; remove it first, or choose another name",
            _ => "",
        };
        format!("{} cannot be written: {error}{remedy}", path.display())
    })
}
