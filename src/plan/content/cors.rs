//! Which other sites' pages may read a route's answers (the Fetch standard's CORS protocol).

use std::fmt;

use crate::http1::FieldEdits;

/// `cors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsPlan {
    /// Whose.
    pub origins: Origins,
    /// Methods that they may use, as Access-Control-Allow-Methods.
    pub methods: String,
    /// Fields that they may send, as Access-Control-Allow-Headers; `None`: what they ask for.
    pub headers: Option<String>,
    /// Fields of answers that they may read, as Access-Control-Expose-Headers; empty: the usual.
    pub expose: String,
    /// Cookies and passwords may come along.
    pub credentials: bool,
    /// How long they need not ask again, seconds.
    pub max_age: Option<u64>,
}

/// Origins that are let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// All.
    Any,
    /// Those of which one of these matches.
    These(Vec<OriginPattern>),
}

/// What a preflight asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Access-Control-Request-Headers.
    pub headers: Option<&'a [u8]>,
}

/// Fields that only this plan may set: a server's own might contradict them.
const OWN: [&str; 6] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
];

impl CorsPlan {
    /// The value of Access-Control-Allow-Origin for a page of this origin, if it may read answers.
    fn allowed<'o>(&self, origin: Option<&'o [u8]>) -> Option<&'o str> {
        let origin = std::str::from_utf8(origin?).ok()?;
        match &self.origins {
            Origins::Any => Some("*"),
            Origins::These(patterns) => {
                patterns.iter().any(|pattern| pattern.matches(origin)).then_some(origin)
            }
        }
    }

    /// What an answer to a page of this origin says.
    pub fn edits(&self, origin: Option<&[u8]>) -> FieldEdits {
        let mut edits = self.without_own();
        if let Some(allowed) = self.allowed(origin) {
            self.allow(&mut edits, allowed);
            if !self.expose.is_empty() {
                edits.add.push((OWN[4].to_owned(), self.expose.clone()));
            }
        }
        if self.origins != Origins::Any {
            edits.add.push(("vary".to_owned(), "Origin".to_owned()));
        }
        edits
    }

    /// What the answer to a preflight says.
    pub fn preflight(&self, origin: &[u8], asked: Asked<'_>) -> FieldEdits {
        let mut edits = self.without_own();
        if let Some(allowed) = self.allowed(Some(origin)) {
            self.allow(&mut edits, allowed);
            edits.add.push((OWN[2].to_owned(), self.methods.clone()));
            let asked = asked.headers.and_then(|headers| std::str::from_utf8(headers).ok());
            if let Some(headers) = self.headers.as_deref().or(asked)
                && !headers.is_empty()
            {
                edits.add.push((OWN[1].to_owned(), headers.to_owned()));
            }
            if let Some(seconds) = self.max_age {
                edits.add.push((OWN[5].to_owned(), seconds.to_string()));
            }
        }
        let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
        edits.add.push(("vary".to_owned(), vary.to_owned()));
        edits
    }

    fn allow(&self, edits: &mut FieldEdits, origin: &str) {
        edits.add.push((OWN[3].to_owned(), origin.to_owned()));
        if self.credentials {
            edits.add.push((OWN[0].to_owned(), "true".to_owned()));
        }
    }

    fn without_own(&self) -> FieldEdits {
        FieldEdits { remove: OWN.map(str::to_owned).to_vec(), ..FieldEdits::default() }
    }
}

/// An origin, or all origins below a host: `https://a.example`, `https://*.example.com:8443`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OriginPattern {
    /// With `://`; lower case, as all of it.
    scheme: String,
    /// Anything may stand before the host, up to a dot.
    below: bool,
    /// Host and port; with `below`, from that dot on.
    host: String,
}

/// Why a text is no pattern of an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginPatternError {
    /// There is no `scheme://`.
    Scheme,
    /// Something follows the host; without that it would be this.
    Path(String),
    /// No browser sends the scheme's own port; it would be this.
    Port(String),
    /// A star that is not the whole first label.
    Star,
    /// It is no host.
    Host,
}

