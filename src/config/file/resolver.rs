//! `[resolver]` as written.

use std::net::SocketAddr;
use std::time::Duration;

use super::YEAR;
use crate::config::address;
use crate::config::fields::{Field, Fields};
use crate::config::source::Located;
use crate::plan::ResolverPlan;

/// `[resolver]`.
#[derive(Debug, Default)]
pub(in crate::config) struct ResolverTable {
    pub nameservers: Vec<SocketAddr>,
    pub timeout: Option<Duration>,
    pub min_ttl: Option<Located<Duration>>,
    pub max_ttl: Option<Located<Duration>>,
}

/// Less would be a lookup that never ends.
const TTL_LEAST: Duration = Duration::from_secs(1);

impl ResolverTable {
    pub(super) fn read(mut fields: Fields<'_>) -> ResolverTable {
        let ttl = |field: Field<'_>| field.placed(|field| field.duration(TTL_LEAST..=YEAR));
        let timeout = Duration::from_millis(10)..=Duration::from_secs(60);
        let table = ResolverTable {
            nameservers: fields.get("nameservers").map(read_nameservers).unwrap_or_default(),
            timeout: fields.get("timeout").and_then(|field| field.duration(timeout)),
            min_ttl: fields.get("min_ttl").and_then(ttl),
            max_ttl: fields.get("max_ttl").and_then(ttl),
        };
        fields.finish();
        table
    }

    /// The plan: what is not set is as by default.
    pub fn plan(&self) -> ResolverPlan {
        let default = ResolverPlan::default();
        let min_ttl = self.min_ttl.as_ref().map_or(default.min_ttl, |ttl| ttl.value);
        ResolverPlan {
            nameservers: self.nameservers.clone(),
            timeout: self.timeout.unwrap_or(default.timeout),
            min_ttl,
            // Who asks for rarer lookups gets them.
            max_ttl: match &self.max_ttl {
                Some(ttl) => ttl.value,
                None => default.max_ttl.max(min_ttl),
            },
        }
    }
}

fn read_nameservers(field: Field<'_>) -> Vec<SocketAddr> {
    let items = field.list();
    if items.is_empty() && field.is_list() {
        let remedy = "name one, such as \"127.0.0.1:53\", or remove it for those of the system";
        field.complain("`nameservers` is empty", remedy);
    }
    items.into_iter().filter_map(read_nameserver).collect()
}

fn read_nameserver(field: Field<'_>) -> Option<SocketAddr> {
    match address::name_server(field.text()?.value) {
        Ok(address) => Some(address),
        Err(error) => field.refuse(error.what, error.remedy),
    }
}
