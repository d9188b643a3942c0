//! One location as a `[[route]]`.

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
    let mut table = Table::new("[[route]]");
    table.comment(work.origin(place));
    entrance.put(&mut table);
    table.text("path", "/");
    let steps = Vec::new();
    return_or_steps(scope, steps, Level::Server, entrance, &mut table, work);
    finish(scope, named, false, &mut table, work);
    table
}

impl Entrance {
    fn put(&self, table: &mut Table) {
        if !self.listeners.is_empty() {
            table.put("listeners", toml::list(&self.listeners));
        }
        match self.hosts.as_slice() {
            [] => {}
            [host] => table.text("host", host),
            hosts => table.put("host", toml::list(hosts)),
        }
    }
}

/// A location; `prelude` are the steps of its server.
pub(super) fn of_location(
    location: &Location<'_>,
    entrance: &Entrance,
    named: &Named,
    prelude: Vec<String>,
    work: &Work<'_>,
) -> Table {
    let mut table = Table::new("[[route]]");
    let scope = &location.scope;
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
    }
    let mut steps = prelude;
    if location.is_server {
        action(location, entrance, named, steps, &mut table, work);
    } else {
        steps.extend(access::methods(scope, work));
        let ends = return_or_steps(scope, steps, Level::Location, entrance, &mut table, work);
        if !ends {
            action(location, entrance, named, Vec::new(), &mut table, work);
        }
    }
    let has_files = table.has("route.files");
    finish(scope, named, has_files, &mut table, work);
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
    let (before, end) = match at {
        // What follows a `return` never runs.
        Some(at) if level == Level::Location && steps::may_break(&block[..at]) => {
            (&block[..=at], None)
        }
        Some(at) => (&block[..at], Some(&block[at])),
        None => (block, None),
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
            let media = toml::text(steps::media(scope));
            table.put("respond", format!("{{ status = {status}, content_type = {media} }}"));
        }
        None => {}
    }
    end.is_some()
}

/// What answers, where no step does.
fn action(
    location: &Location<'_>,
    entrance: &Entrance,
    named: &Named,
    prelude: Vec<String>,
    table: &mut Table,
    work: &Work<'_>,
) {
    let scope = &location.scope;
    if !prelude.is_empty() {
        table.rows("steps", &prelude);
    }
    if let Some(directive) = scope.own("proxy_pass").next().filter(|_| !location.is_server) {
        if let Some(tried) = scope.own("try_files").next() {
            let why = "a location serves files or asks servers";
            let instead = "let the last of `try_files` be a location `@name` with the proxy_pass";
            work.refuse(tried, why, instead);
        }
        if let Some(target) = target::read(directive, scope, work) {
            proxied(location, directive, &target, entrance, table, work);
        }
        return;
    }
    if server::serves_files(scope) {
        let alias_path = location.alias_path();
        let has_no_path = location.kind == Kind::Regex && alias_path.is_none();
        pages::files(scope, has_no_path, named, table, work);
        if let Some(path) = alias_path {
            table.also_below("route.files", "alias_path", toml::text(&path));
        }
        return;
    }
    if let Some(directive) = scope.own("try_files").next() {
        let what = "`try_files` has no `root` to try them in";
        work.complaints.error(directive.place(), what, "add `root`");
    }
    server::note_default_root(location.place, work);
    table.put("respond", "{ status = 404 }");
}

fn proxied(
    location: &Location<'_>,
    directive: &Directive,
    target: &Target,
    entrance: &Entrance,
    table: &mut Table,
    work: &Work<'_>,
) {
    let scope = &location.scope;
    table.text("upstream", &target.upstream);
    match &target.path {
        PathSent::AsCame => {}
        PathSent::Replaced(path) => match location.kind {
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
    let redirects = fields::redirects(scope, target, prefix, &entrance.origin.url, work);
    if !redirects.is_empty() {
        table.put("redirects", format!("[{}]", redirects.join(", ")));
    }
    if let Some(said) = scope.one("expires").filter(|said| said.argument(0) != "off") {
        let why = "servers say themselves how long their answers are good for";
        work.refuse(said, why, "write `add_header Cache-Control …;`, or move it to the files");
    }
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

/// What every kind of route has.
fn finish(scope: &Scope<'_>, named: &Named, has_files: bool, table: &mut Table, work: &Work<'_>) {
    access::addresses(scope, table, work);
    let limited = work.rates.of_route(scope, work);
    if !limited.is_empty() {
        table.put("rate", rates::written(&limited));
    }
    work.rates.connections(scope, work);
    let body = server::body_limit(scope, work);
    if body != server::body_limit(&work.http, work) {
        table.put("limits", format!("{{ body = {body} }}"));
    }
    if logs::of_scope(scope, work).is_none() && scope.one("access_log").is_some() {
        table.put("access_log", false);
    }
    let errors = pages::of_errors(scope, named, has_files, work);
    if !errors.is_empty() {
        table.rows("error_pages", &errors);
    }
    if !has_files {
        note_charset(scope, work);
    }
    fields::of_response(scope, table, work);
    pages::compress(scope, table, work);
    access::passwords(scope, table, work);
}
