//! `server`: which requests are whose, and a route for each of its locations.

use super::listen::{self, Listen};
use super::location::{self, Kind, Location};
use super::pages::{self, Named};
use super::real_ip::RealIp;
use super::route;
use super::scope::Scope;
use super::steps::{self, Origin};
use super::toml::{self, Table};
use super::tree::{Directive, Place, Word};
use super::work::Work;
use super::{logs, texts};

/// A server and where it listens.
pub(super) struct Server<'t> {
    pub scope: Scope<'t>,
    directive: &'t Directive,
    listens: Vec<Listen>,
    /// Host patterns as Corelane writes them.
    names: Vec<(String, Place)>,
}

impl Server<'_> {
    /// What `$server_name` is: the first name, as written.
    fn name(&self) -> String {
        let first = self.scope.own("server_name").next().map_or("", |line| line.argument(0));
        match first {
            "$hostname" => texts::hostname(),
            name if name.starts_with('~') => name.to_owned(),
            name => name.strip_prefix('.').unwrap_or(name).to_ascii_lowercase(),
        }
    }
}

/// An address and the servers behind it.
struct Address {
    listen: Listen,
    name: String,
    servers: Vec<usize>,
    default: usize,
}

/// All servers, and what follows from them.
pub(super) struct Servers<'t> {
    list: Vec<Server<'t>>,
    addresses: Vec<Address>,
}

impl<'t> Servers<'t> {
    /// The servers of the `http` block.
    pub fn read(work: &Work<'t>) -> Servers<'t> {
        let list: Vec<Server<'t>> =
            work.http.own("server").map(|directive| read_server(directive, work)).collect();
        if list.is_empty() {
            let what = "there is no `server`";
            let remedy = "add one, or include the files that hold them";
            work.complaints.error(Place::default(), what, remedy);
        }
        let addresses = addresses(&list, work);
        Servers { list, addresses }
    }

    /// What holds in each of them.
    pub fn scopes(&self) -> Vec<Scope<'t>> {
        self.list.iter().map(|server| server.scope.clone()).collect()
    }

    /// `[[listener]]`, one for each address.
    pub fn listeners(&self, real_ip: &RealIp, work: &Work<'_>) -> Vec<Table> {
        let named = !self.are_alike();
        let table = |address: &Address| {
            let mut table = Table::new("[[listener]]");
            table.comment(work.origin(address.listen.word.place));
            if named {
                table.text("name", &address.name);
            }
            table.text("address", &address.listen.address);
            if let Some(backlog) = address.listen.backlog {
                table.put("backlog", backlog);
            }
            if address.listen.proxy_protocol {
                table.put("proxy_protocol", true);
                match real_ip.by_proxy {
                    true => {
                        table.put("trusted_proxies", toml::list(&real_ip.networks));
                        table.put("forwarded_for", false);
                    }
                    false => refuse_unnamed(&address.listen, work),
                }
            }
            table
        };
        self.addresses.iter().map(table).collect()
    }

    /// Whether all addresses lead to the same servers.
    fn are_alike(&self) -> bool {
        let servers = |address: &Address| (address.servers.clone(), address.default);
        self.addresses.windows(2).all(|pair| servers(&pair[0]) == servers(&pair[1]))
    }

    /// The routes of all servers.
    pub fn routes(&self, work: &Work<'t>) -> Vec<Table> {
        let mut tables = Vec::new();
        let mut taken: Vec<String> = Vec::new();
        for (number, server) in self.list.iter().enumerate() {
            let named = named_locations(server, &mut taken);
            let label = format!("server-{}", number + 1);
            work.names.enter(server.name());
            let entrances = self.entrances(server, number, work);
            for (at, entrance) in entrances.iter().enumerate() {
                let before = free_name(&label, &mut taken);
                tables.extend(routes(server, entrance, &named, (at == 0, &before), work));
            }
            if entrances.is_empty() {
                let what = "no request comes to this server";
                let why = "it has no name of its own and is no default server";
                work.complaints.note(server.directive.place(), what, why);
            }
            work.names.leave();
        }
        work.names.stand_in(texts::Folder::Unknown);
        tables
    }

