//! How often: token buckets, one for each key, in a table that does not grow.
//!
//! A bucket is kept as the moment at which it will be full again (the generic cell rate algorithm,
//! ITU-T I.371): each request moves that moment on by its cost, and is refused if it would then lie
//! further ahead than a whole bucket. A bucket that is full again says nothing that a new one would
//! not, so forgetting it loses nothing.
//!
//! The table is cut into sets of eight places, and a key can be in one set only. A new key takes
//! the place of the fullest bucket of its set. Whoever sends many keys therefore displaces his own
//! nearly full buckets, not the nearly empty ones of those who come too often; and nothing is ever
//! moved or allocated.

use std::time::Duration;

use super::sets;

/// Nanoseconds of a clock that does not go back.
type Tick = u64;

/// A bucket that takes longer to fill does not fit the arithmetic, and nobody means it.
const LONGEST_FILL: Duration = Duration::from_secs(365 * 24 * 3600);

/// How many requests in how long, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Nanoseconds after which there may be one more.
    cost: u64,
    /// Nanoseconds in which an empty bucket fills.
    depth: u64,
}

impl Rate {
    /// `requests` in each `per`, and `burst` at once after a pause; `None` if a bucket would take
    /// longer than a year to fill, or if one of the three is zero.
    pub fn new(requests: u32, per: Duration, burst: u32) -> Option<Rate> {
        let cost = per.as_nanos().checked_div(u128::from(requests))?;
        let depth = cost * u128::from(burst);
        if cost == 0 || depth == 0 || depth > LONGEST_FILL.as_nanos() {
            return None;
        }
        Some(Rate { cost: cost as u64, depth: depth as u64 })
    }
}

/// Too many requests with this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// When there may be the next one.
    pub wait: Duration,
}

/// The buckets of all keys.
pub struct Buckets {
    rate: Rate,
    /// By place: the key, 0 for none.
    keys: Box<[u64]>,
    /// By place: when the bucket is full again.
    full_at: Box<[Tick]>,
    /// By place: requests let through and not told of yet.
    taken: Box<[u32]>,
    /// Places with such requests.
    news: Vec<u32>,
    /// Most of these; 0: nobody wants to know.
    news_max: usize,
}

impl Buckets {
    /// Buckets for at least `keys` keys. What is let through is noted for [`Buckets::tell`], as far
    /// as it fits, for `news` keys at a time.
    pub fn new(rate: Rate, keys: usize, news: usize) -> Buckets {
        let places = sets::places(keys);
        Buckets {
            rate,
            // Zeroed memory is not touched, so an unused table takes none.
            keys: vec![0; places].into_boxed_slice(),
            full_at: vec![0; places].into_boxed_slice(),
            taken: vec![0; if news > 0 { places } else { 0 }].into_boxed_slice(),
            news: Vec::new(),
            news_max: news,
        }
    }

    /// Lets one request with this key through, or not. Keys are to be spread evenly over all
    /// numbers.
    ///
    /// # Errors
    /// [`TooMany`]; then nothing has changed.
    pub fn take(&mut self, key: u64, now: Tick) -> Result<(), TooMany> {
        let key = key.max(1);
        let place = match self.find(key) {
            Ok(place) => place,
            Err(fullest) => self.displace(fullest, key),
        };
        self.full_at[place] = self.after_one(place, now)?;
        self.note(place);
        Ok(())
    }

