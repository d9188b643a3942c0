//! Fields on their way through: what is added, what is removed, what stays as it was.

#[macro_use]
mod support;

use support::*;

tiered! {
    other_fields_stay_as_they_were,
    the_way_is_recorded,
    an_earlier_proxy_is_remembered,
    a_request_id_is_kept,
    conditions_and_validators_pass,
    hop_by_hop_fields_of_a_request_stay_here,
    hop_by_hop_fields_of_a_response_stay_here,
    connection_cannot_name_end_to_end_fields,
    a_route_edits_the_request,
    a_route_edits_the_response,
    a_routes_own_answers_are_edited_too,
    framing_cannot_be_edited,
}

/// What the origin receives when a client sends a GET with these field lines.
fn forwarded(proxy: &Proxy, origin: &Origin, lines: &str) -> Request {
    let already = origin.requests().len();
    let request = format!("GET /path?query HTTP/1.1\r\nHost: App.Example:8080\r\n{lines}\r\n");
    assert_eq!(proxy.client().request(request).status, 200);
    origin.await_requests(already + 1).remove(already)
}

fn other_fields_stay_as_they_were(tier: Tier) {
    let origin = Origin::saying(response(200, &[("x-TWO", "2, 3"), ("x-One", "")], "body"));
    let proxy = Proxy::before(tier, &origin);
    let request = forwarded(&proxy, &origin, "x-b: 1\r\nX-A: 2\r\nX-B:3\r\nCookie: a=b; c=d\r\n");
    assert_eq!(request.target, "/path?query");
    assert_eq!(request.field("host"), Some("App.Example:8080"));
    let kept = request.fields.iter().filter(|field| field.0.to_lowercase().starts_with("x-"));
    let kept: Vec<_> = kept.map(|field| (field.0.as_str(), field.1.as_str())).take(3).collect();
    assert_eq!(kept, [("x-b", "1"), ("X-A", "2"), ("X-B", "3")]);
    assert_eq!(request.field("cookie"), Some("a=b; c=d"));

    let response = proxy.get("/");
    assert_eq!((response.field("x-two"), response.field("x-one")), (Some("2, 3"), Some("")));
}

fn the_way_is_recorded(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let request = forwarded(&proxy, &origin, "");
    assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.field("x-forwarded-proto"), Some("http"));
    assert_eq!(request.field("x-forwarded-host"), Some("App.Example:8080"));
    assert!(request.field("via").expect("Via").starts_with("1.1 "));
    assert!(proxy.get("/").field("via").expect("Via").starts_with("1.1 "));
}

fn an_earlier_proxy_is_remembered(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let lines = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n\
                 X-Forwarded-Proto: gopher\r\nX-Forwarded-Host: evil.example\r\nVia: 1.0 fred\r\n";
    let request = forwarded(&proxy, &origin, lines);
    assert_eq!(request.field("x-forwarded-for"), Some("192.0.2.1, 192.0.2.2, 127.0.0.1"));
    assert_eq!(request.field("x-forwarded-proto"), Some("http"));
    assert_eq!(request.field("x-forwarded-host"), Some("App.Example:8080"));
    let via = request.fields.all("via").join(", ");
    assert!(via.starts_with("1.0 fred, 1.1 "), "{via}");
}

fn a_request_id_is_kept(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let request = forwarded(&proxy, &origin, "X-Request-Id: mine\r\n");
    assert_eq!(request.field("x-request-id"), Some("mine"));
}

