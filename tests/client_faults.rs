//! What a client may do wrong, at every state of a request: what it gets, what the server saw of
//! it, and that nothing is left behind.
//!
//! The table says what is right. A row's state is how far the request has come when the client does
//! what it does; `Late` and `Early` are no faults, and must disturb nothing.

#[macro_use]
mod support;

use Answer::{Broken, Whole};
use Fault::*;
use State::*;
use Then::{Closed, Left, Over, Stays};
use support::*;

tiered! {
    in_the_head,
    in_the_body,
    in_a_body_that_is_spliced,
    in_a_chunked_body,
    while_it_waits_for_room,
    while_it_waits_for_a_connection,
    while_it_is_owed_a_response,
    while_it_receives_one,
    between_responses,
    in_a_tunnel,
}

/// What the client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing, any more.
    Stall,
    /// Resets the connection.
    Reset,
    /// Ends its sending side, and reads on.
    HalfClose,
    /// Closes the connection in the middle.
    Truncate,
    /// Sends what makes no sense there.
    Garbage,
    /// Sends the next request before it has the response to this one.
    Early,
    /// Goes on, after a while.
    Late,
}

/// How far the request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A part of its head is sent.
    Head,
    /// Half of its body is sent: ten bytes.
    Body,
    /// The same with a body that is spliced.
    BigBody,
    /// The same with a chunked one.
    ChunkedBody,
    /// It is sent, and waits for a place at a server.
    Queued,
    /// It is sent, and waits for a connection to a server.
    Connecting,
    /// It is sent; the response has not begun.
    Owed,
    /// A part of the response's body is received.
    Receiving,
    /// The response is received.
    Between,
    /// It has become a tunnel.
    Tunnel,
}

type Row = (Fault, Expected);

const fn row(fault: Fault, answers: &'static [Answer], then: Then, saw: Saw, kept: u64) -> Row {
    (fault, Expected { answers, then, saw, kept })
}

const NOTHING: Saw = Saw { heads: 0, requests: 0 };
const HEAD: Saw = Saw { heads: 1, requests: 0 };
const ONE: Saw = Saw { heads: 1, requests: 1 };
const BOTH: Saw = Saw { heads: 2, requests: 2 };
const OK: Answer = Whole(200);

/// RFC 9110 §15.5.9: 408. RFC 9112 §8: an incomplete request ends with its connection, unanswered
/// or not.
fn in_the_head(tier: Tier) {
    let table = [
        row(Stall, &[Whole(408)], Closed, NOTHING, 0),
        row(Reset, &[], Left, NOTHING, 0),
        row(HalfClose, &[], Closed, NOTHING, 0),
        row(Truncate, &[], Left, NOTHING, 0),
        row(Garbage, &[Whole(400)], Closed, NOTHING, 0),
        row(Early, &[OK, OK], Stays, BOTH, 1),
        row(Late, &[OK], Stays, ONE, 1),
    ];
    play(tier, Head, &table);
}

/// Bytes behind a body of known length are the next request.
const BODIES: [Row; 7] = [
    row(Stall, &[Whole(408)], Closed, HEAD, 0),
    row(Reset, &[], Left, HEAD, 0),
    row(HalfClose, &[], Closed, HEAD, 0),
    row(Truncate, &[], Left, HEAD, 0),
    row(Garbage, &[OK, Whole(400)], Closed, ONE, 1),
    row(Early, &[OK, OK], Stays, BOTH, 1),
    row(Late, &[OK], Stays, ONE, 1),
];

fn in_the_body(tier: Tier) {
    play(tier, Body, &BODIES);
}

fn in_a_body_that_is_spliced(tier: Tier) {
    play(tier, BigBody, &BODIES);
}

/// Here garbage is a malformed chunk, which cannot be passed on (RFC 9112 §7.1).
fn in_a_chunked_body(tier: Tier) {
    let mut table = BODIES;
    table[4] = row(Garbage, &[Whole(400)], Closed, HEAD, 0);
    play(tier, ChunkedBody, &table);
}

