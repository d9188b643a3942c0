//! Latency histograms by phase of a request.

use hdrhistogram::{Counter, Histogram};

/// A part of a request's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// From the first byte of the request to the end of its head.
    Head,
    /// Waiting for a server below its `max_connections`; before that, for a body that is to be
    /// held (`retry.buffer`).
    Queue,
    /// Connecting to a server; zero for a connection from the pool.
    Connect,
    /// From the request's sending to the first byte of the final response.
    FirstByte,
    /// From there to the response's end.
    Body,
    /// From the first byte of the request to the end of the response.
    Total,
}

impl Phase {
    /// All, in the order of a request.
    pub const ALL: [Phase; 6] =
        [Phase::Head, Phase::Queue, Phase::Connect, Phase::FirstByte, Phase::Body, Phase::Total];

    /// For programs: a word.
    pub fn label(self) -> &'static str {
        match self {
            Phase::FirstByte => "first_byte",
            other => other.name(),
        }
    }

    /// For reports.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Head => "head",
            Phase::Queue => "queue",
            Phase::Connect => "connect",
            Phase::FirstByte => "first byte",
            Phase::Body => "body",
            Phase::Total => "total",
        }
    }
}

/// The moments of one request, in nanoseconds of the shard's clock; 0: it never came so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// First byte of the request.
    pub started: u64,
    /// Its head was complete.
    pub head: u64,
    /// A server was chosen; the last one, if there were several.
    pub leased: u64,
    /// There was a connection to it.
    pub connected: u64,
    /// First byte of the final response of a server.
    pub first_byte: u64,
    /// The response was handed over whole.
    pub ended: u64,
}

impl Phases {
    /// How long a phase took, nanoseconds; `None` if it did not come to its end.
    pub fn duration(&self, phase: Phase) -> Option<u64> {
        let (from, to) = match phase {
            Phase::Head => (self.started, self.head),
            Phase::Queue => (self.head, self.leased),
            Phase::Connect => (self.leased, self.connected),
            Phase::FirstByte => (self.connected, self.first_byte),
            Phase::Body => (self.first_byte, self.ended),
            Phase::Total => (self.started, self.ended),
        };
        (from != 0 && to != 0).then(|| to.saturating_sub(from))
    }
}

/// Longest time told apart, microseconds: one hour.
const LONGEST: u64 = 3_600_000_000;
/// Significant decimal digits of a recorded value.
const DIGITS: u8 = 2;

/// What stands for a phase that did not come to its end.
const NEVER: u64 = u64::MAX;

/// How long each phase of a request took, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durations([u64; 6]);

impl From<&Phases> for Durations {
    fn from(at: &Phases) -> Durations {
        Durations(Phase::ALL.map(|phase| at.duration(phase).map_or(NEVER, |nanos| nanos / 1000)))
    }
}

/// A histogram for each phase, in microseconds with two significant digits, up to one hour. Each
/// gets its memory, 26 KiB (13 with `u32`), with the first value that is not zero: most requests do
/// not queue and reuse a connection.
#[derive(Clone)]
pub struct Latency<C: Counter = u64> {
    histograms: [Option<Box<Histogram<C>>>; 6],
    /// Values below a microsecond.
    zeros: [u64; 6],
}

impl<C: Counter> Default for Latency<C> {
    fn default() -> Self {
        Latency { histograms: std::array::from_fn(|_| None), zeros: [0; 6] }
    }
}

fn empty<C: Counter>() -> Histogram<C> {
    Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("the bounds are constants that fit")
}

impl<C: Counter> Latency<C> {
    /// Records the phases of one request that came to their ends.
    pub fn record(&mut self, took: &Durations) {
        for (phase, micros) in took.0.into_iter().enumerate() {
            match (micros, &mut self.histograms[phase]) {
                (0, _) => self.zeros[phase] += 1,
                (NEVER, _) => {}
                (micros, Some(histogram)) => histogram.saturating_record(micros),
                (micros, none) => none.insert(Box::new(empty())).saturating_record(micros),
            }
        }
    }

    /// Adds what was recorded elsewhere with counts of the same size.
    pub fn join(&mut self, other: &Latency<C>) {
        for (phase, theirs) in other.histograms.iter().enumerate() {
            self.zeros[phase] += other.zeros[phase];
            if let Some(theirs) = theirs {
                let mine = self.histograms[phase].get_or_insert_with(|| Box::new(empty()));
                mine.add(&**theirs).expect("all have the same bounds");
            }
        }
    }

    /// How often a phase was recorded.
    pub fn count(&self, phase: Phase) -> u64 {
        let histogram = self.histograms[phase as usize].as_ref();
        self.zeros[phase as usize] + histogram.map_or(0, |histogram| histogram.len())
    }

    /// Forgets all, and keeps the memory.
    pub fn clear(&mut self) {
        self.zeros = [0; 6];
        for histogram in self.histograms.iter_mut().flatten().filter(|one| !one.is_empty()) {
            histogram.reset();
        }
    }

