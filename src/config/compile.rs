//! Checked tables to a [`Plan`]. Nobody complained before and nothing can fail here: an entry
//! that had a mistake would be left out, but then this is not reached.

mod program;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

mod files;

use super::Machine;
use super::check::shard_cpus;
use super::file::{
    ActionWritten, AdminTable, File, HealthTable, ListenerTable, LogsWritten, PassiveTable,
    RateTable, RingTable, RouteTable, ServerEntry, SpliceTable, StickyTable, UpstreamTable,
};
use super::names::Names;
use super::source::Located;
use crate::balance::PolicyKind;
use crate::plan::{
    Action, ByHand, HashKey, Limits, ListenerPlan, MapPlan, Member, Plan, PoolPlan, QueuePlan,
    RetryPlan, RingPlan, RoutePlan, ServerId, ServersFile, ShardPlan, SplicePlan, Steering,
    TierChoice, Timeouts, UpstreamPlan,
};
use crate::route::{HostPattern, PathPattern, Table, TableBuilder};

/// The plan of a configuration without mistakes. Paths are relative to `folder`.
pub(super) fn plan(file: &File, machine: &Machine, folder: &Path, names: &Names) -> Plan {
    let timeouts = file.timeouts.over(&Timeouts::default());
    let limits = file.limits.over(&Limits::default());
    let compiled = file.routes.iter().filter_map(|written| {
        let mut plan = route(written, file, &timeouts, &limits)?;
        plan.program = program::program(written, file, names);
        Some((written, plan))
    });
    let (written, routes): (Vec<&RouteTable>, Vec<RoutePlan>) = compiled.unzip();
    let access_log = file.access_log.as_ref();
    Plan {
        shards: shards(file, machine),
        account: file.account.plan(),
        listeners: file.listeners.iter().filter_map(|table| listener(table, file)).collect(),
        admin: file.admin.as_ref().and_then(AdminTable::plan),
        access_log: access_log.and_then(|table| table.plan(folder)).map(Arc::new),
        tracing: file.tracing.clone(),
        upstreams: upstreams(file),
        resolver: file.resolver.plan(),
        telemetry: file.telemetry.plan(folder),
        file_cache: files::cache(file),
        rates: file.rates.iter().filter_map(RateTable::plan).collect(),
        maps: maps(file),
        table: Arc::new(table(&written, None)),
        tables: listener_tables(file, &written),
        routes: routes.into(),
        timeouts,
        limits,
    }
}

/// One line for people.
pub(super) fn summary(plan: &Plan) -> String {
    let servers: usize = plan.upstreams.iter().map(|upstream| upstream.all_members().count()).sum();
    format!(
        "{}, {} ({}), {}, {}",
        count(plan.listeners.len(), "listener"),
        count(plan.upstreams.len(), "upstream"),
        count(servers, "server"),
        count(plan.routes.len(), "route"),
        count(plan.shards.cpus.len(), "shard"),
    )
}

/// `1 route`, `2 routes`.
fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn shards(file: &File, machine: &Machine) -> ShardPlan {
    let cpus = shard_cpus(file.shards.as_ref(), machine);
    let connections =
        file.limits.connections.as_ref().map_or(ShardPlan::CONNECTIONS, |count| count.value);
    // Rounded up, so that the process as a whole serves at least what was asked for.
    let max_connections = connections.div_ceil((cpus.len() as u32).max(1));
    let per_client = file.limits.connections_per_client.as_ref();
    ShardPlan {
        cpus,
        max_connections,
        connections_per_client: per_client.and_then(|most| most.value),
        ring: ring(&file.ring),
        splice: splice(&file.splice),
    }
}

fn ring(table: &RingTable) -> RingPlan {
    RingPlan {
        tier: table.tier.unwrap_or(TierChoice::Auto),
        entries: table.entries.unwrap_or(4096),
        buffers: table.buffers.unwrap_or(8192),
    }
}

