//! Which metrics there are.

use std::time::SystemTime;

use super::family::{Distribution, Family, Kind, Value};
use super::process;
use crate::control::admin::{Overview, Views};
use crate::control::health::Status;
use crate::control::observe::Key;
use crate::plan::ServerId;
use crate::telemetry::{
    Counters, Gauges, KEYS_MAX, Latency, Method, Phase, ServerUse, StatusClass,
};
use Kind::{Counter, Gauge, Histogram};

/// What stands for all that has no series of its own.
pub const OTHER: &str = "(other)";
/// What stands for the route of requests that have none.
pub const NONE: &str = "(none)";

/// All that is known, and `views` of the servers.
pub fn collect(overview: &Overview<'_>, views: &Views) -> Vec<Family> {
    let mut families = about(overview);
    families.extend(requests(overview));
    families.extend(servers(overview, views));
    families.extend(totals(overview));
    families.extend(shards(overview));
    families.extend(process::families());
    families
}

fn about(overview: &Overview<'_>) -> Vec<Family> {
    let version = env!("CARGO_PKG_VERSION");
    let tier = overview.tier.to_string();
    let build = Family::new("corelane_build_info", Gauge, "1, with the version.")
        .with(&[("version", version)], true);
    let tier = Family::new("corelane_ring_tier_info", Gauge, "1, with the io_uring tier.")
        .with(&[("tier", &tier)], true);
    let draining =
        Family::new("corelane_draining", Gauge, "Whether the process accepts no more clients.")
            .with(&[], overview.draining);
    let reloads = overview.reloads;
    let (ok, refused) = reloads.counts();
    let help = "Reloads of the configuration, by their result.";
    let counts = Family::new("corelane_reloads_total", Counter, help)
        .with(&[("result", "ok")], ok)
        .with(&[("result", "refused")], refused);
    let help = "Whether the last reload was accepted; 1 before the first.";
    let last = reloads.last();
    let accepted = Family::new("corelane_last_reload_successful", Gauge, help)
        .with(&[], last.is_none_or(|last| last.result.is_ok()));
    let help = "When the last reload was over, since 1970; 0 before the first.";
    let seconds = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let at = last.map_or(0.0, |last| seconds(last.at).as_secs_f64());
    let when = Family::new("corelane_last_reload_timestamp_seconds", Gauge, help).with(&[], at);
    vec![build, tier, draining, counts, accepted, when]
}

fn requests(overview: &Overview<'_>) -> Vec<Family> {
    let help = "Requests that ended, by route, method and class of status.";
    let mut requests = Family::new("corelane_requests_total", Counter, help);
    let help = "Body bytes from clients.";
    let mut from = Family::new("corelane_request_body_bytes_total", Counter, help);
    let help = "Body bytes to clients, tunnels left out.";
    let mut to = Family::new("corelane_response_body_bytes_total", Counter, help);
    let help = "Time that the phases of requests took, by route.";
    let mut times = Family::new("corelane_request_duration_seconds", Histogram, help);
    for (key, route) in &overview.ledger.routes {
        let name = match key {
            Key::Route(name) => name,
            Key::NoRoute => NONE,
            _ => OTHER,
        };
        for (method, counts) in Method::ALL.into_iter().zip(&route.requests) {
            for (status, count) in StatusClass::ALL.into_iter().zip(counts) {
                if *count > 0 {
                    let labels =
                        [("route", name), ("method", method.name()), ("status", status.name())];
                    requests.push(&labels, *count);
                }
            }
        }
        from.push(&[("route", name)], route.from_clients);
        to.push(&[("route", name)], route.to_clients);
        add_phases(&mut times, &[("route", name)], &route.latency);
    }
    vec![requests, from, to, times]
}

