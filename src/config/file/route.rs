//! `[[route]]` as written.

use super::access_log::{LogsWritten, read_logs};
use super::program::define_groups;
use super::{
    AccessTable, ContentTable, FilesTable, LimitsTable, ProgramTable, RetryTable,
    TIMEOUTS_OF_ROUTE, TimeoutsTable, expires, rate, table,
};
use crate::config::edits::{self, Direction, field_value};
use crate::config::fields::{Field, Fields};
use crate::config::source::{Located, Spot};
use crate::plan::{BodyText, EditsPlan, ExpiresPlan, Redirect, Template};
use crate::route::{HostPattern, HostPatternError, PathPattern, PathPatternError};

/// One `[[route]]`.
#[derive(Debug)]
pub(in crate::config) struct RouteTable {
    pub name: Option<String>,
    /// Empty: any host.
    pub hosts: Vec<Located<HostPattern>>,
    /// The names of listeners; empty: all.
    pub listeners: Vec<Located<String>>,
    pub path: PathWritten,
    pub internal: bool,
    /// It is internal, and no path leads there either.
    pub by_name: bool,
    pub program: ProgramTable,
    /// `None` if there was none, or not exactly one.
    pub action: Option<ActionWritten>,
    pub pass_forwarding: bool,
    pub request_fields: EditsPlan,
    pub response_fields: EditsPlan,
    pub expires: Option<ExpiresPlan>,
    pub timeouts: TimeoutsTable,
    pub limits: LimitsTable,
    pub retry: RetryTable,
    pub access: AccessTable,
    pub content: ContentTable,
    /// The names of rates.
    pub rates: Vec<Located<String>>,
    pub access_log: Option<Located<LogsWritten>>,
}

/// `path`, `path_exact` or `path_regex`.
#[derive(Debug)]
pub(in crate::config) struct PathWritten {
    pub spot: Spot,
    /// As typed, for the route's name.
    pub text: String,
    /// Whether there was one.
    pub given: bool,
    /// `None` if it was wrong.
    pub pattern: Option<PathPattern>,
}

/// `upstream`, `respond`, `redirect` or `files`.
#[derive(Debug)]
pub(in crate::config) enum ActionWritten {
    /// The name of an upstream.
    Upstream(Located<String>),
    Respond {
        status: u16,
        body: BodyText,
    },
    Redirect(Redirect),
    Files(Box<FilesTable>),
}

impl RouteTable {
    pub(super) fn read(mut fields: Fields<'_>) -> RouteTable {
        let path = read_path(&mut fields);
        let internal = fields.get("internal").and_then(read_internal).unwrap_or(Internal::No);
        let program = ProgramTable::read(&mut fields);
        // Whoever gets past steps that others take first, and asks for them by name, finds nothing.
        let by_default = internal != Internal::No && !path.given && !program.steps.is_empty();
        let nothing = || ActionWritten::Respond { status: 404, body: BodyText::default() };
        let action = read_action(&mut fields, by_default.then(nothing));
        let route = RouteTable {
            name: fields.get("name").and_then(read_name),
            hosts: fields.get("host").map(read_hosts).unwrap_or_default(),
            listeners: fields.get("listeners").map(read_listeners).unwrap_or_default(),
            path,
            internal: internal != Internal::No,
            by_name: internal == Internal::ByName,
            program,
            action,
            pass_forwarding: fields.get("pass_forwarding").and_then(Field::flag).unwrap_or(false),
            request_fields: table(fields.get("request_fields"), "`request_fields`", |fields| {
                edits::read(fields, Direction::Request)
            }),
            response_fields: table(fields.get("response_fields"), "`response_fields`", |fields| {
                edits::read(fields, Direction::Response)
            }),
            expires: fields.get("expires").and_then(expires::read_plan),
            timeouts: table(fields.get("timeouts"), "`timeouts` of a route", |fields| {
                TimeoutsTable::read(fields, &TIMEOUTS_OF_ROUTE)
            }),
            limits: table(fields.get("limits"), "`limits` of a route", LimitsTable::read_of_route),
            retry: table(fields.get("retry"), "`retry` of a route", RetryTable::read_of_route),
            access: AccessTable::read(&mut fields),
            content: ContentTable::read(&mut fields),
            rates: fields.get("rate").map(rate::read_names).unwrap_or_default(),
            access_log: fields.get("access_log").and_then(|field| field.placed(read_logs)),
        };
        if let Some((key, spot)) = route.program.of_servers()
            && route.action.is_some()
            && route.upstream().is_none()
        {
            let what = format!("`{key}` is about servers, and this route has none");
            fields.complain_at(spot, what, "remove it, or write `upstream`");
        }
        if let (Some(path), Some(PathPattern::Regex(_))) =
            (&route.program.replace_path, &route.path.pattern)
        {
            let what = "`replace_path` does not go with `path_regex`: what it matched has no end";
            fields.complain_at(path.spot, what, "use `send_path`, such as \"/x/$1$is_args$args\"");
        }
        fields.finish();
        route
    }

