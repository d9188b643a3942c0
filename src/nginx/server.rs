//! `server`: which requests are whose, and a route for each of its locations.

use super::listen::{self, Listen};
use super::location::{self, Kind, Location};
use super::pages::{self, Named};
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
    pub fn listeners(&self, work: &Work<'_>) -> Vec<Table> {
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
            let mut first = true;
            for is_default in [true, false] {
                let among = |address: &&Address| {
                    address.servers.contains(&number) && (address.default == number) == is_default
                };
                let group: Vec<&Address> = self.addresses.iter().filter(among).collect();
                if let Some(entrance) = self.entrance(server, number, &group, is_default, work) {
                    tables.extend(routes(server, &entrance, &named, first, work));
                    first = false;
                }
            }
        }
        work.names.stand_in(texts::Folder::Unknown);
        tables
    }

    /// By which listeners and hosts requests come to a server; `None`: by none of this group.
    fn entrance(
        &self,
        server: &Server<'_>,
        number: usize,
        group: &[&Address],
        is_default: bool,
        work: &Work<'_>,
    ) -> Option<Entrance> {
        if group.is_empty() {
            return None;
        }
        let mut hosts = Vec::new();
        for (name, place) in &server.names {
            let earlier = |other: &&usize| {
                **other < number && self.list[**other].names.iter().any(|(known, _)| known == name)
            };
            if group.iter().any(|address| address.servers.iter().find(earlier).is_some()) {
                let what = format!("another server has the name `{name}` already");
                work.complaints.note(*place, what, "that one is asked, as in nginx");
            } else {
                hosts.push(name.clone());
            }
        }
        match (is_default, hosts.is_empty()) {
            (true, true) => {}
            (true, false) => hosts.push("*".to_owned()),
            (false, true) => {
                let what = "no request comes to this server";
                let why = "it has no name of its own and is no default server";
                work.complaints.note(server.directive.place(), what, why);
                return None;
            }
            (false, false) => {}
        }
        let all = self.are_alike();
        let listeners =
            if all { Vec::new() } else { group.iter().map(|a| a.name.clone()).collect() };
        let ports = group.iter().map(|address| address.listen.port()).collect();
        Some(Entrance { listeners, hosts, origin: origin(&server.scope, ports) })
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
pub(super) struct Entrance {
    /// Empty: by all.
    pub listeners: Vec<String>,
    /// Empty: for any.
    pub hosts: Vec<String>,
    pub origin: Origin,
}

/// Where redirects to a path lead.
fn origin(scope: &Scope<'_>, ports: Vec<u16>) -> Origin {
    if scope.value("absolute_redirect") == "off" {
        return Origin::default();
    }
    let port = match ports.as_slice() {
        _ if scope.value("port_in_redirect") == "off" => String::new(),
        [first, others @ ..] if others.iter().all(|other| other == first) => match first {
            0 | 80 => String::new(),
            port => format!(":{port}"),
        },
        _ => ":$server_port".to_owned(),
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
        let found = texts::expression(word, expression, true, work.complaints);
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
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        if let Some(free) = names.find(|name| !taken.contains(name)) {
            taken.push(free.clone());
            named.add(directive.argument(0), free);
        }
    }
    named
}

fn routes(
    server: &Server<'_>,
    entrance: &Entrance,
    named: &Named,
    with_named: bool,
    work: &Work<'_>,
) -> Vec<Table> {
    let place = server.directive.place();
    if let Some(returned) = steps::final_return(server.scope.block()) {
        for location in server.scope.own("location") {
            let what = "no request comes to this location";
            let why = format!("the server returns before, at {}", work.origin(returned.place()));
            work.complaints.note(location.place(), what, why);
        }
        return vec![route::returned(&server.scope, place, entrance, named, work)];
    }
    work.names.stand_in(pages::whereabouts(&server.scope, work));
    let prelude = steps::of_server(&server.scope, &entrance.origin, work);
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
    let table = |location: &Location<'_>| {
        // Whoever is sent to a name has been through them.
        let steps = if location.kind == Kind::Named { Vec::new() } else { prelude.clone() };
        route::of_location(location, entrance, named, steps, (with_named, work))
    };
    locations.iter().filter(wanted).flat_map(table).collect()
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
