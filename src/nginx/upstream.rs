//! `upstream`, and the servers that a `proxy_pass` names itself.

use std::cell::RefCell;
use std::net::{Ipv6Addr, SocketAddr};

use super::complaint::{Complaints, nearest};
use super::quantity::{milliseconds, time_text};
use super::toml::{self, Table};
use super::tree::{Directive, Place, Word};
use super::work::Work;

/// All that routes may lead to.
#[derive(Debug, Default)]
pub(super) struct Upstreams<'t> {
    groups: Vec<Group<'t>>,
    implicit: RefCell<Vec<Implicit>>,
    connects: RefCell<Vec<(String, u64)>>,
}

/// An `upstream` block.
#[derive(Debug)]
struct Group<'t> {
    directive: &'t Directive,
    /// What it is called in the text that comes out.
    name: String,
}

/// A server that a `proxy_pass` names.
#[derive(Debug)]
struct Implicit {
    authority: String,
    address: String,
    name: String,
    place: Place,
}

impl<'t> Upstreams<'t> {
    /// Those of the `http` block.
    pub fn of(http: &'t [Directive], complaints: &Complaints) -> Upstreams<'t> {
        let mut upstreams = Upstreams::default();
        for directive in http.iter().filter(|directive| directive.is("upstream")) {
            let written = directive.argument(0);
            let known = |group: &Group<'_>| group.directive.argument(0) == written;
            if upstreams.groups.iter().any(known) {
                let what = format!("there is already an upstream `{written}`");
                complaints.error(directive.place(), what, "rename one");
                continue;
            }
            let name = upstreams.free_name(written);
            upstreams.groups.push(Group { directive, name });
        }
        upstreams
    }

    /// A name as Corelane takes it that no other upstream has.
    fn free_name(&self, written: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let mut name: String =
            written.chars().map(|c| if plain(c) { c } else { '-' }).take(60).collect();
        name = name.trim_matches('-').to_owned();
        if name.is_empty() {
            name = "upstream".to_owned();
        }
        let taken = |name: &str| {
            self.groups.iter().any(|group| group.name == name)
                || self.implicit.borrow().iter().any(|other| other.name == name)
        };
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        std::iter::once(name.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(name)
    }

    /// What the authority of a `proxy_pass` is called: that of an `upstream` block, or a new one.
    pub fn named_or_implicit(
        &self,
        authority: &str,
        word: &Word,
        complaints: &Complaints,
    ) -> Option<String> {
        let named =
            |group: &&Group<'_>| group.directive.argument(0).eq_ignore_ascii_case(authority);
        if let Some(group) = self.groups.iter().find(named) {
            return Some(group.name.clone());
        }
        let known = |other: &&Implicit| other.authority == authority;
        if let Some(other) = self.implicit.borrow().iter().find(known) {
            return Some(other.name.clone());
        }
        let Some(address) = address(authority) else {
            let what = format!("`{authority}` is no server");
            complaints.error(word.place, what, "write a name or an address, and a port");
            return None;
        };
        let bare_name = !authority.contains([':', '.']) && authority != "localhost";
        let names = self.groups.iter().map(|group| group.directive.argument(0));
        if let (true, Some(near)) = (bare_name, nearest(authority, names)) {
            let what = format!("`{authority}` is taken for a host's name: no upstream has it");
            complaints.note(word.place, what, format!("did you mean `{near}`?"));
        }
        let name = self.free_name(authority.trim_start_matches("unix:/"));
        let (authority, place) = (authority.to_owned(), word.place);
        self.implicit.borrow_mut().push(Implicit { authority, address, name: name.clone(), place });
        Some(name)
    }

    /// Notes how long a connection to this upstream may take, in milliseconds. It is the same for
    /// all who use it.
    pub fn connects_within(&self, name: &str, time: u64, place: Place, complaints: &Complaints) {
        let mut connects = self.connects.borrow_mut();
        match connects.iter().find(|(known, _)| known == name) {
            Some((_, known)) if *known != time => {
                let what = format!(
                    "`proxy_connect_timeout` towards `{name}` is {} here and {} elsewhere",
                    time_text(time),
                    time_text(*known)
                );
                complaints.error(place, what, "write the same for all that lead there");
            }
            Some(_) => {}
            None => connects.push((name.to_owned(), time)),
        }
    }

    /// How many servers it has; more than one where that is not known.
    pub fn servers(&self, name: &str) -> usize {
        if let Some(group) = self.groups.iter().find(|group| group.name == name) {
            return group.directive.children().iter().filter(|line| line.is("server")).count();
        }
        let implicit = self.implicit.borrow();
        let found = implicit.iter().find(|other| other.name == name);
        found.map_or(1, |other| if is_name(&other.address) { 2 } else { 1 })
    }

    /// The tables, in the order of the file.
    pub fn tables(&self, work: &Work<'_>) -> Vec<Table> {
        let mut tables = Vec::new();
        for group in &self.groups {
            let mut table = self.head(&group.name, group.directive.place(), work);
            if read_group(group.directive, &mut table, work).is_some() {
                self.tail(&group.name, &mut table, work);
                tables.push(table);
            }
        }
        for other in self.implicit.borrow().iter() {
            let mut table = self.head(&other.name, other.place, work);
            table.put("servers", toml::list([&other.address]));
            table.put("passive", passive(1, 10_000));
            self.tail(&other.name, &mut table, work);
            tables.push(table);
        }
        tables
    }

    fn head(&self, name: &str, place: Place, work: &Work<'_>) -> Table {
        let mut table = Table::new("[[upstream]]");
        table.comment(work.origin(place));
        table.text("name", name);
        table
    }

    fn tail(&self, name: &str, table: &mut Table, work: &Work<'_>) {
        let connects = self.connects.borrow();
        let connect = connects.iter().find(|(known, _)| known == name);
        let connect = connect.map_or(60_000, |(_, time)| *time);
        table.put("timeouts", format!("{{ connect = \"{}\" }}", time_text(connect)));
        let retry = work.retry(&work.http, name);
        let budget = ("budget_percent".to_owned(), "100".to_owned());
        table.put("retry", toml::inline(&[retry, vec![budget]].concat()));
    }
}

/// `name:port`, `IP:port` or `unix:/path`; nginx's port is 80 where there is none.
pub(super) fn address(text: &str) -> Option<String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return (!path.is_empty()).then(|| text.to_owned());
    }
    if let Some(ip) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return ip.parse::<Ipv6Addr>().is_ok().then(|| format!("{text}:80"));
    }
    if text.parse::<SocketAddr>().is_ok() {
        return Some(text.to_owned());
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "80"));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let port = port.parse::<u16>().ok().filter(|port| *port > 0)?;
    (!host.is_empty() && host.chars().all(plain)).then(|| format!("{host}:{port}"))
}

