//! `request_fields` and `response_fields`: what a route may change in a head.

use super::fields::{Field, Fields};
use crate::nginx::OWN_FIELDS;
use crate::plan::{EditsPlan, Template};

/// Which head is edited.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Response,
}

/// Reads `{ set = {…}, add = {…}, add_ok = {…}, remove = […] }`.
pub(super) fn read(mut fields: Fields<'_>, direction: Direction) -> EditsPlan {
    let pairs = |field: Field<'_>, setting: bool| {
        let table = field.table("field names and values");
        table.map(|table| read_pairs(&table, direction, setting)).unwrap_or_default()
    };
    let set = fields.get("set").map(|field| pairs(field, true)).unwrap_or_default();
    let add = fields.get("add").map(|field| pairs(field, false)).unwrap_or_default();
    let add_ok = match direction {
        Direction::Response => fields.get("add_ok").map(|field| pairs(field, false)),
        Direction::Request => None,
    };
    let remove = fields.get("remove").map(|f| read_names(f, direction)).unwrap_or_default();
    fields.finish();
    EditsPlan::new(remove, set, add, add_ok.unwrap_or_default())
}

fn read_pairs(table: &Fields<'_>, direction: Direction, setting: bool) -> Vec<(String, Template)> {
    let mut pairs: Vec<(String, Template)> = Vec::new();
    for (key, field) in table.entries() {
        // A wrong name is complained of at the name, a wrong value at the value.
        let at_name = field.at(key.spot);
        let name = field_name(&at_name, key.value, direction, setting);
        let items = if setting { vec![field] } else { field.one_or_list() };
        let values: Vec<Option<Template>> =
            items.into_iter().map(|item| field_value(item).and_then(|_| item.template())).collect();
        let Some(name) = name else { continue };
        if pairs.iter().any(|(known, _)| *known == name) {
            let what = format!("`{}` is there twice, in different letters", key.value);
            at_name.complain(what, "field names ignore case: keep one");
        }
        pairs.extend(values.into_iter().flatten().map(|value| (name.clone(), value)));
    }
    pairs
}

fn read_names(field: Field<'_>, direction: Direction) -> Vec<String> {
    let items = field.list().into_iter();
    items.filter_map(|item| field_name(&item, item.text()?.value, direction, false)).collect()
}

/// A field name in lower case that a route may touch.
fn field_name(
    field: &Field<'_>,
    text: &str,
    direction: Direction,
    setting: bool,
) -> Option<String> {
    if !is_token(text) {
        let what = format!("`{text}` is not a field name");
        return field.refuse(what, "use letters, digits and hyphens, as in \"X-Request-Id\"");
    }
    let name = text.to_ascii_lowercase();
    if OWN_FIELDS.contains(&name.as_str()) {
        let what = format!("`{text}` is not a route's to change");
        return field.refuse(what, "the proxy sets it as each connection needs it; remove it");
    }
    if name == "host" && direction == Direction::Response {
        return field.refuse("a response has no `Host`", "remove it");
    }
    if name == "host" && !setting {
        let what = "a request has exactly one `Host`";
        return field.refuse(what, "use `set` to replace it");
    }
    Some(name)
}

/// A field value that stays what it is on the wire.
pub(super) fn field_value(field: Field<'_>) -> Option<String> {
    let text = field.text()?.value;
    if !text.bytes().all(|byte| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic()) {
        let what = format!("the value of `{}` holds characters that a head cannot", field.key);
        return field.refuse(what, "use visible ASCII characters and blanks only");
    }
    if text.trim() != text {
        let what = format!("the value of `{}` begins or ends with a blank", field.key);
        return field.refuse(what, "remove it: blanks around a value are not part of it");
    }
    Some(text.to_owned())
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    let is_token_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_byte)
}
