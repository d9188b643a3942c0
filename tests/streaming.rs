//! Bodies pass as they come, no faster than they are taken, and only as long as someone wants
//! them.

#![allow(clippy::disallowed_types, reason = "the house rules on clocks and locks are for shards")]

#[macro_use]
mod support;

use std::thread;

use support::*;

tiered! {
    a_slow_reader_holds_the_origin_back,
    a_slow_origin_holds_the_client_back,
    a_chunked_response_is_held_back_too,
    each_piece_of_a_response_is_passed_at_once,
    each_piece_of_a_spliced_chunk_is_passed_at_once,
    each_piece_of_a_request_is_passed_at_once,
    both_bodies_flow_at_the_same_time,
    urgent_data_does_not_disturb_an_upload,
    a_client_that_resets_cancels_its_request,
    a_client_that_resets_cancels_its_response,
    a_client_that_resets_cancels_its_upload,
    a_client_that_leaves_mid_request_cancels_it,
    a_client_that_leaves_mid_head_bothers_nobody,
    a_client_that_ended_its_side_gets_its_response,
    a_client_that_ended_its_side_gets_a_long_response,
    a_client_that_ended_its_side_is_owed_a_head_for_so_long,
}

const BIG: u64 = 256 << 20;
/// What the proxy's memory may grow by while a big body is stuck in it, bytes.
const GROWTH_MAX: u64 = 8 << 20;
/// Responses before that are as small as can be.
const SMALL_BEFORE: usize = 50;
/// What may be on its way between two stuck ends: the kernel's buffers of four sockets and a pipe.
const IN_FLIGHT_MAX: u64 = 64 << 20;

/// One proxy that splices and one that copies.
fn by_splice_and_copy(tier: Tier, origin: &Origin, mut test: impl FnMut(&Proxy)) {
    for splice in [true, false] {
        println!("splice {splice}");
        let splice = format!("[splice]\nenabled = {splice}");
        test(&Config::new(tier).origin("app", origin).toml(&splice).start());
    }
}

