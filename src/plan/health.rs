//! When a server counts as down, and when as up again.

use std::fmt;
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
