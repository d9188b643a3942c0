//! The tables as someone wrote them.
//!
//! Each table reads itself from [`Fields`] into typed values: what a value says on its own is
//! judged here, what tables say about each other in `check`. `None` means that a key was absent,
//! or wrong and complained of; no plan is made in the second case, so nobody confuses the two.

mod access;
mod access_log;
mod account;
mod admin;
mod allowance;
mod content;
mod expires;
mod files;
mod health;
mod limits;
mod listener;
mod log;
mod map;
mod program;
mod rate;
mod resolver;
mod retry;
mod route;
mod source;
mod steps;
mod sticky;
mod telemetry;
mod upstream;
mod value;

pub(super) use access::AccessTable;
pub(super) use access_log::{AccessLogTable, LogsWritten};
pub(super) use account::AccountWritten;
pub(super) use admin::{AdminTable, TOKEN_REMEDY};
pub(super) use content::{BasicAuthTable, CompressTable, ContentTable, MaintenanceTable};
pub(super) use files::{AllFilesTable, FilesTable, LastWritten, TryTable};
pub(super) use health::{HealthTable, HttpTable, PassiveTable};
pub(super) use limits::LimitsTable;
pub(super) use listener::{ListenerTable, TrustedWritten};
pub(super) use log::LogTable;
pub(super) use map::MapTable;
pub(super) use program::{ProgramTable, RedirectWritten};
pub(super) use rate::RateTable;
pub(super) use resolver::ResolverTable;
pub(super) use retry::RetryTable;
pub(super) use route::{ActionWritten, RouteTable};
pub(super) use steps::{ErrorPageTable, PageWritten};
pub(super) use sticky::StickyTable;
pub(super) use telemetry::TelemetryTable;
pub(super) use upstream::{FileServers, ServerEntry, UpstreamTable};

use std::time::Duration;

use super::complaint::Complaints;
use super::fields::{Field, Fields};
use super::source::{Located, Spot};
use super::syntax;
use crate::plan::{TierChoice, Timeouts, TracingPlan};

/// No time is longer: what is meant to be endless is not written as a number.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Whether a file is the one that was named or one that it includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// May hold everything.
    Main,
    /// Adds listeners, upstreams, rates, maps and routes.
    Included,
}

/// What only the main file may hold.
const MAIN_KEYS: [&str; 17] = [
    "shards",
    "user",
    "group",
    "include",
    "trusted_proxies",
    "admin",
    "ring",
    "splice",
    "files",
    "limits",
    "timeouts",
    "resolver",
    "telemetry",
    "log",
    "access_log",
    "tracing",
    "compress",
];

/// A whole configuration, includes absorbed.
#[derive(Debug, Default)]
pub(super) struct File {
    pub shards: Option<Located<ShardsWritten>>,
    pub account: AccountWritten,
    pub include: Vec<Located<String>>,
    pub trusted_proxies: TrustedWritten,
    pub admin: Option<AdminTable>,
    pub ring: RingTable,
    pub splice: SpliceTable,
    pub files: AllFilesTable,
    pub limits: LimitsTable,
    pub timeouts: TimeoutsTable,
    pub resolver: ResolverTable,
    pub telemetry: TelemetryTable,
    pub log: LogTable,
    pub access_log: Option<AccessLogTable>,
    pub tracing: TracingPlan,
    /// For all routes.
    pub compress: Option<CompressTable>,
    pub listeners: Vec<ListenerTable>,
    pub upstreams: Vec<UpstreamTable>,
    pub rates: Vec<RateTable>,
    pub maps: Vec<MapTable>,
    pub routes: Vec<RouteTable>,
}

impl File {
    /// Reads the text of file number `file`.
    pub fn parse(text: &str, file: usize, role: Role, complaints: &Complaints) -> File {
        let title = match role {
            Role::Main => "the file",
            Role::Included => "an included file",
        };
        let read = |fields: Fields<'_>| File::read(fields, role);
        parse(text, file, title, complaints, read).unwrap_or_default()
    }

    /// Reads the text of file number `file`, a servers file.
    pub fn parse_servers(text: &str, file: usize, complaints: &Complaints) -> Vec<ServerEntry> {
        let read = upstream::read_servers_file;
        parse(text, file, "a servers file", complaints, read).unwrap_or_default()
    }

    /// Reads `[admin]` alone, as well as a file with mistakes elsewhere allows. What cannot be
    /// parsed is complained of only if that may be why there is none.
    pub fn parse_admin(text: &str, file: usize, complaints: &Complaints) -> Option<AdminTable> {
        let (root, error) = syntax::parse_leniently(text);
        let spot = Spot { file, offset: 0 };
        let mut fields = Fields::new(&root, "the file", spot, complaints);
        let table = fields.get("admin").and_then(|field| field.table("[admin]"));
        if let (None, Some(error)) = (&table, error) {
            let spot = Spot { file, offset: error.offset };
            complaints.syntax_error(spot, error.what, error.remedy);
        }
        table.map(AdminTable::read)
    }