/// An origin that counts what it could send.
struct Counted {
    origin: Origin,
    sent: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

fn counted(head: &'static str, piece: fn(&mut Pattern) -> Vec<u8>, end: &'static str) -> Counted {
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = sent.clone();
    let origin = Origin::scripted(move |conn| {
        loop {
            if conn.request()?.target == "/small" {
                conn.send(ok("small"))?;
                continue;
            }
            count.store(0, std::sync::atomic::Ordering::Relaxed);
            conn.send(head)?;
            let mut pattern = Pattern::new(1);
            while pattern.offset() < BIG {
                conn.send(piece(&mut pattern))?;
                count.store(pattern.offset(), std::sync::atomic::Ordering::Relaxed);
            }
            conn.send(end)?;
        }
    });
    Counted { origin, sent }
}

impl Counted {
    fn is_held_back(&self, tier: Tier) {
        by_splice_and_copy(tier, &self.origin, |proxy| {
            let mut client = Client::connect_with_buffer(64 << 10, &proxy.address());
            // The server has given no reason to expect a large one.
            for _ in 0..SMALL_BEFORE {
                assert_eq!(client.get("/small").text(), "small");
            }
            let before = proxy.resident();
            client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
            let response = client.response_head("GET").expect("a head");
            let stuck = wait_until_steady("the flow has stopped", || {
                self.sent.load(std::sync::atomic::Ordering::Relaxed)
            });
            let grown = proxy.resident().saturating_sub(before);
            assert!(stuck < IN_FLIGHT_MAX, "{stuck} bytes left the origin");
            assert!(grown < GROWTH_MAX, "the proxy grew by {grown} bytes");
            let mut pattern = Pattern::new(1);
            let mut check = |bytes: &[u8]| pattern.check(bytes).expect("what was sent");
            client.body(response.framing, &mut check).expect("all of it");
            assert_eq!(pattern.offset(), BIG);
            let grown = proxy.resident().saturating_sub(before);
            assert!(grown < GROWTH_MAX, "the proxy grew by {grown} bytes in the end");
        });
    }
}

fn a_slow_reader_holds_the_origin_back(tier: Tier) {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 268435456\r\n\r\n";
    counted(head, |pattern| pattern.take(256 << 10), "").is_held_back(tier);
}

fn a_chunked_response_is_held_back_too(tier: Tier) {
    let chunk =
        |pattern: &mut Pattern| [&b"40000\r\n"[..], &pattern.take(0x40000), &b"\r\n"[..]].concat();
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    counted(head, chunk, "0\r\n\r\n").is_held_back(tier);
}

fn a_slow_origin_holds_the_client_back(tier: Tier) {
    let gates = [Gate::shut(), Gate::shut()];
    let waits = gates.clone();
    let origin = Origin::scripted(move |conn| {
        let head = conn.request_head()?;
        waits[conn.index].wait();
        let mut pattern = Pattern::new(1);
        let mut check = |bytes: &[u8]| pattern.check(bytes).expect("what was sent");
        conn.stream_body(head, &mut check)?;
        conn.send(ok(pattern.offset().to_string()))?;
        conn.await_end()
    });
    let mut gates = gates.iter();
    by_splice_and_copy(tier, &origin, |proxy| {
        let mut client = proxy.client();
        let before = proxy.resident();
        let head = format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {BIG}\r\n\r\n");
        client.send(head);
        let mut pattern = Pattern::new(1);
        client.socket().set_write_timeout(Some(ms(500))).expect("a write timeout");
        // Writes until a write has waited in vain; the piece that was stuck is finished later.
        let mut unsent = Vec::new();
        while unsent.is_empty() && pattern.offset() < BIG {
            let piece = pattern.take(256 << 10);
            unsent = piece[written(&client, &piece)..].to_vec();
        }
        let (stuck, grown) = (pattern.offset(), proxy.resident().saturating_sub(before));
        assert!(stuck < IN_FLIGHT_MAX, "{stuck} bytes left the client");
        assert!(grown < GROWTH_MAX, "the proxy grew by {grown} bytes");
        gates.next().expect("a gate for each proxy").open();
        client.socket().set_write_timeout(Some(PATIENCE)).expect("a write timeout");
        client.send(unsent);
        while pattern.offset() < BIG {
            client.send(pattern.take(256 << 10));
        }
        assert_eq!(client.response().text(), BIG.to_string());
    });
}

/// How much of `bytes` can be written before a write times out.
fn written(client: &Client, bytes: &[u8]) -> usize {
    let mut written = 0;
    while written < bytes.len() {
        match client.socket().send(&bytes[written..]) {
            Ok(count) => written += count,
            Err(_) => break,
        }
    }
    written
}

fn each_piece_of_a_response_is_passed_at_once(tier: Tier) {
    for framing in ["Content-Length: 9", "Transfer-Encoding: chunked", "X-Until: closed"] {
        let (asked, next) = std::sync::mpsc::sync_channel::<()>(0);
        let next = std::sync::Mutex::new(next);
        let origin = Origin::scripted(move |conn| {
            conn.request()?;
            conn.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"))?;
            let next = next.lock().expect("one connection");
            for piece in ["one", "two", "six"] {
                next.recv_timeout(PATIENCE).expect("the test asks");
                let chunk = format!("3\r\n{piece}\r\n");
                conn.send(if framing.ends_with("chunked") { &chunk } else { piece })?;
            }
            conn.send(if framing.ends_with("chunked") { "0\r\n\r\n" } else { "" })
        });
        let proxy = Proxy::before(tier, &origin);
        let mut client = proxy.client();
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        // The head, and then each piece, must arrive before the origin is asked for more.
        let head = client.response_head("GET").expect("a head");
        let mut body = Vec::new();
        for expected in ["one", "two", "six"] {
            asked.send(()).expect("the origin waits");
            if head.framing == Framing::Chunked {
                assert_eq!(client.line().expect("a chunk size"), b"3");
            }
            client.exactly(3, &mut |bytes| body.extend_from_slice(bytes)).expect("a piece");
            assert!(body.ends_with(expected.as_bytes()));
            if head.framing == Framing::Chunked {
                assert_eq!(client.line().expect("the end of a chunk"), b"");
            }
        }
    }
}

/// A chunk that is spliced leaves as several, each part announcing the next (MSG_MORE); the kernel
/// holds the last one back for 200 ms if none follows.
fn each_piece_of_a_spliced_chunk_is_passed_at_once(tier: Tier) {
    const PIECE: usize = 200_001;
    const PIECES: usize = 12;
    let origin = Origin::scripted(|conn| {
        conn.request_head()?;
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        conn.send(format!("{:x}\r\n", PIECE * PIECES))?;
        for _ in 0..PIECES {
            conn.send([b'x'; PIECE])?;
            // The client asks for each by a byte of its own.
            conn.some(1)?;
        }
        conn.send("\r\n0\r\n\r\n")
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {PIECES}\r\n\r\n"));
    client.response_head("POST").expect("a head");
    let (waited, ()) = timed(|| {
        for _ in 0..PIECES {
            let mut missing = PIECE;
            while missing > 0 {
                let size = client.line().expect("a chunk size");
                let size = std::str::from_utf8(&size).expect("digits");
                let size = usize::from_str_radix(size, 16).expect("a size");
                client.exactly(size as u64, &mut |_| ()).expect("a chunk");
                assert_eq!(client.line().expect("the end of a chunk"), b"");
                missing -= size;
            }
            client.send("?");
        }
    });
    assert!(waited < ms(200) * PIECES as u32 / 2, "{waited:?}");
    assert_eq!(client.line().expect("the last chunk"), b"0");
}

fn each_piece_of_a_request_is_passed_at_once(tier: Tier) {
    let origin = Origin::scripted(|conn| {
        let head = conn.request_head()?;
        // Says so with an interim response whenever a piece has come.
        let mut socket = conn.socket().try_clone().expect("a second handle");
        conn.stream_body(head, &mut |_| {
            use std::io::Write as _;
            socket.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").expect("a proxy");
        })?;
        conn.send(ok("all"))
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\n");
    origin.await_head(0);
    for piece in ["one", "two", "six"] {
        client.send(piece);
        assert_eq!(client.head().expect("an interim response").word(1), "102");
    }
    assert_eq!(client.response().text(), "all");
}

fn both_bodies_flow_at_the_same_time(tier: Tier) {
    const LENGTH: u64 = 32 << 20;
    let origin = Origin::scripted(|conn| {
        conn.request_head()?;
        conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"))?;
        let mut echoed = 0;
        while echoed < LENGTH {
            let bytes = conn.some(256 << 10)?;
            echoed += bytes.len() as u64;
            conn.send(bytes)?;
        }
        Ok(())
    });
    by_splice_and_copy(tier, &origin, |proxy| {
        let mut client = proxy.client();
        let head = format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {LENGTH}\r\n\r\n");
        client.send(head);
        let response = client.response_head("POST").expect("a head before the body");
        let socket = client.socket().try_clone().expect("a second handle");
        let writing = thread::spawn(move || {
            let (mut writer, mut pattern) = (Wire::new(socket, None), Pattern::new(4));
            while pattern.offset() < LENGTH {
                writer.send(pattern.take(64 << 10)).expect("a proxy");
            }
        });
        let mut pattern = Pattern::new(4);
        let mut check = |bytes: &[u8]| pattern.check(bytes).expect("what was sent");
        client.body(response.framing, &mut check).expect("all of it");
        writing.join().expect("a writer");
        assert_eq!(pattern.offset(), LENGTH);
    });
}

/// Urgent data (tcp(7)) ends a splice where a receive goes on. It is no part of the body.
/// Splice does not go past urgent data (tcp(7)), which is no part of the stream; a receive does.
fn urgent_data_does_not_disturb_an_upload(tier: Tier) {
    const LENGTH: usize = 1 << 20;
    let origin = Origin::scripted(|conn| {
        loop {
            let head = conn.request_head()?;
            let mut pattern = Pattern::new(6);
            conn.stream_body(head, &mut |bytes| pattern.check(bytes).expect("what was sent"))?;
            conn.send(ok(pattern.offset().to_string()))?;
        }
    });
    by_splice_and_copy(tier, &origin, |proxy| {
        let mut client = proxy.client();
        for at in [0, 1, LENGTH / 2, LENGTH - 1, LENGTH] {
            let mut pattern = Pattern::new(6);
            client.send(format!("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {LENGTH}\r\n\r\n"));
            client.send(pattern.take(at));
            client.socket().send_out_of_band(b"!").expect("a proxy");
            proxy.assert_does_not_spin(ms(200));
            client.send(pattern.take(LENGTH - at));
            assert_eq!(client.response().text(), LENGTH.to_string(), "urgent data at {at}");
        }
    });
}

fn reset(client: Client) {
    client.reset_on_close();
}

fn a_client_that_resets_cancels_its_request(tier: Tier) {
    let origin = origin_never_answers();
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.await_requests(1);
    let (waited, end) = timed(|| {
        reset(client);
        origin.await_end(0)
    });
    assert!(end.is_over() && waited < ms(900), "{end:?} after {waited:?}");
}

fn a_client_that_resets_cancels_its_response(tier: Tier) {
    let origin = origin_streams(BIG);
    let mut index = 0;
    by_splice_and_copy(tier, &origin, |proxy| {
        let mut client = proxy.client();
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        client.exactly(1 << 20, &mut |_| ()).expect("the beginning");
        reset(client);
        assert!(origin.await_end(index).is_over());
        index += 1;
    });
}

fn a_client_that_resets_cancels_its_upload(tier: Tier) {
    let origin = Origin::scripted(|conn| {
        let head = conn.request_head()?;
        conn.stream_body(head, &mut |_| ()).map(drop)
    });
    let mut index = 0;
    by_splice_and_copy(tier, &origin, |proxy| {
        let mut client = proxy.client();
        client.send(&post("/", vec![b'x'; 4 << 20])[..3 << 20]);
        origin.await_head(index);
        reset(client);
        assert!(origin.await_end(index).is_over());
        index += 1;
    });
    assert_eq!(origin.requests(), []);
}

fn a_client_that_leaves_mid_request_cancels_it(tier: Tier) {
    let origin = origin_echoes();
    let proxy = Proxy::before(tier, &origin);
    let half = [
        "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n01234",
        "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n",
    ];
    for (index, half) in half.into_iter().enumerate() {
        let mut client = proxy.client();
        client.send(half);
        origin.await_head(index);
        client.half_close();
        assert!(origin.await_end(index).is_over());
        // Whether told why or not, the client's connection ends.
        assert!(client.rest().1.is_over());
    }
    assert_eq!(origin.requests(), []);
}

fn a_client_that_leaves_mid_head_bothers_nobody(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: te");
    client.half_close();
    assert!(client.rest().1.is_over());
    assert_eq!((proxy.get("/").text(), origin.connections()), ("origin", 1));
}

fn a_client_that_ended_its_side_gets_its_response(tier: Tier) {
    let origin = Origin::answering(|request| {
        pause(ms(200));
        ok(&request.body)
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    client.send([post("/", "one"), post("/", "two")].concat());
    client.half_close();
    assert_eq!(client.response().text(), "one");
    assert_eq!(client.response().text(), "two");
    client.assert_closed();
}

fn a_client_that_ended_its_side_gets_a_long_response(tier: Tier) {
    let origin = Origin::scripted(|conn| {
        conn.request()?;
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")?;
        for _ in 0..8 {
            pause(ms(100));
            conn.send("x")?;
        }
        Ok(())
    });
    let half_closed = "[timeouts]\nhalf_closed = \"400ms\"";
    let proxy = Config::new(tier).origin("app", &origin).toml(half_closed).start();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    client.half_close();
    assert_eq!(client.response().text(), "xxxxxxxx");
}

fn a_client_that_ended_its_side_is_owed_a_head_for_so_long(tier: Tier) {
    let origin = origin_never_answers();
    let half_closed = "[timeouts]\nhalf_closed = \"400ms\"";
    let proxy = Config::new(tier).origin("app", &origin).toml(half_closed).start();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    let (waited, end) = timed(|| {
        client.half_close();
        origin.await_end(0)
    });
    assert!(end.is_over());
    assert!((ms(350)..ms(5_000)).contains(&waited), "{waited:?}");
    assert!(client.rest().1.is_over());
}
