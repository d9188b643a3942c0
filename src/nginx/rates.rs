//! `limit_req` and `limit_conn`.

use std::cell::RefCell;

use super::quantity::bytes;
use super::scope::Scope;
use super::toml::{self, Table};
use super::tree::{Directive, Place};
use super::work::Work;

/// The zones, and what routes make of them.
#[derive(Debug, Default)]
pub(super) struct Rates<'t> {
    zones: Vec<Zone<'t>>,
    used: RefCell<Vec<Used>>,
    connections: RefCell<Option<(u64, Place)>>,
}

/// `limit_req_zone`
#[derive(Debug)]
struct Zone<'t> {
    directive: &'t Directive,
    name: String,
    key: String,
    requests: u64,
    per: &'static str,
    keys: u64,
}

/// A `[[rate]]`: a zone with a burst.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Used {
    zone: String,
    burst: u64,
    status: u16,
    name: String,
    place: Place,
}

impl<'t> Rates<'t> {
    /// The zones of the `http` block.
    pub fn read(&mut self, http: &'t [Directive], work: &Work<'_>) {
        for directive in http.iter().filter(|directive| directive.is("limit_req_zone")) {
            if let Some(zone) = read_zone(directive, work) {
                self.zones.push(zone);
            }
        }
    }

    /// The names of the rates of a route.
    pub fn of_route(&self, scope: &Scope<'_>, work: &Work<'_>) -> Vec<String> {
        if let Some(dry) = scope.one("limit_req_dry_run").filter(|dry| dry.argument(0) == "on") {
            work.refuse(dry, "limits are in force or not there", "remove the `limit_req` instead");
        }
        let said = scope.nearest(&["limit_req"]);
        said.into_iter().filter_map(|directive| self.used(directive, scope, work)).collect()
    }

    fn used(&self, directive: &Directive, scope: &Scope<'_>, work: &Work<'_>) -> Option<String> {
        let (mut zone, mut burst, mut delayed) = (None, 0, true);
        for word in &directive.arguments {
            match word.text.split_once('=') {
                Some(("zone", name)) => zone = Some(name.to_owned()),
                Some(("burst", count)) if count.parse::<u64>().is_ok() => {
                    burst = count.parse().unwrap_or(0);
                }
                Some(("delay", _)) => {}
                None if word.text == "nodelay" => delayed = false,
                _ => {
                    let what = format!("`{}` is not known to `limit_req`", word.text);
                    let remedy = "there are zone=, burst=, delay= and nodelay";
                    work.complaints.error(word.place, what, remedy);
                    return None;
                }
            }
        }
        let zone = zone.unwrap_or_default();
        if !self.zones.iter().any(|known| known.name == zone) {
            let what = format!("there is no zone `{zone}`");
            let remedy = "add `limit_req_zone $binary_remote_addr zone=NAME:10m rate=10r/s;`";
            work.complaints.error(directive.place(), what, remedy);
            return None;
        }
        let status = status(scope, "limit_req_status", work);
        if delayed && burst > 0 {
            let what = "requests within a burst are not delayed";
            let why = "they are let through at once, as with `nodelay`";
            work.complaints.note(directive.place(), what, why);
        }
        let mut used = self.used.borrow_mut();
        let same =
            |other: &&Used| (&other.zone, other.burst, other.status) == (&zone, burst, status);
        if let Some(known) = used.iter().find(same) {
            return Some(known.name.clone());
        }
        let name = match used.iter().filter(|other| other.zone == zone).count() {
            0 => zone.clone(),
            others => {
                let what =
                    format!("the zone `{zone}` is counted apart for another burst or status");
                let why = "nginx counts all requests of a zone together";
                work.complaints.note(directive.place(), what, why);
                format!("{zone}-{}", others + 1)
            }
        };
        let place = directive.place();
        used.push(Used { zone, burst, status, name: name.clone(), place });
        Some(name)
    }

    /// `limit_conn` in this scope: for each client's address, and the same everywhere.
    pub fn connections(&self, scope: &Scope<'_>, work: &Work<'_>) {
        if let Some(dry) = scope.one("limit_conn_dry_run").filter(|dry| dry.argument(0) == "on") {
            work.refuse(dry, "limits are in force or not there", "remove the `limit_conn` instead");
        }
        for directive in scope.nearest(&["limit_conn"]) {
            let zone = directive.argument(0);
            let named = |line: &&&Directive| {
                line.argument(1).strip_prefix("zone=").and_then(|said| said.split(':').next())
                    == Some(zone)
            };
            let lines = work.http.nearest(&["limit_conn_zone"]);
            let Some(line) = lines.iter().find(named) else {
                let what = format!("there is no zone `{zone}`");
                let remedy = "add `limit_conn_zone $binary_remote_addr zone=NAME:10m;`";
                work.complaints.error(directive.place(), what, remedy);
                continue;
            };
            let is_client = ["$binary_remote_addr", "$remote_addr"].contains(&line.argument(0));
            let count = directive.argument(1).parse::<u64>().ok().filter(|count| *count > 0);
            let (true, Some(count)) = (is_client, count) else {
                let why = "connections are only counted for each client's address";
                let instead = "use `limit_req`, or `max_conns` of the servers";
                work.refuse(directive, why, instead);
                continue;
            };
            let mut known = self.connections.borrow_mut();
            match *known {
                Some((other, _)) if other != count => {
                    let why = "there is one limit of connections, for all servers";
                    work.refuse(directive, why, "write the same everywhere, best in `http`");
                }
                Some(_) => {}
                None => {
                    let what = "`limit_conn` counts all connections of a client, idle ones too";
                    let why = "one more is closed without an answer; nginx answers 503";
                    work.complaints.note(directive.place(), what, why);
                    *known = Some((count, directive.place()));
                }
            }
        }
    }

