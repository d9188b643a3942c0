//! Host patterns, and the host of a request made comparable.

use std::fmt;

use super::Expression;

/// Longest host name that can match; DNS allows 253 bytes.
pub(super) const HOST_BYTES_MAX: usize = 255;

/// What the host of a request must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This name or IP address, in lower case.
    Exact(String),
    /// Any name that ends in `.` and this, in lower case: `example.com` for `*.example.com`.
    /// One label or more may stand for the star; the name itself does not match.
    Wildcard(String),
    /// Any name that begins with this and `.`, in lower case: `www.example` for `www.example.*`.
    Tail(String),
    /// Any host in which the expression is found, in any case: `~^(www\.)?example\.com$`.
    Regex(Expression),
    /// Every host, and requests without one.
    Any,
}

/// Why a text is no host pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPatternError {
    /// There is nothing in it.
    Empty,
    /// It carries a port; routes do not distinguish ports.
    Port,
    /// A scheme, path or other part of a URL.
    Url,
    /// A star elsewhere than in front as `*.` or behind as `.*`.
    Star,
    /// The regular expression is not understood.
    Regex(String),
    /// Characters beyond ASCII: host names travel in their `xn--` form.
    NotAscii,
    /// A character or an empty label that no host name has, or too long a name.
    NotAName,
}

impl fmt::Display for HostPatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HostPatternError::Regex(what) => return write!(f, "bad regular expression: {what}"),
            HostPatternError::Empty => "a host may not be empty",
            HostPatternError::Port => "a route's host has no port",
            HostPatternError::Url => "a route's host is a name, not a URL",
            HostPatternError::Star => "a star stands for what is in front or behind",
            HostPatternError::NotAscii => "a host name beyond ASCII is sent in its `xn--` form",
            HostPatternError::NotAName => "this is not a host name",
        })
    }
}

impl std::error::Error for HostPatternError {}

impl HostPattern {
    /// Reads `name`, `*.name`, `name.*`, `~expression`, `*` or an IP address (IPv6 in brackets).
    pub fn parse(text: &str) -> Result<HostPattern, HostPatternError> {
        if text.is_empty() {
            return Err(HostPatternError::Empty);
        }
        if text == "*" {
            return Ok(HostPattern::Any);
        }
        if let Some(expression) = text.strip_prefix('~') {
            let read = Expression::any_case(expression);
            return read.map(HostPattern::Regex).map_err(HostPatternError::Regex);
        }
        if !text.is_ascii() {
            return Err(HostPatternError::NotAscii);
        }
        if text.contains(['/', '?', '#', '@']) {
            return Err(HostPatternError::Url);
        }
        if bare_host(text).len() < text.trim_end_matches('.').len() {
            return Err(HostPatternError::Port);
        }
        let text = bare_host(text).to_ascii_lowercase();
        if let Some(prefix) = text.strip_suffix(".*") {
            return match is_name(prefix) {
                true => Ok(HostPattern::Tail(prefix.to_owned())),
                false => Err(HostPatternError::Star),
            };
        }
        match text.strip_prefix("*.") {
            Some(suffix) if suffix.contains('*') => Err(HostPatternError::Star),
            Some(suffix) => is_name(suffix)
                .then(|| HostPattern::Wildcard(suffix.to_owned()))
                .ok_or(HostPatternError::NotAName),
            None if text.contains('*') => Err(HostPatternError::Star),
            None if is_name(&text) || is_bracketed_ipv6(&text) => Ok(HostPattern::Exact(text)),
            None => Err(HostPatternError::NotAName),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Exact(name) => f.write_str(name),
            HostPattern::Wildcard(suffix) => write!(f, "*.{suffix}"),
            HostPattern::Tail(prefix) => write!(f, "{prefix}.*"),
            HostPattern::Regex(regex) => write!(f, "~{}", regex.as_str()),
            HostPattern::Any => f.write_str("*"),
        }
    }
}

fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn is_bracketed_ipv6(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
}

/// The host without its port and without the dot of a fully qualified name.
pub fn bare_host(host: &str) -> &str {
    let end = match host.strip_prefix('[') {
        // An IPv6 address holds colons of its own; its port begins after the bracket.
        Some(inner) => inner.find(']').map_or(host.len(), |bracket| bracket + 2),
        None => host.find(':').unwrap_or(host.len()),
    };
    let bare = &host[..end];
    bare.strip_suffix('.').unwrap_or(bare)
}

/// A host in lower case, on the stack.
pub(super) struct LowerHost {
    bytes: [u8; HOST_BYTES_MAX],
    len: usize,
}

impl LowerHost {
    /// From a `Host` field; `None` if it is too long to match any pattern.
    pub fn new(host: &str) -> Option<LowerHost> {
        let bare = bare_host(host).as_bytes();
        let mut bytes = [0; HOST_BYTES_MAX];
        let lower = bytes.get_mut(..bare.len())?;
        lower.copy_from_slice(bare);
        lower.make_ascii_lowercase();
        Some(LowerHost { bytes, len: bare.len() })
    }

    /// The whole host.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_final_dots_are_left_off() {
        let table = [
            ("example.com", "example.com"),
            ("example.com:8080", "example.com"),
            ("example.com.", "example.com"),
            ("example.com.:443", "example.com"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[::1]:8080", "[::1]"),
            ("[::1", "[::1"),
            ("[", "["),
            ("[]", "[]"),
            (":80", ""),
            ("", ""),
            (".", ""),
        ];
        for (host, bare) in table {
            assert_eq!(bare_host(host), bare, "{host:?}");
        }
    }

    #[test]
    fn patterns() {
        let exact = |name: &str| Ok(HostPattern::Exact(name.to_owned()));
        let table = [
            ("example.com", exact("example.com")),
            ("Example.COM.", exact("example.com")),
            ("my_host-1", exact("my_host-1")),
            ("192.0.2.1", exact("192.0.2.1")),
            ("[2001:DB8::1]", exact("[2001:db8::1]")),
            ("*.akuma.xyz", Ok(HostPattern::Wildcard("akuma.xyz".to_owned()))),
            ("*", Ok(HostPattern::Any)),
            ("WWW.example.*", Ok(HostPattern::Tail("www.example".to_owned()))),
            ("*.example.*", Err(HostPatternError::Star)),
            ("~(", Err(HostPatternError::Regex("unclosed group".to_owned()))),
            ("", Err(HostPatternError::Empty)),
            ("example.com:80", Err(HostPatternError::Port)),
            ("[::1]:80", Err(HostPatternError::Port)),
            ("http://example.com", Err(HostPatternError::Url)),
            ("example.com/api", Err(HostPatternError::Url)),
            ("www.*.com", Err(HostPatternError::Star)),
            ("*example.com", Err(HostPatternError::Star)),
            ("*.*.com", Err(HostPatternError::Star)),
            ("bücher.example", Err(HostPatternError::NotAscii)),
            ("a b", Err(HostPatternError::NotAName)),
            ("a..b", Err(HostPatternError::NotAName)),
            (".example.com", Err(HostPatternError::NotAName)),
            ("*.", Err(HostPatternError::Star)),
            (".", Err(HostPatternError::NotAName)),
            ("[zz]", Err(HostPatternError::NotAName)),
        ];
        for (text, expected) in table {
            assert_eq!(HostPattern::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn patterns_print_as_they_are_written() {
        for text in ["example.com", "*.example.com", "www.*", "~^a", "*", "[::1]"] {
            assert_eq!(HostPattern::parse(text).unwrap().to_string(), text);
        }
    }
}
