//! `set`, `if`, `rewrite`, `return` and `break`: the steps of a route.

use super::scope::Scope;
use super::texts::{self, Piece};
use super::toml;
use super::tree::{Directive, Word};
use super::work::Work;

/// Directives that are steps.
pub(super) const NAMES: [&str; 5] = ["set", "if", "rewrite", "return", "break"];

/// What answers begin with.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    /// Where redirects to a path lead, for nginx makes URLs of them: `$scheme://$host:8080`. Empty:
    /// paths stay paths.
    pub url: String,
}

/// The type of a text that a `return` says.
pub(super) fn media<'t>(scope: &Scope<'t>) -> &'t str {
    match scope.value("default_type") {
        "" => "text/plain",
        said => said,
    }
}

/// Whose steps they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Server,
    Location,
}

/// What a `return` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Return {
    /// 301 and the like, and the URL with variables.
    Redirect(u16, String),
    /// A status and a text with variables.
    Text(u16, String),
    /// A status alone.
    Status(u16),
}

/// Reads a `return`.
pub(super) fn read_return(
    directive: &Directive,
    origin: &Origin,
    work: &Work<'_>,
) -> Option<Return> {
    let first = directive.arguments.first()?;
    let is_code = !first.text.is_empty() && first.text.bytes().all(|byte| byte.is_ascii_digit());
    let refuse = |word: &Word, what: String, remedy: &str| {
        work.complaints.error(word.place, what, remedy);
        None
    };
    if !is_code {
        if directive.arguments.len() > 1 {
            let what = format!("`{}` is no status", first.text);
            return refuse(first, what, "write such as `return 301 URL;`");
        }
        let starts = ["http://", "https://", "$scheme"];
        if !starts.iter().any(|start| first.text.starts_with(start)) {
            let what = format!("`return {}` is neither a status nor a URL", first.text);
            return refuse(first, what, "write such as `return 302 URL;`");
        }
        return Some(Return::Redirect(302, work.names.text(first, work.complaints)?));
    }
    let Some(code) = first.text.parse::<u16>().ok().filter(|code| (200..=599).contains(code))
    else {
        let what = format!("`return {}` is no status that an answer can have", first.text);
        return refuse(first, what, "write one from 200 to 599");
    };
    let Some(text) = directive.arguments.get(1) else { return Some(Return::Status(code)) };
    let value = work.names.text(text, work.complaints)?;
    Some(match code {
        301 | 302 | 303 | 307 | 308 => Return::Redirect(code, origin.absolute(&value)),
        _ => Return::Text(code, value),
    })
}

impl Origin {
    /// The URL of a path; anything else as it is.
    pub fn absolute(&self, text: &str) -> String {
        let first = texts::pieces(text).into_iter().next();
        let paths = ["uri", "request_uri", "document_uri"];
        let is_path = match first {
            Some(Piece::Text(text)) => text.starts_with('/'),
            Some(Piece::Variable(name, _)) => paths.contains(&name),
            _ => false,
        };
        if is_path { format!("{}{text}", self.url) } else { text.to_owned() }
    }
}

/// The steps of a block, as items of a TOML list.
pub(super) fn all(
    block: &[Directive],
    level: Level,
    origin: &Origin,
    media: &str,
    work: &Work<'_>,
) -> Vec<String> {
    let steps = block.iter().filter(|one| NAMES.contains(&one.name.text.as_str()));
    steps.filter_map(|directive| step(directive, level, origin, media, work)).collect()
}

fn step(
    directive: &Directive,
    level: Level,
    origin: &Origin,
    media: &str,
    work: &Work<'_>,
) -> Option<String> {
    match directive.name.text.as_str() {
        "set" => set(directive, work),
        "rewrite" => rewrite(directive, level, origin, work),
        "break" => Some("{ break = true }".to_owned()),
        "return" => Some(match read_return(directive, origin, work)? {
            Return::Redirect(code, to) => {
                format!("{{ return = {code}, to = {} }}", toml::text(&to))
            }
            Return::Text(code, body) => {
                let (body, media) = (toml::text(&body), toml::text(media));
                format!("{{ return = {code}, body = {body}, content_type = {media} }}")
            }
            Return::Status(code) => format!("{{ return = {code} }}"),
        }),
        _ => branch(directive, level, origin, media, work),
    }
}

