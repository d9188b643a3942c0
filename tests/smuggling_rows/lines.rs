//! Lines and their ends, request lines, methods and versions. Sections are of RFC 9112 unless
//! another document is named.

use super::{BODY, Fate, RequestRow, Seen, Text, last, refused, row, seen};

/// Request lines that are refused, each as that of a POST with a body.
const LINES: &[(Text, Text, u16, &[u8])] = &[
    ("3", "no method", 400, b" / HTTP/1.1"),
    ("3", "no target", 400, b"POST HTTP/1.1"),
    ("3", "an empty target", 400, b"POST  HTTP/1.1"),
    ("3", "no version", 400, b"POST /"),
    ("3", "no version but a space", 400, b"POST / "),
    ("3", "nothing but a method", 400, b"POST"),
    ("3", "space before the method", 400, b" POST / HTTP/1.1"),
    ("3", "tab before the method", 400, b"\tPOST / HTTP/1.1"),
    ("3", "tab behind the method", 400, b"POST\t/ HTTP/1.1"),
    ("3", "vertical tab behind the method", 400, b"POST\x0b/ HTTP/1.1"),
    ("3", "two spaces behind the method", 400, b"POST  / HTTP/1.1"),
    ("3", "two spaces behind the target", 400, b"POST /  HTTP/1.1"),
    ("3", "tab behind the target", 400, b"POST /\tHTTP/1.1"),
    ("3", "space behind the version", 400, b"POST / HTTP/1.1 "),
    ("3", "tab behind the version", 400, b"POST / HTTP/1.1\t"),
    ("3", "a word behind the version", 400, b"POST / HTTP/1.1 x"),
    ("3", "two versions", 400, b"POST / HTTP/1.1 HTTP/1.1"),
    ("3", "a request line inside", 400, b"POST / HTTP/1.1 GET /2 HTTP/1.1"),
    ("9110 9.1", "a method with a parenthesis", 400, b"PO(ST / HTTP/1.1"),
    ("9110 9.1", "a method with a colon", 400, b"POST: / HTTP/1.1"),
    ("9110 9.1", "a method with a slash", 400, b"PO/ST / HTTP/1.1"),
    ("9110 9.1", "a quoted method", 400, b"\"POST\" / HTTP/1.1"),
    ("9110 9.1", "a method with a NUL", 400, b"POST\0 / HTTP/1.1"),
    ("9110 9.1", "a method with a control byte", 400, b"PO\x7fST / HTTP/1.1"),
    ("9110 9.1", "a method beyond ASCII", 400, b"P\xc3\x96ST / HTTP/1.1"),
    ("9110 9.1", "a byte order mark", 400, b"\xef\xbb\xbfPOST / HTTP/1.1"),
    ("2.3", "version in lower case", 400, b"POST / http/1.1"),
    ("2.3", "version in mixed case", 400, b"POST / Http/1.1"),
    ("2.3", "another protocol", 400, b"POST / HTTQ/1.1"),
    ("2.3", "a protocol and more", 400, b"POST / XHTTP/1.1"),
    ("2.3", "no number", 400, b"POST / HTTP/"),
    ("2.3", "no minor version", 400, b"POST / HTTP/1"),
    ("2.3", "a point and no minor version", 400, b"POST / HTTP/1."),
    ("2.3", "no point", 400, b"POST / HTTP/11"),
    ("2.3", "a comma", 400, b"POST / HTTP/1,1"),
    ("2.3", "two digits", 400, b"POST / HTTP/1.10"),
    ("2.3", "zeros before the version", 400, b"POST / HTTP/01.1"),
    ("2.3", "a sign", 400, b"POST / HTTP/+1.1"),
    ("2.3", "a space in the version", 400, b"POST / HTTP/ 1.1"),
    ("2.3", "a space before the point", 400, b"POST / HTTP/1 .1"),
    ("2.3", "a control byte behind the version", 400, b"POST / HTTP/1.1\x01"),
    // RFC 9110 §2.5 would let 1.2 pass as 1.1; there is no such version, so whoever names it tests
    // how it is read.
    ("9110 15.6.6", "version 1.2", 505, b"POST / HTTP/1.2"),
    ("9110 15.6.6", "version 1.9", 505, b"POST / HTTP/1.9"),
    ("9110 15.6.6", "version 0.9", 505, b"POST / HTTP/0.9"),
    ("9110 15.6.6", "version 2.0", 505, b"POST / HTTP/2.0"),
    ("9110 15.6.6", "version 9.9", 505, b"POST / HTTP/9.9"),
];

/// Methods that are passed on as they are, with GET's framing.
const METHODS: &[Seen] = &[
    ("9110 9.1", "a lower-case method", b"get", &["get /\nhost: t"]),
    ("9110 9.1", "a method in mixed case", b"Post", &["Post /\nhost: t"]),
    ("9110 9.1", "lower-case HEAD, which has a body", b"head", &["head /\nhost: t"]),
    ("9110 9.1", "lower-case CONNECT", b"connect", &["connect /\nhost: t"]),
    ("9110 9.1", "an unknown method", b"FROBNICATE", &["FROBNICATE /\nhost: t"]),
    ("9110 9.1", "a method of WebDAV", b"PROPFIND", &["PROPFIND /\nhost: t"]),
    (
        "9110 5.6.2",
        "every punctuation of a token",
        b"!#$%&'*+-.^_`|~0aZ",
        &["!#$%&'*+-.^_`|~0aZ /\nhost: t"],
    ),
    ("9110 9.1", "a method like a version", b"HTTP", &["HTTP /\nhost: t"]),
    ("9110 9.1", "one letter", b"X", &["X /\nhost: t"]),
];

