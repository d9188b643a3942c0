//! The last minutes, so that one can say how it is now and not only how it was all in all.
//!
//! What was recorded is kept in slices: short ones for the last seconds, and for all of it slices
//! of about ten seconds, which the short ones are added up to. A slice holds the values that there
//! were, and not whole histograms, which would be mostly empty.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Latency, Phase};

/// Length of the slices that all is kept in.
const COARSE: Duration = Duration::from_secs(10);
/// How far back the short ones go.
const FINE_SPAN: Duration = Duration::from_secs(11);
/// How far back it goes.
const SPAN: Duration = Duration::from_secs(310);

/// Values and how often each was recorded, by phase, ascending.
#[derive(Clone, Default)]
struct Points([Vec<(u32, u32)>; 6]);

impl Points {
    fn add<C: hdrhistogram::Counter>(&mut self, latency: &Latency<C>) {
        for phase in Phase::ALL {
            let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
            let points = latency.points(phase).map(|(micros, n)| (narrow(micros), narrow(n)));
            self.join(phase, points);
        }
    }

    fn append(&mut self, other: &Points) {
        for phase in Phase::ALL {
            self.join(phase, other.0[phase as usize].iter().copied());
        }
    }

    fn join(&mut self, phase: Phase, points: impl Iterator<Item = (u32, u32)>) {
        let mine = &mut self.0[phase as usize];
        let mut points = points.peekable();
        if points.peek().is_none() {
            return;
        }
        let before = std::mem::take(mine);
        mine.reserve_exact(before.len().max(points.size_hint().0));
        let mut before = before.into_iter().peekable();
        loop {
            let next = match (before.peek(), points.peek()) {
                (Some(a), Some(b)) if a.0 == b.0 => {
                    let sum = (a.0, a.1.saturating_add(b.1));
                    before.next();
                    points.next();
                    Some(sum)
                }
                (Some(a), Some(b)) if b.0 < a.0 => points.next(),
                (Some(_), _) => before.next(),
                (None, _) => points.next(),
            };
            match next {
                Some(point) => mine.push(point),
                None => break,
            }
        }
    }

    fn add_to(&self, latency: &mut Latency) {
        for phase in Phase::ALL {
            for (micros, count) in &self.0[phase as usize] {
                latency.add(phase, (*micros).into(), (*count).into());
            }
        }
    }
}

/// What was recorded in a span of time, by key.
struct Slice<K> {
    from: Duration,
    to: Duration,
    keys: BTreeMap<K, Points>,
}

impl<K: Ord + Clone> Slice<K> {
    fn new(from: Duration) -> Slice<K> {
        Slice { from, to: from, keys: BTreeMap::new() }
    }

    fn append(&mut self, other: &Slice<K>) {
        for (key, points) in &other.keys {
            match self.keys.get_mut(key) {
                Some(mine) => mine.append(points),
                None => drop(self.keys.insert(key.clone(), points.clone())),
            }
        }
    }

    fn add_to(&self, key: &K, latency: &mut Latency) {
        if let Some(points) = self.keys.get(key) {
            points.add_to(latency);
        }
    }
}

/// The last five minutes. Since when times count is for the caller to say.
pub struct History<K> {
    fine: VecDeque<Slice<K>>,
    coarse: VecDeque<Slice<K>>,
    /// Not yet among the short slices.
    present: Slice<K>,
    /// The short slices that are not yet among the long ones.
    recent: Slice<K>,
}

impl<K: Ord + Clone> History<K> {
    /// Begins at `now`.
    pub fn new(now: Duration) -> History<K> {
        let (fine, coarse) = (VecDeque::new(), VecDeque::new());
        History { fine, coarse, present: Slice::new(now), recent: Slice::new(now) }
    }

    /// Adds what was recorded until now.
    pub fn add<C: hdrhistogram::Counter>(&mut self, key: &K, latency: &Latency<C>) {
        match self.present.keys.get_mut(key) {
            Some(points) => points.add(latency),
            None => self.present.keys.entry(key.clone()).or_default().add(latency),
        }
    }

    /// Ends the present slice; to be called each second or so.
    pub fn cut(&mut self, now: Duration) {
        self.recent.append(&self.present);
        let mut done = std::mem::replace(&mut self.present, Slice::new(now));
        done.to = now;
        self.fine.push_back(done);
        if now.saturating_sub(self.recent.from) >= COARSE {
            let mut done = std::mem::replace(&mut self.recent, Slice::new(now));
            done.to = now;
            self.coarse.push_back(done);
        }
        let old = |slice: &Slice<K>, span| slice.to + span < now;
        while self.fine.front().is_some_and(|slice| old(slice, FINE_SPAN)) {
            self.fine.pop_front();
        }
        while self.coarse.front().is_some_and(|slice| old(slice, SPAN)) {
            self.coarse.pop_front();
        }
    }

