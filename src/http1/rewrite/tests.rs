//! Heads as text: what came in, what goes out.

use super::*;
use crate::http1::{
    FieldStorage, HeadLimits, TraceContext, Version, parse_request as parse, parse_response,
};

const LIMITS: HeadLimits = HeadLimits { bytes: 4096, fields: 64 };

fn no_edits() -> FieldEdits {
    FieldEdits::default()
}

/// Forwards a request, given and returned without CR and without the empty line.
fn request_with(input: &str, how: &RequestRewrite<'_>) -> String {
    let input = format!("{input}\n\n").replace('\n', "\r\n");
    let mut storage = FieldStorage::new();
    let mut out = b"before ".to_vec();
    write_request(&mut out, &parse(input.as_bytes(), &mut storage, &LIMITS).unwrap(), how);
    let out = String::from_utf8(out).unwrap().replace("\r\n", "\n");
    out.strip_prefix("before ").unwrap().strip_suffix("\n\n").unwrap().to_owned()
}

fn request(input: &str) -> String {
    request_from(input, false)
}

fn plain(edits: &FieldEdits) -> RequestRewrite<'_> {
    RequestRewrite::plain(Some([192, 0, 2, 10].into()), edits)
}

/// Forwards a request from a peer that is trusted, or not.
fn request_from(input: &str, trusted: bool) -> String {
    request_with(input, &RequestRewrite { trusted, ..plain(&no_edits()) })
}

/// What every request gets from this client.
const ADDED: &str = "X-Forwarded-For: 192.0.2.10\nX-Forwarded-Host: a\nX-Forwarded-Proto: http\n\
                     Via: 1.1 corelane";

#[test]
fn usual_request() {
    let input = "GET /p?q HTTP/1.1\nUser-Agent: x\nhost: a\nAccept:*/*\nConnection: keep-alive\n\
                 Cookie: c=d";
    let expected = "GET /p?q HTTP/1.1\nHost: a\nUser-Agent: x\nAccept:*/*\nCookie: c=d\n";
    assert_eq!(request(input), format!("{expected}{ADDED}"));
}

#[test]
fn hop_by_hop_fields_stay() {
    let input = "GET / HTTP/1.1\nHost: a\nKeep-Alive: 5\nProxy-Connection: x\n\
                 Proxy-Authorization: x\nTE: deflate\nUpgrade: websocket\n\
                 Connection: X-Hop, Host, Cookie, x-forwarded-for\nX-Hop: 1\n\
                 Cookie: c\nx-hop: 2\nContent_Length: 5\nX-Last: 1";
    assert_eq!(request(input), format!("GET / HTTP/1.1\nHost: a\nCookie: c\nX-Last: 1\n{ADDED}"));
}

#[test]
fn framing_is_canonical() {
    let input = "POST / HTTP/1.1\nHost: a\ncontent-length:\t 007 ";
    assert_eq!(request(input), format!("POST / HTTP/1.1\nHost: a\nContent-Length: 7\n{ADDED}"));
    let input = "POST / HTTP/1.1\nHost: a\nContent-Length: 0";
    assert_eq!(request(input), format!("POST / HTTP/1.1\nHost: a\nContent-Length: 0\n{ADDED}"));
    let input = "POST / HTTP/1.1\nHost: a\ntransfer-encoding:\tChunked\t";
    let expected = "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n";
    assert_eq!(request(input), format!("{expected}{ADDED}"));
}

#[test]
fn upgrade_and_trailers() {
    let input = "GET / HTTP/1.1\nHost: a\nConnection: TE, upgrade\nUpgrade: websocket\n\
                 TE: gzip, trailers";
    let expected = "GET / HTTP/1.1\nHost: a\nUpgrade: websocket\nConnection: upgrade, TE\n\
                    TE: trailers\n";
    assert_eq!(request(input), format!("{expected}{ADDED}"));
}