    /// The name of the upstream that it leads to, if it leads to one.
    pub fn upstream(&self) -> Option<&Located<String>> {
        match &self.action {
            Some(ActionWritten::Upstream(name)) => Some(name),
            _ => None,
        }
    }

    /// Whether requests by this listener may find it; `None`: by one that no route names.
    pub fn is_for(&self, listener: Option<&str>) -> bool {
        self.listeners.is_empty()
            || self.listeners.iter().any(|name| Some(name.value.as_str()) == listener)
    }

    /// Whether it is found by host and path at all, and not only by its name.
    pub fn is_found_by_path(&self) -> bool {
        !self.by_name && (!self.internal || self.path.given)
    }

    /// Whether it leads to the upstream of this name.
    pub fn leads_to(&self, upstream: &str) -> bool {
        self.upstream().is_some_and(|name| name.value == upstream)
    }
}

/// `internal`
#[derive(Clone, Copy, PartialEq, Eq)]
enum Internal {
    No,
    Yes,
    ByName,
}

fn read_internal(field: Field<'_>) -> Option<Internal> {
    match field.as_text() {
        Some("by_name") => Some(Internal::ByName),
        Some(_) => field.refuse("`internal` is not understood", "write true, false or \"by_name\""),
        None => field.flag().map(|on| if on { Internal::Yes } else { Internal::No }),
    }
}

fn read_name(field: Field<'_>) -> Option<String> {
    let text = field.text()?.value;
    if text.is_empty() || text.len() > 100 || text.chars().any(char::is_control) {
        let what = "a route's name is a short line of text";
        return field.refuse(what, "use 1 to 100 characters without control characters");
    }
    if ["(other)", "(none)"].contains(&text) {
        let what = format!("a route cannot be called \"{text}\": metrics mean others by it");
        return field.refuse(what, "choose another name");
    }
    Some(text.to_owned())
}

fn read_listeners(field: Field<'_>) -> Vec<Located<String>> {
    let items = field.one_or_list();
    if items.is_empty() {
        field.complain("`listeners` is empty", "remove it to take what comes by any");
    }
    items.into_iter().filter_map(Field::name).collect()
}

fn read_hosts(field: Field<'_>) -> Vec<Located<HostPattern>> {
    let items = field.one_or_list();
    if items.is_empty() {
        field.complain("`host` is empty", "remove it to match any host");
    }
    items.into_iter().filter_map(read_host).collect()
}

fn read_host(field: Field<'_>) -> Option<Located<HostPattern>> {
    let text = field.text()?.value;
    let error = match HostPattern::parse(text) {
        Ok(pattern) => {
            if let HostPattern::Regex(expression) = &pattern {
                define_groups(field, expression);
            }
            return Some(field.located(pattern));
        }
        Err(error) => error,
    };
    let remedy = match &error {
        HostPatternError::Empty => "remove it to match any host".to_owned(),
        HostPatternError::Port | HostPatternError::Url => host_meant(text),
        HostPatternError::Star => {
            "write \"*.example.com\", \"www.example.*\", or \"*\" for any host".to_owned()
        }
        HostPatternError::Regex(_) => "see https://docs.rs/regex for the syntax".to_owned(),
        HostPatternError::NotAscii => "write it in that form".to_owned(),
        HostPatternError::NotAName => "write a name such as \"example.com\"".to_owned(),
    };
    field.refuse(format!("`host` is \"{text}\": {error}"), remedy)
}

/// The host in a URL or in front of a port.
fn host_meant(text: &str) -> String {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = crate::route::bare_host(authority.rsplit('@').next().unwrap_or_default());
    match HostPattern::parse(host) {
        Ok(_) => format!("did you mean \"{host}\"?"),
        Err(_) => "write a name such as \"example.com\"".to_owned(),
    }
}