/// Whoever leaves the queue or gives up connecting gives back what was counted. Here the origin
/// sees the request that holds the only place.
fn while_it_waits_for_room(tier: Tier) {
    let table = [
        row(Stall, &[Whole(503)], Stays, ONE, 0),
        row(Reset, &[], Left, ONE, 0),
        row(HalfClose, &[Whole(503)], Closed, ONE, 0),
        row(Truncate, &[], Left, ONE, 0),
        row(Garbage, &[Whole(503), Whole(400)], Closed, ONE, 0),
    ];
    let origins: Vec<_> = table.iter().map(|_| origin_never_answers()).collect();
    let entry = |origin: &Origin| origin.server_with("max_connections = 1");
    let servers: Vec<_> = origins.iter().map(entry).collect();
    let queue = "queue = { max = 8, timeout = \"200ms\" }";
    play_on(Stage::before(tier, origins, &servers, queue), Queued, &table);
}

fn while_it_waits_for_a_connection(tier: Tier) {
    let table = [
        row(Stall, &[Whole(504)], Stays, NOTHING, 0),
        row(Reset, &[], Left, NOTHING, 0),
        row(HalfClose, &[Whole(504)], Closed, NOTHING, 0),
        row(Truncate, &[], Left, NOTHING, 0),
        row(Garbage, &[Whole(504), Whole(400)], Closed, NOTHING, 0),
        row(Early, &[Whole(504), Whole(504)], Stays, NOTHING, 0),
    ];
    // Nobody ever comes to these.
    let origins = table.iter().map(|_| origin_never_answers()).collect();
    let unreachable: Vec<_> = table.iter().map(|_| origin_unreachable()).collect();
    let servers: Vec<_> = unreachable.iter().map(Unreachable::server).collect();
    play_on(Stage::before(tier, origins, &servers, ""), Connecting, &table);
}

/// A client that has gone is worth no server's work; one that has ended its side gets the answer.
fn while_it_is_owed_a_response(tier: Tier) {
    let table = [
        row(Stall, &[OK], Stays, ONE, 1),
        row(Reset, &[], Left, ONE, 0),
        row(HalfClose, &[OK], Closed, ONE, 1),
        row(Truncate, &[], Left, ONE, 0),
        row(Garbage, &[OK, Whole(400)], Closed, ONE, 1),
        row(Early, &[OK, OK], Stays, BOTH, 1),
    ];
    play(tier, Owed, &table);
}

fn while_it_receives_one(tier: Tier) {
    let table = [
        row(Stall, &[Broken(200)], Over, ONE, 0),
        row(Reset, &[], Left, ONE, 0),
        row(HalfClose, &[OK], Closed, ONE, 1),
        row(Truncate, &[], Left, ONE, 0),
        row(Garbage, &[OK, Whole(400)], Closed, ONE, 1),
        row(Early, &[OK, OK], Stays, BOTH, 1),
        row(Late, &[OK], Stays, ONE, 1),
    ];
    play(tier, Receiving, &table);
}

fn between_responses(tier: Tier) {
    let table = [
        row(Stall, &[OK], Closed, ONE, 1),
        row(Reset, &[OK], Left, ONE, 1),
        row(HalfClose, &[OK], Closed, ONE, 1),
        row(Truncate, &[OK], Left, ONE, 1),
        row(Garbage, &[OK, Whole(400)], Closed, ONE, 1),
        row(Late, &[OK, OK], Stays, BOTH, 1),
    ];
    play(tier, Between, &table);
}