    /// By which listeners and hosts requests come to a server: apart for those addresses where it
    /// is the default server, and for those where other servers have some of its names already.
    fn entrances(&self, server: &Server<'_>, number: usize, work: &Work<'_>) -> Vec<Entrance> {
        let mut groups: Vec<(bool, Vec<String>, Vec<&Address>)> = Vec::new();
        for address in self.addresses.iter().filter(|one| one.servers.contains(&number)) {
            let is_default = address.default == number;
            let hosts = self.names_at(server, number, address, work);
            match groups
                .iter_mut()
                .find(|(as_default, known, _)| *as_default == is_default && *known == hosts)
            {
                Some((.., group)) => group.push(address),
                None => groups.push((is_default, hosts, vec![address])),
            }
        }
        groups.sort_by_key(|(is_default, ..)| !is_default);
        let entrance = |(is_default, mut hosts, group): (bool, Vec<String>, Vec<&Address>)| {
            match (is_default, hosts.is_empty()) {
                (true, false) => hosts.push("*".to_owned()),
                (false, true) => return None,
                _ => {}
            }
            let listeners = match self.are_alike() {
                true => Vec::new(),
                false => group.iter().map(|address| address.name.clone()).collect(),
            };
            let ports: Vec<u16> = group.iter().map(|address| address.listen.port()).collect();
            let origin = origin(&server.scope, &ports);
            Some(Entrance { listeners, hosts, origin, ports })
        };
        groups.into_iter().filter_map(entrance).collect()
    }

    /// Those of a server's names that no server before it has at an address.
    fn names_at(
        &self,
        server: &Server<'_>,
        number: usize,
        address: &Address,
        work: &Work<'_>,
    ) -> Vec<String> {
        let mut hosts = Vec::new();
        for (name, place) in &server.names {
            let earlier = |other: &&usize| {
                **other < number && self.list[**other].names.iter().any(|(known, _)| known == name)
            };
            if address.servers.iter().any(|other| earlier(&other)) {
                let what = format!("another server has the name `{name}` already");
                work.complaints.note(*place, what, "that one is asked, as in nginx");
            } else {
                hosts.push(name.clone());
            }
        }
        hosts
    }

