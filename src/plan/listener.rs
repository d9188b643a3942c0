//! Where clients connect.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::TrustedProxies;
use crate::guard::Access;

/// A listening address, or the address of a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// One `[[listener]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerPlan {
    /// The address to bind.
    pub address: Address,
    /// Length of the accept queue of each shard's socket (listen(2)), connections.
    pub backlog: u32,
    /// Whether each connection begins with a PROXY header, which only trusted proxies may send.
    pub proxy_protocol: bool,
    /// Who speaks for clients here.
    pub trusted_proxies: TrustedProxies,
    /// Whose requests are answered; others get 403. `None`: everybody's.
    pub access: Option<Access>,
}
