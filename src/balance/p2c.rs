//! The better of two at random.
//!
//! Nearly as even as least_conn, but shards that cannot see each other's requests do not all run
//! to the server that looks idle to each of them.

use super::Servers;
use super::rng::Rng;
use super::wheel::Wheel;

/// A wheel and the dice.
#[derive(Debug)]
pub(super) struct P2c {
    wheel: Wheel,
    rng: Rng,
}

impl P2c {
    /// `seed` decides the sequence.
    pub fn new(weights: &[u32], seed: u64) -> P2c {
        P2c { wheel: Wheel::new(weights), rng: Rng::new(seed) }
    }

    /// Draws two different usable servers by weight and takes the one with fewer active requests
    /// for its weight. The first wins a tie: an idle upstream then shares by weight, where
    /// counting the request to come would always prefer the heavier.
    pub fn choose(&mut self, servers: &impl Servers) -> Option<usize> {
        let rng = &mut self.rng;
        let first = self.wheel.pick(servers, |i| servers.usable(i), || rng.bits())?;
        let others = |i: usize| i != first && servers.usable(i);
        let Some(second) = self.wheel.pick(servers, others, || rng.bits()) else {
            return Some(first);
        };
        let load = |i: usize, other: usize| {
            u64::from(servers.active(i)).saturating_mul(servers.share(other))
        };
        let second_is_better = load(second, first) < load(first, second);
        Some(if second_is_better { second } else { first })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Pool;
    use super::*;

    #[test]
    fn of_two_the_idle_one_is_taken() {
        let mut servers = Pool::with_weights(&[1, 1]);
        servers.states[0].active = 3;
        let mut policy = P2c::new(&[1, 1], 1);
        for _ in 0..100 {
            assert_eq!(policy.choose(&servers), Some(1));
        }
    }

    #[test]
    fn the_busiest_of_many_is_never_taken() {
        let mut servers = Pool::with_weights(&[1; 10]);
        servers.states[4].active = 1;
        let mut policy = P2c::new(&[1; 10], 1);
        for _ in 0..1_000 {
            assert_ne!(policy.choose(&servers), Some(4));
        }
    }

    /// Requests that stay open stay close to the weights.
    #[test]
    fn open_requests_follow_weights() {
        let mut servers = Pool::with_weights(&[1, 1, 2]);
        let mut policy = P2c::new(&[1, 1, 2], 1);
        for _ in 0..4_000 {
            let i = policy.choose(&servers).unwrap();
            servers.states[i].active += 1;
        }
        let active: Vec<u32> = servers.states.iter().map(|state| state.active).collect();
        assert!(active[2].abs_diff(2_000) < 20, "{active:?}");
        assert!(active[0].abs_diff(1_000) < 20, "{active:?}");
    }
}
