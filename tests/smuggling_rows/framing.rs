//! Content-Length and Transfer-Encoding. Sections that name no other document are of RFC 9112.

use super::{Fate, Refused, RequestRow, Seen, last, post, refused, row, seen};

/// What the origin sees of the 15 bytes as 15 bytes.
const BY_LENGTH: &[&str] = &["POST /\nhost: t\ncontent-length: 15\n\n5\r\nhello\r\n0\r\n\r\n"];
/// What it sees of the chunk.
const BY_CHUNKS: &[&str] = &["POST /\nhost: t\ntransfer-encoding: chunked\n\nhello"];

/// POST with these field lines is refused.
const REFUSED: &[Refused] = &[
    // Both.
    ("6.3", "length and encoding", b"Content-Length: 15\r\nTransfer-Encoding: chunked"),
    ("6.3", "encoding and length", b"Transfer-Encoding: chunked\r\nContent-Length: 15"),
    ("6.3", "no length and encoding", b"Content-Length: 0\r\nTransfer-Encoding: chunked"),
    ("6.3", "both in capitals", b"CONTENT-LENGTH: 15\r\nTRANSFER-ENCODING: CHUNKED"),
    ("6.3", "both in lower case", b"content-length:15\r\ntransfer-encoding:chunked"),
    ("6.3", "both, far apart", b"Content-Length: 15\r\nA: b\r\nTransfer-Encoding: chunked"),
    ("6.3", "length and identity", b"Content-Length: 15\r\nTransfer-Encoding: identity"),
    ("6.3", "length and no encoding", b"Content-Length: 15\r\nTransfer-Encoding:"),
    (
        "6.3",
        "length between two encodings",
        b"Transfer-Encoding: x\r\nContent-Length: 15\r\nTransfer-Encoding: chunked",
    ),
    (
        "6.3",
        "length and an encoding that Connection names",
        b"Content-Length: 15\r\nTransfer-Encoding: chunked\r\nConnection: Transfer-Encoding",
    ),
    (
        "6.3",
        "encoding and a length that Connection names",
        b"Content-Length: 15\r\nTransfer-Encoding: chunked\r\nConnection: Content-Length",
    ),
    // Lengths.
    ("6.3", "differing lengths", b"Content-Length: 5\r\nContent-Length: 15"),
    ("6.3", "differing lengths, long before short", b"Content-Length: 15\r\nContent-Length: 5"),
    ("6.3", "differing lengths, differing case", b"content-length: 5\r\nCONTENT-LENGTH: 15"),
    ("6.3", "repeated length", b"Content-Length: 15\r\nContent-Length: 15"),
    ("6.3", "length with and without zeros", b"Content-Length: 15\r\nContent-Length: 015"),
    ("6.3", "a length and an empty one", b"Content-Length: 15\r\nContent-Length:"),
    ("6.3", "listed lengths", b"Content-Length: 15, 15"),
    ("6.3", "listed lengths that differ", b"Content-Length: 5,15"),
    ("6.3", "length with a comma before it", b"Content-Length: ,15"),
    ("6.3", "length with a comma behind it", b"Content-Length: 15,"),
    ("9110 8.6", "length with a plus", b"Content-Length: +15"),
    ("9110 8.6", "length with a minus", b"Content-Length: -15"),
    ("9110 8.6", "less than no length", b"Content-Length: -0"),
    ("9110 8.6", "hexadecimal length", b"Content-Length: 0xf"),
    ("9110 8.6", "hexadecimal digit", b"Content-Length: f"),
    ("9110 8.6", "binary length", b"Content-Length: 0b1111"),
    ("9110 8.6", "length with a space inside", b"Content-Length: 1 5"),
    ("9110 8.6", "length with a tab inside", b"Content-Length: 1\t5"),
    ("9110 8.6", "length with an underscore", b"Content-Length: 1_5"),
    ("9110 8.6", "length with an exponent", b"Content-Length: 15e0"),
    ("9110 8.6", "fractional length", b"Content-Length: 15.0"),
    ("9110 8.6", "quoted length", b"Content-Length: \"15\""),
    ("9110 8.6", "length with a parameter", b"Content-Length: 15;a=b"),
    ("9110 8.6", "length in other digits", b"Content-Length: \xd9\xa1\xd9\xa5"),
    ("9110 8.6", "length and a no-break space", b"Content-Length: \xa015"),
    ("9110 8.6", "empty length", b"Content-Length:"),
    ("9110 8.6", "blank length", b"Content-Length: \t "),
    ("9110 8.6", "length of 2^64", b"Content-Length: 18446744073709551616"),
    ("9110 8.6", "length of 2^64 + 15", b"Content-Length: 18446744073709551631"),
    (
        "9110 8.6",
        "length of 2^128 + 15",
        b"Content-Length: 340282366920938463463374607431768211471",
    ),
    ("9110 5.5", "length and a vertical tab", b"Content-Length: \x0b15"),
    ("9110 5.5", "length and a form feed", b"Content-Length: 15\x0c"),
    ("9110 5.5", "length and a NUL", b"Content-Length: 15\0"),
    // Encodings.
    ("6.1", "gzip", b"Transfer-Encoding: gzip"),
    ("6.1", "gzip before chunked", b"Transfer-Encoding: gzip, chunked"),
    ("6.1", "gzip after chunked", b"Transfer-Encoding: chunked, gzip"),
    (
        "6.1",
        "gzip and chunked, two fields",
        b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
    ),
    (
        "6.1",
        "chunked and gzip, two fields",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip",
    ),
    ("6.1", "twice chunked", b"Transfer-Encoding: chunked, chunked"),
    ("6.1", "chunked twice", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    ("6.1", "identity", b"Transfer-Encoding: identity"),
    ("6.1", "identity after chunked", b"Transfer-Encoding: chunked, identity"),
    ("6.1", "identity before chunked", b"Transfer-Encoding: identity, chunked"),
    ("6.1", "a word that ends in chunked", b"Transfer-Encoding: xchunked"),
    ("6.1", "a word that begins with chunked", b"Transfer-Encoding: chunkedx"),
    ("6.1", "a prefix of chunked", b"Transfer-Encoding: chunk"),
    ("6.1", "chunked in two words", b"Transfer-Encoding: chun ked"),
    ("6.1", "chunked and a tab inside", b"Transfer-Encoding: chun\tked"),
    ("6.1", "chunked and a word", b"Transfer-Encoding: chunked x"),
    ("6.1", "chunked with a parameter", b"Transfer-Encoding: chunked;q=1"),
    ("6.1", "chunked and a semicolon", b"Transfer-Encoding: chunked;"),
    ("6.1", "chunked and a comma", b"Transfer-Encoding: chunked,"),
    ("6.1", "a comma and chunked", b"Transfer-Encoding: ,chunked"),
    ("6.1", "quoted chunked", b"Transfer-Encoding: \"chunked\""),
    ("6.1", "chunked in single quotes", b"Transfer-Encoding: 'chunked'"),
    ("6.1", "chunked in brackets", b"Transfer-Encoding: [chunked]"),
    ("6.1", "chunked behind a colon", b"Transfer-Encoding: : chunked"),
    ("6.1", "chunked as a field", b"Transfer-Encoding: Transfer-Encoding: chunked"),
    ("6.1", "a high byte before chunked", b"Transfer-Encoding: \xffchunked"),
    ("6.1", "a no-break space after chunked", b"Transfer-Encoding: chunked\xa0"),
    ("6.1", "an encoded letter", b"Transfer-Encoding: %63hunked"),
    ("6.1", "empty encoding", b"Transfer-Encoding:"),
    ("6.1", "an empty encoding, then chunked", b"Transfer-Encoding:\r\nTransfer-Encoding: chunked"),
    ("9110 5.5", "a vertical tab before chunked", b"Transfer-Encoding: \x0bchunked"),
    ("9110 5.5", "a vertical tab after chunked", b"Transfer-Encoding: chunked\x0b"),
    ("9110 5.5", "a backspace after chunked", b"Transfer-Encoding: chunked\x08"),
    ("9110 5.5", "a NUL after chunked", b"Transfer-Encoding: chunked\0"),
    // Names that are almost these.
    ("5.1", "space before the colon of a length", b"Content-Length : 15"),
    ("5.1", "tab before the colon of a length", b"Content-Length\t: 15"),
    ("5.1", "space before the colon of an encoding", b"Transfer-Encoding : chunked"),
    ("5.1", "length, and an encoding with a space", b"Content-Length: 15\r\nTransfer-Encoding : x"),
    ("5.1", "vertical tab before the colon", b"Transfer-Encoding\x0b: chunked"),
    ("5.1", "no-break space before the colon", b"Transfer-Encoding\xa0: chunked"),
    ("5.1", "NUL in the name", b"Content-Length\0: 15"),
    ("5.1", "space in the name", b"Content Length: 15"),
    ("5", "length without a colon", b"Content-Length 15"),
    ("5", "encoding on a line of its own", b"Transfer-Encoding\r\n: chunked"),
    ("5.2", "folded length", b"Content-Length:\r\n 15"),
    ("5.2", "folded encoding", b"Transfer-Encoding:\r\n\tchunked"),
    ("5.2", "encoding folded into another field", b"A: b\r\n Transfer-Encoding: chunked"),
    ("5.2", "encoding continued", b"Transfer-Encoding: chunked\r\n , identity"),
    ("2.2", "encoding behind a bare LF", b"Content-Length: 15\r\nA: b\nTransfer-Encoding: chunked"),
    ("2.2", "encoding behind a bare CR", b"Content-Length: 15\r\nA: b\rTransfer-Encoding: chunked"),
    ("2.2", "bare LF inside chunked", b"Transfer-Encoding: chu\nnked"),
    ("2.2", "two CR behind chunked", b"Transfer-Encoding: chunked\r"),
];

/// POST with these field lines is seen like this.
const SEEN: &[Seen] = &[
    ("6.2", "length", b"Content-Length: 15", BY_LENGTH),
    ("5.1", "length without white space", b"content-length:15", BY_LENGTH),
    ("5.1", "length with white space", b"CONTENT-LENGTH: \t15 \t", BY_LENGTH),
    (
        "9110 8.6",
        "length with zeros before it",
        b"Content-Length: 00000000000000000000015",
        BY_LENGTH,
    ),
    (
        "9110 7.6.1",
        "a length that Connection names",
        b"Content-Length: 15\r\nConnection: Content-Length",
        BY_LENGTH,
    ),
    (
        "9110 7.6.1",
        "an encoding that Connection names",
        b"Connection: transfer-encoding\r\nTransfer-Encoding: chunked",
        BY_CHUNKS,
    ),
    ("7.1", "chunked", b"Transfer-Encoding: chunked", BY_CHUNKS),
    ("9110 10.1.4", "chunked in capitals", b"TRANSFER-ENCODING: CHUNKED", BY_CHUNKS),
    ("5.1", "chunked with tabs", b"transfer-encoding:\t\tChunkeD\t", BY_CHUNKS),
    (
        "9110 5.1",
        "an underscore in a length",
        b"Content-Length: 15\r\nContent_Length: 5",
        BY_LENGTH,
    ),
    (
        "9110 5.1",
        "an underscore in an encoding",
        b"Transfer_Encoding: chunked\r\nContent-Length: 15",
        BY_LENGTH,
    ),
    (
        "9110 5.1",
        "longer names",
        b"X-Content-Length: 5\r\nTransfer-Encoding-X: chunked\r\nContent-Length: 15",
        &["POST /\nhost: t\nx-content-length: 5\ntransfer-encoding-x: chunked\n\
           content-length: 15\n\n5\r\nhello\r\n0\r\n\r\n"],
    ),
];

pub(super) fn rows() -> Vec<RequestRow> {
    let refusals = REFUSED.iter().map(|row| refused(row.0, row.1, post(row.2)));
    let seen_posts = SEEN.iter().map(|row| seen(row.0, row.1, post(row.2), row.3));
    refusals.chain(seen_posts).chain(others()).collect()
}

/// Other methods and versions.
fn others() -> Vec<RequestRow> {
    vec![
        refused(
            "6.1",
            "chunked on HTTP/1.0",
            b"POST / HTTP/1.0\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        refused(
            "6.1",
            "chunked on HTTP/1.0 that stays",
            b"POST / HTTP/1.0\r\nConnection: keep-alive\r\n\
              Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        refused(
            "6.3",
            "both on HTTP/1.0",
            b"POST / HTTP/1.0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        refused(
            "6.3",
            "both with GET",
            b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\
              Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        row(
            "6.3",
            "both with a method that is answered here",
            b"TRACE / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\
              Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            Fate::Refused(400),
        ),
        last(
            "9.3",
            "length on HTTP/1.0",
            b"POST / HTTP/1.0\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello",
            &["POST /\nhost: t\ncontent-length: 5\n\nhello"],
        ),
        seen(
            "6.3",
            "no body, and a request where it would be",
            b"POST / HTTP/1.1\r\nHost: t\r\n\r\nGET /2 HTTP/1.1\r\nHost: t\r\n\r\n",
            &["POST /\nhost: t", "GET /2\nhost: t"],
        ),
        seen(
            "6.3",
            "a length of none, and a request where it would be",
            b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\nGET /2 HTTP/1.1\r\n\
              Host: t\r\n\r\n",
            &["POST /\nhost: t\ncontent-length: 0", "GET /2\nhost: t"],
        ),
        seen(
            "6.3",
            "a body made of a request",
            b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 31\r\n\r\nGET /2 HTTP/1.1\r\n\
              Host: evil\r\n\r\n",
            &["POST /\nhost: t\ncontent-length: 31\n\nGET /2 HTTP/1.1\r\nHost: evil\r\n\r\n"],
        ),
        seen(
            "6.3",
            "GET with a length",
            b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello",
            &["GET /\nhost: t\ncontent-length: 5\n\nhello"],
        ),
        seen(
            "6.3",
            "GET with chunks",
            b"GET / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n\
              hello\r\n0\r\n\r\n",
            &["GET /\nhost: t\ntransfer-encoding: chunked\n\nhello"],
        ),
        seen(
            "6.3",
            "HEAD with a length",
            b"HEAD / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello",
            &["HEAD /\nhost: t\ncontent-length: 5\n\nhello"],
        ),
        seen(
            "6.3",
            "DELETE with chunks of a request",
            b"DELETE / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n\
              12\r\nGET / HTTP/1.1\r\n\r\n\r\n0\r\n\r\n",
            &["DELETE /\nhost: t\ntransfer-encoding: chunked\n\nGET / HTTP/1.1\r\n\r\n"],
        ),
    ]
}