fn set(directive: &Directive, work: &Work<'_>) -> Option<String> {
    let [name, value] = directive.arguments.as_slice() else { return None };
    let Some(variable) = name.text.strip_prefix('$').filter(|name| !name.is_empty()) else {
        let what = format!("`{}` is no variable", name.text);
        work.complaints.error(name.place, what, format!("did you mean `${}`?", name.text));
        return None;
    };
    let is_query = ["args", "query_string"].contains(&variable);
    if texts::VARIABLES.contains(&variable) && !is_query {
        let why = "this variable says what the request is";
        work.refuse(directive, why, "set a variable with another name");
        return None;
    }
    if texts::NGINXS.contains(&variable.to_ascii_lowercase().as_str()) {
        let why = "this variable is nginx's own, and would have no effect";
        work.refuse(directive, why, "remove it, or set a variable with another name");
        return None;
    }
    let value = work.names.text(value, work.complaints)?;
    let name = toml::text(&variable.to_ascii_lowercase());
    Some(format!("{{ set = {name}, to = {} }}", toml::text(&value)))
}

fn rewrite(
    directive: &Directive,
    level: Level,
    origin: &Origin,
    work: &Work<'_>,
) -> Option<String> {
    let [pattern, to, ..] = directive.arguments.as_slice() else { return None };
    let expression = texts::expression(pattern, &pattern.text, false, work.complaints)?;
    let mut value = work.names.text(to, work.complaints)?;
    let then = match (directive.argument(2), level) {
        (flag @ ("redirect" | "permanent"), _) => {
            value = origin.absolute(&value);
            flag
        }
        // What comes next is the search for a location, either way.
        ("last" | "break", Level::Server) => "last",
        (flag @ ("last" | "break" | ""), _) => flag,
        (other, _) => {
            let what = format!("`{other}` is not known to `rewrite`");
            let remedy = "there are last, break, redirect and permanent";
            work.complaints.error(directive.place(), what, remedy);
            return None;
        }
    };
    let then = if then.is_empty() { String::new() } else { format!(", then = \"{then}\"") };
    let (expression, value) = (toml::text(&expression), toml::text(&value));
    Some(format!("{{ rewrite = {expression}, to = {value}{then} }}"))
}

/// `if (…) { … }`
fn branch(
    directive: &Directive,
    level: Level,
    origin: &Origin,
    media: &str,
    work: &Work<'_>,
) -> Option<String> {
    let condition = condition(directive, work)?;
    let mut then = Vec::new();
    if super::branch::has_settings(directive) {
        let name = super::branch::name(directive, work);
        then.push(format!("{{ answer_by = {} }}", toml::text(&format!("@{name}"))));
    }
    then.extend(all(directive.children(), level, origin, media, work));
    if then.is_empty() {
        work.complaints.note(directive.place(), "this `if` does nothing", "it is left out");
        return None;
    }
    Some(format!("{{ {condition}, then = [{}] }}", then.join(", ")))
}

/// The words between the brackets.
fn unwrapped(directive: &Directive, work: &Work<'_>) -> Option<Vec<Word>> {
    let mut words = directive.arguments.clone();
    let place = directive.place();
    let (Some(first), Some(last)) = (words.first(), words.last()) else { return None };
    if !first.text.starts_with('(') || !last.text.ends_with(')') {
        let remedy = "write such as `if ($request_method = POST) { … }`";
        work.complaints.error(place, "the condition of an `if` stands in brackets", remedy);
        return None;
    }
    if let Some(first) = words.first_mut() {
        first.text.remove(0);
    }
    if let Some(last) = words.last_mut() {
        last.text.pop();
    }
    words.retain(|word| !word.text.is_empty() || word.quoted);
    Some(words)
}

