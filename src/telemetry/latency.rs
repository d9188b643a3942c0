//! Latency histograms by phase of a request.

use hdrhistogram::Histogram;

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

/// A histogram for each phase, in microseconds with two significant digits, up to one hour.
#[derive(Clone)]
pub struct Latency {
    histograms: [Histogram<u64>; 6],
    /// Most requests do not queue and reuse a connection: their zeros need no histogram until
    /// somebody reads it.
    zeros: [u64; 6],
}

impl Default for Latency {
    fn default() -> Self {
        Latency { histograms: std::array::from_fn(|_| empty()), zeros: [0; 6] }
    }
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("the bounds are constants that fit")
}

impl Latency {
    /// Records the phases of one request that came to their ends.
    pub fn record(&mut self, at: &Phases) {
        for phase in Phase::ALL {
            if let Some(nanos) = at.duration(phase) {
                self.add(phase, nanos);
            }
        }
    }

    fn add(&mut self, phase: Phase, nanos: u64) {
        let micros = nanos / 1000;
        if micros == 0 {
            self.zeros[phase as usize] += 1;
        } else {
            self.histograms[phase as usize].saturating_record(micros);
        }
    }

    /// Adds what another shard recorded.
    pub fn merge(&mut self, other: &Latency) {
        for (mine, theirs) in self.histograms.iter_mut().zip(&other.histograms) {
            mine.add(theirs).expect("all have the same bounds");
        }
        for (mine, theirs) in self.zeros.iter_mut().zip(&other.zeros) {
            *mine += theirs;
        }
    }

    /// The histogram of one phase, in microseconds.
    pub fn histogram(&self, phase: Phase) -> Histogram<u64> {
        let mut whole = self.histograms[phase as usize].clone();
        whole.record_n(0, self.zeros[phase as usize]).expect("zero is within the bounds");
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
        let mut latency = Latency::default();
        latency.record(&phases);
        let max = |phase| latency.histogram(phase).max();
        for (phase, ms) in Phase::ALL.into_iter().zip([1, 2, 0, 10, 20, 33]) {
            let error = max(phase).abs_diff(ms * 1000);
            assert!(error * 100 <= ms * 1000, "{phase:?}: {} us", max(phase));
        }
    }

    #[test]
    fn merged_shards_count_every_request() {
        let mut sum = Latency::default();
        for _ in 0..3 {
            let mut shard = Latency::default();
            shard.record(&Phases { started: 1, ended: 5_001, ..Phases::default() });
            shard.record(&Phases { started: 1, ended: 1, ..Phases::default() });
            sum.merge(&shard);
        }
        let total = sum.histogram(Phase::Total);
        assert_eq!((total.len(), total.min(), total.max()), (6, 0, 5));
    }

    #[test]
    fn hours_are_recorded_as_the_longest_time() {
        let mut latency = Latency::default();
        latency.record(&Phases { started: 1, ended: u64::MAX, ..Phases::default() });
        assert_eq!(latency.histogram(Phase::Total).len(), 1);
    }

    /// A request that no server was found for has no time until its first byte.
    #[test]
    fn what_never_came_is_not_recorded() {
        let mut latency = Latency::default();
        latency.record(&Phases { started: 1, head: 2, ended: 3, ..Phases::default() });
        latency.record(&Phases { started: 1, head: 2, leased: 3, ..Phases::default() });
        let counts = Phase::ALL.map(|phase| latency.histogram(phase).len());
        assert_eq!(counts, [2, 1, 0, 0, 0, 1]);
    }
}
