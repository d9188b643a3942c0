//! `steps` and `error_pages` of a `[[route]]`, as written.

use super::program::read_matcher;
use super::route::{percent_encoded, read_body, read_target};
use crate::config::complaint::suggest;
use crate::config::fields::{Field, Fields};
use crate::config::source::Located;
use crate::plan::{
    Condition, PageStatus, Redirect, Return, Rewrite, Step, Template, Term, Test, Then,
};

/// One of `error_pages`.
#[derive(Debug)]
pub(in crate::config) struct ErrorPageTable {
    pub on: Vec<u16>,
    pub to: Option<PageWritten>,
    pub status: PageStatus,
    pub servers: bool,
}

/// Where an error page is.
#[derive(Debug)]
pub(in crate::config) enum PageWritten {
    Path(Template),
    /// The name of an internal route.
    Route(Located<String>),
    Uri(Template),
}

/// Steps in one another.
const DEPTH_MAX: usize = 8;

/// `steps`.
pub(super) fn read(field: Field<'_>) -> Vec<Step> {
    read_list(field, 0)
}

fn read_list(field: Field<'_>, depth: usize) -> Vec<Step> {
    if depth > DEPTH_MAX {
        let what = format!("steps are nested more than {DEPTH_MAX} deep");
        field.complain(what, "write them in a row");
        return Vec::new();
    }
    let steps = field.list().into_iter().filter_map(|item| item.table("a step"));
    steps.filter_map(|fields| read_step(fields, depth)).collect()
}

/// What a step may begin with, besides the conditions.
const KINDS: [&str; 5] = ["set", "rewrite", "return", "break", "answer_by"];

/// The conditions that begin a step.
const CONDITIONS: [(&str, Option<Test>); 5] = [
    ("if", None),
    ("file", Some(Test::File)),
    ("directory", Some(Test::Directory)),
    ("exists", Some(Test::Exists)),
    ("executable", Some(Test::Executable)),
];

/// What a text is compared by, and whether the opposite is meant.
const COMPARISONS: [(&str, bool); 6] = [
    ("is", false),
    ("is_not", true),
    ("among", false),
    ("not_among", true),
    ("matches", false),
    ("matches_not", true),
];

fn read_step(mut fields: Fields<'_>, depth: usize) -> Option<Step> {
    let found = CONDITIONS.iter().find_map(|(key, test)| Some((fields.get(key)?, test)));
    let step = if let Some((text, test)) = found {
        read_condition(&mut fields, text, test.as_ref(), depth)
    } else if let Some(name) = fields.get("set") {
        read_set(&mut fields, name)
    } else if let Some(expression) = fields.get("rewrite") {
        read_rewrite(&mut fields, expression)
    } else if let Some(status) = fields.get("return") {
        read_return(&mut fields, status)
    } else if let Some(name) = fields.get("answer_by") {
        read_answer_by(name)
    } else if let Some(flag) = fields.get("break") {
        flag.flag().and_then(|on| match on {
            true => Some(Step::Break),
            false => flag.refuse("`break` is false", "write true, or remove the step"),
        })
    } else {
        let kinds = KINDS.iter().copied().chain(CONDITIONS.iter().map(|(key, _)| *key));
        let list: Vec<String> = kinds.map(|key| format!("`{key}`")).collect();
        fields.complain("a step does nothing", format!("it begins with {}", list.join(", ")));
        return None;
    };
    fields.finish();
    step
}

fn read_answer_by(field: Field<'_>) -> Option<Step> {
    let text = field.text()?.value;
    match text.strip_prefix('@') {
        // Its number is known when all routes are.
        Some(name) => Some(Step::AnswerBy { name: name.to_owned(), route: usize::MAX }),
        None => field.refuse(
            format!("`answer_by` is \"{text}\", which is no internal route"),
            format!("did you mean \"@{text}\"?"),
        ),
    }
}