    /// What was recorded of a phase: values and how often, in ascending order. Values are the
    /// largest that a histogram does not tell from what was recorded.
    pub fn points(&self, phase: Phase) -> impl Iterator<Item = (u64, u64)> + '_ {
        let zeros = Some((0, self.zeros[phase as usize])).filter(|(_, count)| *count > 0);
        let recorded = self.histograms[phase as usize].iter().flat_map(|histogram| {
            let all = histogram.iter_recorded();
            all.map(|point| (point.value_iterated_to(), point.count_at_value().as_u64()))
        });
        zeros.into_iter().chain(recorded)
    }
}

impl Latency {
    /// Records the same value so many times.
    pub fn add(&mut self, phase: Phase, micros: u64, count: u64) {
        if micros == 0 {
            self.zeros[phase as usize] += count;
        } else if count > 0 {
            let histogram =
                self.histograms[phase as usize].get_or_insert_with(|| Box::new(empty()));
            histogram.saturating_record_n(micros, count);
        }
    }

    /// Adds what was recorded elsewhere.
    pub fn merge<C: Counter>(&mut self, other: &Latency<C>) {
        for phase in Phase::ALL {
            for (micros, count) in other.points(phase) {
                self.add(phase, micros, count);
            }
        }
    }

    /// The histogram of one phase, in microseconds.
    pub fn histogram(&self, phase: Phase) -> Histogram<u64> {
        let known = self.histograms[phase as usize].as_deref();
        let mut whole = known.cloned().unwrap_or_else(empty);
        whole.saturating_record_n(0, self.zeros[phase as usize]);
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_differences_in_microseconds() {
        let at = |ms: u64| ms * 1_000_000;
        let phases = Phases {
            started: at(1),
            head: at(2),
            leased: at(4),
            connected: at(4),
            first_byte: at(14),
            ended: at(34),
        };
        let mut latency = Latency::<u64>::default();
        latency.record(&Durations::from(&phases));
        let max = |phase| latency.histogram(phase).max();
        for (phase, ms) in Phase::ALL.into_iter().zip([1, 2, 0, 10, 20, 33]) {
            let error = max(phase).abs_diff(ms * 1000);
            assert!(error * 100 <= ms * 1000, "{phase:?}: {} us", max(phase));
        }
    }

    #[test]
    fn merged_shards_count_every_request() {
        let mut sum = Latency::<u64>::default();
        for _ in 0..3 {
            let mut shard = Latency::<u32>::default();
            shard.record(&Durations::from(&Phases {
                started: 1,
                ended: 5_001,
                ..Phases::default()
            }));
            shard.record(&Durations::from(&Phases { started: 1, ended: 1, ..Phases::default() }));
            sum.merge(&shard);
        }
        let total = sum.histogram(Phase::Total);
        assert_eq!((total.len(), total.min(), total.max()), (6, 0, 5));
    }

    #[test]
    fn hours_are_recorded_as_the_longest_time() {
        let mut latency = Latency::<u64>::default();
        latency.record(&Durations::from(&Phases {
            started: 1,
            ended: u64::MAX,
            ..Phases::default()
        }));
        assert_eq!(latency.histogram(Phase::Total).len(), 1);
    }

    /// A request that no server was found for has no time until its first byte.
    #[test]
    fn what_never_came_is_not_recorded() {
        let mut latency = Latency::<u64>::default();
        latency.record(&Durations::from(&Phases {
            started: 1,
            head: 2,
            ended: 3,
            ..Phases::default()
        }));
        latency.record(&Durations::from(&Phases {
            started: 1,
            head: 2,
            leased: 3,
            ..Phases::default()
        }));
        let counts = Phase::ALL.map(|phase| latency.histogram(phase).len());
        assert_eq!(counts, [2, 1, 0, 0, 0, 1]);
    }

    #[test]
    fn points_are_all_that_was_recorded() {
        let mut latency = Latency::<u32>::default();
        for micros in [0, 0, 1, 1, 1, 250, 100_000] {
            let ended = 1 + micros * 1000;
            latency.record(&Durations::from(&Phases { started: 1, ended, ..Phases::default() }));
        }
        let points: Vec<_> = latency.points(Phase::Total).collect();
        assert_eq!(points[..3], [(0, 2), (1, 3), (250, 1)]);
        let (value, count) = points[3];
        assert_eq!((count, value.abs_diff(100_000) < 1000), (1, true));
        assert_eq!(latency.points(Phase::Head).count(), 0);
        let mut sum = Latency::default();
        sum.merge(&latency);
        assert!(sum.points(Phase::Total).eq(points));
        assert_eq!((sum.count(Phase::Total), latency.count(Phase::Total)), (7, 7));
        latency.clear();
        assert_eq!((latency.count(Phase::Total), latency.points(Phase::Total).count()), (0, 0));
        assert!(latency.histograms[Phase::Total as usize].is_some(), "memory stays");
    }
}
