//! `[[upstream]]` as written.

use std::time::Duration;

use super::allowance::{BreakerTable, RetryTable};
use super::health::{HealthTable, PassiveTable};
use super::{TIMEOUTS_OF_UPSTREAM, TimeoutsTable, YEAR, table};
use crate::balance::PolicyKind;
use crate::config::address;
use crate::config::complaint::suggest;
use crate::config::edits::is_token;
use crate::config::fields::{Field, Fields};
use crate::config::source::{Located, Spot};
use crate::plan::{HashKey, ServerAddress, ServerState};

/// One `[[upstream]]`.
#[derive(Debug)]
pub(in crate::config) struct UpstreamTable {
    /// Where it begins.
    pub spot: Spot,
    pub name: Option<Located<String>>,
    pub balance: Option<PolicyKind>,
    pub hash: Option<Located<HashKey>>,
    pub servers: Vec<ServerEntry>,
    pub queue: QueueTable,
    pub pool: PoolTable,
    pub timeouts: TimeoutsTable,
    pub passive: PassiveTable,
    pub health: Option<HealthTable>,
    pub slow_start: Option<Duration>,
    pub retry: RetryTable,
    pub limits: BreakerTable,
}

/// One item of `servers`.
#[derive(Debug, Default)]
pub(in crate::config) struct ServerEntry {
    /// `None` if it was wrong.
    pub address: Option<Located<ServerAddress>>,
    pub weight: Option<u32>,
    pub backup: Option<bool>,
    pub max_connections: Option<u32>,
    pub state: Option<ServerState>,
}

/// `queue` of an upstream.
#[derive(Debug, Default)]
pub(in crate::config) struct QueueTable {
    pub max: Option<u32>,
    pub timeout: Option<Duration>,
}

/// `pool` of an upstream.
#[derive(Debug, Default)]
pub(in crate::config) struct PoolTable {
    pub max_idle: Option<u32>,
    pub idle_timeout: Option<Duration>,
}

impl UpstreamTable {
    pub(super) fn read(mut fields: Fields<'_>) -> UpstreamTable {
        let policies = PolicyKind::ALL.map(|kind| (kind.name(), kind));
        let upstream = UpstreamTable {
            spot: fields.spot,
            name: fields.require("name", "name = \"app\"").and_then(read_name),
            balance: fields.get("balance").and_then(|field| field.one_of(&policies)),
            hash: fields.get("hash").and_then(read_hash),
            servers: fields
                .require("servers", "servers = [\"127.0.0.1:3000\"]")
                .map(read_servers)
                .unwrap_or_default(),
            queue: table(fields.get("queue"), "`queue`", QueueTable::read),
            pool: table(fields.get("pool"), "`pool`", PoolTable::read),
            timeouts: table(fields.get("timeouts"), "`timeouts` of an upstream", |fields| {
                TimeoutsTable::read(fields, &TIMEOUTS_OF_UPSTREAM)
            }),
            health: fields
                .get("health")
                .and_then(|field| field.table("`health`"))
                .map(HealthTable::read),
            passive: table(fields.get("passive"), "`passive`", PassiveTable::read),
            slow_start: fields
                .get("slow_start")
                .and_then(|field| field.duration(Duration::ZERO..=YEAR)),
            retry: table(fields.get("retry"), "`retry`", RetryTable::read),
            limits: table(fields.get("limits"), "`limits` of an upstream", BreakerTable::read),
        };
        fields.finish();
        upstream
    }
}

/// Names appear in logs, metrics and command lines, so they are kept plain.
fn read_name(field: Field<'_>) -> Option<Located<String>> {
    let text = field.text()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(plain) {
        let what = format!("\"{}\" is not a name", text.value);
        return field.refuse(what, "use 1 to 64 letters, digits, hyphens, dots or underscores");
    }
    Some(field.located(text.value.to_owned()))
}

fn read_hash(field: Field<'_>) -> Option<Located<HashKey>> {
    let text = field.text()?.value;
    let (kind, name) = match text.split_once(':') {
        Some((kind, name)) => (kind, Some(name)),
        None => (text, None),
    };
    let key = match (kind, name) {
        ("ip", None) => HashKey::ClientIp,
        ("path", None) => HashKey::Path,
        ("field", Some(name)) if is_token(name) => HashKey::Field(name.to_ascii_lowercase()),
        ("cookie", Some(name)) if is_token(name) => HashKey::Cookie(name.to_owned()),
        ("field" | "cookie", _) => {
            let what = format!("`hash` is \"{text}\", without a valid name");
            return field.refuse(what, format!("write \"{kind}:NAME\""));
        }
        _ => {
            let words = ["ip", "path", "field:NAME", "cookie:NAME"];
            let remedy = suggest(text, words, "it may be");
            return field.refuse(format!("unknown `hash` \"{text}\""), remedy);
        }
    };
    Some(field.located(key))
}

fn read_servers(field: Field<'_>) -> Vec<ServerEntry> {
    let items = field.list();
    if items.is_empty() && field.is_list() {
        field.complain("`servers` is empty", "add at least one, such as \"127.0.0.1:3000\"");
    }
    items.into_iter().map(ServerEntry::read).collect()
}

impl ServerEntry {
    fn read(item: Field<'_>) -> ServerEntry {
        if !item.is_table() {
            let address = read_address(item);
            return ServerEntry { address, ..ServerEntry::default() };
        }
        let Some(mut fields) = item.table("a server") else {
            return ServerEntry::default();
        };
        let address = fields.require("address", "address = \"127.0.0.1:3000\"");
        let states = ServerState::ALL.map(|state| (state.name(), state));
        let server = ServerEntry {
            address: address.and_then(read_address),
            weight: fields.get("weight").and_then(read_weight),
            backup: fields.get("backup").and_then(Field::flag),
            max_connections: fields
                .get("max_connections")
                .and_then(|field| field.whole32(1..=10_000_000)),
            state: fields.get("state").and_then(|field| field.one_of(&states)),
        };
        fields.finish();
        server
    }
}

/// No weight is a server without requests, for which there is a word.
fn read_weight(field: Field<'_>) -> Option<u32> {
    let weight = field.whole32(0..=1_000_000)?;
    if weight == 0 {
        let remedy = "write a number from 1 to 1000000, or state = \"drain\" for no new requests";
        return field.refuse("`weight` is 0", remedy);
    }
    Some(weight)
}

fn read_address(field: Field<'_>) -> Option<Located<ServerAddress>> {
    let text = field.text_or("an address in quotes, such as \"127.0.0.1:3000\"")?;
    match address::server(text.value) {
        Ok(address) => Some(field.located(address)),
        Err(error) => field.refuse(error.what, error.remedy),
    }
}

impl QueueTable {
    fn read(mut fields: Fields<'_>) -> QueueTable {
        let least = Duration::from_millis(1);
        let queue = QueueTable {
            max: fields.get("max").and_then(|field| field.whole32(0..=10_000_000)),
            timeout: fields.get("timeout").and_then(|field| field.duration(least..=YEAR)),
        };
        fields.finish();
        queue
    }
}

impl PoolTable {
    fn read(mut fields: Fields<'_>) -> PoolTable {
        let least = Duration::from_millis(1);
        let pool = PoolTable {
            max_idle: fields.get("max_idle").and_then(|field| field.whole32(0..=65_536)),
            idle_timeout: fields.get("idle_timeout").and_then(|field| field.duration(least..=YEAR)),
        };
        fields.finish();
        pool
    }
}
