//! What a server may do wrong, at every state of a request: what the client gets, what the server
//! saw, and that nothing is left behind.
//!
//! The table says what is right. A row's state is how far the exchange has come when the server
//! does what it does; `Late` is no fault, and `Early` is one only where nobody has asked.

#[macro_use]
mod support;

use std::thread;

use Answer::{Broken, Whole};
use Fault::*;
use State::*;
use Then::{Closed, Over, Stays};
use support::*;

tiered! {
    before_the_request_is_read,
    within_an_upload,
    within_an_upload_that_is_spliced,
    before_the_response,
    in_the_head,
    in_the_body,
    in_a_body_that_is_spliced,
    in_a_chunked_body,
    in_a_chunk_that_is_spliced,
    in_a_body_that_lasts_until_the_close,
    in_such_a_body_that_is_spliced,
    in_a_body_whose_end_only_a_close_can_tell,
    between_responses,
    in_a_tunnel,
}

/// What the server does.
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
    /// Answers before it has the request, or what nobody has asked.
    Early,
    /// Goes on, after a while; between responses it resets when the next request has come.
    Late,
}

/// How far the exchange has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The connection is accepted, and nothing read from it.
    Accepted,
    /// The request's head is read, and half of its body is there.
    Upload,
    /// The request's head is read, and the client sends more than all buffers hold.
    Flood,
    /// The request is read.
    Asked,
    /// A part of the response's head is sent.
    Head,
    /// Half of its body is sent: ten bytes.
    Body,
    /// The same with a body that is spliced.
    BigBody,
    /// The same with a chunked one.
    Chunks,
    /// The same with a chunk that is spliced.
    BigChunk,
    /// The same with a body that lasts until the connection is closed.
    UntilClosed,
    /// The same with one that is spliced.
    BigUntilClosed,
    /// A chunked one, for an HTTP/1.0 client: there it lasts until the connection is closed.
    OldClient,
    /// The response is sent, and the connection idle.
    Between,
    /// It has become a tunnel.
    Tunnel,
}

impl State {
    fn is_in_body(self) -> bool {
        matches!(
            self,
            Body | BigBody | Chunks | BigChunk | UntilClosed | BigUntilClosed | OldClient
        )
    }
}

type Row = (Fault, Expected);

const fn row(fault: Fault, answers: &'static [Answer], then: Then, saw: Saw, kept: u64) -> Row {
    (fault, Expected { answers, then, saw, kept })
}

const NOTHING: Saw = Saw { heads: 0, requests: 0 };
const HEAD: Saw = Saw { heads: 1, requests: 0 };
const ONE: Saw = Saw { heads: 1, requests: 1 };
const TWO: Saw = Saw { heads: 2, requests: 2 };
const THREE: Saw = Saw { heads: 3, requests: 3 };

const OK: Answer = Whole(200);

/// A connection that ends without an answer is a 502 (RFC 9110 §15.6.3), one without any news a 504
/// (§15.6.5). Neither is the client's fault: its connection stays.
fn before_the_request_is_read(tier: Tier) {
    let table = [
        row(Stall, &[Whole(504)], Stays, NOTHING, 0),
        row(Reset, &[Whole(502)], Stays, NOTHING, 0),
        row(HalfClose, &[Whole(502)], Stays, NOTHING, 0),
        row(Truncate, &[Whole(502)], Stays, NOTHING, 0),
        row(Garbage, &[Whole(502)], Stays, NOTHING, 0),
        row(Early, &[OK], Stays, NOTHING, 1),
        row(Late, &[OK], Stays, ONE, 1),
    ];
    play(tier, Accepted, &table);
}

