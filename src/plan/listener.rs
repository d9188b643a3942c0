//! Where clients connect.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::TrustedProxies;
use crate::guard::Access;

/// A listening address, or the address of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// IPv4 or IPv6 with a port; port 0 asks the kernel for a free one.
    Ip(SocketAddr),
    /// A Unix stream socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => write!(f, "{address}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Which shard serves a new connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Steering {
    /// The one that the kernel's hash of its addresses falls on (SO_REUSEPORT, socket(7)).
    #[default]
    Hash,
    /// The one whose CPU its packets come to.
    Cpu,
    /// The one that the kernel chose, or the least loaded where that has many more.
    Balance,
}

/// One `[[listener]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerPlan {
    /// The address to bind.
    pub address: Address,
    /// Length of the accept queue of each shard's socket (listen(2)), connections.
    pub backlog: u32,
    /// Which shard serves whom.
    pub steering: Steering,
    /// Whether each connection begins with a PROXY header, which only trusted proxies may send.
    pub proxy_protocol: bool,
    /// Who speaks for clients here.
    pub trusted_proxies: TrustedProxies,
    /// Whose requests are answered; others get 403. `None`: everybody's.
    pub access: Option<Access>,
}
