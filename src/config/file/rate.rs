//! `[[rate]]`, and `rate` of a route, as written.

use std::time::Duration;

use super::{YEAR, value};
use crate::config::fields::{Field, Fields};
use crate::config::source::Located;
use crate::guard::Rate;
use crate::plan::{RateKey, RatePlan};

/// What is not set.
const PER: Duration = Duration::from_secs(1);
const KEYS: u32 = 65_536;

/// One `[[rate]]`.
#[derive(Debug)]
pub(in crate::config) struct RateTable {
    pub name: Option<Located<String>>,
    pub key: Option<RateKey>,
    pub requests: Option<Located<u32>>,
    pub per: Option<Duration>,
    pub burst: Option<Located<u32>>,
    pub keys: Option<Located<u32>>,
    pub status: Option<u32>,
}

impl RateTable {
    pub(super) fn read(mut fields: Fields<'_>) -> RateTable {
        let count = |field: Field<'_>| field.placed(|field| field.whole32(1..=1_000_000));
        let least = Duration::from_millis(1);
        let table = RateTable {
            name: fields.require("name", "name = \"clients\"").and_then(Field::name),
            requests: fields.require("requests", "requests = 100").and_then(count),
            per: fields.get("per").and_then(|field| field.duration(least..=YEAR)),
            burst: fields.get("burst").and_then(count),
            key: fields.get("key").and_then(read_key),
            keys: fields
                .get("keys")
                .and_then(|field| field.placed(|field| field.whole32(8..=16_777_216))),
            status: fields.get("status").and_then(|field| field.whole32(400..=599)),
        };
        fields.finish();
        table
    }

    /// What its numbers make; `None` where they make no sense together.
    pub fn rate(&self) -> Option<Rate> {
        let requests = self.requests.as_ref()?.value;
        let burst = self.burst.as_ref().map_or(requests, |burst| burst.value);
        Rate::new(requests, self.per.unwrap_or(PER), burst)
    }

    /// The plan.
    pub fn plan(&self) -> Option<RatePlan> {
        Some(RatePlan {
            name: self.name.as_ref()?.value.clone(),
            key: self.key.clone().unwrap_or(RateKey::Client),
            rate: self.rate()?,
            keys: self.keys.as_ref().map_or(KEYS, |keys| keys.value) as usize,
            status: self.status.map_or(RatePlan::STATUS, |status| status as u16),
        })
    }
}

fn read_key(field: Field<'_>) -> Option<RateKey> {
    value::read(field, [("ip", RateKey::Client), ("all", RateKey::All)], RateKey::Value)
}

/// `rate` of a route: the names of rates.
pub(super) fn read_names(field: Field<'_>) -> Vec<Located<String>> {
    let items = field.one_or_list();
    if items.is_empty() {
        field.complain("`rate` is empty", "remove it, or name a [[rate]]");
    }
    let name = |item: Field<'_>| {
        let name = item.text_or("the name of a [[rate]], in quotes")?.value;
        Some(item.located(name.to_owned()))
    };
    items.into_iter().filter_map(name).collect()
}