/// One hop less for OPTIONS and TRACE; for other methods the field means nothing
/// (RFC 9110 §7.6.2).
#[test]
fn hops() {
    for (line, fields, expected) in [
        ("OPTIONS /", "Max-Forwards: 5\nX: 1", "X: 1\nMax-Forwards: 4"),
        ("OPTIONS *", "X: 1\nmax-forwards: 1\nMax-Forwards: 9", "X: 1\nMax-Forwards: 0"),
        ("TRACE /", "Max-Forwards: 10", "Max-Forwards: 9"),
        ("OPTIONS /", "Max-Forwards: many", "Max-Forwards: many"),
        ("GET /", "Max-Forwards: 5", "Max-Forwards: 5"),
    ] {
        let got = request(&format!("{line} HTTP/1.1\nHost: a\n{fields}"));
        assert_eq!(got, format!("{line} HTTP/1.1\nHost: a\n{expected}\n{ADDED}"));
    }
}

#[test]
fn earlier_proxies() {
    let input = "GET / HTTP/1.1\nHost: a\nX-Forwarded-For: 203.0.113.1\nVia: 1.1 b\n\
                 x-forwarded-for:\nX-Forwarded-For: 203.0.113.2\nX-Forwarded-Proto: https\n\
                 forwarded: for=203.0.113.1\nX-Forwarded-Host: b\nX-Request-Id: 7";
    let expected = format!("GET / HTTP/1.1\nHost: a\nVia: 1.1 b\nX-Request-Id: 7\n{ADDED}");
    assert_eq!(request(input), expected, "nobody vouches for it");
    let expected = "GET / HTTP/1.1\nHost: a\nVia: 1.1 b\nX-Forwarded-Proto: https\n\
                    forwarded: for=203.0.113.1\nX-Forwarded-Host: b\nX-Request-Id: 7\n\
                    X-Forwarded-For: 203.0.113.1, 203.0.113.2, 192.0.2.10\n\
                    Forwarded: for=192.0.2.10;proto=http\nVia: 1.1 corelane";
    assert_eq!(request_from(input, true), expected);
    let input = "GET / HTTP/1.1\nHost: a\nX-Forwarded-For:\nX-Forwarded-Proto:\nForwarded:\n\
                 X-Forwarded-Host:";
    let expected = format!("GET / HTTP/1.1\nHost: a\n{ADDED}");
    assert_eq!(request_from(input, true), expected, "fields that say nothing");
}

#[test]
fn old_clients() {
    let input = "PUT / HTTP/1.0\nExpect: 100-continue\nContent-Length: 1";
    let expected = "PUT / HTTP/1.1\nHost: \nContent-Length: 1\nX-Forwarded-For: 192.0.2.10\n\
                    X-Forwarded-Proto: http\nVia: 1.0 corelane";
    assert_eq!(request(input), expected);
}

#[test]
fn absolute_targets() {
    for (line, expected) in [
        ("GET http://b:80/p?q", "GET /p?q"),
        ("GET http://b:80?q", "GET /?q"),
        ("GET https://b:80", "GET /"),
        ("OPTIONS http://b:80", "OPTIONS *"),
    ] {
        let added = ADDED.replace("Host: a", "Host: b:80");
        let expected = format!("{expected} HTTP/1.1\nHost: b:80\n{added}");
        assert_eq!(request(&format!("{line} HTTP/1.1\nHost: a")), expected);
    }
}

