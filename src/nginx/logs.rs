//! `access_log` and `log_format`: one format for all logs.

use super::quantity::{bytes, size_text};
use super::scope::Scope;
use super::texts::{self, Piece};
use super::toml::{self, Table};
use super::tree::{Directive, Word};
use super::work::Work;

/// Variables that a line may have.
const VARIABLES: [&str; 25] = [
    "remote_addr",
    "remote_user",
    "time_local",
    "time_iso8601",
    "msec",
    "request",
    "request_method",
    "request_uri",
    "uri",
    "args",
    "query_string",
    "server_protocol",
    "host",
    "scheme",
    "http_referer",
    "http_user_agent",
    "status",
    "body_bytes_sent",
    "request_time",
    "upstream_addr",
    "upstream_connect_time",
    "upstream_header_time",
    "upstream_response_time",
    "request_id",
    "pid",
];

/// Where requests in this scope are logged.
pub(super) fn of_scope<'t>(scope: &Scope<'t>) -> Vec<&'t Directive> {
    let said = scope.nearest(&["access_log"]);
    if said.iter().any(|one| one.argument(0) == "off") { Vec::new() } else { said }
}

/// The different logs, the main one first.
pub(super) fn targets(said: &[&Directive]) -> Vec<String> {
    let mut targets: Vec<String> = Vec::new();
    for directive in said {
        if !targets.iter().any(|known| known == directive.argument(0)) {
            targets.push(directive.argument(0).to_owned());
        }
    }
    targets
}

/// What a log is called in the text that comes out.
fn name(number: usize) -> String {
    if number == 0 { "main".to_owned() } else { format!("log{}", number + 1) }
}

/// `access_log` of a route, if it is not in the main log alone.
pub(super) fn of_route(scope: &Scope<'_>, table: &mut Table, work: &Work<'_>) {
    let said = of_scope(scope);
    if work.logs.is_empty() {
        return;
    }
    let number = |target: String| work.logs.iter().position(|known| *known == target);
    let numbers: Vec<usize> = targets(&said).into_iter().filter_map(number).collect();
    match numbers.as_slice() {
        [] => table.put("access_log", false),
        [0] => {}
        [one] => table.text("access_log", &name(*one)),
        several => {
            let names = several.iter().map(|number| name(*number));
            table.put("access_log", toml::list(names));
        }
    }
}

/// `[access_log]`, from all that scopes say.
pub(super) fn table(said: &[&Directive], work: &Work<'_>) -> Option<Table> {
    let first = said.first()?;
    let format_of = |directive: &Directive| {
        let format = match directive.argument(1) {
            format if format.contains('=') || format.is_empty() => "combined",
            format => format,
        };
        format.to_owned()
    };
    let format = format_of(first);
    for other in &said[1..] {
        if format_of(other) != format {
            let why = "all logs have one format";
            let instead = "write the same everywhere; a format with $host tells servers apart";
            work.refuse(other, why, instead);
        }
    }
    let mut table = Table::new("[access_log]");
    table.comment(work.origin(first.place()));
    let mut more = Vec::new();
    for (number, to) in work.logs.iter().enumerate() {
        let directive = said.iter().find(|one| one.argument(0) == to).unwrap_or(first);
        let to = toml::text(&target(directive, to, work)?);
        match number {
            0 => table.put("to", to),
            _ => more.push((name(number), to)),
        }
    }
    if !more.is_empty() {
        table.put("more", toml::inline(&more));
    }
    match format.as_str() {
        "combined" => table.text("format", "combined"),
        name => {
            let named = |line: &&&Directive| line.argument(0) == name;
            let formats = work.http.nearest(&["log_format"]);
            let Some(line) = formats.iter().find(named) else {
                let what = format!("there is no log_format `{name}`");
                work.complaints.error(first.place(), what, "add it before, in `http`");
                return None;
            };
            let (text, json) = read_format(line, work)?;
            table.text("format", &text);
            if json {
                table.text("escape", "json");
            }
        }
    }
    for (number, directive) in said.iter().enumerate() {
        for (place, word) in directive.arguments.iter().skip(1).enumerate() {
            if place > 0 || word.text.contains('=') {
                parameter(word, number == 0, &mut table, work);
            }
        }
    }
    Some(table)
}

fn target(directive: &Directive, to: &str, work: &Work<'_>) -> Option<String> {
    if to.contains('$') {
        work.refuse(directive, "the log's name is fixed", "write it without variables");
        return None;
    }
    if let Some(syslog) = to.strip_prefix("syslog:") {
        let server = syslog.split(',').find_map(|part| part.strip_prefix("server="));
        return match server.and_then(|server| server.strip_prefix("unix:")) {
            Some(path) => Some(format!("syslog:unix:{path}")),
            None => {
                let why = "only the local syslog is known";
                work.refuse(directive, why, "write `syslog:server=unix:/dev/log`");
                None
            }
        };
    }
    match to {
        "/dev/stdout" => Some("stdout".to_owned()),
        _ => Some(work.surroundings.prefix.join(to).display().to_string()),
    }
}

