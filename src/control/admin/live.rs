//! What goes on, as figures: the differences between what the shards had recorded at one moment and
//! at the next. Pure: the moments are arguments.
//!
//! Rates are those since the look before, which is a second; percentiles and shares are those of
//! the last ten seconds, since a second of a quiet server has too few requests for either.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Map, Value, json};

use super::view::Views;
use super::{InForce, Sample};
use crate::control::recent;
use crate::plan::ServerPlan;
use crate::telemetry::{Counters, Histogram, Latency, Phase, Report, ServerUse, StatusClass};

/// How far back percentiles and shares go.
pub const SPAN: Duration = Duration::from_secs(10);
/// Upper bounds of the heat map's classes, microseconds: four to a factor of ten.
const BOUNDS_US: [u64; 25] = [
    10, 18, 32, 56, 100, 180, 320, 560, 1_000, 1_800, 3_200, 5_600, 10_000, 18_000, 32_000, 56_000,
    100_000, 180_000, 320_000, 560_000, 1_000_000, 1_800_000, 3_200_000, 5_600_000, 10_000_000,
];

/// What was recorded at the last moments.
#[derive(Default)]
pub struct Window {
    /// The oldest first; all but the first are at most [`SPAN`] old.
    moments: VecDeque<Moment>,
}

/// What had been recorded up to a moment.
struct Moment {
    at: Instant,
    counters: Counters,
    total: Histogram<u64>,
    statuses: [u64; StatusClass::ALL.len()],
    bytes: [u64; 2],
    /// Requests of each shard.
    shards: Vec<u64>,
    servers: BTreeMap<u32, ServerUse>,
}

impl Window {
    /// Takes in what was seen at a moment, and says what went on since the one before; `None`:
    /// there was none.
    pub fn take(
        &mut self,
        sample: &Sample,
        views: &Views,
        at: Instant,
        wall: SystemTime,
    ) -> Option<Value> {
        let mut sum = Report::default();
        sample.shards.iter().for_each(|shard| sum.merge(shard));
        let now = Moment {
            at,
            counters: sum.counters,
            total: sample.measured.total.clone(),
            statuses: sample.measured.statuses,
            bytes: sample.measured.bytes,
            shards: sample.shards.iter().map(|shard| shard.counters.requests).collect(),
            servers: sum.servers,
        };
        let too_old = |moment: &Moment| at.saturating_duration_since(moment.at) > SPAN;
        while self.moments.len() > 1 && self.moments.get(1).is_some_and(too_old) {
            self.moments.pop_front();
        }
        let figures = match (self.moments.front(), self.moments.back()) {
            (Some(first), Some(last)) => Some(figures(sample, views, &now, last, first, wall)),
            _ => None,
        };
        self.moments.push_back(now);
        figures
    }
}

/// What went on from `last` to `now`, and since `first`.
fn figures(
    sample: &Sample,
    views: &Views,
    now: &Moment,
    last: &Moment,
    first: &Moment,
    wall: SystemTime,
) -> Value {
    let interval = now.at.saturating_duration_since(last.at).as_secs_f64();
    let rate = Rate(interval);
    let Counters { requests, refused, aborted, .. } = now.counters.since(&last.counters);
    let [bytes_in, bytes_out] = [0, 1].map(|way| now.bytes[way].saturating_sub(last.bytes[way]));
    json!({
        "at": milliseconds(wall),
        "interval_s": interval,
        "version": env!("CARGO_PKG_VERSION"),
        "process": std::process::id(),
        "state": if sample.status.draining { "draining" } else { "serving" },
        "requests_per_s": rate.of(requests),
        "bytes_in_per_s": rate.of(bytes_in),
        "bytes_out_per_s": rate.of(bytes_out),
        "status_per_s": statuses(now, last, rate),
        "client_left_per_s": rate.of(aborted),
        "own_errors_per_s": rate.of(refused),
        "phases": phases(&sample.measured.lately),
        "heat": heat(&now.total, &last.total),
        "shards": shards(sample, now, last, rate),
        "servers": servers(sample, views, now, last, first),
        "errors": errors(),
        "config": config(&sample.in_force),
    })
}

/// Makes counts of an interval, in seconds, to counts of a second.
#[derive(Clone, Copy)]
struct Rate(f64);

impl Rate {
    fn of(self, count: u64) -> f64 {
        // A tenth is as exact as anybody reads.
        let rate = if self.0 > 0.0 { count as f64 / self.0 } else { 0.0 };
        (rate * 10.0).round() / 10.0
    }
}

