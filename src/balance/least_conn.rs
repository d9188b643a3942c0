//! The fewest active requests for its weight.

use super::Servers;
use super::rng::Rng;

/// Remembers when each server was last chosen, to break ties.
#[derive(Debug)]
pub(super) struct LeastConn {
    /// The turn of each server's last choice. Among equals the one that waited longest is taken,
    /// which makes an idle upstream a plain rotation. A counter that only moves the start of the
    /// scan would not: the server after a busy one would get the busy one's turns as well.
    chosen: Vec<u64>,
    turn: u64,
}

impl LeastConn {
    /// `seed` decides in which order equals are taken at first.
    pub fn new(len: usize, seed: u64) -> LeastConn {
        let mut chosen: Vec<u64> = (0..len as u64).collect();
        let mut rng = Rng::new(seed);
        for i in (1..len).rev() {
            chosen.swap(i, rng.below(i as u64 + 1) as usize);
        }
        LeastConn { chosen, turn: len as u64 }
    }

    /// The server with the lowest `(active + 1) / weight`: the load it would have afterwards.
    pub fn choose(&mut self, servers: &impl Servers) -> Option<usize> {
        let mut best: Option<(usize, u64, u64)> = None;
        for i in 0..self.chosen.len().min(servers.len()) {
            if !servers.usable(i) {
                continue;
            }
            let load = u64::from(servers.active(i)) + 1;
            let weight = servers.share(i);
            let better = best.is_none_or(|(other, other_load, other_weight)| {
                // load / weight against other_load / other_weight, without a division.
                let ours = load.saturating_mul(other_weight);
                let theirs = other_load.saturating_mul(weight);
                ours < theirs || (ours == theirs && self.chosen[i] < self.chosen[other])
            });
            if better {
                best = Some((i, load, weight));
            }
        }
        let (best, ..) = best?;
        self.chosen[best] = self.turn;
        self.turn += 1;
        Some(best)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Pool, pool};
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn equals_take_turns() {
        let servers = Pool::with_weights(&[1, 1, 1]);
        let mut policy = LeastConn::new(3, 5);
        let turns: Vec<usize> = (0..9).filter_map(|_| policy.choose(&servers)).collect();
        assert_eq!(turns[0..3], turns[3..6]);
        assert_eq!(turns[0..3], turns[6..9]);
        assert_eq!(turns[0..3].iter().collect::<HashSet<_>>().len(), 3);
    }

    #[test]
    fn a_busy_server_does_not_double_its_neighbours_turns() {
        let mut servers = Pool::with_weights(&[1, 1, 1]);
        servers.states[1].active = 10;
        let mut policy = LeastConn::new(3, 0);
        let hits = (0..100).filter(|_| policy.choose(&servers) == Some(2)).count();
        assert_eq!(hits, 50);
    }

    #[test]
    fn shards_start_differently() {
        let servers = Pool::with_weights(&[1, 1, 1, 1]);
        let firsts: HashSet<Option<usize>> =
            (0..16).map(|seed| LeastConn::new(4, seed).choose(&servers)).collect();
        assert!(firsts.len() > 2, "{firsts:?}");
    }

    /// Requests that stay open end up in proportion to the weights.
    #[test]
    fn open_requests_follow_weights() {
        let mut servers = Pool::with_weights(&[1, 2, 5]);
        let mut policy = LeastConn::new(3, 0);
        for _ in 0..80 {
            let i = policy.choose(&servers).unwrap();
            servers.states[i].active += 1;
        }
        let active: Vec<u32> = servers.states.iter().map(|state| state.active).collect();
        assert_eq!(active, [10, 20, 50]);
    }

    proptest! {
        #[test]
        fn none_is_less_loaded_than_the_choice(servers in pool(), seed: u64) {
            let mut policy = LeastConn::new(servers.states.len(), seed);
            let load = |i: usize| {
                let state = &servers.states[i];
                f64::from(state.active + 1) / f64::from(state.weight)
            };
            if let Some(choice) = policy.choose(&servers) {
                for i in (0..servers.states.len()).filter(|&i| servers.states[i].usable) {
                    prop_assert!(load(choice) <= load(i) + 1e-9);
                }
            }
        }
    }
}
