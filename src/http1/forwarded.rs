//! What earlier proxies say of a request's origin, read from its end: each proxy appends whom it
//! got the request from, so what an untrusted one appended, and all before that, may be invented.

use std::net::{IpAddr, SocketAddr};

use super::RequestHead;

impl RequestHead<'_, '_> {
    /// The client that X-Forwarded-For names: the last address that is not `trusted`, or the first
    /// one where all are. What stands before something that is no address is not looked at. `None`
    /// if the last element is none already, or if there is no such field.
    ///
    /// To be asked only if whoever sent this head is trusted.
    pub fn client_named(&self, trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        if !self.survey.forwarded_for {
            return None;
        }
        let mut named = None;
        for element in self.elements("x-forwarded-for").rev() {
            let Some(address) = address(element) else { break };
            named = Some(address);
            if !trusted(address) {
                break;
            }
        }
        named
    }
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
        ] {
            assert_eq!(named(lines).as_deref(), expected, "{lines}");
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
    }
}
