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
    Forwarded,
    Host,
    KeepAlive,
    MaxForwards,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    Te,
    Traceparent,
    Tracestate,
    TransferEncoding,
    Upgrade,
    /// X-Forwarded-Port, -Prefix, -Scheme and -Server, and X-Real-IP: what earlier proxies say, and
    /// this one does not.
    XForwardedElse,
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
            9 => match name[0] | 0x20 {
                b'x' => known(name, b"x-real-ip", Known::XForwardedElse),
                _ => known(name, b"forwarded", Known::Forwarded),
            },
            10 => match name[0] | 0x20 {
                b'c' => known(name, b"connection", Known::Connection),
                b't' => known(name, b"tracestate", Known::Tracestate),
                _ => known(name, b"keep-alive", Known::KeepAlive),
            },
            11 => known(name, b"traceparent", Known::Traceparent),
            12 => match name[0] | 0x20 {
                b'x' => known(name, b"x-request-id", Known::XRequestId),
                _ => known(name, b"max-forwards", Known::MaxForwards),
            },
            14 => known(name, b"content-length", Known::ContentLength),
            15 => known(name, b"x-forwarded-for", Known::XForwardedFor),
            16 => match (name[0] | 0x20, name[12] | 0x20) {
                (b'x', b'p') => known(name, b"x-forwarded-port", Known::XForwardedElse),
                (b'x', _) => known(name, b"x-forwarded-host", Known::XForwardedHost),
                _ => known(name, b"proxy-connection", Known::ProxyConnection),
            },
            17 => match name[0] | 0x20 {
                b'x' => known(name, b"x-forwarded-proto", Known::XForwardedProto),
                _ => known(name, b"transfer-encoding", Known::TransferEncoding),
            },
            18 => match (name[0] | 0x20, name[12] | 0x20) {
                (b'x', b'p') => known(name, b"x-forwarded-prefix", Known::XForwardedElse),
                (b'x', b's') => match name[13] | 0x20 {
                    b'c' => known(name, b"x-forwarded-scheme", Known::XForwardedElse),
                    _ => known(name, b"x-forwarded-server", Known::XForwardedElse),
                },
                _ => known(name, b"proxy-authenticate", Known::ProxyAuthenticate),
            },
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
    Known::XForwardedElse,
    Known::XForwardedFor,
    Known::XForwardedHost,
    Known::XForwardedProto,
]);

/// A set of names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names(u32);

impl Names {
    /// Every known name. A request's head is read for all of them.
    pub(super) const ALL: Names = Names(u32::MAX << 1);

    /// Those that mean something in a response.
    pub(super) const OF_RESPONSES: Names = Names::new(&[
        Known::Connection,
        Known::ContentLength,
        Known::KeepAlive,
        Known::ProxyAuthenticate,
        Known::ProxyAuthorization,
        Known::ProxyConnection,
        Known::Te,
        Known::TransferEncoding,
        Known::Upgrade,
    ]);

    const fn new(names: &[Known]) -> Self {
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

/// End-to-end names that say how to route, authenticate or process a message. Lower case.
const HEAD_ONLY: &[&str] = &[
    "age",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "location",
    "max-forwards",
    "pragma",
    "range",
    "retry-after",
    "set-cookie",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "vary",
    "via",
    "www-authenticate",
    "x-real-ip",
    "x-request-id",
];

/// End-to-end names that do no harm in trailers. Lower case.
const ANYWHERE: &[&str] = &[
    "allow",
    "cookie2",
    "etag",
    "from",
    "last-modified",
    "origin",
    "referer",
    "refresh",
    "server",
    "set-cookie2",
    "strict-transport-security",
    "user-agent",
    "warning",
    "x-frame-options",
];

/// Beginnings of more end-to-end names.
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

/// Whether Connection may name this field for removal; any case. It cannot nominate what is meant
/// for all recipients (RFC 9110 §7.6.1), or a client could strip what an earlier proxy added, or
/// what the application decides on.
#[cold]
pub(super) fn may_be_nominated(name: &str) -> bool {
    let begins = |prefix: &&str| {
        name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    !is_among(HEAD_ONLY, name)
        && !is_among(ANYWHERE, name)
        && !END_TO_END_PREFIXES.iter().any(begins)
}

/// Whether this field may stand in trailers (RFC 9110 §6.5.1); any case. What frames or routes the
/// message, or belongs to one connection, comes too late there, or contradicts what was decided.
pub(super) fn may_trail(name: &str) -> bool {
    Known::of(name) == Known::Other && !is_among(HEAD_ONLY, name)
}

fn is_among(lower_names: &[&str], name: &str) -> bool {
    lower_names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[(&str, Known)] = &[
        ("connection", Known::Connection),
        ("content-length", Known::ContentLength),
        ("expect", Known::Expect),
        ("forwarded", Known::Forwarded),
        ("host", Known::Host),
        ("keep-alive", Known::KeepAlive),
        ("max-forwards", Known::MaxForwards),
        ("proxy-authenticate", Known::ProxyAuthenticate),
        ("proxy-authorization", Known::ProxyAuthorization),
        ("proxy-connection", Known::ProxyConnection),
        ("te", Known::Te),
        ("traceparent", Known::Traceparent),
        ("tracestate", Known::Tracestate),
        ("transfer-encoding", Known::TransferEncoding),
        ("upgrade", Known::Upgrade),
        ("x-forwarded-for", Known::XForwardedFor),
        ("x-forwarded-host", Known::XForwardedHost),
        ("x-forwarded-port", Known::XForwardedElse),
        ("x-forwarded-prefix", Known::XForwardedElse),
        ("x-forwarded-proto", Known::XForwardedProto),
        ("x-forwarded-scheme", Known::XForwardedElse),
        ("x-forwarded-server", Known::XForwardedElse),
        ("x-real-ip", Known::XForwardedElse),
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
        assert_eq!(Known::of("X_Real-IP"), Known::Lookalike);
        assert_eq!(Known::of("x-forwarded_port"), Known::Lookalike);
        assert_eq!(Known::of("x_forwarded_prefix"), Known::Lookalike);
        assert_eq!(Known::of("x_forwarded-scheme"), Known::Lookalike);
        assert_eq!(Known::of("x_forwarded_server"), Known::Lookalike);
        assert_eq!(Known::of("x_request_id"), Known::Other);
        assert_eq!(Known::of("content_lengti"), Known::Other);
        assert_eq!(Known::of("content_lengt_"), Known::Other);
    }

    #[test]
    fn a_set_has_what_is_in_it() {
        for (_, known) in ALL {
            assert!(Names::ALL.has(*known), "{known:?}");
        }
        assert!(Names::ALL.has(Known::Lookalike) && !Names::ALL.has(Known::Other));
        assert!(Names::OF_RESPONSES.has(Known::Te) && !Names::OF_RESPONSES.has(Known::Host));
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

    #[test]
    fn trailers_neither_frame_nor_route() {
        for (known, _) in ALL {
            assert!(!may_trail(known), "{known}");
        }
        for name in ["Content_Length", "COOKIE", "Content-Type", "Trailer", "via", "If-Range"] {
            assert!(!may_trail(name), "{name}");
        }
        for name in ["ETag", "Content-Digest", "Server-Timing", "X-Checksum", "Last-Modified"] {
            assert!(may_trail(name), "{name}");
        }
    }

    /// In order, so that what is missing shows.
    #[test]
    fn lists_are_in_order() {
        assert!(HEAD_ONLY.is_sorted() && ANYWHERE.is_sorted());
    }
}
