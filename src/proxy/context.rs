//! What all connections of a shard share.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::task::Waker;

use super::access_log::AccessLog;
use super::compress::Compression;
use super::credentials::{Credentials, Inquiry};
use super::files::FileStore;
use super::journal::Journal;
use super::meter::{Measured, Meter};
use super::trail::Trail;
use super::{Listener, Rates, Turnstile};
use crate::balance::Rng;
use crate::guard::Loads;
use crate::http1::TraceContext;
use crate::plan::{Created, Plan, ServerId, SplicePlan, UpstreamPlan};
use crate::ring::{Pipes, Ring, Tick};
use crate::route::Table;
use crate::telemetry::{Counters, Gauges, Interval, Record, Report, ServerUse};
use crate::upstream::{Group, News, Server, Site, Standing};

/// A plan and this shard's state for it. An exchange keeps the one it began with.
pub struct Service {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The plan's routing table; a copy, since regular expressions share scratch memory.
    table: Rc<Table>,
    /// Those of listeners that routes name; copies as well.
    tables: Rc<[(String, Table)]>,
    /// One for each of the plan's upstreams.
    pub groups: Vec<Rc<Group>>,
    /// How often requests come.
    pub rates: Rates,
    /// Records how its requests went.
    meter: Rc<Meter>,
    /// Which server of which group has this number.
    places: HashMap<ServerId, (usize, usize)>,
    site: Rc<Site>,
}

impl Service {
    /// Fresh state for `plan` in shard number `shard`.
    pub fn new(plan: Arc<Plan>, shard: usize, seed: u64, rates: Rates) -> Rc<Service> {
        let shards = plan.shards.cpus.len();
        let site = Site { shard, shards, seed, news: Rc::default() };
        let groups = plan.upstreams.iter().map(|plan| Group::new(plan, &site)).collect();
        let tables = (Rc::new((*plan.table).clone()), plan.tables.iter().cloned().collect());
        Service::assemble(plan, tables, groups, rates, Rc::new(site))
    }

    /// State for a new `plan`: upstreams and servers that the present one has too keep theirs.
    /// Requests in progress go on with the present one. What both plans share costs nothing.
    pub fn succeed(&self, plan: Arc<Plan>) -> Rc<Service> {
        let present = self.plan.upstreams.iter().zip(&self.groups);
        let mut known: HashMap<&str, (&Arc<UpstreamPlan>, &Rc<Group>)> =
            present.map(|(plan, group)| (plan.name.as_str(), (plan, group))).collect();
        let group = |plan: &Arc<UpstreamPlan>| match known.remove(plan.name.as_str()) {
            Some((old, group)) if Arc::ptr_eq(old, plan) => group.clone(),
            old => Group::succeed(plan, old.map(|(old, group)| (&**old, &**group)), &self.site),
        };
        let groups = plan.upstreams.iter().map(group).collect();
        known.into_values().for_each(|(_, group)| group.remove());
        let rates = self.rates.succeed(&self.plan.rates, &plan.rates);
        let tables = match Arc::ptr_eq(&self.plan.table, &plan.table) {
            true => (self.table.clone(), self.tables.clone()),
            false => (Rc::new((*plan.table).clone()), plan.tables.iter().cloned().collect()),
        };
        let service = Service::assemble(plan, tables, groups, rates, self.site.clone());
        service.groups.iter().for_each(|group| group.look_again());
        service
    }

    fn assemble(
        plan: Arc<Plan>,
        (table, tables): (Rc<Table>, Rc<[(String, Table)]>),
        groups: Vec<Rc<Group>>,
        rates: Rates,
        site: Rc<Site>,
    ) -> Rc<Service> {
        let servers = groups.iter().enumerate().flat_map(|(upstream, group)| {
            let servers = group.servers().iter().enumerate();
            servers.map(move |(index, server)| (server.id(), (upstream, index)))
        });
        let (places, meter) = (servers.collect(), Meter::new(&plan));
        Rc::new(Service { plan, table, tables, groups, rates, meter, places, site })
    }

    /// The routes for requests that come by this listener. One that the plan does not know any more
    /// has those that are for all.
    pub fn table(&self, listener: &Listener) -> &Table {
        if self.tables.is_empty() {
            return &self.table;
        }
        let plan = listener.plan();
        let own = self.tables.iter().find(|(name, _)| plan.name.as_ref() == Some(name));
        own.map_or(&self.table, |(_, table)| table)
    }

