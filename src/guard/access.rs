//! Who may come in: networks that are allowed and networks that are denied.
//!
//! The longest network that contains an address decides. Who is in none may come in, unless some
//! are allowed expressly: then only they may. So the order of the lists means nothing, and "this
//! network, but for that part of it" is said by naming both.

use std::net::IpAddr;

use super::network::{Network, bits};

/// Where somebody comes from, as it is written in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// From a network.
    Network(Network),
    /// Through a Unix socket: without an address.
    Unix,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Network(network) => network.fmt(f),
            Source::Unix => f.write_str("unix"),
        }
    }
}

/// Both lists, ready to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    v4: Steps,
    v6: Steps,
    unix: bool,
}

/// What holds from each of these addresses to the next: the nested networks, laid flat.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Steps(Vec<(u128, bool)>);

impl Access {
    /// Lets in who is in `allow` and keeps out who is in `deny`; no source is in both.
    pub fn new(allow: &[Source], deny: &[Source]) -> Access {
        let otherwise = allow.is_empty();
        let all = || {
            let allowed = allow.iter().map(|source| (source, true));
            allowed.chain(deny.iter().map(|source| (source, false)))
        };
        let of_family = |v4: bool| {
            let networks = all().filter_map(|(source, verdict)| match source {
                Source::Network(network) if network.is_ipv4() == v4 => Some((*network, verdict)),
                _ => None,
            });
            Steps::new(networks.collect(), otherwise)
        };
        let unix = all().find(|(source, _)| **source == Source::Unix);
        let unix = unix.map_or(otherwise, |(_, verdict)| verdict);
        Access { v4: of_family(true), v6: of_family(false), unix }
    }

    /// Whether who has this address may come in; `None`: who came through a Unix socket.
    pub fn allows(&self, address: Option<IpAddr>) -> bool {
        match address {
            None => self.unix,
            Some(address @ IpAddr::V4(_)) => self.v4.at(bits(address)),
            Some(address @ IpAddr::V6(_)) => self.v6.at(bits(address)),
        }
    }
}

impl Steps {
    fn new(mut networks: Vec<(Network, bool)>, otherwise: bool) -> Steps {
        sort_outer_first(&mut networks, |(network, _)| *network);
        let mut steps = Steps(vec![(0, otherwise)]);
        let mut open: Vec<(Network, bool)> = Vec::new();
        for (network, verdict) in networks {
            steps.close_until(&mut open, Some(network.first_bits()), otherwise);
            steps.begin(network.first_bits(), verdict);
            open.push((network, verdict));
        }
        steps.close_until(&mut open, None, otherwise);
        steps
    }

    /// Ends the open networks that end before `next`: behind each, what is around it holds again.
    fn close_until(
        &mut self,
        open: &mut Vec<(Network, bool)>,
        next: Option<u128>,
        otherwise: bool,
    ) {
        while let Some((inner, _)) = open.last() {
            let last = inner.last_bits();
            if next.is_some_and(|next| last >= next) {
                break;
            }
            open.pop();
            if let Some(behind) = last.checked_add(1) {
                self.begin(behind, open.last().map_or(otherwise, |(_, verdict)| *verdict));
            }
        }
    }

    fn begin(&mut self, at: u128, verdict: bool) {
        if self.0.last().is_some_and(|(last, _)| *last == at) {
            self.0.pop();
        }
        if self.0.last().is_none_or(|(_, last)| *last != verdict) {
            self.0.push((at, verdict));
        }
    }

    fn at(&self, address: u128) -> bool {
        let behind = self.0.partition_point(|(first, _)| *first <= address);
        // The first step begins at 0.
        self.0[behind - 1].1
    }
}

/// For each network the smallest other one around it, by index; equal ones are not around each
/// other.
pub fn parents(networks: &[Network]) -> Vec<Option<usize>> {
    let mut order: Vec<usize> = (0..networks.len()).collect();
    sort_outer_first(&mut order, |index| networks[*index]);
    let mut parents = vec![None; networks.len()];
    let mut open: Vec<usize> = Vec::new();
    for index in order {
        let network = &networks[index];
        let is_around = |outer: &Network| {
            outer.is_ipv4() == network.is_ipv4()
                && outer.last_bits() >= network.last_bits()
                && outer != network
        };
        while open.last().is_some_and(|outer| !is_around(&networks[*outer])) {
            open.pop();
        }
        parents[index] = open.last().copied();
        open.push(index);
    }
    parents
}

