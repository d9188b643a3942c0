//! What tables say about each other and about the machine: one function for each.

mod access;
mod admin;
mod files;
mod limits;
mod names;
mod rate;
mod resolver;
mod retry;
mod steering;
mod sticky;
mod telemetry;
mod trust;
mod upstream;

use std::collections::HashMap;
use std::hash::Hash;

pub(super) use admin::read_token;
pub(super) use files::find_folders;

use super::Machine;
use super::complaint::{Complaints, nearest};
use super::file::{
    AccountWritten, File, ListenerTable, LogsWritten, RouteTable, ShardsWritten, UpstreamTable,
};
use super::source::{Located, Spot};
use crate::plan::Address;
use crate::route::HostPattern;

pub(super) use upstream::servers_file;

/// Where something is missing altogether: the beginning of the main file.
const FILE: Spot = Spot { file: 0, offset: 0 };

/// Complains of everything that does not fit together.
pub(super) fn all(file: &File, machine: &Machine, complaints: &Complaints) {
    shards(file.shards.as_ref(), machine, complaints);
    account(&file.account, complaints);
    limits::check(file, machine, complaints);
    listeners(&file.listeners, complaints);
    if let Some(table) = &file.admin {
        admin::check(table, &file.listeners, complaints);
    }
    steering::check(file, machine, complaints);
    trust::all(file, complaints);
    upstream_names(&file.upstreams, complaints);
    for upstream in &file.upstreams {
        upstream::check(upstream, complaints);
    }
    resolver::check(&file.resolver, complaints);
    telemetry::check(&file.telemetry, complaints);
    retry::all(file, complaints);
    sticky::all(file, complaints);
    routes(&file.routes, complaints);
    files::check(file, complaints);
    references(file, complaints);
    listener_names(file, complaints);
    names::check(file, complaints);
    rate::check(file, complaints);
    for listener in &file.listeners {
        let address = listener.address.as_ref().map(|address| &address.value);
        access::check(&listener.access, address, complaints);
    }
    for route in &file.routes {
        access::check(&route.access, None, complaints);
        if let (Some(said), None) = (&route.access_log, &file.access_log) {
            let remedy = "add [access_log], or remove it";
            complaints.warning(said.spot, "`access_log` has no effect: there is none", remedy);
        }
        let named = match (&route.access_log, &file.access_log) {
            (Some(Located { value: LogsWritten::Named(names), .. }), Some(log)) => {
                names.iter().filter(|name| !log.has(name)).collect()
            }
            _ => Vec::new(),
        };
        for name in named {
            let what = format!("there is no access log `{}`", name.value);
            complaints.error(
                name.spot,
                what,
                "name it in `more` of [access_log], or write \"main\"",
            );
        }
    }
}

/// The CPUs that `shards` takes; where it asks for too much, those that there are.
pub(super) fn shard_cpus(shards: Option<&Located<ShardsWritten>>, machine: &Machine) -> Vec<usize> {
    let count = match shards.map(|shards| &shards.value) {
        Some(ShardsWritten::Cpus(cpus)) => {
            return cpus.iter().filter_map(|cpu| usize::try_from(cpu.value).ok()).collect();
        }
        Some(ShardsWritten::Count(count)) => usize::try_from(*count).unwrap_or(usize::MAX),
        Some(ShardsWritten::Auto) | None => return machine.auto(),
    };
    machine.cpus.iter().copied().take(count).collect()
}

fn shards(shards: Option<&Located<ShardsWritten>>, machine: &Machine, complaints: &Complaints) {
    let available = machine.cpus.len();
    if available == 0 {
        let spot = shards.map_or(FILE, |shards| shards.spot);
        complaints.error(spot, "this process may use no CPU", "widen its CPU affinity");
        return;
    }
    let Some(shards) = shards else { return };
    match &shards.value {
        ShardsWritten::Auto => {}
        ShardsWritten::Count(count) => {
            if usize::try_from(*count).is_ok_and(|count| count <= available) {
                return;
            }
            let what = format!("{count} shards, but this process may use {}", cpus(available));
            let remedy = format!("write a count up to {available}, or \"auto\"");
            complaints.error(shards.spot, what, remedy);
        }
        ShardsWritten::Cpus(list) => {
            if list.is_empty() {
                let remedy = "name at least one CPU, or write \"auto\"";
                complaints.error(shards.spot, "`shards` is an empty list", remedy);
            }
            duplicates(list.iter().map(|cpu| (cpu.value, cpu.spot)), |cpu, spot| {
                let what = format!("CPU {cpu} is listed twice");
                complaints.error(spot, what, "a CPU runs one shard: remove it");
            });
            for cpu in list {
                if usize::try_from(cpu.value).is_ok_and(|cpu| machine.cpus.contains(&cpu)) {
                    continue;
                }
                let what = format!("this process may not use CPU {}", cpu.value);
                let remedy = format!("it may use {}", ranges(&machine.cpus));
                complaints.error(cpu.spot, what, remedy);
            }
        }
    }
}

fn account(account: &AccountWritten, complaints: &Complaints) {
    if let (None, Some(group)) = (&account.user, &account.group) {
        complaints.error(group.spot, "`group` is set, but no `user`", "set `user` too");
    }
}

fn cpus(count: usize) -> String {
    if count == 1 { "1 CPU".to_owned() } else { format!("{count} CPUs") }
}

/// `0-3, 6` for 0, 1, 2, 3, 6.
fn ranges(cpus: &[usize]) -> String {
    let mut sorted = cpus.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for cpu in sorted {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == cpu => *last = cpu,
            _ => runs.push((cpu, cpu)),
        }
    }
    let text = |(first, last): &(usize, usize)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    runs.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// Complains of every value after its first occurrence.
