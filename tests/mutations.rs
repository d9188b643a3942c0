//! Requests of random and mutated bytes, several on a connection, before an origin that answers
//! each one properly. What one connection sent is read here a second time, by
//! `support/strict.rs`; what the proxy made of it must agree:
//!
//! - An answer of the origin's is tied to its request by a mark over what the origin saw, and must
//!   be the answer to the next request that was sent. What was sent unchanged is not refused.
//! - The origin never sees what no proxy may send, and not one request more than was answered.
//! - Nothing panics, and no 5xx is of the proxy's own making; 501 and 505 name what the client did.
//!
//! The seed and the bytes are printed with a failure and give the same connections again:
//!
//! ```text
//! CORELANE_TEST_SEED=<seed> CORELANE_TEST_TIERS=<tier> cargo test --test mutations
//! ```
//!
//! `CORELANE_TEST_MUTATIONS` is the number of requests in each tier (default: 5,000). What stands
//! behind a refused one is not read, and not counted.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the house rules on clocks and locks are for shards"
)]

#[macro_use]
mod support;

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use support::strict::{self, Message};
use support::*;

tiered! { mutated_requests_are_answered_or_refused_one_by_one }

/// Connections at the same time.
const CLIENTS: u64 = 4;

/// Statuses that the proxy may answer a client's mistakes with.
const REFUSALS: [&str; 10] = ["400", "404", "405", "408", "413", "414", "417", "431", "501", "505"];

fn mutated_requests_are_answered_or_refused_one_by_one(tier: Tier) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos() as u64;
    let seed = number_from_env("CORELANE_TEST_SEED").unwrap_or(now % 1_000_000_007);
    let total = number_from_env("CORELANE_TEST_MUTATIONS").unwrap_or(5_000);
    println!("tier {tier}, {total} requests, CORELANE_TEST_SEED={seed}");

    let origin = Recorder::answering(|request| {
        let mut answer = response(200, &[("X-Mark", &mark(request))], "seen");
        if request.start[0] == "HEAD" {
            answer.truncate(answer.len() - "seen".len());
        }
        answer
    });
    let proxy = Proxy::before(tier, &origin);
    let said = proxy.stderr();
    let answered = AtomicUsize::new(0);
    let faults: Vec<String> = thread::scope(|scope| {
        let clients = (0..CLIENTS).map(|client| {
            let (proxy, answered) = (&proxy, &answered);
            let seed = seed.wrapping_mul(CLIENTS).wrapping_add(client);
            scope.spawn(move || run_client(seed, total / CLIENTS, proxy, answered))
        });
        let clients: Vec<_> = clients.collect();
        clients.into_iter().filter_map(|client| client.join().expect("no panic").err()).collect()
    });
    let mut faults = faults;
    faults.extend(origin.flaws());
    assert!(faults.is_empty(), "CORELANE_TEST_SEED={seed}, tier {tier}:\n{}", faults.join("\n"));
    let answered = answered.load(Ordering::Relaxed);
    assert!(answered as u64 > total / 4, "only {answered} of {total} passed: seed {seed}");
    assert_eq!(origin.count(), answered, "the origin saw others, seed {seed}, tier {tier}");
    assert_eq!(proxy.get("/last").text(), "seen");
    assert_eq!(proxy.stderr(), said, "seed {seed}, tier {tier}");
}

fn number_from_env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text:?} is not a number")))
}

/// Sends requests until so many were judged.
fn run_client(seed: u64, count: u64, proxy: &Proxy, answered: &AtomicUsize) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let (mut sent, mut judged) = (0, 0);
    while judged < count {
        let flight = Flight::new(&mut rng, sent);
        sent += flight.requests;
        let passed = flight.fly(&mut rng, proxy).map_err(|fault| {
            format!("{fault}\nsent on this connection: \"{}\"", flight.bytes.escape_ascii())
        })?;
        judged += flight.requests.min(passed as u64 + 1);
        answered.fetch_add(passed, Ordering::Relaxed);
    }
    Ok(())
}

/// What one connection sends.
struct Flight {
    bytes: Vec<u8>,
    requests: u64,
    /// Where requests stand that are as they should be.
    sound: Vec<Range<usize>>,
}