/// Whether it is a name, which may have several addresses.
fn is_name(address: &str) -> bool {
    !address.starts_with("unix:") && address.parse::<SocketAddr>().is_err()
}

/// `server` in an `upstream`.
#[derive(Default)]
struct Server {
    pairs: Vec<(String, String)>,
    max_fails: u64,
    fail_timeout: u64,
}

fn read_group(directive: &Directive, table: &mut Table, work: &Work<'_>) -> Option<()> {
    let lines = directive.children();
    let servers: Vec<&Directive> = lines.iter().filter(|line| line.is("server")).collect();
    if servers.is_empty() {
        let what = format!("the upstream `{}` has no servers", directive.argument(0));
        work.complaints.error(directive.place(), what, "add such as `server 127.0.0.1:3000;`");
        return None;
    }
    balance(directive, table, work);
    let mut items = Vec::new();
    let mut fails: Option<(u64, u64)> = None;
    for line in servers {
        let server = read_server(line, work)?;
        let these = (server.max_fails, server.fail_timeout);
        let mut server = server;
        if *fails.get_or_insert(these) != these {
            // Those of the first are the upstream's.
            server.pairs.push(("passive".to_owned(), passive(these.0, these.1)));
        }
        items.push(match server.pairs.as_slice() {
            [(_, address)] => address.clone(),
            pairs => toml::inline(pairs),
        });
    }
    table.rows("servers", &items);
    let (max_fails, fail_timeout) = fails.unwrap_or((1, 10_000));
    table.put("passive", passive(max_fails, fail_timeout));
    for line in lines.iter().filter(|line| line.is("keepalive")) {
        match line.argument(0).parse::<u32>() {
            Ok(count @ 0..=65_536) => {
                let idle = own_time(lines, "keepalive_timeout", work).unwrap_or(60_000);
                let idle = time_text(idle.max(1));
                let pool = format!("{{ max_idle = {count}, idle_timeout = \"{idle}\" }}");
                table.put("pool", pool);
            }
            _ => {
                let what = format!("`keepalive {}` is no count", line.argument(0));
                work.complaints.error(line.place(), what, "write such as `keepalive 32;`");
            }
        }
    }
    for line in lines.iter().filter(|line| {
        ["keepalive_requests", "resolver", "resolver_timeout"].contains(&line.name.text.as_str())
    }) {
        let what = format!("`{}` of an upstream is not needed", line.name.text);
        let why = match line.is("keepalive_requests") {
            true => "a server that wants a connection closed closes it",
            false => "names are looked up again as their time to live says, by [resolver]",
        };
        work.complaints.note(line.place(), what, why);
    }
    Some(())
}

