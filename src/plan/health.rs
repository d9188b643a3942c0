//! When a server counts as down, and when as up again.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What an operator wants of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerState {
    /// It takes requests.
    #[default]
    Up,
    /// It takes no new requests; those that it has go on, and its checks too.
    Drain,
    /// It is left alone: no new requests, no new connections, no checks.
    Down,
}

impl ServerState {
    /// Every state, in the order of the documentation.
    pub const ALL: [ServerState; 3] = [ServerState::Up, ServerState::Drain, ServerState::Down];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            ServerState::Up => "up",
            ServerState::Drain => "drain",
            ServerState::Down => "down",
        }
    }
}

impl fmt::Display for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What ordinary requests tell about a server: `[upstream.passive]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassivePlan {
    /// So many failures, in one shard, within [`PassivePlan::window`] eject a server; at least 1.
    pub failures: u32,
    /// How long a failure counts.
    pub window: Duration,
    /// How long a server is ejected for the first time.
    pub ejection: Duration,
    /// The longest ejection, to which doubling leads; at least [`PassivePlan::ejection`].
    pub max_ejection: Duration,
    /// A refused connection ejects at once, whatever the count.
    pub eject_refused: bool,
}

impl Default for PassivePlan {
    fn default() -> Self {
        PassivePlan {
            failures: 3,
            window: Duration::from_secs(10),
            ejection: Duration::from_secs(10),
            max_ejection: Duration::from_secs(60),
            eject_refused: true,
        }
    }
}

/// Active checks: `[upstream.health]`. One checker serves the whole process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckPlan {
    /// What is asked of a server.
    pub kind: CheckKind,
    /// From the beginning of one check to that of the next.
    pub interval: Duration,
    /// How much longer or shorter an interval may be by chance, percent; below 100.
    pub jitter_percent: u32,
    /// A check that takes longer has failed; at most [`CheckPlan::interval`].
    pub timeout: Duration,
    /// So many successes in a row bring a server back; at least 1.
    pub rise: u32,
    /// So many failures in a row take it out; at least 1.
    pub fall: u32,
}

/// What a check asks of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// That it accepts a connection.
    Tcp,
    /// That it answers a request as expected.
    Http(HttpCheck),
}

/// A request and what its answer must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    /// A method without a body.
    pub method: &'static str,
    /// The target in origin form.
    pub path: String,
    /// The `Host`; `None`: the server's address as configured.
    pub host: Option<String>,
    /// The answer's status is in one of these.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// The beginning of the answer's body (64 KiB) has this somewhere in it.
    pub body: Option<String>,
}

impl HttpCheck {
    /// The methods that a check may have; the first is the default.
    pub const METHODS: [&'static str; 3] = ["GET", "HEAD", "OPTIONS"];
}
