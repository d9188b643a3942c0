//! Thousands of bodies of every framing and size, in random pieces, with random stalls and
//! aborts on both sides, by splice and by copy; every byte is checked.
//!
//! A case is a pure function of a seed and its number, so client and origin each work out what
//! the other will do. Several clients run side by side, each with cases of its own; what one case
//! leaves behind in a connection is what the next one finds. A failure prints the seed; to run
//! the same cases again:
//!
//! ```text
//! CORELANE_TEST_SEED=<seed> CORELANE_TEST_TIERS=<tier> cargo test --test bodies
//! ```
//!
//! `CORELANE_TEST_BODIES` is the number of exchanges over all tiers together (default: 10,000).

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the house rules on clocks and locks are for shards"
)]

#[macro_use]
mod support;

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use support::*;

tiered! {
    bodies_arrive_by_splice,
    bodies_arrive_by_copy,
}

const LENGTH_MAX: u64 = 4 << 20;
const CLIENTS: u64 = 4;
/// Exchanges of a client with small responses, bytes, in a row.
const STRETCH: u64 = 60;
const SMALL: u64 = 2_000;

fn bodies_arrive_by_splice(tier: Tier) {
    // The threshold is low so that most bodies qualify; there are too few pipes for everyone.
    run(tier, "enabled = true\nthreshold = \"4KiB\"\npipe_size = \"64KiB\"\npipes = 3");
}

fn bodies_arrive_by_copy(tier: Tier) {
    run(tier, "enabled = false");
}

fn number_from_env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

fn run(tier: Tier, splice: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos() as u64;
    let seed = number_from_env("CORELANE_TEST_SEED").unwrap_or(now % 1_000_000_007);
    let total = number_from_env("CORELANE_TEST_BODIES").unwrap_or(10_000);
    // Each tier runs this twice, with splice and without.
    let cases = total.div_ceil(2 * tiers().len() as u64);
    println!("tier {tier}, {cases} cases, CORELANE_TEST_SEED={seed}");

    let faults = Arc::new(Mutex::new(Vec::new()));
    let origin = origin(seed, faults.clone());
    let proxy =
        Config::new(tier).origin("app", &origin).toml(&format!("[splice]\n{splice}")).start();
    let address = proxy.address();
    thread::scope(|scope| {
        for first in 0..CLIENTS {
            let (address, faults) = (&address, &faults);
            scope.spawn(move || client(seed, first, cases, address, faults));
        }
    });
    let faults = faults.lock().expect("no poison");
    assert!(faults.is_empty(), "CORELANE_TEST_SEED={seed}, tier {tier}:\n{}", faults.join("\n"));
}

type Faults = Mutex<Vec<String>>;

/// One exchange, and how it goes.
#[derive(Clone, Debug)]
struct Case {
    number: u64,
    method: &'static str,
    /// HTTP/1.0 in place of 1.1.
    old_client: bool,
    request: Body,
    response: Body,
    abort: Abort,
    /// What seeds its byte patterns and the sizes of its pieces.
    seed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Body {
    kind: Kind,
    length: u64,
    /// Chunks and writes are random, up to these sizes, bytes.
    chunk_max: u64,
    write_max: u64,
    stalls: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    None,
    Length,
    Chunked,
    UntilClosed,
}

/// Who gives up, after which share of what it sends or reads (in 1/1000), and whether by a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Abort {
    No,
    ClientSending { after: u64, reset: bool },
    ClientReading { after: u64, reset: bool },
    OriginSending { after: u64, reset: bool },
    OriginReading { after: u64, reset: bool },
}

impl Body {
    fn random(rng: &mut Rng, kinds: &[Kind]) -> Body {
        let kind = rng.pick(kinds);
        let length = if kind == Kind::None { 0 } else { rng.log_uniform(LENGTH_MAX) };
        let sizes = [7, 300, 5_000, 70_000, 1 << 20];
        // Not more than some hundred chunks a body: they are slow, and alike.
        let chunk_max = rng.pick(&sizes).max(length / 200 + 1);
        Body { kind, length, chunk_max, write_max: rng.pick(&sizes), stalls: rng.chance(15) }
    }

    /// A whole message, on the wire.
    fn encode(&self, head: &str, number: u64, pattern: &mut Pattern, rng: &mut Rng) -> Vec<u8> {
        let field = match self.kind {
            Kind::None => String::new(),
            Kind::Length => format!("Content-Length: {}\r\n", self.length),
            Kind::Chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
            Kind::UntilClosed => "Connection: close\r\n".to_owned(),
        };
        let mut bytes = format!("{head}{field}\r\n").into_bytes();
        if self.kind != Kind::Chunked {
            bytes.extend(pattern.take(self.length as usize));
            return bytes;
        }
        let mut left = self.length;
        while left > 0 {
            let size = (1 + rng.log_uniform(self.chunk_max)).min(left);
            let extension = if rng.chance(10) { ";a=\"b\"" } else { "" };
            bytes.extend(
                format!("{size:0width$X}{extension}\r\n", width = size as usize % 5).bytes(),
            );
            bytes.extend(pattern.take(size as usize));
            bytes.extend(b"\r\n");
            left -= size;
        }
        bytes.extend(format!("0\r\nX-Number: {number}\r\n\r\n").bytes());
        bytes
    }

