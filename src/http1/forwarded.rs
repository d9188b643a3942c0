//! What earlier proxies say of a request's origin, read from its end: each proxy appends whom it
//! got the request from, so what an untrusted one appended, and all before that, may be invented.

use std::net::{IpAddr, SocketAddr};

use super::RequestHead;

impl RequestHead<'_, '_> {
    /// The client that X-Forwarded-For names, or Forwarded (RFC 7239) where that says nothing: the
    /// last address that is not `trusted`, or the first one where all are. What stands before
    /// something that is no address is not looked at. `None` if the last element is none already,
    /// or if there is no such field.
    ///
    /// To be asked only if whoever sent this head is trusted.
    pub fn client_named(&self, trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        if self.survey.forwarded_for {
            let mut chain = self.elements("x-forwarded-for").rev().peekable();
            if chain.peek().is_some() {
                return client(chain.map(address), trusted);
            }
        }
        if !self.survey.forwarded {
            return None;
        }
        let lines = self.fields.iter().rev();
        let lines = lines.filter(|field| field.name.eq_ignore_ascii_case("forwarded"));
        client(lines.flat_map(|line| Elements { rest: Some(line.value) }).map(node), trusted)
    }
}

/// The client at the end of a chain that begins with the last proxy.
fn client(
    chain: impl Iterator<Item = Option<IpAddr>>,
    trusted: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let mut named = None;
    for address in chain {
        let Some(address) = address else { break };
        named = Some(address);
        if !trusted(address) {
            break;
        }
    }
    named
}

/// `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`; some proxies add a port.
fn address(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = match bare.parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(address.to_canonical())
}

/// The elements of a Forwarded (RFC 7239 §4) without empty ones, the last one first.
///
/// Quoted strings may hold commas. They are read from their ends, so that a quote which a client
/// left open does not swallow what proxies have appended to it.
struct Elements<'b> {
    rest: Option<&'b [u8]>,
}

impl<'b> Iterator for Elements<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        loop {
            let (before, element) = split_last(self.rest?, b',');
            self.rest = before;
            if !element.is_empty() {
                return Some(element);
            }
        }
    }
}

/// What stands before the last `separator` outside of quoted strings, if there is one, and what
/// stands behind it.
fn split_last(text: &[u8], separator: u8) -> (Option<&[u8]>, &[u8]) {
    let mut end = text.len();
    while let Some(at) = end.checked_sub(1) {
        end = match text[at] {
            byte if byte == separator => return (Some(&text[..at]), text[at + 1..].trim_ascii()),
            b'"' => opening_quote(&text[..at]),
            _ => at,
        };
    }
    (None, text.trim_ascii())
}

/// Where the quoted string begins that ends behind `text`; at its beginning if nowhere.
fn opening_quote(text: &[u8]) -> usize {
    let is_escaped = |at: usize| {
        let escapes = text[..at].iter().rev().take_while(|byte| **byte == b'\\');
        escapes.count() % 2 == 1
    };
    // Only quotes are looked at more closely, or a row of backslashes would be counted each time.
    let is_opening = |at: &usize| text[*at] == b'"' && !is_escaped(*at);
    (0..text.len()).rev().find(is_opening).unwrap_or(0)
}

