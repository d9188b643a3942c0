//! A second opinion on what bytes on a wire mean, for judging the proxy: RFC 9112, RFC 9110 and
//! RFC 3986 read literally, slowly, and without a line of the proxy's own code.
//!
//! What could be read in two ways is not read at all. What the design refuses although an RFC lets
//! a recipient repair it (lines ended by LF alone, repeated lengths) is a flaw here too.

use std::net::Ipv6Addr;

/// A message, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The three parts of the start line.
    pub start: [String; 3],
    /// Names in lower case, values without white space around them; each byte a `char`.
    pub fields: Vec<(String, String)>,
    /// The payload, decoded.
    pub body: Vec<u8>,
    /// Fields behind a chunked body.
    pub trailers: Vec<(String, String)>,
    /// A chunk carried an extension.
    pub extended: bool,
    /// Bytes of the whole message on the wire, with empty lines before it.
    pub length: usize,
    /// Bytes of the empty lines before it.
    pub skipped: usize,
}

/// What is wrong with a message.
pub type Flaw = String;

/// A message that bytes begin with; none while it is not whole.
pub type Reading<T = Message> = Result<Option<T>, Flaw>;

/// Takes the value out of a reading, or ends the function as the reading ends.
macro_rules! whole {
    ($reading:expr) => {
        match $reading? {
            Some(value) => value,
            None => return Ok(None),
        }
    };
}

/// How a body is delimited.
enum Delimited {
    Nothing,
    Length(u64),
    Chunks,
    Close,
}

/// Reads the request that `bytes` begin with.
pub fn request(bytes: &[u8]) -> Reading {
    let mut reader = Reader { bytes, at: 0 };
    // RFC 9112 §2.2
    while bytes[reader.at..].starts_with(b"\r\n") {
        reader.at += 2;
    }
    let skipped = reader.at;
    let start = start_line(whole!(reader.line())).ok_or("not a request line (9112 3)")?;
    let [method, target, version] = &start;
    if !is_token(method) {
        return Err(format!("method {method:?} (9110 9.1)"));
    }
    let minor = minor_version(version)?;
    let authority = authority_of(method, target)?;
    let fields = whole!(reader.fields());
    let hosts: Vec<_> = values(&fields, "host").collect();
    if hosts.len() > 1 || (minor == 1 && hosts.is_empty()) {
        return Err(format!("{} Host fields (9112 3.2)", hosts.len()));
    }
    if let Some(bad) = authority.into_iter().chain(hosts).find(|host| !is_host(host)) {
        return Err(format!("host {bad:?} (9112 3.2, 3986 3.2)"));
    }
    let delimited = match framing(&fields, minor)? {
        Delimited::Close => Delimited::Nothing, // RFC 9112 §6.3, 7
        delimited => delimited,
    };
    reader.finish(start, fields, delimited, skipped)
}

/// Reads the response that `bytes` begin with. `to_head`: it answers a HEAD. `ended`: nothing
/// follows these bytes.
pub fn response(bytes: &[u8], to_head: bool, ended: bool) -> Reading {
    let mut reader = Reader { bytes, at: 0 };
    let start = start_line(whole!(reader.line())).ok_or("not a status line (9112 4)")?;
    let [version, status, reason] = &start;
    let minor = minor_version(version)?;
    if status.len() != 3 || !is_number(status) || !('1'..='5').contains(&char_at(status, 0)) {
        return Err(format!("status {status:?} (9110 15)"));
    }
    if !reason.chars().all(is_value_char) {
        return Err(format!("reason {reason:?} (9112 4)"));
    }
    let fields = whole!(reader.fields());
    let delimited = framing(&fields, minor)?;
    let bodiless = to_head || status.starts_with('1') || status == "204" || status == "304";
    let delimited = if bodiless { Delimited::Nothing } else { delimited };
    if matches!(delimited, Delimited::Close) && !ended {
        return Ok(None);
    }
    reader.finish(start, fields, delimited, 0)
}

impl Message {
    /// Values of the fields of this name, which is in lower case.
    pub fn values<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m str> {
        values(&self.fields, name)
    }

