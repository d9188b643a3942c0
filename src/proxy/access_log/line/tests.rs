//! Whole lines.

use super::*;
use crate::http1::{FieldStorage, HeadLimits, parse_request};
use crate::plan::{Address, ServerId, ServerState};
use crate::proxy::access_log::capture::Wanted;

const LIMITS: HeadLimits = HeadLimits { bytes: 4096, fields: 64 };

fn server(address: &str) -> ServerPlan {
    ServerPlan {
        id: ServerId(3),
        address: address.parse::<Address>().unwrap(),
        host: "app.internal:80".into(),
        weight: 1,
        backup: false,
        max_connections: None,
        state: ServerState::Up,
        passive: None,
    }
}

fn captured(format: &LogFormat, head: &str) -> Capture {
    let mut storage = FieldStorage::new();
    let parsed = parse_request(head.as_bytes(), &mut storage, &LIMITS).unwrap();
    let mut capture = Capture::default();
    capture.take(&Wanted::new(format, 1), &parsed, head.as_bytes());
    capture
}

fn entry(server: Option<&ServerPlan>) -> Entry<'_> {
    let ms = 1_000_000;
    Entry {
        client: Some([192, 0, 2, 1].into()),
        status: 200,
        sent: 12,
        received: 3,
        attempts: 2,
        phases: Phases {
            started: ms,
            head: 2 * ms,
            leased: 4 * ms,
            connected: 4 * ms + 70_000,
            first_byte: 20 * ms,
            ended: 1_030 * ms,
        },
        route: Some("a \"b\""),
        upstream: Some("app"),
        server,
        id: 0xab,
        trace: Some(TraceContext { trace_id: 0x1f, span_id: 0x2e, flags: 1 }),
    }
}

/// The line in this format with this head.
fn put(format: &LogFormat, capture: &Capture, entry: &Entry<'_>) -> String {
    let moment = Moment {
        local: "21/Nov/2026:22:27:52 +0000",
        iso: "2026-11-21T22:27:52+00:00",
        milliseconds: 1_795_300_072_005,
    };
    let about = About { moment, generation: 1, shard: 1, process: 99 };
    let mut out = Vec::new();
    put_line(&mut out, format, &Line { about, capture, entry });
    String::from_utf8(out).unwrap()
}

/// The line in this format for this request.
fn line(format: &LogFormat, head: &str) -> String {
    let (capture, server) = (captured(format, head), server("127.0.0.1:3000"));
    put(format, &capture, &entry(Some(&server)))
}

fn custom(format: &str) -> LogFormat {
    LogFormat::parse(format, Escape::Default).unwrap()
}

const HEAD: &str = "GET /a%20b?c=\"d\\ HTTP/1.1\r\nHost: x.org:8080\r\nReferer: http://r/\u{fc}\r\n\
                    User-Agent: me \"quoted\"\r\nX-Id: 7\r\n\r\n";

#[test]
fn combined() {
    assert_eq!(
        line(&LogFormat::combined(), HEAD),
        "192.0.2.1 - - [21/Nov/2026:22:27:52 +0000] \"GET /a%20b?c=\\x22d\\x5C HTTP/1.1\" 200 12 \
         \"http://r/\\xC3\\xBC\" \"me \\x22quoted\\x22\"\n"
    );
}

#[test]
fn json() {
    assert_eq!(
        line(&LogFormat::json(), HEAD),
        "{\"time\":\"2026-11-21T22:27:52+00:00\",\"client\":\"192.0.2.1\",\"method\":\"GET\",\
         \"host\":\"x.org\",\"uri\":\"/a%20b?c=\\\"d\\\\\",\"protocol\":\"HTTP/1.1\",\
         \"status\":200,\"bytes\":12,\"request_bytes\":3,\"referer\":\"http://r/\u{fc}\",\
         \"user_agent\":\"me \\\"quoted\\\"\",\"request_id\":\"00000000000000ab\",\
         \"route\":\"a \\\"b\\\"\",\"upstream\":\"app\",\"server\":\"127.0.0.1:3000\",\
         \"attempts\":2,\"head\":0.001000,\"queue\":0.002000,\"connect\":0.000070,\
         \"first_byte\":0.015930,\"body\":1.010000,\"total\":1.029000,\
         \"trace_id\":\"0000000000000000000000000000001f\",\"span_id\":\"000000000000002e\"}\n"
    );
}

#[test]
fn every_variable_has_a_value() {
    for (name, expected) in [
        ("msec", "1795300072.005"),
        ("request_method", "GET"),
        ("request_uri", "/a%20b?c=\\x22d\\x5C"),
        ("uri", "/a%20b"),
        ("args", "c=\\x22d\\x5C"),
        ("server_protocol", "HTTP/1.1"),
        ("host", "x.org"),
        ("scheme", "http"),
        ("http_x_id", "7"),
        ("http_x_none", "-"),
        ("remote_user", "-"),
        ("request_body_bytes", "3"),
        ("request_time", "1.029"),
        ("upstream_addr", "127.0.0.1:3000"),
        ("upstream_connect_time", "0.000"),
        ("upstream_header_time", "0.016"),
        ("upstream_response_time", "1.026"),
        ("server", "app.internal:80"),
        ("upstream", "app"),
        ("route", "a \\x22b\\x22"),
        ("attempts", "2"),
        ("head_time", "0.001000"),
        ("queue_time", "0.002000"),
        ("connect_time", "0.000070"),
        ("first_byte_time", "0.015930"),
        ("body_time", "1.010000"),
        ("total_time", "1.029000"),
        ("request_id", "00000000000000ab"),
        ("trace_id", "0000000000000000000000000000001f"),
        ("span_id", "000000000000002e"),
        ("shard", "1"),
        ("pid", "99"),
    ] {
        assert_eq!(line(&custom(&format!("<${name}>")), HEAD), format!("<{expected}>\n"), "{name}");
    }
}

#[test]
fn what_never_happened_has_no_value() {
    let mut capture = Capture::default();
    capture.take_broken(b"\x16\x03\x01");
    let mut entry = entry(None);
    entry.phases = Phases { started: 5, ended: 1_005, ..Phases::default() };
    (entry.client, entry.route, entry.upstream, entry.trace) = (None, None, None, None);
    let all = "$remote_addr $request $request_uri $uri $host $upstream_addr $route $head_time \
               $queue_time $first_byte_time $total_time $trace_id";
    assert_eq!(
        put(&custom(all), &capture, &entry),
        "unix: \\x16\\x03\\x01 - - - - - - - - 0.000001 -\n"
    );
    let quoted = LogFormat::parse("\"$request\" \"$route\"", Escape::Json).unwrap();
    assert_eq!(put(&quoted, &capture, &entry), "\"\\u0016\\u0003\\u0001\" \"\"\n");
}

#[test]
fn servers_are_written_as_addresses() {
    for address in ["[::1]:80", "10.255.0.9:65535", "unix:/run/app.sock"] {
        let server = server(address);
        let capture = Capture::default();
        let line = put(&custom("$upstream_addr"), &capture, &entry(Some(&server)));
        assert_eq!(line, format!("{address}\n"));
    }
}
