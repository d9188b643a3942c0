//! `[telemetry]` as written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::fields::{Field, Fields};
use crate::config::source::Located;
use crate::plan::{HistogramLogPlan, TelemetryPlan};

/// `[telemetry]`.
#[derive(Debug, Default)]
pub(in crate::config) struct TelemetryTable {
    pub buckets: Option<Vec<Located<Duration>>>,
    histogram_log: Option<HistogramLogTable>,
}

/// `histogram_log`.
#[derive(Debug)]
struct HistogramLogTable {
    file: Option<PathBuf>,
    interval: Option<Duration>,
    max_size: Option<u64>,
    keep: Option<u32>,
}

/// Each is a series for each route, server and phase.
const BUCKETS_MAX: usize = 64;
const BUCKET_LEAST: Duration = Duration::from_micros(1);
/// Latency is recorded up to there.
const BUCKET_MOST: Duration = Duration::from_secs(3600);

const INTERVAL_MAX: Duration = Duration::from_secs(24 * 3600);
/// Room for the lines of some intervals at least.
const SIZE_LEAST: u64 = 64 << 10;
const SIZE_MOST: u64 = 1 << 40;
const KEEP_MAX: u32 = 1000;

impl TelemetryTable {
    pub(super) fn read(mut fields: Fields<'_>) -> TelemetryTable {
        let log = fields.get("histogram_log").and_then(|field| field.table("`histogram_log`"));
        let table = TelemetryTable {
            buckets: fields.get("buckets").map(read_buckets),
            histogram_log: log.map(HistogramLogTable::read),
        };
        fields.finish();
        table
    }

    /// The plan: what is not set is as by default. The path of a file is relative to `folder`.
    pub fn plan(&self, folder: &Path) -> TelemetryPlan {
        let default = TelemetryPlan::default();
        let written = self.buckets.as_ref();
        TelemetryPlan {
            buckets: written.map_or(default.buckets, |buckets| {
                buckets.iter().map(|bucket| bucket.value).collect()
            }),
            histogram_log: self.histogram_log.as_ref().and_then(|log| log.plan(folder)),
        }
    }
}

impl HistogramLogTable {
    fn read(mut fields: Fields<'_>) -> HistogramLogTable {
        let file = fields.require("file", "file = \"/var/log/corelane/latency.hlog\"");
        let interval = Duration::from_secs(1)..=INTERVAL_MAX;
        let table = HistogramLogTable {
            file: file.and_then(read_path),
            interval: fields.get("interval").and_then(|field| field.duration(interval)),
            max_size: fields.get("max_size").and_then(|field| field.size(SIZE_LEAST..=SIZE_MOST)),
            keep: fields.get("keep").and_then(|field| field.whole32(0..=KEEP_MAX)),
        };
        fields.finish();
        table
    }

    fn plan(&self, folder: &Path) -> Option<HistogramLogPlan> {
        Some(HistogramLogPlan {
            file: folder.join(self.file.as_ref()?),
            interval: self.interval.unwrap_or(HistogramLogPlan::INTERVAL),
            max_size: self.max_size.unwrap_or(HistogramLogPlan::MAX_SIZE),
            keep: self.keep.unwrap_or(HistogramLogPlan::KEEP),
        })
    }
}

fn read_buckets(field: Field<'_>) -> Vec<Located<Duration>> {
    let items = field.list();
    let wrong = match items.len() {
        0 if field.is_list() => Some(("is empty", "name an upper bound, or remove it")),
        n if n > BUCKETS_MAX => Some(("is too long", "write 64 upper bounds at most")),
        _ => None,
    };
    if let Some((what, remedy)) = wrong {
        field.complain(format!("`buckets` {what}"), remedy);
    }
    let time = |field: Field<'_>| field.short_duration(BUCKET_LEAST..=BUCKET_MOST);
    items.into_iter().filter_map(|item| item.placed(time)).collect()
}

fn read_path(field: Field<'_>) -> Option<PathBuf> {
    let path = PathBuf::from(field.text()?.value);
    if path.file_name().is_none() {
        return field.refuse(
            format!("`file` is \"{}\", which names no file", path.display()),
            "write the path of a file",
        );
    }
    Some(path)
}
