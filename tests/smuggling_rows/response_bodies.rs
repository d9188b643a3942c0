//! Bodies of responses, and what follows them. Sections are of RFC 9112 unless another document is
//! named.

use super::{Asked, Outcome, Refused, ResponseRow, Text, answer};
use Outcome::{BadInBody, BrokenOff, Got, GotLast};

/// Chunked bodies that are refused.
const REFUSED: &[Refused] = &[
    ("7.1", "no hexadecimal digit", b"x\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "no size", b"\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "negative size", b"-5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "prefixed size", b"0x5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "space behind the size", b"5 \r\nhello\r\n0\r\n\r\n"),
    ("7.1", "size of 2^64 + 5", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "bare LF behind a size", b"5\nhello\r\n0\r\n\r\n"),
    ("7.1", "bare CR behind a size", b"5\rhello\r\n0\r\n\r\n"),
    ("7.1", "bare LF behind a chunk", b"5\r\nhello\n0\r\n\r\n"),
    ("7.1", "nothing behind a chunk", b"5\r\nhello0\r\n\r\n"),
    ("7.1", "chunk longer than its size", b"4\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "a bad size behind a good chunk", b"5\r\nhello\r\ng\r\n"),
    ("7.1", "bare LF as the end", b"5\r\nhello\r\n0\r\n\n"),
    ("7.1.1", "bare LF in an extension", b"5;\nhello\r\n0\r\n\r\n"),
    ("7.1.1", "NUL in an extension", b"5;\0\r\nhello\r\n0\r\n\r\n"),
    ("7.1.2", "trailer without a colon", b"0\r\nHTTP/1.1 200 OK\r\n\r\n"),
    ("7.1.2", "folded trailer", b"0\r\nA: b\r\n c\r\n\r\n"),
    ("7.1.2", "bare CR in a trailer", b"0\r\nA: b\rc\r\n\r\n"),
];

/// Another response, which nobody asked for.
const WRONG: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong";

const HELLO: &[Text] = &["200 OK\ncontent-length: 5\n\nhello"];
const CHUNKS: &[Text] = &["200 OK\ntransfer-encoding: chunked\n\nhello"];

fn chunks(body: &[u8]) -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", body].concat()
}

pub(super) fn rows() -> Vec<ResponseRow> {
    let refusals = REFUSED.iter().map(|line| answer(line.0, line.1, chunks(line.2), BadInBody));
    refusals.chain(chunked()).chain(by_length()).chain(until_close()).chain(without()).collect()
}

fn chunked() -> Vec<ResponseRow> {
    let whole = b"5\r\nhello\r\n0\r\n\r\n";
    vec![
        answer("7.1", "chunks", chunks(whole), Got(CHUNKS)),
        answer(
            "7.1",
            "chunked in capitals, with tabs",
            [&b"HTTP/1.1 200 OK\r\ntransfer-encoding:\tCHUNKED\t\r\n\r\n"[..], whole].concat(),
            Got(CHUNKS),
        ),
        answer("7.1.1", "extensions", chunks(b"5;a=\"b\"\r\nhello\r\n0;c\r\n\r\n"), Got(CHUNKS)),
        answer(
            "9110 6.5.1",
            "trailers",
            chunks(
                b"5\r\nhello\r\n0\r\nSum: 1\r\nContent-Length: 1\r\nSet-Cookie: a\r\n\
                  Transfer-Encoding: chunked\r\nLocation: /\r\n\r\n",
            ),
            Got(&["200 OK\ntransfer-encoding: chunked\n\nhello\n\nsum: 1"]),
        ),
        answer(
            "9110 7.6.1",
            "trailers that Connection names",
            b"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nTransfer-Encoding: chunked\r\n\r\n\
              5\r\nhello\r\n0\r\nX-HOP: 1\r\nSum: 2\r\n\r\n",
            Got(&["200 OK\ntransfer-encoding: chunked\n\nhello\n\nsum: 2"]),
        ),
        answer(
            "9.2",
            "another response behind chunks",
            [chunks(whole), WRONG.into()].concat(),
            GotLast(CHUNKS),
        ),
        answer(
            "9.2",
            "an empty line behind chunks",
            [chunks(whole), b"\r\n".into()].concat(),
            GotLast(CHUNKS),
        ),
        answer(
            "7.1.2",
            "1,000 trailers",
            chunks(&[b"0\r\n", &b"A: 01234\r\n".repeat(1_000)[..], b"\r\n"].concat()),
            BadInBody,
        ),
        answer("8", "cut in a size", chunks(b"5\r\nhello\r\n0"), BrokenOff).closing(),
        answer("8", "cut in a chunk", chunks(b"5\r\nhel"), BrokenOff).closing(),
        answer("8", "cut behind a chunk", chunks(b"5\r\nhello\r\n"), BrokenOff).closing(),
        answer("8", "cut in the trailers", chunks(b"5\r\nhello\r\n0\r\nA: b\r\n"), BrokenOff)
            .closing(),
        answer("8", "cut before the last CRLF", chunks(b"5\r\nhello\r\n0\r\n"), BrokenOff)
            .closing(),
        answer(
            "7.1",
            "chunks to HTTP/1.0",
            chunks(whole),
            Got(&["200 OK\nconnection: close\n\nhello"]),
        )
        .to(Asked::Old),
    ]
}