/// A constructor of a pattern from its text.
type ReadPattern = fn(&str) -> Result<PathPattern, PathPatternError>;

/// The ways to write a path.
const PATHS: [(&str, ReadPattern); 5] = [
    ("path", PathPattern::prefix),
    ("path_exact", PathPattern::exact),
    ("path_start", |text| PathPattern::start(text, false)),
    ("path_start_first", |text| PathPattern::start(text, true)),
    ("path_regex", PathPattern::regex),
];

fn read_path(fields: &mut Fields<'_>) -> PathWritten {
    let mut found: Option<PathWritten> = None;
    for (key, read) in PATHS {
        let Some(field) = fields.get(key) else { continue };
        if found.is_some() {
            let what = "a route has one of `path`, `path_exact`, `path_start`, \
                        `path_start_first` and `path_regex`";
            field.complain(what, "keep one, or write two routes");
        }
        let text = field.text();
        let pattern = text.as_ref().and_then(|text| match read(text.value) {
            Ok(pattern) => {
                if let PathPattern::Regex(expression) = &pattern {
                    define_groups(field, expression);
                }
                Some(pattern)
            }
            Err(error) => field.refuse(
                format!("`{key}` is \"{}\": {error}", text.value),
                path_remedy(text.value, &error),
            ),
        });
        let text = text.map(|text| text.value.to_owned()).unwrap_or_default();
        found = found.or(Some(PathWritten { spot: field.spot, text, pattern, given: true }));
    }
    if let Some(within) = fields.get("path_within") {
        read_within(within, &mut found);
    }
    found.unwrap_or_else(|| PathWritten {
        spot: fields.spot,
        text: "/".to_owned(),
        pattern: Some(PathPattern::Prefix("/".to_owned())),
        given: false,
    })
}

/// `path_within`: what a path begins with, for the expression to be looked for in it.
fn read_within(field: Field<'_>, found: &mut Option<PathWritten>) {
    let Some(start) = read_start(field) else { return };
    let expression = found.as_mut().and_then(|found| match found.pattern.take() {
        Some(PathPattern::Regex(expression)) => Some((found, expression)),
        other => {
            found.pattern = other;
            None
        }
    });
    let Some((found, expression)) = expression else {
        let what = "`path_within` is about a `path_regex`, and there is none";
        return field.complain(what, "remove it, or write `path_start` alone");
    };
    let expression = expression.within(&start);
    found.text = expression.to_string();
    found.pattern = Some(PathPattern::Regex(expression));
}

/// The beginning of paths, decoded.
pub(super) fn read_start(field: Field<'_>) -> Option<Vec<u8>> {
    let text = field.text()?.value;
    match PathPattern::start(text, false) {
        Ok(PathPattern::Start { path, .. }) => Some(path),
        Ok(_) => None,
        Err(error) => field
            .refuse(format!("`{}` is \"{text}\": {error}", field.key), path_remedy(text, &error)),
    }
}