    /// What this shard found out about servers and has not told yet.
    pub fn news(&self) -> &Rc<News> {
        &self.site.news
    }

    /// The server with this number, and its upstream.
    pub fn server(&self, id: ServerId) -> Option<(&Rc<Group>, &Rc<Server>)> {
        let (upstream, server) = *self.places.get(&id)?;
        let group = self.groups.get(upstream)?;
        Some((group, group.servers().get(server)?))
    }

    /// Takes over what holds for a server in the whole process.
    pub fn apply(&self, id: ServerId, standing: &Standing, now: Tick) {
        if let Some((group, server)) = self.server(id) {
            group.apply(server, standing, now);
        }
    }
}

/// A shard, as its connections see it.
pub struct Context {
    /// The shard's ring.
    pub ring: Ring,
    /// The plan in force.
    pub service: RefCell<Rc<Service>>,
    /// Pipes for splicing.
    pub pipes: Rc<Pipes>,
    /// Splice settings.
    pub splice: SplicePlan,
    /// Whether connections end after their present request.
    pub draining: Cell<bool>,
    /// No more is done for any request: the shard is about to end.
    pub cut_off: Cell<bool>,
    /// Client connections open.
    pub connections: Cell<u32>,
    /// How many connections the shards have, each for itself.
    pub loads: Loads,
    /// What is logged about requests that failed.
    pub failures: Journal,
    /// What is logged about single attempts of requests.
    pub attempts: Journal,
    /// What is written about each.
    pub access_log: AccessLog,
    /// What is open of files.
    pub files: FileStore,
    /// What responses that are compressed share.
    pub(super) compression: Compression,
    /// What is known of passwords that requests bring.
    pub(super) credentials: Credentials,
    /// Counts those of each client, where that is limited.
    pub turnstile: Option<Turnstile>,
    /// Who waits until one of them is closed.
    awaiting_room: RefCell<Vec<Waker>>,
    /// Of the plans before the present one, while requests go on that began with them.
    retired: RefCell<Vec<Rc<Meter>>>,
    counters: RefCell<Counters>,
    scratch: RefCell<Vec<u8>>,
    id_base: u32,
    id_count: Cell<u32>,
    /// Draws the ids of traces.
    rng: RefCell<Rng>,
}

impl Context {
    /// A shard's context; `seed` makes its request ids differ from other shards'.
    pub fn new(
        ring: Ring,
        service: Rc<Service>,
        seed: u64,
        turnstile: Option<Turnstile>,
        loads: Loads,
        desk: SyncSender<Inquiry>,
    ) -> Rc<Context> {
        let splice = service.plan.shards.splice.clone();
        let access_log = AccessLog::new(service.site.shard, seed);
        let pipes = Pipes::new(if splice.enabled { splice.pipes } else { 0 }, splice.pipe_size);
        Rc::new(Context {
            ring,
            service: RefCell::new(service),
            pipes,
            splice,
            draining: Cell::new(false),
            cut_off: Cell::new(false),
            connections: Cell::new(0),
            loads,
            failures: Journal::default(),
            attempts: Journal::default(),
            access_log,
            files: FileStore::default(),
            compression: Compression::default(),
            credentials: Credentials::new(desk),
            turnstile,
            awaiting_room: RefCell::default(),
            retired: RefCell::default(),
            counters: RefCell::default(),
            scratch: RefCell::new(Vec::with_capacity(4096)),
            id_base: (seed ^ (seed >> 32)) as u32,
            id_count: Cell::new(0),
            rng: RefCell::new(Rng::new(!seed)),
        })
    }

