//! What it costs to record a request: 60 ns are allowed.

use std::hint::black_box;

use corelane::telemetry::{Interval, Members, Phases, Record, ServerAt, Shape};
use criterion::{Criterion, criterion_group, criterion_main};

/// Requests that come one after the other: a power of two, and few enough to stay in the cache, as
/// a record does that was just filled in.
const REQUESTS: usize = 256;

/// Requests of so many routes and servers, whose phases take up to `slowest` nanoseconds.
fn records(routes: u32, servers: u32, slowest: [u64; 5]) -> Vec<Record> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if below == 0 { 0 } else { state % below }
    };
    let record = |_| {
        let started = 1 + draw(1 << 40);
        let head = started + draw(slowest[0]);
        let leased = head + draw(slowest[1]);
        let connected = leased + draw(slowest[2]);
        let first_byte = connected + draw(slowest[3]);
        let ended = first_byte + draw(slowest[4]);
        let index = draw(servers.into()) as u32;
        Record {
            phases: Phases { started, head, leased, connected, first_byte, ended },
            route: Some(draw(routes.into()) as u32),
            server: Some(ServerAt { upstream: 0, index, id: index }),
            status: 200,
            to_client: 12,
            ..Record::default()
        }
    };
    (0..REQUESTS).map(record).collect()
}

fn recording(c: &mut Criterion) {
    // As most are: a head in one piece, no queue, a connection from the pool.
    let usual = [0, 0, 0, 400_000, 0];
    let varied = [50_000, 900_000, 900_000, 90_000_000, 9_000_000];
    // Where several routes lead to an upstream, latency is recorded for route and server both.
    for (name, routes, servers, slowest, route) in [
        ("usual, 3 servers, 1 route", 1, 3, usual, Some(0)),
        ("usual, 50 servers, 1 route", 1, 50, usual, Some(0)),
        ("usual, 50 servers, 20 routes", 20, 50, usual, None),
        ("each phase, 3 servers, 1 route", 1, 3, varied, Some(0)),
        ("each phase, 50 servers, 1 route", 1, 50, varied, Some(0)),
        ("each phase, 50 servers, 20 routes", 20, 50, varied, None),
    ] {
        let members = Members { servers: servers as usize, route };
        let shape = Shape::new(routes as usize, std::iter::once(members));
        let records = records(routes, servers, slowest);
        let mut interval = Interval::new(&shape);
        records.iter().for_each(|record| interval.record(&shape, record));
        let mut next = 0;
        c.bench_function(&format!("record a request ({name})"), |b| {
            b.iter(|| {
                next = (next + 1) % REQUESTS;
                interval.record(&shape, black_box(&records[next]));
            });
        });
    }
}

criterion_group!(benches, recording);
criterion_main!(benches);
