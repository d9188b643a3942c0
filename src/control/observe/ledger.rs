//! Everything that was measured, since the start and in the last minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::control::clock::now;
use crate::plan::{Plan, ServerId};
use crate::shard::Measured;
use crate::telemetry::{
    History, KEYS_MAX, Latency, Requests, RouteInterval, RouteSlot, ServerInterval, StatusClass,
};

/// What measurements are of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// All requests.
    All,
    /// Those of a route, by its name.
    Route(Arc<str>),
    /// Those of routes beyond the first [`KEYS_MAX`].
    OtherRoutes,
    /// Those without a route.
    NoRoute,
    /// Those that were tried on this server last.
    Server(ServerId),
    /// On one beyond the first [`KEYS_MAX`].
    OtherServers,
}

/// What was measured of a route since the start, or since it was there.
#[derive(Clone, Default)]
pub struct RouteTotals {
    /// Latency by phase.
    pub latency: Latency,
    /// Requests that ended.
    pub requests: Requests<u64>,
    /// Body bytes from clients.
    pub from_clients: u64,
    /// Body bytes to clients.
    pub to_clients: u64,
}

impl RouteTotals {
    fn add(&mut self, route: &RouteInterval) {
        self.latency.merge(&route.latency);
        for (mine, theirs) in self.requests.iter_mut().zip(&route.requests) {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                *mine += u64::from(*theirs);
            }
        }
        self.from_clients += route.from_clients;
        self.to_clients += route.to_clients;
    }
}

/// What was measured of a server, likewise.
#[derive(Clone, Default)]
pub struct ServerTotals {
    /// Latency by phase.
    pub latency: Latency,
    /// Requests that ended, by class of status.
    pub requests: [u64; StatusClass::ALL.len()],
}

impl ServerTotals {
    fn add(&mut self, server: &ServerInterval) {
        self.latency.merge(&server.latency);
        for (mine, theirs) in self.requests.iter_mut().zip(&server.requests) {
            *mine += u64::from(*theirs);
        }
    }
}

/// All of it.
pub struct Ledger {
    /// All requests, those included whose route or server is gone.
    pub all: Latency,
    /// By route.
    pub routes: BTreeMap<Key, RouteTotals>,
    /// By server.
    pub servers: BTreeMap<Key, ServerTotals>,
    history: History<Key>,
    /// What the plan in force has. What it has no more is forgotten.
    known: BTreeSet<Key>,
    start: Instant,
}

impl Ledger {
    /// Begins at `now`.
    pub fn new(now: Instant, plan: &Plan) -> Ledger {
        Ledger {
            all: Latency::default(),
            routes: BTreeMap::new(),
            servers: BTreeMap::new(),
            history: History::new(Duration::ZERO),
            known: known(plan),
            start: now,
        }
    }

