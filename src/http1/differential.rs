//! The parsers against the [`reference`](super::reference): same verdict, same reading, same
//! forwarded head, however the bytes are split. One function for each fuzz target; each panics
//! where the two disagree.

use super::name::may_be_nominated;
use super::reference::{self, Chunked, Head};
use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 16 * 1024, fields: MAX_FIELDS };

const EDITS: &FieldEdits = &FieldEdits { remove: Vec::new(), set: Vec::new(), add: Vec::new() };

/// Checks request heads.
pub fn request_head(data: &[u8]) {
    if data.len() >= LIMITS.bytes {
        return;
    }
    let found = find_end_both_ways(data);
    let expected = Request::of(data);
    let Ok(Some(end)) = found else {
        assert_eq!(expected, None, "the scanner found no end: {found:?}");
        return;
    };
    let mut storage = FieldStorage::new();
    let parsed = parse_request(&data[..end], &mut storage, &LIMITS);
    let (head, expected) = match (parsed, expected) {
        (Ok(head), Some(expected)) => (head, expected),
        (Err(_), None) => return,
        (Ok(head), None) => panic!("accepted what the reference refuses: {head:?}"),
        (Err(refusal), Some(_)) => panic!("refused what the reference accepts: {refusal:?}"),
    };
    assert_eq!(head.len, end);
    assert_eq!(head.version == Version::Http11, expected.minor == 1);
    assert_eq!(head.host, expected.host.as_deref());
    assert_eq!(head.facts, expected.facts);
    let (path, query) = match expected.forwarded_target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (&*expected.forwarded_target, None),
    };
    assert_eq!((head.path(), head.query()), (path, query));

    let mut out = Vec::new();
    let client_ip = Some([192, 0, 2, 1].into());
    let request_id = Some("id-1");
    let how = RequestRewrite { client_ip, scheme: "http", edits: EDITS, request_id };
    write_request(&mut out, &head, &how);
    let forwarded = reference::head(&out, 0).expect("a forwarded head is a head");
    assert_eq!(forwarded.len, out.len());
    let start = [head.method, &expected.forwarded_target, "HTTP/1.1"];
    assert_eq!(forwarded.start, start.map(|part| part.as_bytes().to_vec()));
    assert_eq!(forwarded.fields, expected.forwarded_fields());
    read_again(&out, &head.facts);
}

/// What is forwarded must mean the same to the next reader of our own kind.
fn read_again(forwarded: &[u8], facts: &RequestFacts) {
    let limits = HeadLimits { bytes: forwarded.len() + 1, fields: MAX_FIELDS };
    let found = HeadScanner::new().find_end(forwarded, &limits);
    assert_eq!(found, Ok(Some(forwarded.len())));
    let mut storage = FieldStorage::new();
    match parse_request(forwarded, &mut storage, &limits) {
        Ok(again) => {
            assert_eq!(RequestFacts { keep_alive: facts.keep_alive, ..again.facts }, *facts)
        }
        Err(refusal) => assert_eq!(refusal.fault, Fault::TooManyFields),
    }
}

/// Checks response heads. The first byte says whether the request was HEAD and what the client
/// speaks.
pub fn response_head(data: &[u8]) {
    let Some((flags, data)) = data.split_first().filter(|_| data.len() < LIMITS.bytes) else {
        return;
    };
    let to_head = flags & 1 == 1;
    let client_version = if flags & 2 == 2 { Version::Http10 } else { Version::Http11 };
    let expected = Response::of(data, to_head);
    let found = find_end_both_ways(data);
    let Ok(Some(end)) = found else {
        assert_eq!(expected, None, "the scanner found no end: {found:?}");
        return;
    };
    let mut storage = FieldStorage::new();
    let parsed = parse_response(&data[..end], &mut storage, to_head, &LIMITS);
    let (head, expected) = match (parsed, expected) {
        (Ok(head), Some(expected)) => (head, expected),
        (Err(_), None) => return,
        (Ok(head), None) => panic!("accepted what the reference refuses: {head:?}"),
        (Err(refusal), Some(_)) => panic!("refused what the reference accepts: {refusal:?}"),
    };
    assert_eq!(head.len, end);
    assert_eq!(head.facts, expected.facts);
    if head.status < 200 {
        return;
    }
    let request = RequestFacts {
        framing: RequestFraming::None,
        keep_alive: true,
        expect_continue: false,
        upgrade: false,
        is_head: to_head,
        idempotent: true,
    };
    let step = Exchange::new(request, client_version, false).response(&head.facts);
    let Ok(ResponseStep::Final { body_out: body, keep_alive, .. }) = step else {
        panic!("a final head is final: {step:?}");
    };
    let mut out = Vec::new();
    write_response(
        &mut out,
        &head,
        &ResponseRewrite { client_version, keep_alive, body, edits: EDITS },
    );
    let forwarded = reference::head(&out, 0).expect("a forwarded head is a head");
    assert_eq!(forwarded.fields, expected.forwarded_fields(client_version, body));
    assert_eq!(forwarded.len, out.len());
}

