//! `corelane ctl`: asks a running proxy at its admin address, and tells it things.

pub(super) mod client;
mod table;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use self::client::{Answer, Target, ask};
use crate::plan::WEIGHT_MAX;

/// What the exit codes mean; 0: done, 2: the command line makes no sense (clap's).
pub(super) const REFUSED: u8 = 1;
pub(super) const NOT_ASKED: u8 = 3;

/// Options of `corelane ctl`.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    form: Form,
    #[command(subcommand)]
    command: Command,
}

/// Which proxy, and how it answers; all options of `corelane reload`.
#[derive(clap::Args)]
pub struct ReloadOptions {
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    form: Form,
}

/// Which proxy.
#[derive(clap::Args)]
pub(super) struct Whom {
    /// The configuration file of the proxy, for its admin address.
    #[arg(short, long, value_name = "FILE", default_value = "config.toml", global = true)]
    config: PathBuf,
    /// The admin address, instead of the one in the file: IP:PORT or unix:/PATH.
    #[arg(long, value_name = "ADDRESS", global = true)]
    admin: Option<String>,
    /// The file with the token, instead of what the configuration says.
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
}

impl Whom {
    /// Where to ask, for who `changes` something or only looks.
    ///
    /// # Errors
    /// A sentence with the remedy.
    pub(super) fn target(&self, changes: bool) -> Result<Target, String> {
        let (admin, token_file) = (self.admin.as_deref(), self.token_file.as_deref());
        Target::find(&self.config, admin, token_file, changes)
    }
}

/// How answers are printed.
#[derive(clap::Args)]
struct Form {
    /// Print the answer as the API gave it (JSON).
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Where clients connect.
    Listeners,
    /// Which requests go where.
    Routes,
    /// Groups of servers.
    Upstreams,
    /// Servers: of one upstream, or all.
    Servers {
        /// The upstream's name.
        upstream: Option<String>,
    },
    /// Set the state of a server.
    Set {
        /// The upstream's name and the server's address as configured.
        #[arg(value_name = "UPSTREAM/SERVER", value_parser = read_place)]
        server: Place,
        /// up: it takes requests; drain: no new ones; down: it is left alone.
        #[arg(value_parser = ["up", "drain", "down"])]
        state: String,
    },
    /// Set the weight of a server.
    Weight {
        /// The upstream's name and the server's address as configured.
        #[arg(value_name = "UPSTREAM/SERVER", value_parser = read_place)]
        server: Place,
        /// Its share of requests; 0: none of those that are new.
        #[arg(value_parser = clap::value_parser!(u32).range(..=i64::from(WEIGHT_MAX)))]
        weight: u32,
    },
    /// Close a route for maintenance, or open it.
    Maintenance {
        /// Its name, as `ctl routes` shows it.
        route: String,
        /// on: it is closed; off: it is open, whatever is configured; auto: as configured.
        #[arg(value_parser = ["on", "off", "auto"])]
        state: String,
    },
    /// What was counted since the start or the last reset, and what is held now.
    Counters,
    /// Count anew; says what was counted until now.
    Reset,
    /// Read the configuration file again; exit 1 and its errors if it is refused.
    Reload,
}

/// A server of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    upstream: String,
    server: String,
}

/// Names of upstreams have no `/`, paths of Unix sockets do.
fn read_place(text: &str) -> Result<Place, String> {
    match text.split_once('/') {
        Some((upstream, server)) if !upstream.is_empty() && !server.is_empty() => {
            Ok(Place { upstream: upstream.to_owned(), server: server.to_owned() })
        }
        _ => Err("write UPSTREAM/SERVER, such as app/10.0.0.1:3000".to_owned()),
    }
}

/// Carries out a command.
pub fn ctl(options: &Options) -> ExitCode {
    run(&options.whom, &options.form, &options.command)
}

/// `corelane reload`.
pub fn reload(options: &ReloadOptions) -> ExitCode {
    run(&options.whom, &options.form, &Command::Reload)
}

