//! The few field names that a proxy must recognise.
//!
//! Length comes first: most names of a request share neither length nor first byte with any name
//! here, so they cost one jump.

/// A field name that has a meaning here, or `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Known {
    Other,
    Connection,
    ContentLength,
    Expect,
    Host,
    KeepAlive,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    Te,
    TransferEncoding,
    Upgrade,
    XForwardedFor,
    XForwardedHost,
    XForwardedProto,
    XRequestId,
    /// A framing or forwarding name with `_` for `-`. Gateway interfaces take it for the real one
    /// (RFC 3875 §4.1.18 maps both to the same variable), so it must not get past the checks.
    Lookalike,
}

impl Known {
    /// Which name this is; `name` must be a token (RFC 9110 §5.1), as every parsed name is.
    #[inline]
    pub(super) fn of(name: &str) -> Known {
        let name = name.as_bytes();
        match name.len() {
            2 => known(name, b"te", Known::Te),
            4 => known(name, b"host", Known::Host),
            6 => known(name, b"expect", Known::Expect),
            7 => known(name, b"upgrade", Known::Upgrade),
            10 => match name[0] | 0x20 {
                b'c' => known(name, b"connection", Known::Connection),
                _ => known(name, b"keep-alive", Known::KeepAlive),
            },
            12 => known(name, b"x-request-id", Known::XRequestId),
            14 => known(name, b"content-length", Known::ContentLength),
            15 => known(name, b"x-forwarded-for", Known::XForwardedFor),
            16 => match name[0] | 0x20 {
                b'x' => known(name, b"x-forwarded-host", Known::XForwardedHost),
                _ => known(name, b"proxy-connection", Known::ProxyConnection),
            },
            17 => match name[0] | 0x20 {
                b'x' => known(name, b"x-forwarded-proto", Known::XForwardedProto),
                _ => known(name, b"transfer-encoding", Known::TransferEncoding),
            },
            18 => known(name, b"proxy-authenticate", Known::ProxyAuthenticate),
            19 => known(name, b"proxy-authorization", Known::ProxyAuthorization),
            _ => Known::Other,
        }
    }
}

/// `yes` if `name` is `lower` in any case.
///
/// Setting bit 5 folds case, and over token bytes it maps nothing but `_` elsewhere than where
/// ASCII case folding would. An underscore for a hyphen differs in exactly [`UNDERSCORE`]'s bits.
#[inline]
fn known<const N: usize>(name: &[u8], lower: &[u8; N], yes: Known) -> Known {
    let Ok(name) = <&[u8; N]>::try_from(name) else {
        return Known::Other;
    };
    if name[0] | 0x20 != lower[0] {
        return Known::Other;
    }
    let mut difference = 0;
    for i in 0..N {
        difference |= (name[i] | 0x20) ^ lower[i];
    }
    match difference {
        0 => yes,
        UNDERSCORE => lookalike(name, lower, yes),
        _ => Known::Other,
    }
}

/// `(b'_' | 0x20) ^ b'-'`
const UNDERSCORE: u8 = 0x52;

#[cold]
fn lookalike(name: &[u8], lower: &[u8], yes: Known) -> Known {
    let same = |(name, lower): (&u8, &u8)| {
        name.eq_ignore_ascii_case(lower) || (*name == b'_' && *lower == b'-')
    };
    match DANGEROUS_TO_MISTAKE.has(yes) && name.iter().zip(lower).all(same) {
        true => Known::Lookalike,
        false => Known::Other,
    }
}

const DANGEROUS_TO_MISTAKE: Names = Names::new(&[
    Known::ContentLength,
    Known::TransferEncoding,
    Known::XForwardedFor,
    Known::XForwardedHost,
    Known::XForwardedProto,
]);

/// A set of names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names(u32);

impl Names {
    pub(super) const fn new(names: &[Known]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < names.len() {
            bits |= 1 << names[i] as u32;
            i += 1;
        }
        Names(bits)
    }

