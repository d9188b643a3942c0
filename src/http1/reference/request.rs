//! Requests as the reference reads and forwards them.

use super::{FORWARDED_ELSE, HOP_BY_HOP, Head, passing, too_many_named};
use crate::http1::{MAX_FIELDS, RequestFacts, RequestFraming};

/// A request as the reference reads it.
#[derive(Debug, PartialEq)]
pub(in crate::http1) struct Request {
    pub head: Head,
    pub minor: u8,
    pub host: Option<String>,
    pub forwarded_target: String,
    pub facts: RequestFacts,
}

impl Request {
    pub(in crate::http1) fn of(data: &[u8]) -> Option<Request> {
        let head = super::head(data, 4).filter(|head| head.fields.len() <= MAX_FIELDS)?;
        let [method, target, version] = head.start.clone().map(String::from_utf8);
        let (method, target) = (method.ok()?, target.ok()?);
        let minor = match &*version.ok()? {
            "HTTP/1.0" => 0,
            "HTTP/1.1" => 1,
            _ => return None,
        };
        let printable = target.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'#');
        if !super::is_token(&method) || !printable || method == "CONNECT" {
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

    /// Whether a field of this name has a value.
    fn says(&self, name: &str) -> bool {
        self.head.values(name).iter().any(|value| !value.is_empty())
    }

    /// All fields of the forwarded head, in order. `trusted`: what earlier proxies wrote is true.
    pub(in crate::http1) fn forwarded_fields(&self, trusted: bool) -> Vec<(String, Vec<u8>)> {
        let mut dropped = HOP_BY_HOP.to_vec();
        dropped.extend(["host", "x-forwarded-for", "content_length", "transfer_encoding"]);
        let told = ["x-forwarded-host", "x-forwarded-proto", "forwarded"];
        dropped.extend(told.into_iter().filter(|name| !trusted || !self.says(name)));
        dropped.extend(FORWARDED_ELSE.into_iter().filter(|_| !trusted));
        if !self.facts.upgrade {
            dropped.push("upgrade");
        }
        if self.minor == 0 {
            dropped.push("expect");
        }
        let hops = self.hops();
        if hops.is_some() {
            dropped.push("max-forwards");
        }
        let mut fields = vec![("Host".into(), self.host.clone().unwrap_or_default().into())];
        fields.extend(passing(&self.head, &dropped));
        if let Some(hops) = hops {
            fields.push(("Max-Forwards".into(), hops.saturating_sub(1).to_string().into()));
        }
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
            trusted && name.eq_ignore_ascii_case("x-forwarded-for") && !value.is_empty()
        });
        let mut chain: Vec<&[u8]> = earlier.map(|(_, value)| &**value).collect();
        chain.push(b"192.0.2.1");
        fields.push(("X-Forwarded-For".into(), chain.join(&b", "[..])));
        let mut add = |name: &str, value: &str| fields.push((name.into(), value.into()));
        if trusted && self.says("forwarded") {
            add("Forwarded", "for=192.0.2.1;proto=http");
        }
        if let Some(host) = self.host.as_ref().filter(|host| !host.is_empty())
            && !(trusted && self.says("x-forwarded-host"))
        {
            add("X-Forwarded-Host", host);
        }
        if !(trusted && self.says("x-forwarded-proto")) {
            add("X-Forwarded-Proto", "http");
        }
        add("Via", &format!("1.{} corelane", self.minor));
        if self.head.values("x-request-id").is_empty() {
            add("X-Request-Id", "id-1");
        }
        fields
    }

    /// RFC 9110 §7.6.2
    fn hops(&self) -> Option<u64> {
        if ![&b"OPTIONS"[..], b"TRACE"].contains(&&*self.head.start[0]) {
            return None;
        }
        let first = self.head.values("max-forwards").into_iter().next()?;
        let is_number = !first.is_empty() && first.chars().all(|c| c.is_ascii_digit());
        is_number.then(|| first.parse().unwrap_or(u64::MAX))
    }
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
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_registered_name(name),
    };
    port_fits && name_fits && (!name.is_empty() || host.is_empty())
}

/// Without percent signs, then with two digits behind each.
fn is_registered_name(name: &str) -> bool {
    let is_plain = |text: &str| {
        text.chars().all(|c| c.is_ascii_alphanumeric() || "-._~!$&'()*+;=".contains(c))
    };
    let mut parts = name.split('%');
    let first = parts.next().is_some_and(is_plain);
    let is_encoded = |part: &str| {
        let digits = part.chars().take(2).filter(char::is_ascii_hexdigit).count();
        digits == 2 && is_plain(part)
    };
    first && parts.all(is_encoded)
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
            && !protocols.iter().any(|p| p == "h2c" || p.starts_with("h2c/")),
        is_head: method == "HEAD",
        idempotent: ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"].contains(&method),
    })
}