fn run(whom: &Whom, form: &Form, command: &Command) -> ExitCode {
    let (method, path, body) = request(command);
    let target = whom.target(method != "GET");
    let answer = target.and_then(|target| ask(&target, method, &path, body.as_ref()));
    match answer {
        Err(sentence) => {
            complain(&sentence);
            ExitCode::from(NOT_ASKED)
        }
        Ok(answer) => {
            if form.json {
                print(&answer.text);
            }
            match (answer.is_ok(), form.json) {
                (true, true) => {}
                (true, false) => print(&shown(command, &answer.value)),
                (false, _) => complain_of(&answer),
            }
            if answer.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) }
        }
    }
}

/// Method, path and body of a command's request.
fn request(command: &Command) -> (&'static str, String, Option<Value>) {
    let set = |Place { upstream, server }: &Place, name: &str, value: Value| {
        let body = json!({ "upstream": upstream, "server": server, name: value });
        ("PATCH", "/v1/servers".to_owned(), Some(body))
    };
    let (method, path) = match command {
        Command::Listeners => ("GET", "/v1/listeners".to_owned()),
        Command::Routes => ("GET", "/v1/routes".to_owned()),
        Command::Upstreams => ("GET", "/v1/upstreams".to_owned()),
        Command::Servers { upstream: None } => ("GET", "/v1/servers".to_owned()),
        Command::Servers { upstream: Some(name) } => {
            ("GET", format!("/v1/servers?upstream={}", escaped(name)))
        }
        Command::Set { server, state } => return set(server, "state", json!(state)),
        Command::Weight { server, weight } => return set(server, "weight", json!(weight)),
        Command::Maintenance { route, state } => {
            let change = json!({ "route": route, "maintenance": state });
            return ("PATCH", "/v1/routes".to_owned(), Some(change));
        }
        Command::Counters => ("GET", "/v1/counters".to_owned()),
        Command::Reset => ("POST", "/v1/counters/reset".to_owned()),
        Command::Reload => ("POST", "/v1/reload".to_owned()),
    };
    (method, path, None)
}

/// For a query: what is no letter or digit as %XX (RFC 3986, section 2.1).
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// An answer for people.
fn shown(command: &Command, value: &Value) -> String {
    match command {
        Command::Listeners => table::listeners(value),
        Command::Routes | Command::Maintenance { .. } => table::routes(value),
        Command::Upstreams => table::upstreams(value),
        Command::Servers { .. } => table::servers(value),
        Command::Set { .. } | Command::Weight { .. } => {
            table::servers(&json!({"servers": [value]}))
        }
        Command::Counters | Command::Reset => table::counters(value),
        Command::Reload => table::changes(value),
    }
}

/// What the proxy said against it: each error of a file as `corelane check` prints it.
fn complain_of(answer: &Answer) {
    match answer.value["errors"].as_array() {
        Some(errors) => {
            let mut stderr = io::stderr().lock();
            for error in errors {
                let _ = writeln!(stderr, "{}", error.as_str().unwrap_or_default());
            }
            let plural = if errors.len() == 1 { "" } else { "s" };
            let count = errors.len();
            drop(stderr);
            complain(&format!(
                "reload refused: {count} error{plural}; the configuration in force stays"
            ));
        }
        None => complain(answer.value["error"].as_str().unwrap_or("it was refused without a word")),
    }
}

pub(super) fn complain(sentence: &str) {
    // A closed reader is no reason to fail.
    let _ = writeln!(io::stderr(), "corelane: {sentence}");
}

fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{}", text.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_by_upstream_and_address() {
        let place = read_place("app/unix:/run/app.sock").expect("a place");
        assert_eq!((place.upstream.as_str(), place.server.as_str()), ("app", "unix:/run/app.sock"));
        for text in ["", "app", "app/", "/10.0.0.1:80"] {
            assert!(read_place(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_escaped_in_queries() {
        assert_eq!(escaped("app-1.x_Y"), "app-1.x_Y");
        assert_eq!(escaped("a b&c=é"), "a%20b%26c%3D%C3%A9");
    }
}
