//! Where messages begin and end: HTTP/1.1 and 1.0 on both sides, bodies of every framing, interim
//! responses, and heads that are too large.

#[macro_use]
mod support;

use support::*;

tiered! {
    both_connections_are_kept,
    close_is_honoured,
    pipelined_requests_are_answered_in_order,
    pipelined_requests_with_bodies_are_told_apart,
    an_empty_line_before_a_request_is_ignored,
    a_chunked_request_arrives_with_its_trailers,
    a_chunked_response_arrives_with_its_trailers,
    a_body_that_ends_with_the_connection_ends_for_the_client_too,
    a_length_of_zero_is_a_body,
    an_http_1_0_client_gets_no_chunks,
    an_http_1_0_client_may_keep_its_connection,
    an_http_1_0_client_may_keep_its_connection_after_our_own_answers,
    an_http_1_0_origin_is_understood,
    head_has_no_body,
    statuses_without_body_have_none,
    continue_passes_both_ways,
    a_refused_expectation_needs_no_body,
    an_unknown_expectation_is_417,
    interim_responses_are_forwarded,
    an_http_1_0_client_sees_no_interim_response,
    an_absolute_target_becomes_a_path,
    options_asterisk_passes,
    options_goes_as_far_as_it_may,
    trace_is_refused,
    connect_is_refused,
    an_early_response_is_delivered_and_the_connection_lives_on,
    an_early_response_that_closes_is_delivered_whole,
    a_request_may_come_byte_by_byte,
    a_response_may_come_byte_by_byte,
    a_request_with_too_large_a_head_is_refused,
    a_response_with_too_large_a_head_is_502,
}

fn both_connections_are_kept(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "origin");
    }
    assert_eq!((origin.requests().len(), origin.connections()), (3, 1));
}

fn close_is_honoured(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    let response = client.request("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    assert!(response.fields.lists("connection", "close"));
    client.assert_closed();
    assert_eq!(proxy.get("/").text(), "origin");
    assert_eq!(origin.connections(), 1, "the origin was not asked to close");
}

fn pipelined_requests_are_answered_in_order(tier: Tier) {
    let origin = Origin::answering(|request| ok(&request.target));
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    let requests = (0..50).map(|i| format!("GET /{i} HTTP/1.1\r\nHost: test\r\n\r\n"));
    client.send(requests.collect::<String>());
    for i in 0..50 {
        assert_eq!(client.response().text(), format!("/{i}"));
    }
}

fn pipelined_requests_with_bodies_are_told_apart(tier: Tier) {
    let origin = origin_echoes();
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    let with_chunks = |path: &str, chunks: &[&str]| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
        [head.as_bytes(), &chunked(chunks)].concat()
    };
    let big = "x".repeat(100_000);
    client.send([post("/", "one"), with_chunks("/", &["tw", "o"]), post("/", "")].concat());
    client.send([post("/", &big), with_chunks("/", &[&big, "!"]), post("/", "six")].concat());
    for body in ["one", "two", "", &big, &format!("{big}!"), "six"] {
        let response = client.response();
        let start = &response.text()[..response.text().len().min(80)];
        assert!(response.text() == body, "{start:?} in place of {} bytes", body.len());
    }
}

fn an_empty_line_before_a_request_is_ignored(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for _ in 0..2 {
        assert_eq!(client.request("\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n").status, 200);
    }
}

fn a_chunked_request_arrives_with_its_trailers(tier: Tier) {
    let origin = origin_echoes();
    let proxy = Proxy::before(tier, &origin);
    let response = proxy.client().request(
        "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n\
         5;ext=1;quoted=\"a b\"\r\nhello\r\n00006\r\n world\r\n0;last\r\nSum: 11\r\n\r\n",
    );
    assert_eq!(response.text(), "hello world");
    let request = origin.request();
    assert_eq!((request.framing, request.trailers.get("sum")), (Framing::Chunked, Some("11")));
}

