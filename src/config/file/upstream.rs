//! `[[upstream]]` as written.

use std::path::PathBuf;
use std::time::Duration;

use super::allowance::BreakerTable;
use super::health::{HealthTable, PassiveTable};
use super::retry::RetryTable;
use super::sticky::StickyTable;
use super::{TIMEOUTS_OF_UPSTREAM, TimeoutsTable, YEAR, table, value};
use crate::balance::PolicyKind;
use crate::config::address;
use crate::config::fields::{Field, Fields};
use crate::config::source::{Located, Spot};
use crate::plan::{HashKey, ProxyVersion, ServerAddress, ServerState, WEIGHT_MAX};

/// One `[[upstream]]`.
#[derive(Debug)]
pub(in crate::config) struct UpstreamTable {
    /// Where it begins.
    pub spot: Spot,
    pub name: Option<Located<String>>,
    pub balance: Option<PolicyKind>,
    pub hash: Option<Located<HashKey>>,
    pub servers: Vec<ServerEntry>,
    pub servers_file: Option<Located<String>>,
    /// What is in that file, once it was read.
    pub of_file: Option<FileServers>,
    pub queue: QueueTable,
    pub pool: PoolTable,
    pub timeouts: TimeoutsTable,
    pub passive: PassiveTable,
    pub health: Option<HealthTable>,
    pub slow_start: Option<Duration>,
    pub retry: RetryTable,
    pub limits: BreakerTable,
    pub sticky: Option<StickyTable>,
    pub proxy_protocol: Option<ProxyVersion>,
}

/// What was read from `servers_file`.
#[derive(Debug)]
pub(in crate::config) struct FileServers {
    pub path: PathBuf,
    pub servers: Vec<ServerEntry>,
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
    pub passive: Option<PassiveTable>,
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

/// For who has left them out.
const SERVERS_EXAMPLE: &str = "servers = [\"127.0.0.1:3000\"]";

impl UpstreamTable {
    pub(super) fn read(mut fields: Fields<'_>) -> UpstreamTable {
        let policies = PolicyKind::ALL.map(|kind| (kind.name(), kind));
        let servers_file = fields.get("servers_file");
        let servers = match servers_file {
            Some(_) => fields.get("servers"),
            None => fields.require("servers", SERVERS_EXAMPLE),
        };
        let upstream = UpstreamTable {
            spot: fields.spot,
            name: fields.require("name", "name = \"app\"").and_then(Field::name),
            balance: fields.get("balance").and_then(|field| field.one_of(&policies)),
            hash: fields.get("hash").and_then(read_hash),
            servers: servers.map(read_servers).unwrap_or_default(),
            servers_file: servers_file.and_then(read_path),
            of_file: None,
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
            sticky: fields
                .get("sticky")
                .and_then(|field| field.table("`sticky`"))
                .map(StickyTable::read),
            proxy_protocol: fields.get("proxy_protocol").and_then(read_proxy_protocol),
        };
        fields.finish();
        upstream
    }
}

fn read_proxy_protocol(field: Field<'_>) -> Option<ProxyVersion> {
    if field.as_text().is_none() {
        let what = "`proxy_protocol` of an upstream is the version to send";
        return field.refuse(what, "write \"v1\" or \"v2\", or remove it");
    }
    field.one_of(&ProxyVersion::ALL.map(|version| (version.name(), version)))
}

fn read_hash(field: Field<'_>) -> Option<Located<HashKey>> {
    let words = [("ip", HashKey::ClientIp), ("path", HashKey::Path)];
    field.placed(|field| value::read(field, words, HashKey::Value))
}

/// What stands in a servers file.
pub(super) fn read_servers_file(mut fields: Fields<'_>) -> Vec<ServerEntry> {
    let servers = fields.require("servers", SERVERS_EXAMPLE).map(read_servers);
    fields.finish();
    servers.unwrap_or_default()
}

fn read_path(field: Field<'_>) -> Option<Located<String>> {
    let text = field.text_or("the path of a file in quotes, such as \"app.servers.toml\"")?;
    if text.is_empty() {
        return field.refuse("`servers_file` is empty", "write the path of a file, or remove it");
    }
    Some(field.located(text.value.to_owned()))
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
            passive: fields
                .get("passive")
                .and_then(|field| field.table("`passive` of a server"))
                .map(PassiveTable::read),
        };
        fields.finish();
        server
    }
}

/// No weight is a server without requests, for which there is a word.
fn read_weight(field: Field<'_>) -> Option<u32> {
    let weight = field.whole32(0..=WEIGHT_MAX)?;
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