    /// The directives that say where requests are logged.
    pub fn logs(&self, work: &Work<'t>) -> Vec<&'t Directive> {
        let mut found: Vec<&Directive> = Vec::new();
        for server in &self.list {
            let locations = location::all(&server.scope, server.directive.place(), work);
            for scope in locations.iter().map(|location| &location.scope) {
                found.extend(logs::of_scope(scope));
            }
        }
        found.sort_by_key(|directive| directive.place());
        found.dedup_by_key(|directive| directive.place());
        found
    }
}

/// By which listeners and hosts requests come.
#[derive(Clone, Debug)]
pub(super) struct Entrance {
    /// Empty: by all.
    pub listeners: Vec<String>,
    /// Empty: for any.
    pub hosts: Vec<String>,
    pub origin: Origin,
    ports: Vec<u16>,
}

impl Entrance {
    /// The same for a location, which may say otherwise where redirects lead.
    fn at(&self, location: &Location<'_>) -> Entrance {
        Entrance { origin: origin(&location.scope, &self.ports), ..self.clone() }
    }
}

/// The variable that is `:` and the port, or nothing for port 80.
const PORT: &str = "corelane_port";

/// The map that makes it, if a route asks for it.
pub(super) fn port_map(routes: &[Table]) -> Option<Table> {
    let variable = format!("${{{PORT}}}");
    routes.iter().find(|route| route.to_string().contains(&variable))?;
    let mut table = Table::new("[[map]]");
    table.comment("The port in redirects of servers with several: none if it is 80.");
    table.text("name", PORT);
    table.text("from", "$server_port");
    table.text("default", ":$server_port");
    table.rows("values", &[toml::list(["80", ""])]);
    Some(table)
}

/// Who listens for PROXY headers goes by them.
fn refuse_unnamed(listen: &Listen, work: &Work<'_>) {
    let what = "`listen … proxy_protocol` without `real_ip_header proxy_protocol` is not honoured";
    let remedy = "add that and `set_real_ip_from`, in `http`: clients are whom PROXY headers name";
    work.complaints.error(listen.word.place, what, remedy);
}

/// Where redirects to a path lead.
fn origin(scope: &Scope<'_>, ports: &[u16]) -> Origin {
    if scope.value("absolute_redirect") == "off" {
        return Origin::default();
    }
    let port = match ports {
        _ if scope.value("port_in_redirect") == "off" => String::new(),
        [first, others @ ..] if others.iter().all(|other| other == first) => match first {
            0 | 80 => String::new(),
            port => format!(":{port}"),
        },
        _ => format!("${{{PORT}}}"),
    };
    Origin { url: format!("$scheme://$host{port}") }
}

fn read_server<'t>(directive: &'t Directive, work: &Work<'t>) -> Server<'t> {
    let scope = work.http.inside(directive.children());
    let mut listens: Vec<Listen> = Vec::new();
    for line in scope.own("listen") {
        for listen in listen::read(line, work.complaints) {
            if listens.iter().any(|other| other.address == listen.address) {
                let what = format!("the server listens on {} already", listen.address);
                work.complaints.error(line.place(), what, "keep one");
                continue;
            }
            listens.push(listen);
        }
    }
    if scope.own("listen").next().is_none() {
        listens.push(listen::by_default(directive, work.surroundings.privileged));
    }
    let words = scope.own("server_name").flat_map(|line| &line.arguments);
    let mut names: Vec<(String, Place)> = Vec::new();
    for word in words {
        for name in host_patterns(word, work) {
            if !names.iter().any(|(known, _)| *known == name) {
                names.push((name, word.place));
            }
        }
    }
    Server { scope, directive, listens, names }
}

/// A `server_name` as Corelane writes it; `.example.com` is two, and some are none.
fn host_patterns(word: &Word, work: &Work<'_>) -> Vec<String> {
    let text = word.text.as_str();
    if let Some(expression) = text.strip_prefix('~') {
        let found = texts::expression_on_host(word, expression, work.complaints);
        return found.map(|found| format!("~{found}")).into_iter().collect();
    }
    let name = text.to_ascii_lowercase();
    if let Some(parent) = name.strip_prefix('.').filter(|parent| is_host(parent)) {
        return vec![parent.to_owned(), format!("*.{parent}")];
    }
    let inner = name.strip_prefix("*.").or_else(|| name.strip_suffix(".*")).unwrap_or(&name);
    match name.as_str() {
        "$hostname" => vec![texts::hostname()],
        "" => {
            let what = "the empty `server_name` is not needed";
            let why = "requests without a Host go to the default server";
            work.complaints.note(word.place, what, why);
            Vec::new()
        }
        _ if is_host(inner) => vec![name],
        // Such as `_`: a name that nobody has, for a server that has none.
        _ if !name.contains('*') => {
            let what = format!("no request is for the host `{text}`");
            work.complaints.note(word.place, what, "only as a default server it gets any");
            Vec::new()
        }
        _ => {
            let what = format!("`{text}` is no server name");
            let remedy = "a star stands for whole labels at one end: `*.example.com`";
            work.complaints.error(word.place, what, remedy);
            Vec::new()
        }
    }
}

fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(plain)
    };
    name != "_" && !name.is_empty() && name.len() <= 253 && name.split('.').all(label)
}

fn addresses(list: &[Server<'_>], work: &Work<'_>) -> Vec<Address> {
    let mut found: Vec<Address> = Vec::new();
    for (number, server) in list.iter().enumerate() {
        for listen in &server.listens {
            let Some(known) = found.iter_mut().find(|a| a.listen.address == listen.address) else {
                let name = listener_name(&listen.address);
                let servers = vec![number];
                found.push(Address { listen: listen.clone(), name, servers, default: number });
                continue;
            };
            known.servers.push(number);
            known.listen.backlog = known.listen.backlog.or(listen.backlog);
            known.listen.proxy_protocol |= listen.proxy_protocol;
            if listen.default && known.listen.default {
                let what = format!("{} has a default server already", listen.address);
                work.complaints.error(listen.word.place, what, "remove one `default_server`");
            } else if listen.default {
                known.listen.default = true;
                known.default = number;
            }
        }
    }
    found
}

fn listener_name(address: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '-' };
    let address = address.replace("unix:/", "unix-");
    let name: String = address.chars().map(plain).take(64).collect();
    name.trim_matches('-').to_owned()
}

