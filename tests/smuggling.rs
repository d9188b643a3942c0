//! Messages that two recipients could understand differently. A request of that kind gets a 400
//! and a closed connection, and not a byte of it reaches the origin; a response gets a 502, and
//! its connection is not used again.

#[macro_use]
mod support;

use support::*;

tiered! {
    ambiguous_requests_never_reach_the_origin,
    ambiguous_requests_are_refused_byte_by_byte_too,
    nothing_after_a_refused_request_is_read,
    too_large_a_body_is_never_the_next_request,
    malformed_chunks_never_complete_a_request,
    framing_in_trailers_is_not_passed_on,
    strict_is_not_paranoid,
    ambiguous_responses_are_502,
    malformed_chunks_in_a_response_break_it_off,
    bytes_after_a_response_are_never_the_next_response,
    an_unasked_response_is_never_the_next_response,
}

/// Each is refused with this status. The body is a whole one under either framing, so that
/// a request whose ambiguity goes unnoticed reaches the origin.
fn ambiguous_requests() -> Vec<(&'static str, u16, Vec<u8>)> {
    const BODY: &[u8] = b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let with_fields = FIELDS.iter().map(|&(name, fields)| {
        (name, 400, [b"POST / HTTP/1.1\r\nHost: t\r\n", fields, BODY].concat())
    });
    let with_line = LINES.iter().map(|&(name, status, line)| {
        (name, status, [line, b"\r\nHost: t\r\nContent-Length: 15", BODY].concat())
    });
    let whole = HEADS.iter().map(|&(name, head)| (name, 400, [head, BODY].concat()));
    with_fields.chain(with_line).chain(whole).collect()
}