/// Sorts by family and first address, and what is around something before it.
fn sort_outer_first<T>(items: &mut [T], network: impl Fn(&T) -> Network) {
    items.sort_by_key(|item| {
        let network = network(item);
        (!network.is_ipv4(), network.first_bits(), network.length())
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn sources(texts: &[&str]) -> Vec<Source> {
        let read = |text: &&str| match *text {
            "unix" => Source::Unix,
            text => Source::Network(Network::parse(text).unwrap()),
        };
        texts.iter().map(read).collect()
    }

    fn check(allow: &[&str], deny: &[&str], expected: &[(&str, bool)]) {
        let access = Access::new(&sources(allow), &sources(deny));
        for (address, verdict) in expected {
            let address = (*address != "unix").then(|| address.parse().unwrap());
            assert_eq!(access.allows(address), *verdict, "{address:?}: {allow:?}, not {deny:?}");
        }
    }

    #[test]
    fn the_longest_network_decides() {
        check(&[], &[], &[("10.0.0.1", true), ("::1", true), ("unix", true)]);
        check(
            &["10.0.0.0/8", "10.1.2.3"],
            &["10.1.0.0/16"],
            &[
                ("10.0.255.255", true),
                ("10.1.0.0", false),
                ("10.1.2.2", false),
                ("10.1.2.3", true),
                ("10.1.2.4", false),
                ("10.1.255.255", false),
                ("10.2.0.0", true),
                ("11.0.0.0", false),
                ("::1", false),
                ("unix", false),
            ],
        );
        check(
            &[],
            &["0.0.0.0/0", "2001:db8::/32", "255.255.255.255"],
            &[
                ("0.0.0.0", false),
                ("255.255.255.255", false),
                ("2001:db8::", false),
                ("2001:db7:ffff::", true),
                ("2001:db9::", true),
                ("unix", true),
            ],
        );
        check(&["unix"], &[], &[("127.0.0.1", false), ("unix", true)]);
        check(&[], &["unix", "::/0"], &[("127.0.0.1", true), ("::1", false), ("unix", false)]);
    }

    #[test]
    fn neighbours_with_one_verdict_are_one_step() {
        let denied: Vec<String> = (0..=255).map(|byte| format!("10.0.{byte}.0/24")).collect();
        let denied: Vec<&str> = denied.iter().map(String::as_str).collect();
        let access = Access::new(&[], &sources(&denied));
        assert_eq!(access.v4.0.len(), 3, "before, within, behind");
    }

    /// Networks that lie close together, so that they nest, touch and repeat.
    fn any_network() -> impl Strategy<Value = Network> {
        (any::<u8>(), 24u8..=32, any::<bool>()).prop_map(|(low, length, v4)| {
            let text = match v4 {
                true => format!("{}/{length}", Ipv4Addr::from_bits(0xc000_0200 | u32::from(low))),
                false => {
                    let first = Ipv6Addr::from_bits(u128::MAX - 255 + u128::from(low));
                    format!("{first}/{}", length + 96)
                }
            };
            match Network::parse(&text) {
                Ok(network) | Err(super::super::NetworkError::HostBits(network)) => network,
                Err(error) => panic!("{text}: {error}"),
            }
        })
    }

    proptest! {
        #[test]
        fn the_steps_say_what_the_lists_say(
            networks in proptest::collection::vec((any_network(), any::<bool>()), 0..24),
        ) {
            let mut known = Vec::new();
            let networks: Vec<(Network, bool)> = networks
                .into_iter()
                .filter(|(network, _)| {
                    let new = !known.contains(network);
                    known.push(*network);
                    new
                })
                .collect();
            let with = |wanted: bool| {
                let chosen = networks.iter().filter(|(_, verdict)| *verdict == wanted);
                chosen.map(|(network, _)| Source::Network(*network)).collect::<Vec<_>>()
            };
            let (allow, deny) = (with(true), with(false));
            let access = Access::new(&allow, &deny);
            let v4 = (0..=255).map(|low| IpAddr::V4(Ipv4Addr::new(192, 0, 2, low)));
            let v6 = (0..=255).map(|low| IpAddr::V6(Ipv6Addr::from_bits(u128::MAX - low)));
            let far = ["0.0.0.0", "192.0.1.255", "192.0.3.0", "::"].map(|ip| ip.parse().unwrap());
            for address in v4.chain(v6).chain(far) {
                let around = networks.iter().filter(|(network, _)| network.contains(address));
                let longest = around.max_by_key(|(network, _)| network.length());
                let expected = longest.map_or(allow.is_empty(), |(_, verdict)| *verdict);
                prop_assert_eq!(access.allows(Some(address)), expected, "{}", address);
            }
        }

        #[test]
        fn a_parent_is_the_smallest_network_around(
            networks in proptest::collection::vec(any_network(), 0..24),
        ) {
            for (index, parent) in parents(&networks).into_iter().enumerate() {
                let inner = &networks[index];
                let is_around = |outer: &&Network| {
                    outer.is_ipv4() == inner.is_ipv4()
                        && outer.length() < inner.length()
                        && outer.first_bits() <= inner.first_bits()
                        && outer.last_bits() >= inner.last_bits()
                };
                let around = networks.iter().filter(is_around);
                let expected = around.max_by_key(|outer| outer.length());
                prop_assert_eq!(parent.map(|parent| networks[parent]), expected.copied());
            }
        }
    }
}
