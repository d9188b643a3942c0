//! Request heads.

use super::framing::RequestFraming;
use super::head::{self, Field, FieldLines, FieldStorage, Version};
use super::name::Names;
use super::survey::{Survey, elements};
use super::{Fault, HeadLimits, Refusal, Target, TraceContext, diagnosis, target};

/// A request head that may be forwarded; borrows from the bytes it was parsed from.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'b, 's> {
    /// A token, case-sensitive (RFC 9110 §9.1).
    pub method: &'b str,
    /// What is asked for.
    pub target: Target<'b>,
    /// The client's version.
    pub version: Version,
    /// Host and port that the request is for: the authority of an absolute target, else Host
    /// (RFC 9112 §3.2.2). Empty if the client sent it so, none only on HTTP/1.0.
    pub host: Option<&'b str>,
    /// Fields as received.
    pub fields: &'s [Field<'b>],
    /// What decides about the exchange.
    pub facts: RequestFacts,
    /// Bytes of the head, with its empty line and any empty lines before it.
    pub len: usize,
    /// The head without empty lines before it.
    head: &'b [u8],
    pub(super) survey: Survey<'b>,
}

/// What a request head says about the exchange it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFacts {
    /// How the body is delimited.
    pub framing: RequestFraming,
    /// The client would keep its connection (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// The client may wait for a 100 before it sends the body (RFC 9110 §10.1.1).
    pub expect_continue: bool,
    /// The client asks for another protocol. Only on HTTP/1.1 (RFC 9110 §7.8), only without a body
    /// (bytes behind the head are then clearly the new protocol's), and not for `h2c`.
    pub upgrade: bool,
    /// The response has no body (RFC 9110 §9.3.2).
    pub is_head: bool,
    /// Sending it twice does what sending it once does (RFC 9110 §9.2.2).
    pub idempotent: bool,
}

impl RequestFacts {
    /// Those of the same request by GET, its body left out.
    pub fn without_body(self) -> RequestFacts {
        RequestFacts {
            framing: RequestFraming::None,
            expect_continue: false,
            upgrade: false,
            idempotent: true,
            ..self
        }
    }
}

/// Parses a head that [`HeadScanner`](super::HeadScanner) delimited.
pub fn parse_request<'b, 's>(
    head: &'b [u8],
    storage: &'s mut FieldStorage<'b>,
    limits: &HeadLimits,
) -> Result<RequestHead<'b, 's>, Refusal> {
    let len = head.len();
    let head = skip_empty_lines(head)?;
    let mut parsed = httparse::Request::new(&mut []);
    let slots = storage.slots(limits);
    let end = head::parser()
        .parse_request_with_uninit_headers(&mut parsed, head, slots)
        .map_err(|error| diagnosis::of_request(error, head))?;
    head::check_end(head, end)?;

    let method = parsed.method.ok_or(Fault::Incomplete)?;
    let version = Version::from_minor(parsed.version);
    let fields: &'s [Field<'b>] = parsed.headers;
    let target = Target::parse(method, parsed.path.ok_or(Fault::Incomplete)?)?;
    let mut survey = Survey::default();
    survey.read(head, fields, Names::ALL)?;
    let host = effective_host(&target, version, survey.host)?;
    let facts = facts(method, version, &survey)?;
    if let Target::Authority(_) = target {
        return Err(Fault::Connect.into());
    }
    Ok(RequestHead { method, target, version, host, fields, facts, len, head, survey })
}

/// Empty lines before the request line are no part of it (RFC 9112 §2.2).
#[inline]
fn skip_empty_lines(mut head: &[u8]) -> Result<&[u8], Fault> {
    while let [first @ (b'\r' | b'\n'), rest @ ..] = head {
        head = match (first, rest) {
            (b'\r', [b'\n', rest @ ..]) => rest,
            (b'\r', _) => return Err(Fault::BareCr),
            _ => return Err(Fault::BareLf),
        };
    }
    Ok(head)
}

/// RFC 9112 §3.2 and §3.3.
#[inline]
fn effective_host<'b>(
    target: &Target<'b>,
    version: Version,
    field: Option<&'b [u8]>,
) -> Result<Option<&'b str>, Fault> {
    let host = match field {
        Some(value) => Some(target::host(value)?),
        None if version == Version::Http11 => return Err(Fault::HostMissing),
        None => None,
    };
    match target {
        Target::Absolute { authority, .. } => Ok(Some(authority)),
        _ => Ok(host),
    }
}