fn own_time(lines: &[Directive], name: &str, work: &Work<'_>) -> Option<u64> {
    let line = lines.iter().find(|line| line.is(name))?;
    work.time(line.arguments.first()?)
}

/// So many failures in so many milliseconds take a server out for as long.
fn passive(max_fails: u64, fail_timeout: u64) -> String {
    let time = toml::text(&time_text(fail_timeout.max(1)));
    let pairs = match max_fails {
        // So many in so short a time there are never.
        0 => vec![
            ("failures", "1000".to_owned()),
            ("window", toml::text("1ms")),
            ("eject_refused", "false".to_owned()),
        ],
        fails => vec![
            ("failures", fails.min(1000).to_string()),
            ("window", time.clone()),
            ("ejection", time.clone()),
            ("max_ejection", time),
            // A refused connection is one failure of several.
            ("eject_refused", (fails == 1).to_string()),
        ],
    };
    let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    toml::inline(&pairs)
}

fn read_server(line: &Directive, work: &Work<'_>) -> Option<Server> {
    let word = line.arguments.first()?;
    let Some(address) = address(&word.text) else {
        let what = format!("`{}` is no server", word.text);
        work.complaints.error(word.place, what, "write a name or an address, and a port");
        return None;
    };
    let mut server = Server { max_fails: 1, fail_timeout: 10_000, ..Server::default() };
    server.pairs.push(("address".to_owned(), toml::text(&address)));
    for parameter in &line.arguments[1..] {
        read_parameter(parameter, &mut server, work)?;
    }
    Some(server)
}

