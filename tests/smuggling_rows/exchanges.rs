//! Connection and what it names, Upgrade, Expect, methods with rules of their own, and requests
//! behind each other. Sections are of RFC 9110 unless another document is named.

use super::{Fate, RequestRow, Seen, Text, get, last, refused, row, seen};

const GET: &[Text] = &["GET /\nhost: t"];

/// GET with these field lines is passed on like this.
const SEEN: &[Seen] = &[
    ("7.6.1", "keep-alive", b"Connection: keep-alive\r\nKeep-Alive: timeout=5", GET),
    ("7.6.1", "a field of the hop", b"Connection: X-Hop\r\nX-Hop: 1\r\nx-hop: 2", GET),
    (
        "7.6.1",
        "fields of the hop before Connection",
        b"X-Hop: 1\r\nX-Other: 2\r\nConnection: x-other,,x-hop,",
        GET,
    ),
    ("7.6.1", "several Connection", b"Connection: X-A\r\nX-A: 1\r\nX-B: 2\r\nConnection: X-B", GET),
    ("7.6.1", "a name that is not there", b"Connection: X-Hop", GET),
    ("7.6.1", "an empty Connection", b"Connection:", GET),
    ("7.6.1", "a quoted option", b"Connection: \"close\"", GET),
    ("7.6.1", "an option that begins with close", b"Connection: close-not", GET),
    ("7.6.1", "Connection names itself", b"Connection: Connection", GET),
    ("7.6.1", "Connection names Host", b"Connection: Host", GET),
    (
        "7.6.1",
        "Connection names Cookie",
        b"Connection: Cookie\r\nCookie: a=b",
        &["GET /\nhost: t\ncookie: a=b"],
    ),
    (
        "7.6.1",
        "Connection names Authorization",
        b"Authorization: Basic x\r\nConnection: close-x, authorization",
        &["GET /\nhost: t\nauthorization: Basic x"],
    ),
    (
        "7.6.1",
        "Connection names what proxies add",
        b"Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, \
              X-Real-IP, Via, Forwarded\r\nX-Real-IP: 192.0.2.1",
        &["GET /\nhost: t"],
    ),
    (
        "7.6.1",
        "Connection names conditions and ranges",
        b"Connection: If-Match, Range, Cache-Control\r\nIf-Match: \"a\"\r\n\
              Range: bytes=0-1\r\nCache-Control: no-store",
        &["GET /\nhost: t\nif-match: \"a\"\nrange: bytes=0-1\ncache-control: no-store"],
    ),
    (
        "7.6.1",
        "Connection names Content-Type",
        b"Connection: Content-Type\r\nContent-Type: a/b",
        &["GET /\nhost: t\ncontent-type: a/b"],
    ),
    ("9112 C.2.2", "Proxy-Connection", b"Proxy-Connection: close", GET),
    ("11.7.2", "Proxy-Authorization", b"Proxy-Authorization: Basic x", GET),
    ("10.1.4", "TE", b"TE: gzip;q=0.5, chunked", GET),
    (
        "10.1.4",
        "TE of trailers",
        b"TE: gzip, trailers",
        &["GET /\nhost: t\nconnection: TE\nte: trailers"],
    ),
    (
        "10.1.4",
        "TE that Connection names",
        b"Connection: TE\r\nTE: trailers",
        &["GET /\nhost: t\nconnection: TE\nte: trailers"],
    ),
    (
        "7.8",
        "Upgrade to a WebSocket that is not granted",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x",
        &["GET /\nhost: t\nconnection: upgrade\nupgrade: websocket\nsec-websocket-key: x"],
    ),
    ("7.8", "Upgrade that Connection does not name", b"Upgrade: websocket", GET),
    ("7.8", "Connection that names no Upgrade", b"Connection: Upgrade", GET),
    ("7.8", "an empty Upgrade", b"Connection: Upgrade\r\nUpgrade: ,", GET),
    (
        "9113 3.1",
        "h2c",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
              HTTP2-Settings: AAMAAABkAAQAAP__",
        GET,
    ),
    (
        "9113 3.1",
        "h2c in capitals, in a list",
        b"Connection: upgrade\r\nUpgrade: websocket, H2C",
        GET,
    ),
    (
        "9113 3.1",
        "h2c in a second field",
        b"Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c",
        GET,
    ),
    ("9113 3.1", "h2c with a version", b"Connection: upgrade\r\nUpgrade: h2c/2", GET),
    (
        "10.1.1",
        "an expectation without a body",
        b"Expect: 100-continue",
        &["GET /\nhost: t\nexpect: 100-continue"],
    ),
    ("7.6.2", "Max-Forwards of GET", b"Max-Forwards: 0", &["GET /\nhost: t\nmax-forwards: 0"]),
];