fn path_remedy(text: &str, error: &PathPatternError) -> String {
    match error {
        PathPatternError::Relative => {
            let path = text
                .split_once("://")
                .map_or(text, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
            format!("did you mean \"/{path}\"?")
        }
        PathPatternError::Query => "leave it out".to_owned(),
        PathPatternError::NotEncoded => format!("did you mean \"{}\"?", percent_encoded(text)),
        PathPatternError::Star => match text.trim_end_matches('*') {
            path if !path.contains('*') => {
                format!("`path` matches everything below as it is: write \"{path}\"")
            }
            _ => "use `path_regex`".to_owned(),
        },
        PathPatternError::Regex(_) => "see https://docs.rs/regex for the syntax".to_owned(),
    }
}

pub(super) fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        byte if byte.is_ascii_graphic() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// The things that can answer.
const ACTIONS: [&str; 4] = ["upstream", "respond", "redirect", "files"];

/// `by_default`: what answers where nothing is said.
fn read_action(
    fields: &mut Fields<'_>,
    by_default: Option<ActionWritten>,
) -> Option<ActionWritten> {
    let mut action = None;
    let mut count = 0;
    for key in ACTIONS {
        let Some(field) = fields.get(key) else { continue };
        count += 1;
        if count > 1 {
            let what = "a route has one of `upstream`, `respond`, `redirect` and `files`";
            field.complain(what, "keep one, or write two routes");
        }
        let read = match key {
            "upstream" => field
                .text()
                .map(|text| ActionWritten::Upstream(field.located(text.value.to_owned()))),
            "respond" => field.table("`respond`").and_then(read_respond),
            "redirect" => field.table("`redirect`").and_then(read_redirect),
            _ => field
                .table("[route.files]")
                .map(|fields| ActionWritten::Files(Box::new(FilesTable::read(fields)))),
        };
        action = action.or(read);
    }
    if count == 0 && by_default.is_some() {
        return by_default;
    }
    if count == 0 {
        let what = "the route does not say what answers";
        fields.complain(what, "add `upstream`, `respond`, `redirect` or `files`");
    }
    action
}

fn read_respond(mut fields: Fields<'_>) -> Option<ActionWritten> {
    let status = fields
        .require("status", "status = 200")
        .and_then(|field| field.whole32(200..=599).and_then(|status| u16::try_from(status).ok()));
    let (body, content_type) = (fields.get("body"), fields.get("content_type"));
    let body = read_body(&fields, status, body, content_type);
    fields.finish();
    Some(ActionWritten::Respond { status: status?, body: body? })
}

/// A fixed body of an answer with this status.
pub(super) fn read_body(
    fields: &Fields<'_>,
    status: Option<u16>,
    body: Option<Field<'_>>,
    content_type: Option<Field<'_>>,
) -> Option<BodyText> {
    let written = body.and_then(|field| field.as_text());
    let text = body.and_then(Field::template);
    let content_type = content_type.and_then(field_value);
    if let (Some(status), Some(body)) = (status, &body)
        && [204, 205, 304].contains(&status)
        && written.is_some_and(|text| !text.is_empty())
    {
        let what = format!("a response with status {status} has no body");
        fields.complain_at(body.spot, what, "remove `body` or use status 200");
    }
    Some(BodyText {
        content_type: content_type.unwrap_or_else(|| "text/plain; charset=utf-8".to_owned()),
        text: text.unwrap_or_default(),
    })
}

fn read_redirect(mut fields: Fields<'_>) -> Option<ActionWritten> {
    let to = fields.require("to", "to = \"https://$host$request_uri\"").and_then(read_target);
    let status = match fields.get("status") {
        Some(field) => read_redirect_status(field),
        None => Some(308),
    };
    fields.finish();
    Some(ActionWritten::Redirect(Redirect { status: status?, to: to? }))
}

fn read_redirect_status(field: Field<'_>) -> Option<u16> {
    let status = field.whole32(100..=599)?;
    match u16::try_from(status) {
        Ok(status) if [301, 302, 303, 307, 308].contains(&status) => Some(status),
        _ => {
            let what = format!("status {status} is not a redirect");
            field.refuse(what, "write 301, 302, 303, 307 or 308")
        }
    }
}

/// What stood for variables once.
const PLACEHOLDERS: [(&str, &str); 4] = [
    ("{host}", "$host"),
    ("{path}", "$uri"),
    ("{query}", "$is_args$args"),
    ("{uri}", "$request_uri"),
];

/// Where a redirect leads.
pub(super) fn read_target(field: Field<'_>) -> Option<Template> {
    let text = field.text()?.value;
    if let Some((old, new)) = PLACEHOLDERS.iter().find(|(old, _)| braced(text, old)) {
        let what = format!("`to` is \"{text}\": `{old}` is no variable");
        return field.refuse(what, format!("write `{new}`"));
    }
    let paths = ["/$uri", "/${uri}", "/$request_uri", "/${request_uri}"];
    if paths.iter().any(|start| text.starts_with(start)) {
        // `//name/` would be the root of another host.
        return field.refuse(
            format!("`to` is \"{text}\", which begins with two slashes"),
            "paths begin with a slash of their own: leave out the first one",
        );
    }
    let anchored = ["/", "http://", "https://", "$"];
    if !anchored.iter().any(|start| text.starts_with(start)) {
        let what = format!("`to` is \"{text}\", which no browser would understand");
        return field.refuse(what, "begin with \"https://\", \"http://\" or \"/\"");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = "`to` holds blanks or characters beyond ASCII";
        return field.refuse(what, format!("did you mean \"{}\"?", percent_encoded(text)));
    }
    field.template()
}

/// Whether a text has this in braces, and not as `${host}`.
fn braced(text: &str, old: &str) -> bool {
    text.match_indices(old).any(|(at, _)| !text[..at].ends_with('$'))
}
