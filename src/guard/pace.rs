//! How slowly a body may come.
//!
//! As Apache's `RequestReadTimeout body=…,MinRate=…`: who sends has some time to begin with, and
//! each byte earns a little more, but never more than a limit: who sent much at once may not
//! dribble for hours after that. Only the time counts in which we waited for bytes, so a slow
//! receiver is not held against the sender; and only from the first byte on, so that neither is the
//! wait for a 100 (Continue).

use std::time::Duration;

/// What a sender may still keep us waiting for.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    bytes_per_second: u64,
    /// Nanoseconds.
    patience: u64,
    /// Nanoseconds.
    most: u64,
    begun: bool,
}

impl Pace {
    /// A body that must come with so many bytes a second, once `grace` has passed, and whose sender
    /// may be waited for as long as `most` at once, or as `grace`. Never divides by zero: no rate
    /// at all counts as one byte.
    pub fn new(bytes_per_second: u64, grace: Duration, most: Duration) -> Pace {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let (patience, most) = (nanos(grace), nanos(most.max(grace)));
        Pace { bytes_per_second: bytes_per_second.max(1), patience, most, begun: false }
    }

    /// So many bytes came.
    pub fn came(&mut self, bytes: u64) {
        let earned = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
        let earned = u64::try_from(earned).unwrap_or(u64::MAX);
        self.patience = self.patience.saturating_add(earned).min(self.most);
        self.begun |= bytes > 0;
    }

    /// So long, in nanoseconds, none came although we waited.
    pub fn waited(&mut self, nanos: u64) {
        if self.begun {
            self.patience = self.patience.saturating_sub(nanos);
        }
    }

    /// How long the next bytes may take, where that is shorter than they may take anyway.
    pub fn limit(&self, idle: Duration) -> Option<Duration> {
        self.patience().filter(|patience| *patience < idle)
    }

    /// How long the next bytes may take; `None`: it has not begun.
    pub fn patience(&self) -> Option<Duration> {
        self.begun.then(|| Duration::from_nanos(self.patience))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn each_byte_earns_its_time() {
        let mut pace = Pace::new(100, Duration::from_secs(2), Duration::MAX);
        pace.waited(60_000 * MS);
        assert_eq!(pace.patience(), None, "waiting for the first byte is not its matter");
        pace.came(1);
        assert_eq!(pace.patience(), Some(Duration::from_millis(2_010)));
        pace.waited(2_000 * MS);
        assert_eq!(pace.patience(), Some(Duration::from_millis(10)));
        pace.came(50);
        pace.waited(510 * MS);
        assert_eq!(pace.patience(), Some(Duration::ZERO));
        pace.waited(MS);
        assert_eq!(pace.patience(), Some(Duration::ZERO));
    }

    #[test]
    fn much_at_once_is_no_credit_for_hours() {
        let mut pace = Pace::new(100, Duration::from_secs(2), Duration::from_secs(5));
        pace.came(1 << 20);
        assert_eq!(pace.patience(), Some(Duration::from_secs(5)));
        pace.waited(4_900 * MS);
        pace.came(1);
        assert_eq!(pace.patience(), Some(Duration::from_millis(110)));
    }

    #[test]
    fn much_at_once_is_no_overflow() {
        let mut pace = Pace::new(0, Duration::MAX, Duration::ZERO);
        pace.came(u64::MAX);
        assert_eq!(pace.patience(), Some(Duration::from_nanos(u64::MAX)));
    }

    proptest! {
        /// Patience runs out when, and only when, the average since the first byte has fallen below
        /// the rate after the grace.
        #[test]
        fn patience_is_a_matter_of_the_average(
            rate in 1u64..1_000,
            grace in 0u64..3_000,
            steps in prop::collection::vec((1u64..2_000, 0u64..2_000), 1..40),
        ) {
            let mut pace = Pace::new(rate, Duration::from_millis(grace), Duration::MAX);
            let (mut bytes, mut waited) = (0, 0);
            for (came, wait) in steps {
                bytes += came;
                pace.came(came);
                let patience = pace.patience().unwrap().as_nanos() as i128;
                // Times 1000: milliseconds of grace, bytes, milliseconds of waiting.
                let due = i128::from(grace * MS) - i128::from(waited * MS)
                    + i128::from(bytes) * 1_000_000_000 / i128::from(rate);
                // Each step rounds down by less than a nanosecond.
                prop_assert!((due - 41..=due).contains(&patience), "{patience} of {due}");
                if i128::from(wait * MS) > patience {
                    break;
                }
                waited += wait;
                pace.waited(wait * MS);
            }
        }
    }
}