fn duplicates<T: Hash + Eq + Clone>(
    values: impl Iterator<Item = (T, Spot)>,
    mut complain: impl FnMut(&T, Spot),
) {
    let mut seen = HashMap::new();
    for (value, spot) in values {
        if seen.insert(value.clone(), spot).is_some() {
            complain(&value, spot);
        }
    }
}

fn listeners(listeners: &[ListenerTable], complaints: &Complaints) {
    if listeners.is_empty() {
        let remedy = "add [[listener]] with address = \"0.0.0.0:8080\"";
        complaints.error(FILE, "there is no listener", remedy);
    }
    let addresses = listeners.iter().filter_map(|listener| listener.address.as_ref());
    // Port 0 is a different free port each time.
    let fixed = addresses.filter(|address| match &address.value {
        Address::Ip(address) => address.port() != 0,
        Address::Unix(_) => true,
    });
    duplicates(fixed.map(|address| (address.value.clone(), address.spot)), |address, spot| {
        let what = format!("there is already a listener on {address}");
        complaints.error(spot, what, "remove one of them");
    });
}

fn upstream_names(upstreams: &[UpstreamTable], complaints: &Complaints) {
    let names = upstreams.iter().filter_map(|upstream| upstream.name.as_ref());
    duplicates(names.map(|name| (name.value.clone(), name.spot)), |name, spot| {
        let what = format!("there is already an upstream `{name}`");
        complaints.error(spot, what, "rename one, or put all servers into one upstream");
    });
}

fn routes(routes: &[RouteTable], complaints: &Complaints) {
    if routes.is_empty() {
        let remedy = "add [[route]] with upstream = \"app\"";
        complaints.error(FILE, "there is no route", remedy);
    }
    let found = routes.iter().filter(|route| route.is_found_by_path());
    let conditions = found.flat_map(|route| {
        let any = Located { value: HostPattern::Any, spot: route.path.spot };
        let hosts = if route.hosts.is_empty() { vec![any] } else { route.hosts.clone() };
        let path = route.path.pattern.as_ref().map(ToString::to_string);
        let listeners: Vec<String> = match route.listeners.is_empty() {
            true => vec![String::new()],
            false => route.listeners.iter().map(|name| name.value.clone()).collect(),
        };
        let condition = move |host: Located<HostPattern>| {
            let path = path.clone()?;
            let at = |by: &String| ((host.to_string(), path.clone(), by.clone()), host.spot);
            Some(listeners.iter().map(at).collect::<Vec<_>>())
        };
        hosts.into_iter().filter_map(condition).flatten()
    });
    duplicates(conditions, |(host, path, _), spot| {
        let what = match host.as_str() {
            "*" => format!("there is already a route for any host and {}", shown(path)),
            host => format!("there is already a route for {host} and {}", shown(path)),
        };
        complaints.error(spot, what, "this one could never answer: remove one of them");
    });
}

/// A pattern as its `Display` marks it, in words.
fn shown(path: &str) -> String {
    match path.split_at_checked(1) {
        Some(("=", path)) => format!("exactly `{path}`"),
        Some(("~", regex)) => format!("the expression `{regex}`"),
        Some(("^", path)) => format!("what begins with `{path}`"),
        _ => format!("`{path}`"),
    }
}

/// Routes name upstreams, and each upstream should be named.
fn references(file: &File, complaints: &Complaints) {
    let upstreams = file.upstreams.iter().filter_map(|upstream| upstream.name.as_ref());
    let named = file.routes.iter().filter_map(RouteTable::upstream);
    let remedy = "add a route or remove it";
    all_named("upstream", upstreams, named, remedy, complaints);
}

/// Routes name listeners.
fn listener_names(file: &File, complaints: &Complaints) {
    let names = file.listeners.iter().filter_map(|listener| listener.name.as_ref());
    duplicates(names.clone().map(|name| (name.value.clone(), name.spot)), |name, spot| {
        let what = format!("there is already a listener `{name}`");
        complaints.error(spot, what, "rename one");
    });
    let named = file.routes.iter().flat_map(|route| &route.listeners);
    let names: Vec<&str> = names.map(|name| name.value.as_str()).collect();
    for name in named.filter(|name| !names.contains(&name.value.as_str())) {
        let remedy = match nearest(&name.value, &names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add name = \"{}\" to a [[listener]]", name.value),
        };
        complaints.error(name.spot, format!("there is no listener `{}`", name.value), remedy);
    }
}

/// Complains of what routes name that there is not, and warns of what none of them names. `noun`:
/// what it is, and its table. `remedy`: of the warning.
fn all_named<'f>(
    noun: &str,
    defined: impl Iterator<Item = &'f Located<String>> + Clone,
    named: impl Iterator<Item = &'f Located<String>>,
    remedy: &str,
    complaints: &Complaints,
) {
    let names: Vec<&str> = defined.clone().map(|name| name.value.as_str()).collect();
    let mut used = Vec::new();
    for name in named {
        if names.contains(&name.value.as_str()) {
            used.push(name.value.as_str());
            continue;
        }
        let near = nearest(&name.value, &names);
        used.extend(near);
        let remedy = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add [[{noun}]] with name = \"{}\"", name.value),
        };
        complaints.error(name.spot, format!("there is no {noun} `{}`", name.value), remedy);
    }
    for name in defined.filter(|name| !used.contains(&name.value.as_str())) {
        let what = format!("no route uses the {noun} `{}`", name.value);
        complaints.warning(name.spot, what, remedy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_are_short() {
        assert_eq!(ranges(&[3, 0, 1, 2, 6]), "0-3, 6");
        assert_eq!(ranges(&[5]), "5");
        assert_eq!(ranges(&[]), "");
    }
}
