//! nginx.conf, read as nginx reads it and written as Corelane's TOML.
//!
//! The text that comes out is read like any other configuration: what it may say is `config`'s
//! affair. All complaints about nginx.conf are made here, each with its place: words come from
//! `lexer`, blocks and includes from `tree`, what may stand where from `check` and the tables in
//! `directive`. What is left is translated server by server and location by location.

mod access;
mod branch;
mod check;
mod complaint;
mod directive;
mod fields;
mod globals;
mod include;
mod lexer;
mod listen;
mod location;
mod logs;
mod pages;
mod pattern;
mod quantity;
mod rates;
mod real_ip;
mod route;
mod scope;
mod server;
mod steps;
mod target;
mod texts;
mod toml;
mod tree;
mod upstream;
mod values;
mod work;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

pub use complaint::Complaint;
pub use fields::OWN_FIELDS;
pub use include::{is_pattern, matching};

use complaint::Complaints;
use directive::{Fate, H, M};
use rates::Rates;
use scope::Scope;
use server::Servers;
use texts::Names;
use toml::Table;
use tree::Directive;
use upstream::Upstreams;
use work::Work;

/// What a translation depends on besides the files.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Whether ports below 1024 may be opened: without `listen`, nginx takes 80 then, else 8000.
    pub privileged: bool,
    /// The folder of the main file, which includes and password files are relative to.
    pub folder: PathBuf,
    /// nginx's prefix, which roots and logs are relative to.
    pub prefix: PathBuf,
}

/// Debian's prefix.
const PREFIX: &str = "/usr/share/nginx";

impl Surroundings {
    /// Of this process, for this main file.
    pub fn of(main: &Path) -> Surroundings {
        Surroundings {
            privileged: rustix::process::geteuid().is_root(),
            folder: absolute(main.parent().unwrap_or(Path::new(""))),
            prefix: PathBuf::from(PREFIX),
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// An nginx.conf that was accepted.
#[derive(Clone, Debug)]
pub struct Translation {
    /// The same as TOML.
    pub text: String,
    /// What is not needed or differs without harm, and why.
    pub notes: Vec<Complaint>,
}

/// Reads an nginx.conf and all that it includes.
///
/// # Errors
/// Every complaint, in the order of the text.
pub fn translate(main: &Path, surroundings: &Surroundings) -> Result<Translation, Vec<Complaint>> {
    let complaints = Complaints::default();
    let (directives, files) = tree::read(main, &complaints);
    let broken = !complaints.is_empty();
    let is_site = is_site(&directives);
    let context = if is_site { H } else { M };
    check::all(&directives, context, &complaints);
    values::all(&directives, &complaints);
    let http = directives.iter().find(|directive| directive.is("http"));
    let block = match http {
        Some(http) => http.children(),
        None if is_site => &directives,
        None => &[],
    };
    // With a broken piece of syntax the rest is unread: what is missing might stand there.
    if broken {
        return Err(complaints.errors(&files));
    }
    let Some(first) = directives.first() else {
        let what = "there is nothing in it";
        complaints.error(tree::Place::default(), what, "write `http { server { … } }`");
        return Err(complaints.errors(&files));
    };
    if http.is_none() && !is_site {
        let what = "there is no `http` block";
        complaints.error(first.place(), what, "write `http { server { … } }`");
        return Err(complaints.errors(&files));
    }
    if is_site {
        let what = "this is read as if it stood in `http { … }`";
        complaints.note(first.place(), what, "nginx wants the file that includes it");
    }
    let mut work = Work {
        surroundings,
        files: &files,
        complaints: &complaints,
        names: Names::of(&directives),
        upstreams: Upstreams::of(block, &complaints),
        rates: Rates::default(),
        logs: Vec::new(),
        http: Scope::default().inside(block),
    };
    let mut rates = Rates::default();
    rates.read(block, &work);
    work.rates = rates;
    let servers = Servers::read(&work);
    let said = servers.logs(&work);
    work.logs = logs::targets(&said);
    let tables = tables(&directives, (&servers, &said), &work);
    match complaints.is_empty() {
        false => Err(complaints.errors(&files)),
        true => {
            let notes = complaints.notes(&files);
            Ok(Translation { text: written(main, &tables, &notes), notes })
        }
    }
}

/// Whether a file holds what belongs into `http`, as the files of sites do.
fn is_site(directives: &[Directive]) -> bool {
    let is_main = |directive: &Directive| {
        let known = directive::named(&directive.name.text);
        known.is_some_and(|known| known.contexts & M != 0 && known.contexts & H == 0)
    };
    directives.iter().any(|directive| directive.is("server") || directive.is("upstream"))
        && !directives.iter().any(is_main)
}

/// Whether a directive is translated at all, and not complained of or told of already.
fn is_honoured(name: &str) -> bool {
    directive::named(name).is_some_and(|known| known.fate == Fate::Honoured)
}

fn tables<'t>(
    directives: &[Directive],
    (servers, logs): (&Servers<'t>, &[&Directive]),
    work: &Work<'t>,
) -> Vec<Table> {
    let routes = servers.routes(work);
    let main = if work.http.block().as_ptr() == directives.as_ptr() { &[][..] } else { directives };
    let scopes = servers.scopes();
    let real_ip = real_ip::read(&scopes, work);
    rates::same_for_all(&scopes, work);
    let mut tables = globals::tables(main, &scopes, &real_ip, work);
    tables.extend(logs::table(logs, work));
    tables.extend(server::port_map(&routes));
    let maps = work.http.own("map");
    tables.extend(maps.filter_map(|map| logs::map(map, work)));
    tables.extend(servers.listeners(&real_ip, work));
    tables.extend(work.upstreams.tables(work));
    tables.extend(work.rates.tables(work));
    tables.extend(routes);
    tables
}

fn written(main: &Path, tables: &[Table], notes: &[Complaint]) -> String {
    let mut text =
        toml::comment(&format!("What {} says, as Corelane's own configuration.", main.display()));
    let from = "Above each table stands where it comes from; config.toml explains every setting.";
    text.push_str(&toml::comment(from));
    if !notes.is_empty() {
        text.push_str("#\n# Not needed, or different without harm:\n");
    }
    for Complaint { file, line, what, remedy, .. } in notes {
        text.push_str(&toml::comment(&format!("  {file}:{line}: {what}: {remedy}")));
    }
    text.push('\n');
    for table in tables.iter().filter(|table| !table.is_empty()) {
        let _ = write!(text, "{table}");
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}
