//! `allow` and `deny` of a listener or a route as written.

use crate::config::fields::{Field, Fields};
use crate::config::source::Located;
use crate::guard::{Access, Network, NetworkError, Source};

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
    let text = field.text_or("a network in quotes, such as \"10.0.0.0/8\"")?.value;
    let error = match (text, Network::parse(text)) {
        ("unix", _) => return Some(field.located(Source::Unix)),
        (_, Ok(network)) => return Some(field.located(Source::Network(network))),
        ("all", _) => return refuse_all(field),
        (_, Err(error)) => error,
    };
    let remedy = match error {
        NetworkError::HostBits(meant) => {
            let address = text.split('/').next().unwrap_or_default();
            format!("write \"{meant}\" for the network, or \"{address}\" for the address alone")
        }
        NetworkError::Mapped(meant) => format!("did you mean \"{meant}\"?"),
        NetworkError::Length(_) | NetworkError::Address => {
            "write \"10.0.0.0/8\", \"192.0.2.1\", \"2001:db8::/32\" or \"unix\"".to_owned()
        }
    };
    field.refuse(format!("`{}` is \"{text}\": {error}", field.key), remedy)
}

/// What a user of nginx writes at the end of its lists.
fn refuse_all<T>(field: Field<'_>) -> Option<T> {
    let remedy = match field.key {
        "deny" => "remove it: with `allow`, whoever is not in it is kept out",
        _ => "remove it: without `allow`, whoever is not in `deny` is let in",
    };
    field.refuse(format!("`{}` is \"all\", which is no network", field.key), remedy)
}
