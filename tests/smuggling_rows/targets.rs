//! Request targets and Host. Sections are of RFC 9112 unless another document is named.

use super::{Fate, Refused, RequestRow, Text, last, refused, row, seen};

/// GET of these targets is refused.
const TARGETS: &[Refused] = &[
    ("3.2", "a control byte", b"/\x01"),
    ("3.2", "DEL", b"/\x7f"),
    ("3.2", "a NUL", b"/\0"),
    ("3.2", "a tab", b"/\ta"),
    ("3.2", "a form feed", b"/\x0ca"),
    ("3.2", "UTF-8", b"/\xc3\xa9"),
    ("3.2", "a high byte", b"/\xff"),
    ("3.2", "a high byte in the query", b"/?\xa0"),
    ("3.2", "a space", b"/a b"),
    ("3.2", "a fragment", b"/#a"),
    ("3.2", "an empty fragment", b"/?a#"),
    ("3.2", "no slash", b"index.html"),
    ("3.2", "a query alone", b"?a=b"),
    ("3.2", "a point", b"."),
    ("3.2", "a backslash", b"\\"),
    ("3.2", "an authority", b"t:80"),
    ("3.2.4", "the asterisk of OPTIONS", b"*"),
    ("3.2.4", "an asterisk and more", b"*/"),
    ("9110 4.2", "another scheme", b"ftp://t/"),
    ("9110 4.2", "the scheme of a file", b"file:///etc/passwd"),
    ("9110 4.2", "the scheme of a WebSocket", b"ws://t/"),
    ("9110 4.2", "a scheme that begins with http", b"httpx://t/"),
    ("9110 4.2", "no scheme", b"://t/"),
    ("9110 4.2", "no authority behind the scheme", b"http:/t/"),
    ("9110 4.2", "a scheme with a space before it", b" http://t/"),
    ("9110 4.2.1", "an empty authority", b"http:///"),
    ("9110 4.2.1", "an authority of a port", b"http://:80/"),
    ("9110 4.2.1", "an authority of a query", b"http://?a"),
    ("9110 4.2.4", "a user", b"http://u@t/"),
    ("9110 4.2.4", "a user and a password", b"http://u:p@t/"),
    ("9110 4.2.4", "an empty user", b"http://@t/"),
    ("9110 4.2.4", "two users", b"http://a@b@t/"),
    ("3986 3.2.2", "a backslash in the authority", b"http://t\\@evil/"),
    ("3986 3.2.2", "a comma in the authority", b"http://t,evil/"),
    ("3986 3.2.2", "half an encoded byte in the authority", b"http://t%4/"),
    ("3986 3.2.2", "an authority in open brackets", b"http://[::1/"),
    ("3986 3.2.2", "an authority of no address", b"http://[1:2]/"),
    ("3986 3.2.3", "a port of letters", b"http://t:http/"),
    ("3986 3.2.3", "a port beyond 16 bits", b"http://t:65536/"),
    ("3986 3.2.3", "two ports", b"http://t:80:81/"),
];

/// GET with this Host is refused.
const HOSTS: &[Refused] = &[
    ("3.2", "two names", b"t, u"),
    ("3.2", "two names without a space", b"t,u"),
    ("3.2", "two words", b"t u"),
    ("3.2", "a path", b"t/u"),
    ("3.2", "a query", b"t?u"),
    ("3.2", "a fragment in Host", b"t#u"),
    ("3.2", "a URL", b"http://t"),
    ("3.2", "a user", b"u@t"),
    ("3.2", "a backslash in Host", b"t\\u"),
    ("3.2", "a quote", b"\"t\""),
    ("3.2", "an angle bracket", b"<t>"),
    ("3.2", "a high byte in Host", b"t\xe9"),
    ("3.2", "a tab inside", b"t\tu"),
    ("9110 5.5", "a NUL", b"t\0"),
    ("3986 3.2.2", "a port alone", b":80"),
    ("3986 3.2.2", "a colon alone", b":"),
    ("3986 3.2.2", "an encoded byte that is none", b"t%zz"),
    ("3986 3.2.2", "half an encoded byte", b"t%4"),
    ("3986 3.2.2", "a percent sign alone", b"%"),
    ("3986 3.2.2", "an address without brackets", b"::1"),
    ("3986 3.2.2", "an open bracket", b"[::1"),
    ("3986 3.2.2", "a closing bracket", b"t]"),
    ("3986 3.2.2", "empty brackets", b"[]"),
    ("3986 3.2.2", "brackets around a name", b"[t]"),
    ("3986 3.2.2", "brackets around colons", b"[:::]"),
    ("3986 3.2.2", "brackets around too few groups", b"[1:2]"),
    ("3986 3.2.2", "brackets around too long a group", b"[::12345]"),
    ("3986 3.2.2", "brackets around two gaps", b"[1::2::3]"),
    ("3986 3.2.2", "brackets around an IPv4 address", b"[127.0.0.1]"),
    ("3986 3.2.2", "an address with a zone", b"[fe80::1%25lo]"),
    ("3986 3.2.2", "letters behind the brackets", b"[::1]t"),
    ("3986 3.2.3", "a port of letters in Host", b"t:http"),
    ("3986 3.2.3", "a port with a sign", b"t:+80"),
    ("3986 3.2.3", "a port with a space", b"t: 80"),
    ("3986 3.2.3", "a port beyond 16 bits in Host", b"t:65536"),
    ("3986 3.2.3", "a port beyond 64 bits", b"t:18446744073709551696"),
    ("3986 3.2.3", "two ports in Host", b"t:80:80"),
];