fn condition(directive: &Directive, work: &Work<'_>) -> Option<String> {
    let words = unwrapped(directive, work)?;
    let refuse = |what: String| {
        let remedy =
            "write `$x`, `$x = text`, `$x ~ expression`, or `-f path`, and the like with !";
        work.complaints.error(directive.place(), what, remedy);
        None
    };
    let said: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    match words.as_slice() {
        [variable] if variable.text.starts_with('$') => {
            let value = work.names.text(variable, work.complaints)?;
            Some(format!("if = {}", toml::text(&value)))
        }
        [test, path] if test.text.starts_with('-') || test.text.starts_with("!-") => {
            let negated = test.text.starts_with('!');
            let key = match test.text.trim_start_matches('!') {
                "-f" => "file",
                "-d" => "directory",
                "-e" => "exists",
                "-x" => "executable",
                other => return refuse(format!("`{other}` is no test of a file")),
            };
            let path = work.names.text(path, work.complaints)?;
            let not = if negated { ", not = true" } else { "" };
            Some(format!("{key} = {}{not}", toml::text(&path)))
        }
        [variable, operator, rest @ ..] if variable.text.starts_with('$') && rest.len() <= 1 => {
            let value = toml::text(&work.names.text(variable, work.complaints)?);
            let empty = Word { text: String::new(), ..operator.clone() };
            let other = rest.first().unwrap_or(&empty);
            let (key, any_case) = match operator.text.as_str() {
                "=" => ("is", None),
                "!=" => ("is_not", None),
                "~" => ("matches", Some(false)),
                "~*" => ("matches", Some(true)),
                "!~" => ("matches_not", Some(false)),
                "!~*" => ("matches_not", Some(true)),
                other => return refuse(format!("`{other}` is no comparison")),
            };
            let other = match any_case {
                None => work.names.text(other, work.complaints)?,
                Some(any_case) => {
                    let tested = &variable.text;
                    texts::expression_on(tested, other, &other.text, any_case, work.complaints)?
                }
            };
            Some(format!("if = {value}, {key} = {}", toml::text(&other)))
        }
        _ => refuse(format!("the condition `{}` is not understood", said.join(" "))),
    }
}

/// The steps of a server, which run before its locations are looked at.
pub(super) fn of_server(server: &Scope<'_>, origin: &Origin, work: &Work<'_>) -> Vec<String> {
    all(server.block(), Level::Server, origin, media(server), work)
}

/// Whether the steps of a server may end without its `return`: then its locations are asked after
/// all.
pub(super) fn may_pass(block: &[Directive]) -> bool {
    block.iter().take_while(|directive| !directive.is("return")).any(|directive| {
        let flag = directive.argument(2);
        directive.is("break")
            || (directive.is("rewrite") && matches!(flag, "last" | "break"))
            || (directive.is("if") && may_pass(directive.children()))
    })
}

/// Whether the steps of a block end with a `return` in any case, and which.
pub(super) fn final_return(block: &[Directive]) -> Option<&Directive> {
    block.iter().find(|directive| directive.is("return"))
}

/// The same, if nothing before it may keep it from running.
pub(super) fn certain_return(block: &[Directive]) -> Option<&Directive> {
    let at = block.iter().position(|directive| directive.is("return"))?;
    (!may_break(&block[..at])).then(|| &block[at])
}

/// Whether these may end the steps without an answer, so that what follows them does not run.
fn may_break(block: &[Directive]) -> bool {
    block.iter().any(|directive| match directive.name.text.as_str() {
        "break" => true,
        "rewrite" => directive.argument(2) == "break",
        "if" => may_break(directive.children()),
        _ => false,
    })
}