    /// Has `waker` woken when a client connection is closed.
    pub fn await_room(&self, waker: &Waker) {
        let mut waiting = self.awaiting_room.borrow_mut();
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    /// A client connection begins.
    pub(super) fn take_place(&self) {
        self.count_connections(self.connections.get() + 1);
    }

    /// A client connection is closed.
    pub(super) fn make_room(&self) {
        self.count_connections(self.connections.get() - 1);
        let waiting = self.awaiting_room.take();
        waiting.into_iter().for_each(Waker::wake);
    }

    fn count_connections(&self, connections: u32) {
        self.connections.set(connections);
        self.loads.publish(connections);
    }

    /// An id for a request that somebody may ask about.
    pub(super) fn request_number(&self) -> u64 {
        let count = self.id_count.get().wrapping_add(1);
        self.id_count.set(count);
        u64::from(self.id_base) << 32 | u64::from(count)
    }

    /// A trace that begins here.
    pub(super) fn begin_trace(&self, created: Created) -> TraceContext {
        let mut rng = self.rng.borrow_mut();
        let (high, low) = (rng.bits(), rng.bits());
        TraceContext {
            // Zero would be no id.
            trace_id: (u128::from(high) << 64 | u128::from(low)).max(1),
            span_id: rng.bits().max(1),
            flags: if created.sampled { TraceContext::SAMPLED } else { 0 },
        }
    }

    /// A number that nobody could foresee who has not seen many.
    pub(super) fn draw(&self) -> u64 {
        self.rng.borrow_mut().bits()
    }

    /// Lets go of files that were open for long.
    pub fn sweep_files(&self) {
        let plan = self.service.borrow().plan.clone();
        self.files.sweep(plan.file_cache.as_ref(), self.ring.now());
    }

    /// Counts something.
    pub fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.counters.borrow_mut());
    }

    /// A request has ended: called once for each of which a byte has come.
    pub(super) fn finish(&self, trail: &Trail) -> Record {
        let record = trail.close(self.ring.now());
        self.count(|counters| counters.finished += 1);
        trail.service.meter.record(&record);
        record
    }

    /// Serves by another plan from the next request on.
    pub fn adopt(&self, service: Rc<Service>) {
        let before = self.service.replace(service);
        self.retired.borrow_mut().push(before.meter.clone());
    }

    /// Hands over what was recorded of requests since the last time, and goes on with `spare`.
    pub fn hand_over(&self, spare: Option<Box<Interval>>, mut take: impl FnMut(Measured)) {
        take(self.service.borrow().meter.swap(spare));
        self.retired.borrow_mut().retain(|meter| {
            if !meter.is_empty() {
                take(Measured { retired: true, ..meter.swap(None) });
            }
            Rc::strong_count(meter) > 1
        });
    }

    /// What was counted so far, and what is held now.
    pub fn report(&self) -> Report {
        let (ring_completions, ring_enters) = self.ring.counts();
        let counters = Counters { ring_completions, ring_enters, ..*self.counters.borrow() };
        let (gauges, servers) = (self.gauges(), self.servers());
        Report { counters, gauges, servers, ..Report::default() }
    }

    fn servers(&self) -> BTreeMap<u32, ServerUse> {
        let service = self.service.borrow();
        let servers = service.groups.iter().flat_map(|group| group.servers());
        let usage = |server: &Rc<Server>| ServerUse {
            requests: server.requests(),
            failures: server.failures(),
            active: server.active().into(),
            idle: server.idle() as u64,
        };
        servers.map(|server| (server.id().0, usage(server))).collect()
    }

    fn gauges(&self) -> Gauges {
        let (buffers, buffers_lent) = self.ring.buffer_usage();
        let (pipes, pipes_lent) = self.pipes.usage();
        let mut gauges = Gauges {
            connections: self.connections.get().into(),
            buffers: buffers as u64,
            buffers_lent: buffers_lent as u64,
            pipes: pipes as u64,
            pipes_lent: pipes_lent as u64,
            operations: self.ring.in_flight() as u64,
            ..Gauges::default()
        };
        for group in &self.service.borrow().groups {
            let usage = group.allowance.usage();
            gauges.requests += u64::from(usage.live);
            gauges.waiting += u64::from(usage.pending);
            gauges.queued += group.waiting() as u64;
            gauges.retrying += u64::from(usage.retrying);
            for server in group.servers() {
                gauges.leases += u64::from(server.active());
                gauges.idle += server.idle() as u64;
            }
        }
        gauges
    }

    /// Descriptors or memory are short: closes what serves nobody just now, idle pipes, files and
    /// the connections in the pools. Says whether there were any.
    pub fn relieve(&self) -> bool {
        let mut any = self.pipes.trim() | self.files.clear();
        for group in &self.service.borrow().groups {
            for server in group.servers() {
                any |= server.close_idle();
            }
        }
        any
    }

    /// Runs `action` on an empty buffer that keeps its capacity from use to use.
    pub fn with_scratch<T>(&self, action: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut scratch = self.scratch.borrow_mut();
        scratch.clear();
        action(&mut scratch)
    }
}
