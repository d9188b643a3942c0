//! Choosing a server: states in, choice out.
//!
//! One policy a file. A [`Balancer`] belongs to one shard and one upstream; it knows nothing of
//! connections, health or clocks and asks a [`Servers`] for what it must know. Backups are the
//! caller's affair: it asks once with the primary servers usable and, if none was, once more with
//! the backups usable.

mod consistent_hash;
mod hash;
mod ip_hash;
mod least_conn;
mod p2c;
mod ramp;
mod random;
mod rng;
mod round_robin;
mod wheel;

pub use hash::hash_key;
pub use ramp::{WHOLE, ramp};
pub use rng::Rng;

use consistent_hash::ConsistentHash;
use ip_hash::IpHash;
use least_conn::LeastConn;
use p2c::P2c;
use random::Random;
use round_robin::RoundRobin;

/// `balance` in an `[[upstream]]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// Smooth weighted round robin.
    RoundRobin,
    /// The fewest active requests for its weight.
    LeastConn,
    /// At random by weight.
    Random,
    /// The better of two at random.
    P2c,
    /// By the client's address.
    IpHash,
    /// By a key, so that a server's leaving moves only its own share.
    ConsistentHash,
}

impl PolicyKind {
    /// Every policy, in the order of the documentation.
    pub const ALL: [PolicyKind; 6] = [
        PolicyKind::RoundRobin,
        PolicyKind::LeastConn,
        PolicyKind::Random,
        PolicyKind::P2c,
        PolicyKind::IpHash,
        PolicyKind::ConsistentHash,
    ];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            PolicyKind::RoundRobin => "round_robin",
            PolicyKind::LeastConn => "least_conn",
            PolicyKind::Random => "random",
            PolicyKind::P2c => "p2c",
            PolicyKind::IpHash => "ip_hash",
            PolicyKind::ConsistentHash => "consistent_hash",
        }
    }
}

/// What a policy sees of the servers. Every method is called several times for a choice, so it
/// must be a plain look-up.
pub trait Servers {
    /// How many there are; the same number, in the same order, as [`Balancer::new`] was given.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The share of server `i` relative to the others; 0 counts as 1.
    fn weight(&self, i: usize) -> u32;

    /// How much of its weight server `i` is given just now, from 1 to [`WHOLE`]: less than the
    /// whole for a server that has just returned (see [`ramp()`]).
    fn ramp(&self, _i: usize) -> u32 {
        WHOLE
    }

    /// The weight of server `i` as it counts just now, in parts of [`WHOLE`].
    fn share(&self, i: usize) -> u64 {
        u64::from(self.weight(i).max(1)) * u64::from(self.ramp(i).clamp(1, WHOLE))
    }

    /// Requests that server `i` is working on for this shard.
    fn active(&self, i: usize) -> u32;

    /// Whether server `i` may take one more request now.
    fn usable(&self, i: usize) -> bool;
}

/// One upstream's policy and its state, in one shard.
#[derive(Debug)]
pub struct Balancer {
    policy: Policy,
}

#[derive(Debug)]
enum Policy {
    RoundRobin(RoundRobin),
    LeastConn(LeastConn),
    Random(Random),
    P2c(P2c),
    IpHash(IpHash),
    ConsistentHash(ConsistentHash),
}

impl Balancer {
    /// A balancer for servers of these names and weights.
    ///
    /// A name is the stable identity of a server (its address as text): hashing by name keeps
    /// keys where they were when other servers come and go. `seed` should differ between shards.
    /// It sets start offsets and tie breaks, so that shards that start together do not all send
    /// their first requests to the same server; hashing policies ignore it, since all shards must
    /// agree.
    pub fn new(kind: PolicyKind, names: &[(String, u32)], seed: u64) -> Self {
        let weights: Vec<u32> = names.iter().map(|(_, weight)| (*weight).max(1)).collect();
        let policy = match kind {
            PolicyKind::RoundRobin => Policy::RoundRobin(RoundRobin::new(&weights, seed)),
            PolicyKind::LeastConn => Policy::LeastConn(LeastConn::new(weights.len(), seed)),
            PolicyKind::Random => Policy::Random(Random::new(&weights, seed)),
            PolicyKind::P2c => Policy::P2c(P2c::new(&weights, seed)),
            PolicyKind::IpHash => Policy::IpHash(IpHash::new(&weights)),
            PolicyKind::ConsistentHash => Policy::ConsistentHash(ConsistentHash::new(names)),
        };
        Balancer { policy }
    }

