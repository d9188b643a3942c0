//! Names and values of fields. Sections are of RFC 9110 unless another document is named.

use super::{Refused, RequestRow, Seen, get, refused, seen};

/// GET with these field lines is refused.
const REFUSED: &[Refused] = &[
    ("5.1", "an empty name", b": b"),
    ("5.1", "an empty name and no value", b":"),
    ("5.1", "a name with a space", b"A b: c"),
    ("5.1", "a name with a parenthesis", b"A(b): c"),
    ("5.1", "a name with a slash", b"A/b: c"),
    ("5.1", "a name with a bracket", b"A[b]: c"),
    ("5.1", "a name with a brace", b"{A}: c"),
    ("5.1", "a name with an at sign", b"A@b: c"),
    ("5.1", "a name with a comma", b"A,b: c"),
    ("5.1", "a name with an equals sign", b"A=b: c"),
    ("5.1", "a name with a semicolon", b"A;b: c"),
    ("5.1", "a name with a backslash", b"A\\b: c"),
    ("5.1", "a quoted name", b"\"A\": c"),
    ("5.1", "a name with a NUL", b"A\0: b"),
    ("5.1", "a name with a control byte", b"A\x01: b"),
    ("5.1", "a name with DEL", b"A\x7f: b"),
    ("5.1", "a name beyond ASCII", b"A\xe9: c"),
    ("5.1", "a name that begins with a high byte", b"\xa0A: c"),
    ("5.1", "a name with a zero-width space", b"\xe2\x80\x8bA: c"),
    ("9112 5", "no colon", b"A"),
    ("9112 5", "no colon but a space", b"A b"),
    ("9112 5", "a request line among the fields", b"GET /2 HTTP/1.1"),
    ("9112 5.1", "a space before the colon", b"A : b"),
    ("9112 5.1", "a tab before the colon", b"A\t: b"),
    ("9112 5.1", "a space and no name", b" : b"),
    ("9112 5.2", "a folded value", b"A: b\r\n c"),
    ("9112 5.2", "a value folded with a tab", b"A: b\r\n\tc"),
    ("9112 5.2", "a fold of nothing", b"A: b\r\n "),
    ("9112 5.2", "a field that looks like a fold", b"A: b\r\n Host: evil"),
    ("9112 2.2", "a bare LF in a value", b"A: b\nc"),
    ("9112 2.2", "a bare LF and a field", b"A: b\nHost: evil"),
    ("9112 2.2", "a bare CR in a value", b"A: b\rc"),
    ("9112 2.2", "a bare CR and a field", b"A: b\rHost: evil"),
    ("9112 2.2", "a bare LF in a name", b"A\nb: c"),
    ("5.5", "a NUL in a value", b"A: b\0c"),
    ("5.5", "a NUL before the line's end", b"A: b\0"),
    ("5.5", "a control byte in a value", b"A: b\x01c"),
    ("5.5", "a vertical tab in a value", b"A: \x0bb"),
    ("5.5", "an escape in a value", b"A: \x1b[31m"),
    ("5.5", "DEL in a value", b"A: b\x7f"),
    ("7.6.1", "too many names in Connection", CONNECTION_OF_40),
];

const CONNECTION_OF_40: &[u8] = b"Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,\
    u,v,w,x,y,z,aa,bb,cc,dd,ee,ff,gg,hh,ii,jj,kk,ll,mm,nn";

/// GET with these field lines is passed on like this.
const SEEN: &[Seen] = &[
    ("5.5", "an empty value", b"A:", &["GET /\nhost: t\na: "]),
    ("5.5", "a blank value", b"A: \t ", &["GET /\nhost: t\na: "]),
    ("5.5", "no white space before a value", b"A:b", &["GET /\nhost: t\na: b"]),
    ("5.5", "white space inside a value", b"A: b \t c", &["GET /\nhost: t\na: b \t c"]),
    (
        "5.5",
        "high bytes in a value",
        b"A: \xe9\x80\xff",
        &["GET /\nhost: t\na: \u{e9}\u{80}\u{ff}"],
    ),
    ("5.5", "a value of colons", b"A: b: c:", &["GET /\nhost: t\na: b: c:"]),
    (
        "5.5",
        "a value like a request",
        b"A: GET /2 HTTP/1.1",
        &["GET /\nhost: t\na: GET /2 HTTP/1.1"],
    ),
    ("5.5", "encoded line ends", b"A: %0d%0aHost: evil", &["GET /\nhost: t\na: %0d%0aHost: evil"]),
    ("5.5", "escaped line ends", b"A: \\r\\nHost: evil", &["GET /\nhost: t\na: \\r\\nHost: evil"]),
    ("5.1", "a name of punctuation", b"!#$%&'*+.^`|~: a", &["GET /\nhost: t\n!#$%&'*+.^`|~: a"]),
    ("5.1", "a name with an underscore", b"A_b: c", &["GET /\nhost: t\na_b: c"]),
    ("5.1", "a name like a number", b"0: 1", &["GET /\nhost: t\n0: 1"]),
    (
        "5.3",
        "a repeated name keeps its order",
        b"A: 1\r\nB: x\r\na: 2",
        &["GET /\nhost: t\na: 1\nb: x\na: 2"],
    ),
    // What earlier proxies may have written; an underscore for a hyphen is none of theirs.
    ("5.3", "X-Forwarded-For from outside", b"X-Forwarded-For: 192.0.2.1", &["GET /\nhost: t"]),
    (
        "5.3",
        "several X-Forwarded-For",
        b"X-Forwarded-For: 192.0.2.1\r\nx-forwarded-for:\r\nX-FORWARDED-FOR: 192.0.2.2",
        &["GET /\nhost: t"],
    ),
    (
        "5.1",
        "X_Forwarded_For from outside",
        b"X_Forwarded_For: 192.0.2.1\r\nX-Forwarded_Host: evil",
        &["GET /\nhost: t"],
    ),
    (
        "7.2",
        "X-Forwarded-Host and -Proto from outside",
        b"X-Forwarded-Host: evil\r\nX-Forwarded-Proto: https",
        &["GET /\nhost: t"],
    ),
    ("7.6.3", "Via from an earlier proxy", b"Via: 1.0 first", &["GET /\nhost: t\nvia: 1.0 first"]),
];

pub(super) fn rows() -> Vec<RequestRow> {
    let refusals = REFUSED.iter().map(|line| refused(line.0, line.1, get(line.2)));
    let seen_fields = SEEN.iter().map(|line| seen(line.0, line.1, get(line.2), line.3));
    refusals.chain(seen_fields).collect()
}