fn read_set(fields: &mut Fields<'_>, field: Field<'_>) -> Option<Step> {
    let name = field.text()?.value;
    let to = fields.require("to", "to = \"a text\"").and_then(Field::template);
    let lower = name.to_ascii_lowercase();
    if lower == "args" || lower == "query_string" {
        return Some(Step::SetArgs(to?));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(plain) {
        let what = format!("`set` is \"{name}\", which is no name of a variable");
        return field.refuse(what, "write letters, digits and underscores, without the `$`");
    }
    if Term::is_taken(name) {
        return field.refuse(format!("`${name}` is what it is"), "set another name");
    }
    Some(Step::Set { name: field.names().defined(name), to: to? })
}

fn read_condition(
    fields: &mut Fields<'_>,
    field: Field<'_>,
    test: Option<&Test>,
    depth: usize,
) -> Option<Step> {
    let text = field.template();
    let mut not = fields.get("not").and_then(Field::flag).unwrap_or(false);
    let mut test = test.cloned();
    if field.key == "if" {
        let mut count = 0;
        for (key, negates) in COMPARISONS {
            let Some(field) = fields.get(key) else { continue };
            count += 1;
            if count > 1 {
                let what = "a condition has one of `is`, `among`, `matches` and their opposites";
                field.complain(what, "write one step for each");
            }
            not ^= negates;
            test = match key {
                "is" | "is_not" => field.template().map(Test::Is),
                "among" | "not_among" => {
                    let texts = field.list().into_iter().filter_map(Field::text);
                    Some(Test::Among(texts.map(|text| text.value.to_owned()).collect()))
                }
                _ => {
                    field.text().and_then(|text| read_matcher(field, text.value)).map(Test::Matches)
                }
            };
        }
        if count == 0 {
            test = Some(Test::Set);
        }
    }
    let then = fields.require("then", "then = [{ return = 403 }]");
    let then = then.map(|field| read_list(field, depth + 1)).unwrap_or_default();
    Some(Step::If { condition: Condition { text: text?, test: test?, not }, then })
}

fn read_rewrite(fields: &mut Fields<'_>, field: Field<'_>) -> Option<Step> {
    let matcher = field.text().and_then(|text| read_matcher(field, text.value));
    let to = fields.require("to", "to = \"/new/$1\"");
    let words = [
        ("last", Then::Last),
        ("break", Then::Break),
        ("redirect", Then::Redirect(302)),
        ("permanent", Then::Redirect(301)),
    ];
    let then = fields.get("then").map(|field| field.one_of(&words));
    let mut then = then.unwrap_or(Some(Then::GoOn))?;
    let to = to?;
    let text = to.text()?.value;
    let elsewhere = ["http://", "https://", "$scheme", "${scheme}"];
    if elsewhere.iter().any(|start| text.starts_with(start)) && !matches!(then, Then::Redirect(_)) {
        then = Then::Redirect(302);
    }
    // As in nginx, a `?` at the end says that the query stays behind.
    let (text, keeps_args) = match text.strip_suffix('?') {
        Some(text) => (text, false),
        None => (text, true),
    };
    let (path, args) = match text.split_once('?') {
        Some((path, args)) => (path, Some(args)),
        None => (text, None),
    };
    let to_path = to.template_of(path);
    let args = args.map(|args| to.template_of(args));
    let args = match args {
        Some(args) => Some(args?),
        None => None,
    };
    Some(Step::Rewrite(Rewrite { matcher: matcher?, to: to_path?, args, keeps_args, then }))
}

fn read_return(fields: &mut Fields<'_>, field: Field<'_>) -> Option<Step> {
    let status = field.whole32(200..=599).and_then(|status| u16::try_from(status).ok());
    let to = fields.get("to");
    let body = fields.get("body");
    let content_type = fields.get("content_type");
    let status = status?;
    if let (Some(_), Some(body)) = (to, body) {
        return body.refuse("`return` has `to` or `body`, not both", "keep one");
    }
    if let Some(to) = to {
        if ![301, 302, 303, 307, 308].contains(&status) {
            let what = format!("status {status} is not a redirect");
            return field
                .refuse(what, "write 301, 302, 303, 307 or 308, or `body` in place of `to`");
        }
        return Some(Step::Return(Return::To(Redirect { status, to: read_target(to)? })));
    }
    if body.is_some() || content_type.is_some() {
        let body = read_body(fields, Some(status), body, content_type)?;
        return Some(Step::Return(Return::Body { status, body }));
    }
    Some(Step::Return(if status == 444 { Return::Close } else { Return::Status(status) }))
}

/// `error_pages`.
pub(super) fn read_error_pages(field: Field<'_>) -> Vec<ErrorPageTable> {
    field.tables("[[route.error_pages]]").into_iter().map(read_error_page).collect()
}

fn read_error_page(mut fields: Fields<'_>) -> ErrorPageTable {
    let on = fields.require("on", "on = [500, 502]").map(Field::one_or_list).unwrap_or_default();
    let status = |field: Field<'_>| u16::try_from(field.whole32(300..=599)?).ok();
    let to = fields.require("to", "to = \"/50x.html\"").and_then(read_page);
    let table = ErrorPageTable {
        on: on.into_iter().filter_map(status).collect(),
        to,
        status: fields.get("status").and_then(read_status).unwrap_or(PageStatus::OfError),
        servers: fields.get("servers").and_then(Field::flag).unwrap_or(false),
    };
    fields.finish();
    table
}

fn read_status(field: Field<'_>) -> Option<PageStatus> {
    match field.as_text() {
        Some("from_page") => Some(PageStatus::OfPage),
        Some(text) => {
            let remedy = suggest(text, ["from_page"], "write a number, or");
            field.refuse(format!("unknown `status` \"{text}\""), remedy)
        }
        None => {
            let status = field.whole32(200..=599)?;
            u16::try_from(status).ok().map(PageStatus::Is)
        }
    }
}

fn read_page(field: Field<'_>) -> Option<PageWritten> {
    let text = field.text()?.value;
    if let Some(name) = text.strip_prefix('@') {
        return Some(PageWritten::Route(field.located(name.to_owned())));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = "`to` holds blanks or characters beyond ASCII";
        return field.refuse(what, format!("did you mean \"{}\"?", percent_encoded(text)));
    }
    match text {
        _ if text.starts_with('/') => field.template().map(PageWritten::Path),
        _ if text.starts_with("http://") || text.starts_with("https://") => {
            field.template().map(PageWritten::Uri)
        }
        _ if text.starts_with('$') => field.template().map(PageWritten::Path),
        _ => field.refuse(
            format!("`to` is \"{text}\", which is no place"),
            "write a path such as \"/50x.html\", \"@name\" of an internal route, or a URL",
        ),
    }
}