#[test]
fn clients_and_ids() {
    let edits = &no_edits();
    let how = |ip: Option<&str>| RequestRewrite {
        client_ip: ip.map(|ip| ip.parse().unwrap()),
        trusted: ip.is_none() || ip == Some("2001:db8::1"),
        scheme: "https",
        request_id: Some("id"),
        ..plain(edits)
    };
    let rest = "X-Forwarded-Host: a\nX-Forwarded-Proto: https\nVia: 1.1 corelane\nX-Request-Id: id";
    let start = "GET / HTTP/1.1\nHost: a";
    for (ip, field) in [
        (None, ""),
        (Some("255.0.10.1"), "X-Forwarded-For: 255.0.10.1\n"),
        (Some("2001:db8::1"), "X-Forwarded-For: 2001:db8::1\n"),
        (Some("::ffff:192.0.2.1"), "X-Forwarded-For: 192.0.2.1\n"),
    ] {
        assert_eq!(request_with(start, &how(ip)), format!("{start}\n{field}{rest}"));
    }
    let input = format!("{start}\nX-Forwarded-For: 203.0.113.1");
    let passed = request_with(&input, &how(None));
    assert_eq!(passed, format!("{input}\n{rest}"));
    let nobody = RequestRewrite { trusted: false, ..how(None) };
    assert_eq!(request_with(&input, &nobody), format!("{start}\n{rest}"));
    let input = format!("{start}\nForwarded: for=x");
    for (ip, element) in [(None, "unknown"), (Some("2001:db8::1"), "\"[2001:db8::1]\"")] {
        let passed = request_with(&input, &how(ip));
        assert!(passed.contains(&format!("\nForwarded: for={element};proto=https\n")), "{passed}");
    }
}

#[test]
fn request_edits() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let edits = &FieldEdits {
        remove: ["x-a", "via", "content-length", "x-forwarded-host"].map(String::from).to_vec(),
        set: vec![pair("host", "inner"), pair("x-b", "new"), pair("x-forwarded-for", "hidden")],
        add: vec![pair("x-b", "more"), pair("transfer-encoding", "chunked")],
    };
    let input = "PUT / HTTP/1.1\nHost: a\nX-A: 1\nX-B: 2\nX-C: 3\nVia: 1.1 b\nContent-Length: 4";
    let expected = "PUT / HTTP/1.1\nHost: inner\nX-C: 3\nContent-Length: 4\n\
                    X-Forwarded-Proto: http\nx-b: new\nx-forwarded-for: hidden\nx-b: more";
    assert_eq!(request_with(input, &plain(edits)), expected);
}

/// What cannot be read says nothing, and its `tracestate` goes with it (W3C Trace Context,
/// section 3.2.2).
#[test]
fn a_new_trace_takes_the_place_of_what_was_said() {
    let input = "GET / HTTP/1.1\nHost: a\nTraceparent: x\ntracestate: y\nX-A: 1\ntraceparent: z";
    let unchanged = "GET / HTTP/1.1\nHost: a\nTraceparent: x\ntracestate: y\nX-A: 1\n\
                     traceparent: z\n";
    assert_eq!(request(input), format!("{unchanged}{ADDED}"));
    let mut edits = no_edits();
    let context = TraceContext { trace_id: 0x1f, span_id: 0x2e, flags: 1 };
    let with = |edits: &FieldEdits| {
        let how = RequestRewrite { trace: Some(context), ..plain(edits) };
        request_with(input, &how)
    };
    let start = format!("GET / HTTP/1.1\nHost: a\nX-A: 1\n{ADDED}");
    let expected = format!("{start}\nTraceparent: 00-{:032x}-{:016x}-01", 0x1f, 0x2e);
    assert_eq!(with(&edits), expected);
    // The route's word is the last.
    edits.set.push(("traceparent".to_owned(), "set".to_owned()));
    assert_eq!(with(&edits), format!("{start}\ntraceparent: set"));
}

/// Forwards a response with `write`.
fn response(
    input: &str,
    to_head: bool,
    write: impl Fn(&mut Vec<u8>, &crate::http1::ResponseHead<'_, '_>),
) -> String {
    let input = format!("{input}\n\n").replace('\n', "\r\n");
    let mut storage = FieldStorage::new();
    let mut out = Vec::new();
    write(&mut out, &parse_response(input.as_bytes(), &mut storage, to_head, &LIMITS).unwrap());
    let out = String::from_utf8(out).unwrap().replace("\r\n", "\n");
    out.strip_suffix("\n\n").unwrap().to_owned()
}

