//! The servers of an upstream as configured, and what becomes of them once their addresses are
//! known: each address is a server of its own.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;

use super::{Address, PassivePlan, ServerId, ServerPlan, ServerState};

/// The largest weight of a server.
pub const WEIGHT_MAX: u32 = 1_000_000;

/// One entry of `servers`, in the configuration or in a servers file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where its servers listen.
    pub address: ServerAddress,
    /// The share of each of its servers relative to others; from 1 to [`WEIGHT_MAX`]. The weight of
    /// an SRV record is multiplied by it.
    pub weight: u32,
    /// Used only when no other server can be.
    pub backup: bool,
    /// Most requests at once at each of its servers, over all shards; `None`: no limit.
    pub max_connections: Option<u32>,
    /// Whether its servers take requests.
    pub state: ServerState,
    /// What requests tell about them; `None`: as for its upstream.
    pub passive: Option<PassivePlan>,
}

/// A server's address as configured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerAddress {
    /// Known from the start.
    Fixed(Address),
    /// A name to look up (A and AAAA records); none of its servers is there until it is known.
    Name {
        /// The host name, in lower case.
        host: String,
        /// The port.
        port: u16,
    },
    /// A name whose SRV records (RFC 2782) name hosts, ports, priorities and weights.
    Service(String),
}

impl ServerAddress {
    /// What its `Display` wrote.
    pub fn read(text: &str) -> Option<ServerAddress> {
        if let Some(name) = text.strip_prefix("srv:") {
            return Some(ServerAddress::Service(name.to_owned()));
        }
        if let Ok(address) = text.parse() {
            return Some(ServerAddress::Fixed(address));
        }
        let (host, port) = text.rsplit_once(':')?;
        Some(ServerAddress::Name { host: host.to_owned(), port: port.parse().ok()? })
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerAddress::Fixed(address) => write!(f, "{address}"),
            ServerAddress::Name { host, port } => write!(f, "{host}:{port}"),
            ServerAddress::Service(name) => write!(f, "srv:{name}"),
        }
    }
}

/// A server that a name stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Whether other servers of the name are to be preferred: those of a better SRV priority.
    pub backup: bool,
    /// Where it listens.
    pub address: SocketAddr,
    /// The host and port that were looked up, as a client would write them in `Host`.
    pub host: String,
    /// The weight of an SRV record, at least 1; 1 for others.
    pub weight: u32,
}

/// The servers of these members, in their order; those of one name in the order in which they were
/// found. An address that several members have is one server, as the first of them says.
pub fn servers<'m, 'f>(
    members: impl IntoIterator<Item = &'m Member>,
    found: impl Fn(&ServerAddress) -> &'f [Found],
) -> Vec<ServerPlan> {
    let mut servers: Vec<ServerPlan> = Vec::new();
    for member in members {
        match &member.address {
            ServerAddress::Fixed(address) => {
                servers.push(member.server(address.clone(), address.to_string(), 1, false));
            }
            name => servers.extend(found(name).iter().map(|found| {
                let address = Address::Ip(found.address);
                member.server(address, found.host.clone(), found.weight, found.backup)
            })),
        }
    }
    let mut seen = HashSet::new();
    servers.retain(|server| seen.insert(server.address.clone()));
    servers
}

impl Member {
    fn server(&self, address: Address, host: String, weight: u32, backup: bool) -> ServerPlan {
        ServerPlan {
            id: ServerId(0),
            address,
            host,
            weight: self.weight.saturating_mul(weight).clamp(1, WEIGHT_MAX),
            backup: self.backup || backup,
            max_connections: self.max_connections,
            state: self.state,
            passive: self.passive.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(address: ServerAddress) -> Member {
        let state = ServerState::Up;
        Member { address, weight: 1, backup: false, max_connections: None, state, passive: None }
    }

    fn fixed(address: &str) -> ServerAddress {
        ServerAddress::Fixed(Address::Ip(address.parse().unwrap()))
    }

    fn named(host: &str) -> ServerAddress {
        ServerAddress::Name { host: host.to_owned(), port: 80 }
    }

    fn found(address: &str, weight: u32, backup: bool) -> Found {
        Found { address: address.parse().unwrap(), host: "h:80".to_owned(), weight, backup }
    }

    #[test]
    fn addresses_are_read_as_they_are_shown() {
        for text in
            ["192.0.2.1:80", "[2001:db8::1]:80", "unix:/a b", "app.test:80", "srv:_x._tcp.y"]
        {
            let address = ServerAddress::read(text).expect(text);
            assert_eq!(address.to_string(), text);
            let has_name = !matches!(address, ServerAddress::Fixed(_));
            assert_eq!(has_name, text.contains("app") || text.contains("srv"), "{text}");
        }
        for text in ["", "app.test", "app.test:http"] {
            assert_eq!(ServerAddress::read(text), None, "{text}");
        }
    }

    #[test]
    fn each_address_is_a_server_with_all_that_its_entry_says() {
        let mut name = member(named("a"));
        (name.weight, name.max_connections, name.state) = (3, Some(7), ServerState::Drain);
        let both = [found("192.0.2.1:80", 1, false), found("[2001:db8::1]:80", 2, true)];
        let servers = servers(&[member(fixed("192.0.2.9:1")), name], |_| &both);
        let shown: Vec<_> = servers
            .iter()
            .map(|s| (s.address.to_string(), &s.host[..], s.weight, s.backup, s.max_connections))
            .collect();
        assert_eq!(
            shown,
            [
                ("192.0.2.9:1".to_owned(), "192.0.2.9:1", 1, false, None),
                ("192.0.2.1:80".to_owned(), "h:80", 3, false, Some(7)),
                ("[2001:db8::1]:80".to_owned(), "h:80", 6, true, Some(7)),
            ]
        );
        assert_eq!(servers[2].state, ServerState::Drain);
    }

    #[test]
    fn an_address_is_one_server_and_a_name_without_any_is_none() {
        let mut first = member(fixed("192.0.2.1:80"));
        first.weight = 5;
        let again = [found("192.0.2.1:80", 1, false)];
        let members = [first, member(named("a")), member(named("nowhere"))];
        let servers = servers(&members, |name| if *name == named("a") { &again } else { &[] });
        assert_eq!(servers.len(), 1);
        assert_eq!(servers[0].weight, 5);
    }

    #[test]
    fn weights_stay_within_what_balancers_count_with() {
        let mut heavy = member(named("a"));
        heavy.weight = WEIGHT_MAX;
        let most = [found("192.0.2.1:80", 65_535, false)];
        assert_eq!(servers(&[heavy], |_| &most)[0].weight, WEIGHT_MAX);
    }
}
