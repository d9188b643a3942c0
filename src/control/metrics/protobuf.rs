//! The protobuf format with native histograms: messages of `io.prometheus.client`, of which only
//! what is written here is declared. The numbers of the fields are those of metrics.proto in
//! <https://github.com/prometheus/client_model>.

use prost::Message;

use super::family::{Distribution, Family, Kind, Series, Value};

/// The message that is written, as scrapers name it.
pub const MESSAGE: &str = "io.prometheus.client.MetricFamily";
/// The type of an answer.
pub const CONTENT_TYPE: &str = "application/vnd.google.protobuf; \
    proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// Each power of two is cut into 2^SCHEMA buckets: their bounds are 9 % apart.
const SCHEMA: i32 = 3;
/// What is below is counted as nothing, seconds: times are measured in microseconds.
const ZERO_THRESHOLD: f64 = 0.5e-6;

#[derive(Clone, PartialEq, Message)]
struct MetricFamily {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    help: Option<String>,
    #[prost(enumeration = "MetricType", optional, tag = "3")]
    kind: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Metric>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum MetricType {
    Counter = 0,
    Gauge = 1,
    Histogram = 4,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Number>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Number>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

/// `Gauge` and `Counter`, which look alike.
#[derive(Clone, PartialEq, Message)]
struct Number {
    #[prost(double, optional, tag = "1")]
    value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    sample_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    sample_sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    #[prost(sint32, optional, tag = "5")]
    schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    zero_threshold: Option<f64>,
    #[prost(uint64, optional, tag = "7")]
    zero_count: Option<u64>,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "13")]
    positive_delta: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Bucket {
    #[prost(uint64, optional, tag = "1")]
    cumulative_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    upper_bound: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
struct BucketSpan {
    #[prost(sint32, optional, tag = "1")]
    offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    length: Option<u32>,
}

/// Writes `families`, each with its length before it; `bounds` are those of classic histograms, in
/// microseconds.
pub fn write(families: &[Family], bounds: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    for family in families.iter().filter(|family| !family.series.is_empty()) {
        out.append(&mut convert(family, bounds).encode_length_delimited_to_vec());
    }
    out
}

fn convert(family: &Family, bounds: &[u64]) -> MetricFamily {
    let kind = match family.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    MetricFamily {
        name: Some(family.name.to_owned()),
        help: Some(family.help.to_owned()),
        kind: Some(kind.into()),
        metric: family.series.iter().map(|one| series(one, family.kind, bounds)).collect(),
    }
}

fn series(series: &Series, kind: Kind, bounds: &[u64]) -> Metric {
    let pair = |(name, value): &(&'static str, String)| LabelPair {
        name: Some((*name).to_owned()),
        value: Some(value.clone()),
    };
    let label = series.labels.iter().map(pair).collect();
    let metric = Metric { label, gauge: None, counter: None, histogram: None };
    match (&series.value, kind) {
        (Value::Number(number), Kind::Counter) => {
            Metric { counter: Some(Number { value: Some(*number) }), ..metric }
        }
        (Value::Number(number), _) => {
            Metric { gauge: Some(Number { value: Some(*number) }), ..metric }
        }
        (Value::Distribution(distribution), _) => {
            Metric { histogram: Some(histogram(distribution, bounds)), ..metric }
        }
    }
}

fn histogram(distribution: &Distribution, bounds: &[u64]) -> Histogram {
    let classic = bounds.iter().zip(distribution.cumulative(bounds)).map(|(bound, count)| Bucket {
        cumulative_count: Some(count),
        upper_bound: Some(*bound as f64 / 1e6),
    });
    let zeros = distribution.points().iter().filter(|(micros, _)| *micros == 0);
    let (positive_span, positive_delta) = native(distribution);
    Histogram {
        sample_count: Some(distribution.count()),
        sample_sum: Some(distribution.sum()),
        bucket: classic.collect(),
        schema: Some(SCHEMA),
        zero_threshold: Some(ZERO_THRESHOLD),
        zero_count: Some(zeros.map(|(_, count)| count).sum()),
        positive_span,
        positive_delta,
    }
}

/// The number of the bucket that a time is in: its upper bound is 2^(number / 2^SCHEMA) seconds,
/// and belongs to it.
fn bucket(micros: u64) -> i32 {
    let buckets = f64::from(1 << SCHEMA);
    ((micros as f64 / 1e6).log2() * buckets).ceil() as i32
}

/// Runs of buckets, and how much more each of them has than the one before.
fn native(distribution: &Distribution) -> (Vec<BucketSpan>, Vec<i64>) {
    let mut counts: Vec<(i32, i64)> = Vec::new();
    for (micros, count) in distribution.points().iter().filter(|(micros, _)| *micros > 0) {
        let (number, count) = (bucket(*micros), *count as i64);
        match counts.last_mut() {
            Some((last, sum)) if *last == number => *sum += count,
            _ => counts.push((number, count)),
        }
    }
    let (mut spans, mut deltas): (Vec<BucketSpan>, Vec<i64>) = (Vec::new(), Vec::new());
    // The first offset counts from 0, the others from the end of the span before.
    let (mut next, mut before) = (0, 0);
    for (number, count) in counts {
        match spans.last_mut() {
            Some(BucketSpan { length: Some(length), .. }) if number == next => *length += 1,
            _ => spans.push(BucketSpan { offset: Some(number - next), length: Some(1) }),
        }
        next = number + 1;
        deltas.push(count - before);
        before = count;
    }
    (spans, deltas)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Latency, Phase};

    fn distribution(points: &[(u64, u64)]) -> Distribution {
        let mut latency = Latency::default();
        points.iter().for_each(|(micros, count)| latency.add(Phase::Total, *micros, *count));
        Distribution::of(&latency, Phase::Total).expect("some")
    }

    /// The buckets of a native histogram, as a reader makes them of spans and deltas.
    fn read(histogram: &Histogram) -> Vec<(i32, i64)> {
        let (mut number, mut count) = (0, 0);
        let mut deltas = histogram.positive_delta.iter();
        let mut buckets = Vec::new();
        for span in &histogram.positive_span {
            number += span.offset();
            for _ in 0..span.length() {
                count += deltas.next().expect("a delta for each bucket");
                buckets.push((number, count));
                number += 1;
            }
        }
        assert_eq!(deltas.next(), None);
        buckets
    }

    #[test]
    fn times_are_in_the_buckets_that_bound_them() {
        for micros in [1, 2, 999, 1000, 125_000, 1_000_000, 3_599_000_000] {
            let (number, seconds) = (bucket(micros), micros as f64 / 1e6);
            let bound = |number: i32| 2_f64.powf(f64::from(number) / 8.0);
            assert!(seconds <= bound(number) * 1.000_001, "{micros}");
            assert!(seconds > bound(number - 1) * 0.999_999, "{micros}");
        }
        // Powers of two are bounds themselves: a second has number 0.
        assert_eq!((bucket(1_000_000), bucket(125_000), bucket(1_000_001)), (0, -24, 1));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let points = [(0, 4), (900, 1), (1_000, 2), (1_100, 3), (2_000_000, 5)];
        let mut family = Family::new("t_seconds", Kind::Histogram, "T.");
        family.add(&[("phase", "total")], Value::Distribution(distribution(&points)));
        let families = [Family::new("c_total", Kind::Counter, "C.").with(&[], 7_u64), family];
        let bytes = write(&families, &[1_010, 1_000_000]);
        let mut rest = bytes.as_slice();
        let counter = MetricFamily::decode_length_delimited(&mut rest).expect("a counter");
        let times = MetricFamily::decode_length_delimited(&mut rest).expect("a histogram");
        assert!(rest.is_empty());
        assert_eq!((counter.name(), counter.kind()), ("c_total", MetricType::Counter));
        assert_eq!(counter.metric[0].counter.as_ref().map(Number::value), Some(7.0));
        assert_eq!(times.metric[0].label[0].value(), "total");
        let histogram = times.metric[0].histogram.as_ref().expect("a histogram");
        assert_eq!((histogram.sample_count(), histogram.zero_count()), (15, 4));
        let classic: Vec<_> = histogram.bucket.iter().map(Bucket::cumulative_count).collect();
        assert_eq!(classic, [7, 10]);
        let buckets = read(histogram);
        assert_eq!(buckets.iter().map(|(_, count)| count).sum::<i64>(), 11);
        let expected: std::collections::BTreeMap<i32, i64> = distribution(&points).points()[1..]
            .iter()
            .fold(Default::default(), |mut sum, point| {
                *sum.entry(bucket(point.0)).or_insert(0) += point.1 as i64;
                sum
            });
        assert!(buckets.into_iter().eq(expected), "{histogram:?}");
    }
}