    fn read(mut fields: Fields<'_>, role: Role) -> File {
        let mut file = File {
            listeners: tables(fields.get("listener"), "[[listener]]", ListenerTable::read),
            upstreams: tables(fields.get("upstream"), "[[upstream]]", UpstreamTable::read),
            rates: tables(fields.get("rate"), "[[rate]]", RateTable::read),
            maps: tables(fields.get("map"), "[[map]]", MapTable::read),
            routes: tables(fields.get("route"), "[[route]]", RouteTable::read),
            ..File::default()
        };
        if role == Role::Included {
            fields.refuse_misplaced(&MAIN_KEYS, "it belongs in the main file");
            fields.finish();
            return file;
        }
        file.shards = fields.get("shards").and_then(ShardsWritten::read);
        file.account = AccountWritten::read(&mut fields);
        let include = fields.get("include").map(Field::list).unwrap_or_default();
        let texts = include.into_iter().filter_map(Field::text);
        file.include =
            texts.map(|text| Located { value: text.value.to_owned(), spot: text.spot }).collect();
        file.trusted_proxies =
            fields.get("trusted_proxies").map(TrustedWritten::read).unwrap_or_default();
        let admin = fields.get("admin").and_then(|field| field.table("[admin]"));
        file.admin = admin.map(AdminTable::read);
        file.ring = table(fields.get("ring"), "[ring]", RingTable::read);
        file.splice = table(fields.get("splice"), "[splice]", SpliceTable::read);
        file.files = table(fields.get("files"), "[files]", AllFilesTable::read);
        file.limits = table(fields.get("limits"), "[limits]", LimitsTable::read);
        file.timeouts = table(fields.get("timeouts"), "[timeouts]", |fields| {
            TimeoutsTable::read(fields, &TIMEOUTS_GLOBAL)
        });
        file.resolver = table(fields.get("resolver"), "[resolver]", ResolverTable::read);
        file.telemetry = table(fields.get("telemetry"), "[telemetry]", TelemetryTable::read);
        file.log = table(fields.get("log"), "[log]", LogTable::read);
        let access_log = fields.get("access_log").and_then(|field| field.table("[access_log]"));
        file.access_log = access_log.map(AccessLogTable::read);
        file.tracing = table(fields.get("tracing"), "[tracing]", log::read_tracing);
        file.compress = fields.get("compress").and_then(CompressTable::read);
        fields.finish();
        file
    }

    /// Adds what an included file holds.
    pub fn absorb(&mut self, included: File) {
        self.listeners.extend(included.listeners);
        self.upstreams.extend(included.upstreams);
        self.rates.extend(included.rates);
        self.maps.extend(included.maps);
        self.routes.extend(included.routes);
    }
}

