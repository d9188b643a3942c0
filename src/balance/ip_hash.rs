//! By the client's address: the same client reaches the same server while the list of servers
//! stays as it is. Changing the list moves most clients; `consistent_hash` moves only those it
//! must.

use super::Servers;
use super::hash::mix;
use super::wheel::Wheel;

/// A wheel turned by the key instead of by chance.
#[derive(Debug)]
pub(super) struct IpHash {
    wheel: Wheel,
}

impl IpHash {
    /// Shares by weight.
    pub fn new(weights: &[u32]) -> IpHash {
        IpHash { wheel: Wheel::new(weights) }
    }

    /// The key's server; while that is unusable, the key's next one, which differs from key to
    /// key, so that the clients of a server that is down are spread over all others.
    pub fn choose(&mut self, servers: &impl Servers, key: u64) -> Option<usize> {
        let mut attempt = 0;
        let draw = || {
            attempt += 1;
            mix(key, attempt)
        };
        self.wheel.pick(servers, |i| servers.usable(i), draw)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Pool;
    use super::super::hash_key;
    use super::*;

    #[test]
    fn only_the_clients_of_a_down_server_move() {
        let mut servers = Pool::with_weights(&[1, 1, 1, 1]);
        let mut policy = IpHash::new(&[1; 4]);
        let keys: Vec<u64> = (0..4_000u32).map(|ip| hash_key(&ip.to_be_bytes())).collect();
        let before: Vec<_> = keys.iter().map(|&key| policy.choose(&servers, key)).collect();
        servers.states[2].usable = false;
        let mut moved_to = [0u32; 4];
        for (&key, &was) in keys.iter().zip(&before) {
            let now = policy.choose(&servers, key);
            match was {
                Some(2) => moved_to[now.unwrap()] += 1,
                _ => assert_eq!(now, was),
            }
        }
        assert_eq!(moved_to[2], 0);
        for i in [0, 1, 3] {
            assert!((250..420).contains(&moved_to[i]), "spread: {moved_to:?}");
        }
        servers.states[2].usable = true;
        for (&key, &was) in keys.iter().zip(&before) {
            assert_eq!(policy.choose(&servers, key), was, "clients return with their server");
        }
    }
}
