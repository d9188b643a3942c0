//! What a shard records of requests between two swaps.
//!
//! Each route and each server has a place of its own, by its number in the plan; to find it takes
//! no search. A shard has one interval in use, and exchanges it for an emptied one when it is
//! asked to: it neither copies nor clears, and allocates only for what it sees for the first time.
//!
//! Where only one route leads to an upstream, its latency with a server of that is recorded once,
//! as the server's; the route inherits it when the interval is settled, which is not the shard's
//! work.

use std::fmt;

use super::{Durations, Latency, Method, Record, ServerAt, StatusClass};

/// So many routes of a plan are told apart, and as many servers: the first. The others have a
/// place together.
pub const KEYS_MAX: usize = 256;

/// Where the routes and servers of a plan have their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    routes: usize,
    /// By upstream: how many servers those before it have.
    firsts: Vec<u32>,
    servers: usize,
    /// By server: the place of the only route that leads to its upstream, or [`NOBODY`].
    heirs: Vec<u32>,
}

/// Who inherits what several routes share.
const NOBODY: u32 = u32::MAX;

/// An upstream of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Members {
    /// How many servers it has.
    pub servers: usize,
    /// The route that leads to it, if only one does.
    pub route: Option<usize>,
}

impl Shape {
    /// Of a plan with so many routes, and these upstreams.
    pub fn new(routes: usize, upstreams: impl Iterator<Item = Members>) -> Shape {
        let mut shape = Shape {
            routes: routes.min(KEYS_MAX),
            firsts: Vec::new(),
            servers: 0,
            heirs: Vec::new(),
        };
        let mut servers = 0;
        for upstream in upstreams {
            shape.firsts.push(servers as u32);
            servers += upstream.servers;
            // Those that share a place have no route of their own.
            let own = upstream.route.filter(|route| *route < shape.routes);
            let heir = own.map_or(NOBODY, |route| route as u32);
            shape.heirs.resize(servers.min(KEYS_MAX), heir);
        }
        shape.servers = servers.min(KEYS_MAX);
        shape
    }

    /// How many routes are told apart. The places behind theirs are [`RouteSlot::Other`] and
    /// [`RouteSlot::None`].
    pub fn routes(&self) -> usize {
        self.routes
    }

    /// How many servers are told apart. The place behind theirs is for the others.
    pub fn servers(&self) -> usize {
        self.servers
    }

    fn route(&self, route: Option<u32>) -> usize {
        match route {
            Some(route) => (route as usize).min(self.routes),
            None => self.routes + 1,
        }
    }

    fn server(&self, at: ServerAt) -> usize {
        let first = self.firsts.get(at.upstream as usize);
        let place = first.map_or(u32::MAX, |first| first.saturating_add(at.index));
        (place as usize).min(self.servers)
    }
}

/// Whose place in an interval it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteSlot {
    /// The route with this index in the plan.
    Own(usize),
    /// The routes without a place of their own.
    Other,
    /// Requests for which no route was found, or looked for.
    None,
}

/// Requests by method and class of status.
pub type Requests<N> = [[N; StatusClass::ALL.len()]; Method::ALL.len()];

/// What was recorded for a route.
#[derive(Default)]
pub struct RouteInterval {
    /// Latency by phase.
    pub latency: Latency<u32>,
    /// How many requests ended.
    pub requests: Requests<u32>,
    /// Body bytes from clients.
    pub from_clients: u64,
    /// Body bytes to clients.
    pub to_clients: u64,
    used: bool,
}

/// What was recorded for a server: of requests that were tried on it last.
#[derive(Default)]
pub struct ServerInterval {
    /// Latency by phase.
    pub latency: Latency<u32>,
    /// How many requests ended, by class of status.
    pub requests: [u32; StatusClass::ALL.len()],
    used: bool,
}

