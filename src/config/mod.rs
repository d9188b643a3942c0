//! File to checks to plan.
//!
//! A configuration passes through three shapes: the TOML text, the tables as someone wrote them
//! ([`mod@file`], every value with its place in the text), and the [`Plan`] that shards run. It is
//! accepted whole or refused whole, with every complaint at once: reading an entry that is wrong
//! complains and goes on, and a plan is only made when nobody complained.

mod address;
mod check;
mod compile;
mod complaint;
mod content_files;
mod edits;
mod fields;
mod file;
mod from_nginx;
mod include;
mod names;
mod quantity;
mod servers_file;
mod source;
mod syntax;
mod texts;
mod written;

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

pub use complaint::Complaint;
pub use from_nginx::translated;
pub use servers_file::servers_from_text;
pub use written::{Written, WrittenFile};

use crate::plan::{AdminPlan, Plan};
use complaint::Complaints;
use file::File;
use source::{Sources, Spot};

/// A configuration that was accepted.
#[derive(Debug)]
pub struct Loaded {
    /// What shards run.
    pub plan: Plan,
    /// One line for people: `1 listener, 2 upstreams (5 servers), 3 routes, 2 shards`.
    pub summary: String,
    /// `[log]`.
    pub log: LogSettings,
    /// The files it was read from, as they may be shown.
    pub written: Written,
    /// What is allowed but hardly meant, such as an upstream that no route uses.
    pub warnings: Vec<Complaint>,
    /// Of an nginx.conf: what is not needed, or differs without harm, and why.
    pub notes: Vec<Complaint>,
}

/// Where a configuration is read from, at a start and at each reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file of our own.
    Toml(PathBuf),
    /// An nginx.conf.
    Nginx(PathBuf),
}

impl Origin {
    /// The main file.
    pub fn path(&self) -> &Path {
        match self {
            Origin::Toml(path) | Origin::Nginx(path) => path,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path().display())
    }
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Messages less important than this are left out: `error`, `warn`, `info`, `debug` or
    /// `trace`.
    pub level: &'static str,
    /// Modules for which something else holds, such as `control::health`, and that.
    pub levels: Vec<(&'static str, &'static str)>,
}

/// What a configuration may ask of the machine it runs on.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// The CPUs this process may use, in the order in which shards take them.
    pub cpus: Vec<usize>,
    /// The share that its control group grants (`cpu.max`), in CPUs; `None`: no limit.
    pub cpu_quota: Option<f64>,
}

impl Machine {
    /// The CPUs of the shards that `shards = "auto"` gives.
    ///
    /// A shard that gets only part of a CPU delays every request it holds, so a quota is not
    /// rounded up beyond what it needs: 1.5 CPUs still keep two shards busy.
    pub fn auto(&self) -> Vec<usize> {
        let count = match self.cpu_quota {
            Some(quota) if quota.is_finite() => (quota.ceil() as usize).max(1),
            _ => usize::MAX,
        };
        self.cpus.iter().copied().take(count).collect()
    }
}

/// Reads a configuration file and the files it includes.
pub fn load(origin: &Origin, machine: &Machine) -> Result<Loaded, Vec<Complaint>> {
    let path = match origin {
        Origin::Toml(path) => path,
        Origin::Nginx(path) => return from_nginx::load(path, machine),
    };
    let name = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => from_text(&text, &name, machine),
        Err(error) => Err(vec![unreadable(&name, &error)]),
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> Complaint {
    Complaint {
        file: name.to_owned(),
        line: 0,
        column: 0,
        what: format!("the file cannot be read: {error}"),
        remedy: "check its path and permissions".to_owned(),
    }
}

/// Reads a configuration from `text`. `name` stands for the file in complaints, and paths to
/// include are relative to its folder.
pub fn from_text(text: &str, name: &str, machine: &Machine) -> Result<Loaded, Vec<Complaint>> {
    let mut sources = Sources::default();
    let complaints = Complaints::default();
    let mut file = read(text, name, &mut sources, &complaints);
    let read_so_far = sources.len();
    servers_file::read_all(&mut file, &mut sources, &complaints);
    check::find_folders(&mut file, &sources);
    content_files::read_all(&mut file, &mut sources, &complaints);
    if let Some(admin) = &mut file.admin {
        check::read_token(admin, folder_of(name), &complaints);
    }
    // With a broken piece of syntax the rest of that file is unread: whatever else the checks
    // found missing might stand there.
    if !complaints.has_syntax_errors() {
        check::all(&file, machine, &complaints);
    }
    if !complaints.is_empty() {
        return Err(complaints.into_errors(&sources));
    }
    let plan = compile::plan(&file, machine, folder_of(name), &complaints.names);
    Ok(Loaded {
        summary: compile::summary(&plan),
        plan,
        log: LogSettings { level: file.log.level.unwrap_or("info"), levels: file.log.levels },
        written: sources.written(read_so_far),
        warnings: complaints.into_warnings(&sources),
        notes: Vec::new(),
    })
}

/// What a file says of `[admin]`, also when it has mistakes elsewhere: a running proxy can be asked
/// although its file is being edited. `None`: nothing. The token's file is only read if, going by
/// the rest, whoever asks `needs_token`.
///
/// # Errors
/// What is wrong with `[admin]`, or why there may be none.
pub fn admin(
    path: &Path,
    needs_token: impl Fn(&AdminPlan) -> bool,
) -> Result<Option<AdminPlan>, Vec<Complaint>> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| vec![unreadable(&name, &error)])?;
    let (mut sources, complaints) = (Sources::default(), Complaints::default());
    let number = sources.add(name.clone(), text);
    let mut admin = File::parse_admin(sources.text(number), number, &complaints);
    if let Some(admin) = &mut admin
        && admin.plan().is_some_and(|plan| needs_token(&plan))
    {
        check::read_token(admin, folder_of(&name), &complaints);
    }
    match complaints.is_empty() {
        true => Ok(admin.and_then(|admin| admin.plan())),
        false => Err(complaints.into_errors(&sources)),
    }
}

/// What the paths in a file are relative to.
fn folder_of(name: &str) -> &Path {
    Path::new(name).parent().unwrap_or(Path::new(""))
}

/// The main file and all that it includes, as one.
fn read(text: &str, name: &str, sources: &mut Sources, complaints: &Complaints) -> File {
    let main = sources.add(name.to_owned(), text.to_owned());
    let mut file = File::parse(sources.text(main), main, file::Role::Main, complaints);
    let found = include::expand(Path::new(name), &file.include, complaints);
    for (path, asked_at) in found {
        match fs::read_to_string(&path) {
            Ok(text) => {
                let index = sources.add(path.display().to_string(), text);
                let role = file::Role::Included;
                file.absorb(File::parse(sources.text(index), index, role, complaints));
            }
            Err(error) => complain_unreadable(complaints, asked_at, &path, &error),
        }
    }
    file
}

fn complain_unreadable(complaints: &Complaints, spot: Spot, path: &Path, error: &std::io::Error) {
    let what = format!("`{}` cannot be read: {error}", path.display());
    complaints.error(spot, what, "check its path and permissions");
}