    /// What was recorded of `key` in the last `window`, to the nearest slice, and since when.
    pub fn last(&self, key: &K, window: Duration, now: Duration) -> (Latency, Duration) {
        let (slices, rest) = match window <= COARSE {
            true => (&self.fine, None),
            false => (&self.coarse, Some(&self.recent)),
        };
        // Half a slice too much is as wrong as half a slice too little.
        let begins = now.saturating_sub(window);
        let within = |slice: &&Slice<K>| slice.from + (slice.to - slice.from) / 2 >= begins;
        let slices = slices.iter().filter(within).chain(rest).chain([&self.present]);
        let (mut sum, mut since) = (Latency::default(), now);
        for slice in slices {
            since = since.min(slice.from);
            slice.add_to(key, &mut sum);
        }
        (sum, since)
    }

    /// All that is kept, in spans that do not overlap, from the oldest on; the last ends at `now`.
    pub fn slices(&self, key: &K, now: Duration) -> Vec<(Duration, Duration, Latency)> {
        let mut all = Vec::new();
        for slice in &self.coarse {
            let mut latency = Latency::default();
            slice.add_to(key, &mut latency);
            all.push((slice.from, slice.to, latency));
        }
        let mut latency = Latency::default();
        self.recent.add_to(key, &mut latency);
        self.present.add_to(key, &mut latency);
        all.push((self.recent.from, now, latency));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// One request of `key` a second, which takes as many microseconds as the second's number.
    fn history(length: u64) -> History<&'static str> {
        let mut history = History::new(seconds(0));
        for second in 1..=length {
            let mut latency = Latency::default();
            latency.add(Phase::Total, second, 1);
            history.add(&"key", &latency);
            history.cut(seconds(second));
        }
        history
    }

    fn count(history: &History<&'static str>, window: u64, now: u64) -> u64 {
        history.last(&"key", seconds(window), seconds(now)).0.count(Phase::Total)
    }

    #[test]
    fn a_window_holds_its_time() {
        let history = history(1000);
        assert_eq!(count(&history, 10, 1000), 10);
        assert_eq!(count(&history, 60, 1000), 60);
        assert_eq!(count(&history, 300, 1000), 300);
        assert_eq!(history.last(&"other", seconds(60), seconds(1000)).0.count(Phase::Total), 0);
        assert_eq!(history.last(&"key", seconds(60), seconds(1000)).1, seconds(940));
        assert!(history.fine.len() <= 12 && history.coarse.len() <= 32);
    }

    #[test]
    fn between_two_slices_a_window_is_nearly_right() {
        let history = history(1005);
        for (window, slack) in [(10, 1), (60, 5), (300, 5)] {
            let held = count(&history, window, 1005);
            assert!(held.abs_diff(window) <= slack, "{held} of {window}");
        }
    }

    #[test]
    fn what_came_last_is_in_each_window_at_once() {
        let mut history = history(100);
        let mut latency = Latency::default();
        latency.add(Phase::Total, 0, 1);
        history.add(&"new", &latency);
        for window in [10, 60, 300] {
            let (sum, _) = history.last(&"new", seconds(window), seconds(100));
            assert_eq!(sum.count(Phase::Total), 1);
        }
    }

    #[test]
    fn slices_are_all_without_gap_or_overlap() {
        let history = history(47);
        let slices = history.slices(&"key", seconds(47));
        let total: u64 = slices.iter().map(|(_, _, latency)| latency.count(Phase::Total)).sum();
        assert_eq!(total, 47);
        assert_eq!(slices[0].0, seconds(0));
        for pair in slices.windows(2) {
            assert_eq!(pair[0].1, pair[1].0);
        }
    }

    #[test]
    fn points_join_in_order() {
        let mut points = Points::default();
        points.join(Phase::Head, [(1, 1), (5, 2)].into_iter());
        points.join(Phase::Head, [(0, 1), (5, u32::MAX), (7, 1)].into_iter());
        assert_eq!(points.0[0], [(0, 1), (1, 1), (5, u32::MAX), (7, 1)]);
    }
}
