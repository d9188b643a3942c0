//! What holds for the whole process: user, times, sizes, names, logs.

use super::quantity::{size_text, time_text};
use super::real_ip::RealIp;
use super::scope::Scope;
use super::toml::{self, Table};
use super::tree::{Directive, Word};
use super::work::Work;

/// Lines and tables that come first. `servers` are the scopes of all servers.
pub(super) fn tables(
    main: &[Directive],
    servers: &[Scope<'_>],
    real_ip: &RealIp,
    work: &Work<'_>,
) -> Vec<Table> {
    let mut top = Table::new("");
    account(main, &mut top);
    // Where PROXY headers name clients, the listeners for those say who may.
    if !real_ip.networks.is_empty() && !real_ip.by_proxy {
        top.put("trusted_proxies", toml::list(&real_ip.networks));
    }
    let mut tables = vec![top, timeouts(main, servers, work), limits(servers, work)];
    tables.extend(super::pages::of_all(servers, work));
    tables.extend(resolver(work));
    tables.extend(log(main, work));
    tables
}

fn account(main: &[Directive], top: &mut Table) {
    if let Some(user) = main.iter().find(|directive| directive.is("user")) {
        top.text("user", user.argument(0));
        // nginx takes a group of the user's name where none is said.
        if user.arguments.len() > 1 {
            top.text("group", user.argument(1));
        }
    }
}

/// What the servers say together of a setting that Corelane has once, with what holds for those
/// that say nothing. One that says something else than the others is complained of.
fn common<'t, T: PartialEq + Copy>(
    name: &str,
    default: T,
    servers: &[Scope<'t>],
    work: &Work<'t>,
    read: impl Fn(&'t Directive) -> Option<T>,
) -> T {
    let value = |scope: &Scope<'t>| scope.one(name).and_then(&read).unwrap_or(default);
    let common = servers.first().map_or_else(|| value(&work.http), &value);
    let what = format!("`{name}` is not the same for all servers");
    let remedy = "it holds for all connections: write it once, in `http`";
    if servers.iter().any(|server| value(server) != common) {
        // Of those that differ, the one that stands last is the more particular.
        let said = servers.iter().filter_map(|server| server.one(name));
        if let Some(last) = said.max_by_key(|directive| directive.place()) {
            work.complaints.error(last.place(), what, remedy);
        }
        return common;
    }
    let in_locations = servers.iter().flat_map(|server| server.own("location"));
    for directive in in_locations.flat_map(|location| all_named(name, location.children())) {
        if read(directive).is_some_and(|value| value != common) {
            let what = format!("`{name}` is not the same in this location as around it");
            work.complaints.error(directive.place(), what, remedy);
        }
    }
    common
}

/// All directives of this name in a block and those in it, but for upstreams.
fn all_named<'t>(name: &str, block: &'t [Directive]) -> Vec<&'t Directive> {
    let mut found = Vec::new();
    for directive in block.iter().filter(|directive| !directive.is("upstream")) {
        if directive.is(name) {
            found.push(directive);
        }
        found.extend(all_named(name, directive.children()));
    }
    found
}

