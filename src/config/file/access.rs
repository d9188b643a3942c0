//! `allow` and `deny` of a listener or a route as written.

use super::source;
use crate::config::fields::{Field, Fields};
use crate::config::source::Located;
use crate::guard::{Access, Source};

/// `allow` and `deny`.
#[derive(Debug, Default)]
pub(in crate::config) struct AccessTable {
    pub allow: Vec<Located<Source>>,
    pub deny: Vec<Located<Source>>,
}

impl AccessTable {
    pub(super) fn read(fields: &mut Fields<'_>) -> AccessTable {
        AccessTable {
            allow: fields.get("allow").map(read_sources).unwrap_or_default(),
            deny: fields.get("deny").map(read_sources).unwrap_or_default(),
        }
    }

    /// The plan; `None`: everybody may come in.
    pub fn plan(&self) -> Option<Access> {
        if self.allow.is_empty() && self.deny.is_empty() {
            return None;
        }
        let values = |list: &[Located<Source>]| list.iter().map(|source| source.value).collect();
        let (allow, deny): (Vec<_>, Vec<_>) = (values(&self.allow), values(&self.deny));
        Some(Access::new(&allow, &deny))
    }
}

fn read_sources(field: Field<'_>) -> Vec<Located<Source>> {
    let items = field.one_or_list();
    if items.is_empty() {
        field.complain(format!("`{}` is empty", field.key), "remove it, or name a network");
    }
    items.into_iter().filter_map(read_source).collect()
}

fn read_source(field: Field<'_>) -> Option<Located<Source>> {
    match field.as_text() {
        Some("all") => refuse_all(field),
        _ => source::read(field),
    }
}

/// What a user of nginx writes at the end of its lists.
fn refuse_all<T>(field: Field<'_>) -> Option<T> {
    let remedy = match field.key {
        "deny" => "remove it: with `allow`, whoever is not in it is kept out",
        _ => "remove it: without `allow`, whoever is not in `deny` is let in",
    };
    field.refuse(format!("`{}` is \"all\", which is no network", field.key), remedy)
}