#[test]
fn responses() {
    let edits = &FieldEdits::default();
    let hop = "Connection: x-hop\nX-Hop: 1\nKeep-Alive: 5\nProxy-Authenticate: x\nUpgrade: h2";
    let (old, new) = (Version::Http10, Version::Http11);
    let chunked = "HTTP/1.1 200 OK\nTransfer-Encoding: chunked";
    for (input, client_version, keep_alive, body, expected) in [
        (
            "HTTP/1.1 200 OK\nContent-Length: 05",
            new,
            true,
            BodyOut::AsDeclared,
            "Content-Length: 5\n",
        ),
        ("HTTP/1.1 200 OK\nContent-Length: 0", new, true, BodyOut::None, "Content-Length: 0\n"),
        ("HTTP/1.1 200 OK", new, true, BodyOut::Chunked, "Transfer-Encoding: chunked\n"),
        (chunked, new, true, BodyOut::Chunked, "Transfer-Encoding: chunked\n"),
        (chunked, old, false, BodyOut::UntilClose, "Connection: close\n"),
        (chunked, new, true, BodyOut::None, ""),
        (
            "HTTP/1.1 200 OK\nContent-Length: 5",
            old,
            true,
            BodyOut::AsDeclared,
            "Content-Length: 5\nConnection: keep-alive\n",
        ),
    ] {
        let how = ResponseRewrite { client_version, keep_alive, body, edits, set_cookie: None };
        let input = format!("{input}\n{hop}\nX-A: 1");
        let got = response(&input, false, |out, head| write_response(out, head, &how));
        assert_eq!(got, format!("HTTP/1.1 200 OK\nX-A: 1\n{expected}Via: 1.1 corelane"));
    }
}

#[test]
fn status_lines() {
    let edits = &FieldEdits::default();
    for (input, expected) in [
        (
            "HTTP/1.0 204 No Content\nContent-Length: 0",
            "HTTP/1.1 204 No Content\nVia: 1.0 corelane",
        ),
        (
            "HTTP/1.1 304 Not Modified\nContent-Length: 5",
            "HTTP/1.1 304 Not Modified\nContent-Length: 5\nVia: 1.1 corelane",
        ),
        ("HTTP/1.1 500", "HTTP/1.1 500 \nVia: 1.1 corelane"),
    ] {
        let how = ResponseRewrite {
            client_version: Version::Http11,
            keep_alive: true,
            body: BodyOut::None,
            edits,
            set_cookie: None,
        };
        assert_eq!(response(input, false, |out, head| write_response(out, head, &how)), expected);
    }
}

/// Only a 426 says what to upgrade to (RFC 9110 §15.5.22), and then Connection says so too.
#[test]
fn upgrade_required() {
    let edits = &FieldEdits::default();
    let (old, new) = (Version::Http10, Version::Http11);
    let required = "HTTP/1.1 426 Upgrade Required\nConnection: close\nupgrade: TLS/1.2, HTTP/1.1";
    let passed = "HTTP/1.1 426 Upgrade Required\nupgrade: TLS/1.2, HTTP/1.1\nContent-Length: 0\n\
                  Connection: upgrade\n";
    let stays = "HTTP/1.1 503 \nContent-Length: 0\n".to_owned();
    for (input, client_version, keep_alive, expected) in [
        (required, new, true, passed.to_owned()),
        (required, new, false, format!("{passed}Connection: close\n")),
        (required, old, true, format!("{passed}Connection: keep-alive\n")),
        ("HTTP/1.1 503\nUpgrade: h2\nConnection: upgrade", new, true, stays),
        (
            "HTTP/1.1 426 X\nConnection: upgrade\nUpgrade: ,",
            new,
            true,
            "HTTP/1.1 426 X\nContent-Length: 0\n".to_owned(),
        ),
    ] {
        let body = BodyOut::None;
        let how = ResponseRewrite { client_version, keep_alive, body, edits, set_cookie: None };
        let input = format!("{input}\nContent-Length: 0");
        let got = response(&input, false, |out, head| write_response(out, head, &how));
        assert_eq!(got, format!("{expected}Via: 1.1 corelane"));
    }
}