    /// The server for the next request, or `None` when none is usable.
    ///
    /// `key` is the [`hash_key`] of what a hashing policy hashes; the others ignore it.
    pub fn choose(&mut self, servers: &impl Servers, key: u64) -> Option<usize> {
        match &mut self.policy {
            Policy::RoundRobin(policy) => policy.choose(servers),
            Policy::LeastConn(policy) => policy.choose(servers),
            Policy::Random(policy) => policy.choose(servers),
            Policy::P2c(policy) => policy.choose(servers),
            Policy::IpHash(policy) => policy.choose(servers, key),
            Policy::ConsistentHash(policy) => policy.choose(servers, key),
        }
    }
}

#[cfg(test)]
mod fixture;

#[cfg(test)]
mod tests {
    use super::fixture::{Pool, pool};
    use super::*;
    use proptest::prelude::*;

    fn kinds() -> impl Strategy<Value = PolicyKind> {
        prop::sample::select(PolicyKind::ALL.to_vec())
    }

    proptest! {
        /// Whatever the states, a choice is usable, and there is one whenever a server is usable.
        #[test]
        fn never_an_unusable_server(
            kind in kinds(),
            seed: u64,
            servers in pool(),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 1..60),
        ) {
            let mut servers: Pool = servers;
            let mut balancer = Balancer::new(kind, &servers.names(), seed);
            for (index, key) in flips {
                let at = index.index(servers.states.len());
                servers.states[at].usable = !servers.states[at].usable;
                match balancer.choose(&servers, key) {
                    Some(i) => prop_assert!(servers.states[i].usable),
                    None => prop_assert!(servers.states.iter().all(|state| !state.usable)),
                }
            }
        }

        /// Hashing policies give the same answer in every shard, whatever it did before.
        #[test]
        fn shards_agree_on_hashes(servers in pool(), seeds: [u64; 2], keys: Vec<u64>) {
            for kind in [PolicyKind::IpHash, PolicyKind::ConsistentHash] {
                let mut one = Balancer::new(kind, &servers.names(), seeds[0]);
                let mut two = Balancer::new(kind, &servers.names(), seeds[1]);
                two.choose(&servers, 1);
                for key in &keys {
                    prop_assert_eq!(one.choose(&servers, *key), two.choose(&servers, *key));
                }
            }
        }
    }

    /// Over many requests each policy that goes by weight alone keeps to it within 5 %.
    #[test]
    fn shares_follow_weights() {
        let servers = Pool::with_weights(&[1, 2, 5]);
        let by_weight = [
            PolicyKind::RoundRobin,
            PolicyKind::Random,
            PolicyKind::P2c,
            PolicyKind::IpHash,
            PolicyKind::ConsistentHash,
        ];
        for kind in by_weight {
            let mut balancer = Balancer::new(kind, &servers.names(), 7);
            let mut hits = [0u32; 3];
            for request in 0..80_000u64 {
                let key = hash_key(&request.to_le_bytes());
                hits[balancer.choose(&servers, key).unwrap()] += 1;
            }
            // Nothing is active here, so the better of two is always the first it drew.
            for (hit, expected) in hits.iter().zip([10_000.0, 20_000.0, 50_000.0]) {
                let off = (f64::from(*hit) - expected).abs() / expected;
                assert!(off < 0.05, "{kind:?}: {hits:?}");
            }
        }
    }

    #[test]
    fn an_empty_upstream_has_no_choice() {
        for kind in PolicyKind::ALL {
            let servers = Pool::with_weights(&[]);
            assert_eq!(Balancer::new(kind, &[], 3).choose(&servers, 9), None);
        }
    }

    #[test]
    fn a_server_list_of_another_length_is_not_overrun() {
        for kind in PolicyKind::ALL {
            let built = Pool::with_weights(&[1, 1, 1]);
            for given in [Pool::with_weights(&[1]), Pool::with_weights(&[1, 1, 1, 1, 1])] {
                let mut balancer = Balancer::new(kind, &built.names(), 3);
                for key in 0..100 {
                    let choice = balancer.choose(&given, hash_key(&[key]));
                    assert!(choice.unwrap() < given.states.len());
                }
            }
        }
    }
}