fn splice(table: &SpliceTable) -> SplicePlan {
    SplicePlan {
        enabled: table.enabled.unwrap_or(true),
        threshold: table.threshold.unwrap_or(64 << 10),
        pipe_size: table.pipe_size.map_or(SplicePlan::PIPE_SIZE, |size| size as usize),
        pipes: table.pipes.map_or(SplicePlan::PIPES, |pipes| pipes as usize),
    }
}

fn listener(table: &ListenerTable, file: &File) -> Option<ListenerPlan> {
    Some(ListenerPlan {
        name: table.name.as_ref().map(|name| name.value.clone()),
        address: table.address.as_ref()?.value.clone(),
        backlog: table.backlog.unwrap_or(ListenerPlan::BACKLOG),
        steering: table.steering.as_ref().map_or_else(Steering::default, |said| said.value),
        proxy_protocol: table.proxy_protocol.as_ref().is_some_and(|on| on.value),
        trusted_proxies: table.trusted_proxies.as_ref().unwrap_or(&file.trusted_proxies).plan(),
        forwarded_for: table.forwarded_for.unwrap_or(true),
        access: table.access.plan(),
    })
}

/// Servers are numbered in the order of the file.
fn upstreams(file: &File) -> Vec<Arc<UpstreamPlan>> {
    let mut upstreams: Vec<UpstreamPlan> = file.upstreams.iter().map(upstream).collect();
    let servers = upstreams.iter_mut().flat_map(|upstream| &mut upstream.servers);
    for (number, server) in (0..).zip(servers) {
        server.id = ServerId(number);
    }
    upstreams.into_iter().map(Arc::new).collect()
}

fn upstream(table: &UpstreamTable) -> UpstreamPlan {
    let hash_key = table.hash.as_ref().map_or(HashKey::ClientIp, |hash| hash.value.clone());
    let name = table.name.as_ref().map(|name| name.value.clone()).unwrap_or_default();
    let sticky = table.sticky.as_ref().map(StickyTable::plan);
    let servers_file = table.of_file.as_ref().map(|file| ServersFile {
        path: file.path.clone(),
        members: members(&file.servers).into(),
    });
    let mut plan = UpstreamPlan {
        name,
        policy: table.balance.unwrap_or(PolicyKind::RoundRobin),
        hash_key,
        members: members(&table.servers),
        servers_file,
        servers: Vec::new(),
        queue: QueuePlan {
            max: table.queue.max.unwrap_or(1024),
            timeout: table.queue.timeout.unwrap_or(Duration::from_secs(5)),
        },
        pool: PoolPlan {
            max_idle: table.pool.max_idle.unwrap_or(64) as usize,
            // Node closes idle connections after 5 s; being first avoids the race.
            idle_timeout: table.pool.idle_timeout.unwrap_or(Duration::from_secs(4)),
        },
        passive: table.passive.plan(),
        check: table.health.as_ref().map(HealthTable::plan),
        slow_start: table.slow_start.unwrap_or(Duration::ZERO),
        budget: table.retry.budget(),
        breaker: table.limits.plan(),
        sticky,
        proxy_protocol: table.proxy_protocol,
    };
    // No name has been looked up yet.
    plan.find(|_| &[]);
    plan
}

/// What entries without mistakes mean.
pub(super) fn members(entries: &[ServerEntry]) -> Vec<Member> {
    entries.iter().filter_map(member).collect()
}

fn member(entry: &ServerEntry) -> Option<Member> {
    Some(Member {
        address: entry.address.as_ref()?.value.clone(),
        weight: entry.weight.unwrap_or(1),
        backup: entry.backup.unwrap_or(false),
        max_connections: entry.max_connections,
        state: entry.state.unwrap_or_default(),
        passive: entry.passive.as_ref().map(PassiveTable::plan),
    })
}