/// GET with these field lines is passed on like this, and ends the connection.
const LAST: &[Seen] = &[
    ("7.6.1", "close", b"Connection: close", GET),
    ("7.6.1", "close in capitals", b"CONNECTION: CLOSE", GET),
    ("7.6.1", "close in a list", b"Connection: X-Hop , close\r\nX-Hop: 1", GET),
    ("7.6.1", "close in a second field", b"Connection: keep-alive\r\nConnection: close", GET),
    ("7.6.1", "close and keep-alive", b"Connection: close, keep-alive", GET),
];

pub(super) fn rows() -> Vec<RequestRow> {
    let stay = SEEN.iter().map(|line| seen(line.0, line.1, get(line.2), line.3));
    let end = LAST.iter().map(|line| last(line.0, line.1, get(line.2), line.3));
    stay.chain(end).chain(with_bodies()).chain(methods()).chain(in_a_row()).collect()
}

fn with_bodies() -> Vec<RequestRow> {
    vec![
        seen(
            "7.8",
            "Upgrade with a body",
            b"POST / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Content-Length: 2\r\n\r\nhi",
            &["POST /\nhost: t\ncontent-length: 2\n\nhi"],
        ),
        last(
            "7.8",
            "Upgrade on HTTP/1.0",
            b"GET / HTTP/1.0\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            GET,
        ),
        seen(
            "10.1.1",
            "an expectation whose body comes at once",
            b"POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\nhi",
            &["POST /\nhost: t\nexpect: 100-Continue\ncontent-length: 2\n\nhi"],
        ),
        last(
            "10.1.1",
            "an expectation on HTTP/1.0",
            b"POST / HTTP/1.0\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
            &["POST /\nhost: t\ncontent-length: 2\n\nhi"],
        ),
        row("10.1.1", "an unknown expectation", get(b"Expect: cake"), Fate::Refused(417)),
        row("10.1.1", "a number of another kind", get(b"Expect: 200-ok"), Fate::Refused(417)),
        row(
            "10.1.1",
            "an expectation and another",
            get(b"Expect: 100-continue, cake"),
            Fate::Refused(417),
        ),
        row(
            "10.1.1",
            "an expectation with a space",
            get(b"Expect: 100 -continue"),
            Fate::Refused(417),
        ),
        row(
            "10.1.1",
            "an expectation and a vertical tab",
            get(b"Expect: \x0b100-continue"),
            Fate::Refused(400),
        ),
        row(
            "9.3.2",
            "an unknown expectation of HEAD, refused without a body",
            b"HEAD / HTTP/1.1\r\nHost: t\r\nExpect: cake\r\n\r\n",
            Fate::Refused(417),
        ),
        refused("9.3.2", "HEAD without a Host, refused without a body", b"HEAD / HTTP/1.1\r\n\r\n"),
        row(
            "10.1.1",
            "an unknown expectation with a body behind it",
            b"POST / HTTP/1.1\r\nHost: t\r\nExpect: cake\r\nContent-Length: 32\r\n\r\n\
              GET /2 HTTP/1.1\r\nHost: evil\r\n\r\n\n",
            Fate::Refused(417),
        ),
    ]
}