fn by_length() -> Vec<ResponseRow> {
    let hello = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    vec![
        answer("6.2", "a length", hello, Got(HELLO)),
        answer(
            "6.2",
            "zeros before a length",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0005\r\n\r\nhello",
            Got(HELLO),
        ),
        answer("9.2", "another response behind it", [hello, WRONG].concat(), GotLast(HELLO)),
        answer("9.2", "a byte behind it", [&hello[..], b"!"].concat(), GotLast(HELLO)),
        answer("9.2", "an empty line behind it", [&hello[..], b"\r\n"].concat(), GotLast(HELLO)),
        answer(
            "9.2",
            "a response behind no body",
            [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", WRONG].concat(),
            GotLast(&["200 OK\ncontent-length: 0"]),
        ),
        answer(
            "8",
            "a body cut short",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
            BrokenOff,
        )
        .closing(),
        answer("8", "no body at all", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", BrokenOff)
            .closing(),
        answer("8", "a head cut short", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", Outcome::Bad)
            .closing(),
        answer("8", "a status line cut short", b"HTTP/1.1 2", Outcome::Bad).closing(),
        answer("8", "nothing", b"", Outcome::Bad).closing(),
    ]
}

fn until_close() -> Vec<ResponseRow> {
    vec![
        answer(
            "6.3",
            "neither length nor encoding",
            b"HTTP/1.1 200 OK\r\n\r\nhello",
            GotLast(CHUNKS),
        )
        .closing(),
        answer("6.3", "neither, on HTTP/1.0", b"HTTP/1.0 200 OK\r\n\r\nhello", GotLast(CHUNKS))
            .closing(),
        answer(
            "6.3",
            "neither, and a body like a response",
            b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
            GotLast(&["200 OK\ntransfer-encoding: chunked\n\nHTTP/1.1 404 No\r\n\
              Content-Length: 0\r\n\r\n"]),
        )
        .closing(),
        answer(
            "6.3",
            "neither, to HTTP/1.0",
            b"HTTP/1.1 200 OK\r\n\r\nhello",
            GotLast(&["200 OK\nconnection: close\n\nhello"]),
        )
        .to(Asked::Old)
        .closing(),
        answer(
            "6.3",
            "an underscore in a length is no length",
            b"HTTP/1.1 200 OK\r\nContent_Length: 1\r\n\r\nhello",
            GotLast(&["200 OK\ncontent_length: 1\ntransfer-encoding: chunked\n\nhello"]),
        )
        .closing(),
    ]
}

/// Responses that have no body whatever their fields say (RFC 9112 §6.3, 1).
fn without() -> Vec<ResponseRow> {
    const NO_CONTENT: &[Text] = &["204 No"];
    const NOT_MODIFIED: &[Text] = &["304 No\ncontent-length: 5"];
    let head =
        |name, sent: &[u8], outcome| answer("9110 9.3.2", name, sent, outcome).to(Asked::Head);
    vec![
        answer("6.3", "204", b"HTTP/1.1 204 No\r\n\r\n", Got(NO_CONTENT)),
        answer(
            "9110 8.6",
            "204 with a length",
            b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n",
            Got(NO_CONTENT),
        ),
        answer(
            "6.3",
            "204 with a body",
            b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello",
            GotLast(NO_CONTENT),
        ),
        answer(
            "6.1",
            "204 with an encoding",
            b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n",
            Got(NO_CONTENT),
        ),
        answer(
            "6.1",
            "204 with chunks",
            b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            GotLast(NO_CONTENT),
        ),
        answer(
            "9.2",
            "204 and another response",
            [b"HTTP/1.1 204 No\r\n\r\n", WRONG].concat(),
            GotLast(NO_CONTENT),
        ),
        answer(
            "6.3",
            "304 with a length",
            b"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n",
            Got(NOT_MODIFIED),
        ),
        answer(
            "6.3",
            "304 with a body",
            b"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\nhello",
            GotLast(NOT_MODIFIED),
        ),
        answer(
            "6.1",
            "304 with an encoding",
            b"HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n",
            Got(&["304 No"]),
        ),
        head(
            "HEAD",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            Got(&["200 OK\ncontent-length: 5"]),
        ),
        head(
            "HEAD with a body",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            GotLast(&["200 OK\ncontent-length: 5"]),
        ),
        head(
            "HEAD with an encoding",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            Got(&["200 OK"]),
        ),
        head(
            "HEAD with chunks",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            GotLast(&["200 OK"]),
        ),
        head("HEAD with neither", b"HTTP/1.1 200 OK\r\n\r\n", Got(&["200 OK"])),
        head(
            "HEAD with another response",
            &[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", WRONG].concat(),
            GotLast(&["200 OK\ncontent-length: 5"]),
        ),
        head(
            "HEAD with both",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            Outcome::Bad,
        ),
    ]
}