#[inline]
fn facts(method: &str, version: Version, survey: &Survey<'_>) -> Result<RequestFacts, Fault> {
    let framing = survey.declared.check(version)?.of_request();
    let modern = version == Version::Http11;
    Ok(RequestFacts {
        framing,
        keep_alive: !survey.close && (modern || survey.keep_alive),
        // RFC 9110 §10.1.1: ignored on HTTP/1.0, and pointless without a body.
        expect_continue: survey.expect_continue && modern && framing != RequestFraming::None,
        upgrade: modern
            && survey.upgrade
            && survey.upgrade_option
            && !survey.h2c
            && framing == RequestFraming::None,
        is_head: method == "HEAD",
        idempotent: matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE"),
    })
}

impl<'b, 's> RequestHead<'b, 's> {
    /// The target's path, without the query, as sent.
    pub fn path(&self) -> &'b str {
        self.target.path()
    }

    /// The target's query, without the question mark.
    pub fn query(&self) -> Option<&'b str> {
        self.target.query()
    }

    /// How many more times an OPTIONS or a TRACE may be forwarded (RFC 9110 §7.6.2): the first
    /// Max-Forwards, if it is a number, of which the largest is `u64::MAX`. For other methods the
    /// field means nothing.
    pub fn max_forwards(&self) -> Option<u64> {
        if !matches!(self.method, "OPTIONS" | "TRACE") {
            return None;
        }
        let digits = self.field("max-forwards").filter(|digits| !digits.is_empty())?;
        digits.iter().try_fold(0_u64, |number, byte| match byte {
            b'0'..=b'9' => Some(number.saturating_mul(10).saturating_add(u64::from(byte - b'0'))),
            _ => None,
        })
    }

    /// The trace that it is part of; `None` where it names none, or not as it should.
    pub fn trace(&self) -> Option<TraceContext> {
        let value = self.survey.traceparent.filter(|_| !self.survey.traceparent_repeated)?;
        TraceContext::parse(value)
    }

    /// The first field with this name; any case.
    pub fn field(&self, lower_name: &str) -> Option<&'b [u8]> {
        head::find(self.fields, lower_name)
    }

    /// The first cookie with this name, as [`RequestHead::cookies`].
    pub fn cookie(&self, name: &str) -> Option<&'b [u8]> {
        self.cookies(name).next()
    }

    /// The cookies with this name (RFC 6265 §4.2.1), with quotes if they have them.
    pub fn cookies(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        self.fields
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case("cookie"))
            .flat_map(|field| field.value.split(|byte| *byte == b';'))
            .filter_map(move |pair| {
                let rest = pair.trim_ascii().strip_prefix(name.as_bytes())?;
                rest.strip_prefix(b"=")
            })
    }

    /// Values of all fields with this name, split at commas.
    pub(super) fn elements(&self, lower_name: &str) -> impl DoubleEndedIterator<Item = &'b [u8]> {
        self.fields
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(lower_name))
            .flat_map(|field| elements(field.value))
    }

    /// Names of trailers that are not to be forwarded, because Connection names them
    /// (RFC 9110 §7.6.1).
    pub fn hop_trailers(&self) -> Vec<Box<str>> {
        self.survey.hop_trailers(self.fields)
    }

    pub(super) fn lines(&self) -> FieldLines<'b, 's> {
        FieldLines { head: self.head, fields: self.fields }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{FieldStorage, HeadLimits, RequestFraming};

    const LIMITS: HeadLimits = HeadLimits { bytes: 4096, fields: 64 };

    fn with<T>(head: &str, look: impl FnOnce(&RequestHead<'_, '_>) -> T) -> T {
        let mut storage = FieldStorage::new();
        look(&parse_request(head.as_bytes(), &mut storage, &LIMITS).unwrap())
    }

    fn facts(version: &str, fields: &str) -> RequestFacts {
        with(&format!("PUT / HTTP/{version}\r\nHost: a\r\n{fields}\r\n"), |head| head.facts)
    }

    #[test]
    fn keep_alive() {
        for (version, fields, expected) in [
            ("1.1", "", true),
            ("1.1", "Connection: Close\r\n", false),
            ("1.1", "Connection: x-a,, close\r\n", false),
            ("1.1", "Connection: x-a\r\nConnection: close\r\n", false),
            ("1.1", "Connection: keep-alive, close\r\n", false),
            ("1.1", "Proxy-Connection: close\r\n", true),
            ("1.0", "", false),
            ("1.0", "Connection: Keep-Alive\r\n", true),
            ("1.0", "Keep-Alive: timeout=5\r\n", false),
        ] {
            assert_eq!(facts(version, fields).keep_alive, expected, "{version} {fields}");
        }
    }

    #[test]
    fn upgrade() {
        for (version, fields, expected) in [
            ("1.1", "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n", true),
            ("1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false),
            ("1.1", "Upgrade: websocket\r\n", false),
            ("1.1", "Connection: Upgrade\r\n", false),
            ("1.1", "Connection: Upgrade\r\nUpgrade: websocket, H2C\r\n", false),
            ("1.1", "Connection: Upgrade\r\nUpgrade: h2c/2\r\n", false),
            ("1.1", "Connection: Upgrade\r\nUpgrade: h2c-like\r\n", true),
            ("1.1", "Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 1\r\n", false),
        ] {
            assert_eq!(facts(version, fields).upgrade, expected, "{version} {fields}");
        }
    }

    #[test]
    fn expectations() {
        let expect = "Expect: 100-continue\r\nContent-Length: 1\r\n";
        assert!(facts("1.1", expect).expect_continue);
        assert!(!facts("1.0", expect).expect_continue);
        assert!(!facts("1.1", "Expect: 100-continue\r\n").expect_continue);
        assert_eq!(facts("1.1", expect).framing, RequestFraming::Length(1));
    }

    #[test]
    fn hosts() {
        let host = |head: &str| with(head, |head| head.host.map(str::to_owned));
        assert_eq!(host("GET / HTTP/1.0\r\n\r\n"), None);
        assert_eq!(host("GET / HTTP/1.1\r\nHost:\r\n\r\n").as_deref(), Some(""));
        assert_eq!(host("GET http://b:1 HTTP/1.1\r\nHost: a\r\n\r\n").as_deref(), Some("b:1"));
    }

    #[test]
    fn lookups() {
        let head =
            "GET /p?q HTTP/1.1\r\nhOST: a\r\nCookie: a=1; ab=2\r\nCookie: b=\"3\"; a=4\r\n\r\n";
        with(head, |head| {
            assert_eq!(head.field("host"), Some(&b"a"[..]));
            assert_eq!(head.field("hos"), None);
            assert_eq!(head.cookie("a"), Some(&b"1"[..]));
            assert_eq!(head.cookie("ab"), Some(&b"2"[..]));
            assert_eq!(head.cookie("b"), Some(&b"\"3\""[..]));
            assert_eq!(head.cookie("A"), None);
            assert_eq!(head.cookies("a").collect::<Vec<_>>(), [b"1", b"4"]);
            assert_eq!((head.path(), head.query()), ("/p", Some("q")));
        });
    }

    #[test]
    fn max_forwards() {
        for (method, fields, expected) in [
            ("OPTIONS", "Max-Forwards: 0\r\n", Some(0)),
            ("TRACE", "max-forwards: 010\r\n", Some(10)),
            ("OPTIONS", "Max-Forwards: 99999999999999999999\r\n", Some(u64::MAX)),
            ("OPTIONS", "Max-Forwards: 2\r\nMax-Forwards: 0\r\n", Some(2)),
            ("OPTIONS", "Max-Forwards: -1\r\n", None),
            ("OPTIONS", "Max-Forwards:\r\n", None),
            ("OPTIONS", "", None),
            ("GET", "Max-Forwards: 0\r\n", None),
        ] {
            let head = format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            with(&head, |head| assert_eq!(head.max_forwards(), expected, "{method} {fields}"));
        }
    }

    #[test]
    fn trailers_of_the_hop() {
        for (fields, expected) in [
            ("Transfer-Encoding: chunked\r\nConnection: X-A, close, etag\r\n", &["X-A"][..]),
            ("Connection: a\r\nConnection: b,\r\nTransfer-Encoding: chunked\r\n", &["a", "b"]),
            ("Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n", &[]),
            ("Connection: X-A\r\n", &[]),
        ] {
            let head = format!("PUT / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let names = with(&head, |head| head.hop_trailers());
            let names: Vec<_> =
                names.iter().map(|name| &**name).filter(|n| *n != "close").collect();
            assert_eq!(names, expected, "{fields}");
        }
    }

    #[test]
    fn connection_names_are_counted() {
        let named = |count| format!("Connection: {}\r\n", vec!["x"; count].join(","));
        facts("1.1", &named(32));
        let head = format!("GET / HTTP/1.0\r\n{}\r\n", named(33));
        let mut storage = FieldStorage::new();
        let refusal = parse_request(head.as_bytes(), &mut storage, &LIMITS).unwrap_err();
        assert_eq!(refusal.fault, Fault::ConnectionOptions);
    }
}
