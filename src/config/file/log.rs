//! `[log]` and `[tracing]` as written.

use crate::config::complaint::suggest;
use crate::config::fields::{Field, Fields};
use crate::plan::{Created, TracingPlan};

const LEVELS: [(&str, &str); 5] = [
    ("error", "error"),
    ("warn", "warn"),
    ("info", "info"),
    ("debug", "debug"),
    ("trace", "trace"),
];

/// The rooms, and the modules in them that log something. A test holds this to be true.
const MODULES: [&str; 39] = [
    "balance",
    "cli",
    "cli::logging",
    "cli::run",
    "config",
    "control",
    "control::access_log",
    "control::admin",
    "control::discovery",
    "control::health",
    "control::maintenance",
    "control::observe",
    "control::privileges",
    "control::recent",
    "control::reload",
    "control::service",
    "control::signals",
    "control::sockets",
    "control::steering",
    "control::supervisor",
    "control::upgrade",
    "guard",
    "http1",
    "nginx",
    "plan",
    "proxy",
    "proxy::course",
    "proxy::entrance",
    "proxy::journal",
    "proxy::reply",
    "ring",
    "route",
    "shard",
    "shard::herald",
    "shard::listeners",
    "shard::shard",
    "telemetry",
    "transport",
    "upstream",
];

/// `[log]`.
#[derive(Debug, Default)]
pub(in crate::config) struct LogTable {
    pub level: Option<&'static str>,
    /// Modules and their levels.
    pub levels: Vec<(&'static str, &'static str)>,
}

impl LogTable {
    pub(super) fn read(mut fields: Fields<'_>) -> LogTable {
        let level = |field: Field<'_>| field.one_of(&LEVELS);
        let levels = fields.get("levels").and_then(|field| field.table("`levels` of [log]"));
        let table = LogTable {
            level: fields.get("level").and_then(level),
            levels: levels.map(read_levels).unwrap_or_default(),
        };
        fields.finish();
        table
    }
}

fn read_levels(fields: Fields<'_>) -> Vec<(&'static str, &'static str)> {
    let mut levels = Vec::new();
    for (name, field) in fields.entries() {
        let Some(module) = MODULES.iter().find(|module| **module == name.value) else {
            let what = format!("there is no module `{}`", name.value);
            let remedy = suggest(name.value, MODULES, "there are");
            fields.complain_at(name.spot, what, remedy);
            continue;
        };
        if let Some(level) = field.one_of(&LEVELS) {
            levels.push((*module, level));
        }
    }
    levels
}

/// `[tracing]`.
pub(super) fn read_tracing(mut fields: Fields<'_>) -> TracingPlan {
    let create = fields.get("create").and_then(Field::flag).unwrap_or(false);
    let sampled = fields.get("sampled").and_then(Field::flag);
    if sampled.is_some() && !create {
        fields.complain("`sampled` has no effect without `create`", "set create = true");
    }
    fields.finish();
    let sampled = sampled.unwrap_or(true);
    TracingPlan { create: create.then_some(Created { sampled }) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Adds the modules below `folder` in which something is logged, one in a room at most.
    fn collect(folder: &Path, modules: &[String], found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let inside = |name: String| [modules, &[name]].concat();
            if path.is_dir() {
                collect(&path, &inside(stem), found);
                continue;
            }
            let own = match stem.as_str() {
                "mod" | "lib" | "main" => modules.to_vec(),
                _ => inside(stem),
            };
            let levels = ["error!", "warn!", "info!", "debug!", "trace!"];
            let text = fs::read_to_string(&path).unwrap();
            if levels.iter().any(|level| text.contains(&format!("tracing::{level}("))) {
                found.insert(own[..own.len().min(2)].join("::"));
            }
        }
    }

    #[test]
    fn the_modules_are_those_that_log() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
        let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap());
        let rooms = entries.filter(|entry| entry.path().is_dir());
        let rooms = rooms.map(|room| room.file_name().into_string().unwrap());
        let mut found: BTreeSet<String> = rooms.collect();
        collect(root, &[], &mut found);
        assert_eq!(MODULES.to_vec(), found.iter().map(String::as_str).collect::<Vec<_>>());
    }
}
