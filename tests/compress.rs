//! Compressed responses: which, for whom, and what that costs others.

#[macro_use]
mod support;

use std::io::Read;

use support::*;

tiered! {
    each_coding_comes_out_as_it_went_in,
    the_client_chooses,
    the_head_says_so,
    what_stays_as_it_is,
    how_bodies_come_makes_no_difference,
    head_requests,
    old_clients_get_it_as_it_is,
    what_is_paused_is_flushed,
    events_pass_line_by_line,
    a_large_response_is_held_back,
    a_large_response_does_not_stall_its_shard,
    broken_responses_stay_broken,
    settings_of_all_and_of_one,
    our_own_answers,
}

const ON: &str = "compress = true";

fn site(tier: Tier, origin: &Origin, compress: &str) -> Proxy {
    Config::new(tier).top(compress).origin("app", origin).start()
}

fn get(path: &str, accept: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\nAccept-Encoding: {accept}\r\n\r\n")
}

fn page(fields: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    response(200, &[&[("Content-Type", "text/html")], fields].concat(), body)
}

/// Text that shows where it belongs.
fn text(length: usize) -> Vec<u8> {
    let lines = (0..).flat_map(|line: usize| format!("line {line} {}\n", line * line).into_bytes());
    lines.take(length).collect()
}

fn decode(response: &Response) -> Vec<u8> {
    let mut body = Vec::new();
    let bytes = &response.body[..];
    let done = match response.field("content-encoding") {
        None => return bytes.to_vec(),
        Some("gzip") => flate2::read::GzDecoder::new(bytes).read_to_end(&mut body),
        Some("br") => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut body),
        Some("zstd") => {
            zstd::stream::read::Decoder::new(bytes).expect("zstd").read_to_end(&mut body)
        }
        Some(other) => panic!("unknown: {other}"),
    };
    done.expect("a whole body");
    body
}

fn coding(response: &Response) -> Option<&str> {
    response.field("content-encoding")
}

fn each_coding_comes_out_as_it_went_in(tier: Tier) {
    let sizes = [1024, 5000, 40_000, 1_000_000];
    let origin =
        Origin::answering(|request| page(&[], text(request.target[1..].parse().expect("a size"))));
    let proxy = site(tier, &origin, ON);
    let mut client = proxy.client();
    for token in ["gzip", "br", "zstd"] {
        for size in sizes {
            let response = client.request(get(&format!("/{size}"), token));
            assert_eq!(coding(&response), Some(token), "{size}");
            assert!(decode(&response) == text(size), "{token} {size}");
            assert!(response.body.len() < size / 2, "{token} {size}: {}", response.body.len());
        }
    }
    assert_eq!(origin.connections(), 1, "it stays in use");
    for request in origin.requests() {
        assert!(request.field("accept-encoding").is_some(), "the server may do it itself");
    }
}

fn the_client_chooses(tier: Tier) {
    let origin = Origin::saying(page(&[], text(2000)));
    let proxy = site(tier, &origin, "compress = { algorithms = [\"br\", \"gzip\"] }");
    let mut client = proxy.client();
    for (accept, chosen) in [
        ("gzip, deflate, br, zstd", Some("br")),
        ("zstd, gzip", Some("gzip")),
        ("br;q=0.5, gzip", Some("gzip")),
        ("zstd", None),
        ("gzip;q=0", None),
        ("identity", None),
        ("", None),
        ("*", Some("br")),
    ] {
        let response = client.request(get("/", accept));
        assert_eq!(coding(&response), chosen, "{accept}");
        assert!(decode(&response) == text(2000));
        assert!(response.fields.lists("vary", "accept-encoding"), "{accept}");
    }
    assert_eq!(coding(&client.get("/")), None);
}