    /// Whether a field of this name lists `token`.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        let is_token = |t: &str| t.trim_matches([' ', '\t']).eq_ignore_ascii_case(token);
        let listed = |value: &str| value.split(',').any(is_token);
        self.values(name).any(listed)
    }

    /// What a proxy must never send to a server, however it got it; `None`: all is well.
    pub fn flaw_as_forwarded(&self) -> Option<Flaw> {
        let [method, target, version] = &self.start;
        let only = |name: &str| self.values(name).count() == 1;
        let is_own = |(name, _): &&(String, String)| {
            matches!(&**name, "keep-alive" | "proxy-connection" | "proxy-authorization")
                || name.contains('_') && is_lookalike(name)
        };
        let options = self.values("connection").flat_map(|value| value.split(", "));
        let options: Vec<_> = options.collect();
        let unfounded = options.iter().find(|option| {
            !["upgrade", "te"].contains(&&*option.to_ascii_lowercase())
                || self.values(&option.to_ascii_lowercase()).next().is_none()
        });
        let named = |name: &str| options.iter().any(|o| o.eq_ignore_ascii_case(name));
        let unnamed =
            ["te", "upgrade"].iter().find(|name| self.values(name).count() > 0 && !named(name));
        let trails = |(name, _): &&(String, String)| {
            let heads = ["content-length", "transfer-encoding", "host", "connection", "trailer"];
            let more = ["te", "upgrade", "keep-alive", "authorization", "cookie", "content-type"];
            heads.contains(&&**name) || more.contains(&&**name)
        };
        let flaw = match () {
            () if self.skipped > 0 => "empty lines before it",
            () if version != "HTTP/1.1" => "another version",
            () if !(target.starts_with('/') || (target == "*" && method == "OPTIONS")) => {
                "a target that is not in origin-form"
            }
            () if !only("host") => "no Host or several",
            () if !only("x-forwarded-for") || !only("x-forwarded-proto") => "not X-Forwarded-*",
            () if !self.values("via").any(|via| via.ends_with("corelane")) => "no Via",
            () if self.extended => "a chunk extension",
            () if self.fields.iter().any(|field| is_own(&field)) => "a field of the client's hop",
            () if unfounded.is_some() => "a Connection that names what is not there",
            () if unnamed.is_some() => "a field that Connection must name",
            () if self.trailers.iter().any(|field| trails(&field)) => "a trailer that misleads",
            () => return None,
        };
        Some(format!("{flaw}: {self:?}"))
    }
}

/// Bytes and how far they were read.
struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    /// A line without its CRLF.
    fn line(&mut self) -> Reading<&'b [u8]> {
        let rest = &self.bytes[self.at..];
        let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0)) else {
            return Ok(None);
        };
        match &rest[end..] {
            [b'\r', b'\n', ..] => {
                self.at += end + 2;
                Ok(Some(&rest[..end]))
            }
            [b'\r'] => Ok(None),
            _ => Err("bare CR, bare LF or NUL (9112 2.2, 9110 5.5)".into()),
        }
    }

    /// Field lines and the empty line behind them (RFC 9112 §5).
    fn fields(&mut self) -> Reading<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = whole!(self.line());
            if line.is_empty() {
                return Ok(Some(fields));
            }
            let line = latin(line);
            let (name, value) = line.split_once(':').ok_or("a line without a colon (9112 5)")?;
            if !is_token(name) {
                return Err(format!("name {name:?} (9110 5.1, 9112 5.1, 5.2)"));
            }
            if !value.chars().all(is_value_char) {
                return Err(format!("value {value:?} (9110 5.5)"));
            }
            fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
        }
    }

    /// `n` bytes.
    fn take(&mut self, n: u64) -> Option<&'b [u8]> {
        let end = self.at.checked_add(usize::try_from(n).ok()?)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn finish(
        mut self,
        start: [String; 3],
        fields: Vec<(String, String)>,
        delimited: Delimited,
        skipped: usize,
    ) -> Reading {
        let (mut body, mut trailers, mut extended) = (Vec::new(), Vec::new(), false);
        match delimited {
            Delimited::Nothing => {}
            Delimited::Length(n) => match self.take(n) {
                Some(bytes) => body.extend_from_slice(bytes),
                None => return Ok(None),
            },
            Delimited::Chunks => {
                (body, extended) = whole!(self.chunks());
                trailers = whole!(self.fields());
            }
            Delimited::Close => body.extend_from_slice(&self.bytes[self.at..]),
        }
        let length = if matches!(delimited, Delimited::Close) { self.bytes.len() } else { self.at };
        Ok(Some(Message { start, fields, body, trailers, extended, length, skipped }))
    }

    /// Chunks up to and with the last one's size line (RFC 9112 §7.1).
    fn chunks(&mut self) -> Reading<(Vec<u8>, bool)> {
        let (mut body, mut extended) = (Vec::new(), false);
        loop {
            let line = latin(whole!(self.line()));
            let digits = line.chars().take_while(char::is_ascii_hexdigit).count();
            let (size, extension) = line.split_at(digits);
            let size = u64::from_str_radix(size, 16)
                .map_err(|_| format!("chunk size {line:?} (9112 7.1)"))?;
            let begins = extension.trim_start_matches([' ', '\t']);
            if !(extension.is_empty() || begins.starts_with(';')) {
                return Err(format!("chunk size {line:?} (9112 7.1)"));
            }
            if !extension.chars().all(is_value_char) {
                return Err(format!("chunk extension {extension:?} (9112 7.1.1)"));
            }
            extended |= !extension.is_empty();
            if size == 0 {
                return Ok(Some((body, extended)));
            }
            let Some(payload) = self.take(size) else { return Ok(None) };
            body.extend_from_slice(payload);
            match self.take(2) {
                Some(b"\r\n") => {}
                Some(_) => return Err("no CRLF behind a chunk (9112 7.1)".into()),
                None => return Ok(None),
            }
        }
    }
}

