//! Slow start: a server that has just returned is given its weight little by little, since its
//! caches are cold and its connections are yet to be made.

use std::time::Duration;

/// A server's whole weight.
pub const WHOLE: u32 = 256;

/// The part of its weight, of [`WHOLE`], that a server is given `since` it returned: it grows
/// evenly from next to nothing to the whole during `slow_start`.
pub fn ramp(since: Duration, slow_start: Duration) -> u32 {
    if since >= slow_start {
        return WHOLE;
    }
    // Less than WHOLE, as `since` is less than `slow_start`.
    let part = since.as_nanos() * u128::from(WHOLE) / slow_start.as_nanos();
    (part as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Pool;
    use super::super::{Balancer, PolicyKind, hash_key};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_slow_start_there_is_no_ramp() {
        assert_eq!(ramp(Duration::ZERO, Duration::ZERO), WHOLE);
    }

    proptest! {
        /// From next to nothing to the whole, evenly, and never back.
        #[test]
        fn the_ramp_grows_evenly(slow_start in 1u64..1 << 50, a in 0f64..1.2, b in 0f64..1.2) {
            let at = |part: f64| {
                let since = Duration::from_nanos((slow_start as f64 * part) as u64);
                ramp(since, Duration::from_nanos(slow_start))
            };
            let whole = Duration::from_nanos(slow_start);
            prop_assert_eq!((at(0.0), ramp(whole, whole)), (1, WHOLE));
            prop_assert!(at(a.min(b)) <= at(a.max(b)));
            if slow_start > 10_000 {
                let line = (a.min(1.0) * f64::from(WHOLE)).max(1.0);
                prop_assert!((f64::from(at(a)) - line).abs() <= 1.01, "{} at {a}", at(a));
            }
        }

        /// Whatever the policy, a server's share of the requests is that of its ramp.
        #[test]
        fn every_policy_follows_the_ramp(
            kind in prop::sample::select(PolicyKind::ALL.to_vec()),
            ramp in 1u32..=WHOLE,
            seed: u64,
        ) {
            let mut servers = Pool::with_weights(&[2, 1, 1]);
            servers.states[0].ramp = ramp;
            let mut balancer = Balancer::new(kind, &servers.names(), seed);
            let mut hits = 0u32;
            for request in 0..4_000u64 {
                // Requests that stay open are what least_conn and p2c go by.
                let choice = balancer.choose(&servers, hash_key(&request.to_le_bytes())).unwrap();
                servers.states[choice].active += 1;
                hits += u32::from(choice == 0);
            }
            let weight = 2.0 * f64::from(ramp) / f64::from(WHOLE);
            let expected = weight / (weight + 2.0);
            let off = (f64::from(hits) / 4_000.0 - expected).abs();
            prop_assert!(off < 0.04, "{kind:?}: {hits} of 4000, expected {expected}");
        }

        /// With a hashing policy, what has moved to the returning server stays there while its
        /// ramp grows, and all other keys stay where they are.
        #[test]
        fn keys_return_once(
            kind in prop::sample::select(vec![PolicyKind::IpHash, PolicyKind::ConsistentHash]),
            keys: [u64; 16],
        ) {
            let mut servers = Pool::with_weights(&[1, 9, 1, 3]);
            let mut balancer = Balancer::new(kind, &servers.names(), 0);
            let at_last = keys.map(|key| balancer.choose(&servers, key));
            servers.states[1].usable = false;
            let mut before = keys.map(|key| balancer.choose(&servers, key));
            servers.states[1].usable = true;
            for ramp in 1..=WHOLE {
                servers.states[1].ramp = ramp;
                for (at, &key) in keys.iter().enumerate() {
                    let now = balancer.choose(&servers, key);
                    prop_assert!(now == before[at] || now == Some(1), "{now:?}");
                    before[at] = now;
                }
            }
            prop_assert_eq!(before, at_last);
        }
    }

    /// When the ramp ends, the policy has no debts to make up for.
    #[test]
    fn the_end_of_a_ramp_is_no_burst() {
        let mut servers = Pool::with_weights(&[1, 1, 1]);
        let mut balancer = Balancer::new(PolicyKind::RoundRobin, &servers.names(), 1);
        for ramp in 1..=WHOLE {
            servers.states[0].ramp = ramp;
            for _ in 0..7 {
                balancer.choose(&servers, 0);
            }
        }
        let hits = (0..30).filter(|_| balancer.choose(&servers, 0) == Some(0)).count();
        assert!((9..=12).contains(&hits), "{hits}");
    }
}
