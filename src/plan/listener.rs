//! Where clients connect.

use std::fmt;
use std::net::{AddrParseError, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

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

/// As it is displayed.
impl FromStr for Address {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Address, AddrParseError> {
        match text.strip_prefix("unix:") {
            Some(path) => Ok(Address::Unix(PathBuf::from(path))),
            None => text.parse().map(Address::Ip),
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
    /// What routes call it.
    pub name: Option<String>,
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
    /// Whether they do so in X-Forwarded-For and Forwarded, and not only in PROXY headers.
    pub forwarded_for: bool,
    /// Whose requests are answered; others get 403. `None`: everybody's.
    pub access: Option<Access>,
}

impl ListenerPlan {
    /// The length of the accept queue, where nothing else is said.
    pub const BACKLOG: u32 = 4096;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in ["127.0.0.1:80", "[::1]:8080", "unix:/run/corelane.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert!("localhost:80".parse::<Address>().is_err());
    }
}
