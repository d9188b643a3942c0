//! Smooth weighted round robin, nginx's algorithm.
//!
//! Each choice gives every usable server its weight in credit, takes the richest and charges it
//! the sum of what was given. Weights 5, 1, 1 come out as a a b a c a a, not a a a a a b c.

use super::{Servers, WHOLE};

/// No more than this many turns are played to reach a shard's start offset, so that huge weights
/// do not make building slow.
const START_TURNS_MAX: u64 = 1024;

/// The credit of each server.
#[derive(Debug)]
pub(super) struct RoundRobin {
    /// In parts of `WHOLE`, whether or not a server is ramping up: credit in larger units would
    /// be a debt that lasts when the ramp is over. Sums to zero between choices, so it stays
    /// bounded by the total weight.
    credits: Vec<i64>,
}

impl RoundRobin {
    /// Starts somewhere in the cycle that depends on `seed`.
    pub fn new(weights: &[u32], seed: u64) -> RoundRobin {
        let mut policy = RoundRobin { credits: vec![0; weights.len()] };
        let cycle: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        for _ in 0..seed % cycle.clamp(1, START_TURNS_MAX) {
            policy.turn(weights.len(), |i| Some(u64::from(weights[i].max(1)) * u64::from(WHOLE)));
        }
        policy
    }

    /// The next server in turn.
    pub fn choose(&mut self, servers: &impl Servers) -> Option<usize> {
        self.turn(servers.len(), |i| servers.usable(i).then(|| servers.share(i)))
    }

    /// One turn over the servers to which `weight_of` gives a weight.
    fn turn(&mut self, len: usize, weight_of: impl Fn(usize) -> Option<u64>) -> Option<usize> {
        let mut total = 0;
        let mut best = None;
        let mut best_credit = i64::MIN;
        for (i, credit) in self.credits.iter_mut().enumerate().take(len) {
            let Some(weight) = weight_of(i) else { continue };
            // At most 2^40.
            let weight = weight as i64;
            *credit += weight;
            total += weight;
            if *credit > best_credit {
                best_credit = *credit;
                best = Some(i);
            }
        }
        let best = best?;
        self.credits[best] -= total;
        Some(best)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Pool;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn weights_are_interleaved() {
        let servers = Pool::with_weights(&[5, 1, 1]);
        let mut policy = RoundRobin::new(&[5, 1, 1], 0);
        let turns: Vec<usize> = (0..7).filter_map(|_| policy.choose(&servers)).collect();
        assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn shards_start_at_different_servers() {
        let servers = Pool::with_weights(&[1, 1, 1]);
        let first = |seed| RoundRobin::new(&[1, 1, 1], seed).choose(&servers);
        assert_eq!([first(0), first(1), first(2)], [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn a_returning_server_gets_no_burst() {
        let mut servers = Pool::with_weights(&[1, 1, 1]);
        let mut policy = RoundRobin::new(&[1, 1, 1], 0);
        servers.states[0].usable = false;
        for _ in 0..1_000 {
            assert_ne!(policy.choose(&servers), Some(0));
        }
        servers.states[0].usable = true;
        let hits = (0..30).filter(|_| policy.choose(&servers) == Some(0)).count();
        assert!((9..=12).contains(&hits), "{hits}");
    }

    proptest! {
        /// Any window as long as the sum of the weights holds each server exactly its weight.
        #[test]
        fn every_cycle_is_exact(
            weights in prop::collection::vec(1u32..12, 1..7),
            seed: u64,
            skip in 0usize..40,
        ) {
            let servers = Pool::with_weights(&weights);
            let mut policy = RoundRobin::new(&weights, seed);
            for _ in 0..skip {
                policy.choose(&servers);
            }
            let mut hits = vec![0u32; weights.len()];
            for _ in 0..weights.iter().sum::<u32>() {
                hits[policy.choose(&servers).unwrap()] += 1;
            }
            prop_assert_eq!(hits, weights);
        }
    }
}
