//! What is told of measurements.

use std::path::PathBuf;

use super::refused::check_parts;
use super::*;
use crate::plan::{HistogramLogPlan, TelemetryPlan};

fn plan(table: &str) -> TelemetryPlan {
    accept(&format!("{LISTENER}{UPSTREAM}{ROUTE}{table}")).plan.telemetry
}

#[test]
fn buckets() {
    assert_eq!(plan(""), TelemetryPlan::default());
    let millis = Duration::from_millis;
    let buckets = plan("[telemetry]\nbuckets = [\"50us\", \"1ms\", \"2s\"]").buckets;
    assert_eq!(buckets, [Duration::from_micros(50), millis(1), millis(2000)]);
    assert!(TelemetryPlan::default().buckets.is_sorted());
}

#[test]
fn the_histogram_log() {
    let log =
        |keys: &str| plan(&format!("[telemetry]\nhistogram_log = {{ {keys} }}")).histogram_log;
    let file = PathBuf::from("/tmp/a.hlog");
    let (interval, max_size, keep) =
        (HistogramLogPlan::INTERVAL, HistogramLogPlan::MAX_SIZE, HistogramLogPlan::KEEP);
    let expected = HistogramLogPlan { file, interval, max_size, keep };
    assert_eq!(log("file = \"/tmp/a.hlog\""), Some(expected.clone()));
    let all = log("file = \"/tmp/a.hlog\", interval = \"1s\", max_size = \"1MiB\", keep = 0");
    let interval = Duration::from_secs(1);
    assert_eq!(all, Some(HistogramLogPlan { interval, max_size: 1 << 20, keep: 0, ..expected }));
}

#[test]
fn wrong_telemetry() {
    check_parts(&[
        (
            "[telemetry]\nbuckets = [\"2ms\", \"1ms\", \"1ms\", \"10\", \"0us\"]\nbucket = 1",
            &[
                "2:19: the bucket \"1ms\" comes after \"2ms\"; write upper bounds in ascending \
                 order, each once",
                "2:26: the bucket \"1ms\" comes after \"1ms\"; write upper bounds in ascending \
                 order, each once",
                "2:33: `10` is not a time; did you mean \"10s\"?",
                "2:39: `buckets` is \"0us\"; write a time from 1us to 1h",
                "3:1: unknown key `bucket` in [telemetry]; did you mean `buckets`?",
            ],
        ),
        (
            "[telemetry]\nbuckets = []\nhistogram_log = { file = \"\", keep = 9999, \
             max_size = \"1KiB\" }",
            &[
                "2:11: `buckets` is empty; name an upper bound, or remove it",
                "3:26: `file` is \"\", which names no file; write the path of a file",
                "3:37: `keep` is 9999; write a number from 0 to 1000",
                "3:54: `max_size` is \"1KiB\"; write a size from 64KiB to 1024GiB",
            ],
        ),
        (
            "[telemetry]\nhistogram_log = { interval = \"10ms\" }",
            &[
                "2:17: `histogram_log` has no `file`; add file = \
                 \"/var/log/corelane/latency.hlog\"",
                "2:30: `interval` is \"10ms\"; write a time from 1s to 24h",
            ],
        ),
    ]);
}