/// Reads the text of file number `file`, which is spoken of as `title`; `None` if it is no TOML.
fn parse<T>(
    text: &str,
    file: usize,
    title: &str,
    complaints: &Complaints,
    read: impl FnOnce(Fields<'_>) -> T,
) -> Option<T> {
    match syntax::parse(text) {
        Ok(root) => Some(read(Fields::new(&root, title, Spot { file, offset: 0 }, complaints))),
        Err(error) => {
            let spot = Spot { file, offset: error.offset };
            complaints.syntax_error(spot, error.what, error.remedy);
            None
        }
    }
}

fn table<'a, T: Default>(
    field: Option<Field<'a>>,
    title: &'a str,
    read: impl FnOnce(Fields<'a>) -> T,
) -> T {
    field.and_then(|field| field.table(title)).map(read).unwrap_or_default()
}

fn tables<'a, T>(
    field: Option<Field<'a>>,
    title: &'a str,
    read: impl FnMut(Fields<'a>) -> T,
) -> Vec<T> {
    field.map(|field| field.tables(title)).unwrap_or_default().into_iter().map(read).collect()
}

/// `shards`.
#[derive(Clone, Debug)]
pub(super) enum ShardsWritten {
    /// As many as there are CPUs for them.
    Auto,
    /// This many, on the first CPUs.
    Count(u64),
    /// One on each of these CPUs.
    Cpus(Vec<Located<u64>>),
}

impl ShardsWritten {
    fn read(field: Field<'_>) -> Option<Located<ShardsWritten>> {
        let cpus = 0..=65_535;
        if field.is_whole() {
            return field.placed(|field| field.whole(1..=1024).map(ShardsWritten::Count));
        }
        if field.is_list() {
            let items = field.list();
            let cpu = |item: &Field<'_>| item.placed(|item| item.whole(cpus.clone()));
            let list: Vec<Located<u64>> = items.iter().filter_map(cpu).collect();
            // A partial list would only raise complaints that a whole one does not deserve.
            return (list.len() == items.len()).then(|| field.located(ShardsWritten::Cpus(list)));
        }
        if field.as_text() == Some("auto") {
            return Some(field.located(ShardsWritten::Auto));
        }
        field.refuse("`shards` is not understood", "write \"auto\", a count, or a list of CPUs")
    }
}

/// `[ring]`.
#[derive(Debug, Default)]
pub(super) struct RingTable {
    pub tier: Option<TierChoice>,
    pub entries: Option<u32>,
    pub buffers: Option<u32>,
}

impl RingTable {
    fn read(mut fields: Fields<'_>) -> RingTable {
        let tiers = [
            ("auto", TierChoice::Auto),
            ("6.1", TierChoice::V6_1),
            ("5.19", TierChoice::V5_19),
            ("5.8", TierChoice::V5_8),
        ];
        let table = RingTable {
            tier: fields.get("tier").and_then(|field| field.one_of(&tiers)),
            entries: fields.get("entries").and_then(|field| {
                let entries = field.whole32(16..=32_768)?;
                if entries.is_power_of_two() {
                    return Some(entries);
                }
                let near = entries.next_power_of_two();
                let what = format!("`entries` is {entries}, not a power of two");
                field.refuse(what, format!("did you mean {near}?"))
            }),
            buffers: fields.get("buffers").and_then(|field| field.whole32(16..=32_768)),
        };
        fields.finish();
        table
    }
}

/// `[splice]`.
#[derive(Debug, Default)]
pub(super) struct SpliceTable {
    pub enabled: Option<bool>,
    pub threshold: Option<u64>,
    pub pipe_size: Option<u64>,
    pub pipes: Option<u32>,
}

impl SpliceTable {
    fn read(mut fields: Fields<'_>) -> SpliceTable {
        let table = SpliceTable {
            enabled: fields.get("enabled").and_then(Field::flag),
            threshold: fields.get("threshold").and_then(|field| field.size(1..=1 << 40)),
            // A pipe is whole pages, and the kernel takes its size as a signed 32-bit number.
            pipe_size: fields.get("pipe_size").and_then(|field| field.size(4 << 10..=1 << 30)),
            pipes: fields.get("pipes").and_then(|field| field.whole32(1..=65_536)),
        };
        fields.finish();
        table
    }
}

/// `[timeouts]`, and `timeouts` of an upstream or a route.
#[derive(Debug, Default)]
pub(super) struct TimeoutsTable {
    pub header: Option<Duration>,
    pub keepalive: Option<Duration>,
    pub connect: Option<Duration>,
    pub response: Option<Duration>,
    pub body_idle: Option<Duration>,
    pub body_grace: Option<Duration>,
    pub tunnel_idle: Option<Duration>,
    pub half_closed: Option<Duration>,
    pub drain: Option<Duration>,
}

/// What can be set for everything.
const TIMEOUTS_GLOBAL: [&str; 9] = [
    "header",
    "keepalive",
    "connect",
    "response",
    "body_idle",
    "body_grace",
    "tunnel_idle",
    "half_closed",
    "drain",
];

/// What an upstream may override.
const TIMEOUTS_OF_UPSTREAM: [&str; 4] = ["connect", "response", "body_idle", "tunnel_idle"];

/// What a route may override.
const TIMEOUTS_OF_ROUTE: [&str; 4] = ["response", "body_idle", "body_grace", "tunnel_idle"];

impl TimeoutsTable {
    /// Reads the `keys` that may be set here.
    fn read(mut fields: Fields<'_>, keys: &[&'static str]) -> TimeoutsTable {
        let mut table = TimeoutsTable::default();
        for &key in keys {
            // No time at all makes sense for the two that end something and the one that something
            // else follows; the others would fail every request.
            let least = match key {
                "half_closed" | "drain" | "body_grace" => Duration::ZERO,
                _ => Duration::from_millis(1),
            };
            let value = fields.get(key).and_then(|field| field.duration(least..=YEAR));
            if let Some(slot) = table.slot(key) {
                *slot = value;
            }
        }
        let elsewhere = TIMEOUTS_GLOBAL.into_iter().filter(|key| !keys.contains(key));
        fields.refuse_misplaced(&elsewhere.collect::<Vec<_>>(), "set it in [timeouts]");
        fields.finish();
        table
    }

    fn slot(&mut self, key: &str) -> Option<&mut Option<Duration>> {
        Some(match key {
            "header" => &mut self.header,
            "keepalive" => &mut self.keepalive,
            "connect" => &mut self.connect,
            "response" => &mut self.response,
            "body_idle" => &mut self.body_idle,
            "body_grace" => &mut self.body_grace,
            "tunnel_idle" => &mut self.tunnel_idle,
            "half_closed" => &mut self.half_closed,
            "drain" => &mut self.drain,
            _ => return None,
        })
    }

    /// These timeouts where they are set, else those of `base`.
    pub fn over(&self, base: &Timeouts) -> Timeouts {
        Timeouts {
            header: self.header.unwrap_or(base.header),
            keepalive: self.keepalive.unwrap_or(base.keepalive),
            connect: self.connect.unwrap_or(base.connect),
            response: self.response.unwrap_or(base.response),
            body_idle: self.body_idle.unwrap_or(base.body_idle),
            body_grace: self.body_grace.unwrap_or(base.body_grace),
            tunnel_idle: self.tunnel_idle.unwrap_or(base.tunnel_idle),
            half_closed: self.half_closed.unwrap_or(base.half_closed),
            drain: self.drain.unwrap_or(base.drain),
        }
    }
}