fn a_chunked_response_arrives_with_its_trailers(tier: Tier) {
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n\
         5;ext=1\r\nhello\r\nA\r\n wonderful\r\n0\r\nSum: 15\r\n\r\n",
    );
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for _ in 0..2 {
        let response = client.get("/");
        assert_eq!(response.text(), "hello wonderful");
        assert_eq!(response.trailers.get("sum"), Some("15"));
    }
    assert_eq!(origin.connections(), 1);
}

fn a_body_that_ends_with_the_connection_ends_for_the_client_too(tier: Tier) {
    let origin = Origin::saying("HTTP/1.1 200 OK\r\n\r\nto the end");
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for _ in 0..2 {
        let response = client.get("/");
        assert_eq!((response.text(), response.framing), ("to the end", Framing::Chunked));
    }
    assert_eq!(origin.connections(), 2);
}

fn a_length_of_zero_is_a_body(tier: Tier) {
    let origin = Origin::answering(|_| ok(""));
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for _ in 0..2 {
        assert_eq!(client.post("/", "").framing, Framing::Length(0));
    }
    assert_eq!((origin.connections(), origin.request().framing), (1, Framing::Length(0)));
}

fn an_http_1_0_client_gets_no_chunks(tier: Tier) {
    let origin = Origin::saying(
        [&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..], &chunked(&["a", "b"])]
            .concat(),
    );
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    let response = client.request("GET / HTTP/1.0\r\n\r\n");
    assert_eq!((response.text(), response.framing), ("ab", Framing::UntilClosed));
    assert_eq!(origin.request().version, "HTTP/1.1");
}