    /// `connections_per_client`, if there is a limit.
    pub fn connections_per_client(&self) -> Option<u64> {
        self.connections.borrow().map(|(count, _)| count)
    }

    /// The tables.
    pub fn tables(&self, work: &Work<'_>) -> Vec<Table> {
        let used = self.used.borrow();
        let table = |used: &Used| {
            let zone = self.zones.iter().find(|zone| zone.name == used.zone)?;
            let mut table = Table::new("[[rate]]");
            table.comment(format!(
                "{} and {}",
                work.origin(zone.directive.place()),
                work.origin(used.place)
            ));
            table.text("name", &used.name);
            table.put("requests", zone.requests);
            table.text("per", zone.per);
            // nginx lets one request more than the burst come at once.
            table.put("burst", used.burst.saturating_add(1).min(1_000_000));
            table.text("key", &zone.key);
            table.put("keys", zone.keys);
            if used.status != 429 {
                table.put("status", used.status);
            }
            Some(table)
        };
        used.iter().filter_map(table).collect()
    }
}

/// What is answered beyond a limit.
fn status(scope: &Scope<'_>, name: &str, work: &Work<'_>) -> u16 {
    let Some(directive) = scope.one(name) else { return 503 };
    let said = directive.argument(0).parse().ok().filter(|status| (400..600).contains(status));
    said.unwrap_or_else(|| {
        let what = format!("`{}` is no status of an error", directive.argument(0));
        work.complaints.error(directive.place(), what, "write one from 400 to 599");
        503
    })
}

fn read_zone<'t>(directive: &'t Directive, work: &Work<'_>) -> Option<Zone<'t>> {
    let key = directive.argument(0).replace(['{', '}'], "");
    let refuse = |what: String, remedy: &str| {
        work.complaints.error(directive.place(), what, remedy);
        None
    };
    let by = match key.as_str() {
        "$binary_remote_addr" | "$remote_addr" => "ip".to_owned(),
        _ => match (key.strip_prefix("$http_"), key.strip_prefix("$cookie_")) {
            (Some(field), _) if !field.contains('$') => {
                format!("field:{}", field.replace('_', "-"))
            }
            (_, Some(cookie)) if !cookie.contains('$') => format!("cookie:{cookie}"),
            _ => {
                let what = format!("`limit_req_zone {key}` is not honoured");
                return refuse(what, "count by $binary_remote_addr, $http_NAME or $cookie_NAME");
            }
        },
    };
    if by != "ip" {
        let what = format!("where `{key}` is absent, the client's address counts");
        work.complaints.note(directive.place(), what, "nginx does not count such requests");
    }
    let (mut zone, mut rate) = (None, None);
    for word in &directive.arguments[1..] {
        match word.text.split_once('=') {
            Some(("zone", said)) => zone = said.split_once(':'),
            Some(("rate", said)) => {
                rate = said
                    .strip_suffix("r/s")
                    .map(|count| (count, "1s"))
                    .or_else(|| said.strip_suffix("r/m").map(|count| (count, "1m")))
            }
            Some(("sync", _)) => {}
            _ => {
                return refuse(
                    format!("`{}` is not known", word.text),
                    "there are zone= and rate=",
                );
            }
        }
    }
    let Some((name, size)) = zone else {
        return refuse("the zone has no name or size".into(), "write such as `zone=one:10m`");
    };
    let rate = rate.and_then(|(count, per)| Some((count.parse::<u64>().ok()?, per)));
    let Some((requests @ 1..=1_000_000, per)) = rate else {
        return refuse("the zone has no valid rate".into(), "write such as `rate=10r/s`");
    };
    let Some(size) = bytes(size) else {
        return refuse(format!("`{size}` is no size"), "write such as `zone=one:10m`");
    };
    // nginx takes 64 bytes for an address of IPv4.
    let keys = (size / 64).clamp(8, 16_777_216);
    Some(Zone { directive, name: name.to_owned(), key: by, requests, per, keys })
}

/// Complains of `limit_conn` that does not hold for all servers. Connections are counted before it
/// is known what for, and browsers open six to one site.
pub(super) fn same_for_all(servers: &[Scope<'_>], work: &Work<'_>) {
    if servers.iter().all(|server| !server.nearest(&["limit_conn"]).is_empty()) {
        return;
    }
    refuse_in(work.http.block(), work);
}

fn refuse_in(block: &[Directive], work: &Work<'_>) {
    for directive in block {
        if directive.is("limit_conn") {
            let why = "connections are counted for all servers and locations together";
            let instead = "write it in `http`, for no fewer than browsers open, or use `limit_req`";
            work.refuse(directive, why, instead);
        }
        refuse_in(directive.children(), work);
    }
}

/// The value of `rate` for a route.
pub(super) fn written(names: &[String]) -> String {
    match names {
        [name] => toml::text(name),
        names => toml::list(names),
    }
}
