//! `proxy_set_header`, `add_header` and what else changes heads.

use super::scope::Scope;
use super::target::{PathSent, Target};
use super::texts;
use super::toml::{self, Table};
use super::tree::{Directive, Word};
use super::work::Work;

/// Fields that are the proxy's own: they say where a message ends or how a connection goes on, and
/// a route that could change them could smuggle requests. In lower case.
pub const OWN_FIELDS: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// A name and its value, both as written.
type Pairs = Vec<(String, String)>;

/// What goes to servers.
pub(super) fn of_request(scope: &Scope<'_>, target: &Target, table: &mut Table, work: &Work<'_>) {
    let (mut set, mut remove): (Pairs, Vec<String>) = Default::default();
    for directive in scope.nearest(&["proxy_set_header"]) {
        let Some((name, word)) = name_and_value(directive, work) else { continue };
        let lower = name.to_ascii_lowercase();
        if OWN_FIELDS.contains(&lower.as_str()) {
            own_field(directive, &lower, &word.text, work);
            continue;
        }
        let known = |other: &String| other.eq_ignore_ascii_case(&name);
        if set.iter().any(|(other, _)| known(other)) || remove.iter().any(known) {
            let why = "a field that is set has one value";
            work.refuse(directive, why, "keep one, or join the values by a comma");
            continue;
        }
        let host = Some(target.proxy_host.as_str());
        let Some(value) = work.names.text_with(word, host, work.complaints) else { continue };
        match value.is_empty() {
            true if lower == "host" => {
                work.refuse(directive, "HTTP/1.1 needs a Host", "set it to `$host`");
            }
            true => remove.push(name),
            false => set.push((name, value)),
        }
    }
    let is_said = |name: &str| {
        let is_it = |other: &String| other.eq_ignore_ascii_case(name);
        set.iter().any(|(other, _)| is_it(other)) || remove.iter().any(is_it)
    };
    let mut lines: Pairs = Vec::new();
    if !is_said("Host") {
        lines.push(("Host".to_owned(), toml::text(&target.proxy_host)));
    }
    lines.extend(set.iter().map(|(name, value)| (name.clone(), toml::text(value))));
    table.put("pass_forwarding", true);
    if !remove.is_empty() {
        table.below("route.request_fields", &[("remove".to_owned(), toml::list(&remove))]);
    }
    table.below("route.request_fields.set", &lines);
}

/// `proxy_set_header Upgrade $http_upgrade` and the like.
fn own_field(directive: &Directive, lower: &str, value: &str, work: &Work<'_>) {
    let said = format!("`proxy_set_header {}` is not needed", directive.argument(0));
    match lower {
        "connection" | "upgrade" => {
            let why = "WebSocket upgrades pass by themselves, and connections are kept";
            work.complaints.note(directive.place(), said, why);
        }
        _ if value.is_empty() => {
            let why = "the proxy sets this field as each connection needs it";
            work.complaints.note(directive.place(), said, why);
        }
        _ => {
            let why = "the proxy sets this field as each connection needs it";
            work.refuse(directive, why, "remove it");
        }
    }
}

fn name_and_value<'d>(directive: &'d Directive, work: &Work<'_>) -> Option<(String, &'d Word)> {
    let [name, value, ..] = directive.arguments.as_slice() else { return None };
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.text.is_empty() || !name.text.bytes().all(token) || name.text.contains('$') {
        let what = format!("`{}` is not a field name", name.text);
        let remedy = "use letters, digits and hyphens, as in `X-Request-Id`";
        work.complaints.error(name.place, what, remedy);
        return None;
    }
    let graphic = |byte: u8| byte.is_ascii_graphic() || byte == b' ' || byte == b'\t';
    if !value.text.bytes().all(graphic) || value.text.trim() != value.text {
        let what = format!("the value of `{}` cannot stand in a head", name.text);
        let remedy = "use visible ASCII characters, and no blanks around them";
        work.complaints.error(value.place, what, remedy);
        return None;
    }
    Some((name.text.clone(), value))
}