    /// How long after the start a moment is.
    pub fn at(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.start)
    }

    /// The start, since 1970, by what the clock says now: it may have been set since, and the
    /// machine may have slept.
    pub fn began(&self) -> Duration {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        wall.saturating_sub(self.at(now()))
    }

    /// Goes by another plan. A route that has the name of one before, and a server that is the same
    /// as before, go on.
    pub fn adopt(&mut self, plan: &Plan) {
        self.known = known(plan);
        self.routes.retain(|key, _| self.known.contains(key));
        self.servers.retain(|key, _| self.known.contains(key));
    }

    /// Takes in what a shard recorded.
    pub fn take(&mut self, measured: &Measured) {
        let plan = &measured.plan;
        for (slot, route) in measured.interval.routes() {
            self.all.merge(&route.latency);
            self.history.add(&Key::All, &route.latency);
            let key = match slot {
                RouteSlot::Own(index) => plan.routes.get(index).map(|route| name(&route.name)),
                RouteSlot::Other => Some(Key::OtherRoutes),
                RouteSlot::None => Some(Key::NoRoute),
            };
            if let Some(key) = key.filter(|key| self.known.contains(key)) {
                self.history.add(&key, &route.latency);
                self.routes.entry(key).or_default().add(route);
            }
        }
        let ids: Vec<_> = server_ids(plan).collect();
        for (place, server) in measured.interval.servers() {
            let key = match place {
                Some(place) => ids.get(place).copied().map(Key::Server),
                None => Some(Key::OtherServers),
            };
            if let Some(key) = key.filter(|key| self.known.contains(key)) {
                self.history.add(&key, &server.latency);
                self.servers.entry(key).or_default().add(server);
            }
        }
    }

    /// To be called each second or so.
    pub fn cut(&mut self, now: Instant) {
        self.history.cut(self.at(now));
    }

    /// What was measured since the start of any of these, together.
    pub fn lifetime(&self, keys: &[Key]) -> Latency {
        let mut sum = Latency::default();
        for key in keys {
            let route = || self.routes.get(key).map(|route| &route.latency);
            let server = || self.servers.get(key).map(|server| &server.latency);
            match key {
                Key::All => sum.merge(&self.all),
                _ => route().or_else(server).into_iter().for_each(|latency| sum.merge(latency)),
            }
        }
        sum
    }

    /// What was measured in the last `window`, and since when, since 1970.
    pub fn last(&self, keys: &[Key], window: Duration, now: Instant) -> (Latency, Duration) {
        let now = self.at(now);
        let (mut sum, mut since) = (Latency::default(), now);
        for key in keys {
            let (latency, from) = self.history.last(key, window, now);
            sum.merge(&latency);
            since = since.min(from);
        }
        (sum, self.began() + since)
    }

    /// The last five minutes in spans: when each began, since 1970, how long it was, and what was
    /// measured in it.
    pub fn spans(&self, keys: &[Key], now: Instant) -> Vec<(Duration, Duration, Latency)> {
        let mut spans: Vec<(Duration, Duration, Latency)> = Vec::new();
        let began = self.began();
        for (number, key) in keys.iter().enumerate() {
            let slices = self.history.slices(key, self.at(now));
            for (index, (from, to, latency)) in slices.into_iter().enumerate() {
                match spans.get_mut(index) {
                    // All keys have the same spans.
                    Some((.., sum)) if number > 0 => sum.merge(&latency),
                    _ => spans.push((began + from, to.saturating_sub(from), latency)),
                }
            }
        }
        spans
    }
}

/// The key of a route.
fn name(name: &str) -> Key {
    Key::Route(name.into())
}

fn server_ids(plan: &Plan) -> impl Iterator<Item = ServerId> + '_ {
    plan.upstreams.iter().flat_map(|upstream| &upstream.servers).map(|server| server.id)
}

/// What is told apart, the rest sharing a key.
fn known(plan: &Plan) -> BTreeSet<Key> {
    let routes = plan.routes.iter().take(KEYS_MAX).map(|route| name(&route.name));
    let servers = server_ids(plan).take(KEYS_MAX).map(Key::Server);
    let rest = [Key::All, Key::OtherRoutes, Key::NoRoute, Key::OtherServers];
    routes.chain(servers).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::control::machine;
    use crate::telemetry::{Interval, Phase, Phases, Record, Shape};

    #[test]
    fn each_window_holds_what_was_recorded_in_it() {
        let text = "[[listener]]\naddress = \"127.0.0.1:0\"\n\
                    [[route]]\nname = \"a\"\npath = \"/\"\nrespond = { status = 200 }\n";
        let loaded = config::from_text(text, "config.toml", &machine());
        let plan = Arc::new(loaded.unwrap_or_else(|errors| panic!("{}", errors[0])).plan);
        let (begin, seconds) = (now(), Duration::from_secs);
        let mut ledger = Ledger::new(begin, &plan);
        let shape = Shape::new(1, std::iter::empty());
        // One request a second for six minutes.
        for second in 1..=360 {
            let mut interval = Box::new(Interval::new(&shape));
            let phases = Phases { started: 1, ended: 5_000_001, ..Phases::default() };
            let record = Record { route: Some(0), phases, status: 200, ..Record::default() };
            interval.record(&shape, &record);
            interval.settle();
            ledger.take(&Measured { plan: plan.clone(), interval, retired: false });
            ledger.cut(begin + seconds(second));
        }
        let route = Key::Route("a".into());
        for (window, longest) in [(10, 11), (60, 70), (300, 310)] {
            let at = begin + seconds(360);
            let (latency, since) = ledger.last(std::slice::from_ref(&route), seconds(window), at);
            let count = latency.count(Phase::Total);
            assert!((window..=longest).contains(&count), "{window} s: {count}");
            // Whoever divides by the time since then gets one a second.
            let span = (ledger.began() + seconds(360)).saturating_sub(since);
            assert_eq!(span.as_secs_f64().round() as u64, count, "{window} s");
        }
        assert_eq!(ledger.lifetime(&[Key::All]).count(Phase::Total), 360);
    }
}