/// Where the rest of the request's body may still come, the client's connection cannot stay.
fn within_an_upload(tier: Tier) {
    let table = [
        row(Stall, &[Whole(504)], Closed, HEAD, 0),
        row(Reset, &[Whole(502)], Closed, HEAD, 0),
        row(HalfClose, &[Whole(502)], Closed, HEAD, 0),
        row(Truncate, &[Whole(502)], Closed, HEAD, 0),
        row(Garbage, &[Whole(502)], Closed, HEAD, 0),
        row(Early, &[OK], Stays, ONE, 1),
        row(Late, &[OK], Stays, ONE, 1),
    ];
    play(tier, Upload, &table);
}

/// The client sends on, more than the proxy reads to be polite: then the end may be a reset.
fn within_an_upload_that_is_spliced(tier: Tier) {
    let table = [
        row(Stall, &[Whole(504)], Over, HEAD, 0),
        row(Reset, &[Whole(502)], Over, HEAD, 0),
        row(HalfClose, &[Whole(502)], Over, HEAD, 0),
        row(Truncate, &[Whole(502)], Over, HEAD, 0),
        row(Garbage, &[Whole(502)], Over, HEAD, 0),
        row(Early, &[OK], Stays, ONE, 1),
        row(Late, &[OK], Stays, ONE, 1),
    ];
    play(tier, Flood, &table);
}

fn before_the_response(tier: Tier) {
    let table = [
        row(Stall, &[Whole(504)], Stays, ONE, 0),
        row(Reset, &[Whole(502)], Stays, ONE, 0),
        row(HalfClose, &[Whole(502)], Stays, ONE, 0),
        row(Truncate, &[Whole(502)], Stays, ONE, 0),
        row(Garbage, &[Whole(502)], Stays, ONE, 0),
        row(Late, &[OK], Stays, ONE, 1),
    ];
    play(tier, Asked, &table);
}

fn in_the_head(tier: Tier) {
    let table = [
        row(Stall, &[Whole(504)], Stays, ONE, 0),
        row(Reset, &[Whole(502)], Stays, ONE, 0),
        row(HalfClose, &[Whole(502)], Stays, ONE, 0),
        row(Truncate, &[Whole(502)], Stays, ONE, 0),
        row(Garbage, &[Whole(502)], Stays, ONE, 0),
        row(Late, &[OK], Stays, ONE, 1),
    ];
    play(tier, Head, &table);
}

/// A response that has begun and breaks off does so for the client (RFC 9112 §8). Bytes behind its
/// end are nobody's, and such a connection is used no more (§6.3).
const BODIES: [Row; 7] = [
    row(Stall, &[Broken(200)], Over, ONE, 0),
    row(Reset, &[Broken(200)], Over, ONE, 0),
    row(HalfClose, &[Broken(200)], Over, ONE, 0),
    row(Truncate, &[Broken(200)], Over, ONE, 0),
    row(Garbage, &[OK], Stays, ONE, 0),
    row(Early, &[OK], Stays, ONE, 0),
    row(Late, &[OK], Stays, ONE, 1),
];

fn in_the_body(tier: Tier) {
    play(tier, Body, &BODIES);
}

fn in_a_body_that_is_spliced(tier: Tier) {
    play(tier, BigBody, &BODIES);
}

/// Here garbage is a malformed chunk.
fn in_a_chunked_body(tier: Tier) {
    let mut table = BODIES;
    table[4] = row(Garbage, &[Broken(200)], Over, ONE, 0);
    play(tier, Chunks, &table);
}

fn in_a_chunk_that_is_spliced(tier: Tier) {
    let mut table = BODIES;
    table[4] = row(Garbage, &[Broken(200)], Over, ONE, 0);
    play(tier, BigChunk, &table);
}

/// An orderly close is the body's end, a reset is not (RFC 9112 §6.3).
const LAST_BODIES: [Row; 5] = [
    row(Stall, &[Broken(200)], Over, ONE, 0),
    row(Reset, &[Broken(200)], Over, ONE, 0),
    row(HalfClose, &[OK], Stays, ONE, 0),
    row(Truncate, &[OK], Stays, ONE, 0),
    row(Late, &[OK], Stays, ONE, 0),
];