/// The address in the `for` of an element, if it has exactly one (RFC 7239 §4) and that names one:
/// proxies may also write `unknown` or a name of their own for it, `_hidden` (§6).
fn node(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    let mut rest = Some(element);
    while let Some(pairs) = rest {
        let (before, pair) = split_last(pairs, b';');
        rest = before;
        let Some((name, value)) = pair.split_at_checked(4) else { continue };
        if name.eq_ignore_ascii_case(b"for=") && found.replace(value).is_some() {
            return None;
        }
    }
    let value = found?;
    let bare = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    let node = std::str::from_utf8(bare.unwrap_or(value)).ok()?;
    // The port may be hidden as well: `192.0.2.1:_a`.
    let host = node.rsplit_once(":_").map_or(node, |(host, _)| host);
    address(host.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{FieldStorage, HeadLimits, parse_request};
    use proptest::prelude::*;

    fn named(lines: &str) -> Option<String> {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let (mut storage, limits) =
            (FieldStorage::new(), HeadLimits { bytes: 1 << 14, fields: 64 });
        let head = parse_request(head.as_bytes(), &mut storage, &limits).unwrap();
        let trusted = |address: IpAddr| address.to_string().starts_with("10.");
        head.client_named(trusted).map(|address| address.to_string())
    }

    #[test]
    fn the_last_untrusted_address_is_the_client() {
        for (lines, expected) in [
            ("", None),
            ("X-Forwarded-For:\r\n", None),
            ("X-Forwarded-For: 192.0.2.1\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\n", Some("192.0.2.2")),
            ("X-Forwarded-For: 192.0.2.1, 10.0.0.1,,10.0.0.2\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n", Some("10.0.0.1")),
            ("x-forwarded-for: 192.0.2.1\r\nX-Forwarded-For: 10.0.0.1\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: 192.0.2.1, unknown, 10.0.0.1\r\n", Some("10.0.0.1")),
            ("X-Forwarded-For: 192.0.2.1, 10.0.0.256\r\n", None),
            ("X-Forwarded-For: 192.0.2.1:4711\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: [2001:db8::1]:4711\r\n", Some("2001:db8::1")),
            ("X-Forwarded-For: [2001:db8::1], 10.0.0.1\r\n", Some("2001:db8::1")),
            ("X-Forwarded-For: 2001:db8::1\r\n", Some("2001:db8::1")),
            ("X-Forwarded-For: ::ffff:192.0.2.1\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: 192.0.2.9\r\nForwarded: for=192.0.2.1\r\n", Some("192.0.2.9")),
            ("X-Forwarded-For: unknown\r\nForwarded: for=192.0.2.1\r\n", None),
            ("X-Forwarded-For: ,\r\nForwarded: for=192.0.2.1\r\n", Some("192.0.2.1")),
        ] {
            assert_eq!(named(lines).as_deref(), expected, "{lines}");
        }
    }

    #[test]
    fn forwarded_names_the_client_too() {
        for (value, expected) in [
            ("", None),
            ("for=192.0.2.1", Some("192.0.2.1")),
            ("FOR=\"192.0.2.1\"", Some("192.0.2.1")),
            ("for=192.0.2.1:4711", Some("192.0.2.1")),
            ("for=\"192.0.2.1:_port\"", Some("192.0.2.1")),
            ("for=\"[2001:db8::1]\"", Some("2001:db8::1")),
            ("for=\"[2001:db8::1]:4711\"", Some("2001:db8::1")),
            ("for=\"[2001:db8::1]:_port\"", Some("2001:db8::1")),
            ("for=\"[::ffff:192.0.2.1]\"", Some("192.0.2.1")),
            ("for=192.0.2.1, for=192.0.2.2", Some("192.0.2.2")),
            ("for=192.0.2.1,for=10.0.0.1,, for=10.0.0.2,", Some("192.0.2.1")),
            ("for=192.0.2.1\r\nforwarded: for=10.0.0.1;proto=http", Some("192.0.2.1")),
            ("for=10.0.0.1, for=10.0.0.2", Some("10.0.0.1")),
            ("by=10.0.0.9;for=192.0.2.1;proto=https;host=a", Some("192.0.2.1")),
            ("proto=https; for=192.0.2.1 ;;", Some("192.0.2.1")),
            ("host=\"a, for=192.0.2.9;\\\"\";for=192.0.2.1", Some("192.0.2.1")),
            ("for=192.0.2.1;host=\"a;for=192.0.2.9, b\\\\\"", Some("192.0.2.1")),
            // No address.
            ("for=unknown", None),
            ("for=_hidden", None),
            ("for=\"_hidden:80\"", None),
            ("for=", None),
            ("for", None),
            ("for=\"192.0.2.1", None),
            ("for=\"192.0.2.1\"x", None),
            ("for=192.0.2.256", None),
            ("for=192.0.2.1:65536", None),
            ("proto=https;host=a", None),
            ("xfor=192.0.2.1", None),
            ("for=192.0.2.1;for=192.0.2.2", None),
            ("for=192.0.2.1, for=unknown, for=10.0.0.1", Some("10.0.0.1")),
            ("for=192.0.2.1, proto=https", None),
            ("for=192.0.2.1;host=\", for=unknown", None),
        ] {
            let line = format!("Forwarded: {value}\r\n");
            assert_eq!(named(&line).as_deref(), expected, "{line}");
        }
    }

    proptest! {
        /// Whatever a client writes in front, the address that a trusted proxy appended counts.
        #[test]
        fn what_stands_in_front_does_not_matter(
            invented in "[0-9a-f.:, x\\[\\]]{0,40}",
            hops in 0usize..3,
        ) {
            let hops = ", 10.1.2.3".repeat(hops);
            let line = format!("X-Forwarded-For: {invented}, 192.0.2.7{hops}\r\n");
            prop_assert_eq!(named(&line), Some("192.0.2.7".to_owned()));
        }

        #[test]
        fn not_in_forwarded_either(
            invented in "([0-9:., ;=\"\\\\]|for=|\\[|\\]){0,20}",
            quoted: bool,
            hops in 0usize..3,
        ) {
            let hops = ", for=\"10.1.2.3:80\";host=\"a,\\\";b\"".repeat(hops);
            let client = if quoted { "\"192.0.2.7\"" } else { "192.0.2.7" };
            let line = format!("Forwarded: {invented}, proto=http;for={client}{hops}\r\n");
            prop_assert_eq!(named(&line), Some("192.0.2.7".to_owned()));
        }
    }
}