/// Section, what is special, the beginning of the request line, Host, and what is seen of them.
type Passed = (Text, Text, &'static [u8], &'static [u8], &'static [Text]);

/// Request line and Host that are passed on like this.
const SEEN: &[Passed] = &[
    ("3.2.1", "encoded bytes", b"GET /%00%0d%0a%2e%2e", b"t", &["GET /%00%0d%0a%2e%2e\nhost: t"]),
    ("3.2.1", "two slashes", b"GET //evil/", b"t", &["GET //evil/\nhost: t"]),
    ("3.2.1", "dots", b"GET /a/./b/../c", b"t", &["GET /a/./b/../c\nhost: t"]),
    ("3.2.1", "an empty query", b"GET /?", b"t", &["GET /?\nhost: t"]),
    ("3.2.1", "question marks", b"GET /?a?b", b"t", &["GET /?a?b\nhost: t"]),
    ("3.2.1", "a URL as a path", b"GET /http://evil/", b"t", &["GET /http://evil/\nhost: t"]),
    ("3.2.1", "an at sign", b"GET /@evil", b"t", &["GET /@evil\nhost: t"]),
    // Outside of RFC 3986, inside of what browsers send; the same bytes for every recipient.
    (
        "3.2",
        "what URLs should encode",
        b"GET /[]{}|\\^`\"<>?[]{}|\\^`\"<>",
        b"t",
        &["GET /[]{}|\\^`\"<>?[]{}|\\^`\"<>\nhost: t"],
    ),
    ("3.2", "percent signs that encode nothing", b"GET /%?%zz", b"t", &["GET /%?%zz\nhost: t"]),
    ("3.2.2", "absolute-form", b"GET http://t/a?b", b"t", &["GET /a?b\nhost: t"]),
    ("3.2.2", "absolute-form in capitals", b"GET HTTP://T/A", b"t", &["GET /A\nhost: T"]),
    ("3.2.2", "absolute-form without a path", b"GET http://t", b"t", &["GET /\nhost: t"]),
    ("3.2.2", "absolute-form with a query alone", b"GET http://t?a", b"t", &["GET /?a\nhost: t"]),
    (
        "3.2.2",
        "absolute-form wins over Host",
        b"GET http://real:81/",
        b"other",
        &["GET /\nhost: real:81"],
    ),
    ("3.2.2", "absolute-form with an empty Host", b"GET http://real/", b"", &["GET /\nhost: real"]),
    (
        "3.2.2",
        "an address in absolute-form",
        b"GET http://[::1]:80/",
        b"t",
        &["GET /\nhost: [::1]:80"],
    ),
    ("3.2.2", "an empty port", b"GET http://t:/", b"t", &["GET /\nhost: t:"]),
    ("3.2.2", "a user in the path only", b"GET http://t/u@evil", b"t", &["GET /u@evil\nhost: t"]),
    ("3.2.4", "the asterisk", b"OPTIONS *", b"t", &["OPTIONS *\nhost: t"]),
    ("3.2.4", "absolute-form of the asterisk", b"OPTIONS http://t", b"u", &["OPTIONS *\nhost: t"]),
    ("3.2.4", "OPTIONS of the root", b"OPTIONS http://t/", b"u", &["OPTIONS /\nhost: t"]),
    ("3.3", "an empty Host", b"GET /", b"", &["GET /\nhost: "]),
    ("9110 7.2", "white space around Host", b"GET /", b"\t t \t", &["GET /\nhost: t"]),
    ("9110 7.2", "a port", b"GET /", b"t:8080", &["GET /\nhost: t:8080"]),
    ("3986 3.2.3", "no port behind the colon", b"GET /", b"t:", &["GET /\nhost: t:"]),
    ("3986 3.2.3", "zeros before a port", b"GET /", b"t:0080", &["GET /\nhost: t:0080"]),
    ("3986 3.2.2", "an IPv4 address", b"GET /", b"127.0.0.1:80", &["GET /\nhost: 127.0.0.1:80"]),
    (
        "3986 3.2.2",
        "an IPv6 address",
        b"GET /",
        b"[::ffff:1.2.3.4]",
        &["GET /\nhost: [::ffff:1.2.3.4]"],
    ),
    ("3986 3.2.2", "an encoded byte", b"GET /", b"t%41", &["GET /\nhost: t%41"]),
    (
        "3986 3.2.2",
        "punctuation",
        b"GET /",
        b"a_b-c.d~!$&'()*+;=",
        &["GET /\nhost: a_b-c.d~!$&'()*+;="],
    ),
];

pub(super) fn rows() -> Vec<RequestRow> {
    let targets = TARGETS.iter().map(|line| {
        let rest = b" HTTP/1.1\r\nHost: t\r\n\r\n";
        refused(line.0, line.1, [b"GET ", line.2, rest].concat())
    });
    let hosts = HOSTS.iter().map(|line| {
        let head = b"GET / HTTP/1.1\r\nHost: ";
        refused(line.0, line.1, [head, line.2, b"\r\n\r\n"].concat())
    });
    let passed = SEEN.iter().map(|line| {
        let request = [line.2, b" HTTP/1.1\r\nHost: ", line.3, b"\r\n\r\n"].concat();
        seen(line.0, line.1, request, line.4)
    });
    targets.chain(hosts).chain(passed).chain(others()).collect()
}

fn others() -> Vec<RequestRow> {
    vec![
        refused("3.2", "no Host", b"GET / HTTP/1.1\r\n\r\n"),
        refused("3.2", "no Host but others", b"GET / HTTP/1.1\r\nX-Host: t\r\nA: b\r\n\r\n"),
        refused("3.2", "no Host with absolute-form", b"GET http://t/ HTTP/1.1\r\n\r\n"),
        refused("3.2", "two Hosts", b"GET / HTTP/1.1\r\nHost: t\r\nHost: evil\r\n\r\n"),
        refused("3.2", "the same Host twice", b"GET / HTTP/1.1\r\nHost: t\r\nhost: t\r\n\r\n"),
        refused("3.2", "a Host and an empty one", b"GET / HTTP/1.1\r\nHost: t\r\nHost:\r\n\r\n"),
        refused("3.2", "two Hosts on HTTP/1.0", b"GET / HTTP/1.0\r\nHost: t\r\nHost: u\r\n\r\n"),
        refused(
            "3.2.2",
            "two Hosts with absolute-form",
            b"GET http://t/ HTTP/1.1\r\nHost: t\r\nHost: t\r\n\r\n",
        ),
        refused(
            "3.2",
            "a bad Host with absolute-form",
            b"GET http://t/ HTTP/1.1\r\nHost: u@t\r\n\r\n",
        ),
        refused("5.1", "a space before Host's colon", b"GET / HTTP/1.1\r\nHost : t\r\n\r\n"),
        refused(
            "5.1",
            "another Host with a space before its colon",
            b"GET / HTTP/1.1\r\nHost: t\r\nHost : evil\r\n\r\n",
        ),
        refused("5.2", "a folded Host", b"GET / HTTP/1.1\r\nHost:\r\n t\r\n\r\n"),
        refused("3.2", "the asterisk for POST", b"POST * HTTP/1.1\r\nHost: t\r\n\r\n"),
        row(
            "9110 9.3.6",
            "CONNECT",
            b"CONNECT t:80 HTTP/1.1\r\nHost: t:80\r\n\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n",
            Fate::Refused(501),
        ),
        row(
            "9110 9.3.6",
            "CONNECT of a path",
            b"CONNECT / HTTP/1.1\r\nHost: t\r\n\r\n",
            Fate::Refused(501),
        ),
        row(
            "9110 9.3.6",
            "CONNECT in absolute-form with a body",
            b"CONNECT http://t/ HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi",
            Fate::Refused(501),
        ),
        last(
            "3.2.2",
            "absolute-form on HTTP/1.0",
            b"GET http://t/a HTTP/1.0\r\n\r\n",
            &["GET /a\nhost: t"],
        ),
        row(
            "3",
            "a target of 20,000 bytes",
            [b"GET /", &b"a".repeat(20_000)[..], b" HTTP/1.1\r\nHost: t\r\n\r\n"].concat(),
            Fate::Refused(414),
        ),
        row(
            "6585 5",
            "a value of 20,000 bytes",
            [b"GET / HTTP/1.1\r\nHost: t\r\nA: ", &b"a".repeat(20_000)[..], b"\r\n\r\n"].concat(),
            Fate::Refused(431),
        ),
        row(
            "6585 5",
            "300 fields",
            [b"GET / HTTP/1.1\r\nHost: t\r\n", &b"A: b\r\n".repeat(300)[..], b"\r\n"].concat(),
            Fate::Refused(431),
        ),
    ]
}