/// Three parts with one space between each and the next; the third may hold spaces and be empty.
fn start_line(line: &[u8]) -> Option<[String; 3]> {
    let line = latin(line);
    let mut parts = line.splitn(3, ' ').map(str::to_owned);
    Some([parts.next()?, parts.next()?, parts.next()?])
}

fn minor_version(version: &str) -> Result<u8, Flaw> {
    match version {
        "HTTP/1.0" => Ok(0),
        "HTTP/1.1" => Ok(1),
        _ => Err(format!("version {version:?} (9112 2.3)")),
    }
}

/// The authority that a target names, if it is in absolute-form (RFC 9112 §3.2).
fn authority_of<'t>(method: &str, target: &'t str) -> Result<Option<&'t str>, Flaw> {
    if !target.chars().all(|c| c.is_ascii_graphic() && c != '#') {
        return Err(format!("target {target:?} (9112 3.2)"));
    }
    if target.starts_with('/') || (method == "OPTIONS" && target == "*") || method == "CONNECT" {
        return Ok(None);
    }
    let lower = target.to_ascii_lowercase();
    let scheme = ["http://", "https://"].into_iter().find(|scheme| lower.starts_with(scheme));
    let rest = &target[scheme.ok_or(format!("target {target:?} (9112 3.2)"))?.len()..];
    match rest.split(['/', '?']).next() {
        Some("") | None => Err(format!("target {target:?} (9110 4.2.1)")),
        authority => Ok(authority),
    }
}

/// `uri-host [":" port]` (RFC 9110 §7.2, RFC 3986 §3.2.2, §3.2.3), or nothing.
fn is_host(value: &str) -> bool {
    let (name, port) = match value.find(']') {
        Some(end) if value.starts_with('[') => {
            let (literal, rest) = value.split_at(end + 1);
            if literal[1..end].parse::<Ipv6Addr>().is_err() {
                return false;
            }
            (literal, rest)
        }
        _ => value.split_at(value.find(':').unwrap_or(value.len())),
    };
    let port_fits = match port.strip_prefix(':') {
        None => port.is_empty(),
        Some(digits) => {
            let short = digits.trim_start_matches('0');
            !name.is_empty()
                && digits.chars().all(|c| c.is_ascii_digit())
                && (short.is_empty() || short.parse::<u16>().is_ok())
        }
    };
    port_fits && (name.starts_with('[') || is_registered_name(name))
}

fn is_registered_name(name: &str) -> bool {
    let mut parts = name.split('%');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=".contains(c);
    parts.next().is_some_and(|first| first.chars().all(is_plain))
        && parts.all(|part| {
            part.len() >= 2
                && part.is_ascii()
                && part[..2].chars().all(|c| c.is_ascii_hexdigit())
                && part[2..].chars().all(is_plain)
        })
}

/// RFC 9112 §6.
fn framing(fields: &[(String, String)], minor: u8) -> Result<Delimited, Flaw> {
    let lengths: Vec<_> = values(fields, "content-length").collect();
    let codings: Vec<_> = values(fields, "transfer-encoding").collect();
    match (&codings[..], &lengths[..]) {
        ([], []) => Ok(Delimited::Close),
        ([], [length]) if is_number(length) => {
            let length = length.parse().map_err(|_| format!("length {length} (9112 6.3)"))?;
            Ok(Delimited::Length(length))
        }
        ([coding], []) if coding.eq_ignore_ascii_case("chunked") && minor == 1 => {
            Ok(Delimited::Chunks)
        }
        _ => Err(format!("framing {codings:?} {lengths:?} (9112 6.1, 6.3)")),
    }
}

fn values<'m>(fields: &'m [(String, String)], name: &'m str) -> impl Iterator<Item = &'m str> {
    fields.iter().filter(move |field| field.0 == name).map(|field| &*field.1)
}

/// Names that gateway interfaces take for a framing or forwarding field.
fn is_lookalike(name: &str) -> bool {
    let name = name.replace('_', "-");
    let forwarded = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
    name == "content-length" || name == "transfer-encoding" || forwarded.contains(&&*name)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let is_special = |c| "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || is_special(c))
}

/// HTAB, SP, VCHAR and obs-text (RFC 9110 §5.5).
fn is_value_char(c: char) -> bool {
    c == '\t' || !matches!(c, '\0'..='\x1f' | '\x7f')
}

fn char_at(text: &str, index: usize) -> char {
    text.chars().nth(index).unwrap_or_default()
}

fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}
