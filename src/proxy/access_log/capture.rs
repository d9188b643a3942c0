//! What the log wants to know of a request's head, kept until the request ends.

use crate::http1::RequestHead;
use crate::plan::{FIELDS_MAX, LogFormat, Variable};

/// Longest beginning of a line that is no request line, bytes.
const BROKEN_MAX: usize = 1024;
/// A value that is not there.
const NONE: (u32, u32) = (u32::MAX, 0);

/// Values besides the request fields of the format, by their place.
const LINE: usize = 0;
const HOST: usize = 1;
const USER: usize = 2;
const REFERER: usize = 3;
const AGENT: usize = 4;
const FIXED: usize = 5;

/// Which values a format needs.
#[derive(Debug, Default)]
pub struct Wanted {
    host: bool,
    user: bool,
    referer: bool,
    agent: bool,
    fields: Vec<String>,
    /// Tells the fields of one format from those of another.
    generation: u32,
}

impl Wanted {
    /// By this format, the one number `generation`.
    pub fn new(format: &LogFormat, generation: u32) -> Wanted {
        Wanted {
            host: format.has(&[Variable::Host]),
            user: format.has(&[Variable::RemoteUser]),
            referer: format.has(&[Variable::HttpReferer]),
            agent: format.has(&[Variable::HttpUserAgent]),
            fields: format.fields.clone(),
            generation,
        }
    }
}

/// Values of one request, side by side in memory that serves one request after the other.
pub struct Capture {
    bytes: Vec<u8>,
    spans: [(u32, u32); FIXED + FIELDS_MAX],
    /// Length of the method; 0: the line is no request line.
    method: usize,
    generation: u32,
}

impl Default for Capture {
    fn default() -> Capture {
        let (bytes, spans) = (Vec::with_capacity(256), [NONE; FIXED + FIELDS_MAX]);
        Capture { bytes, spans, method: 0, generation: 0 }
    }
}

impl Capture {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans = [NONE; FIXED + FIELDS_MAX];
        self.method = 0;
    }

    /// Takes what is wanted of a head, which came as these bytes.
    pub fn take(&mut self, wanted: &Wanted, head: &RequestHead<'_, '_>, bytes: &[u8]) {
        self.clear();
        self.generation = wanted.generation;
        self.keep(LINE, first_line(bytes));
        self.method = head.method.len();
        if let (true, Some(host)) = (wanted.host, head.host) {
            self.keep(HOST, host.as_bytes());
        }
        for field in head.fields {
            let (name, value) = (field.name, field.value);
            let is = |lower: &str| name.eq_ignore_ascii_case(lower);
            match name.len() {
                7 if wanted.referer && is("referer") => self.keep_first(REFERER, value),
                10 if wanted.agent && is("user-agent") => self.keep_first(AGENT, value),
                13 if wanted.user && is("authorization") => self.keep_user(value),
                _ => {}
            }
        }
        for (place, name) in (FIXED..).zip(&wanted.fields) {
            if let Some(value) = head.field(name) {
                self.keep(place, value);
            }
        }
    }

    /// Takes the beginning of what is no head.
    pub fn take_broken(&mut self, bytes: &[u8]) {
        self.clear();
        let line = first_line(bytes);
        if !line.is_empty() {
            self.keep(LINE, &line[..line.len().min(BROKEN_MAX)]);
        }
    }

    fn keep(&mut self, place: usize, value: &[u8]) {
        // A head is far smaller than that.
        self.spans[place] = (self.bytes.len() as u32, value.len() as u32);
        self.bytes.extend_from_slice(value);
    }

    fn keep_first(&mut self, place: usize, value: &[u8]) {
        if self.spans[place] == NONE {
            self.keep(place, value);
        }
    }

    /// The user's name (RFC 7617 §2).
    fn keep_user(&mut self, value: &[u8]) {
        let Some((scheme, credentials)) = value.split_at_checked(6) else { return };
        if self.spans[USER] != NONE || !scheme.eq_ignore_ascii_case(b"basic ") {
            return;
        }
        let start = self.bytes.len();
        // An empty name would leave the line a field short; nginx takes it for none, too.
        if decode_user(credentials.trim_ascii(), &mut self.bytes) && self.bytes.len() > start {
            self.spans[USER] = (start as u32, (self.bytes.len() - start) as u32);
        } else {
            self.bytes.truncate(start);
        }
    }

    fn get(&self, place: usize) -> Option<&[u8]> {
        let (start, len) = self.spans[place];
        // `NONE` lies behind the end.
        self.bytes.get(start as usize..)?.get(..len as usize)
    }

    /// The request line.
    pub fn line(&self) -> Option<&[u8]> {
        self.get(LINE)
    }

    /// The host, with its port.
    pub fn host(&self) -> Option<&[u8]> {
        self.get(HOST)
    }

    /// The user's name.
    pub fn user(&self) -> Option<&[u8]> {
        self.get(USER)
    }

    /// The Referer.
    pub fn referer(&self) -> Option<&[u8]> {
        self.get(REFERER)
    }

    /// The User-Agent.
    pub fn agent(&self) -> Option<&[u8]> {
        self.get(AGENT)
    }

    /// This one of the format's request fields; none if that of `generation` has others.
    pub fn field(&self, index: u8, generation: u32) -> Option<&[u8]> {
        match self.generation == generation {
            true => self.get(FIXED + usize::from(index)),
            false => None,
        }
    }

    /// The method, the target and the version.
    pub fn parts(&self) -> Option<[&[u8]; 3]> {
        if self.method == 0 {
            return None;
        }
        let (method, rest) = self.line()?.split_at_checked(self.method)?;
        // One space before and one behind the target (RFC 9112 §3); `HTTP/1.1`.
        let rest = rest.get(1..)?;
        let (target, version) = rest.split_at_checked(rest.len().checked_sub(8)?)?;
        Some([method, target.strip_suffix(b" ").unwrap_or(target), version])
    }

    /// Memory it holds, bytes.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// The first line that is not empty.