fn an_http_1_0_client_may_keep_its_connection(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    let response = client.request("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(response.fields.lists("connection", "keep-alive"));
    assert_eq!(client.request("GET / HTTP/1.0\r\n\r\n").text(), "origin");
    client.assert_closed();
}

fn an_http_1_0_client_may_keep_its_connection_after_our_own_answers(tier: Tier) {
    let proxy = Config::new(tier)
        .route("path_exact = \"/fixed\"\nrespond = { status = 200, body = \"fixed\" }")
        .route("path_exact = \"/moved\"\nredirect = { status = 308, to = \"/fixed\" }")
        .start();
    let mut client = proxy.client();
    for (path, status) in [("/fixed", 200), ("/moved", 308), ("/none", 404), ("/fixed", 200)] {
        let response =
            client.request(format!("GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
        assert_eq!(response.status, status);
        assert_eq!(response.fields.all("connection"), ["keep-alive"], "{path}");
    }
    let response = client.request("GET /none HTTP/1.0\r\n\r\n");
    assert_eq!(response.fields.all("connection"), ["close"]);
    client.assert_closed();
}

fn an_http_1_0_origin_is_understood(tier: Tier) {
    let origin = Origin::answering(|request| match request.target.as_str() {
        "/length" => b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nold".into(),
        "/stays" => {
            b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nold".to_vec()
        }
        _ => b"HTTP/1.0 200 OK\r\n\r\nold".to_vec(),
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for path in ["/length", "/", "/stays", "/stays"] {
        let response = client.get(path);
        assert_eq!((response.text(), response.version.as_str()), ("old", "HTTP/1.1"), "{path}");
    }
    assert_eq!(origin.connections(), 3);
}

fn head_has_no_body(tier: Tier) {
    let origin = Origin::answering(|request| match request.target.as_str() {
        "/length" => b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n".to_vec(),
        "/chunked" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        _ => ok("body"),
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for path in ["/length", "/chunked"] {
        let response = client.request(format!("HEAD {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        assert_eq!((response.status, response.text()), (200, ""));
        assert_eq!(response.field("content-length"), (path == "/length").then_some("5000"));
        assert_eq!(client.get("/").text(), "body");
    }
    assert_eq!(origin.connections(), 1);
}

fn statuses_without_body_have_none(tier: Tier) {
    let origin = Origin::answering(|request| match request.target.as_str() {
        "/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        "/304" => b"HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nContent-Length: 9\r\n\r\n".to_vec(),
        _ => ok("body"),
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for status in [204, 304] {
        let response = client.get(&format!("/{status}"));
        assert_eq!((response.status, response.field("transfer-encoding")), (status, None));
        assert_eq!(client.get("/").text(), "body");
    }
    assert_eq!(origin.connections(), 1);
}

const EXPECTING: &str =
    "POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";

fn continue_passes_both_ways(tier: Tier) {
    let origin = origin_continue();
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for _ in 0..2 {
        client.send(EXPECTING);
        assert_eq!(client.head().expect("an interim response").word(1), "100");
        client.send("hello");
        assert_eq!(client.response().text(), "hello");
    }
}

fn a_refused_expectation_needs_no_body(tier: Tier) {
    let origin = origin_early_response();
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    client.send(EXPECTING);
    let response = client.response();
    assert_eq!((response.status, response.interim.len()), (403, 0));
    // Nobody can tell whether the body still comes, so neither connection may go on.
    assert!(response.fields.lists("connection", "close"));
    client.assert_closed();
    assert!(origin.await_end(0).is_over());
}

fn an_unknown_expectation_is_417(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let response = proxy.client().request("GET / HTTP/1.1\r\nHost: t\r\nExpect: cake\r\n\r\n");
    assert_eq!((response.status, origin.connections()), (417, 0));
}

fn hints_then_answers() -> Origin {
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
    Origin::saying([hint.as_bytes(), hint.as_bytes(), &ok("answer")].concat())
}

fn interim_responses_are_forwarded(tier: Tier) {
    let origin = hints_then_answers();
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for _ in 0..2 {
        let response = client.get("/");
        assert_eq!(response.text(), "answer");
        let links = response.interim.iter().filter_map(|head| head.fields.get("link"));
        assert_eq!(links.collect::<Vec<_>>(), ["</style.css>; rel=preload"; 2]);
    }
}

fn an_http_1_0_client_sees_no_interim_response(tier: Tier) {
    let origin = hints_then_answers();
    let proxy = Proxy::before(tier, &origin);
    let response = proxy.client().request("GET / HTTP/1.0\r\n\r\n");
    assert_eq!((response.interim.len(), response.text()), (0, "answer"));
}

fn an_absolute_target_becomes_a_path(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    client.request("GET http://real.example:81/a?b HTTP/1.1\r\nHost: other.example\r\n\r\n");
    client.request("GET http://real.example HTTP/1.1\r\nHost: other.example\r\n\r\n");
    let requests = origin.requests();
    assert_eq!((requests[0].target.as_str(), requests[1].target.as_str()), ("/a?b", "/"));
    assert_eq!(requests[0].field("host"), Some("real.example:81"));
}

fn options_asterisk_passes(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let response = proxy.client().request("OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!((response.status, origin.request().target.as_str()), (200, "*"));
}

fn options_goes_as_far_as_it_may(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    let mut options = |target: &str, hops: u32| {
        let head = format!("OPTIONS {target} HTTP/1.1\r\nHost: test\r\nMax-Forwards: {hops}");
        client.request(format!("{head}\r\nContent-Length: 4\r\n\r\nbody"))
    };
    for target in ["/", "*"] {
        let ours = options(target, 0);
        assert_eq!((ours.status, ours.field("content-length")), (200, Some("0")));
        assert!(ours.fields.lists("allow", "options"), "{:?}", ours.fields);
    }
    assert_eq!(options("/", 2).text(), "origin");
    assert_eq!(origin.requests().len(), 1);
    assert_eq!(origin.request().fields.all("max-forwards"), ["1"]);
}

fn trace_is_refused(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for hops in ["", "Max-Forwards: 0\r\n", "Max-Forwards: 5\r\n"] {
        let head = format!("TRACE / HTTP/1.1\r\nHost: test\r\nCookie: secret\r\n{hops}\r\n");
        let response = client.request(head);
        assert_eq!(response.status, 405);
        assert!(response.fields.lists("allow", "get") && !response.fields.lists("allow", "trace"));
        assert!(!response.text().contains("secret"));
    }
    assert_eq!(client.get("/").text(), "origin");
    assert_eq!(origin.requests().len(), 1);
}

fn connect_is_refused(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    let authority = origin.address().to_string();
    let response =
        client.request(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n"));
    assert_eq!(response.status, 501);
    client.assert_closed();
    assert_eq!(origin.connections(), 0);
}

fn an_early_response_is_delivered_and_the_connection_lives_on(tier: Tier) {
    let origin = origin_early_response();
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    let body = Pattern::new(2).take(1 << 20);
    for _ in 0..2 {
        let request = post("/", &body);
        client.send(&request[..request.len() / 2]);
        assert_eq!(client.response().text(), "early");
        client.send(&request[request.len() / 2..]);
    }
    let requests = origin.await_requests(2);
    assert!(requests.iter().all(|request| request.body == body));
}

fn an_early_response_that_closes_is_delivered_whole(tier: Tier) {
    let origin = origin_early_response_then_closes();
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    let request = post("/", vec![b'x'; 4 << 20]);
    // Half of the body is in flight when the answer comes; that must not destroy the answer.
    client.send(&request[..64 << 10]);
    let _ = client.try_send(&request[64 << 10..2 << 20]);
    let response = client.response();
    assert_eq!((response.status, response.text()), (413, "too much"));
    drop(client);
    assert!(origin.await_end(0).is_over());
}

fn a_request_may_come_byte_by_byte(tier: Tier) {
    let origin = origin_echoes();
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    let chunks = "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n\
                  5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nSum: 6\r\n\r\n";
    for _ in 0..2 {
        client.send_in_pieces(chunks, 1, ms(0));
        assert_eq!(client.response().text(), "hello!");
        client.send_in_pieces(post("/", "hello"), 1, ms(0));
        assert_eq!(client.response().text(), "hello");
    }
}

fn a_response_may_come_byte_by_byte(tier: Tier) {
    let origin = Origin::scripted(|conn| {
        loop {
            let request = conn.request()?;
            let answer: &[u8] = match request.target.as_str() {
                "/length" => b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello!",
                _ => {
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                      5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nSum: 6\r\n\r\n"
                }
            };
            for byte in answer {
                conn.send([*byte])?;
            }
        }
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for path in ["/length", "/chunks", "/length", "/chunks"] {
        assert_eq!(client.get(path).text(), "hello!");
    }
    assert_eq!(origin.connections(), 1);
}

fn a_request_with_too_large_a_head_is_refused(tier: Tier) {
    let origin = Origin::named("origin");
    let limits = "[limits]\nheader_bytes = \"8KiB\"\nheader_fields = 50";
    let proxy = Config::new(tier).origin("app", &origin).toml(limits).start();
    let table = [
        (414, format!("GET /{} HTTP/1.1\r\nHost: t\r\n\r\n", "x".repeat(10_000))),
        (431, format!("GET / HTTP/1.1\r\nHost: t\r\nA: {}\r\n\r\n", "x".repeat(10_000))),
        (431, format!("GET / HTTP/1.1\r\nHost: t\r\n{}\r\n", "A: b\r\n".repeat(50))),
        (200, format!("GET /{} HTTP/1.1\r\nHost: t\r\n\r\n", "x".repeat(7_000))),
        (200, format!("GET / HTTP/1.1\r\nHost: t\r\n{}\r\n", "A: b\r\n".repeat(40))),
    ];
    for (status, request) in table {
        let mut client = proxy.client();
        assert_eq!(client.request(&request).status, status, "{}", &request[..60]);
        if status != 200 {
            client.assert_closed();
        }
    }
    assert_eq!(origin.requests().len(), 2);
}

fn a_response_with_too_large_a_head_is_502(tier: Tier) {
    let origin = Origin::answering(|request| match request.target.as_str() {
        "/bytes" => response(200, &[("A", &"x".repeat(20_000))], ""),
        "/fields" => response(200, &[("A", "x"); 120], ""),
        _ => response(200, &[("A", &"x".repeat(12_000))], "fine"),
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for (path, status) in [("/bytes", 502), ("/fields", 502), ("/", 200)] {
        assert_eq!(client.get(path).status, status, "{path}");
    }
    assert_eq!(origin.connections(), 3);
}