fn the_head_says_so(tier: Tier) {
    let fields = [
        ("ETag", "\"abc\""),
        ("Accept-Ranges", "bytes"),
        ("Vary", "Cookie"),
        ("Last-Modified", "Sat, 29 Oct 1994 19:43:31 GMT"),
    ];
    let origin = Origin::saying(page(&fields, text(3000)));
    let proxy = site(tier, &origin, ON);
    let response = proxy.client().request(get("/", "gzip"));
    assert_eq!(response.framing, Framing::Chunked);
    assert_eq!(response.field("content-length"), None);
    assert_eq!(response.field("etag"), Some("W/\"abc\""));
    assert_eq!(response.field("accept-ranges"), None);
    assert_eq!(response.field("last-modified"), Some(fields[3].1));
    assert_eq!(response.fields.all("vary"), ["Cookie", "Accept-Encoding"]);
    let plain = proxy.get("/");
    assert_eq!(
        (plain.field("etag"), plain.field("accept-ranges")),
        (Some("\"abc\""), Some("bytes"))
    );
    assert_eq!(plain.framing, Framing::Length(3000));
    assert!(plain.fields.lists("vary", "accept-encoding"));

    let weak =
        Origin::saying(page(&[("ETag", "W/\"a\""), ("Vary", "accept-encoding")], text(3000)));
    let proxy = site(tier, &weak, ON);
    let response = proxy.client().request(get("/", "gzip"));
    assert_eq!(response.field("etag"), Some("W/\"a\""));
    assert_eq!(response.fields.all("vary"), ["accept-encoding"]);
}

fn what_stays_as_it_is(tier: Tier) {
    let origin = Origin::answering(|request| {
        let body = text(4000);
        match &request.target[1..] {
            "status" => response(500, &[("Content-Type", "text/html")], body),
            "partial" => response(
                206,
                &[("Content-Type", "text/html"), ("Content-Range", "bytes 0-3999/9000")],
                body,
            ),
            "range" => page(&[("Content-Range", "bytes 0-3999/9000")], body),
            "coded" => page(&[("Content-Encoding", "gzip")], body),
            "kept" => page(&[("Cache-Control", "public, No-Transform")], body),
            "digest" => page(&[("Content-Digest", "sha-256=:AAAA:")], body),
            "small" => page(&[], text(1023)),
            "empty" => page(&[], ""),
            "picture" => response(200, &[("Content-Type", "image/png")], body),
            "events" => response(200, &[("Content-Type", "text/event-stream")], body),
            "untyped" => response(200, &[], body),
            "none" => b"HTTP/1.1 204 No\r\nContent-Type: text/html\r\n\r\n".to_vec(),
            "same" => b"HTTP/1.1 304 No\r\nContent-Type: text/html\r\nETag: \"a\"\r\n\r\n".to_vec(),
            other => panic!("{other}"),
        }
    });
    let proxy = site(tier, &origin, ON);
    for path in [
        "status", "partial", "range", "coded", "kept", "digest", "small", "empty", "picture",
        "events", "untyped", "none", "same",
    ] {
        let bare = proxy.get(&format!("/{path}"));
        let response = proxy.client().request(get(&format!("/{path}"), "gzip, br, zstd"));
        assert_eq!(response, bare, "{path}");
        assert!(!response.fields.lists("vary", "accept-encoding"), "{path}");
    }
}

/// Whatever delimits it, and wherever the pieces end.
fn how_bodies_come_makes_no_difference(tier: Tier) {
    let origin = Origin::scripted(|conn| {
        loop {
            let request = conn.request()?;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n";
            let body = text(100_000);
            match request.target.as_str() {
                "/chunked" => {
                    conn.send(format!("{head}Trailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n"))?;
                    for piece in body.chunks(9_999) {
                        conn.send(format!("{:x}\r\n", piece.len()))?;
                        conn.send(piece)?;
                        conn.send("\r\n")?;
                    }
                    conn.send("0\r\nX-T: 1\r\n\r\n")?;
                }
                "/pieces" => {
                    conn.send(format!("{head}Content-Length: 300\r\n"))?;
                    for byte in [b"\r\n", &body[..300]].concat() {
                        conn.send([byte])?;
                    }
                }
                _ => {
                    conn.send(format!("{head}\r\n"))?;
                    return conn.send(&body);
                }
            }
        }
    });
    let proxy = site(tier, &origin, "compress = { min_bytes = \"10B\" }");
    let mut client = proxy.client();
    for (path, length) in [("/chunked", 100_000), ("/pieces", 300), ("/close", 100_000)] {
        for token in ["gzip", "br", "zstd"] {
            let response = client.request(get(path, token));
            assert_eq!(coding(&response), Some(token), "{path}");
            assert!(decode(&response) == text(length), "{path} {token}");
        }
    }
}