impl OriginPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`OriginPatternError`].
    pub fn parse(text: &str) -> Result<OriginPattern, OriginPatternError> {
        let lower = text.to_ascii_lowercase();
        let (scheme, rest) = lower.split_once("://").ok_or(OriginPatternError::Scheme)?;
        let is_scheme_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if scheme.is_empty() || !scheme.bytes().all(is_scheme_byte) {
            return Err(OriginPatternError::Scheme);
        }
        if let Some(end) = rest.find(['/', '?', '#']) {
            return Err(OriginPatternError::Path(format!("{scheme}://{}", &rest[..end])));
        }
        for (own, port) in [("http", ":80"), ("https", ":443")] {
            if let (true, Some(host)) = (scheme == own, rest.strip_suffix(port)) {
                return Err(OriginPatternError::Port(format!("{scheme}://{host}")));
            }
        }
        let (below, host) = match rest.strip_prefix('*') {
            Some(host) if host.starts_with('.') && host.len() > 1 => (true, host),
            Some(_) => return Err(OriginPatternError::Star),
            None => (false, rest),
        };
        if host.contains('*') {
            return Err(OriginPatternError::Star);
        }
        let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_host_byte) {
            return Err(OriginPatternError::Host);
        }
        Ok(OriginPattern { scheme: format!("{scheme}://"), below, host: host.to_owned() })
    }

    /// Whether an Origin is one of those that are meant. Browsers write them in lower case.
    pub fn matches(&self, origin: &str) -> bool {
        let Some(rest) = origin.strip_prefix(self.scheme.as_str()) else { return false };
        match (self.below, rest.strip_suffix(self.host.as_str())) {
            (false, Some(before)) => before.is_empty(),
            (true, Some(below)) => {
                let is_label_byte =
                    |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                !below.is_empty() && below.bytes().all(is_label_byte)
            }
            (_, None) => false,
        }
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.below { "*" } else { "" };
        write!(f, "{}{star}{}", self.scheme, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> OriginPattern {
        OriginPattern::parse(text).unwrap()
    }

    #[test]
    fn patterns_match_whole_origins() {
        let table: [(&str, &[&str], &[&str]); 4] = [
            (
                "https://a.example",
                &["https://a.example"],
                &[
                    "http://a.example",
                    "https://a.example:8443",
                    "https://a.example.evil.test",
                    "https://evil-a.example",
                    "https://a.example/",
                    "null",
                    "",
                ],
            ),
            (
                "HTTPS://*.Example.com",
                &["https://www.example.com", "https://a.b.example.com"],
                &[
                    "https://example.com",
                    "https://.example.com",
                    "https://evilexample.com",
                    "https://evil.test/.example.com",
                    "https://evil.test:1.example.com",
                    "https://user@x.example.com",
                    "https://www.example.com:444",
                ],
            ),
            ("http://localhost:3000", &["http://localhost:3000"], &["http://localhost:30000"]),
            ("capacitor://localhost", &["capacitor://localhost"], &["http://localhost"]),
        ];
        for (text, right, wrong) in table {
            let pattern = pattern(text);
            assert_eq!(pattern.to_string(), text.to_ascii_lowercase());
            right.iter().for_each(|origin| assert!(pattern.matches(origin), "{origin}"));
            wrong.iter().for_each(|origin| assert!(!pattern.matches(origin), "{origin}"));
        }
    }

    #[test]
    fn what_is_no_pattern() {
        use OriginPatternError as Error;
        let meant = |text: &str| text.to_owned();
        for (text, error) in [
            ("a.example", Error::Scheme),
            ("null", Error::Scheme),
            ("://a", Error::Scheme),
            ("https://a.example/", Error::Path(meant("https://a.example"))),
            ("https://a.example/x?y", Error::Path(meant("https://a.example"))),
            ("https://a.example:443", Error::Port(meant("https://a.example"))),
            ("http://a.example:80", Error::Port(meant("http://a.example"))),
            ("https://*", Error::Star),
            ("https://*example.com", Error::Star),
            ("https://a.*.com", Error::Star),
            ("https://", Error::Host),
            ("https://a b", Error::Host),
        ] {
            assert_eq!(OriginPattern::parse(text), Err(error), "{text}");
        }
    }

    fn plan(origins: Origins, credentials: bool) -> CorsPlan {
        CorsPlan {
            origins,
            methods: "GET, PUT".into(),
            headers: None,
            expose: "X-Total".into(),
            credentials,
            max_age: Some(600),
        }
    }

    fn added(edits: &FieldEdits) -> Vec<(&str, &str)> {
        assert_eq!(edits.remove.len(), OWN.len(), "none of the server's stays");
        edits.add.iter().map(|(name, value)| (&**name, &**value)).collect()
    }

    #[test]
    fn answers_name_the_origin_that_asked() {
        let here = b"https://a.example".as_slice();
        let these = plan(Origins::These(vec![pattern("https://a.example")]), true);
        let expected = [
            ("access-control-allow-origin", "https://a.example"),
            ("access-control-allow-credentials", "true"),
            ("access-control-expose-headers", "X-Total"),
            ("vary", "Origin"),
        ];
        assert_eq!(added(&these.edits(Some(here))), expected);
        for other in [None, Some(&b"https://b.example"[..]), Some(b"null"), Some(b"\xff")] {
            assert_eq!(added(&these.edits(other)), [("vary", "Origin")]);
        }
        let any = plan(Origins::Any, false);
        let expected =
            [("access-control-allow-origin", "*"), ("access-control-expose-headers", "X-Total")];
        assert_eq!(added(&any.edits(Some(here))), expected);
        assert_eq!(added(&any.edits(None)), []);
    }

    #[test]
    fn preflights() {
        let these = plan(Origins::These(vec![pattern("https://a.example")]), false);
        let asked = Asked { headers: Some(b"x-one, x-two") };
        let vary =
            ("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
        let expected = [
            ("access-control-allow-origin", "https://a.example"),
            ("access-control-allow-methods", "GET, PUT"),
            ("access-control-allow-headers", "x-one, x-two"),
            ("access-control-max-age", "600"),
            vary,
        ];
        assert_eq!(added(&these.preflight(b"https://a.example", asked)), expected);
        assert_eq!(added(&these.preflight(b"https://b.example", asked)), [vary]);
        let listed = CorsPlan { headers: Some("X-One".into()), max_age: None, ..these };
        let edits = listed.preflight(b"https://a.example", asked);
        assert_eq!(added(&edits)[2], ("access-control-allow-headers", "X-One"));
        assert_eq!(added(&edits).len(), 4);
    }
}