fn first_line(bytes: &[u8]) -> &[u8] {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let start = bytes.iter().position(|byte| !is_end(byte)).unwrap_or(bytes.len());
    let line = &bytes[start..];
    &line[..memchr::memchr2(b'\r', b'\n', line).unwrap_or(line.len())]
}

/// Appends what stands before the colon in this base64 (RFC 4648 §4). `false`: it is none.
fn decode_user(base64: &[u8], out: &mut Vec<u8>) -> bool {
    let (mut bits, mut count) = (0_u32, 0);
    for byte in base64 {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return false,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            match (bits >> count) as u8 {
                b':' => return true,
                byte => out.push(byte),
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{FieldStorage, HeadLimits, parse_request};
    use crate::plan::Escape;

    const LIMITS: HeadLimits = HeadLimits { bytes: 4096, fields: 64 };

    fn captured(format: &str, head: &str) -> Capture {
        let format = LogFormat::parse(format, Escape::Default).unwrap();
        let mut storage = FieldStorage::new();
        let parsed = parse_request(head.as_bytes(), &mut storage, &LIMITS).unwrap();
        let mut capture = Capture::default();
        capture.take_broken(b"before");
        capture.take(&Wanted::new(&format, 7), &parsed, head.as_bytes());
        capture
    }

    #[test]
    fn what_is_wanted_is_there() {
        let head = "\r\nGET /a?b HTTP/1.1\r\nHost: a:80\r\nReferer: r\r\nUser-Agent:\r\n\
                    X-One: 1\r\nreferer: s\r\nAuthorization: basic dXNlcjpwYXNz\r\n\r\n";
        let all = "$host$remote_user$http_referer$http_user_agent$http_x_one$http_x_two";
        let capture = captured(all, head);
        assert_eq!(capture.line(), Some(&b"GET /a?b HTTP/1.1"[..]));
        assert_eq!(capture.parts(), Some([&b"GET"[..], b"/a?b", b"HTTP/1.1"]));
        assert_eq!(capture.host(), Some(&b"a:80"[..]));
        assert_eq!(capture.user(), Some(&b"user"[..]));
        assert_eq!(capture.referer(), Some(&b"r"[..]));
        assert_eq!(capture.agent(), Some(&b""[..]));
        assert_eq!((capture.field(0, 7), capture.field(1, 7)), (Some(&b"1"[..]), None));
        assert_eq!(capture.field(0, 8), None, "of another format");
        let unnamed = "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic OnA=\r\n\r\n";
        assert_eq!(captured("$remote_user", unnamed).user(), None);
        let capture = captured("$status", head);
        assert_eq!((capture.host(), capture.user(), capture.agent()), (None, None, None));
    }

    #[test]
    fn what_is_no_head_has_a_beginning() {
        let mut capture = Capture::default();
        for (bytes, line) in [
            (&b"\x16\x03\x01\n\0"[..], Some(&b"\x16\x03\x01"[..])),
            (b"\r\n\r\nGET /\r\n", Some(b"GET /")),
            (b"\r\n", None),
            (b"", None),
        ] {
            capture.take_broken(bytes);
            assert_eq!((capture.line(), capture.parts()), (line, None));
        }
        capture.take_broken(&[b'x'; 5000]);
        assert_eq!(capture.line().map(<[u8]>::len), Some(BROKEN_MAX));
    }

    #[test]
    fn users() {
        let user = |base64: &str| {
            let mut out = Vec::new();
            decode_user(base64.as_bytes(), &mut out).then_some(out)
        };
        assert_eq!(user("QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), Some(b"Aladdin".to_vec()));
        assert_eq!(user("OnA="), Some(Vec::new()));
        for none in ["", "QWxhZGRpbg==", "QWxh ZGRpbjpv", "QWxhZGRpbg", "\u{e9}"] {
            assert_eq!(user(none), None, "{none}");
        }
    }
}