fn head_requests(tier: Tier) {
    let origin = Origin::answering(|request| match request.method.as_str() {
        "HEAD" => b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5000\r\n\
                    ETag: \"a\"\r\n\r\n"
            .to_vec(),
        _ => page(&[("ETag", "\"a\"")], text(5000)),
    });
    let proxy = site(tier, &origin, ON);
    let mut client = proxy.client();
    let head = client.request(get("/", "br").replace("GET", "HEAD"));
    let got = client.request(get("/", "br"));
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in ["content-encoding", "etag", "vary", "content-length", "content-type"] {
        assert_eq!(head.field(name), got.field(name), "{name}");
    }
    assert_eq!(coding(&head), Some("br"));
    let plain = client.request("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!((coding(&plain), plain.field("content-length")), (None, Some("5000")));
}

fn old_clients_get_it_as_it_is(tier: Tier) {
    let origin = Origin::saying(page(&[], text(5000)));
    let proxy = site(tier, &origin, ON);
    let old = get("/", "gzip").replace("HTTP/1.1", "HTTP/1.0");
    let response = proxy.client().request(old);
    assert_eq!((coding(&response), response.framing), (None, Framing::Length(5000)));
    assert!(response.body == text(5000));
}

/// What of a stream of this coding can be read so far.
fn readable(token: &str, bytes: &[u8]) -> Vec<u8> {
    let mut reader: Box<dyn Read> = match token {
        "gzip" => Box::new(flate2::read::GzDecoder::new(bytes)),
        "br" => Box::new(brotli::Decompressor::new(bytes, 4096)),
        _ => Box::new(zstd::stream::read::Decoder::new(bytes).expect("zstd")),
    };
    let (mut out, mut some) = (Vec::new(), [0; 256]);
    while let Ok(n) = reader.read(&mut some) {
        if n == 0 {
            break;
        }
        out.extend_from_slice(&some[..n]);
    }
    out
}

fn take(client: &mut Client, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let taken = client.exactly(count as u64, &mut |some| bytes.extend_from_slice(some));
    taken.expect("so many bytes");
    bytes
}

/// Reads chunks until all of `expected` can be decoded from them.
fn await_text(client: &mut Client, token: &str, coded: &mut Vec<u8>, expected: &[u8]) {
    while readable(token, coded) != expected {
        let line = client.line().expect("the size of a chunk");
        let size = usize::from_str_radix(&String::from_utf8_lossy(&line), 16).expect("a size");
        assert!(size > 0, "it goes on");
        coded.extend(take(client, size));
        assert_eq!(take(client, 2), b"\r\n");
    }
}

/// Sends a line whenever the gate of that line opens.
fn lines(content_type: &'static str, gates: Vec<Gate>) -> Origin {
    Origin::scripted(move |conn| {
        conn.request()?;
        conn.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
        ))?;
        for gate in &gates {
            gate.wait();
            conn.send("c\r\ndata: line\n\n\r\n")?;
        }
        conn.await_end()
    })
}

fn what_is_paused_is_flushed(tier: Tier) {
    for token in ["gzip", "br", "zstd"] {
        let gates: Vec<Gate> = (0..5).map(|_| Gate::shut()).collect();
        let origin = lines("text/plain", gates.clone());
        let proxy = site(tier, &origin, ON);
        let mut client = proxy.client();
        client.send(get("/", token));
        // The head does not wait for a body.
        let head = client.response_head("GET").expect("a head");
        assert_eq!(coding(&head), Some(token));
        let (mut coded, mut expected) = (Vec::new(), Vec::new());
        for gate in &gates {
            gate.open();
            expected.extend_from_slice(b"data: line\n\n");
            await_text(&mut client, token, &mut coded, &expected);
        }
    }
}