/// What follows the last whole request on a connection, as the strict reader sees it.
#[derive(Debug, PartialEq)]
enum Rest {
    Unfinished,
    Malformed(String),
}

impl Flight {
    /// Up to eight requests.
    fn new(rng: &mut Rng, first: u64) -> Flight {
        let mut flight =
            Flight { bytes: Vec::new(), requests: 1 + rng.below(8), sound: Vec::new() };
        for number in 0..flight.requests {
            let start = flight.bytes.len();
            let mut request = sound_request(rng, first + number);
            match rng.below(100) {
                0..45 => flight.sound.push(start..start + request.len()),
                45..92 => (0..=rng.below(3)).for_each(|_| mutate(rng, &mut request)),
                _ => request = noise(rng),
            }
            flight.bytes.extend(request);
        }
        flight
    }

    /// Sends it all, and compares what comes back with what was meant; how many requests passed.
    fn fly(&self, rng: &mut Rng, proxy: &Proxy) -> Result<usize, String> {
        let mut peer = Peer::of(proxy.client());
        let piece = if rng.chance(50) { self.bytes.len() } else { 1 + rng.below(200) as usize };
        for piece in self.bytes.chunks(piece.max(1)) {
            // What follows a refusal may find the connection closed.
            let _ = peer.try_send(piece);
        }
        peer.half_close();
        let (meant, rest) = self.read_again();
        let mut passed = 0;
        let mut next = meant.iter();
        loop {
            let request = next.next();
            // What nobody can read may have been a HEAD.
            let is_head = request.is_none_or(|(_, request)| request.start[0] == "HEAD");
            let answer = match peer.answer(is_head) {
                Ok(answer) => answer,
                Err(_) if request.is_none() && peer.is_at_its_end() => return Ok(passed),
                Err(end) => return Err(format!("{end} in place of an answer to {request:?}")),
            };
            let closes = answer.lists("connection", "close");
            let is_sound = request.is_some_and(|(place, _)| self.sound.contains(place));
            match (answer.values("x-mark").next(), request) {
                (Some(got), Some((_, request))) if got == mark(&as_forwarded(request)) => {
                    passed += 1
                }
                (Some(_), _) => {
                    return Err(format!("an answer to {request:?} ({rest:?}): {answer:?}"));
                }
                (None, _) if is_sound => {
                    return Err(format!("{request:?} was refused: {answer:?}"));
                }
                (None, _) if is_ours(request.map(|(_, request)| request), &answer) => {
                    if closes {
                        return peer.closes().map(|()| passed);
                    }
                }
                (None, _) if !closes || !REFUSALS.contains(&&*answer.start[1]) => {
                    return Err(format!("no refusal of {request:?}: {answer:?}"));
                }
                (None, _) => return Ok(passed),
            }
            if closes {
                let asked = request.is_some_and(|(_, request)| wants_close(request));
                return match (asked || next.next().is_none(), peer.closes()) {
                    (true, Ok(())) => Ok(passed),
                    (_, end) => Err(format!("closed behind {request:?}: {end:?}")),
                };
            }
        }
    }

    /// The requests that the bytes hold, each with its place.
    fn read_again(&self) -> (Vec<(Range<usize>, Message)>, Rest) {
        let mut requests = Vec::new();
        let mut at = 0;
        loop {
            match strict::request(&self.bytes[at..]) {
                Ok(Some(request)) => {
                    requests.push((at..at + request.length, request));
                    at = requests[requests.len() - 1].0.end;
                }
                Ok(None) => return (requests, Rest::Unfinished),
                Err(flaw) => return (requests, Rest::Malformed(flaw)),
            }
        }
    }
}

/// Answered by the proxy although nothing is wrong, or only with the body, which it did not read:
/// then it closes.
fn is_ours(request: Option<&Message>, answer: &Message) -> bool {
    let status = answer.start[1].as_str();
    match request.map(|request| (request.start[0].as_str(), request)) {
        Some(("TRACE", _)) => status == "405",
        Some(("OPTIONS", request)) => status == "200" && request.values("max-forwards").count() > 0,
        Some(_) => false,
        None => {
            status == "200"
                && answer.lists("allow", "OPTIONS")
                && answer.lists("connection", "close")
        }
    }
}