/// Field lines that are refused.
const FIELDS: &[(&str, &[u8])] = &[
    ("length and encoding", b"Content-Length: 15\r\nTransfer-Encoding: chunked"),
    ("encoding and length", b"Transfer-Encoding: chunked\r\nContent-Length: 15"),
    ("differing lengths", b"Content-Length: 5\r\nContent-Length: 6"),
    ("repeated length", b"Content-Length: 5\r\nContent-Length: 5"),
    ("listed lengths", b"Content-Length: 5, 5"),
    ("signed length", b"Content-Length: +5"),
    ("negative length", b"Content-Length: -5"),
    ("hexadecimal length", b"Content-Length: 0x5"),
    ("spaced length", b"Content-Length: 5 5"),
    ("empty length", b"Content-Length:"),
    ("fractional length", b"Content-Length: 5.0"),
    ("huge length", b"Content-Length: 18446744073709551617"),
    ("gzip before chunked", b"Transfer-Encoding: gzip, chunked"),
    ("chunked before identity", b"Transfer-Encoding: chunked, identity"),
    ("twice chunked", b"Transfer-Encoding: chunked, chunked"),
    ("chunked twice", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    ("chunked and identity", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
    ("identity", b"Transfer-Encoding: identity"),
    ("xchunked", b"Transfer-Encoding: xchunked"),
    ("chunked with a parameter", b"Transfer-Encoding: chunked;q=1"),
    ("chunked after a control byte", b"Transfer-Encoding: \x0bchunked"),
    ("quoted chunked", b"Transfer-Encoding: \"chunked\""),
    ("empty encoding", b"Transfer-Encoding:"),
    ("length and a space", b"Content-Length : 15"),
    ("encoding and a tab", b"Transfer-Encoding\t: chunked"),
    ("length without a colon", b"Content-Length"),
    ("folded length", b"Content-Length:\r\n 15"),
    ("folded encoding", b"Transfer-Encoding:\r\n\tchunked"),
    ("bare LF between fields", b"A: b\nContent-Length: 15"),
    ("bare LF in a value", b"A: b\nc"),
    ("bare CR in a value", b"A: b\rc"),
    ("bare CR between fields", b"A: b\rContent-Length: 15"),
    ("NUL in a value", b"A: b\0c"),
    ("NUL in a name", b"A\0: b"),
    ("control byte in a value", b"A: b\x01c"),
    ("empty name", b": b"),
    ("name that is no token", b"A(b): c"),
    ("name with a space", b"A b: c"),
    ("name beyond ASCII", b"A\xe9: c"),
    ("a second Host", b"Host: t"),
];

/// Request lines that are refused.
const LINES: &[(&str, u16, &[u8])] = &[
    ("method that is no token", 400, b"PO(ST / HTTP/1.1"),
    ("no method", 400, b" / HTTP/1.1"),
    ("control byte in the target", 400, b"POST /\x01 HTTP/1.1"),
    ("DEL in the target", 400, b"POST /\x7f HTTP/1.1"),
    ("target beyond ASCII", 400, b"POST /\xc3\xa9 HTTP/1.1"),
    ("fragment in the target", 400, b"POST /#a HTTP/1.1"),
    ("space in the target", 400, b"POST /a b HTTP/1.1"),
    ("tab after the method", 400, b"POST\t/ HTTP/1.1"),
    ("two spaces after the method", 400, b"POST  / HTTP/1.1"),
    ("target without a slash", 400, b"POST index.html HTTP/1.1"),
    ("asterisk for POST", 400, b"POST * HTTP/1.1"),
    ("foreign scheme", 400, b"POST ftp://t/ HTTP/1.1"),
    ("user in the target", 400, b"POST http://u@t/ HTTP/1.1"),
    ("no version", 400, b"POST /"),
    ("lower-case version", 400, b"POST / http/1.1"),
    ("space after the version", 400, b"POST / HTTP/1.1 "),
    ("version 2.0", 505, b"POST / HTTP/2.0"),
];

/// Other heads that are refused, without their last CRLF and the empty line.
const HEADS: &[(&str, &[u8])] = &[
    ("bare LF after the request line", b"POST / HTTP/1.1\nHost: t\r\nContent-Length: 15"),
    ("space before the first field", b"POST / HTTP/1.1\r\n Host: t\r\nContent-Length: 15"),
    ("bare LF as the end", b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 21\r\n\n"),
    ("chunked on 1.0", b"POST / HTTP/1.0\r\nHost: t\r\nTransfer-Encoding: chunked"),
    ("two Hosts on 1.0", b"POST / HTTP/1.0\r\nHost: t\r\nHost: u\r\nContent-Length: 15"),
    ("no Host", b"POST / HTTP/1.1\r\nContent-Length: 15"),
    ("two names in Host", b"POST / HTTP/1.1\r\nHost: t, u\r\nContent-Length: 15"),
    ("path in Host", b"POST / HTTP/1.1\r\nHost: t/u\r\nContent-Length: 15"),
    ("user in Host", b"POST / HTTP/1.1\r\nHost: u@t\r\nContent-Length: 15"),
];

fn ambiguous_requests_never_reach_the_origin(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    for (name, status, request) in ambiguous_requests() {
        let mut client = proxy.client();
        client.send(&request);
        let response = client.try_response().unwrap_or_else(|end| panic!("{name}: {end:?}"));
        assert_eq!(response.status, status, "{name}");
        assert!(response.fields.lists("connection", "close"), "{name}");
        client.assert_closed();
        assert_eq!(String::from_utf8_lossy(&origin.bytes()), "", "{name}");
    }
}

fn ambiguous_requests_are_refused_byte_by_byte_too(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    for (name, status, request) in ambiguous_requests() {
        let mut client = proxy.client();
        for byte in request {
            // The refusal may come before the last byte, and the end of the connection with it.
            let _ = client.try_send([byte]);
        }
        if let Ok(response) = client.try_response() {
            assert_eq!(response.status, status, "{name}");
        }
        assert_eq!(String::from_utf8_lossy(&origin.bytes()), "", "{name}");
    }
}

fn nothing_after_a_refused_request_is_read(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let hidden = "GET /hidden HTTP/1.1\r\nHost: t\r\n\r\n";
    let carrier =
        "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n";
    let mut client = proxy.client();
    assert_eq!(client.get("/seen").status, 200);
    let response = client.request(format!("{carrier}\r\n0\r\n\r\n{hidden}{hidden}"));
    assert_eq!(response.status, 400);
    client.assert_closed();
    assert_eq!(origin.requests().len(), 1);
}

/// Requests whose bodies are made of requests, with one more behind: head and the rest.
fn requests_with_too_much_inside() -> Vec<(&'static str, String, Vec<u8>)> {
    let hidden = "GET /hidden HTTP/1.1\r\nHost: t\r\n\r\n";
    // More than a buffer holds, and enough to be spliced.
    let (little, much) = (hidden.repeat(40), hidden.repeat(6_000));
    let head = |framing| format!("POST /small HTTP/1.1\r\nHost: t\r\n{framing}\r\n\r\n");
    let length = |body: &str| head(format!("Content-Length: {}", body.len()));
    let coded = || head("Transfer-Encoding: chunked".to_owned());
    let before = |body: &[u8]| [body, hidden.as_bytes()].concat();
    vec![
        ("a length", length(&little), before(little.as_bytes())),
        ("a great length", length(&much), before(much.as_bytes())),
        ("a chunk", coded(), before(&chunked(&[&little]))),
        ("a great chunk", coded(), before(&chunked(&[&much]))),
        ("many chunks", coded(), before(&chunked(&[hidden; 40]))),
    ]
}

fn too_large_a_body_is_never_the_next_request(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Config::new(tier)
        .origin("app", &origin)
        .route("path = \"/\"\nupstream = \"app\"")
        .route("path = \"/small\"\nupstream = \"app\"\nlimits = { body = \"1KiB\" }")
        .start();
    for (name, head, rest) in requests_with_too_much_inside() {
        for in_one in [true, false] {
            let mut client = proxy.client();
            if in_one {
                client.send([head.as_bytes(), &rest].concat());
            } else {
                client.send(&head);
                client.send(&rest);
            }
            let (answer, end) = client.rest();
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.starts_with("HTTP/1.1 413 "), "{name}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{name}: {answer}");
            assert_eq!(end, End::Closed, "{name}");
            drop(client);
            // What was sent before this request would have come before it.
            assert_eq!(proxy.get("/last").text(), "origin");
        }
    }
    let whole = origin.requests();
    assert!(whole.iter().all(|request| request.target == "/last"), "{whole:?}");
}

fn malformed_chunks_never_complete_a_request(tier: Tier) {
    let table: &[(&str, &[u8])] = &[
        ("no hexadecimal digit", b"g\r\nhello\r\n0\r\n\r\n"),
        ("no size", b"\r\nhello\r\n0\r\n\r\n"),
        ("negative size", b"-5\r\nhello\r\n0\r\n\r\n"),
        ("prefixed size", b"0x5\r\nhello\r\n0\r\n\r\n"),
        ("space before the size", b" 5\r\nhello\r\n0\r\n\r\n"),
        ("huge size", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("bare LF after a size", b"5\nhello\r\n0\r\n\r\n"),
        ("bare LF in an extension", b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
        ("bare CR after a size", b"5\rhello\r\n0\r\n\r\n"),
        ("bare LF after a chunk", b"5\r\nhello\n0\r\n\r\n"),
        ("no CRLF after a chunk", b"5\r\nhello0\r\n\r\n"),
        ("chunk longer than its size", b"4\r\nhello\r\n0\r\n\r\n"),
        ("chunk shorter than its size", b"6\r\nhello\r\n0\r\n\r\n"),
        ("bare LF after the last chunk", b"5\r\nhello\r\n0\n\r\n"),
        ("bare LF as the end", b"5\r\nhello\r\n0\r\n\n"),
        ("NUL in a trailer", b"5\r\nhello\r\n0\r\nA: \0\r\n\r\n"),
        ("trailer without a colon", b"5\r\nhello\r\n0\r\nA\r\n\r\n"),
    ];
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let head = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    let hidden = b"GET /hidden HTTP/1.1\r\nHost: t\r\n\r\n";
    for (name, body) in table {
        let mut client = proxy.client();
        client.send([head, *body, hidden].concat());
        match client.try_response() {
            Ok(response) => assert_eq!(response.status, 400, "{name}"),
            Err(end) => assert!(end.is_over(), "{name}: {end:?}"),
        }
        client.assert_closed();
        assert_eq!(origin.requests(), [], "{name}");
    }
    origin.await_all_over();
}

fn framing_in_trailers_is_not_passed_on(tier: Tier) {
    let origin = origin_echoes();
    let proxy = Proxy::before(tier, &origin);
    let response = proxy.client().request(
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\
         Content-Length: 1\r\nTransfer-Encoding: chunked\r\nHost: evil\r\nX-Fine: yes\r\n\
         Authorization: Basic x\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n",
    );
    assert_eq!(response.text(), "hello");
    let trailers = origin.request().trailers;
    assert_eq!(trailers.get("x-fine"), Some("yes"));
    assert_eq!(trailers.iter().count(), 1, "{trailers:?}");
}

fn strict_is_not_paranoid(tier: Tier) {
    let table: &[&[u8]] = &[
        b"POST / HTTP/1.1\r\nhost:t\r\ncontent-length:\t5 \r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: CHUNKED\r\n\r\n0 ;a = b\r\n\r\n",
        b"GET /%00%0d%0a?q=[]{}|\"<> HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: t\r\nX-Latin: \xe9t\xe9\r\nX-Empty:\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"PROPFIND /dav HTTP/1.1\r\nHost: under_score.example\r\n\r\n",
    ];
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    for request in table {
        let name = String::from_utf8_lossy(request);
        assert_eq!(proxy.client().request(request).status, 200, "{name}");
    }
}

/// Responses that are refused, each without `hello` at its end.
const RESPONSES: &[(&str, &[u8])] = &[
    (
        "length and encoding",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    ("differing lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"),
    ("malformed length", b"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n"),
    ("signed length", b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n"),
    ("unknown encoding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"),
    ("two encodings", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
    ("chunked on 1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("bare LF", b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 5\r\n\r\n"),
    ("bare LF as the end", b"HTTP/1.1 200 OK\r\nContent-Length: 5\n\n"),
    ("bare CR", b"HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 5\r\n\r\n"),
    ("NUL", b"HTTP/1.1 200 OK\r\nA: b\0\r\nContent-Length: 5\r\n\r\n"),
    ("folded value", b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 5\r\n\r\n"),
    ("space before a colon", b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n"),
    ("empty name", b"HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 5\r\n\r\n"),
    ("no status", b"HTTP/1.1 OK\r\nContent-Length: 5\r\n\r\n"),
    ("short status", b"HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\n"),
    ("long status", b"HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\n"),
    ("status 600", b"HTTP/1.1 600 OK\r\nContent-Length: 5\r\n\r\n"),
    ("foreign version", b"HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\n"),
    ("foreign protocol", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    ("no head at all", b"hello, I am no HTTP server\r\n\r\n"),
    ("empty line first", b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
    ("unasked switch", b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
];

fn ambiguous_responses_are_502(tier: Tier) {
    let origin = Origin::scripted(|conn| {
        loop {
            let request = conn.request()?;
            let index: usize = request.target[1..].parse().expect("an index");
            conn.send([RESPONSES[index].1, b"hello"].concat())?;
        }
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for (index, (name, _)) in RESPONSES.iter().enumerate() {
        let response = client.request(format!("GET /{index} HTTP/1.1\r\nHost: t\r\n\r\n"));
        assert_eq!(response.status, 502, "{name}");
    }
    assert_eq!(origin.connections(), RESPONSES.len(), "each bad connection was given up");
}

fn malformed_chunks_in_a_response_break_it_off(tier: Tier) {
    let table =
        ["x\r\nhello\r\n", "5\nhello\r\n", "5\r\nhello\n", "4\r\nhello\r\n", "-1\r\nhello\r\n"];
    let origin = Origin::scripted(move |conn| {
        let request = conn.request()?;
        let index: usize = request.target[1..].parse().expect("an index");
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")?;
        conn.send(format!("{}0\r\n\r\n", table[index]))?;
        conn.await_end()
    });
    let proxy = Proxy::before(tier, &origin);
    for (index, chunk) in table.iter().enumerate() {
        let mut client = proxy.client();
        client.send(format!("GET /{index} HTTP/1.1\r\nHost: t\r\n\r\n"));
        let response = client.try_response().expect("a head");
        assert!(response.status == 502 || response.broken.is_some(), "{chunk:?}: {response:?}");
        assert!(origin.await_end(index).is_over());
    }
}

fn bytes_after_a_response_are_never_the_next_response(tier: Tier) {
    let origin = origin_sends_extra_bytes();
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "right");
    }
    assert_eq!(origin.connections(), 3);
}

fn an_unasked_response_is_never_the_next_response(tier: Tier) {
    let answered = Gate::shut();
    let late = answered.clone();
    let origin = Origin::scripted(move |conn| {
        conn.request()?;
        conn.send(ok("right"))?;
        late.wait();
        conn.send(ok("wrong"))?;
        conn.await_end()
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    assert_eq!(client.get("/").text(), "right");
    answered.open();
    // The connection that spoke out of turn is closed, whether or not a request is waiting.
    assert!(origin.await_end(0).is_over());
    assert_eq!(client.get("/").text(), "right");
    assert_eq!(origin.connections(), 2);
}
