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
        name.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    !END_TO_END
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
        && !END_TO_END_PREFIXES.iter().any(begins)
}