/// Checks chunked bodies. The first byte seeds how the input is split.
pub fn chunked(data: &[u8]) {
    let Some((seed, data)) = data.split_first() else {
        return;
    };
    let expected = reference::chunked(data);
    for piece in [usize::MAX, 1, 1 + usize::from(*seed)] {
        match (decode(data, piece), &expected) {
            (Err(Fault::ChunkExtensionsTooLong | Fault::TrailersTooLarge), _) => {}
            (Err(_), Chunked::Refused) => {}
            (Ok((payload, None)), Chunked::Incomplete(expected)) => assert_eq!(payload, *expected),
            (Ok((payload, Some((end, trailers)))), Chunked::Complete(expected, lines, len)) => {
                assert_eq!((&payload, end), (expected, *len));
                let lines: Vec<u8> = lines
                    .iter()
                    .filter(|line| trailers::passes(line) == Ok(true))
                    .flat_map(|line| [line, &b"\r\n"[..]].concat())
                    .collect();
                assert_eq!(trailers, lines);
            }
            (got, expected) => panic!("pieces of {piece}: {got:?}, expected {expected:?}"),
        }
    }
}

/// Payload, and if the body is complete, where it ended and its trailers.
type Decoded = (Vec<u8>, Option<(usize, Vec<u8>)>);

/// Feeds at most `piece` new bytes a step; with pieces of two, payload goes round the decoder.
pub(super) fn decode(data: &[u8], piece: usize) -> Result<Decoded, Fault> {
    let mut decoder = ChunkedDecoder::new();
    let (mut at, mut payload) = (0_usize, Vec::new());
    loop {
        let end = at.saturating_add(piece).min(data.len());
        let pending = decoder.pending().min((end - at) as u64) as usize;
        if piece == 2 && pending > 0 {
            decoder.skip(pending as u64);
            payload.extend_from_slice(&data[at..at + pending]);
            at += pending;
            continue;
        }
        match decoder.step(&data[at..end]).map_err(|refusal| refusal.fault)? {
            ChunkStep::NeedMore { consumed } => {
                assert_eq!(at + consumed, end, "framing is consumed whole");
                at = end;
                if at == data.len() {
                    return Ok((payload, None));
                }
            }
            ChunkStep::Payload { skip, len } => {
                assert_ne!(len, 0);
                payload.extend_from_slice(&data[at + skip..at + skip + len]);
                at += skip + len;
            }
            ChunkStep::Done { consumed } => {
                return Ok((payload, Some((at + consumed, decoder.trailers().to_vec()))));
            }
        }
    }
}

/// The scanner's verdict, which must not depend on how the bytes arrive.
fn find_end_both_ways(data: &[u8]) -> Result<Option<usize>, Refusal> {
    let whole = HeadScanner::new().find_end(data, &LIMITS);
    let mut scanner = HeadScanner::new();
    let by_bytes = (0..=data.len())
        .map(|len| scanner.find_end(&data[..len], &LIMITS))
        .find(|verdict| *verdict != Ok(None));
    assert_eq!(whole, by_bytes.unwrap_or(Ok(None)));
    whole
}

/// A request as the reference reads it.
#[derive(Debug, PartialEq)]
struct Request {
    head: Head,
    minor: u8,
    host: Option<String>,
    forwarded_target: String,
    facts: RequestFacts,
}

