//! Whose word about a client is taken.

use std::net::IpAddr;

use crate::guard::Network;

/// Peers that say truly for whom they speak: proxies and load balancers of one's own. Empty:
/// nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    /// Their addresses.
    pub networks: Vec<Network>,
    /// Whoever connects to a Unix socket.
    pub unix: bool,
}

impl TrustedProxies {
    /// Whether this peer is one; `None`: it came over a Unix socket.
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            Some(address) => self.has(address),
            None => self.unix,
        }
    }

    /// Whether this address, which is not IPv4 in the form of IPv6, is in one of the networks.
    pub fn has(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_unix_sockets() {
        let networks = ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"];
        let networks = networks.map(|text| Network::parse(text).unwrap()).to_vec();
        let proxies = TrustedProxies { networks, unix: false };
        for (peer, trusted) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
            ("::", false),
        ] {
            assert_eq!(proxies.trusts(Some(peer.parse().unwrap())), trusted, "{peer}");
        }
        assert!(!proxies.trusts(None));
        assert!(TrustedProxies { networks: Vec::new(), unix: true }.trusts(None));
        assert!(!TrustedProxies::default().trusts(Some([127, 0, 0, 1].into())));
    }
}