fn timeouts(main: &[Directive], servers: &[Scope<'_>], work: &Work<'_>) -> Table {
    let time = |name: &str, default| {
        common(name, default, servers, work, |directive| {
            let word = directive.arguments.first()?;
            work.time(word)
        })
    };
    let mut table = Table::new("[timeouts]");
    let header = time("client_header_timeout", 60_000).max(1);
    table.text("header", &time_text(header));
    let keepalive = time("keepalive_timeout", 75_000);
    table.text("keepalive", &time_text(keepalive.max(1)));
    table.text("connect", "60s");
    let read = work.time_of(&work.http, "proxy_read_timeout", 60_000).max(1);
    table.text("response", &time_text(read));
    let body = ["client_body_timeout", "send_timeout"]
        .map(|name| work.time_of(&work.http, name, 60_000).max(1));
    table.text("body_idle", &time_text(read.max(body[0]).max(body[1])));
    table.text("tunnel_idle", &time_text(read));
    if let Some(directive) = main.iter().find(|one| one.is("worker_shutdown_timeout"))
        && let Some(time) = directive.arguments.first().and_then(|word| work.time(word))
    {
        table.text("drain", &time_text(time));
    }
    for name in ["client_body_timeout", "send_timeout"] {
        for directive in all_named(name, work.http.block()) {
            let what = format!("`{name}` and `proxy_read_timeout` are one time here");
            let why = "between two reads or writes of a body the longest of them may pass";
            work.complaints.note(directive.place(), what, why);
        }
    }
    for directive in all_named("keepalive_timeout", work.http.block()) {
        if let Some(told) = directive.arguments.get(1) {
            let what = format!("clients are not told the `{}` of `keepalive_timeout`", told.text);
            let why = "HTTP/1.1 does without the field Keep-Alive";
            work.complaints.note(told.place, what, why);
        }
    }
    table
}

/// The most that a head may have, so that fields can be added to it in one buffer.
const HEAD_MAX: u64 = 31 << 10;

fn limits(servers: &[Scope<'_>], work: &Work<'_>) -> Table {
    let mut table = Table::new("[limits]");
    let name = "large_client_header_buffers";
    let size = |directive: &Directive| {
        let [count, size] = directive.arguments.as_slice() else { return None };
        let count: u64 = count.text.parse().ok()?;
        Some(count.saturating_mul(work.size(size)?))
    };
    let heads = common(name, 32 << 10, servers, work, size);
    for directive in all_named(name, work.http.block()) {
        if size(directive).is_some_and(|size| size > 32 << 10) {
            let what = "a head may have 31 KiB at most";
            work.complaints.note(directive.place(), what, "a larger one is answered 431");
        }
    }
    table.text("header_bytes", &size_text(heads.clamp(1 << 10, HEAD_MAX)));
    table.put("header_fields", 256);
    table.put("body", super::server::body_limit(&work.http, work));
    // nginx waits as long as bytes come at all.
    table.text("body_rate", "none");
    let requests = common("keepalive_requests", 1000, servers, work, |directive| {
        directive.argument(0).parse::<u32>().ok()
    });
    let closes = common("keepalive_timeout", false, servers, work, |directive| {
        Some(directive.arguments.first().and_then(|word| work.time(word))? == 0)
    });
    let requests = if closes { 1 } else { requests.max(1) };
    table.put("keepalive_requests", requests);
    if let Some(count) = work.rates.connections_per_client() {
        table.put("connections_per_client", count);
    }
    table
}

/// `resolver`, wherever it is said: there is one for all.
fn resolver(work: &Work<'_>) -> Option<Table> {
    let all = all_named("resolver", work.http.block());
    let directive = *all.first()?;
    let texts = |directive: &Directive| -> Vec<String> {
        directive.arguments.iter().map(|word| word.text.clone()).collect()
    };
    for other in &all[1..] {
        if texts(other) != texts(directive) {
            let what = "`resolver` is not the same everywhere";
            work.complaints.error(other.place(), what, "write it once, in `http`");
        }
    }
    let mut table = Table::new("[resolver]");
    table.comment(work.origin(directive.place()));
    let servers: Vec<String> =
        directive.arguments.iter().filter_map(|word| name_server(word, work)).collect();
    table.put("nameservers", toml::list(servers));
    let times = all_named("resolver_timeout", work.http.block());
    let mut found: Option<u64> = None;
    for directive in times {
        let Some(time) = directive.arguments.first().and_then(|word| work.time(word)) else {
            continue;
        };
        if found.is_some_and(|known| known != time) {
            let what = "`resolver_timeout` is not the same everywhere";
            work.complaints.error(directive.place(), what, "write it once, in `http`");
        }
        found = found.or(Some(time));
    }
    table.text("timeout", &time_text(found.unwrap_or(30_000).max(1)));
    Some(table)
}

/// The address that a word of `resolver` is, if it is one.
fn name_server(word: &Word, work: &Work<'_>) -> Option<String> {
    let text = word.text.as_str();
    if let Some(("valid" | "ipv4" | "ipv6" | "status_zone", _)) = text.split_once('=') {
        let what = format!("`{text}` of `resolver` is not needed");
        let why = "names are looked up again when their time to live is over";
        work.complaints.note(word.place, what, why);
        return None;
    }
    let address = text.trim_start_matches('[').trim_end_matches(']');
    if address.parse::<std::net::IpAddr>().is_ok() {
        return Some(address.to_owned());
    }
    if text.parse::<std::net::SocketAddr>().is_ok() {
        return Some(text.to_owned());
    }
    let what = format!("`{text}` is not a name server's address");
    work.complaints.error(word.place, what, "write its IP address");
    None
}

/// `error_log`: the level; where messages go is for who starts the process.
fn log(main: &[Directive], work: &Work<'_>) -> Option<Table> {
    let said = main.iter().filter(|directive| directive.is("error_log"));
    let said: Vec<&Directive> = said.chain(work.http.own("error_log")).collect();
    for directive in &said {
        let what = format!("messages do not go to `{}`", directive.argument(0));
        let why = "they go to standard error, which systemd keeps in its journal";
        work.complaints.note(directive.place(), what, why);
    }
    for directive in all_named("error_log", work.http.block()) {
        if !said.iter().any(|known| std::ptr::eq(*known, directive)) {
            let what = format!("messages do not go to `{}`", directive.argument(0));
            let why = "they go to standard error, and there is one level for all of them";
            work.complaints.note(directive.place(), what, why);
        }
    }
    let directive = said.last()?;
    let level = match directive.argument(1) {
        "" => return None,
        "debug" => "debug",
        "info" | "notice" => "info",
        "warn" => "warn",
        "error" | "crit" | "alert" | "emerg" => "error",
        other => {
            let what = format!("`{other}` is no level");
            let remedy = "there are debug, info, notice, warn, error, crit, alert and emerg";
            work.complaints.error(directive.place(), what, remedy);
            return None;
        }
    };
    let mut table = Table::new("[log]");
    table.comment(work.origin(directive.place()));
    table.text("level", level);
    Some(table)
}