fn read_parameter(word: &Word, server: &mut Server, work: &Work<'_>) -> Option<()> {
    let text = word.text.as_str();
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let refuse = |what: String, remedy: &str| work.complaints.error(word.place, what, remedy);
    let number = || match value.parse::<u64>() {
        Ok(number) if number <= 1_000_000 => Some(number),
        _ => {
            refuse(format!("`{text}` is no number"), "write one up to 1000000");
            None
        }
    };
    match name {
        "weight" => match number()? {
            0 => {
                refuse("a weight of 0".into(), "write 1 or more, or `down`");
                return None;
            }
            weight => server.pairs.push(("weight".into(), weight.to_string())),
        },
        "max_conns" => {
            let most = number()?;
            if most > 0 {
                server.pairs.push(("max_connections".into(), most.to_string()));
            }
        }
        "max_fails" => server.max_fails = number()?,
        "fail_timeout" => match milliseconds(value) {
            Some(time) => server.fail_timeout = time,
            None => {
                refuse(format!("`{text}` is no time"), "write such as `10s`");
                return None;
            }
        },
        "backup" => server.pairs.push(("backup".into(), "true".into())),
        "down" => server.pairs.push(("state".into(), "\"down\"".into())),
        "resolve" => {
            let what = "`resolve` is not needed";
            let why = "names are always looked up again when their time to live is over";
            work.complaints.note(word.place, what, why);
        }
        "slow_start" | "service" | "route" | "drain" => {
            let what = format!("`{name}` of a server is of nginx plus");
            refuse(what, "see config.toml for what Corelane has of it");
            return None;
        }
        _ => {
            let remedy =
                "there are weight, max_conns, max_fails, fail_timeout, backup, down and resolve";
            refuse(format!("unknown parameter `{text}` of `server`"), remedy);
            return None;
        }
    }
    Some(())
}

fn balance(directive: &Directive, table: &mut Table, work: &Work<'_>) {
    let methods = ["least_conn", "ip_hash", "hash", "random"];
    let is_method = |line: &&Directive| methods.contains(&line.name.text.as_str());
    let mut found = directive.children().iter().filter(is_method);
    let Some(line) = found.next() else { return };
    if let Some(other) = found.next() {
        let what = format!("`{}` says again how servers are chosen", other.name.text);
        work.complaints.error(other.place(), what, "keep one");
    }
    match line.name.text.as_str() {
        "least_conn" => table.text("balance", "least_conn"),
        "ip_hash" => table.text("balance", "ip_hash"),
        "random" => random(line, table, work),
        _ => hash(line, table, work),
    }
}

fn random(line: &Directive, table: &mut Table, work: &Work<'_>) {
    match (line.argument(0), line.argument(1)) {
        ("", _) => table.text("balance", "random"),
        ("two", "" | "least_conn") => table.text("balance", "p2c"),
        (one, two) => {
            let what = format!("`random {one} {two}` is not honoured");
            work.complaints.error(line.place(), what.trim(), "write `random two least_conn;`");
        }
    }
}

fn hash(line: &Directive, table: &mut Table, work: &Work<'_>) {
    let key = line.argument(0).replace(['{', '}'], "");
    let name = |prefix: &str| key.strip_prefix(prefix).filter(|name| !name.contains('$'));
    let by = match key.as_str() {
        "$remote_addr" | "$binary_remote_addr" => "ip".to_owned(),
        "$uri" | "$document_uri" => "path".to_owned(),
        "$request_uri" => {
            let what = "`hash $request_uri` hashes the path without the query";
            work.complaints.note(line.place(), what, "the same target still has the same server");
            "path".to_owned()
        }
        _ => match (name("$http_"), name("$cookie_")) {
            (Some(field), _) => format!("field:{}", field.replace('_', "-")),
            (_, Some(cookie)) => format!("cookie:{cookie}"),
            _ => {
                let what = format!("`hash {}` is not honoured", line.argument(0));
                let remedy = "hash by $remote_addr, $uri, $http_NAME or $cookie_NAME";
                return work.complaints.error(line.place(), what, remedy);
            }
        },
    };
    match line.argument(1) {
        "consistent" => {}
        "" => {
            let what = "`hash` is always consistent here";
            let why = "a server that leaves moves only its own share of the keys";
            work.complaints.note(line.place(), what, why);
        }
        other => {
            let what = format!("`{other}` is not known to `hash`");
            work.complaints.error(line.place(), what, "write `consistent`, or nothing");
        }
    }
    table.text("balance", "consistent_hash");
    table.text("hash", &by);
}