/// All that one shard recorded.
#[derive(Default)]
pub struct Interval {
    routes: Vec<RouteInterval>,
    servers: Vec<ServerInterval>,
    /// As in the shape.
    heirs: Vec<u32>,
    used: bool,
    settled: bool,
}

impl fmt::Debug for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interval").field("used", &self.used).finish_non_exhaustive()
    }
}

impl Interval {
    /// With a place for each that this shape has.
    pub fn new(shape: &Shape) -> Interval {
        let mut interval = Interval { heirs: shape.heirs.clone(), ..Interval::default() };
        interval.routes.resize_with(shape.routes + 2, RouteInterval::default);
        interval.servers.resize_with(shape.servers + 1, ServerInterval::default);
        interval
    }

    /// Whether it has the places of this shape.
    pub fn fits(&self, shape: &Shape) -> bool {
        self.routes.len() == shape.routes + 2
            && self.servers.len() == shape.servers + 1
            && self.heirs == shape.heirs
    }

    /// Nothing was recorded.
    pub fn is_empty(&self) -> bool {
        !self.used
    }

    /// Records a request, its route and server being numbered as in the plan of this shape.
    pub fn record(&mut self, shape: &Shape, record: &Record) {
        let took = Durations::from(&record.lasted());
        let status = StatusClass::of(record.status) as usize;
        self.used = true;
        let place = record.server.map(|at| shape.server(at));
        let slot = shape.route(record.route);
        let inherits = place.and_then(|place| shape.heirs.get(place)) == Some(&(slot as u32));
        if let Some(route) = self.routes.get_mut(slot) {
            route.used = true;
            if !inherits {
                route.latency.record(&took);
            }
            let requests = &mut route.requests[record.method as usize][status];
            *requests = requests.saturating_add(1);
            route.from_clients += record.from_client;
            route.to_clients += record.to_client;
        }
        if let Some(server) = place.and_then(|place| self.servers.get_mut(place)) {
            server.used = true;
            server.latency.record(&took);
            server.requests[status] = server.requests[status].saturating_add(1);
        }
    }