    /// Whether [`Buckets::take`] would let a request with this key through.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn check(&self, key: u64, now: Tick) -> Result<(), TooMany> {
        // Who has no place has a full bucket.
        let Ok(place) = self.find(key.max(1)) else { return Ok(()) };
        self.after_one(place, now).map(drop)
    }

    /// When the bucket in this place is full again if it lets one more through.
    fn after_one(&self, place: usize, now: Tick) -> Result<Tick, TooMany> {
        let full_at = self.full_at[place].max(now) + self.rate.cost;
        let limit = now.saturating_add(self.rate.depth);
        match full_at.checked_sub(limit) {
            None | Some(0) => Ok(full_at),
            Some(wait) => Err(TooMany { wait: Duration::from_nanos(wait) }),
        }
    }

    /// Whether there is something to tell.
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Tells of the requests let through since the last time: their keys, and how many for each.
    pub fn tell(&mut self, mut listener: impl FnMut(u64, u32)) {
        for place in self.news.drain(..) {
            let place = place as usize;
            // Another key may have taken the place, and then been noted with it twice.
            let count = std::mem::take(&mut self.taken[place]);
            if count > 0 {
                listener(self.keys[place], count);
            }
        }
    }

    /// Takes in that somebody else has let `count` requests with this key through: the bucket may
    /// thereby become emptier than empty.
    pub fn charge(&mut self, key: u64, count: u32, now: Tick) {
        let cost = self.rate.cost.saturating_mul(u64::from(count));
        match self.find(key) {
            Ok(place) => {
                self.full_at[place] = self.full_at[place].max(now).saturating_add(cost);
            }
            // The fullest of all is the one that nobody misses.
            Err(fullest) if self.full_at[fullest] >= now.saturating_add(cost) => {}
            Err(fullest) => {
                let place = self.displace(fullest, key);
                self.full_at[place] = now.saturating_add(cost);
            }
        }
    }

    /// The place of a key; without one, the place in its set that is the least loss.
    fn find(&self, key: u64) -> Result<usize, usize> {
        let set = sets::set_of(key, self.keys.len());
        let first = set.start;
        if let Some(way) = self.keys[set.clone()].iter().position(|known| *known == key) {
            return Ok(first + way);
        }
        let fullest = self.full_at[set].iter().enumerate().min_by_key(|(_, full_at)| **full_at);
        Err(first + fullest.map_or(0, |(way, _)| way))
    }

    fn displace(&mut self, place: usize, key: u64) -> usize {
        self.keys[place] = key;
        self.full_at[place] = 0;
        if let Some(taken) = self.taken.get_mut(place) {
            *taken = 0;
        }
        place
    }

    fn note(&mut self, place: usize) {
        let Some(taken) = self.taken.get_mut(place) else { return };
        if *taken > 0 {
            *taken = taken.saturating_add(1);
        } else if self.news.len() < self.news_max {
            *taken = 1;
            self.news.push(place as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    const SECOND: u64 = 1_000_000_000;

    fn rate(requests: u32, burst: u32) -> Rate {
        Rate::new(requests, Duration::from_secs(1), burst).unwrap()
    }

    fn wait(buckets: &mut Buckets, now: Tick) -> Option<Duration> {
        buckets.take(7, now).err().map(|too_many| too_many.wait)
    }

    #[test]
    fn a_burst_then_the_rate() {
        let mut buckets = Buckets::new(rate(10, 3), 8, 0);
        for _ in 0..3 {
            assert_eq!(wait(&mut buckets, SECOND), None);
        }
        assert_eq!(wait(&mut buckets, SECOND), Some(Duration::from_millis(100)));
        assert_eq!(wait(&mut buckets, SECOND + SECOND / 20), Some(Duration::from_millis(50)));
        assert_eq!(wait(&mut buckets, SECOND + SECOND / 10), None);
        assert_eq!(wait(&mut buckets, SECOND + SECOND / 10), Some(Duration::from_millis(100)));
        assert!(buckets.take(8, SECOND).is_ok(), "another key");
    }

    #[test]
    fn senseless_rates_are_none() {
        let day = Duration::from_secs(24 * 3600);
        assert_eq!(Rate::new(0, day, 1), None);
        assert_eq!(Rate::new(1, day, 0), None);
        assert_eq!(Rate::new(1, day, 366), None);
        assert!(Rate::new(1, day, 365).is_some());
        assert_eq!(Rate::new(2_000_000, Duration::from_millis(1), 1), None);
    }

    #[test]
    fn time_that_stands_still_at_the_end_of_the_clock_is_no_overflow() {
        let mut buckets = Buckets::new(rate(1, 1), 8, 0);
        buckets.charge(7, u32::MAX, SECOND);
        assert!(wait(&mut buckets, SECOND).is_some());
    }

    /// Many keys of one request each do not push out the one that comes too often.
    #[test]
    fn who_comes_too_often_is_not_forgotten() {
        let mut buckets = Buckets::new(rate(1, 5), 64, 0);
        let culprit = u64::MAX / 3;
        while buckets.take(culprit, SECOND).is_ok() {}
        let mut key: u64 = 1;
        for _ in 0..100_000 {
            key = key.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
            let _ = buckets.take(key, SECOND);
        }
        assert!(buckets.take(culprit, SECOND).is_err());
        assert_eq!(buckets.keys.len(), 64);
    }

    #[test]
    fn only_so_many_keys_are_told_of() {
        let mut buckets = Buckets::new(rate(100, 100), 64, 3);
        for key in [1, 2, 3, 4, 1, 4] {
            buckets.take(key << 60, SECOND).unwrap();
        }
        let mut told = Vec::new();
        buckets.tell(|key, count| told.push((key >> 60, count)));
        assert_eq!(told, [(1, 2), (2, 1), (3, 1)]);
        assert!(!buckets.has_news());
        buckets.tell(|_, _| panic!("told already"));
    }

    /// Two tables that tell each other are, over time, as strict as one.
    #[test]
    fn what_others_let_through_is_paid_back() {
        let mut shards = [Buckets::new(rate(10, 5), 8, 8), Buckets::new(rate(10, 5), 8, 8)];
        let mut passed = 0;
        for step in 0..100 {
            let now = SECOND + step * SECOND / 10;
            for shard in &mut shards {
                passed += (0..20).filter(|_| shard.take(7, now).is_ok()).count();
            }
            let [one, two] = &mut shards;
            let mut from_one = Vec::new();
            one.tell(|key, count| from_one.push((key, count)));
            two.tell(|key, count| one.charge(key, count, now));
            from_one.into_iter().for_each(|(key, count)| two.charge(key, count, now));
        }
        // 10 s at 10 a second, and a burst; one more burst was let through before they told.
        assert!((100..=105 + 5).contains(&passed), "{passed}");
    }

    /// Level in billionths of a token, as the definition of a token bucket has it.
    struct Model {
        level: u64,
        at: Tick,
    }

    proptest! {
        #[test]
        fn buckets_do_as_defined(
            requests in prop::sample::select(vec![1u32, 2, 5, 10, 1000]),
            burst in 1u32..6,
            steps in prop::collection::vec((0u64..SECOND, 0u64..3, any::<bool>()), 1..200),
        ) {
            let mut buckets = Buckets::new(rate(requests, burst), 8, 0);
            let full = u64::from(burst) * SECOND;
            let mut models: HashMap<u64, Model> = HashMap::new();
            let mut now = SECOND;
            for (pause, key, at_once) in steps {
                // Pauses that are a fraction of a token, and none at all.
                now += if at_once { 0 } else { pause / u64::from(requests) };
                let model = models.entry(key).or_insert(Model { level: full, at: now });
                model.level = full.min(model.level + (now - model.at) * u64::from(requests));
                model.at = now;
                let taken = buckets.take(key << 61, now);
                prop_assert_eq!(taken.is_ok(), model.level >= SECOND);
                match taken {
                    Ok(()) => model.level -= SECOND,
                    Err(TooMany { wait }) => {
                        // After the wait there is a token, and not before.
                        let nanos = wait.as_nanos() as u64;
                        let missing = SECOND - model.level;
                        prop_assert_eq!(nanos, missing.div_ceil(u64::from(requests)));
                    }
                }
            }
        }

        /// A table that is too small forgets, which lets more through; it never grows, and no key
        /// gets less for it than what one request makes.
        #[test]
        fn a_table_that_is_too_small_forgets(keys in prop::collection::vec(0u64..32, 1..400)) {
            let (mut small, mut large) =
                (Buckets::new(rate(1, 2), 8, 4), Buckets::new(rate(1, 2), 1 << 16, 4));
            let mut ahead = [0i32; 32];
            for (step, key) in keys.into_iter().enumerate() {
                let now = SECOND + step as u64 * SECOND / 50;
                let (spread, key) = (key << 59 | 1, key as usize);
                ahead[key] += i32::from(small.take(spread, now).is_ok());
                ahead[key] -= i32::from(large.take(spread, now).is_ok());
                prop_assert!(ahead[key] >= -1);
                prop_assert!(small.news.len() <= 4);
            }
            prop_assert_eq!(small.keys.len(), 8);
        }
    }
}
