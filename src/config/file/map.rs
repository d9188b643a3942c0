//! `[[map]]` as written.

use super::program::read_matcher;
use crate::config::fields::{Field, Fields};
use crate::config::source::Located;
use crate::plan::{MapPlan, Term};

/// One `[[map]]`.
#[derive(Debug)]
pub(in crate::config) struct MapTable {
    /// Its name, and the number of that.
    pub name: Option<(Located<String>, u32)>,
    pub plan: MapPlan,
}

impl MapTable {
    pub(super) fn read(mut fields: Fields<'_>) -> MapTable {
        let name = fields.require("name", "name = \"backend\"").and_then(read_name);
        let mut plan = MapPlan {
            hostnames: fields.get("hostnames").and_then(Field::flag).unwrap_or(false),
            ..MapPlan::default()
        };
        let from = fields.require("from", "from = \"$host\"").and_then(Field::template);
        plan.from = from.unwrap_or_default();
        plan.default = fields.get("default").and_then(Field::template).unwrap_or_default();
        let values = fields.require("values", "values = [[\"from\", \"to\"]]");
        for pair in values.map(Field::list).unwrap_or_default() {
            read_pair(pair, &mut plan);
        }
        fields.finish();
        MapTable { name, plan }
    }
}

fn read_name(field: Field<'_>) -> Option<(Located<String>, u32)> {
    let name = field.text()?.value;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(plain) {
        let what = format!("`name` is \"{name}\", which is no name of a variable");
        return field.refuse(what, "write letters, digits and underscores, without the `$`");
    }
    if Term::is_taken(name) {
        return field.refuse(format!("`${name}` is what it is"), "call it otherwise");
    }
    Some((field.located(name.to_ascii_lowercase()), field.names().defined(name)))
}

/// `["from", "to"]`
fn read_pair(field: Field<'_>, plan: &mut MapPlan) -> Option<()> {
    let [from, to] = field.list()[..] else {
        let what = "a value of a map is a pair of texts";
        return field.refuse(what, "write [\"from\", \"to\"]");
    };
    let (text, to) = (from.text()?.value, to.template()?);
    plan.texts.push(to);
    let index = plan.texts.len() - 1;
    if let Some(expression) = text.strip_prefix('~') {
        plan.expressions.push((read_matcher(from, expression)?, index));
        return Some(());
    }
    let host = plan.hostnames.then_some(text);
    let lower = |text: &str| text.to_ascii_lowercase().into_bytes();
    let before = if let Some(suffix) = host.and_then(|host| host.strip_prefix("*.")) {
        plan.suffixes.insert(lower(suffix), index)
    } else if let Some(prefix) = host.and_then(|host| host.strip_suffix(".*")) {
        plan.prefixes.insert(lower(prefix), index)
    } else {
        // What begins with `~` or with a backslash can be meant as it is.
        plan.exact.insert(lower(text.strip_prefix('\\').unwrap_or(text)), index)
    };
    match before {
        Some(_) => from.refuse(format!("\"{text}\" is there twice"), "keep one; case is ignored"),
        None => Some(()),
    }
}