/// Methods with rules of their own.
fn methods() -> Vec<RequestRow> {
    vec![
        seen("9.3.2", "HEAD", b"HEAD / HTTP/1.1\r\nHost: t\r\n\r\n", &["HEAD /\nhost: t"]),
        row("9.3.8", "TRACE", b"TRACE / HTTP/1.1\r\nHost: t\r\n\r\n", Fate::Answered(405)),
        row(
            "9.3.8",
            "TRACE at its last hop",
            b"TRACE / HTTP/1.1\r\nHost: t\r\nMax-Forwards: 0\r\n\r\n",
            Fate::Answered(405),
        ),
        row(
            "7.6.2",
            "OPTIONS at its last hop",
            b"OPTIONS / HTTP/1.1\r\nHost: t\r\nMax-Forwards: 0\r\n\r\n",
            Fate::Answered(200),
        ),
        row(
            "7.6.2",
            "OPTIONS of the asterisk at its last hop",
            b"OPTIONS * HTTP/1.1\r\nHost: t\r\nMax-Forwards: 000\r\n\r\n",
            Fate::Answered(200),
        ),
        seen(
            "7.6.2",
            "OPTIONS with one hop left",
            b"OPTIONS / HTTP/1.1\r\nHost: t\r\nMax-Forwards: 1\r\n\r\n",
            &["OPTIONS /\nhost: t\nmax-forwards: 0"],
        ),
        seen(
            "7.6.2",
            "OPTIONS with hops beyond 64 bits",
            b"OPTIONS / HTTP/1.1\r\nHost: t\r\nMax-Forwards: 99999999999999999999\r\n\r\n",
            &["OPTIONS /\nhost: t\nmax-forwards: 18446744073709551614"],
        ),
        seen(
            "7.6.2",
            "OPTIONS with hops that are no number",
            b"OPTIONS / HTTP/1.1\r\nHost: t\r\nMax-Forwards: -1\r\n\r\n",
            &["OPTIONS /\nhost: t\nmax-forwards: -1"],
        ),
        seen(
            "9.3.7",
            "OPTIONS with a body",
            b"OPTIONS * HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi",
            &["OPTIONS *\nhost: t\ncontent-length: 2\n\nhi"],
        ),
    ]
}

/// RFC 9112 §9.3.2.
fn in_a_row() -> Vec<RequestRow> {
    vec![
        seen(
            "9112 9.3.2",
            "three in a row",
            b"GET /1 HTTP/1.1\r\nHost: t\r\n\r\n\
              POST /2 HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi\
              HEAD /3 HTTP/1.1\r\nHost: t\r\n\r\n",
            &["GET /1\nhost: t", "POST /2\nhost: t\ncontent-length: 2\n\nhi", "HEAD /3\nhost: t"],
        ),
        seen(
            "9112 9.3.2",
            "HEAD before GET",
            b"HEAD /1 HTTP/1.1\r\nHost: t\r\n\r\nGET /2 HTTP/1.1\r\nHost: u\r\n\r\n",
            &["HEAD /1\nhost: t", "GET /2\nhost: u"],
        ),
        seen(
            "9112 9.3.2",
            "an answer of the proxy's own between two",
            b"GET /1 HTTP/1.1\r\nHost: t\r\n\r\nTRACE / HTTP/1.1\r\nHost: t\r\n\r\n\
              GET /2 HTTP/1.1\r\nHost: t\r\n\r\n",
            &["GET /1\nhost: t", OWN_405, "GET /2\nhost: t"],
        ),
        last(
            "9112 9.6",
            "nothing is read behind close",
            b"GET /1 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\n\
              Host: t\r\n\r\n",
            &["GET /1\nhost: t"],
        ),
        last(
            "9112 9.6",
            "nothing is read behind a body and close",
            b"POST /1 HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi\
              GET /2 HTTP/1.1\r\nHost: t\r\n\r\n",
            &["POST /1\nhost: t\ncontent-length: 2\n\nhi"],
        ),
        refused(
            "9112 9.3.2",
            "nothing is read behind a refused one",
            b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
              0\r\n\r\nGET /2 HTTP/1.1\r\nHost: t\r\n\r\nGET /3 HTTP/1.1\r\nHost: t\r\n\r\n",
        ),
        last(
            "9112 9.3.2",
            "one before a refused one",
            b"GET /1 HTTP/1.1\r\nHost: t\r\n\r\nGET /2 HTTP/1.1\r\nHost : t\r\n\r\n\
              GET /3 HTTP/1.1\r\nHost: t\r\n\r\n",
            &["GET /1\nhost: t", OWN_400],
        ),
        last(
            "9112 6.3",
            "a body with too much behind it",
            b"POST /1 HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhidden GET /2 HTTP/1.1\r\n\
              Host: t\r\n\r\n",
            &["POST /1\nhost: t\ncontent-length: 2\n\nhi", OWN_400],
        ),
        last(
            "9112 7.1",
            "chunks with too much behind them",
            b"POST /1 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n0\r\n\r\n",
            &["POST /1\nhost: t\ntransfer-encoding: chunked", OWN_400],
        ),
    ]
}

/// Among requests in a row: one that the proxy answers itself, with this status.
pub const OWN_400: Text = "400";
/// The same.
pub const OWN_405: Text = "405";