impl Request {
    fn of(data: &[u8]) -> Option<Request> {
        let head = reference::head(data, 4).filter(|head| head.fields.len() <= LIMITS.fields)?;
        let [method, target, version] = head.start.clone().map(String::from_utf8);
        let (method, target) = (method.ok()?, target.ok()?);
        let minor = match &*version.ok()? {
            "HTTP/1.0" => 0,
            "HTTP/1.1" => 1,
            _ => return None,
        };
        let printable = target.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'#');
        if !reference::is_token(&method) || !printable || method == "CONNECT" {
            return None;
        }
        let hosts = head.values("host");
        if hosts.len() > 1
            || hosts.iter().any(|host| !is_host(host))
            || (minor == 1 && hosts.is_empty())
        {
            return None;
        }
        let (authority, forwarded_target) = target_of(&method, &target)?;
        let facts = facts_of(&head, &method, minor)?;
        let host = authority.or(hosts.into_iter().next());
        Some(Request { head, minor, host, forwarded_target, facts })
    }

    /// All fields of the forwarded head, in order.
    fn forwarded_fields(&self) -> Vec<(String, Vec<u8>)> {
        let mut dropped = vec![
            "host",
            "connection",
            "keep-alive",
            "proxy-connection",
            "proxy-authenticate",
            "proxy-authorization",
            "te",
            "transfer-encoding",
            "content-length",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "content_length",
            "transfer_encoding",
        ];
        if !self.facts.upgrade {
            dropped.push("upgrade");
        }
        if self.minor == 0 {
            dropped.push("expect");
        }
        let mut fields = vec![("Host".into(), self.host.clone().unwrap_or_default().into())];
        fields.extend(passing(&self.head, &dropped));
        let mut add = |name: &str, value: &str| fields.push((name.into(), value.into()));
        match (self.facts.framing, self.head.declared(self.minor)) {
            (RequestFraming::Chunked, _) => add("Transfer-Encoding", "chunked"),
            (_, Some((Some(length), _))) => add("Content-Length", &length.to_string()),
            _ => {}
        }
        let trailers = self.head.list("te").contains(&"trailers".into());
        match (self.facts.upgrade, trailers) {
            (true, true) => add("Connection", "upgrade, TE"),
            (true, false) => add("Connection", "upgrade"),
            (false, true) => add("Connection", "TE"),
            (false, false) => {}
        }
        if trailers {
            add("TE", "trailers");
        }
        let earlier = self.head.fields.iter().filter(|(name, value)| {
            name.eq_ignore_ascii_case("x-forwarded-for") && !value.is_empty()
        });
        let mut chain: Vec<&[u8]> = earlier.map(|(_, value)| &**value).collect();
        chain.push(b"192.0.2.1");
        fields.push(("X-Forwarded-For".into(), chain.join(&b", "[..])));
        let mut add = |name: &str, value: &str| fields.push((name.into(), value.into()));
        if let Some(host) = self.host.as_ref().filter(|host| !host.is_empty()) {
            add("X-Forwarded-Host", host);
        }
        add("X-Forwarded-Proto", "http");
        add("Via", &format!("1.{} corelane", self.minor));
        if self.head.values("x-request-id").is_empty() {
            add("X-Request-Id", "id-1");
        }
        fields
    }
}

/// Fields whose names are neither dropped nor nominated by Connection.
fn passing(head: &Head, dropped: &[&str]) -> Vec<(String, Vec<u8>)> {
    let nominated = head.list("connection");
    let lookalikes = ["x_forwarded_for", "x_forwarded_host", "x_forwarded_proto"];
    let is_request = dropped.contains(&"content_length");
    let passes = |(name, _): &&(String, Vec<u8>)| {
        let lower = name.to_ascii_lowercase();
        let known = lower == "upgrade" || lower == "expect" || lower == "x-request-id";
        let named = nominated.contains(&lower) && may_be_nominated(name) && !known;
        // Any mixture of hyphens and underscores.
        let like = lower.contains('_')
            && is_request
            && (lookalikes.contains(&&*lower.replace('-', "_"))
                || dropped.contains(&&*lower.replace('-', "_")));
        !dropped.contains(&&*lower) && !named && !like
    };
    head.fields.iter().filter(passes).cloned().collect()
}

fn target_of(method: &str, target: &str) -> Option<(Option<String>, String)> {
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        return Some((None, target.to_owned()));
    }
    let (scheme, rest) = target.split_once(':')?;
    if !matches!(&*scheme.to_ascii_lowercase(), "http" | "https") {
        return None;
    }
    let rest = rest.strip_prefix("//")?;
    let authority: String = rest.chars().take_while(|c| *c != '/' && *c != '?').collect();
    let tail = match &rest[authority.len()..] {
        "" if method == "OPTIONS" => "*".to_owned(),
        tail if tail.starts_with('/') => tail.to_owned(),
        tail => format!("/{tail}"),
    };
    (!authority.is_empty() && is_host(&authority)).then_some((Some(authority), tail))
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (host, ""),
    };
    let port_fits = port.is_empty()
        || (port.chars().all(|c| c.is_ascii_digit())
            && port.trim_start_matches('0').len() <= 5
            && format!("0{port}").parse::<u128>().is_ok_and(|port| port <= 65535));
    let inside = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let name_fits = match inside {
        Some(ip) => ip.len() >= 2 && ip.chars().all(|c| c.is_ascii_hexdigit() || ":.".contains(c)),
        None => name.chars().all(|c| c.is_ascii_alphanumeric() || "-._~%!$&'()*+;=".contains(c)),
    };
    port_fits && name_fits && (!name.is_empty() || host.is_empty())
}