/// In a tunnel there is no garbage: all bytes are passed on.
fn in_a_tunnel(tier: Tier) {
    const SWITCHED: Answer = Whole(101);
    let table = [
        row(Stall, &[SWITCHED], Over, ONE, 0),
        row(Reset, &[SWITCHED], Left, ONE, 0),
        row(HalfClose, &[SWITCHED], Closed, ONE, 0),
        row(Truncate, &[SWITCHED], Left, ONE, 0),
        row(Garbage, &[SWITCHED], Stays, ONE, 0),
        row(Early, &[SWITCHED], Stays, ONE, 0),
        row(Late, &[SWITCHED], Stays, ONE, 0),
    ];
    play(tier, Tunnel, &table);
}

fn play(tier: Tier, state: State, table: &[Row]) {
    let origins = table.iter().map(|&(fault, _)| origin(state, fault)).collect();
    play_on(Stage::new(tier, origins), state, table);
}

fn play_on(mut stage: Stage, state: State, table: &[Row]) {
    let mut wrong = Vec::new();
    for (index, &(fault, ref expected)) in table.iter().enumerate() {
        let request = Request::new(state, index);
        let got = act(&stage, &request, fault, expected);
        wrong.extend(stage.check(index, &format!("{fault:?}, {state:?}"), got, expected).err());
    }
    stage.finish(&wrong);
}

/// More than all buffers on the way hold, but for a client's that does not read.
const STREAM: usize = 16 << 20;
const BIG: usize = 400_000;
/// Shorter than any limit.
const A_WHILE: std::time::Duration = ms(150);

/// Answers whole requests. Where the client is owed a response, it is for a while, or for ever if
/// it leaves.
fn origin(state: State, fault: Fault) -> Origin {
    if state == Tunnel {
        return origin_upgrades();
    }
    Origin::scripted(move |conn| {
        // The proxy keeps the connection for as long as the other rows take.
        conn.patience(ms(120_000));
        loop {
            conn.request()?;
            match (state, fault) {
                (Owed, Reset | Truncate) => return conn.await_end(),
                (Owed, _) => pause(A_WHILE),
                _ => {}
            }
            conn.send(ok(if state == Receiving { vec![b'x'; STREAM] } else { b"fine".into() }))?;
        }
    })
}

/// A request in two parts.
struct Request {
    index: usize,
    state: State,
    first: Vec<u8>,
    rest: Vec<u8>,
    /// Another one, whole.
    next: Vec<u8>,
}

impl Request {
    fn new(state: State, index: usize) -> Request {
        let get = format!("GET /{index} HTTP/1.1\r\nHost: test\r\n\r\n").into_bytes();
        let post = |framing: &str| {
            format!("POST /{index} HTTP/1.1\r\nHost: test\r\n{framing}\r\n\r\n").into_bytes()
        };
        let half = |head: Vec<u8>, half: &[u8]| ([&head, half].concat(), half.to_vec());
        let (first, rest) = match state {
            Head => (get[..get.len() - 6].to_vec(), get[get.len() - 6..].to_vec()),
            Body => half(post("Content-Length: 10"), b"01234"),
            BigBody => half(post(&format!("Content-Length: {BIG}")), &vec![b'x'; BIG / 2]),
            ChunkedBody => {
                let head = post("Transfer-Encoding: chunked");
                ([&head[..], b"5\r\n01234\r\n"].concat(), b"5\r\n56789\r\n0\r\n\r\n".to_vec())
            }
            Queued | Connecting | Owed | Receiving => (get.clone(), Vec::new()),
            Between => (get.clone(), get.clone()),
            Tunnel => {
                let fields = "Host: test\r\nConnection: upgrade\r\nUpgrade: x";
                (format!("GET /{index} HTTP/1.1\r\n{fields}\r\n\r\n").into(), b"more".to_vec())
            }
        };
        Request { index, state, first, rest, next: get }
    }

    fn garbage(&self) -> Vec<u8> {
        let noise = b"\x16\x03\x01 \0\xff noise\r\n\r\n".to_vec();
        match self.state {
            Body | BigBody => [self.rest.clone(), noise].concat(),
            ChunkedBody => b"zz\r\n".to_vec(),
            _ => noise,
        }
    }
}

