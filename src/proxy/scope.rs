//! What a request has to say for the variables of texts.

use std::borrow::Cow;
use std::net::IpAddr;

use super::client::Client;
use super::passage::Passage;
use crate::http1::{RequestHead, ResponseHead, Target, put_address, put_decimal};
use crate::plan::{Action, Plan, RoutePlan, Scope, Term};
use crate::route;

/// A request, as texts see it.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub client: &'a Client,
    pub plan: &'a Plan,
    pub head: &'a RequestHead<'a, 'a>,
    /// The route that it is at, once there is one.
    pub route: Option<&'a RoutePlan>,
    /// What has become of it on its way there.
    pub passage: Option<&'a Passage>,
    /// The status of the answer, once there is one.
    pub status: Option<u16>,
    /// The answer, once there is one.
    pub sent: Option<Sent<'a>>,
}

/// An answer, as texts see it.
#[derive(Clone, Copy)]
pub enum Sent<'a> {
    /// That of a server.
    Response(&'a ResponseHead<'a, 'a>),
    /// Our own.
    Own {
        content_type: &'a str,
        /// When what it holds was changed, seconds since 1970.
        modified: Option<i64>,
    },
}

impl Scope for Asked<'_> {
    fn put(&self, term: &Term, out: &mut Vec<u8>) {
        let head = self.head;
        match term {
            Term::Host => self.put_host(out),
            Term::Uri => out.extend_from_slice(&self.uri()),
            Term::RequestUri => put_target(head, out),
            Term::Args => out.extend_from_slice(self.args()),
            Term::IsArgs if !self.args().is_empty() => out.push(b'?'),
            Term::IsArgs | Term::Https => {}
            Term::Scheme => out.extend_from_slice(b"http"),
            Term::Request => {
                out.extend_from_slice(head.method.as_bytes());
                out.push(b' ');
                put_target(head, out);
                out.push(b' ');
                self.put(&Term::ServerProtocol, out);
            }
            Term::RequestMethod => out.extend_from_slice(self.method().as_bytes()),
            Term::ServerProtocol => {
                out.extend_from_slice(b"HTTP/");
                out.extend_from_slice(head.version.digits().as_bytes());
            }
            Term::RemoteAddr => put_ip(self.client.ip(), out),
            Term::ServerAddr => {
                put_ip(self.client.endpoints().map(|ends| ends.destination.ip()), out);
            }
            Term::RemotePort => {
                self.put_port(self.client.endpoints().map(|ends| ends.source.port()), out);
            }
            Term::ServerPort => {
                self.put_port(self.client.endpoints().map(|ends| ends.destination.port()), out);
            }
            Term::ServerName => out.extend_from_slice(self.server_name().as_bytes()),
            Term::ProxyHost => {
                if let Some(Action::Upstream(index)) = self.route.map(|route| &route.action)
                    && let Some(upstream) = self.plan.upstreams.get(*index)
                {
                    out.extend_from_slice(upstream.name.as_bytes());
                }
            }
            Term::ProxyAddXForwardedFor => {
                let start = out.len();
                self.put_fields("x-forwarded-for", b", ", out);
                if out.len() > start {
                    out.extend_from_slice(b", ");
                }
                put_ip(self.client.ip(), out);
            }
            Term::RequestId => out.extend_from_slice(self.client.request_id().as_bytes()),
            Term::Status => {
                if let Some(status) = self.status {
                    put_decimal(out, u64::from(status));
                }
            }
            Term::Sent(name) => match self.sent {
                Some(Sent::Response(head)) => {
                    out.extend_from_slice(head.field(name).unwrap_or_default());
                }
                Some(Sent::Own { content_type, .. }) if name == "content-type" => {
                    out.extend_from_slice(content_type.as_bytes());
                }
                _ => {}
            },
            Term::Field(name) if name == "cookie" => self.put_fields(name, b"; ", out),
            Term::Field(name) => self.put_fields(name, b", ", out),
            Term::Argument(name) => {
                out.extend_from_slice(argument(self.args(), name).unwrap_or_default());
            }
            Term::Cookie(name) => out.extend_from_slice(cookie(head, name).unwrap_or_default()),
            Term::Group(number) => {
                let passage = self.passage;
                out.extend_from_slice(passage.map_or(b"", |passage| passage.group(*number)));
            }
            Term::Named(number) => self.put_named(*number, out),
        }
    }
}

