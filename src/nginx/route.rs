//! One location as a `[[route]]`.

use super::branch::{self, Variant};
use super::location::{Kind, Location};
use super::pages::{self, Named};
use super::quantity::time_text;
use super::scope::Scope;
use super::server::{self, Entrance};
use super::steps::{self, Level, Return};
use super::target::{self, PathSent, Target};
use super::toml::{self, Table};
use super::tree::{Directive, Place};
use super::work::Work;
use super::{access, fields, logs, rates};

/// A server that returns before any location is looked at.
pub(super) fn returned(
    scope: &Scope<'_>,
    place: Place,
    entrance: &Entrance,
    named: &Named,
    work: &Work<'_>,
) -> Table {
    work.names.stand_in(pages::whereabouts(scope, work));
    let mut table = Table::new("[[route]]");
    table.comment(work.origin(place));
    entrance.put(&mut table);
    table.text("path", "/");
    let steps = Vec::new();
    return_or_steps(scope, steps, Level::Server, entrance, &mut table, work);
    finish(scope, named, &mut table, work);
    note_unreached(scope, work);
    table
}

impl Entrance {
    fn put(&self, table: &mut Table) {
        if !self.listeners.is_empty() {
            table.put("listeners", toml::list(&self.listeners));
        }
        self.put_hosts(table);
    }

    fn put_hosts(&self, table: &mut Table) {
        match self.hosts.as_slice() {
            [] => {}
            [host] => table.text("host", host),
            hosts => table.put("host", toml::list(hosts)),
        }
    }
}

/// The steps of a server, which come before its locations are looked at: a route that these name
/// as the one `before` them.
pub(super) fn prelude(
    scope: &Scope<'_>,
    place: Place,
    entrance: &Entrance,
    (name, steps): (&str, &[String]),
    named: &Named,
    work: &Work<'_>,
) -> Table {
    let mut table = Table::new("[[route]]");
    table.comment(format!("{}: before its locations are looked at", work.origin(place)));
    table.text("name", name);
    table.put("internal", true);
    entrance.put_hosts(&mut table);
    table.rows("steps", steps);
    finish(scope, named, &mut table, work);
    table
}

