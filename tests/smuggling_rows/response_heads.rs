//! Heads of responses. Sections are of RFC 9112 unless another document is named.

use super::{Asked, Outcome, Refused, ResponseRow, answer};
use Outcome::{Bad, Got, GotLast};

/// Heads that are refused, each with five bytes behind it.
const REFUSED: &[Refused] = &[
    (
        "6.3",
        "length and encoding",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    (
        "6.3",
        "encoding and length",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
    ),
    (
        "6.3",
        "differing lengths",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    ),
    (
        "6.3",
        "repeated length",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n",
    ),
    ("6.3", "listed lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n"),
    ("9110 8.6", "length and a letter", b"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n"),
    ("9110 8.6", "signed length", b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n"),
    ("9110 8.6", "negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
    ("9110 8.6", "hexadecimal length", b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n"),
    ("9110 8.6", "empty length", b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n"),
    (
        "9110 8.6",
        "length of 2^64 + 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551621\r\n\r\n",
    ),
    ("6.1", "unknown encoding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"),
    ("6.1", "two encodings", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
    (
        "6.1",
        "chunked twice",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    ("6.1", "identity", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n"),
    ("6.1", "chunked with a parameter", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;a\r\n\r\n"),
    ("6.1", "empty encoding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n"),
    ("6.1", "chunked on HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    (
        "6.3",
        "both with 204",
        b"HTTP/1.1 204 No\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    (
        "6.3",
        "differing lengths with 304",
        b"HTTP/1.1 304 No\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    ),
    ("2.2", "bare LF behind the status line", b"HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\n"),
    ("2.2", "bare LF behind a field", b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 5\r\n\r\n"),
    ("2.2", "bare LF as the end", b"HTTP/1.1 200 OK\r\nContent-Length: 5\n\n"),
    ("2.2", "bare CR in a value", b"HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 5\r\n\r\n"),
    ("2.2", "bare CR in the reason", b"HTTP/1.1 200 O\rK\r\nContent-Length: 5\r\n\r\n"),
    ("2.2", "an empty line before it", b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
    ("9110 5.5", "NUL in a value", b"HTTP/1.1 200 OK\r\nA: b\0\r\nContent-Length: 5\r\n\r\n"),
    (
        "9110 5.5",
        "control byte in a value",
        b"HTTP/1.1 200 OK\r\nA: \x1b[31m\r\nContent-Length: 5\r\n\r\n",
    ),
    ("5.2", "folded value", b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 5\r\n\r\n"),
    ("5.2", "folded length", b"HTTP/1.1 200 OK\r\nContent-Length:\r\n 5\r\n\r\n"),
    ("5.1", "space before a colon", b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n"),
    ("5.1", "space before another colon", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA : b\r\n\r\n"),
    ("9110 5.1", "empty name", b"HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 5\r\n\r\n"),
    (
        "9110 5.1",
        "name that is no token",
        b"HTTP/1.1 200 OK\r\nA(b): c\r\nContent-Length: 5\r\n\r\n",
    ),
    ("5", "no colon", b"HTTP/1.1 200 OK\r\nSet-Cookie\r\nContent-Length: 5\r\n\r\n"),
    ("4", "no status", b"HTTP/1.1 OK\r\nContent-Length: 5\r\n\r\n"),
    ("4", "nothing but a version", b"HTTP/1.1\r\nContent-Length: 5\r\n\r\n"),
    ("4", "two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\n"),
    ("4", "four digits", b"HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\n"),
    ("4", "a letter in the status", b"HTTP/1.1 2O0 OK\r\nContent-Length: 5\r\n\r\n"),
    ("4", "a signed status", b"HTTP/1.1 +20 OK\r\nContent-Length: 5\r\n\r\n"),
    ("4", "two spaces before the status", b"HTTP/1.1  200 OK\r\nContent-Length: 5\r\n\r\n"),
    ("4", "a tab before the status", b"HTTP/1.1\t200 OK\r\nContent-Length: 5\r\n\r\n"),
    ("4", "a space before the version", b" HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
    ("4", "control byte in the reason", b"HTTP/1.1 200 O\x01K\r\nContent-Length: 5\r\n\r\n"),
    ("9110 15", "status 099", b"HTTP/1.1 099 OK\r\nContent-Length: 5\r\n\r\n"),
    ("9110 15", "status 000", b"HTTP/1.1 000 OK\r\nContent-Length: 5\r\n\r\n"),
    ("9110 15", "status 600", b"HTTP/1.1 600 OK\r\nContent-Length: 5\r\n\r\n"),
    ("2.3", "version 2.0", b"HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\n"),
    ("2.3", "version 1.2", b"HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\n"),
    ("2.3", "version in lower case", b"http/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
    ("2.3", "another protocol", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    ("2.3", "a radio station", b"ICY 200 OK\r\nContent-Length: 5\r\n\r\n"),
    ("2.3", "HTTP/0.9", b"hello, this is all\r\n\r\n"),
    ("2.3", "a request", b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"),
];

pub(super) fn rows() -> Vec<ResponseRow> {
    let refusals =
        REFUSED.iter().map(|line| answer(line.0, line.1, [line.2, b"hello"].concat(), Bad));
    refusals.chain(lines()).chain(fields()).chain(too_large()).collect()
}

fn lines() -> Vec<ResponseRow> {
    vec![
        answer(
            "4",
            "an empty reason",
            b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello",
            Got(&["200 \ncontent-length: 5\n\nhello"]),
        ),
        answer(
            "4",
            "no reason and no space",
            b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello",
            Got(&["200 \ncontent-length: 5\n\nhello"]),
        ),
        answer(
            "4",
            "a reason like a status line",
            b"HTTP/1.1 200 HTTP/1.1 404\tNo\r\nContent-Length: 5\r\n\r\nhello",
            Got(&["200 HTTP/1.1 404\tNo\ncontent-length: 5\n\nhello"]),
        ),
        answer(
            "4",
            "a reason beyond ASCII, which means nothing",
            b"HTTP/1.1 200 D\xe9j\xe0 vu\r\nContent-Length: 5\r\n\r\nhello",
            Got(&["200 \ncontent-length: 5\n\nhello"]),
        ),
        answer(
            "9110 15",
            "an unknown status",
            b"HTTP/1.1 599 X\r\nContent-Length: 5\r\n\r\nhello",
            Got(&["599 X\ncontent-length: 5\n\nhello"]),
        ),
        answer(
            "9110 15.3.6",
            "205 with a body",
            b"HTTP/1.1 205 Reset\r\nContent-Length: 5\r\n\r\nhello",
            Got(&["205 Reset\ncontent-length: 5\n\nhello"]),
        ),
        answer(
            "9.3",
            "HTTP/1.0 that stays",
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
            Got(&["200 OK\ncontent-length: 5\n\nhello"]),
        ),
        answer(
            "9.3",
            "HTTP/1.0 that does not",
            b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            GotLast(&["200 OK\ncontent-length: 5\n\nhello"]),
        ),
    ]
}

fn fields() -> Vec<ResponseRow> {
    vec![
        answer(
            "9110 7.6.1",
            "fields of the hop",
            b"HTTP/1.1 200 OK\r\nConnection: X-Hop, Set-Cookie\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n\
              Proxy-Authenticate: x\r\nSet-Cookie: a=b\r\nUpgrade: h2\r\n\
              Content-Length: 5\r\n\r\nhello",
            Got(&["200 OK\nset-cookie: a=b\ncontent-length: 5\n\nhello"]),
        ),
        answer(
            "9110 7.6.1",
            "a length that Connection names",
            b"HTTP/1.1 200 OK\r\nConnection: Content-Length\r\nContent-Length: 5\r\n\r\nhello",
            Got(&["200 OK\ncontent-length: 5\n\nhello"]),
        ),
        answer(
            "9110 5.3",
            "repeated names and high bytes",
            b"HTTP/1.1 200 OK\r\nSet-Cookie: b\r\nSet-Cookie: a\r\nA: \xe9\r\n\
              Content-Length: 5\r\n\r\nhello",
            Got(&["200 OK\nset-cookie: b\nset-cookie: a\na: \u{e9}\ncontent-length: 5\n\nhello"]),
        ),
        answer(
            "9.6",
            "close",
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
            GotLast(&["200 OK\ncontent-length: 5\n\nhello"]),
        ),
        answer(
            "9.6",
            "close, to a request whose body has come",
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
            GotLast(&["200 OK\ncontent-length: 5\n\nhello"]),
        )
        .to(Asked::Post),
        answer(
            "C.2.2",
            "to HTTP/1.0",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            Got(&["200 OK\nconnection: keep-alive\ncontent-length: 5\n\nhello"]),
        )
        .to(Asked::Old),
        answer(
            "9110 15.5.22",
            "426, which must name a protocol",
            b"HTTP/1.1 426 Up\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 0\r\n\r\n",
            Got(&["426 Up\nconnection: upgrade\nupgrade: x\ncontent-length: 0"]),
        ),
    ]
}

fn too_large() -> Vec<ResponseRow> {
    let with = |fields: Vec<u8>| {
        [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", &fields[..], b"\r\nhello"].concat()
    };
    let long = [b"A: ", &b"x".repeat(20_000)[..], b"\r\n"].concat();
    vec![
        answer("5", "a value of 20,000 bytes", with(long), Bad),
        answer("5", "300 fields", with(b"A: b\r\n".repeat(300)), Bad),
    ]
}
