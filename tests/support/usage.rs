//! What a proxy holds, and what of it should not be there any more.

use std::collections::BTreeMap;

/// A report's gauges, and open files.
#[derive(Clone, Debug)]
pub struct Usage {
    gauges: BTreeMap<String, u64>,
    /// Ends of pipes, the standard streams among them.
    pipe_ends: u64,
    /// Everything else: sockets, rings, eventfds.
    files: u64,
}

/// What must be nothing when no client is there.
const BUSY: [&str; 7] = [
    "client connections open",
    "requests in progress",
    "requests waiting for a server",
    "requests being tried again",
    "requests at servers",
    "receive buffers in use",
    "pipes in use",
];
const IDLE: &str = "idle connections to servers";
const PIPES: &str = "pipes open";
const OPERATIONS: &str = "ring operations in flight";

impl Usage {
    /// From the lines of a report, and what /proc shows of open files.
    pub fn new(report: &[String], files: &[String]) -> Usage {
        let entry = |line: &String| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        let gauges = report.iter().filter_map(entry).collect();
        let pipe_ends = files.iter().filter(|file| file.starts_with("pipe:")).count() as u64;
        Usage { gauges, pipe_ends, files: files.len() as u64 - pipe_ends }
    }

    /// What the report says of `name`.
    #[track_caller]
    pub fn of(&self, name: &str) -> u64 {
        *self.gauges.get(name).unwrap_or_else(|| panic!("the report does not tell {name:?}"))
    }

    /// What is left over: nothing should be held beyond what was `before`, but for `idle`
    /// connections in the pools, exactly so many, each with a socket and a receive.
    pub fn excess(&self, before: &Usage, idle: u64) -> Vec<String> {
        let mut excess = Vec::new();
        let mut expect = |what: &str, found: u64, right: bool| {
            if !right {
                excess.push(format!("{what}: {found}"));
            }
        };
        for name in BUSY {
            expect(name, self.of(name), self.of(name) == 0);
        }
        expect(IDLE, self.of(IDLE), self.of(IDLE) == idle);
        let files = before.files + idle;
        expect(&format!("files where {files} should be"), self.files, self.files == files);
        let ends = before.pipe_ends + 2 * (self.of(PIPES) - before.of(PIPES));
        expect("ends of pipes", self.pipe_ends, self.pipe_ends == ends);
        let operations = before.of(OPERATIONS) + idle;
        expect(OPERATIONS, self.of(OPERATIONS), self.of(OPERATIONS) <= operations);
        excess
    }
}