fn in_a_body_that_lasts_until_the_close(tier: Tier) {
    play(tier, UntilClosed, &LAST_BODIES);
}

fn in_such_a_body_that_is_spliced(tier: Tier) {
    play(tier, BigUntilClosed, &LAST_BODIES);
}

/// To an HTTP/1.0 client an orderly close would say that it has all of it (RFC 9112 §6.3).
fn in_a_body_whose_end_only_a_close_can_tell(tier: Tier) {
    let table = [
        row(Stall, &[Broken(200)], Then::Reset, ONE, 0),
        row(Reset, &[Broken(200)], Then::Reset, ONE, 0),
        row(HalfClose, &[Broken(200)], Then::Reset, ONE, 0),
        row(Truncate, &[Broken(200)], Then::Reset, ONE, 0),
        row(Garbage, &[Broken(200)], Then::Reset, ONE, 0),
        row(Late, &[OK], Closed, ONE, 1),
    ];
    play(tier, OldClient, &table);
}

/// What happens on an idle connection is no answer to the next request, which goes elsewhere.
fn between_responses(tier: Tier) {
    let table = [
        row(Stall, &[OK, Whole(504)], Stays, TWO, 0),
        row(Reset, &[OK, OK], Stays, TWO, 1),
        row(HalfClose, &[OK, OK], Stays, TWO, 1),
        row(Truncate, &[OK, OK], Stays, TWO, 1),
        row(Garbage, &[OK, OK], Stays, TWO, 1),
        row(Early, &[OK, OK], Stays, TWO, 1),
        row(Late, &[OK, OK], Stays, THREE, 1),
    ];
    play(tier, Between, &table);
}

fn in_a_tunnel(tier: Tier) {
    const SWITCHED: Answer = Whole(101);
    let table = [
        row(Stall, &[SWITCHED], Over, ONE, 0),
        row(Reset, &[SWITCHED], Over, ONE, 0),
        row(HalfClose, &[SWITCHED], Closed, ONE, 0),
        row(Truncate, &[SWITCHED], Closed, ONE, 0),
        row(Garbage, &[SWITCHED], Stays, ONE, 0),
        row(Early, &[SWITCHED], Stays, ONE, 0),
        row(Late, &[SWITCHED], Stays, ONE, 0),
    ];
    play(tier, Tunnel, &table);
}

fn play(tier: Tier, state: State, table: &[Row]) {
    let gates: Vec<_> = table.iter().map(|_| Gate::shut()).collect();
    let origin = |(&(fault, _), gate): (&Row, &Gate)| origin(state, fault, gate.clone());
    let mut stage = Stage::new(tier, table.iter().zip(&gates).map(origin).collect());
    let mut wrong = Vec::new();
    for (index, &(fault, ref expected)) in table.iter().enumerate() {
        let visit = Visit { stage: &stage, index, fault, expected, gate: &gates[index] };
        let got = visit.make(state);
        gates[index].open();
        wrong.extend(stage.check(index, &format!("{fault:?}, {state:?}"), got, expected).err());
    }
    stage.finish(&wrong);
}

const BIG: usize = 400_000;
/// More than all buffers on the way hold.
const FLOOD: usize = 24 << 20;
/// Shorter than any limit.
const A_WHILE: std::time::Duration = ms(150);
const NOISE: &[u8] = b"\x16\x03\x01 \0\xff noise\r\n\r\n";

