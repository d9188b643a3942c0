//! What a `[[route]]` does with a request before it answers, as written.

use super::{ErrorPageTable, steps};
use crate::config::edits::field_value;
use crate::config::fields::{Field, Fields};
use crate::config::source::{Located, Spot};
use crate::plan::{Matcher, RedirectFrom, RedirectRule, Step, Template, Term};
use crate::route::Expression;

/// Those keys of a `[[route]]`.
#[derive(Debug, Default)]
pub(in crate::config) struct ProgramTable {
    /// The name of an internal route.
    pub before: Option<Located<String>>,
    pub replace_path: Option<Located<String>>,
    pub send_path: Option<Located<Template>>,
    pub redirects: Vec<Located<RedirectWritten>>,
    pub steps: Vec<Step>,
    /// Where they stand.
    pub steps_at: Option<Spot>,
    pub error_pages: Vec<ErrorPageTable>,
}

/// One of `redirects`.
#[derive(Debug)]
pub(in crate::config) enum RedirectWritten {
    /// "default"
    Default,
    Rule(RedirectRule),
}

impl ProgramTable {
    pub(super) fn read(fields: &mut Fields<'_>) -> ProgramTable {
        let steps = fields.get("steps");
        let table = ProgramTable {
            before: fields.get("before").and_then(read_before),
            replace_path: fields.get("replace_path").and_then(read_path),
            send_path: fields.get("send_path").and_then(read_target),
            redirects: fields.get("redirects").map(read_redirects).unwrap_or_default(),
            steps: steps.map(steps::read).unwrap_or_default(),
            steps_at: steps.map(|steps| steps.spot),
            error_pages: fields.get("error_pages").map(steps::read_error_pages).unwrap_or_default(),
        };
        if let (Some(_), Some(send)) = (&table.replace_path, &table.send_path) {
            let what = "a route has one of `replace_path` and `send_path`";
            fields.complain_at(send.spot, what, "keep one");
        }
        table
    }

    /// Whether anything of it needs a server, and where.
    pub fn of_servers(&self) -> Option<(&'static str, Spot)> {
        let replace = self.replace_path.as_ref().map(|path| ("replace_path", path.spot));
        let send = self.send_path.as_ref().map(|path| ("send_path", path.spot));
        let redirects = self.redirects.first().map(|first| ("redirects", first.spot));
        replace.or(send).or(redirects)
    }
}

fn read_before(field: Field<'_>) -> Option<Located<String>> {
    let text = field.text()?.value;
    match text.strip_prefix('@') {
        Some(name) => Some(field.located(name.to_owned())),
        None => field.refuse(
            format!("`before` is \"{text}\", which is no name of an internal route"),
            format!("did you mean \"@{text}\"?"),
        ),
    }
}

fn read_path(field: Field<'_>) -> Option<Located<String>> {
    let text = field.text()?.value;
    if !text.starts_with('/') {
        let what = format!("`{}` is \"{text}\": a path begins with `/`", field.key);
        return field.refuse(what, format!("did you mean \"/{text}\"?"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        let what = format!("`{}` holds what no target may hold", field.key);
        return field.refuse(what, "write blanks and the like percent-encoded");
    }
    Some(field.located(text.to_owned()))
}

fn read_target(field: Field<'_>) -> Option<Located<Template>> {
    let text = field.text()?.value;
    if !text.starts_with(['/', '$']) {
        let what = format!("`{}` is \"{text}\": a path begins with `/`", field.key);
        return field.refuse(what, format!("did you mean \"/{text}\"?"));
    }
    field_value(field)?;
    field.placed(Field::template)
}

fn read_redirects(field: Field<'_>) -> Vec<Located<RedirectWritten>> {
    let items = if field.is_list() { field.list() } else { vec![field] };
    items.into_iter().filter_map(|item| item.placed(read_redirect)).collect()
}

fn read_redirect(field: Field<'_>) -> Option<RedirectWritten> {
    if field.as_text() == Some("default") {
        return Some(RedirectWritten::Default);
    }
    if !field.is_list() {
        let what = "a rule of `redirects` is a pair of texts";
        return field.refuse(what, "write [\"http://localhost:3000/\", \"/\"], or \"default\"");
    }
    let [from, to] = field.list()[..] else {
        let what = "a rule of `redirects` is a pair of texts";
        return field.refuse(what, "write what to replace, and by what");
    };
    let from = match from.text()?.value.strip_prefix('~') {
        Some(expression) => RedirectFrom::Found(read_matcher(from, expression)?),
        None => RedirectFrom::Start(from.template()?),
    };
    field_value(to)?;
    Some(RedirectWritten::Rule(RedirectRule { from, to: to.template()? }))
}

/// The named groups of an expression are variables.
pub(super) fn define_groups(field: Field<'_>, expression: &Expression) {
    for (_, name) in expression.names() {
        if Term::is_taken(name) {
            let what = format!("the group `{name}` has the name of a variable");
            field.complain(what, "call it otherwise");
        }
        field.names().defined(name);
    }
}

/// An expression at this field; one that begins with a star does not mind case, as in nginx.
pub(super) fn read_matcher(field: Field<'_>, text: &str) -> Option<Matcher> {
    let read = match text.strip_prefix('*') {
        Some(text) => Expression::any_case(text),
        None => Expression::new(text),
    };
    match read {
        Ok(expression) => {
            define_groups(field, &expression);
            Some(field.names().matcher(&expression))
        }
        Err(error) => field.refuse(
            format!("`{}` is \"{text}\": bad regular expression: {error}", field.key),
            "see https://docs.rs/regex for the syntax",
        ),
    }
}