/// Also where Connection names them: they are for the server and the client (RFC 9110 §7.6.1).
fn conditions_and_validators_pass(tier: Tier) {
    const CONDITIONS: [(&str, &str); 5] = [
        ("If-None-Match", "W/\"a\", \"b\""),
        ("If-Match", "*"),
        ("If-Modified-Since", "Sat, 29 Oct 1994 19:43:31 GMT"),
        ("If-Unmodified-Since", "Sat, 29 Oct 1994 19:43:31 GMT"),
        ("If-Range", "\"b\""),
    ];
    const VALIDATORS: [(&str, &str); 4] = [
        ("ETag", "W/\"a\""),
        ("Last-Modified", "Sat, 29 Oct 1994 19:43:31 GMT"),
        ("Vary", "Accept-Encoding"),
        ("Cache-Control", "max-age=60"),
    ];
    let origin = Origin::answering(|request| {
        let nominated = [("Connection", "etag, last-modified, vary, cache-control")];
        let fields = [&VALIDATORS[..], &nominated].concat();
        match request.target.as_str() {
            "/304" => {
                let head = String::from_utf8(response(304, &fields, "")).expect("text");
                head.replace("Content-Length: 0", "Content-Length: 4000").into_bytes()
            }
            path => response(path[1..].parse().expect("a status"), &fields, "body"),
        }
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for status in [304, 200, 412] {
        let lines: String = CONDITIONS.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
        let names = "if-none-match, if-match, if-modified-since, if-unmodified-since, if-range";
        let head =
            format!("GET /{status} HTTP/1.1\r\nHost: a\r\nConnection: {names}\r\n{lines}\r\n");
        let response = client.request(head);
        assert_eq!(response.status, status);
        let request = origin.requests().pop().expect("a request");
        for (name, value) in CONDITIONS {
            assert_eq!(request.fields.all(&name.to_lowercase()), [value]);
        }
        for (name, value) in VALIDATORS {
            assert_eq!(response.fields.all(&name.to_lowercase()), [value]);
        }
        if status == 304 {
            assert_eq!(response.field("content-length"), Some("4000"), "of the 200 it stands for");
            assert!(response.body.is_empty());
        }
    }
}

fn hop_by_hop_fields_of_a_request_stay_here(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let lines = "Connection: X-Mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
                 Proxy-Connection: keep-alive\r\nTE: gzip\r\nProxy-Authorization: x\r\n\
                 X-Yours: 2\r\n";
    let request = forwarded(&proxy, &origin, lines);
    for name in ["x-mine", "keep-alive", "proxy-connection", "te", "proxy-authorization"] {
        assert_eq!(request.field(name), None, "{name}");
    }
    assert!(!request.fields.lists("connection", "x-mine"));
    assert_eq!(request.field("x-yours"), Some("2"));
}

fn hop_by_hop_fields_of_a_response_stay_here(tier: Tier) {
    let hop_by_hop = [
        ("Connection", "X-Mine, close"),
        ("X-Mine", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "close"),
        ("X-Yours", "2"),
    ];
    let origin = Origin::saying(response(200, &hop_by_hop, "body"));
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for _ in 0..2 {
        // The origin's `close` is for the origin's connection; the client's stays.
        let response = client.get("/");
        for name in ["connection", "x-mine", "keep-alive", "proxy-connection"] {
            assert_eq!(response.field(name), None, "{name}");
        }
        assert_eq!(response.field("x-yours"), Some("2"));
    }
    assert_eq!(origin.connections(), 2);
}

fn connection_cannot_name_end_to_end_fields(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let request = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nCookie: a=b\r\n\
                   Authorization: secret\r\nX-Forwarded-For: 192.0.2.1\r\n\
                   Connection: host, content-length, cookie, authorization, x-forwarded-for\r\n\
                   \r\nbody";
    assert_eq!(proxy.client().request(request).status, 200);
    let request = origin.request();
    assert_eq!((request.field("host"), request.body.as_slice()), (Some("test"), &b"body"[..]));
    assert_eq!(request.field("cookie"), Some("a=b"));
    assert_eq!(request.field("authorization"), Some("secret"));
    assert_eq!(request.field("x-forwarded-for"), Some("192.0.2.1, 127.0.0.1"));
}

fn a_route_edits_the_request(tier: Tier) {
    let origin = Origin::named("origin");
    let route = r#"
        path = "/"
        upstream = "app"
        request_fields.set = { X-Set = "new", Host = "inside.example" }
        request_fields.add = { X-Add = "more" }
        request_fields.remove = ["X-Gone", "Cookie"]
    "#;
    let proxy = Config::new(tier).origin("app", &origin).route(route).start();
    let lines =
        "X-Set: old\r\nx-set: older\r\nX-Add: some\r\nX-Gone: 1\r\nx-gone: 2\r\nCookie: c\r\n";
    let request = forwarded(&proxy, &origin, lines);
    assert_eq!(request.field("x-set"), Some("new"));
    assert_eq!(request.fields.all("x-add"), ["some", "more"]);
    assert_eq!((request.field("x-gone"), request.field("cookie")), (None, None));
    assert_eq!(request.field("host"), Some("inside.example"));
}

fn a_route_edits_the_response(tier: Tier) {
    let theirs = [("X-Set", "old"), ("X-Gone", "1"), ("Set-Cookie", "a"), ("Server", "s")];
    let origin = Origin::saying(response(200, &theirs, ""));
    let route = r#"
        path = "/"
        upstream = "app"
        response_fields.set = { X-Set = "new" }
        response_fields.add = { Set-Cookie = "b" }
        response_fields.remove = ["X-Gone", "server"]
    "#;
    let proxy = Config::new(tier).origin("app", &origin).route(route).start();
    let response = proxy.get("/");
    assert_eq!(response.field("x-set"), Some("new"));
    assert_eq!(response.fields.all("set-cookie"), ["a", "b"]);
    assert_eq!((response.field("x-gone"), response.field("server")), (None, None));
}

fn a_routes_own_answers_are_edited_too(tier: Tier) {
    let route = r#"
        path = "/"
        respond = { status = 200, body = "fixed" }
        response_fields = { set = { X-Set = "new" } }
    "#;
    let proxy = Config::new(tier).route(route).start();
    assert_eq!(proxy.get("/").field("x-set"), Some("new"));
}

fn framing_cannot_be_edited(tier: Tier) {
    let origin = origin_echoes();
    let edits = r#"{ set = { Content-Length = "1" }, remove = ["Transfer-Encoding"] }"#;
    let route = format!("path = \"/\"\nupstream = \"app\"\nrequest_fields = {edits}");
    // Refused when it is read, or without effect: both are safe.
    let config = Config::new(tier).origin("app", &origin).route(&route);
    let exit = config.run_to_end(&["check"]);
    if exit.status.success() {
        assert_eq!(config.start().client().post("/", "whole body").text(), "whole body");
    }
}