/// Milliseconds since 1970.
fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn phases(latency: &Latency) -> Map<String, Value> {
    let phase = |phase: Phase| {
        let histogram = latency.histogram(phase);
        let at = |percentile| histogram.value_at_percentile(percentile);
        let figures = json!({
            "count": histogram.len(),
            "p50": at(50.0), "p90": at(90.0), "p99": at(99.0), "p999": at(99.9),
            "max": histogram.max(),
        });
        (phase.label().to_owned(), figures)
    };
    Phase::ALL.into_iter().map(phase).collect()
}

/// How many requests took how long altogether; the last class has what is above the last bound.
fn heat(now: &Histogram<u64>, before: &Histogram<u64>) -> Value {
    let mut counts = [0_u64; BOUNDS_US.len() + 1];
    let mut histogram = now.clone();
    // It does not fail: what was recorded stays recorded.
    let _ = histogram.subtract(before);
    for value in histogram.iter_recorded() {
        let micros = histogram.lowest_equivalent(value.value_iterated_to());
        let class = BOUNDS_US.partition_point(|bound| *bound < micros);
        counts[class] += value.count_since_last_iteration();
    }
    json!({ "bounds_us": BOUNDS_US, "counts": counts.as_slice() })
}

fn shards(sample: &Sample, now: &Moment, last: &Moment, rate: Rate) -> Vec<Value> {
    let cpus = &sample.status.plan.shards.cpus;
    let shards = sample.shards.iter().zip(cpus).enumerate();
    let shard = shards.map(|(number, (report, cpu))| {
        let requests = |moment: &Moment| moment.shards.get(number).copied().unwrap_or_default();
        json!({
            "shard": number,
            "cpu": cpu,
            "connections": report.gauges.connections,
            "active": report.gauges.requests,
            "idle": report.gauges.idle,
            "requests_per_s": rate.of(requests(now).saturating_sub(requests(last))),
        })
    });
    shard.collect()
}

/// By class; `aborted`: the client left before there was an answer.
fn statuses(now: &Moment, last: &Moment, rate: Rate) -> Map<String, Value> {
    let counts =
        now.statuses.iter().zip(&last.statuses).map(|(now, last)| now.saturating_sub(*last));
    let classes = StatusClass::ALL.iter().map(|class| class.name()).zip(counts);
    classes.map(|(name, count)| (name.to_owned(), json!(rate.of(count)))).collect()
}

fn servers(
    sample: &Sample,
    views: &Views,
    now: &Moment,
    last: &Moment,
    first: &Moment,
) -> Vec<Value> {
    let rate = Rate(now.at.saturating_duration_since(last.at).as_secs_f64());
    let mut all = Vec::new();
    for upstream in &sample.status.plan.upstreams {
        let lately = |server: &ServerPlan| now.of(server).since(&first.of(server)).requests;
        let sum: u64 = upstream.servers.iter().map(lately).sum();
        for server in &upstream.servers {
            let Some(view) = views.get(&server.id) else { continue };
            let usage = now.of(server);
            let share = (sum > 0).then(|| lately(server) as f64 / sum as f64);
            all.push(json!({
                "id": server.id.0,
                "upstream": upstream.name,
                "server": server.host,
                "address": server.address.to_string(),
                "status": view.status.to_string(),
                "state": view.state.name(),
                "backup": server.backup,
                "weight": view.weight,
                "active": usage.active,
                "requests_per_s": rate.of(usage.since(&last.of(server)).requests),
                "share": share,
                "failures": usage.failures,
                "p99_us": sample.measured.p99s.get(&server.id),
            }));
        }
    }
    all
}

impl Moment {
    fn of(&self, server: &ServerPlan) -> ServerUse {
        self.servers.get(&server.id.0).copied().unwrap_or_default()
    }
}

fn errors() -> Vec<Value> {
    let lines = recent::lines().into_iter();
    let line = lines
        .map(|line| json!({ "at": milliseconds(line.at), "level": line.level, "text": line.text }));
    line.collect()
}

fn config(in_force: &InForce) -> Value {
    let last = in_force.last_reload.as_ref().map(|outcome| {
        let (ok, lines) = match &outcome.result {
            Ok(changes) if changes.is_empty() => (true, "nothing has changed".to_owned()),
            Ok(changes) => (true, changes.join("\n")),
            Err(errors) => (false, errors.join("\n")),
        };
        json!({ "at": milliseconds(outcome.at), "ok": ok, "text": lines })
    });
    json!({
        "file": in_force.written.files.first().map(|file| &file.name),
        "generation": in_force.generation,
        "last_reload": last,
    })
}