/// What stands behind the format. `first`: of the first log, whose buffer is everyone's.
fn parameter(word: &Word, first: bool, table: &mut Table, work: &Work<'_>) {
    match word.text.split_once('=') {
        Some(("buffer", size)) if !first && bytes(size).is_some() => {
            let what = "`buffer` of a further `access_log` is not needed";
            work.complaints.note(word.place, what, "all logs have the first one's");
        }
        Some(("buffer", size)) => match bytes(size) {
            Some(size) => {
                table.text("buffer", &size_text(size.clamp(4 << 10, 16 << 20)));
            }
            None => {
                let what = format!("`{size}` is no size");
                work.complaints.error(word.place, what, "write such as `buffer=64k`");
            }
        },
        Some(("flush", _)) => {
            let what = "`flush` of `access_log` is not needed";
            work.complaints.note(word.place, what, "lines are written at least once a second");
        }
        Some(("if", _)) => {
            let what = "`if` of `access_log` is not honoured";
            let remedy = "write `access_log off;` in the locations that are not to be logged";
            work.complaints.error(word.place, what, remedy);
        }
        _ if word.text.starts_with("gzip") => {
            let what = "`gzip` of `access_log` is not honoured";
            work.complaints.error(word.place, what, "let logrotate compress what it puts aside");
        }
        _ => {
            let what = format!("`{}` is not known to `access_log`", word.text);
            work.complaints.error(word.place, what, "write the log, its format, and `buffer=64k`");
        }
    }
}

/// The text of a format, and whether values are escaped for JSON.
fn read_format(line: &Directive, work: &Work<'_>) -> Option<(String, bool)> {
    let mut json = false;
    let mut words = &line.arguments[1..];
    if let Some(escape) = words.first().and_then(|word| word.text.strip_prefix("escape=")) {
        match escape {
            "default" => {}
            "json" => json = true,
            _ => {
                work.refuse(line, "values are always escaped", "write `escape=json`, or nothing");
            }
        }
        words = &words[1..];
    }
    let mut text = String::new();
    let mut fine = true;
    for word in words {
        for piece in texts::pieces(&word.text) {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Dollar => text.push_str("$$"),
                Piece::Variable(name, written) => match log_variable(name) {
                    Some(name) => text.push_str(&format!("${{{name}}}")),
                    None => {
                        let what = format!("`{written}` is not known to the access log");
                        let remedy = "remove it; docs/access-log.md lists what there is";
                        work.complaints.error(word.place, what, remedy);
                        fine = false;
                    }
                },
            }
        }
    }
    fine.then_some((text, json))
}

/// What a variable is called in the log's format.
fn log_variable(name: &str) -> Option<&str> {
    match name {
        "query_string" => Some("args"),
        "document_uri" => Some("uri"),
        "http_host" => Some("http_host"),
        "bytes_sent" => Some("body_bytes_sent"),
        "remote_port" | "server_name" | "server_port" | "server_addr" => None,
        name if VARIABLES.contains(&name) => Some(name),
        name if name.starts_with("http_") => Some(name),
        _ => None,
    }
}

/// A key of a map that is no expression. A backslash before it says that it means nothing else,
/// here and there; where nothing else is meant here, it can go.
fn plain_key(key: &str, hostnames: bool) -> &str {
    match key.strip_prefix('\\') {
        Some(name @ ("default" | "include" | "hostnames" | "volatile")) => name,
        Some(name) if hostnames && name.starts_with('*') => name,
        _ => key,
    }
}

/// `map` as a table.
pub(super) fn map(directive: &Directive, work: &Work<'_>) -> Option<Table> {
    let [from, name] = directive.arguments.as_slice() else { return None };
    let Some(variable) = name.text.strip_prefix('$') else {
        let what = format!("`{}` is no variable", name.text);
        work.complaints.error(name.place, what, format!("did you mean `${}`?", name.text));
        return None;
    };
    let mut table = Table::new("[[map]]");
    table.comment(work.origin(directive.place()));
    table.text("name", &variable.to_ascii_lowercase());
    table.text("from", &work.names.text(from, work.complaints)?);
    let mut values = Vec::new();
    let hostnames = directive.children().iter().any(|line| line.is("hostnames"));
    for line in directive.children() {
        match (line.name.text.as_str(), line.arguments.as_slice()) {
            ("hostnames", []) => table.put("hostnames", true),
            ("volatile", []) => {
                work.complaints.note(line.place(), "`volatile` is not needed", "maps are not kept");
            }
            ("default", [value]) => {
                table.text("default", &work.names.text(value, work.complaints)?);
            }
            (key, [value]) => {
                let value = work.names.text(value, work.complaints)?;
                if let (true, Some(parent)) = (hostnames, key.strip_prefix('.')) {
                    values.push(toml::list([parent, &value]));
                    values.push(toml::list([&format!("*.{parent}"), &value]));
                    continue;
                }
                let key = match key.strip_prefix('~') {
                    Some(text) => {
                        let (text, any_case) = match text.strip_prefix('*') {
                            Some(text) => (text, true),
                            None => (text, false),
                        };
                        let (tested, complaints) = (&from.text, work.complaints);
                        let name = &line.name;
                        let found = texts::expression_on(tested, name, text, any_case, complaints)?;
                        format!("~{found}")
                    }
                    None => plain_key(key, hostnames).to_owned(),
                };
                values.push(toml::list([key, value]));
            }
            _ => {
                let what = format!("`{}` in a map has not one value", line.name.text);
                work.complaints.error(line.place(), what, "write a key and a value");
            }
        }
    }
    table.rows("values", &values);
    Some(table)
}