fn add_phases(family: &mut Family, labels: &[(&'static str, &str)], latency: &Latency) {
    for phase in Phase::ALL {
        if let Some(distribution) = Distribution::of(latency, phase) {
            let labels = [labels, &[("phase", phase.label())]].concat();
            family.add(&labels, Value::Distribution(distribution));
        }
    }
}

fn servers(overview: &Overview<'_>, views: &Views) -> Vec<Family> {
    let help = "Requests that ended, by the server that they were tried on last, and status.";
    let mut requests = Family::new("corelane_server_requests_total", Counter, help);
    let help = "Time that the phases of requests took, by the server that they went to last.";
    let mut times = Family::new("corelane_server_duration_seconds", Histogram, help);
    let mut measured = |key: &Key, upstream: &str, server: &str| {
        let Some(totals) = overview.ledger.servers.get(key) else { return };
        let labels = [("upstream", upstream), ("server", server)];
        for (status, count) in StatusClass::ALL.into_iter().zip(totals.requests) {
            if count > 0 {
                let labels = [labels.as_slice(), &[("status", status.name())]].concat();
                requests.push(&labels, count);
            }
        }
        add_phases(&mut times, &labels, &totals.latency);
    };
    let report = overview.reports.sum();
    let mut now = ServersNow::new();
    let all =
        overview.plan.upstreams.iter().flat_map(|upstream| {
            upstream.servers.iter().map(move |server| (&upstream.name, server))
        });
    for (upstream, server) in all.take(KEYS_MAX) {
        let address = server.address.to_string();
        measured(&Key::Server(server.id), upstream, &address);
        let usage = report.servers.get(&server.id.0).copied().unwrap_or_default();
        now.add([("upstream", upstream), ("server", &address)], server.id, usage, views);
    }
    measured(&Key::OtherServers, OTHER, OTHER);
    let mut families = vec![requests, times];
    families.extend(now.0);
    families
}

/// How servers are now.
struct ServersNow([Family; 6]);

impl ServersNow {
    fn new() -> ServersNow {
        let gauge = |name, help| Family::new(name, Gauge, help);
        ServersNow([
            gauge("corelane_server_up", "Whether a server takes requests."),
            gauge("corelane_server_status", "1 for what a server is, 0 for what it is not."),
            gauge("corelane_server_weight", "Its share of new requests."),
            gauge("corelane_server_active_requests", "Requests in progress at a server."),
            gauge("corelane_server_idle_connections", "Idle connections to a server."),
            Family::new("corelane_server_attempts_total", Counter, "Requests begun at a server."),
        ])
    }

    fn add(
        &mut self,
        labels: [(&'static str, &str); 2],
        id: ServerId,
        usage: ServerUse,
        views: &Views,
    ) {
        let [up, statuses, weight, active, idle, attempts] = &mut self.0;
        active.push(&labels, usage.active);
        idle.push(&labels, usage.idle);
        attempts.push(&labels, usage.requests);
        let Some(view) = views.get(&id) else { return };
        up.push(&labels, view.status.is_up());
        weight.push(&labels, u64::from(view.weight));
        for status in Status::ALL {
            let text = status.to_string();
            let labels = [labels.as_slice(), &[("status", &text)]].concat();
            statuses.push(&labels, status == view.status);
        }
    }
}

/// Counters of all shards together.
fn totals(overview: &Overview<'_>) -> Vec<Family> {
    let mut sum = overview.reports.sum().counters;
    sum.merge(&overview.besides);
    type Of = fn(&Counters) -> u64;
    type Row = (&'static str, &'static str, &'static str, &'static [(&'static str, Of)]);
    const ROWS: [Row; 10] = [
        (
            "corelane_retries_total",
            "Requests tried again, by the cause.",
            "cause",
            &[
                ("connect", |of| of.connect_retries),
                ("stale", |of| of.stale_retries),
                ("status", |of| of.status_retries),
                ("timeout", |of| of.timeout_retries),
                ("closed", |of| of.closed_retries),
            ],
        ),
        (
            "corelane_denied_total",
            "Requests refused, or not tried again, by what an upstream may have.",
            "reason",
            &[("budget", |of| of.budget_refusals), ("limit", |of| of.breaker_refusals)],
        ),
        (
            "corelane_server_changes_total",
            "Servers that stopped or began to take requests.",
            "change",
            &[
                ("ejected", |of| of.ejections),
                ("checked_out", |of| of.checked_out),
                ("returned", |of| of.returns),
            ],
        ),
        (
            "corelane_upstream_connections_total",
            "Connections that requests went out on: from the pool or new.",
            "source",
            &[("pool", |of| of.reused), ("new", |of| of.dialled)],
        ),
        (
            "corelane_body_bytes_total",
            "Body bytes forwarded, by the way they took; tunnels included.",
            "way",
            &[("copied", |of| of.copied), ("spliced", |of| of.spliced)],
        ),
        (
            "corelane_own_errors_total",
            "Answers of the proxy's own that say something went wrong.",
            "reason",
            &[
                ("forbidden", |of| of.forbidden),
                ("too_many", |of| of.too_many),
                ("other", |of| of.refused.saturating_sub(of.forbidden + of.too_many)),
            ],
        ),
        (
            "corelane_connections_refused_total",
            "Client connections closed before their first request.",
            "reason",
            &[("proxy_header", |of| of.proxy_headers_refused), ("crowded", |of| of.crowded)],
        ),
        (
            "corelane_aborted_total",
            "Requests whose client went away.",
            "",
            &[("", |of| of.aborted)],
        ),
        (
            "corelane_tunnels_total",
            "Connections that became tunnels.",
            "",
            &[("", |of| of.tunnels)],
        ),
        (
            "corelane_access_log_lines_lost_total",
            "Requests missing in the access log: it could not be written as fast, or at all.",
            "",
            &[("", |of| of.log_lines_lost)],
        ),
    ];
    let families = ROWS.iter().map(|(name, help, label, rows)| {
        let mut family = Family::new(name, Counter, help);
        for (value, number) in *rows {
            match label.is_empty() {
                true => family.push(&[], number(&sum)),
                false => family.push(&[(label, value)], number(&sum)),
            }
        }
        family
    });
    families.collect()
}

/// What each shard counts and holds.
fn shards(overview: &Overview<'_>) -> Vec<Family> {
    let counter = |name, help| Family::new(name, Counter, help);
    let gauge = |name, help| Family::new(name, Gauge, help);
    let mut info = gauge("corelane_shard_info", "1, with the CPU that the shard runs on.");
    let mut accepted =
        counter("corelane_connections_accepted_total", "Client connections accepted.");
    let help = "Connections handed to a less loaded shard.";
    let mut handed = counter("corelane_connections_handed_over_total", help);
    let mut connections = gauge("corelane_connections", "Client connections open.");
    let help = "Requests that an upstream was asked for, by what they do.";
    let mut requests = gauge("corelane_requests_in_progress", help);
    let mut idle = gauge("corelane_upstream_idle_connections", "Connections in the pools.");
    let mut enters = counter("corelane_ring_enters_total", "Calls of io_uring_enter.");
    let mut completions = counter("corelane_ring_completions_total", "Completions taken.");
    let mut operations = gauge("corelane_ring_operations", "Operations under way.");
    let mut buffers = gauge("corelane_receive_buffers", "Receive buffers that have memory.");
    let help = "The most receive buffers that a shard may have.";
    let mut buffers_max = gauge("corelane_receive_buffers_max", help);
    let mut pipes = gauge("corelane_pipes", "Pipes that exist.");
    for (number, report) in overview.reports.each().enumerate() {
        let shard = number.to_string();
        let plain = [("shard", shard.as_str())];
        if let Some(cpu) = overview.plan.shards.cpus.get(number) {
            info.push(&[plain[0], ("cpu", &cpu.to_string())], true);
        }
        let Counters { ring_enters, ring_completions, .. } = report.counters;
        let held: &Gauges = &report.gauges;
        accepted.push(&plain, report.counters.accepted);
        handed.push(&plain, report.counters.handed_over);
        let busy = held.requests.min(held.connections);
        connections.push(&[plain[0], ("state", "active")], busy);
        connections.push(&[plain[0], ("state", "idle")], held.connections - busy);
        let forwarded = held.requests.saturating_sub(held.waiting);
        requests.push(&[plain[0], ("state", "queued")], held.queued);
        let connecting = held.waiting.saturating_sub(held.queued);
        requests.push(&[plain[0], ("state", "connecting")], connecting);
        requests.push(&[plain[0], ("state", "forwarded")], forwarded);
        idle.push(&plain, held.idle);
        enters.push(&plain, ring_enters);
        completions.push(&plain, ring_completions);
        operations.push(&plain, held.operations);
        let free = held.buffers.saturating_sub(held.buffers_lent);
        buffers.push(&[plain[0], ("state", "used")], held.buffers_lent);
        buffers.push(&[plain[0], ("state", "free")], free);
        buffers_max.push(&plain, u64::from(overview.plan.shards.ring.buffers));
        pipes.push(&[plain[0], ("state", "used")], held.pipes_lent);
        pipes.push(&[plain[0], ("state", "free")], held.pipes.saturating_sub(held.pipes_lent));
    }
    vec![
        info,
        accepted,
        handed,
        connections,
        requests,
        idle,
        enters,
        completions,
        operations,
        buffers,
        buffers_max,
        pipes,
    ]
}
