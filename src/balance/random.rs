//! At random by weight: no state to keep and no order to fall into.

use super::Servers;
use super::rng::Rng;
use super::wheel::Wheel;

/// A wheel and the dice.
#[derive(Debug)]
pub(super) struct Random {
    wheel: Wheel,
    rng: Rng,
}

impl Random {
    /// `seed` decides the sequence.
    pub fn new(weights: &[u32], seed: u64) -> Random {
        Random { wheel: Wheel::new(weights), rng: Rng::new(seed) }
    }

    /// A usable server, by weight.
    pub fn choose(&mut self, servers: &impl Servers) -> Option<usize> {
        let rng = &mut self.rng;
        self.wheel.pick(servers, |i| servers.usable(i), || rng.bits())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Pool;
    use super::*;

    #[test]
    fn shards_draw_different_sequences() {
        let servers = Pool::with_weights(&[1; 8]);
        let draws = |seed| {
            let mut policy = Random::new(&[1; 8], seed);
            (0..20).filter_map(|_| policy.choose(&servers)).collect::<Vec<_>>()
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
    }
}