/// A location, and the routes that answer in its place where an `if` holds or a variable says so;
/// `before`: the name of what comes before all of its server's. `with_named`: also what is found by
/// name.
pub(super) fn of_location(
    location: &Location<'_>,
    entrance: &Entrance,
    named: &Named,
    before: Option<&str>,
    (with_named, work): (bool, &Work<'_>),
) -> Vec<Table> {
    let mut table = Table::new("[[route]]");
    let scope = &location.scope;
    work.names.stand_in(pages::whereabouts(scope, work));
    table.comment(match location.is_server {
        true => format!("{}: what no location matches", work.origin(location.place)),
        false => format!("{}: location {}", work.origin(location.place), location.path),
    });
    if location.kind == Kind::Named {
        table.text("name", named.name(&location.path).unwrap_or_default());
        table.put("internal", true);
    } else {
        entrance.put(&mut table);
        table.text(key(location), &location.pattern);
        if let Some(within) = &location.within {
            table.text("path_within", within);
        }
        if scope.own("internal").next().is_some() {
            table.put("internal", true);
        }
        if let Some(name) = before {
            table.text("before", &format!("@{name}"));
        }
    }
    if location.is_server {
        action(location, None, named, &mut table, work);
        guard(scope, &mut table, work);
        finish(scope, named, &mut table, work);
        return vec![table];
    }
    let choices = branch::choices(location, work);
    let mut steps: Vec<String> = access::methods(scope, work).into_iter().collect();
    steps.extend(choices.iter().flat_map(|choices| choices.steps()));
    let returns = return_or_steps(scope, steps, Level::Location, entrance, &mut table, work);
    match (&choices, returns) {
        (_, true) => note_unreached(scope, work),
        // The variable has none of the values that it may have.
        (Some(_), false) => table.put("respond", "{ status = 500 }"),
        (None, false) => action(location, None, named, &mut table, work),
    }
    if !returns {
        guard(scope, &mut table, work);
    }
    finish(scope, named, &mut table, work);
    let mut tables = vec![table];
    if with_named {
        let variants = branch::variants(location, choices.as_ref(), work);
        tables.extend(variants.iter().map(|one| variant(one, location, entrance, named, work)));
        work.names.stand_in(pages::whereabouts(scope, work));
    }
    tables
}

/// The route that answers in place of a location's.
fn variant(
    variant: &Variant<'_>,
    around: &Location<'_>,
    entrance: &Entrance,
    named: &Named,
    work: &Work<'_>,
) -> Table {
    let location = &variant.location;
    let scope = &location.scope;
    work.names.stand_in(pages::whereabouts(scope, work));
    let mut table = Table::new("[[route]]");
    table.comment(format!("{}: in the location {}", work.origin(location.place), around.path));
    table.text("name", &variant.name);
    table.text("internal", "by_name");
    entrance.put(&mut table);
    if location.kind != Kind::Named {
        table.text(key(location), &location.pattern);
    }
    match steps::certain_return(around.scope.block()) {
        Some(end) => {
            let answer = steps::read_return(end, &entrance.origin, work);
            put_return(answer, scope, &mut table, work);
        }
        None => {
            action(location, variant.target.as_ref(), named, &mut table, work);
            guard(scope, &mut table, work);
        }
    }
    finish(scope, named, &mut table, work);
    table
}

fn key(location: &Location<'_>) -> &'static str {
    match location.kind {
        Kind::Prefix if location.pattern == "/" => "path",
        Kind::Prefix => "path_start",
        Kind::First => "path_start_first",
        Kind::Exact => "path_exact",
        Kind::Regex | Kind::Named => "path_regex",
    }
}

/// The steps of a block, behind those given, and its `return` if one ends it for certain; says
/// whether one does. A `return` that a `break` before it may keep from running is a step like any
/// other: what the location is there for comes behind it.
fn return_or_steps(
    scope: &Scope<'_>,
    mut steps: Vec<String>,
    level: Level,
    entrance: &Entrance,
    table: &mut Table,
    work: &Work<'_>,
) -> bool {
    let block = scope.block();
    let at = block.iter().position(|one| one.is("return"));
    let end = match level {
        Level::Server => steps::final_return(block),
        Level::Location => steps::certain_return(block),
    };
    // What follows a `return` never runs.
    let before = match (at, end) {
        (Some(at), Some(_)) => &block[..at],
        (Some(at), None) => &block[..=at],
        (None, _) => block,
    };
    let media = steps::media(scope);
    steps.extend(steps::all(before, level, &entrance.origin, media, work));
    let answer = end.and_then(|end| steps::read_return(end, &entrance.origin, work));
    // Only as a step it goes through `error_pages`, or closes the connection.
    if let Some(Return::Status(status @ 300..)) = answer {
        steps.push(format!("{{ return = {status} }}"));
    }
    if !steps.is_empty() {
        table.rows("steps", &steps);
    }
    if end.is_some() {
        put_return(answer, scope, table, work);
    }
    end.is_some()
}

/// What a `return` answers that comes for certain.
fn put_return(answer: Option<Return>, scope: &Scope<'_>, table: &mut Table, work: &Work<'_>) {
    let media = steps::media(scope);
    note_charset(scope, work);
    freshness(scope, table, work);
    match answer {
        Some(Return::Redirect(status, to)) => {
            let pairs =
                [("to".to_owned(), toml::text(&to)), ("status".to_owned(), status.to_string())];
            table.put("redirect", toml::inline(&pairs));
        }
        Some(Return::Text(status, body)) => {
            let pairs = [
                ("status".to_owned(), status.to_string()),
                ("body".to_owned(), toml::text(&body)),
                ("content_type".to_owned(), toml::text(media)),
            ];
            table.put("respond", toml::inline(&pairs));
        }
        Some(Return::Status(status @ (204 | 205))) => {
            table.put("respond", format!("{{ status = {status} }}"));
        }
        Some(Return::Status(status)) => {
            let status = if status == 444 { 404 } else { status };
            let media = toml::text(media);
            table.put("respond", format!("{{ status = {status}, content_type = {media} }}"));
        }
        None => {}
    }
}

fn freshness(scope: &Scope<'_>, table: &mut Table, work: &Work<'_>) {
    if let Some(expires) = pages::expires(scope, work) {
        table.put("expires", expires.written);
    }
}

/// What answers, where no step does. `target`: where its `proxy_pass` leads, if that is known.
fn action(
    location: &Location<'_>,
    target: Option<&Target>,
    named: &Named,
    table: &mut Table,
    work: &Work<'_>,
) {
    let scope = &location.scope;
    if let Some(directive) = location.proxy_pass() {
        if let Some(tried) = scope.own("try_files").next() {
            let why = "a location serves files or asks servers";
            let instead = "let the last of `try_files` be a location `@name` with the proxy_pass";
            work.refuse(tried, why, instead);
        }
        let target = target.cloned().or_else(|| target::read(directive, scope, work));
        if let Some(target) = target {
            proxied(location, directive, &target, table, work);
        }
        return;
    }
    if server::serves_files(scope) {
        pages::files(location, named, table, work);
        return;
    }
    if let Some(directive) = scope.own("try_files").next() {
        let what = "`try_files` has no `root` to try them in";
        work.complaints.error(directive.place(), what, "add `root`");
    }
    server::note_default_root(location.place, work);
    freshness(scope, table, work);
    table.put("respond", "{ status = 404 }");
}

fn proxied(
    location: &Location<'_>,
    directive: &Directive,
    target: &Target,
    table: &mut Table,
    work: &Work<'_>,
) {
    let scope = &location.scope;
    note_charset(scope, work);
    table.text("upstream", &target.upstream);
    match &target.path {
        PathSent::AsCame => {}
        PathSent::Replaced(path) => match location.kind {
            _ if location.is_branch_with("proxy_pass") => {
                let why = "an `if` has no path that its URI could replace";
                work.refuse(directive, why, "leave out what follows the server's name");
            }
            Kind::Regex | Kind::Named => {
                let why = "this location has no path that its URI could replace";
                work.refuse(directive, why, "leave out what follows the server's name");
            }
            _ => table.text("replace_path", path),
        },
        PathSent::Whole(text) => table.text("send_path", text),
    }
    let prefix = match location.kind {
        Kind::Regex | Kind::Named => None,
        _ => Some(location.path.as_str()),
    };
    let redirects = fields::redirects(scope, target, prefix, work);
    if !redirects.is_empty() {
        table.put("redirects", format!("[{}]", redirects.join(", ")));
    }
    freshness(scope, table, work);
    fields::of_request(scope, target, table, work);
    let place = directive.place();
    let connect = work.time_of(scope, "proxy_connect_timeout", 60_000).max(1);
    work.upstreams.connects_within(&target.upstream, connect, place, work.complaints);
    timeouts(scope, table, work);
    let names = ["proxy_next_upstream", "proxy_next_upstream_tries", "proxy_next_upstream_timeout"];
    let retry = work.retry(scope, &target.upstream);
    if names.iter().any(|name| scope.one(name).is_some())
        && retry != work.retry(&work.http, &target.upstream)
    {
        table.put("retry", toml::inline(&retry));
    }
}

fn timeouts(scope: &Scope<'_>, table: &mut Table, work: &Work<'_>) {
    let time = |scope: &Scope<'_>| work.time_of(scope, "proxy_read_timeout", 60_000).max(1);
    let all = ["client_body_timeout", "send_timeout", "proxy_send_timeout"];
    let read = time(scope);
    let body = all.map(|name| work.time_of(scope, name, 60_000).max(1));
    let body = body.into_iter().max().unwrap_or(read).max(read);
    if read == time(&work.http) && body == read.max(60_000) && work.http.one(all[2]).is_none() {
        return;
    }
    let read = toml::text(&time_text(read));
    let pairs = [
        ("response".to_owned(), read.clone()),
        ("body_idle".to_owned(), toml::text(&time_text(body))),
        ("tunnel_idle".to_owned(), read),
    ];
    table.put("timeouts", toml::inline(&pairs));
}

/// What there is of `charset` where no files are served.
fn note_charset(scope: &Scope<'_>, work: &Work<'_>) {
    if let Some(said) = scope.one("charset").filter(|said| said.argument(0) != "off") {
        let what = format!("`charset {}` is for files only", said.argument(0));
        let why = "servers say themselves in what their texts are, and `return` by `default_type`";
        work.complaints.note(said.place(), what, why);
    }
}

/// What a request must get past. In nginx that comes after the rewrite module's directives: what a
/// `return` answers is for everybody.
fn guard(scope: &Scope<'_>, table: &mut Table, work: &Work<'_>) {
    access::addresses(scope, table, work);
    let limited = work.rates.of_route(scope, work);
    if !limited.is_empty() {
        table.put("rate", rates::written(&limited));
    }
    work.rates.connections(scope, work);
    access::passwords(scope, table, work);
}

/// Tells of guards in a block that no request gets as far as.
fn note_unreached(scope: &Scope<'_>, work: &Work<'_>) {
    let guards = ["allow", "deny", "auth_basic", "limit_req", "limit_conn"];
    for directive in scope.block().iter().filter(|one| guards.contains(&one.name.text.as_str())) {
        let what = format!("`{}` has no effect", directive.name.text);
        let why = "the `return` beside it answers before, as in nginx";
        work.complaints.note(directive.place(), what, why);
    }
}

/// What every kind of route has.
fn finish(scope: &Scope<'_>, named: &Named, table: &mut Table, work: &Work<'_>) {
    let body = server::body_limit(scope, work);
    if body != server::body_limit(&work.http, work) {
        table.put("limits", format!("{{ body = {body} }}"));
    }
    logs::of_route(scope, table, work);
    let errors = pages::of_errors(scope, named, work);
    if !errors.is_empty() {
        table.rows("error_pages", &errors);
    }
    fields::of_response(scope, table, work);
    pages::compress(scope, table, work);
}