fn events_pass_line_by_line(tier: Tier) {
    let events = "text/event-stream; charset=utf-8";
    let by_default = lines(events, vec![Gate::default()]);
    let proxy = site(tier, &by_default, "compress = { types = [\"*\"] }");
    let mut client = proxy.client();
    client.send(get("/", "gzip"));
    assert_eq!(coding(&client.response_head("GET").expect("a head")), None);

    let gates: Vec<Gate> = (0..3).map(|_| Gate::shut()).collect();
    let origin = lines(events, gates.clone());
    let proxy = site(tier, &origin, "compress = { types = [\"text/event-stream\"] }");
    let mut client = proxy.client();
    client.send(get("/", "zstd"));
    assert_eq!(coding(&client.response_head("GET").expect("a head")), Some("zstd"));
    let (mut coded, mut expected) = (Vec::new(), Vec::new());
    for gate in &gates {
        gate.open();
        expected.extend_from_slice(b"data: line\n\n");
        await_text(&mut client, "zstd", &mut coded, &expected);
    }
}

/// Bytes that do not compress, so that what is held back shows.
fn noise(length: usize) -> Origin {
    Origin::scripted(move |conn| {
        loop {
            conn.request()?;
            conn.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n"
            ))?;
            let (mut pattern, mut left) = (Pattern::new(3), length);
            while left > 0 {
                let piece = left.min(64 << 10);
                conn.send(pattern.take(piece))?;
                left -= piece;
            }
        }
    })
}

/// What a response holds while its client takes nothing: a receive buffer, its encoder, and what
/// that has made. Of eight at once, each coding in a process of its own: so it is theirs alone, and
/// what the process has besides weighs little. How long they are makes no difference, these being
/// 2 GiB together.
fn a_large_response_is_held_back(tier: Tier) {
    const CLIENTS: u64 = 8;
    let origin = noise(256 << 20);
    for (token, most) in [("gzip", 1 << 20), ("br", 3 << 20), ("zstd", 3 << 20)] {
        let proxy = site(tier, &origin, ON);
        let before = proxy.resident();
        let held = || {
            let mut client = Client::connect_with_buffer(64 << 10, &proxy.address());
            client.send(get("/", token));
            let head = client.response_head("GET").expect("a head");
            assert_eq!(coding(&head), Some(token));
            client
        };
        let clients: Vec<Client> = (0..CLIENTS).map(|_| held()).collect();
        let resident = wait_until_steady("the flow has stopped", || proxy.resident() >> 16) << 16;
        let each = resident.saturating_sub(before) / CLIENTS;
        assert!(each < most, "{token}: {each} bytes for each response");
        drop(clients);
        wait_until("all is let go", || proxy.usage().of("client connections open") == 0);
    }
}

/// Eight clients that read as fast as they can keep the shard busy compressing; requests of others
/// are answered meanwhile. How many turns of the shard that takes, `proxy::compress::pacing` counts
/// in a test of its own.
fn a_large_response_does_not_stall_its_shard(tier: Tier) {
    let _alone = alone();
    let origin = noise(64 << 20);
    let proxy = Config::new(tier)
        .top("compress = { level = 9 }")
        .origin("app", &origin)
        .route("upstream = \"app\"")
        .route("path = \"/free\"\nrespond = { status = 200, body = \"free\" }")
        .start();
    let over = Over::default();
    std::thread::scope(|scope| {
        let _ending = over.at_the_end();
        for token in ["gzip", "br", "zstd", "gzip", "br", "zstd", "gzip", "br"] {
            let (proxy, over) = (&proxy, &over);
            scope.spawn(move || {
                let mut client = proxy.client();
                client.send(get("/", token));
                client.response_head("GET").expect("a head");
                while !over.is_so() {
                    take(&mut client, 16 << 10);
                }
            });
        }
        wait_until("all of them are at it", || origin.requests().len() == 8);
        let mut client = proxy.client();
        assert_eq!(client.get("/free").text(), "free");
        for _ in 0..50 {
            assert_eq!(client.get("/free").text(), "free");
        }
        assert_eq!(proxy.usage().of("requests in progress"), 8, "none of them has ended");
    });
}