    #[inline]
    pub(super) fn has(self, name: Known) -> bool {
        self.0 >> (name as u32) & 1 == 1
    }
}

/// Names that Connection cannot nominate for removal (RFC 9110 §7.6.1: a sender must not nominate
/// fields meant for all recipients). Without this, a client could strip what an earlier proxy
/// added, or what the application decides on. Lower case.
const END_TO_END: &[&str] = &[
    "age",
    "allow",
    "authorization",
    "cache-control",
    "cookie",
    "cookie2",
    "date",
    "etag",
    "expect",
    "expires",
    "forwarded",
    "from",
    "host",
    "last-modified",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
    "trailer",
    "transfer-encoding",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-frame-options",
    "x-real-ip",
    "x-request-id",
];

/// Beginnings of more such names.
const END_TO_END_PREFIXES: &[&str] = &[
    "accept",
    "access-control-",
    "authentication-",
    "content-",
    "cross-origin-",
    "if-",
    "sec-",
    "x-forwarded-",
];

/// Whether Connection may name this field; any case.
#[cold]
pub(super) fn may_be_nominated(name: &str) -> bool {
    let begins = |prefix: &&str| {
        name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    !END_TO_END.iter().any(|known| known.eq_ignore_ascii_case(name))
        && !END_TO_END_PREFIXES.iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[(&str, Known)] = &[
        ("connection", Known::Connection),
        ("content-length", Known::ContentLength),
        ("expect", Known::Expect),
        ("host", Known::Host),
        ("keep-alive", Known::KeepAlive),
        ("proxy-authenticate", Known::ProxyAuthenticate),
        ("proxy-authorization", Known::ProxyAuthorization),
        ("proxy-connection", Known::ProxyConnection),
        ("te", Known::Te),
        ("transfer-encoding", Known::TransferEncoding),
        ("upgrade", Known::Upgrade),
        ("x-forwarded-for", Known::XForwardedFor),
        ("x-forwarded-host", Known::XForwardedHost),
        ("x-forwarded-proto", Known::XForwardedProto),
        ("x-request-id", Known::XRequestId),
    ];

    #[test]
    fn any_case() {
        for (lower, known) in ALL {
            assert_eq!(Known::of(lower), *known);
            assert_eq!(Known::of(&lower.to_ascii_uppercase()), *known);
        }
    }

    /// One token byte exchanged for any other makes another name, whatever bit folding does.
    #[test]
    fn nothing_else() {
        for (lower, known) in ALL {
            for at in 0..lower.len() {
                for byte in (0x21..0x7f).filter(|byte| *byte != b'_').map(char::from) {
                    let mut name = (*lower).to_owned();
                    name.replace_range(at..=at, &byte.to_string());
                    if name.to_ascii_lowercase() != *lower {
                        assert_ne!(Known::of(&name), *known, "{name}");
                    }
                }
            }
        }
    }

    #[test]
    fn underscores() {
        assert_eq!(Known::of("Content_Length"), Known::Lookalike);
        assert_eq!(Known::of("TRANSFER_ENCODING"), Known::Lookalike);
        assert_eq!(Known::of("x-forwarded_for"), Known::Lookalike);
        assert_eq!(Known::of("x_request_id"), Known::Other);
        assert_eq!(Known::of("content_lengti"), Known::Other);
        assert_eq!(Known::of("content_lengt_"), Known::Other);
    }

    #[test]
    fn end_to_end_names_stay() {
        for name in ["Cookie", "CONTENT-TYPE", "X-Forwarded-Port", "Sec-WebSocket-Key", "if-match"]
        {
            assert!(!may_be_nominated(name), "{name}");
        }
        for name in ["HTTP2-Settings", "X-Hop", "secret", "i"] {
            assert!(may_be_nominated(name), "{name}");
        }
    }
}