/// What goes to clients.
pub(super) fn of_response(scope: &Scope<'_>, table: &mut Table, work: &Work<'_>) {
    let hidden = scope.nearest(&["proxy_hide_header"]);
    let hidden: Vec<&str> = hidden.iter().map(|directive| directive.argument(0)).collect();
    let is_own = |name: &&&str| OWN_FIELDS.contains(&name.to_ascii_lowercase().as_str());
    let remove: Vec<&str> = hidden.iter().filter(|name| !is_own(name)).copied().collect();
    for directive in scope.nearest(&["proxy_pass_header"]) {
        let what = format!("`proxy_pass_header {}` is not needed", directive.argument(0));
        work.complaints.note(directive.place(), what, "servers' fields are passed on anyway");
    }
    // What is for all answers, and what is for those that went well.
    let mut added: [Vec<(String, Vec<String>)>; 2] = Default::default();
    for directive in scope.nearest(&["add_header"]) {
        let Some((name, word)) = name_and_value(directive, work) else { continue };
        if name.eq_ignore_ascii_case("content-length") && word.text == "0" {
            let what = "`add_header Content-Length 0` is not needed";
            work.complaints.note(directive.place(), what, "an empty answer says so by itself");
            continue;
        }
        if OWN_FIELDS.contains(&name.to_ascii_lowercase().as_str()) {
            let why = "the proxy sets this field as each connection needs it";
            work.refuse(directive, why, "remove it");
            continue;
        }
        let Some(value) = work.names.text(word, work.complaints) else { continue };
        let list = match directive.argument(2) {
            "always" => &mut added[0],
            "" => &mut added[1],
            other => {
                let what = format!("`{other}` is not known to `add_header`");
                work.complaints.error(directive.place(), what, "write `always`, or nothing");
                continue;
            }
        };
        if value.is_empty() {
            work.complaints.note(directive.place(), "an empty field is left out", "as nginx does");
            continue;
        }
        match list.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
            Some((_, values)) => values.push(value),
            None => list.push((name, vec![value])),
        }
    }
    if !remove.is_empty() {
        table.below("route.response_fields", &[("remove".to_owned(), toml::list(&remove))]);
    }
    for (key, list) in ["add", "add_ok"].iter().zip(&added) {
        let written = |(name, values): &(String, Vec<String>)| match values.as_slice() {
            [value] => (name.clone(), toml::text(value)),
            values => (name.clone(), toml::list(values)),
        };
        let pairs: Pairs = list.iter().map(written).collect();
        table.below(&format!("route.response_fields.{key}"), &pairs);
    }
}

/// An expression; one that begins with a star does not mind case.
fn expression(word: &Word, text: &str, work: &Work<'_>) -> Option<String> {
    let (text, any_case) = match text.strip_prefix('*') {
        Some(text) => (text, true),
        None => (text, false),
    };
    texts::expression_on("$http_location", word, text, any_case, work.complaints)
}

/// `proxy_redirect`: what of Location and Refresh is replaced. `prefix` is what the location
/// matches, `None` where that is an expression. A path stays one: clients know where they asked.
pub(super) fn redirects(
    scope: &Scope<'_>,
    target: &Target,
    prefix: Option<&str>,
    work: &Work<'_>,
) -> Vec<String> {
    let by_default = || -> Option<String> {
        let written = target.url.as_ref()?;
        let (from, to) = match &target.path {
            PathSent::Replaced(_) => (written.clone(), prefix?),
            _ => (format!("{written}/"), "/"),
        };
        Some(toml::list([from.as_str(), to]))
    };
    let said = scope.nearest(&["proxy_redirect"]);
    if said.is_empty() {
        return by_default().into_iter().collect();
    }
    let mut pairs = Vec::new();
    for directive in said {
        match (directive.argument(0), directive.arguments.get(1)) {
            ("off", None) => return Vec::new(),
            ("default", None) => match by_default() {
                Some(pair) => pairs.push(pair),
                None => work.refuse(directive, "`proxy_pass` has variables", "write both URLs"),
            },
            (_, Some(to)) => {
                let from = &directive.arguments[0];
                let host = Some(target.proxy_host.as_str());
                let from = match from.text.strip_prefix('~') {
                    Some(text) => expression(from, text, work).map(|text| format!("~{text}")),
                    None => work.names.text_with(from, host, work.complaints),
                };
                let to = work.names.text_with(to, host, work.complaints);
                let (Some(from), Some(to)) = (from, to) else { continue };
                pairs.push(toml::list([from, to]));
            }
            (other, None) => {
                let what = format!("`proxy_redirect {other}`");
                let remedy = "write `off`, `default`, or what to replace and by what";
                work.complaints.error(directive.place(), what, remedy);
            }
        }
    }
    pairs
}