const GET: &[Text] = &["GET /\nhost: t"];

pub(super) fn rows() -> Vec<RequestRow> {
    let refusals = LINES.iter().map(|line| {
        let rest = b"\r\nHost: t\r\nContent-Length: 15\r\n\r\n";
        row(line.0, line.1, [line.3, rest, BODY].concat(), Fate::Refused(line.2))
    });
    let methods = METHODS.iter().map(|line| {
        seen(line.0, line.1, [line.2, b" / HTTP/1.1\r\nHost: t\r\n\r\n"].concat(), line.3)
    });
    refusals.chain(methods).chain(line_ends()).chain(versions()).collect()
}

/// RFC 9112 §2.2.
fn line_ends() -> Vec<RequestRow> {
    vec![
        refused("2.2", "bare LF behind the request line", b"GET / HTTP/1.1\nHost: t\r\n\r\n"),
        refused("2.2", "bare LF everywhere", b"GET / HTTP/1.1\nHost: t\n\n"),
        refused("2.2", "bare LF behind a field", b"GET / HTTP/1.1\r\nHost: t\nA: b\r\n\r\n"),
        refused("2.2", "bare LF behind the last field", b"GET / HTTP/1.1\r\nHost: t\n\r\n"),
        refused("2.2", "bare LF as the end", b"GET / HTTP/1.1\r\nHost: t\r\n\n"),
        refused("2.2", "bare LF before the request", b"\nGET / HTTP/1.1\r\nHost: t\r\n\r\n"),
        refused("2.2", "bare LF in the target", b"GET /\nHost: HTTP/1.1\r\nHost: t\r\n\r\n"),
        refused("2.2", "bare CR behind the request line", b"GET / HTTP/1.1\rHost: t\r\n\r\n"),
        refused("2.2", "bare CR behind a field", b"GET / HTTP/1.1\r\nHost: t\rA: b\r\n\r\n"),
        refused("2.2", "bare CR as the end", b"GET / HTTP/1.1\r\nHost: t\r\n\rX"),
        refused("2.2", "bare CR before the request", b"\rGET / HTTP/1.1\r\nHost: t\r\n\r\n"),
        refused("2.2", "bare CR in the target", b"GET /\r HTTP/1.1\r\nHost: t\r\n\r\n"),
        refused("2.2", "two CR behind the request line", b"GET / HTTP/1.1\r\r\nHost: t\r\n\r\n"),
        refused("2.2", "two CR behind a field", b"GET / HTTP/1.1\r\nHost: t\r\r\n\r\n"),
        refused("2.2", "LF and CR in the wrong order", b"GET / HTTP/1.1\n\rHost: t\n\r\n\r"),
        refused("2.2", "a space before the first field", b"GET / HTTP/1.1\r\n Host: t\r\n\r\n"),
        refused(
            "2.2",
            "a space before the first field, Host behind it",
            b"GET / HTTP/1.1\r\n A: b\r\nHost: t\r\n\r\n",
        ),
        refused("2.2", "a line of a space", b"GET / HTTP/1.1\r\nHost: t\r\n \r\nA: b\r\n\r\n"),
        refused("2.2", "a line of a tab as the end", b"GET / HTTP/1.1\r\nHost: t\r\n\t\r\n\r\n"),
        refused("2.2", "a NUL before the request", b"\0GET / HTTP/1.1\r\nHost: t\r\n\r\n"),
        refused(
            "2.2",
            "many empty lines",
            [&b"\r\n".repeat(9)[..], b"GET / HTTP/1.1\r\n"].concat(),
        ),
        refused("3", "the beginning of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        seen("2.2", "one empty line before it", b"\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n", GET),
        seen("2.2", "four empty lines", b"\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n", GET),
        seen(
            "2.2",
            "an empty line between requests",
            b"GET / HTTP/1.1\r\nHost: t\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHost: t\r\n\r\n",
            &["GET /\nhost: t", "GET /2\nhost: t"],
        ),
        seen(
            "9112 2.2",
            "an empty line behind a body",
            b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi\r\n\
              GET /2 HTTP/1.1\r\nHost: t\r\n\r\n",
            &["POST /\nhost: t\ncontent-length: 2\n\nhi", "GET /2\nhost: t"],
        ),
    ]
}

fn versions() -> Vec<RequestRow> {
    vec![
        refused("3", "HTTP/0.9", b"GET /\r\n\r\n"),
        refused("3", "HTTP/0.9 with fields", b"GET /\r\nHost: t\r\n\r\n"),
        row("9113 3.4", "HTTP/2 at once", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Fate::Refused(505)),
        row("9110 15.6.6", "HTTP/3 without a Host", b"GET / HTTP/3.0\r\n\r\n", Fate::Refused(505)),
        last("9112 9.3", "HTTP/1.0", b"GET / HTTP/1.0\r\nHost: t\r\n\r\n", GET),
        last("9112 3.2", "HTTP/1.0 without a Host", b"GET / HTTP/1.0\r\n\r\n", &["GET /\nhost: "]),
        last(
            "9112 9.3",
            "nothing is read behind HTTP/1.0",
            b"GET / HTTP/1.0\r\nHost: t\r\n\r\nGET /2 HTTP/1.0\r\nHost: t\r\n\r\n",
            GET,
        ),
        seen(
            "9112 C.2.2",
            "HTTP/1.0 that stays",
            b"GET / HTTP/1.0\r\nHost: t\r\nConnection: Keep-Alive\r\nKeep-Alive: 5\r\n\r\n",
            GET,
        ),
    ]
}