fn broken_responses_stay_broken(tier: Tier) {
    let origin = Origin::scripted(|conn| {
        let request = conn.request()?;
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n";
        match request.target.as_str() {
            "/length" => conn.send(format!("{head}Content-Length: 5000\r\n\r\nonly this")),
            "/chunks" => {
                conn.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nonly \r\n"))
            }
            _ => conn.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nonly xx")),
        }
    });
    let proxy = site(tier, &origin, ON);
    for path in ["/length", "/chunks", "/malformed"] {
        let mut client = proxy.client();
        client.send(get(path, "gzip"));
        match client.try_response() {
            Ok(response) => assert!(response.broken.is_some() || response.status == 502, "{path}"),
            Err(end) => assert!(end.is_over() && path == "/malformed", "{path}: {end:?}"),
        }
    }
}

fn settings_of_all_and_of_one(tier: Tier) {
    let origin = Origin::answering(|_| page(&[], text(2000)));
    let proxy = Config::new(tier)
        .top("compress = { algorithms = [\"gzip\"], min_bytes = \"1KiB\" }")
        .origin("app", &origin)
        .route("upstream = \"app\"")
        .route("path = \"/off\"\nupstream = \"app\"\ncompress = false")
        .route("path = \"/large\"\nupstream = \"app\"\ncompress = { min_bytes = \"4KiB\" }")
        .route("path = \"/other\"\nupstream = \"app\"\ncompress = { algorithms = [\"zstd\"] }")
        .route("path = \"/types\"\nupstream = \"app\"\ncompress = { types = [\"text/css\"] }")
        .start();
    let mut client = proxy.client();
    for (path, expected) in [
        ("/", Some("gzip")),
        ("/off", None),
        ("/large", None),
        ("/other", Some("zstd")),
        ("/types", None),
    ] {
        let response = client.request(get(path, "gzip, zstd, br"));
        assert_eq!(coding(&response), expected, "{path}");
        assert!(decode(&response) == text(2000));
    }
    // Off unless it is asked for.
    let proxy = Config::new(tier)
        .origin("app", &origin)
        .route("upstream = \"app\"")
        .route("path = \"/on\"\nupstream = \"app\"\ncompress = true")
        .start();
    let mut client = proxy.client();
    let bare = client.request(get("/", "gzip"));
    assert_eq!((coding(&bare), bare.field("vary")), (None, None));
    assert_eq!(coding(&client.request(get("/on", "gzip"))), Some("gzip"));
}

fn our_own_answers(tier: Tier) {
    let body = String::from_utf8(text(3000)).expect("text");
    let proxy = Config::new(tier)
        .top(ON)
        .route(&format!("path = \"/text\"\nrespond = {{ status = 200, body = {body:?} }}"))
        .route("path = \"/small\"\nrespond = { status = 200, body = \"small\" }")
        .start();
    let mut client = proxy.client();
    for token in ["gzip", "br", "zstd"] {
        let response = client.request(get("/text", token));
        assert_eq!(coding(&response), Some(token));
        assert!(decode(&response) == body.as_bytes());
        assert_eq!(response.field("via"), None);
        let head = client.request(get("/text", token).replace("GET", "HEAD"));
        assert_eq!((coding(&head), head.field("content-length")), (Some(token), None));
    }
    let plain = client.get("/text");
    assert_eq!((plain.framing, plain.text()), (Framing::Length(3000), &*body));
    assert!(plain.fields.lists("vary", "accept-encoding"));
    let small = client.request(get("/small", "gzip"));
    assert_eq!((small.text(), small.field("vary")), ("small", None));
    let old = get("/text", "gzip").replace("HTTP/1.1", "HTTP/1.0");
    let old = client.request(old);
    assert_eq!((old.framing, coding(&old)), (Framing::Length(3000), None));
    client.assert_closed();
}