/// Brings the request to its state, and has the client do what it does.
fn act(stage: &Stage, request: &Request, fault: Fault, expected: &Expected) -> (Vec<Answer>, Then) {
    let _holder = (request.state == Queued).then(|| hold_the_only_place(stage, request));
    let mut client = stage.client();
    let mut got = Vec::new();
    match (request.state, fault) {
        // What is for the tunnel may not wait for the 101.
        (Tunnel, Early) => client.send([&request.first[..], b"more"].concat()),
        _ => client.send(&request.first),
    }
    match request.state {
        Between => got.push(Whole(client.response().status)),
        Tunnel => got.push(Whole(client.response_head("GET").expect("a head").status)),
        Owed | Body | BigBody | ChunkedBody => drop(stage.origin(request.index).await_head(0)),
        Queued | Connecting => {
            wait_until("it waits", || stage.usage().of("requests waiting for a server") == 1)
        }
        Head | Receiving => {}
    }
    if request.state == Receiving {
        return act_while_receiving(stage, client, request, fault, expected);
    }
    match fault {
        Stall => {}
        Reset | Truncate => {
            if fault == Reset {
                client.reset_on_close();
            }
            drop(client);
            // The place becomes free after that; a closed client might still get it.
            wait_until("nobody waits", || stage.usage().of("requests waiting for a server") == 0);
            return stage.watch(None, got, expected, |_| false);
        }
        HalfClose => client.half_close(),
        Garbage => client.send(request.garbage()),
        Early if request.state == Tunnel => {}
        Early => client.send([&request.rest[..], &request.next].concat()),
        Late => {
            pause(A_WHILE);
            client.send(&request.rest);
        }
    }
    if request.state == Tunnel {
        let passed = match fault {
            Garbage => request.garbage(),
            Early | Late => b"more".to_vec(),
            HalfClose => b"bye".to_vec(),
            _ => Vec::new(),
        };
        let mut echo = Vec::new();
        client.exactly(passed.len() as u64, &mut |bytes| echo.extend_from_slice(bytes)).ok();
        assert_eq!(echo, passed, "{fault:?}");
        return stage.watch(Some(client), got, expected, |client| {
            client.try_send("still").is_ok() && client.exactly(5, &mut |_| ()).is_ok()
        });
    }
    stage.watch(Some(client), got, expected, Stage::carries_on)
}

/// A client whose request is at the server until it leaves.
fn hold_the_only_place(stage: &Stage, request: &Request) -> Client {
    let mut client = stage.client();
    client.reset_on_close();
    client.send(&request.first);
    stage.origin(request.index).await_requests(1);
    client
}

/// Some of the response has come; the client reads the rest after what it does.
fn act_while_receiving(
    stage: &Stage,
    mut client: Client,
    request: &Request,
    fault: Fault,
    expected: &Expected,
) -> (Vec<Answer>, Then) {
    const FIRST: usize = 1000;
    let status = client.response_head("GET").expect("a head").status;
    client.exactly(FIRST as u64, &mut |_| ()).expect("the beginning");
    match fault {
        Stall => wait_until("the proxy has given up", || {
            stage.origin(request.index).open_connections() == 0
        }),
        Reset => {
            client.reset_on_close();
            return stage.watch(None, Vec::new(), expected, |_| false);
        }
        Truncate => return stage.watch(None, Vec::new(), expected, |_| false),
        HalfClose => client.half_close(),
        Garbage => client.send(request.garbage()),
        Early => client.send(&request.next),
        Late => pause(A_WHILE),
    }
    match client.exactly((STREAM - FIRST) as u64, &mut |_| ()) {
        Ok(()) => stage.watch(Some(client), vec![Whole(status)], expected, Stage::carries_on),
        Err(end) => (vec![Broken(status)], Stage::end_as(&end, expected.then)),
    }
}
