//! Commands.

mod check;
mod ctl;
mod demo;
mod doctor;
mod import;
mod logging;
mod origin;
mod run;
mod top;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Origin;

/// A reverse proxy and load balancer for Linux: one executor per core, io_uring, splice.
#[derive(Parser)]
#[command(name = "corelane", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: ConfigFile,
}

#[derive(Subcommand)]
enum Command {
    /// Serve (the default).
    Run(ConfigFile),
    /// Check a configuration as `nginx -t` does: exit 0, or every error and exit 1.
    Check(ConfigFile),
    /// Write what an nginx.conf says as a configuration of our own, with comments.
    Import(import::Options),
    /// Ask a running proxy, and change it, at its admin address.
    Ctl(ctl::Options),
    /// Have a running proxy read its configuration again; exit 1 and the errors if it is refused.
    Reload(ctl::ReloadOptions),
    /// Watch a running proxy in a terminal.
    Top(top::Options),
    /// Look at the machine: what io_uring, limits, queues and interrupts allow, and what to change.
    Doctor(doctor::Options),
    /// Three origin servers and the proxy before them, on this machine, to play with.
    Demo(demo::Options),
}

#[derive(clap::Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = "config.toml")]
    config: PathBuf,
    /// An nginx.conf to read in its place.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    nginx: Option<PathBuf>,
}

impl ConfigFile {
    fn origin(self) -> Origin {
        match self.nginx {
            Some(path) => Origin::Nginx(path),
            None => Origin::Toml(self.config),
        }
    }
}

/// Reads the command line, runs the command and says how it went: 0, or 1 after one clear sentence
/// on standard error, or 2 for a command line that makes no sense.
pub fn main() -> ExitCode {
    // A process that is only to start another one, with the same arguments.
    if let Some(code) = crate::control::launch() {
        return code;
    }
    let arguments = Arguments::parse();
    let result = match arguments.command.unwrap_or(Command::Run(arguments.run)) {
        Command::Run(file) => run::run(&file.origin()),
        Command::Check(file) => return check::check(&file.origin(), &crate::control::machine()),
        Command::Import(options) => return import::import(&options, &crate::control::machine()),
        Command::Ctl(options) => return ctl::ctl(&options),
        Command::Reload(options) => return ctl::reload(&options),
        Command::Top(options) => return top::top(&options),
        Command::Doctor(options) => {
            return doctor::doctor(&options, &crate::control::machine().auto());
        }
        Command::Demo(options) => demo::demo(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("corelane: {sentence}");
            ExitCode::FAILURE
        }
    }
}
