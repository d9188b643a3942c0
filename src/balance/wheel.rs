//! Picking a server by weight, shared by the policies that draw or hash.

use super::hash::mix;
use super::rng::scale;
use super::{Servers, WHOLE};

/// Draws that may hit an unusable server before the usable ones are added up instead.
const DRAWS: usize = 4;

/// A wheel of fortune: each server owns a stretch as long as its weight.
#[derive(Debug)]
pub(super) struct Wheel {
    /// Where the stretch of each server ends; strictly increasing.
    ends: Vec<u64>,
}

impl Wheel {
    /// A wheel of these weights, each at least 1.
    pub fn new(weights: &[u32]) -> Wheel {
        let mut end = 0;
        let ends = weights.iter().map(|&weight| {
            end += u64::from(weight.max(1));
            end
        });
        Wheel { ends: ends.collect() }
    }

    /// A usable server, each with a chance in proportion to its weight; `draw` gives 64 fresh
    /// bits a call.
    ///
    /// Drawing again after an unusable server keeps the others' proportions, so that the share of
    /// a server that is down is spread over all the rest instead of falling on its neighbour.
    pub fn pick(
        &self,
        servers: &impl Servers,
        usable: impl Fn(usize) -> bool,
        mut draw: impl FnMut() -> u64,
    ) -> Option<usize> {
        let total = *self.ends.last()?;
        let len = self.ends.len().min(servers.len());
        for _ in 0..DRAWS {
            let bits = draw();
            let at = self.at(scale(bits, total));
            if at < len && usable(at) && takes_part(bits, servers.ramp(at)) {
                return Some(at);
            }
        }
        let bits = draw();
        let any = self.pick_among(len, &usable, mix(bits, !SALT))?;
        let ramp = servers.ramp(any);
        if ramp < WHOLE && takes_part(bits, ramp) {
            return Some(any);
        }
        // As it was before that server returned, lest a key move from one of these to another.
        let whole = |i: usize| usable(i) && servers.ramp(i) >= WHOLE;
        self.pick_among(len, whole, bits).or(Some(any))
    }

    /// Picks by adding up the usable servers: slower, but it cannot miss.
    fn pick_among(&self, len: usize, usable: impl Fn(usize) -> bool, bits: u64) -> Option<usize> {
        let total: u64 = (0..len).filter(|&i| usable(i)).map(|i| self.weight(i)).sum();
        let mut left = scale(bits, total);
        for i in (0..len).filter(|&i| usable(i)) {
            let weight = self.weight(i);
            if left < weight {
                return Some(i);
            }
            left -= weight;
        }
        None
    }

    /// The server that owns `point`. Few servers are the rule, and counting past the ends has no
    /// branch to mispredict; many are searched.
    fn at(&self, point: u64) -> usize {
        if self.ends.len() <= 16 {
            return self.ends.iter().map(|&end| usize::from(end <= point)).sum();
        }
        self.ends.partition_point(|&end| end <= point)
    }

    fn weight(&self, i: usize) -> u64 {
        self.ends[i] - if i == 0 { 0 } else { self.ends[i - 1] }
    }
}

/// Whether a draw that hit a server counts, which it does as often as the server's ramp says.
/// The same draw gives the same answer, and once it counts it does so for all of the ramp that is
/// left: a key that has returned to a server stays there.
fn takes_part(bits: u64, ramp: u32) -> bool {
    ramp >= WHOLE || scale(mix(bits, SALT), WHOLE.into()) < u64::from(ramp)
}

/// Makes chances here independent of those by which a server was hit.
const SALT: u64 = 0x9f1d_33c5_7a42_e80b;

#[cfg(test)]
mod tests {
    use super::super::fixture::Pool;
    use super::super::rng::Rng;
    use super::*;

    #[test]
    fn few_and_many_servers_are_found_alike() {
        for count in [1usize, 2, 16, 17, 100] {
            let weights: Vec<u32> = (1..=count as u32).collect();
            let wheel = Wheel::new(&weights);
            let mut point = 0;
            for (i, &weight) in weights.iter().enumerate() {
                for _ in 0..weight {
                    assert_eq!(wheel.at(point), i);
                    point += 1;
                }
            }
        }
    }

    /// With most of the weight down, the rest still share by weight.
    #[test]
    fn the_share_of_a_down_server_is_spread() {
        let mut servers = Pool::with_weights(&[1, 1000, 3]);
        servers.states[1].usable = false;
        let wheel = Wheel::new(&[1, 1000, 3]);
        let mut rng = Rng::new(1);
        let mut hits = [0u32; 3];
        for _ in 0..40_000 {
            let usable = |i: usize| servers.states[i].usable;
            hits[wheel.pick(&servers, usable, || rng.bits()).unwrap()] += 1;
        }
        assert_eq!(hits[1], 0);
        assert!((9_500..10_500).contains(&hits[0]), "{hits:?}");
    }
}