fn wants_close(request: &Message) -> bool {
    let stays = request.start[2] == "HTTP/1.1" || request.lists("connection", "keep-alive");
    request.lists("connection", "close") || !stays
}

/// Ties an answer to what the origin saw.
fn mark(request: &Message) -> String {
    let [method, target, _] = &request.start;
    let mut text = format!("{method} {target}\n").into_bytes();
    for name in ["host", "x-id", "accept", "cookie", "content-type"] {
        for value in request.values(name) {
            text.extend(format!("{name}: {value}\n").into_bytes());
        }
    }
    text.extend_from_slice(&request.body);
    for (name, value) in request.trailers.iter().filter(|(name, _)| name == "x-sum") {
        text.extend(format!("\n{name}: {value}").into_bytes());
    }
    // FNV-1a
    let hash = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}-{}", request.body.len())
}

/// The request as a server should see it (RFC 9112 §3.2.2, §3.2.4).
fn as_forwarded(request: &Message) -> Message {
    let mut forwarded = request.clone();
    let [method, target, _] = &request.start;
    if let (false, Some((_, rest))) = (target.starts_with('/'), target.split_once("://")) {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        forwarded.start[1] = match path {
            "" if method == "OPTIONS" => "*".to_owned(),
            path if path.starts_with('/') => path.to_owned(),
            query => format!("/{query}"),
        };
        forwarded.fields.retain(|(name, _)| name != "host");
        forwarded.fields.insert(0, ("host".to_owned(), authority.to_owned()));
    }
    if forwarded.values("host").next().is_none() {
        forwarded.fields.push(("host".to_owned(), String::new()));
    }
    let hop = |name: &str| {
        let may_name = ["host", "accept", "cookie", "content-type"];
        !may_name.contains(&name) && request.lists("connection", name)
    };
    forwarded.fields.retain(|(name, _)| !hop(name));
    forwarded.trailers.retain(|(name, _)| !hop(name));
    forwarded
}

