//! `[limits]`, and `limits` of a route, as written.

use crate::config::fields::{Field, Fields};
use crate::config::source::Located;
use crate::guard::Tally;
use crate::plan::Limits;

/// `[limits]`, and `limits` of a route. The inner `None` is a written "none".
#[derive(Debug, Default)]
pub(in crate::config) struct LimitsTable {
    pub header_bytes: Option<u64>,
    pub header_fields: Option<u32>,
    pub body: Option<Option<u64>>,
    pub body_rate: Option<Located<Option<u64>>>,
    pub keepalive_requests: Option<Option<u32>>,
    pub connections: Option<Located<u32>>,
    pub connections_per_client: Option<Located<Option<u32>>>,
}

impl LimitsTable {
    pub(super) fn read(mut fields: Fields<'_>) -> LimitsTable {
        let table = LimitsTable {
            // A head must fit a receive buffer of 32 KiB and leave room for added fields.
            header_bytes: fields
                .get("header_bytes")
                .and_then(|field| field.size(1 << 10..=31 << 10)),
            header_fields: fields.get("header_fields").and_then(|field| field.whole32(1..=256)),
            body: fields.get("body").and_then(read_body),
            body_rate: fields.get("body_rate").and_then(read_body_rate),
            keepalive_requests: fields
                .get("keepalive_requests")
                .and_then(|field| field.or_none(|field| field.whole32(1..=1_000_000_000))),
            connections: fields
                .get("connections")
                .and_then(|field| field.placed(|field| field.whole32(1..=10_000_000))),
            connections_per_client: fields.get("connections_per_client").and_then(|field| {
                field.placed(|field| field.or_none(|field| field.whole32(1..=Tally::MOST)))
            }),
        };
        fields.finish();
        table
    }

    /// `limits` of a route: what is still open once a route is known.
    pub(super) fn read_of_route(mut fields: Fields<'_>) -> LimitsTable {
        let body = fields.get("body").and_then(read_body);
        let body_rate = fields.get("body_rate").and_then(read_body_rate);
        let elsewhere = [
            "header_bytes",
            "header_fields",
            "keepalive_requests",
            "connections",
            "connections_per_client",
        ];
        fields.refuse_misplaced(&elsewhere, "set it in [limits]");
        fields.finish();
        LimitsTable { body, body_rate, ..LimitsTable::default() }
    }

    /// These limits where they are set, else those of `base`.
    pub fn over(&self, base: &Limits) -> Limits {
        let body_rate = self.body_rate.as_ref().map(|rate| rate.value);
        Limits {
            head_bytes: self.header_bytes.map_or(base.head_bytes, |bytes| bytes as usize),
            head_fields: self.header_fields.map_or(base.head_fields, |count| count as usize),
            body_bytes: self.body.unwrap_or(base.body_bytes),
            body_rate: body_rate.unwrap_or(base.body_rate),
            keepalive_requests: self.keepalive_requests.unwrap_or(base.keepalive_requests),
        }
    }
}

fn read_body(field: Field<'_>) -> Option<Option<u64>> {
    field.or_none(|field| field.size(0..=1 << 50))
}

fn read_body_rate(field: Field<'_>) -> Option<Located<Option<u64>>> {
    field.placed(|field| field.or_none(|field| field.size(1..=1 << 30)))
}
