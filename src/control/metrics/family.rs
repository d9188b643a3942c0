//! Metrics before they are written.

use crate::telemetry::{Latency, Phase};

/// A metric with all of its series.
pub struct Family {
    /// Its name, unit included.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Its series.
    pub series: Vec<Series>,
}

/// What values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They grow until the process ends.
    Counter,
    /// They come and go.
    Gauge,
    /// They are distributions of seconds.
    Histogram,
}

/// A series.
pub struct Series {
    /// Names and values.
    pub labels: Vec<(&'static str, String)>,
    /// Its value.
    pub value: Value,
}

/// What a series has.
pub enum Value {
    /// Of counters and gauges.
    Number(f64),
    /// Of histograms.
    Distribution(Distribution),
}

/// Times, microseconds, and how often each was measured; ascending.
pub struct Distribution(Vec<(u64, u64)>);

impl Distribution {
    /// Of one phase; `None` if it was never measured.
    pub fn of(latency: &Latency, phase: Phase) -> Option<Distribution> {
        let points: Vec<_> = latency.points(phase).collect();
        (!points.is_empty()).then_some(Distribution(points))
    }

    /// All of it.
    pub fn points(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// Their sum, seconds.
    pub fn sum(&self) -> f64 {
        let sum: u128 =
            self.0.iter().map(|(micros, count)| u128::from(*micros) * u128::from(*count)).sum();
        sum as f64 / 1e6
    }

    /// How many values are at most as large as each of `bounds`, which ascend.
    pub fn cumulative<'a>(&'a self, bounds: &'a [u64]) -> impl Iterator<Item = u64> + 'a {
        let (mut points, mut sum) = (self.0.iter().peekable(), 0);
        bounds.iter().map(move |bound| {
            while let Some((_, count)) = points.next_if(|(micros, _)| micros <= bound) {
                sum += count;
            }
            sum
        })
    }
}

impl Family {
    /// Without any series yet.
    pub fn new(name: &'static str, kind: Kind, help: &'static str) -> Family {
        Family { name, help, kind, series: Vec::new() }
    }

    /// Adds a series with a number.
    pub fn with(mut self, labels: &[(&'static str, &str)], number: impl Number) -> Family {
        self.push(labels, number);
        self
    }

    /// The same.
    pub fn push(&mut self, labels: &[(&'static str, &str)], number: impl Number) {
        self.add(labels, Value::Number(number.float()));
    }

    /// Adds a series.
    pub fn add(&mut self, labels: &[(&'static str, &str)], value: Value) {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.series.push(Series { labels, value });
    }
}

/// What a number may be.
pub trait Number {
    /// As scrapers have it: exact up to 2^53.
    fn float(self) -> f64;
}

impl Number for u64 {
    fn float(self) -> f64 {
        self as f64
    }
}

impl Number for f64 {
    fn float(self) -> f64 {
        self
    }
}

impl Number for bool {
    fn float(self) -> f64 {
        f64::from(u8::from(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_counts_up_to_its_bounds() {
        let mut latency = Latency::default();
        for (micros, count) in [(0, 5), (100, 2), (5_000, 1)] {
            latency.add(Phase::Total, micros, count);
        }
        let all = Distribution::of(&latency, Phase::Total).expect("some");
        assert!(all.cumulative(&[50, 100, 200, 1_000_000]).eq([5, 7, 7, 8]));
        assert_eq!(all.count(), 8);
        assert!((all.sum() - 0.0052).abs() < 0.0001, "{}", all.sum());
        assert!(Distribution::of(&latency, Phase::Head).is_none());
    }
}