impl Asked<'_> {
    fn method(&self) -> &str {
        match self.passage.is_some_and(|passage| passage.to_get) && !self.head.facts.is_head {
            true => "GET",
            false => self.head.method,
        }
    }

    /// The path, decoded and as far as it was rewritten.
    pub fn uri(&self) -> Cow<'_, [u8]> {
        Passage::uri(self.passage, self.head)
    }

    /// The query, as far as it was rewritten.
    pub fn args(&self) -> &[u8] {
        Passage::args(self.passage, self.head)
    }

    fn server_name(&self) -> &str {
        self.route.and_then(|route| route.hosts.first()).map_or("", String::as_str)
    }

    fn put_host(&self, out: &mut Vec<u8>) {
        let host = match self.head.host {
            Some(host) if !host.is_empty() => route::bare_host(host),
            _ => self.server_name(),
        };
        let start = out.len();
        out.extend_from_slice(host.as_bytes());
        out[start..].make_ascii_lowercase();
    }

    /// All fields of this name, as one list (RFC 9110 §5.3).
    fn put_fields(&self, lower_name: &str, separator: &[u8], out: &mut Vec<u8>) {
        let named = self.head.fields.iter().filter(|f| f.name.eq_ignore_ascii_case(lower_name));
        for (index, field) in named.enumerate() {
            if index > 0 {
                out.extend_from_slice(separator);
            }
            out.extend_from_slice(field.value);
        }
    }

    fn put_port(&self, port: Option<u16>, out: &mut Vec<u8>) {
        if let Some(port) = port {
            put_decimal(out, u64::from(port));
        }
    }
}

fn put_ip(ip: Option<IpAddr>, out: &mut Vec<u8>) {
    match ip {
        Some(ip) => put_address(out, ip),
        None => out.extend_from_slice(b"unix:"),
    }
}

/// Path and query as they came; of an absolute target, what follows the host.
fn put_target(head: &RequestHead<'_, '_>, out: &mut Vec<u8>) {
    let text = match head.target {
        Target::Origin(target) | Target::Authority(target) => target,
        Target::Asterisk => "*",
        Target::Absolute { path_and_query, .. } => {
            if path_and_query.starts_with('?') {
                out.push(b'/');
            }
            path_and_query
        }
    };
    out.extend_from_slice(text.as_bytes());
}

/// An argument of a query; its name in any case, as nginx finds it.
fn argument<'q>(query: &'q [u8], lower_name: &str) -> Option<&'q [u8]> {
    query.split(|byte| *byte == b'&').find_map(|pair| value_of(pair, lower_name))
}

/// A cookie; its name in any case, as nginx finds it.
fn cookie<'b>(head: &RequestHead<'b, '_>, lower_name: &str) -> Option<&'b [u8]> {
    let fields = head.fields.iter().filter(|field| field.name.eq_ignore_ascii_case("cookie"));
    let mut pairs = fields.flat_map(|field| field.value.split(|byte| *byte == b';'));
    pairs.find_map(|pair| value_of(pair.trim_ascii(), lower_name))
}

/// What stands behind `name=`.
fn value_of<'p>(pair: &'p [u8], lower_name: &str) -> Option<&'p [u8]> {
    let (name, rest) = pair.split_at_checked(lower_name.len())?;
    let value = rest.strip_prefix(b"=")?;
    name.eq_ignore_ascii_case(lower_name.as_bytes()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        for (query, name, value) in [
            ("a=1&b=2", "b", Some("2")),
            ("a=1&B=2&b=3", "b", Some("2")),
            ("ab=1", "b", None),
            ("b", "b", None),
            ("b=", "b", Some("")),
            ("a=b=1", "b", None),
            ("", "b", None),
        ] {
            let found = argument(query.as_bytes(), name);
            assert_eq!(found, value.map(str::as_bytes), "{query}");
        }
    }
}