    /// Writes `bytes` in random pieces.
    fn send(&self, wire: &mut Wire, mut bytes: &[u8], rng: &mut Rng) -> Result<(), End> {
        for _ in 0..200 {
            let size = (1 + rng.log_uniform(self.write_max) as usize).min(bytes.len());
            wire.send(&bytes[..size])?;
            bytes = &bytes[size..];
            self.stall(rng);
        }
        wire.send(bytes)
    }

    fn stall(&self, rng: &mut Rng) {
        if self.stalls && rng.chance(3) {
            pause(ms(rng.below(4)));
        }
    }
}

impl Case {
    fn of(seed: u64, number: u64) -> Case {
        let mut rng = Rng::new(seed ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let abort = match rng.below(100) {
            0..4 => Abort::ClientSending { after: rng.below(1_000), reset: rng.chance(50) },
            4..8 => Abort::ClientReading { after: rng.below(1_000), reset: rng.chance(50) },
            8..12 => Abort::OriginSending { after: rng.below(1_000), reset: rng.chance(50) },
            12..15 => Abort::OriginReading { after: rng.below(1_000), reset: rng.chance(50) },
            _ => Abort::No,
        };
        let request = Body::random(&mut rng, &[Kind::None, Kind::Length, Kind::Chunked]);
        let until_closed = [Kind::Length, Kind::Length, Kind::Chunked, Kind::UntilClosed];
        let mut response = Body::random(&mut rng, &until_closed);
        let method = match request.kind {
            Kind::None if abort == Abort::No && rng.chance(10) => "HEAD",
            Kind::None => "GET",
            _ => "POST",
        };
        // Now and then a stretch in which no server gives a reason to expect a large response.
        if (number / (STRETCH * CLIENTS)).is_multiple_of(4) && abort == Abort::No {
            let small = [Kind::Length, Kind::Chunked];
            (response.kind, response.length) = (rng.pick(&small), response.length % SMALL);
            response.stalls = false;
        }
        if method == "HEAD" {
            response = Body { kind: Kind::None, length: 0, ..response };
        }
        // Where the end of a body is the end of the connection, a client cannot tell one that
        // broke off, so HTTP/1.0 is for those that do not; and chunks are beyond it.
        let old_client = abort == Abort::No && request.kind != Kind::Chunked && rng.chance(5);
        Case { number, method, old_client, request, response, abort, seed: rng.next() }
    }

    fn pattern(&self, body: &Body) -> Pattern {
        Pattern::new(self.seed ^ u64::from(std::ptr::eq(body, &self.response)))
    }

    fn request_bytes(&self, rng: &mut Rng) -> Vec<u8> {
        let version = if self.old_client { "HTTP/1.0" } else { "HTTP/1.1" };
        let head = format!("{} /{} {version}\r\nHost: test\r\n", self.method, self.number);
        self.request.encode(&head, self.number, &mut self.pattern(&self.request), rng)
    }

    fn response_bytes(&self, rng: &mut Rng) -> Vec<u8> {
        let head = format!("HTTP/1.1 200 OK\r\nX-Number: {}\r\n", self.number);
        self.response.encode(&head, self.number, &mut self.pattern(&self.response), rng)
    }
}

/// The first `after` thousandths; never all.
fn cut(bytes: &[u8], after: u64) -> &[u8] {
    &bytes[..(bytes.len() as u64 * after / 1_000) as usize]
}

// ---- The origin's side.

fn origin(seed: u64, faults: Arc<Faults>) -> Origin {
    Origin::scripted(move |conn| {
        loop {
            let head = conn.request_head()?;
            let number = head.word(1)[1..].parse().expect("a number for a path");
            let case = Case::of(seed, number);
            if let Err(fault) = serve(conn, head, &case)? {
                faults.lock().expect("no poison").push(format!("origin: {fault}, {case:?}"));
                return Ok(());
            }
            if case.response.kind == Kind::UntilClosed {
                return Ok(());
            }
        }
    })
}

/// Plays one case. The outer error is an end of the connection, the inner one a fault.
fn serve(conn: &mut Conn, head: Head, case: &Case) -> Result<Result<(), String>, End> {
    let mut rng = Rng::new(case.seed ^ 1);
    if let Abort::OriginReading { after, reset } = case.abort {
        let some = case.request.length * after / 1_000;
        conn.exactly(some, &mut |_| ())?;
        return Err(leave(conn, reset));
    }
    let (mut pattern, mut fault) = (case.pattern(&case.request), None);
    let request = conn.stream_body(head, &mut |bytes| {
        fault = fault.take().or(pattern.check(bytes).err());
        case.request.stall(&mut rng);
    })?;
    if let Some(fault) = fault {
        return Ok(Err(format!("request body: {fault}")));
    }
    if pattern.offset() != case.request.length || request.method != case.method {
        return Ok(Err(format!("{} with {} bytes", request.method, pattern.offset())));
    }
    if let Abort::ClientSending { .. } = case.abort {
        return Ok(Err("a request that broke off arrived whole".to_owned()));
    }
    if case.request.kind == Kind::Chunked && request.trailers.get("x-number").is_none() {
        return Ok(Err("the request's trailer is missing".to_owned()));
    }
    let bytes = case.response_bytes(&mut rng);
    if let Abort::OriginSending { after, reset } = case.abort {
        case.response.send(conn, cut(&bytes, after), &mut rng)?;
        return Err(leave(conn, reset));
    }
    case.response.send(conn, &bytes, &mut rng)?;
    Ok(Ok(()))
}

fn leave(conn: &mut Conn, reset: bool) -> End {
    if reset {
        conn.reset_on_close();
    }
    End::Closed
}

// ---- The client's side.

fn client(seed: u64, first: u64, cases: u64, address: &Address, faults: &Faults) {
    let mut kept = None;
    for number in (first..cases).step_by(CLIENTS as usize) {
        let case = Case::of(seed, number);
        let client = kept.take().unwrap_or_else(|| Client::connect(address));
        match exchange(client, &case) {
            Ok(client) => kept = client,
            Err(fault) => {
                faults.lock().expect("no poison").push(format!("client: {fault}, {case:?}"));
            }
        }
        if !faults.lock().expect("no poison").is_empty() {
            return;
        }
    }
}

/// Plays one case; gives the client back if its connection goes on.
fn exchange(mut client: Client, case: &Case) -> Result<Option<Client>, String> {
    let mut rng = Rng::new(case.seed ^ 2);
    let bytes = case.request_bytes(&mut rng);
    if let Abort::ClientSending { after, reset } = case.abort {
        // The proxy may have noticed that this is going nowhere; then the rest is refused.
        let _ = case.request.send(&mut client, cut(&bytes, after), &mut rng);
        if reset {
            client.reset_on_close();
        }
        return Ok(None);
    }
    let origin_aborts =
        matches!(case.abort, Abort::OriginSending { .. } | Abort::OriginReading { .. });
    if let Err(end) = case.request.send(&mut client, &bytes, &mut rng)
        && !origin_aborts
    {
        return Err(format!("could not send the request: {end:?}"));
    }
    let response = match client.response_head(case.method) {
        Ok(response) => response,
        Err(end) if origin_aborts && end.is_over() => return Ok(None),
        Err(end) => return Err(format!("no response: {end:?}")),
    };
    if response.status == 502 && origin_aborts {
        let page = client.body(response.framing, &mut |_| ());
        let closes = response.fields.lists("connection", "close") || page.is_err();
        return Ok((!closes).then_some(client));
    }
    if response.status != 200 || response.field("x-number") != Some(&case.number.to_string()) {
        return Err(format!("answered {} {:?}", response.status, response.fields));
    }
    if let Abort::ClientReading { after, reset } = case.abort {
        let some = case.response.length * after / 1_000;
        let _ = client.exactly(some, &mut |_| ());
        if reset {
            client.reset_on_close();
        }
        return Ok(None);
    }
    read_body(client, case, &response, &mut rng)
}

fn read_body(
    mut client: Client,
    case: &Case,
    response: &Response,
    rng: &mut Rng,
) -> Result<Option<Client>, String> {
    let (mut pattern, mut fault) = (case.pattern(&case.response), None);
    let end = client.body(response.framing, &mut |bytes| {
        fault = fault.take().or(pattern.check(bytes).err());
        case.response.stall(rng);
    });
    if let Some(fault) = fault {
        return Err(format!("response body: {fault}"));
    }
    match (case.abort, end) {
        (Abort::OriginSending { reset: false, .. }, Ok(_))
            if case.response.kind == Kind::UntilClosed =>
        {
            Ok(None) // It ended where the origin ended it; nobody can tell that it was early.
        }
        (Abort::OriginSending { .. }, Err(end)) if end.is_over() => Ok(None),
        (Abort::OriginSending { .. }, end) => {
            Err(format!("a response that broke off ended with {end:?} at {}", pattern.offset()))
        }
        (_, Err(end)) => Err(format!("broke off with {end:?} after {}", pattern.offset())),
        (_, Ok(_)) if pattern.offset() != case.response.length => {
            Err(format!("a body of {} bytes", pattern.offset()))
        }
        (_, Ok(trailers))
            if case.response.kind == Kind::Chunked
                && !case.old_client
                && trailers.get("x-number").is_none() =>
        {
            Err("the response's trailer is missing".to_owned())
        }
        (_, Ok(_)) => {
            let closes = case.old_client
                || response.fields.lists("connection", "close")
                || response.framing == Framing::UntilClosed;
            Ok((!closes).then_some(client))
        }
    }
}