/// A response in two parts; between them lies what the server does.
fn response_of(state: State) -> (Vec<u8>, Vec<u8>) {
    let with = |fields: &str, rest: &[u8]| {
        [format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes(), rest].concat()
    };
    let half = vec![b'x'; BIG / 2];
    match state {
        Accepted | Upload | Flood | Asked => (Vec::new(), ok("right")),
        Head => (b"HTTP/1.1 200 OK\r\nContent-Le".to_vec(), b"ngth: 5\r\n\r\nright".to_vec()),
        Body => (with("Content-Length: 10\r\n", b"01234"), b"56789".to_vec()),
        BigBody => (with(&format!("Content-Length: {BIG}\r\n"), &half), half),
        Chunks | OldClient => (
            with("Transfer-Encoding: chunked\r\n", b"5\r\n01234\r\n"),
            b"5\r\n56789\r\n0\r\n\r\n".to_vec(),
        ),
        BigChunk => {
            let begun = [format!("{BIG:x}\r\n").as_bytes(), &half].concat();
            let rest = [&half[..], b"\r\n0\r\n\r\n"].concat();
            (with("Transfer-Encoding: chunked\r\n", &begun), rest)
        }
        UntilClosed => (with("", b"01234"), b"56789".to_vec()),
        BigUntilClosed => (with("", &half), half),
        Between => (ok("right"), Vec::new()),
        Tunnel => {
            let switch = b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
            (switch.to_vec(), b"late!".to_vec())
        }
    }
}

/// Does what the row says on its first connection, and serves well on all others.
fn origin(state: State, fault: Fault, gate: Gate) -> Origin {
    Origin::scripted(move |conn| {
        conn.patience(ms(120_000));
        if conn.index > 0 {
            loop {
                conn.request()?;
                conn.send(ok("right"))?;
            }
        }
        misbehave(conn, state, fault, &gate)
    })
}

fn misbehave(conn: &mut Conn, state: State, fault: Fault, gate: &Gate) -> Script {
    let mut head = None;
    match state {
        Accepted => {}
        Upload => {
            head = Some(conn.request_head()?);
            while conn.unread().len() < 5 {
                conn.fill()?;
            }
        }
        Flood => head = Some(conn.request_head()?),
        _ => drop(conn.request()?),
    }
    let (first, rest) = response_of(state);
    if state == Tunnel && fault == Early {
        conn.send([&first[..], b"early"].concat())?;
        return echo(conn);
    }
    conn.send(first)?;
    if state.is_in_body() {
        // The client has some of it.
        gate.wait();
    }
    if state == Tunnel {
        conn.exactly(4, &mut |_| ())?;
    }
    match fault {
        Stall if state == Flood => {
            gate.wait();
            Ok(())
        }
        Stall if state == Between => {
            conn.request()?;
            conn.await_end()
        }
        Stall => conn.await_end(),
        Reset => conn.reset(),
        HalfClose => {
            conn.half_close();
            gate.open();
            conn.await_end()
        }
        Truncate => Ok(()),
        Garbage => {
            conn.send(garbage(state, &rest))?;
            gate.open();
            if state == Tunnel { echo(conn) } else { conn.await_end() }
        }
        Early => {
            match state {
                Accepted | Upload | Flood => conn.send(rest)?,
                _ => conn.send([rest, response(299, &[], "wrong")].concat())?,
            }
            gate.open();
            if let Some(head) = head {
                conn.request_body(head)?;
            }
            stay(conn)
        }
        Late if state == Between => {
            conn.request()?;
            conn.reset()
        }
        Late => {
            pause(A_WHILE);
            match (state, head) {
                (Accepted, _) => drop(conn.request()?),
                (_, Some(head)) => drop(conn.request_body(head)?),
                _ => {}
            }
            conn.send(rest)?;
            match state {
                UntilClosed | BigUntilClosed => Ok(()),
                Tunnel => echo(conn),
                _ => stay(conn),
            }
        }
    }
}

fn echo(conn: &mut Conn) -> Script {
    loop {
        let bytes = conn.some(64 << 10)?;
        conn.send(bytes)?;
    }
}

fn garbage(state: State, rest: &[u8]) -> Vec<u8> {
    match state {
        Body | BigBody => [rest, NOISE].concat(),
        Chunks | OldClient => b"zz\r\n".to_vec(),
        BigChunk => [&vec![b'x'; BIG / 2], &b"\r\nzz\r\n"[..]].concat(),
        Head => b"\0\r\n\r\n".to_vec(),
        _ => NOISE.to_vec(),
    }
}