    /// Lets routes inherit what was recorded as their servers' only: nothing may be recorded then
    /// before all is cleared.
    pub fn settle(&mut self) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        for (server, heir) in self.servers.iter().zip(&self.heirs).filter(|(one, _)| one.used) {
            if let Some(route) = self.routes.get_mut(*heir as usize) {
                route.latency.join(&server.latency);
            }
        }
    }

    /// Forgets all, and keeps the memory.
    pub fn clear(&mut self) {
        for route in self.routes.iter_mut().filter(|route| route.used) {
            route.latency.clear();
            let latency = std::mem::take(&mut route.latency);
            *route = RouteInterval { latency, ..RouteInterval::default() };
        }
        for server in self.servers.iter_mut().filter(|server| server.used) {
            server.latency.clear();
            let latency = std::mem::take(&mut server.latency);
            *server = ServerInterval { latency, ..ServerInterval::default() };
        }
        self.used = false;
        self.settled = false;
    }

    /// The routes of which something was recorded; to be settled before.
    pub fn routes(&self) -> impl Iterator<Item = (RouteSlot, &RouteInterval)> {
        let own = self.routes.len().saturating_sub(2);
        let slot = move |index| match index {
            _ if index < own => RouteSlot::Own(index),
            _ if index == own => RouteSlot::Other,
            _ => RouteSlot::None,
        };
        let used = self.routes.iter().enumerate().filter(|(_, route)| route.used);
        used.map(move |(index, route)| (slot(index), route))
    }

    /// The servers of which something was recorded, by their place among all of the plan; `None`:
    /// those without a place of their own.
    pub fn servers(&self) -> impl Iterator<Item = (Option<usize>, &ServerInterval)> {
        let own = self.servers.len().saturating_sub(1);
        let used = self.servers.iter().enumerate().filter(|(_, server)| server.used);
        used.map(move |(index, server)| ((index < own).then_some(index), server))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Phase, Phases};

    fn record(route: Option<u32>, server: Option<(u32, u32)>) -> Record {
        let at = |(upstream, index)| ServerAt { upstream, index, id: 77 };
        let phases = Phases { started: 1, ended: 5_001, ..Phases::default() };
        let server = server.map(at);
        Record { route, server, phases, status: 204, to_client: 3, ..Record::default() }
    }

    fn shared(servers: usize) -> Members {
        Members { servers, route: None }
    }

    #[test]
    fn a_route_inherits_from_servers_that_only_it_leads_to() {
        let upstreams = [Members { servers: 2, route: Some(1) }, shared(1)];
        let shape = Shape::new(2, upstreams.into_iter());
        let mut interval = Interval::new(&shape);
        for _ in 0..2 {
            for (route, server) in [
                (Some(1), Some((0, 0))),
                (Some(1), Some((0, 1))),
                // Answered without a server, and by one of another upstream.
                (Some(1), None),
                (Some(1), Some((1, 0))),
                (Some(0), Some((1, 0))),
            ] {
                interval.record(&shape, &record(route, server));
            }
            interval.settle();
            interval.settle();
            let routes: Vec<_> =
                interval.routes().map(|(_, one)| one.latency.count(Phase::Total)).collect();
            assert_eq!(routes, [1, 4]);
            let servers: Vec<_> =
                interval.servers().map(|(_, one)| one.latency.count(Phase::Total)).collect();
            assert_eq!(servers, [1, 1, 2]);
            interval.clear();
        }
        let otherwise = Shape::new(2, [shared(2), shared(1)].into_iter());
        assert!(interval.fits(&shape) && !interval.fits(&otherwise));
    }

    #[test]
    fn each_route_and_server_has_its_place() {
        let shape = Shape::new(2, [2, 0, 3].into_iter().map(shared));
        let mut interval = Interval::new(&shape);
        assert!(interval.fits(&shape) && interval.is_empty());
        for (route, server) in [
            (Some(1), Some((0, 1))),
            (Some(1), Some((2, 2))),
            (None, None),
            // Of no plan of this shape.
            (Some(9), Some((7, 0))),
        ] {
            interval.record(&shape, &record(route, server));
        }
        let routes: Vec<_> = interval.routes().map(|(slot, one)| (slot, one.to_clients)).collect();
        assert_eq!(routes, [(RouteSlot::Own(1), 6), (RouteSlot::Other, 3), (RouteSlot::None, 3)]);
        let servers: Vec<_> = interval.servers().map(|(place, _)| place).collect();
        assert_eq!(servers, [Some(1), Some(4), None]);
        let (_, first) = interval.routes().next().expect("a route");
        assert_eq!(first.requests[Method::Other as usize][StatusClass::Successful as usize], 2);
        assert_eq!(first.latency.count(Phase::Total), 2);

        interval.clear();
        assert!(interval.is_empty() && interval.fits(&shape));
        assert_eq!((interval.routes().count(), interval.servers().count()), (0, 0));
        interval.record(&shape, &record(Some(1), None));
        let (_, again) = interval.routes().next().expect("a route");
        assert_eq!((again.to_clients, again.latency.count(Phase::Total)), (3, 1));
    }

    #[test]
    fn what_is_beyond_the_first_shares_a_place() {
        let shape = Shape::new(1000, [200, 200].into_iter().map(shared));
        let mut interval = Interval::new(&shape);
        for (route, server) in [(255, (1, 55)), (256, (1, 56)), (999, (1, 199))] {
            interval.record(&shape, &record(Some(route), Some(server)));
        }
        let routes: Vec<_> = interval.routes().map(|(slot, one)| (slot, one.to_clients)).collect();
        assert_eq!(routes, [(RouteSlot::Own(255), 3), (RouteSlot::Other, 6)]);
        let servers: Vec<_> = interval.servers().map(|(place, _)| place).collect();
        assert_eq!(servers, [Some(255), None]);
    }
}
