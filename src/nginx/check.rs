//! Whether each directive is known, stands where it may, and has the arguments that it takes.

use super::complaint::Complaints;
use super::directive::{self, CONTEXTS, Contexts, E, Fate, H, L, LIF, LMT, M, S, SIF, U};
use super::tree::Directive;

/// Directives of which a context has one at most; nginx says "is duplicate".
const ONCE: [&str; 32] = [
    "events",
    "http",
    "user",
    "root",
    "alias",
    "proxy_pass",
    "try_files",
    "autoindex",
    "client_max_body_size",
    "client_header_timeout",
    "keepalive_requests",
    "large_client_header_buffers",
    "proxy_connect_timeout",
    "proxy_read_timeout",
    "proxy_send_timeout",
    "proxy_next_upstream",
    "proxy_intercept_errors",
    "proxy_buffering",
    "proxy_http_version",
    "default_type",
    "expires",
    "auth_basic",
    "auth_basic_user_file",
    "gzip",
    "gzip_min_length",
    "gzip_comp_level",
    "real_ip_header",
    "real_ip_recursive",
    "worker_processes",
    "pid",
    "sendfile",
    "worker_connections",
];

/// Checks all directives of a context, and what is in their blocks.
pub(super) fn all(directives: &[Directive], context: Contexts, complaints: &Complaints) {
    for (at, directive) in directives.iter().enumerate() {
        one(directive, context, complaints);
        let name = directive.name.text.as_str();
        if ONCE.contains(&name) && directives[..at].iter().any(|other| other.is(name)) {
            let what = format!("`{name}` is there twice in the same block");
            complaints.error(directive.place(), what, "keep one");
        }
    }
}

fn one(directive: &Directive, context: Contexts, complaints: &Complaints) {
    let name = directive.name.text.as_str();
    let Some(known) = directive::named(name) else {
        let what = format!("unknown directive `{name}`");
        let remedy = match directive::like(name) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "it is not known here: remove it, and do without its module".to_owned(),
        };
        return complaints.error(directive.place(), what, remedy);
    };
    if known.contexts & context == 0 {
        let what = format!("`{name}` may not stand in {}", called(context));
        let remedy = format!("move it to {}", names(known.contexts));
        return complaints.error(directive.place(), what, remedy);
    }
    match known.fate {
        Fate::Honoured => {}
        Fate::NotNeeded(why) => {
            shape(directive, known, context, complaints);
            return complaints.note(directive.place(), format!("`{name}` is not needed"), why);
        }
        Fate::Refused(why, instead) => {
            let what = format!("`{name}` is not honoured: {why}");
            return complaints.error(directive.place(), what, instead);
        }
    }
    if shape(directive, known, context, complaints)
        && let Some(inner) = inner(name, context)
    {
        all(directive.children(), inner, complaints);
    }
}

/// Whether it has the arguments and the end that it takes.
fn shape(
    directive: &Directive,
    known: directive::Known,
    context: Contexts,
    complaints: &Complaints,
) -> bool {
    let name = directive.name.text.as_str();
    let mut shape = known.shape;
    if name == "server" {
        shape.block = context != U;
        (shape.least, shape.most) = if context == U { (1, u8::MAX) } else { (0, 0) };
    }
    match (shape.block, &directive.block) {
        (true, None) => {
            let what = format!("`{name}` has no block");
            complaints.error(directive.place(), what, "add `{ … }` in place of the `;`");
            return false;
        }
        (false, Some(_)) => {
            let what = format!("`{name}` has no block, but a `{{` follows");
            let remedy = "end it with a `;`; an expression with braces needs quotes";
            complaints.error(directive.place(), what, remedy);
            return false;
        }
        _ => {}
    }
    let count = directive.arguments.len();
    if count < usize::from(shape.least) || (shape.most < u8::MAX && count > shape.most.into()) {
        let (least, most) = (shape.least, shape.most);
        let wanted = match (least, most) {
            (0, 0) => "none".to_owned(),
            (least, u8::MAX) => format!("{least} or more"),
            (least, most) if least == most => least.to_string(),
            (least, most) => format!("{least} to {most}"),
        };
        let what = format!("`{name}` has {count} arguments, and takes {wanted}");
        complaints.error(directive.place(), what, "a forgotten `;` joins two lines");
        return false;
    }
    if shape.flag && !matches!(directive.argument(0), "on" | "off") {
        let what = format!("`{name}` is `{}`", directive.argument(0));
        complaints.error(directive.arguments[0].place, what, "write `on` or `off`");
        return false;
    }
    true
}

/// The context in a directive's block; `None` for blocks of words, such as `map`.
fn inner(name: &str, context: Contexts) -> Option<Contexts> {
    match name {
        "events" => Some(E),
        "http" => Some(H),
        "server" if context == H => Some(S),
        "location" => Some(L),
        "upstream" => Some(U),
        "limit_except" => Some(LMT),
        "if" => Some(if context == S { SIF } else { LIF }),
        _ => None,
    }
}

fn called(context: Contexts) -> &'static str {
    CONTEXTS.iter().find(|(known, _)| *known == context).map_or("this place", |(_, name)| name)
}

fn names(contexts: Contexts) -> String {
    let names = CONTEXTS.iter().filter(|(context, _)| context & contexts != 0);
    names
        .map(|(_, name)| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(" or ")
        .replace(&format!("`{}`", called(M)), "the main file, outside of all blocks")
}