/// `@name`s and names that no other server's have.
fn named_locations(server: &Server<'_>, taken: &mut Vec<String>) -> Named {
    let mut named = Named::default();
    for directive in server.scope.own("location") {
        let Some(name) = directive.argument(0).strip_prefix('@') else { continue };
        named.add(directive.argument(0), free_name(name, taken));
    }
    named
}

/// This name, or it and the first number with which it is still free.
fn free_name(name: &str, taken: &mut Vec<String>) -> String {
    let mut free = name.to_owned();
    let mut number = 2;
    while taken.contains(&free) {
        free = format!("{name}-{number}");
        number += 1;
    }
    taken.push(free.clone());
    free
}

fn routes(
    server: &Server<'_>,
    entrance: &Entrance,
    named: &Named,
    (with_named, before): (bool, &str),
    work: &Work<'_>,
) -> Vec<Table> {
    let place = server.directive.place();
    let block = server.scope.block();
    if let Some(returned) = steps::final_return(block).filter(|_| !steps::may_pass(block)) {
        let is_named = |location: &Location<'_>| location.kind == Kind::Named;
        let locations = location::all(&server.scope, place, work);
        for location in locations.iter().filter(|one| !one.is_server && !is_named(one)) {
            let what = "no request comes to this location";
            let why = format!("the server returns before, at {}", work.origin(returned.place()));
            work.complaints.note(location.place, what, why);
        }
        // Pages of errors may be there.
        let named_ones = locations.iter().filter(|one| with_named && is_named(one));
        let table =
            |one: &Location<'_>| route::of_location(one, entrance, named, None, (with_named, work));
        let mut tables = vec![route::returned(&server.scope, place, entrance, named, work)];
        tables.extend(named_ones.flat_map(table));
        return tables;
    }
    work.names.stand_in(pages::whereabouts(&server.scope, work));
    let prelude = steps::of_server(&server.scope, &entrance.origin, work);
    let before = Some(before).filter(|_| !prelude.is_empty());
    if server.scope.own("try_files").next().is_some() {
        let directive = server.scope.own("try_files").next();
        if let (Some(directive), true) = (directive, server.scope.own("location").next().is_some())
        {
            let why = "a server with locations tries files only where none of them fits";
            work.complaints.note(directive.place(), "`try_files` of a server", why);
        }
    }
    let locations = location::all(&server.scope, place, work);
    let named = &named.clone().seeing(&locations);
    let wanted = |location: &&Location<'_>| with_named || location.kind != Kind::Named;
    let first = before
        .map(|name| route::prelude(&server.scope, place, entrance, (name, &prelude), named, work));
    let table = |location: &Location<'_>| {
        let entrance = entrance.at(location);
        route::of_location(location, &entrance, named, before, (with_named, work))
    };
    first.into_iter().chain(locations.iter().filter(wanted).flat_map(table)).collect()
}

/// `client_max_body_size` in this scope, written.
pub(super) fn body_limit(scope: &Scope<'_>, work: &Work<'_>) -> String {
    let word = scope.one("client_max_body_size").and_then(|said| said.arguments.first());
    match word.and_then(|word| work.size(word)).unwrap_or(1 << 20) {
        0 => toml::text("none"),
        size => toml::text(&super::quantity::size_text(size)),
    }
}

/// What a location without anything of its own serves where no `root` is said.
pub(super) fn note_default_root(place: Place, work: &Work<'_>) {
    let what = "there is no `root` for what no location answers: 404";
    work.complaints.note(place, what, "nginx would look into the `html` folder of its package");
}

/// Whether a location has files to serve.
pub(super) fn serves_files(scope: &Scope<'_>) -> bool {
    pages::has_root(scope)
}
