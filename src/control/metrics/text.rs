//! The text format, version 0.0.4, through the crate that is kept for it.

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use prometheus::{Encoder, TextEncoder};

use super::family::{Distribution, Family, Kind, Series, Value};

/// Writes `families`; `bounds` are those of histograms, in microseconds.
pub fn write(families: &[Family], bounds: &[u64]) -> Result<Vec<u8>, String> {
    // The encoder wants no families without series.
    let filled = families.iter().filter(|family| !family.series.is_empty());
    let families: Vec<MetricFamily> = filled.map(|family| convert(family, bounds)).collect();
    let mut out = Vec::new();
    TextEncoder::new().encode(&families, &mut out).map_err(|error| error.to_string())?;
    Ok(out)
}

fn convert(family: &Family, bounds: &[u64]) -> MetricFamily {
    let mut converted = MetricFamily::default();
    converted.set_name(family.name.to_owned());
    converted.set_help(family.help.to_owned());
    converted.set_field_type(match family.kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram => MetricType::HISTOGRAM,
    });
    converted
        .set_metric(family.series.iter().map(|one| series(one, family.kind, bounds)).collect());
    converted
}

fn series(series: &Series, kind: Kind, bounds: &[u64]) -> Metric {
    let pair = |(name, value): &(&'static str, String)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value.clone());
        pair
    };
    let mut metric = Metric::from_label(series.labels.iter().map(pair).collect());
    match (&series.value, kind) {
        (Value::Number(number), Kind::Counter) => {
            let mut counter = Counter::default();
            counter.set_value(*number);
            metric.set_counter(counter);
        }
        (Value::Number(number), _) => {
            let mut gauge = Gauge::default();
            gauge.set_value(*number);
            metric.set_gauge(gauge);
        }
        (Value::Distribution(distribution), _) => {
            metric.set_histogram(histogram(distribution, bounds));
        }
    }
    metric
}

fn histogram(distribution: &Distribution, bounds: &[u64]) -> Histogram {
    let buckets = bounds.iter().zip(distribution.cumulative(bounds)).map(|(bound, count)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound as f64 / 1e6);
        bucket.set_cumulative_count(count);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(distribution.count());
    histogram.set_sample_sum(distribution.sum());
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Latency, Phase};

    #[test]
    fn text_is_as_scrapers_read_it() {
        let mut latency = Latency::default();
        latency.add(Phase::Total, 100, 2);
        latency.add(Phase::Total, 3_000_000, 1);
        let mut times = Family::new("a_seconds", Kind::Histogram, "Times.");
        let distribution = Distribution::of(&latency, Phase::Total).expect("some");
        times.add(&[("route", "a \"b\"\n")], Value::Distribution(distribution));
        let families = [
            Family::new("b_total", Kind::Counter, "B.").with(&[], 3_u64),
            Family::new("none_total", Kind::Counter, "Nothing."),
            times,
        ];
        let text = String::from_utf8(write(&families, &[1_000, 2_000_000]).unwrap()).unwrap();
        let label = "route=\"a \\\"b\\\"\\n\"";
        let start = format!(
            "# HELP b_total B.\n# TYPE b_total counter\nb_total 3\n\
             # HELP a_seconds Times.\n# TYPE a_seconds histogram\n\
             a_seconds_bucket{{{label},le=\"0.001\"}} 2\n\
             a_seconds_bucket{{{label},le=\"2\"}} 2\n\
             a_seconds_bucket{{{label},le=\"+Inf\"}} 3\n"
        );
        assert!(text.starts_with(&start), "{text}");
        assert!(text.contains(&format!("a_seconds_count{{{label}}} 3\n")), "{text}");
    }
}
