//! What is told of measurements: `[telemetry]`.

use std::path::PathBuf;
use std::time::Duration;

/// How measurements are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryPlan {
    /// Upper bounds of the classic histograms of /metrics, ascending; at least one.
    pub buckets: Vec<Duration>,
    /// The file that histograms are written to.
    pub histogram_log: Option<HistogramLogPlan>,
}

impl Default for TelemetryPlan {
    fn default() -> Self {
        const MICROS: [u64; 15] = [
            250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
            1_000_000, 2_500_000, 5_000_000, 10_000_000,
        ];
        let buckets = MICROS.into_iter().map(Duration::from_micros).collect();
        TelemetryPlan { buckets, histogram_log: None }
    }
}

/// An interval log of latency histograms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistogramLogPlan {
    /// An absolute path.
    pub file: PathBuf,
    /// How much time each of its lines is about.
    pub interval: Duration,
    /// From this size on, bytes, another file is begun.
    pub max_size: u64,
    /// How many full files are kept beside it.
    pub keep: u32,
}

impl HistogramLogPlan {
    /// What holds where nothing else is written.
    pub const INTERVAL: Duration = Duration::from_secs(10);
    /// Likewise.
    pub const MAX_SIZE: u64 = 64 << 20;
    /// Likewise.
    pub const KEEP: u32 = 4;
}
