//! What holds for the whole process: user, times, sizes, names, logs.

use super::quantity::{size_text, time_text};
use super::scope::Scope;
use super::toml::{self, Table};
use super::tree::{Directive, Place};
use super::work::Work;

/// Lines and tables that come first. `servers` are the scopes of all servers.
pub(super) fn tables(main: &[Directive], servers: &[Scope<'_>], work: &Work<'_>) -> Vec<Table> {
    let mut top = Table::new("");
    account(main, &mut top);
    trusted(servers, &mut top, work);
    let mut tables = vec![top, timeouts(main, servers, work), limits(servers, work)];
    tables.extend(super::pages::of_all(servers, work));
    tables.extend(resolver(servers, work));
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

/// What the servers say together of a setting that Corelane has once. One that says something
/// else than the others is complained of.
fn common<'t, T: PartialEq + Copy>(
    name: &str,
    servers: &[Scope<'t>],
    work: &Work<'t>,
    read: impl Fn(&'t Directive) -> Option<T>,
) -> Option<T> {
    let mut found: Option<(T, Place)> = None;
    for server in servers.iter().chain([&work.http]) {
        let Some(directive) = server.one(name) else { continue };
        let Some(value) = read(directive) else { continue };
        match found {
            None => found = Some((value, directive.place())),
            Some((first, place)) if first != value => {
                // One of the two is the more particular.
                let later = if place > directive.place() { place } else { directive.place() };
                let what = format!("`{name}` is not the same for all servers");
                let remedy = "it holds for all connections: write it once, in `http`";
                work.complaints.error(later, what, remedy);
            }
            Some(_) => {}
        }
    }
    found.map(|(value, _)| value)
}

fn timeouts(main: &[Directive], servers: &[Scope<'_>], work: &Work<'_>) -> Table {
    let time = |name: &str| {
        common(name, servers, work, |directive| {
            let word = directive.arguments.first()?;
            work.time(word)
        })
    };
    let mut table = Table::new("[timeouts]");
    let header = time("client_header_timeout").unwrap_or(60_000).max(1);
    table.text("header", &time_text(header));
    let keepalive = time("keepalive_timeout").unwrap_or(75_000);
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
        if let Some(directive) = work.http.one(name) {
            let what = format!("`{name}` and `proxy_read_timeout` are one time here");
            let why = "between two reads or writes of a body the longest of them may pass";
            work.complaints.note(directive.place(), what, why);
        }
    }
    table
}

/// The most that a head may have, so that fields can be added to it in one buffer.
const HEAD_MAX: u64 = 31 << 10;

fn limits(servers: &[Scope<'_>], work: &Work<'_>) -> Table {
    let mut table = Table::new("[limits]");
    let heads = common("large_client_header_buffers", servers, work, |directive| {
        let [count, size] = directive.arguments.as_slice() else { return None };
        let count: u64 = count.text.parse().ok()?;
        Some(count.saturating_mul(work.size(size)?))
    });
    let heads = heads.unwrap_or(32 << 10);
    if heads > 32 << 10
        && let Some(directive) = work.http.one("large_client_header_buffers")
    {
        let what = "a head may have 31 KiB at most";
        let why = "a larger one is answered 431";
        work.complaints.note(directive.place(), what, why);
    }
    table.text("header_bytes", &size_text(heads.clamp(1 << 10, HEAD_MAX)));
    table.put("header_fields", 256);
    table.put("body", super::server::body_limit(&work.http, work));
    // nginx waits as long as bytes come at all.
    table.text("body_rate", "none");
    let requests = common("keepalive_requests", servers, work, |directive| {
        directive.argument(0).parse::<u32>().ok()
    });
    let closes = common("keepalive_timeout", servers, work, |directive| {
        Some(directive.arguments.first().and_then(|word| work.time(word))? == 0)
    });
    let requests = if closes == Some(true) { 1 } else { requests.unwrap_or(1000).max(1) };
    table.put("keepalive_requests", requests);
    if let Some(count) = work.rates.connections_per_client() {
        table.put("connections_per_client", count);
    }
    table
}

/// `set_real_ip_from` and the directives with it.
fn trusted(servers: &[Scope<'_>], top: &mut Table, work: &Work<'_>) {
    let mut found: Option<(Vec<String>, Place)> = None;
    for server in servers {
        let said = server.nearest(&["set_real_ip_from"]);
        let Some(first) = said.first() else { continue };
        let mut networks = Vec::new();
        for directive in &said {
            let text = directive.argument(0);
            match super::access::network_text(text) {
                Some(network) if !networks.contains(&network) => networks.push(network),
                Some(_) => {}
                None => {
                    let why = "proxies are trusted by address";
                    work.refuse(directive, why, "write the address or the network");
                }
            }
        }
        header(server, first, work);
        match &found {
            Some((others, _)) if *others != networks => {
                let what = "`set_real_ip_from` is not the same for all servers";
                let remedy = "it holds for all: write it once, in `http`";
                work.complaints.error(first.place(), what, remedy);
            }
            _ => found = Some((networks, first.place())),
        }
    }
    if let Some((networks, _)) = found {
        top.put("trusted_proxies", toml::list(networks));
    }
}

/// Which field names the client.
fn header(server: &Scope<'_>, first: &Directive, work: &Work<'_>) {
    match server.one("real_ip_header") {
        Some(said) if said.argument(0).eq_ignore_ascii_case("x-forwarded-for") => {}
        Some(said) if said.argument(0) == "proxy_protocol" => {}
        Some(said) => {
            let why = "clients are named by X-Forwarded-For, or by a PROXY header";
            work.refuse(said, why, "write `real_ip_header X-Forwarded-For;`");
        }
        None => {
            let what = "`set_real_ip_from` without `real_ip_header` goes by X-Real-IP";
            let remedy = "which is not honoured: write `real_ip_header X-Forwarded-For;`";
            work.complaints.error(first.place(), what, remedy);
        }
    }
    if !server.is_on("real_ip_recursive") && server.nearest(&["set_real_ip_from"]).len() > 1 {
        let what = "`real_ip_recursive` is always on";
        let why = "the client is the last address in X-Forwarded-For that is not trusted";
        work.complaints.note(first.place(), what, why);
    }
}

fn resolver(servers: &[Scope<'_>], work: &Work<'_>) -> Option<Table> {
    let directive = servers.iter().chain([&work.http]).find_map(|scope| scope.one("resolver"))?;
    let mut table = Table::new("[resolver]");
    table.comment(work.origin(directive.place()));
    let mut servers = Vec::new();
    for word in &directive.arguments {
        let text = word.text.as_str();
        match text.split_once('=') {
            Some(("valid" | "ipv4" | "ipv6" | "status_zone", _)) => {
                let what = format!("`{text}` of `resolver` is not needed");
                let why = "names are looked up again when their time to live is over";
                work.complaints.note(word.place, what, why);
            }
            _ => {
                let address = text.trim_start_matches('[').trim_end_matches(']');
                let is_address = address.parse::<std::net::IpAddr>().is_ok()
                    || text.parse::<std::net::SocketAddr>().is_ok();
                match is_address {
                    true if address.parse::<std::net::IpAddr>().is_ok() => {
                        servers.push(address.to_owned());
                    }
                    true => servers.push(text.to_owned()),
                    false => {
                        let what = format!("`{text}` is not a name server's address");
                        work.complaints.error(word.place, what, "write its IP address");
                    }
                }
            }
        }
    }
    table.put("nameservers", toml::list(servers));
    let time = work.time_of(&work.http, "resolver_timeout", 30_000);
    table.text("timeout", &time_text(time.max(1)));
    Some(table)
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
