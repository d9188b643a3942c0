//! The percentile distribution of HdrHistogram (`.hgrm`), which its plotters read.

use std::fmt::Write;

use super::{Latency, Phase};

/// So many lines for each halving of the distance to 100 %.
const LINES_PER_HALF: u32 = 5;

/// One phase as text, in microseconds.
pub fn hgrm(latency: &Latency, phase: Phase) -> String {
    let histogram = latency.histogram(phase);
    let mut out = String::new();
    // A string takes all that is written to it.
    let _ = writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut total = 0;
    for step in histogram.iter_quantiles(LINES_PER_HALF) {
        total += step.count_since_last_iteration();
        let (value, quantile) = (step.value_iterated_to() as f64, step.quantile_iterated_to());
        let _ = write!(out, "{value:>12.3} {quantile:2.12} {total:>10}");
        if quantile < 1.0 {
            let _ = write!(out, " {:>14.2}", 1.0 / (1.0 - quantile));
        }
        out.push('\n');
    }
    let (mean, deviation) = (histogram.mean(), histogram.stdev());
    let (max, count) = (histogram.max() as f64, histogram.len());
    let (buckets, parts) = (histogram.buckets(), 1_u64 << SUB_BUCKET_BITS);
    let _ = writeln!(out, "#[Mean    = {mean:>12.3}, StdDeviation   = {deviation:>12.3}]");
    let _ = writeln!(out, "#[Max     = {max:>12.3}, Total count    = {count:>12}]");
    let _ = writeln!(out, "#[Buckets = {buckets:>12}, SubBuckets     = {parts:>12}]");
    out
}

/// Two significant digits take 256 parts of a bucket.
const SUB_BUCKET_BITS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_ends_with_all() {
        let mut latency = Latency::default();
        latency.add(Phase::Body, 0, 5);
        latency.add(Phase::Body, 1000, 95);
        let text = hgrm(&latency, Phase::Body);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("       Value     Percentile TotalCount 1/(1-Percentile)"));
        assert_eq!(
            (lines.next(), lines.next()),
            (Some(""), Some("       0.000 0.000000000000          5           1.00"))
        );
        let last = text.lines().rfind(|line| !line.starts_with('#')).expect("a line");
        assert_eq!(last, "    1003.000 1.000000000000        100");
        assert!(text.contains("Total count    =          100]"), "{text}");
        let empty = hgrm(&latency, Phase::Head);
        assert!(empty.contains("Total count    =            0]"), "{empty}");
    }
}