fn facts_of(head: &Head, method: &str, minor: u8) -> Option<RequestFacts> {
    let (length, chunked) = head.declared(minor)?;
    let framing = match (chunked, length.unwrap_or_default()) {
        (true, _) => RequestFraming::Chunked,
        (false, 0) => RequestFraming::None,
        (false, length) => RequestFraming::Length(length),
    };
    let expectations = head.values("expect");
    if expectations.iter().any(|e| !e.eq_ignore_ascii_case("100-continue")) || too_many_named(head)
    {
        return None;
    }
    let connection = head.list("connection");
    let has = |option: &str| connection.iter().any(|o| o == option);
    let bodiless = framing == RequestFraming::None;
    let protocols = head.list("upgrade");
    Some(RequestFacts {
        framing,
        keep_alive: !has("close") && (minor == 1 || has("keep-alive")),
        expect_continue: !expectations.is_empty() && minor == 1 && !bodiless,
        upgrade: minor == 1
            && bodiless
            && has("upgrade")
            && !protocols.is_empty()
            && !protocols.contains(&"h2c".into()),
        is_head: method == "HEAD",
        idempotent: ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"].contains(&method),
    })
}

fn too_many_named(head: &Head) -> bool {
    let options = head.list("connection");
    let ours = |option: &String| ["close", "keep-alive", "upgrade"].contains(&&**option);
    options.len() > 32 && !options.iter().all(ours)
}

/// A response as the reference reads it.
#[derive(Debug, PartialEq)]
struct Response {
    head: Head,
    minor: u8,
    facts: ResponseFacts,
}

impl Response {
    fn of(data: &[u8], to_head: bool) -> Option<Response> {
        let head = reference::head(data, 0).filter(|head| head.fields.len() <= LIMITS.fields)?;
        let minor = match &*head.start[0] {
            b"HTTP/1.0" => 0,
            b"HTTP/1.1" => 1,
            _ => return None,
        };
        let [_, status, reason] = &head.start;
        let clean = |byte: &u8| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f);
        if status.len() != 3 || !status.iter().all(u8::is_ascii_digit) || !reason.iter().all(clean)
        {
            return None;
        }
        let status: u16 = String::from_utf8_lossy(status).parse().ok()?;
        let (length, chunked) = head.declared(minor)?;
        if !(100..600).contains(&status) || too_many_named(&head) {
            return None;
        }
        let framing = match (length, chunked) {
            _ if to_head || status < 200 || status == 204 || status == 304 => ResponseFraming::None,
            (_, true) => ResponseFraming::Chunked,
            (Some(0), _) => ResponseFraming::None,
            (Some(length), _) => ResponseFraming::Length(length),
            (None, false) => ResponseFraming::UntilClose,
        };
        let connection = head.list("connection");
        let has = |option: &str| connection.iter().any(|o| o == option);
        let facts = ResponseFacts {
            status,
            framing,
            keep_alive: !has("close") && (minor == 1 || has("keep-alive")),
            content_length: length,
            upgrade: has("upgrade") && !head.list("upgrade").is_empty(),
        };
        Some(Response { head, minor, facts })
    }

    fn forwarded_fields(&self, client: Version, body: BodyOut) -> Vec<(String, Vec<u8>)> {
        let mut fields = passing(
            &self.head,
            &[
                "connection",
                "keep-alive",
                "proxy-connection",
                "proxy-authenticate",
                "proxy-authorization",
                "te",
                "transfer-encoding",
                "content-length",
                "upgrade",
            ],
        );
        let mut add = |name: &str, value: &str| fields.push((name.into(), value.into()));
        match (body, self.facts.content_length) {
            (BodyOut::Chunked, _) => add("Transfer-Encoding", "chunked"),
            (BodyOut::AsDeclared | BodyOut::None, Some(length)) if self.facts.status != 204 => {
                add("Content-Length", &length.to_string());
            }
            _ => {}
        }
        match (client, body) {
            (_, BodyOut::UntilClose) => add("Connection", "close"),
            (Version::Http10, _) => add("Connection", "keep-alive"),
            (Version::Http11, _) => {}
        }
        add("Via", &format!("1.{} corelane", self.minor));
        fields
    }
}