fn route(
    table: &RouteTable,
    file: &File,
    timeouts: &Timeouts,
    limits: &Limits,
) -> Option<RoutePlan> {
    let mut timeouts = timeouts.clone();
    let mut retry = RetryPlan::default();
    let action = match table.action.as_ref()? {
        ActionWritten::Upstream(name) => {
            let named = |upstream: &UpstreamTable| {
                upstream.name.as_ref().is_some_and(|known| known.value == name.value)
            };
            let index = file.upstreams.iter().position(named)?;
            timeouts = file.upstreams[index].timeouts.over(&timeouts);
            retry = file.upstreams[index].retry.over(&retry);
            Action::Upstream(index)
        }
        ActionWritten::Respond { status, body } => {
            Action::Respond { status: *status, body: body.clone() }
        }
        ActionWritten::Redirect(redirect) => Action::Redirect(redirect.clone()),
        ActionWritten::Files(files) => {
            Action::Files(Box::new(files::plan(files, table.path.pattern.as_ref()?, file)?))
        }
    };
    Some(RoutePlan {
        name: table.name.clone().unwrap_or_else(|| route_name(table)),
        hosts: table.hosts.iter().map(|host| host.to_string()).collect(),
        path: table.path.text.clone(),
        internal: table.internal,
        program: None,
        action,
        pass_forwarding: table.pass_forwarding,
        request_fields: table.request_fields.clone(),
        response_fields: table.response_fields.clone(),
        expires: table.expires.clone(),
        timeouts: table.timeouts.over(&timeouts),
        limits: table.limits.over(limits),
        retry: table.retry.over(&retry),
        rates: table.rates.iter().filter_map(|name| rate_index(file, name)).collect(),
        access: table.access.plan(),
        content: table.content.plan(file.compress.as_ref()),
        by_hand: ByHand::default(),
        access_log: logs(table, file),
    })
}

/// The numbers of the logs that a route's requests are in.
fn logs(table: &RouteTable, file: &File) -> Vec<usize> {
    match table.access_log.as_ref().map(|written| &written.value) {
        None | Some(LogsWritten::Usual(true)) => vec![0],
        Some(LogsWritten::Usual(false)) => Vec::new(),
        Some(LogsWritten::Named(names)) => {
            let plan = file.access_log.as_ref().and_then(|table| table.plan(Path::new("")));
            let number = |name: &Located<String>| plan.as_ref()?.number(&name.value);
            names.iter().filter_map(number).collect()
        }
    }
}

fn rate_index(file: &File, name: &str) -> Option<usize> {
    file.rates.iter().position(|rate| rate.name.as_ref().is_some_and(|known| known.value == name))
}

/// `host path`, for a route without a name.
fn route_name(table: &RouteTable) -> String {
    let hosts: Vec<String> = table.hosts.iter().map(|host| host.to_string()).collect();
    let hosts = if hosts.is_empty() { "*".to_owned() } else { hosts.join(",") };
    format!("{hosts} {}", table.path.text)
}

/// The table answers with an index into the routes of the plan, so it is built from exactly those.
///
/// `listener`: one that routes name; what they hold is for it too if they name none.
fn table(routes: &[&RouteTable], listener: Option<&str>) -> Table {
    let mut builder = TableBuilder::new();
    for (index, route) in routes.iter().enumerate() {
        if !route.is_for(listener) || !route.is_found_by_path() {
            continue;
        }
        let hosts: Vec<HostPattern> = route.hosts.iter().map(|host| host.value.clone()).collect();
        if let Some(path) = &route.path.pattern {
            builder.add(&hosts, path.clone(), index);
        }
        if let (Some(PathPattern::Start { path, .. }), Some(_)) =
            (&route.path.pattern, route.upstream())
        {
            builder.add_slash(&hosts, path, index);
        }
    }
    builder.build()
}

fn maps(file: &File) -> Arc<[(u32, MapPlan)]> {
    let named = file.maps.iter().filter_map(|map| Some((map.name.as_ref()?.1, map.plan.clone())));
    let mut maps: Vec<(u32, MapPlan)> = named.collect();
    maps.sort_by_key(|(number, _)| *number);
    maps.into()
}

/// One for each listener that a route names.
fn listener_tables(file: &File, routes: &[&RouteTable]) -> Arc<[(String, Table)]> {
    let names = file.listeners.iter().filter_map(|listener| listener.name.as_ref());
    let named = names.filter(|name| {
        routes.iter().flat_map(|route| &route.listeners).any(|known| known.value == name.value)
    });
    named.map(|name| (name.value.clone(), table(routes, Some(&name.value)))).collect()
}
