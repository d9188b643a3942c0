//! Chunked bodies. Sections are of RFC 9112 unless another document is named.

use super::{Fate, Refused, RequestRow, Seen, row, seen};

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";

/// What is seen of `hello`, however it was cut.
const HELLO: &[&str] = &["POST /\nhost: t\ntransfer-encoding: chunked\n\nhello"];
const NOTHING: &[&str] = &["POST /\nhost: t\ntransfer-encoding: chunked"];

/// Bodies that are refused.
const REFUSED: &[Refused] = &[
    ("7.1", "no hexadecimal digit", b"g\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "no size", b"\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "an extension without a size", b";a=b\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "size with a plus", b"+5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "size with a minus", b"-5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "last chunk with a minus", b"5\r\nhello\r\n-0\r\n\r\n"),
    ("7.1", "prefixed size", b"0x5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "prefixed size in capitals", b"0X5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "suffixed size", b"5h\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "size with an underscore", b"0_5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "size with a point", b"5.0\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "size with a comma", b"5,\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "quoted size", b"\"5\"\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "size in other digits", b"\xd9\xa5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "space before the size", b" 5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "tab before the size", b"\t5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "space behind the size", b"5 \r\nhello\r\n0\r\n\r\n"),
    ("7.1", "two sizes", b"5 5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "vertical tab behind the size", b"5\x0b\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "NUL behind the size", b"5\0\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "size of 2^64 + 5", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "size of 2^128 + 5", b"100000000000000000000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "too many zeros", b"00000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "bare LF behind a size", b"5\nhello\r\n0\r\n\r\n"),
    ("7.1", "bare CR behind a size", b"5\rhello\r\n0\r\n\r\n"),
    ("7.1", "two CR behind a size", b"5\r\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "CR and another byte behind a size", b"5\rXhello\r\n0\r\n\r\n"),
    ("7.1", "bare LF behind a chunk", b"5\r\nhello\n0\r\n\r\n"),
    ("7.1", "bare CR behind a chunk", b"5\r\nhello\r0\r\n\r\n"),
    ("7.1", "two CR behind a chunk", b"5\r\nhello\r\r\n0\r\n\r\n"),
    ("7.1", "two bytes where CRLF should be", b"5\r\nhelloXX0\r\n\r\n"),
    ("7.1", "nothing where CRLF should be", b"5\r\nhello0\r\n\r\n"),
    ("7.1", "chunk longer than its size", b"4\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "chunk shorter than its size", b"6\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "chunk shorter by two", b"7\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "bare LF behind the last size", b"5\r\nhello\r\n0\n\r\n"),
    ("7.1", "bare LF as the end", b"5\r\nhello\r\n0\r\n\n"),
    ("7.1", "bare CR as the end", b"5\r\nhello\r\n0\r\n\rX"),
    ("7.1", "bytes where the end should be", b"5\r\nhello\r\n0\r\nGET / HTTP/1.1\r\n\r\n"),
    // Extensions.
    ("7.1.1", "bare LF in an extension", b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    ("7.1.1", "bare LF as an extension's end", b"5;\nhello\r\n0\r\n\r\n"),
    ("7.1.1", "bare LF at once, a request inside", b"2;\nxx\r\n45\r\n0\r\n\r\n"),
    ("7.1.1", "bare CR in an extension", b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    ("7.1.1", "two CR behind an extension", b"5;a\r\r\nhello\r\n0\r\n\r\n"),
    ("7.1.1", "NUL in an extension", b"5;a\0\r\nhello\r\n0\r\n\r\n"),
    ("7.1.1", "control byte in an extension", b"5;a=\x7f\r\nhello\r\n0\r\n\r\n"),
    ("7.1.1", "line end in a quoted value", b"5;a=\"\r\nhello\r\n\"\r\n0\r\n\r\n"),
    ("7.1.1", "bare LF in a quoted value", b"5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"),
    ("7.1.1", "white space that leads nowhere", b"5 \t\r\nhello\r\n0\r\n\r\n"),
    ("7.1.1", "bare LF in the last chunk's extension", b"5\r\nhello\r\n0;\n\r\n\r\n"),
    // Trailers.
    ("7.1.2", "NUL in a trailer", b"5\r\nhello\r\n0\r\nA: \0\r\n\r\n"),
    ("7.1.2", "control byte in a trailer", b"5\r\nhello\r\n0\r\nA: \x01\r\n\r\n"),
    ("7.1.2", "trailer without a colon", b"5\r\nhello\r\n0\r\nA\r\n\r\n"),
    ("7.1.2", "trailer without a name", b"5\r\nhello\r\n0\r\n: a\r\n\r\n"),
    ("7.1.2", "trailer whose name is no token", b"5\r\nhello\r\n0\r\nA(: a\r\n\r\n"),
    ("7.1.2", "trailer with a space before its colon", b"5\r\nhello\r\n0\r\nA : a\r\n\r\n"),
    ("7.1.2", "folded trailer", b"5\r\nhello\r\n0\r\nA: a\r\n b\r\n\r\n"),
    ("7.1.2", "space before the first trailer", b"5\r\nhello\r\n0\r\n A: a\r\n\r\n"),
    ("7.1.2", "bare LF behind a trailer", b"5\r\nhello\r\n0\r\nA: a\nB: b\r\n\r\n"),
    ("7.1.2", "bare CR in a trailer", b"5\r\nhello\r\n0\r\nA: a\rB: b\r\n\r\n"),
    ("7.1.2", "bare LF behind the trailers", b"5\r\nhello\r\n0\r\nA: a\r\n\n"),
];

/// Bodies that are passed on, chunked anew.
const SEEN: &[Seen] = &[
    ("7.1", "nothing", b"0\r\n\r\n", NOTHING),
    ("7.1", "many zeros for nothing", b"0000000000000000\r\n\r\n", NOTHING),
    ("7.1", "chunks of one byte", b"1\r\nh\r\n1\r\ne\r\n3\r\nllo\r\n0\r\n\r\n", HELLO),
    ("7.1", "zeros before a size", b"0000000000000005\r\nhello\r\n00\r\n\r\n", HELLO),
    (
        "7.1",
        "sizes in capitals and not",
        b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
        &["POST /\nhost: t\ntransfer-encoding: chunked\n\n01234567890123456789"],
    ),
    (
        "7.1",
        "payload that looks like the end",
        b"5\r\n0\r\n\r\n\r\n2\r\n\r\n\r\n0\r\n\r\n",
        &["POST /\nhost: t\ntransfer-encoding: chunked\n\n0\r\n\r\n\r\n"],
    ),
    (
        "7.1",
        "payload of any bytes",
        b"6\r\n\0\xff\r\n\n\x7f\r\n0\r\n\r\n",
        &["POST /\nhost: t\ntransfer-encoding: chunked\n\n\0\u{ff}\r\n\n\x7f"],
    ),
    ("7.1.1", "extensions", b"5;a;b=c;d=\"e f\"\r\nhello\r\n0;g\r\n\r\n", HELLO),
    ("7.1.1", "white space around an extension", b"5 \t;\ta = b \r\nhello\r\n0 ; c\r\n\r\n", HELLO),
    ("7.1.1", "an extension that looks like a size", b"5;6\r\nhello\r\n0;7\r\n\r\n", HELLO),
    ("7.1.1", "a quote that does not end", b"5;a=\"\r\nhello\r\n0\r\n\r\n", HELLO),
    ("7.1.1", "semicolons", b"5;;\r\nhello\r\n0;\r\n\r\n", HELLO),
    ("7.1.1", "high bytes in an extension", b"5;a=\"\xe9\xff\"\r\nhello\r\n0\r\n\r\n", HELLO),
    (
        "7.1.2",
        "a trailer",
        b"5\r\nhello\r\n0\r\nX-Sum:\t11 \r\n\r\n",
        &["POST /\nhost: t\ntransfer-encoding: chunked\n\nhello\n\nx-sum: 11"],
    ),
    (
        "9110 6.5.1",
        "trailers that frame",
        b"5\r\nhello\r\n0\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\nA: b\r\n\
          content_length: 2\r\nTRAILER: c\r\n\r\n",
        &["POST /\nhost: t\ntransfer-encoding: chunked\n\nhello\n\na: b"],
    ),
    (
        "9110 6.5.1",
        "trailers that route, authenticate or belong to the hop",
        b"5\r\nhello\r\n0\r\nHost: evil\r\nAuthorization: Basic x\r\nCookie: a=b\r\n\
          X-Forwarded-For: 192.0.2.9\r\nConnection: close\r\nTE: x\r\nUpgrade: x\r\n\
          Keep-Alive: x\r\nProxy-Connection: x\r\nExpect: x\r\nMax-Forwards: 0\r\n\
          Content-Type: x\r\nCache-Control: x\r\nVia: 1.1 evil\r\nForwarded: x\r\nA: b\r\n\r\n",
        &["POST /\nhost: t\ntransfer-encoding: chunked\n\nhello\n\na: b"],
    ),
];

pub(super) fn rows() -> Vec<RequestRow> {
    let whole = |body: &[u8]| [HEAD, body].concat();
    let refusals = REFUSED
        .iter()
        // A size that is not reached yet ends with the request behind it.
        .map(|line| row(line.0, line.1, whole(line.2), Fate::RefusedInBody(400)));
    let seen_bodies = SEEN.iter().map(|line| seen(line.0, line.1, whole(line.2), line.3));
    refusals.chain(seen_bodies).chain(others()).collect()
}

fn others() -> Vec<RequestRow> {
    let too_long = |status, name, body: Vec<u8>| {
        row("7.1.1", name, [HEAD, &body[..]].concat(), Fate::RefusedInBody(status))
    };
    let extension = |length: usize| format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(length));
    let trailers = |count: usize| format!("0\r\n{}\r\n", "A: 0123456789\r\n".repeat(count));
    vec![
        too_long(400, "an extension of 20,000 bytes", extension(20_000).into()),
        too_long(400, "10,000 extensions", "1;x\r\nh\r\n".repeat(10_000).into()),
        too_long(431, "1,000 trailers", trailers(1_000).into()),
        seen(
            "7.1.1",
            "an extension of 2,000 bytes",
            [HEAD, extension(2_000).as_bytes()].concat(),
            HELLO,
        ),
        seen(
            "9110 7.6.1",
            "trailers that Connection names",
            b"POST / HTTP/1.1\r\nHost: t\r\nConnection: X-Hop, ETag\r\n\
              Transfer-Encoding: chunked\r\n\r\n\
              5\r\nhello\r\n0\r\nx-hop: 1\r\nETag: \"2\"\r\nX-End: 3\r\n\r\n",
            &["POST /\nhost: t\ntransfer-encoding: chunked\n\nhello\n\netag: \"2\"\nx-end: 3"],
        ),
        seen(
            "7.1",
            "two in a row",
            [HEAD, b"1\r\na\r\n0\r\n\r\n", HEAD, b"1\r\nb\r\n0\r\n\r\n"].concat(),
            &[
                "POST /\nhost: t\ntransfer-encoding: chunked\n\na",
                "POST /\nhost: t\ntransfer-encoding: chunked\n\nb",
            ],
        ),
        seen(
            "2.2",
            "an empty line behind the end",
            [HEAD, b"1\r\na\r\n0\r\n\r\n\r\n", HEAD, b"1\r\nb\r\n0\r\n\r\n"].concat(),
            &[
                "POST /\nhost: t\ntransfer-encoding: chunked\n\na",
                "POST /\nhost: t\ntransfer-encoding: chunked\n\nb",
            ],
        ),
    ]
}