/// A request that must pass.
fn sound_request(rng: &mut Rng, number: u64) -> Vec<u8> {
    let methods =
        ["GET", "GET", "POST", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH", "X-Y"];
    let method = rng.pick(&methods);
    let target = match rng.below(6) {
        0 => format!("http://t/{number}"),
        1 => format!("HTTP://u:80?{number}"),
        2 => format!("/{number}?a=[b]%20{number}"),
        _ => format!("/{number}"),
    };
    let version = if rng.chance(5) { "1.0\r\nConnection: keep-alive" } else { "1.1" };
    let is_old = version != "1.1";
    let mut head = format!("{method} {target} HTTP/{version}\r\n").into_bytes();
    let mut fields: Vec<String> = vec!["Host: t".into(), format!("X-Id: {number}")];
    let more = [
        "Accept: */*",
        "Cookie: a=b; c=d",
        "Content-Type: text/plain",
        "accept:x/y",
        "TE: trailers",
        "X-Empty:",
        "X-High: \u{e9}",
        "Connection: X-Hop",
        "X-Hop: 1",
        "Connection: keep-alive",
        "Upgrade: websocket",
        "X-Forwarded-For: 192.0.2.1",
        "Via: 1.1 a",
        "Content_Length: 7",
        "Keep-Alive: 5",
        "Expect: 100-continue",
        "Connection: Upgrade",
    ];
    for _ in 0..rng.below(5) {
        let field = rng.pick(&more);
        if !fields.iter().any(|other| other == field) {
            fields.insert(rng.below(fields.len() as u64 + 1) as usize, field.to_owned());
        }
    }
    let body = some_body(rng, number);
    let body = match rng.below(4) {
        0 => Vec::new(),
        1 if !is_old => {
            fields.push("Transfer-Encoding: chunked".into());
            in_chunks(rng, &body)
        }
        _ => {
            fields.push(format!("Content-Length: {}", body.len()));
            body
        }
    };
    for field in fields {
        head.extend(field.chars().map(|c| c as u8));
        head.extend_from_slice(b"\r\n");
    }
    [head, b"\r\n".to_vec(), body].concat()
}

/// What would do harm as something else than a body.
fn some_body(rng: &mut Rng, number: u64) -> Vec<u8> {
    match rng.below(4) {
        0 => format!("GET /hidden/{number} HTTP/1.1\r\nHost: t\r\n\r\n").repeat(3).into_bytes(),
        1 => b"0\r\n\r\n".to_vec(),
        2 => (0..rng.log_uniform(2_000)).map(|_| rng.next() as u8).collect(),
        _ => b"hello".to_vec(),
    }
}

fn in_chunks(rng: &mut Rng, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.chunks(1 + rng.below(300) as usize) {
        let extension = rng.pick(&["", "", "", ";a", ";a=\"b c\"", " ; a = b"]);
        let zeros = rng.pick(&["", "", "0", "000"]);
        bytes.extend(format!("{zeros}{:x}{extension}\r\n", chunk.len()).into_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n");
    if rng.chance(30) {
        bytes.extend_from_slice(b"X-Sum: 1\r\nHost: evil\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Bytes that mean something somewhere.
const BYTES: &[u8] = b"\r\n\0 \t:;,.=/?#*%\"\\\x0b\x0c\x7f\x80\xa0\xff+-0159afxX_@[](";

/// Words that mean something where they stand, or elsewhere.
const WORDS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "\n\n",
    "\r\n ",
    "\r\n\t",
    "0\r\n\r\n",
    "5\r\nhello\r\n",
    " ",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "transfer-encoding : chunked\r\n",
    "Host: evil\r\n",
    "Host: ",
    "Connection: close\r\n",
    "Connection: Content-Length, Host\r\n",
    "Expect: 200-ok\r\n",
    "chunked",
    " HTTP/1.1",
    " HTTP/1.0",
    "HTTP/1.1\r\n",
    "GET /hidden HTTP/1.1\r\nHost: t\r\n\r\n",
    "http://",
    "Max-Forwards: 0\r\n",
    "0x",
    "ffffffffffffffff",
    ";a\n",
    "\u{0}",
    "\r\nX: y",
    ": ",
    "TRACE ",
    "Upgrade: h2c\r\nConnection: Upgrade\r\n",
    "CONNECT ",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

/// Changes something.
fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let at = rng.below(bytes.len() as u64) as usize;
    let end = (at + 1 + rng.log_uniform(64) as usize).min(bytes.len());
    match rng.below(9) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at] = rng.pick(BYTES),
        2 => bytes.insert(at, rng.pick(BYTES)),
        3 => drop(bytes.splice(at..at, rng.pick(WORDS).bytes())),
        4 => drop(bytes.drain(at..end)),
        5 => bytes.truncate(at),
        6 => {
            let again = bytes[at..end].to_vec();
            drop(bytes.splice(end..end, again));
        }
        7 => change_lines(rng, bytes),
        // At a line's end, where words are whole fields.
        _ => {
            let start = find_from(bytes, at, b"\r\n").map_or(at, |end| end + 2);
            drop(bytes.splice(start..start, rng.pick(WORDS).bytes()));
        }
    }
}

fn find_from(bytes: &[u8], from: usize, needle: &[u8]) -> Option<usize> {
    bytes[from..].windows(needle.len()).position(|window| window == needle).map(|at| from + at)
}

/// Swaps two lines of the head, or doubles one.
fn change_lines(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let head = find_from(bytes, 0, b"\r\n\r\n").map_or(bytes.len(), |end| end + 2);
    let mut lines: Vec<Vec<u8>> =
        bytes[..head].split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let (one, other) = (rng.below(lines.len() as u64), rng.below(lines.len() as u64));
    if rng.chance(50) {
        lines.swap(one as usize, other as usize);
    } else {
        lines.insert(other as usize, lines[one as usize].clone());
    }
    drop(bytes.splice(..head, lines.concat()));
}

/// Bytes without a meaning, or words without an order.
fn noise(rng: &mut Rng) -> Vec<u8> {
    let length = 1 + rng.log_uniform(500);
    match rng.below(3) {
        0 => (0..length).map(|_| rng.next() as u8).collect(),
        1 => (0..length).map(|_| rng.pick(BYTES)).collect(),
        _ => (0..1 + length / 20).flat_map(|_| rng.pick(WORDS).bytes()).collect(),
    }
}
