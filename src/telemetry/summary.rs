//! What a histogram comes to.

use super::{Latency, Phase};

/// The percentiles of a [`Summary`].
pub const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 99.999];

/// A phase in a few numbers, in microseconds. All are 0 if nothing was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// How often it was recorded.
    pub count: u64,
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub deviation: f64,
    /// At [`PERCENTILES`].
    pub percentiles: [u64; PERCENTILES.len()],
}

impl Summary {
    /// Of one phase.
    pub fn of(latency: &Latency, phase: Phase) -> Summary {
        let histogram = latency.histogram(phase);
        if histogram.is_empty() {
            return Summary::default();
        }
        Summary {
            count: histogram.len(),
            min: histogram.min(),
            max: histogram.max(),
            mean: histogram.mean(),
            deviation: histogram.stdev(),
            percentiles: PERCENTILES.map(|percentile| histogram.value_at_percentile(percentile)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_of_all_values() {
        let mut latency = Latency::default();
        assert_eq!(Summary::of(&latency, Phase::Total), Summary::default());
        latency.add(Phase::Total, 0, 90);
        latency.add(Phase::Total, 100, 9);
        latency.add(Phase::Total, 200, 1);
        let summary = Summary::of(&latency, Phase::Total);
        assert_eq!((summary.count, summary.min, summary.max), (100, 0, 200));
        assert_eq!(summary.percentiles, [0, 0, 100, 200, 200, 200]);
        assert!((summary.mean - 11.0).abs() < 0.1, "{summary:?}");
        assert!((summary.deviation - 34.4).abs() < 0.5, "{summary:?}");
    }
}