/// A client's part of a row.
struct Visit<'a> {
    stage: &'a Stage,
    index: usize,
    fault: Fault,
    expected: &'a Expected,
    gate: &'a Gate,
}

impl Visit<'_> {
    fn make(&self, state: State) -> (Vec<Answer>, Then) {
        let path = format!("/{}", self.index);
        let mut client = self.stage.client();
        match state {
            Upload => self.upload(client, &path),
            Flood => self.flood(client, &path),
            Tunnel => self.tunnel(client, &path),
            Between => {
                let first = client.get(&path).status;
                let origin = self.stage.origin(self.index);
                match self.fault {
                    Stall | Late => {}
                    Reset | Truncate => origin.await_all_over(),
                    HalfClose | Garbage | Early => self.gate.wait(),
                }
                client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
                self.watch(client, vec![Whole(first)])
            }
            _ => {
                let version = if state == OldClient { "1.0" } else { "1.1" };
                client.send(format!("GET {path} HTTP/{version}\r\nHost: test\r\n\r\n"));
                if state.is_in_body() {
                    client.fill().expect("the beginning of a response");
                    self.gate.open();
                }
                self.watch(client, Vec::new())
            }
        }
    }

    fn watch(&self, client: Client, so_far: Vec<Answer>) -> (Vec<Answer>, Then) {
        self.stage.watch(Some(client), so_far, self.expected, Stage::carries_on)
    }

    fn upload(&self, mut client: Client, path: &str) -> (Vec<Answer>, Then) {
        let request = post(path, "0123456789");
        client.send(&request[..request.len() - 5]);
        let mut got = Vec::new();
        match self.fault {
            Stall | Late => {
                self.stage.origin(self.index).await_head(0);
                client.send("56789");
            }
            Early => {
                got.push(Whole(client.response().status));
                client.send("56789");
            }
            Reset | HalfClose | Truncate | Garbage => {}
        }
        self.watch(client, got)
    }

    fn flood(&self, mut client: Client, path: &str) -> (Vec<Answer>, Then) {
        client
            .send(format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {FLOOD}\r\n\r\n"));
        let socket = client.socket().try_clone().expect("a second handle");
        thread::scope(|scope| {
            let writing = scope.spawn(move || {
                let mut writer = Wire::new(socket, None);
                // The proxy may end it.
                let _ = writer.send(vec![b'x'; FLOOD]);
            });
            // What it sends would be mixed with the next request.
            let mut got = Vec::new();
            if let Early | Late = self.fault {
                got.push(Whole(client.response().status));
                writing.join().expect("a writer");
            }
            self.watch(client, got)
        })
    }

    fn tunnel(&self, mut client: Client, path: &str) -> (Vec<Answer>, Then) {
        let fields = "Host: test\r\nConnection: upgrade\r\nUpgrade: x";
        client.send(format!("GET {path} HTTP/1.1\r\n{fields}\r\n\r\n"));
        let got = vec![Whole(client.response_head("GET").expect("a head").status)];
        let passed = match self.fault {
            Early => b"early",
            Garbage => NOISE,
            Late => b"late!",
            _ => b"",
        };
        if self.fault != Early {
            client.send("ping");
        }
        let mut seen = Vec::new();
        client.exactly(passed.len() as u64, &mut |bytes| seen.extend_from_slice(bytes)).ok();
        assert_eq!(seen, passed, "{:?}", self.fault);
        if self.fault == HalfClose {
            // The other direction goes on.
            client.send("still");
        }
        let got = self.stage.watch(Some(client), got, self.expected, |client| {
            client.try_send("still").is_ok() && client.exactly(5, &mut |_| ()).is_ok()
        });
        if self.fault == HalfClose {
            let heard = || self.stage.origin(self.index).heard(0).bytes;
            wait_until("the origin has heard it", || heard().ends_with(b"pingstill"));
        }
        got
    }
}