#[test]
fn response_edits() {
    let edits = &FieldEdits {
        remove: vec!["server".into(), "via".into()],
        set: vec![("x-frame-options".into(), "DENY".into())],
        add: vec![("set-cookie".into(), "a=b".into())],
    };
    let how = ResponseRewrite {
        client_version: Version::Http11,
        keep_alive: false,
        body: BodyOut::AsDeclared,
        edits,
        set_cookie: Some("own=1; Path=/"),
    };
    let input =
        "HTTP/1.1 200 OK\nServer: x\nX-Frame-Options: y\nSet-Cookie: c=d\nContent-Length: 1";
    let expected = "HTTP/1.1 200 OK\nSet-Cookie: c=d\nContent-Length: 1\nConnection: close\n\
                    Set-Cookie: own=1; Path=/\nx-frame-options: DENY\nset-cookie: a=b";
    assert_eq!(response(input, false, |out, head| write_response(out, head, &how)), expected);
}

#[test]
fn interim_and_switching() {
    let input = "HTTP/1.1 103 Early Hints\nLink: <a>\nConnection: x\nX: 1\nContent-Length: 5";
    let expected = "HTTP/1.1 103 Early Hints\nLink: <a>";
    assert_eq!(response(input, false, write_interim), expected);

    let input = "HTTP/1.1 101 Switching Protocols\nupgrade: websocket\nConnection: Upgrade, x\n\
                 Sec-WebSocket-Accept: k\nX: 1\nContent-Length: 0";
    let expected = "HTTP/1.1 101 Switching Protocols\nupgrade: websocket\n\
                    Sec-WebSocket-Accept: k\nConnection: upgrade\nVia: 1.1 corelane\n\
                    Set-Cookie: own=1";
    let edits = no_edits();
    let got = response(input, false, |out, head| write_switching(out, head, &edits, Some("own=1")));
    assert_eq!(got, expected);
}

#[test]
fn forwarding_fields_may_go_on_as_they_came() {
    let lines = "X-Forwarded-For: 192.0.2.1\nX-Real-IP: 192.0.2.2\nForwarded: for=x\n\
                 X-Forwarded-Proto: https\nX-Forwarded-Host: b\nX-Forwarded-Port: 1";
    let input = format!("GET / HTTP/1.1\nHost: a\n{lines}");
    let none = no_edits();
    let how = RequestRewrite { as_came: true, ..plain(&none) };
    assert_eq!(request_with(&input, &how), format!("{input}\nVia: 1.1 corelane"));
    let edits = FieldEdits { set: vec![("x-forwarded-for".into(), "me".into())], ..no_edits() };
    let how = RequestRewrite { as_came: true, ..plain(&edits) };
    let rest = lines.split_once('\n').unwrap().1;
    let expected =
        format!("GET / HTTP/1.1\nHost: a\n{rest}\nVia: 1.1 corelane\nx-forwarded-for: me");
    assert_eq!(request_with(&input, &how), expected);
}

#[test]
fn what_is_set_is_not_to_be_imitated() {
    let edits = FieldEdits { set: vec![("x-remote-user".into(), "a".into())], ..no_edits() };
    let input = "GET / HTTP/1.1\nHost: a\nX_Remote_User: root\nX-Remote-User: root\nX_Other: 1";
    let expected = format!("GET / HTTP/1.1\nHost: a\nX_Other: 1\n{ADDED}\nx-remote-user: a");
    assert_eq!(request_with(input, &plain(&edits)), expected);
}
