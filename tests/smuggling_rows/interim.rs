//! Interim responses, and 101. Sections are of RFC 9110 unless another document is named.

use super::{Asked, Outcome, Refused, ResponseRow, Seen, Text, answer};
use Outcome::{Bad, Got, GotLast};

/// The final response behind the others.
const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Before [`HELLO`], and what the client gets before it.
const SEEN: &[Seen] = &[
    ("15.2", "100 that nobody asked for", b"HTTP/1.1 100 Continue\r\n\r\n", &["100 Continue", OK]),
    ("15.2", "100 of HTTP/1.0", b"HTTP/1.0 100 Continue\r\n\r\n", &["100 Continue", OK]),
    (
        "15.2",
        "an unknown interim response",
        b"HTTP/1.1 199 X\r\nA: b\r\n\r\n",
        &["199 X\na: b", OK],
    ),
    (
        "15.2",
        "two interim responses",
        b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Hints\r\nLink: </b>\r\n\r\n",
        &["103 Hints\nlink: </a>", "103 Hints\nlink: </b>", OK],
    ),
    (
        "9112 6.1",
        "an interim response with a length",
        b"HTTP/1.1 103 Hints\r\nContent-Length: 5\r\n\r\n",
        &["103 Hints", OK],
    ),
    (
        "9112 6.1",
        "an interim response with an encoding",
        b"HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\n\r\n",
        &["103 Hints", OK],
    ),
    (
        "7.6.1",
        "an interim response with fields of the hop",
        b"HTTP/1.1 103 Hints\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\n\r\n",
        &["103 Hints", OK],
    ),
];

const OK: Text = "200 OK\ncontent-length: 5\n\nhello";

/// Before [`HELLO`], and refused.
const REFUSED: &[Refused] = &[
    (
        "15.2",
        "an interim response with a body",
        b"HTTP/1.1 103 Hints\r\nContent-Length: 5\r\n\r\nhello",
    ),
    (
        "15.2",
        "an interim response with chunks",
        b"HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("9112 2.2", "an empty line behind an interim response", b"HTTP/1.1 103 Hints\r\n\r\n\r\n"),
    (
        "9112 6.3",
        "an interim response with both",
        b"HTTP/1.1 103 Hints\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    ("9112 5.2", "an interim response with a fold", b"HTTP/1.1 103 Hints\r\nLink: a\r\n b\r\n\r\n"),
    (
        "15.2.2",
        "101 that nobody asked for",
        b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ),
];

pub(super) fn rows() -> Vec<ResponseRow> {
    let before = |head: &[u8]| [head, HELLO].concat();
    let passed = SEEN.iter().map(|line| answer(line.0, line.1, before(line.2), Got(line.3)));
    let refused = REFUSED.iter().map(|line| answer(line.0, line.1, before(line.2), Bad));
    passed.chain(refused).chain(others()).collect()
}

fn others() -> Vec<ResponseRow> {
    let hints = b"HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n";
    let hints_then_hello = [&hints[..], HELLO].concat();
    vec![
        answer(
            "15.2",
            "no interim response to HTTP/1.0",
            hints_then_hello.clone(),
            Got(&["200 OK\nconnection: keep-alive\ncontent-length: 5\n\nhello"]),
        )
        .to(Asked::Old),
        answer("15.2", "nothing behind an interim response", hints, Bad).closing(),
        answer(
            "15.2",
            "an interim response behind the final one",
            [HELLO, hints].concat(),
            GotLast(&[OK]),
        ),
        answer(
            "15.2.2",
            "101 without Upgrade",
            b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\n\r\n",
            Bad,
        )
        .to(Asked::Upgrade),
        answer(
            "15.2.2",
            "101 without Connection",
            b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\n\r\n",
            Bad,
        )
        .to(Asked::Upgrade),
        answer("7.8", "no switch", HELLO, Got(&[OK])).to(Asked::Upgrade),
        answer(
            "15.2",
            "an interim response before no switch",
            hints_then_hello,
            Got(&["103 Hints\nlink: a", OK]),
        )
        .to(Asked::Upgrade),
    ]
}
