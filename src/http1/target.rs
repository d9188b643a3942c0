//! Request targets and hosts (RFC 9112 §3.2, RFC 3986 §3.2).

use std::net::Ipv6Addr;

use super::Fault;

/// What a request asks for, in one of the four forms of RFC 9112 §3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'b> {
    /// `/path?query`: begins with a slash.
    Origin(&'b str),
    /// `http://host/path?query`, as sent to a proxy, though servers must understand it too.
    Absolute {
        /// Host and port.
        authority: &'b str,
        /// Path and query as sent. `/` if both are absent, `*` if the method is OPTIONS as well
        /// (RFC 9112 §3.2.4); begins with `?` if only the path is absent.
        path_and_query: &'b str,
    },
    /// `*`, for OPTIONS.
    Asterisk,
    /// `host:port`, for CONNECT, which is refused: no head that was accepted has it.
    Authority(&'b str),
}

impl<'b> Target<'b> {
    /// Sorts out the target of a request with this method.
    #[inline]
    pub(super) fn parse(method: &str, target: &'b str) -> Result<Self, Fault> {
        // httparse lets no control byte and no space through. A fragment is no part of a target
        // (RFC 9112 §3.2), and bytes above ASCII must come percent-encoded (RFC 3986 §2).
        if !target.is_ascii() || memchr::memchr(b'#', target.as_bytes()).is_some() {
            return Err(Fault::Target);
        }
        if method == "CONNECT" {
            return Ok(Target::Authority(target));
        }
        match target.as_bytes() {
            [b'/', ..] => Ok(Target::Origin(target)),
            b"*" if method == "OPTIONS" => Ok(Target::Asterisk),
            b"*" => Err(Fault::Target),
            _ => absolute(method, target),
        }
    }

    /// The path, without the query, as sent.
    pub fn path(&self) -> &'b str {
        match self.split().0 {
            "" => "/",
            path => path,
        }
    }

    /// What follows the first `?`.
    pub fn query(&self) -> Option<&'b str> {
        self.split().1
    }

    fn split(&self) -> (&'b str, Option<&'b str>) {
        let whole = match *self {
            Target::Origin(path_and_query) | Target::Absolute { path_and_query, .. } => {
                path_and_query
            }
            Target::Asterisk | Target::Authority(_) => return ("*", None),
        };
        match memchr::memchr(b'?', whole.as_bytes()) {
            Some(at) => (&whole[..at], Some(&whole[at + 1..])),
            None => (whole, None),
        }
    }
}

/// RFC 9112 §3.2.2.
#[cold]
fn absolute<'b>(method: &str, target: &'b str) -> Result<Target<'b>, Fault> {
    let (scheme, rest) = target.split_once("://").ok_or(Fault::Target)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(Fault::Scheme);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at(end);
    if authority.contains('@') {
        return Err(Fault::UserInfo);
    }
    if authority.is_empty() {
        return Err(Fault::Target);
    }
    let authority = host(authority.as_bytes()).map_err(|_| Fault::Target)?;
    let path_and_query = match path_and_query {
        "" if method == "OPTIONS" => "*",
        "" => "/",
        some => some,
    };
    Ok(Target::Absolute { authority, path_and_query })
}

/// Checks `uri-host [":" port]` (RFC 9110 §7.2). Empty is allowed: RFC 9112 §3.2 has clients send
/// that when the target has no authority.
#[inline]
pub(super) fn host(value: &[u8]) -> Result<&str, Fault> {
    let name_len = match value {
        [b'[', ..] => ip_literal(value).ok_or(Fault::Host)?,
        _ => registered_name(value).ok_or(Fault::Host)?,
    };
    let port_is_fine = match &value[name_len..] {
        [] => true,
        [b':', port @ ..] => name_len > 0 && is_port(port),
        _ => false,
    };
    match port_is_fine {
        true => std::str::from_utf8(value).map_err(|_| Fault::Host),
        false => Err(Fault::Host),
    }
}

/// Length of the `reg-name` or IPv4 address that `value` begins with (RFC 3986 §3.2.2).
#[inline]
fn registered_name(value: &[u8]) -> Option<usize> {
    let plain = value.iter().take_while(|byte| HOST_BYTES[usize::from(**byte)]).count();
    match value.get(plain) {
        Some(b'%') => encoded_name(value, plain),
        _ => Some(plain),
    }
}

/// The same for one whose first percent sign stands at `at`. What is not followed by two digits
/// encodes nothing, and recipients make different things of it.
#[cold]
fn encoded_name(value: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match &value[at..] {
            [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => at += 3,
            [b'%', ..] => return None,
            [byte, ..] if HOST_BYTES[usize::from(*byte)] => at += 1,
            _ => return Some(at),
        }
    }
}

/// Length of the IP literal that `value` begins with. Future address formats are not known yet, so
/// an IPv6 address stands between the brackets; zones mean nothing to another host.
#[cold]
fn ip_literal(value: &[u8]) -> Option<usize> {
    let len = memchr::memchr(b']', value)? + 1;
    let address = std::str::from_utf8(&value[1..len - 1]).ok()?;
    address.parse::<Ipv6Addr>().ok().map(|_| len)
}

/// `*DIGIT` (RFC 3986 §3.2.3) that fits 16 bits.
fn is_port(port: &[u8]) -> bool {
    let number = port.iter().try_fold(0_u16, |number, byte| match byte {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u16::from(byte - b'0')),
        _ => None,
    });
    number.is_some()
}

/// Bytes of a `reg-name` (RFC 3986 §3.2.2) except the percent sign, which needs two digits behind
/// it, and the comma, which would let one value read as a list of two hosts.
static HOST_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let allowed = b"-._~!$&'()*+;=";
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut i = 0;
    while i < allowed.len() {
        table[allowed[i] as usize] = true;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let parts = |method, target| {
            let target = Target::parse(method, target).unwrap();
            (target.path(), target.query())
        };
        assert_eq!(parts("GET", "/a/b?c?d"), ("/a/b", Some("c?d")));
        assert_eq!(parts("GET", "/a?"), ("/a", Some("")));
        assert_eq!(parts("GET", "/"), ("/", None));
        assert_eq!(parts("GET", "http://b"), ("/", None));
        assert_eq!(parts("GET", "http://b?q"), ("/", Some("q")));
        assert_eq!(parts("GET", "http://b/p?q"), ("/p", Some("q")));
        assert_eq!(parts("OPTIONS", "http://b"), ("*", None));
        assert_eq!(parts("OPTIONS", "http://b/"), ("/", None));
        assert_eq!(parts("OPTIONS", "*"), ("*", None));
    }

    #[test]
    fn hosts() {
        let good = [
            "",
            "a",
            "a.b:",
            "a:0",
            "a:65535",
            "a:00080",
            "1.2.3.4",
            "[::1]",
            "[::1]:80",
            "a_b",
            "[::ffff:1.2.3.4]",
            "%41",
            "a%4ab%4A:1",
        ];
        for value in good {
            assert_eq!(host(value.as_bytes()), Ok(value));
        }
        let bad = [
            "a b",
            "a,b",
            "a/",
            ":",
            ":1",
            "a:65536",
            "a:b",
            "[",
            "[]",
            "[:",
            "[::1]a",
            "a]",
            "%",
            "a%4",
            "a%zz",
            "%41%",
            "%41,",
            "[:::]",
            "[1:2]",
            "[1.2.3.4]",
            "[fe80::1%25a]",
        ];
        for value in bad {
            assert_eq!(host(value.as_bytes()), Err(Fault::Host), "{value}");
        }
    }
}
