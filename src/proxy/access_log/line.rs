//! One line: a format, filled in.

use std::net::IpAddr;

use super::capture::Capture;
use super::clock::Moment;
use super::escape::{put_escaped, put_json};
use crate::http1::{TraceContext, put_address, put_decimal};
use crate::plan::{Escape, LogFormat, Segment, ServerPlan, Variable};
use crate::telemetry::Phases;

/// What a line may say of one request, besides its head.
pub struct Entry<'a> {
    /// Whose it was; `None`: somebody's on a Unix socket.
    pub client: Option<IpAddr>,
    /// What the client was told.
    pub status: u16,
    /// Bytes of the body that it got.
    pub sent: u64,
    /// Bytes of the body that came from it.
    pub received: u64,
    /// How many servers were asked.
    pub attempts: u16,
    /// When what happened.
    pub phases: Phases,
    /// The name of its route.
    pub route: Option<&'a str>,
    /// The name of that one's upstream.
    pub upstream: Option<&'a str>,
    /// The last server that was asked.
    pub server: Option<&'a ServerPlan>,
    /// Its id.
    pub id: u64,
    /// Its trace.
    pub trace: Option<TraceContext>,
}

/// What lines of one shard and moment have in common.
pub struct About<'a> {
    /// Now.
    pub moment: Moment<'a>,
    /// The number of the format that is in force.
    pub generation: u32,
    /// The shard.
    pub shard: u64,
    /// The process.
    pub process: u64,
}

/// All that a line may say.
pub struct Line<'a> {
    /// What it has in common with others.
    pub about: About<'a>,
    /// What the head of the request said.
    pub capture: &'a Capture,
    /// The rest.
    pub entry: &'a Entry<'a>,
}

/// A value, before it is written.
enum Value<'a> {
    /// There is none.
    None,
    /// From outside.
    Bytes(&'a [u8]),
    Number(u64),
    /// So many of the units of which 10 to the power of this are a second.
    Seconds(u64, usize),
    /// A number of so many hexadecimal digits.
    Hex(u128, usize),
    Address(IpAddr),
    /// Where a server listens.
    Server(&'a ServerPlan),
}

impl<'a> From<Option<&'a [u8]>> for Value<'a> {
    fn from(bytes: Option<&'a [u8]>) -> Value<'a> {
        bytes.map_or(Value::None, Value::Bytes)
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Value<'a> {
        text.map(str::as_bytes).into()
    }
}

/// Milliseconds or microseconds of a second.
const MILLI: usize = 3;
const MICRO: usize = 6;

/// Appends the line.
pub fn put_line(out: &mut Vec<u8>, format: &LogFormat, line: &Line<'_>) {
    for segment in &format.segments {
        match segment {
            Segment::Text(text) => out.extend_from_slice(text.as_bytes()),
            Segment::Variable(variable) => put(out, format.escape, &line.value(*variable)),
        }
    }
    out.push(b'\n');
}

impl<'a> Line<'a> {
    fn value(&self, variable: Variable) -> Value<'a> {
        let (capture, entry) = (self.capture, self.entry);
        let part = |index: usize| capture.parts().map(|parts| parts[index]).into();
        let at = &entry.phases;
        match variable {
            Variable::RemoteAddr => entry.client.map_or(Value::Bytes(b"unix:"), Value::Address),
            Variable::RemoteUser => capture.user().into(),
            Variable::TimeLocal => Value::Bytes(self.about.moment.local.as_bytes()),
            Variable::TimeIso8601 => Value::Bytes(self.about.moment.iso.as_bytes()),
            Variable::Msec => Value::Seconds(self.about.moment.milliseconds, MILLI),
            Variable::Request => capture.line().into(),
            Variable::RequestMethod => part(0),
            Variable::RequestUri => part(1),
            Variable::Uri => self.target().map(|(path, _)| path).into(),
            Variable::Args => self.target().and_then(|(_, query)| query).into(),
            Variable::ServerProtocol => part(2),
            Variable::Host => capture.host().map(without_port).into(),
            Variable::Scheme => Value::Bytes(b"http"),
            Variable::HttpReferer => capture.referer().into(),
            Variable::HttpUserAgent => capture.agent().into(),
            Variable::Field(index) => capture.field(index, self.about.generation).into(),
            Variable::Status => Value::Number(entry.status.into()),
            Variable::BodyBytesSent => Value::Number(entry.sent),
            Variable::RequestBodyBytes => Value::Number(entry.received),
            Variable::RequestTime => lasted(at.started, at.ended, MILLI),
            Variable::UpstreamAddr => entry.server.map_or(Value::None, Value::Server),
            Variable::UpstreamConnectTime => lasted(at.leased, at.connected, MILLI),
            Variable::UpstreamHeaderTime => lasted(at.leased, at.first_byte, MILLI),
            Variable::UpstreamResponseTime => lasted(at.leased, at.ended, MILLI),
            Variable::Server => entry.server.map(|server| server.host.as_str()).into(),
            Variable::Upstream => entry.upstream.into(),
            Variable::Route => entry.route.into(),
            Variable::Attempts => Value::Number(entry.attempts.into()),
            Variable::HeadTime => lasted(at.started, at.head, MICRO),
            Variable::QueueTime => lasted(at.head, at.leased, MICRO),
            Variable::ConnectTime => lasted(at.leased, at.connected, MICRO),
            Variable::FirstByteTime => lasted(at.connected, at.first_byte, MICRO),
            Variable::BodyTime => lasted(at.first_byte, at.ended, MICRO),
            Variable::TotalTime => lasted(at.started, at.ended, MICRO),
            Variable::RequestId => Value::Hex(entry.id.into(), 16),
            Variable::TraceId => {
                entry.trace.map_or(Value::None, |trace| Value::Hex(trace.trace_id, 32))
            }
            Variable::SpanId => {
                entry.trace.map_or(Value::None, |trace| Value::Hex(trace.span_id.into(), 16))
            }
            Variable::Shard => Value::Number(self.about.shard),
            Variable::Pid => Value::Number(self.about.process),
        }
    }

    /// The target before and behind its question mark.
    fn target(&self) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        let [_, target, _] = self.capture.parts()?;
        Some(match memchr::memchr(b'?', target) {
            Some(at) => (&target[..at], Some(&target[at + 1..])),
            None => (target, None),
        })
    }
}

/// The time between two stamps in nanoseconds; a stamp of 0 never came.
fn lasted<'a>(from: u64, to: u64, digits: usize) -> Value<'a> {
    if from == 0 || to == 0 {
        return Value::None;
    }
    let unit = if digits == MILLI { 1_000_000 } else { 1_000 };
    Value::Seconds(to.saturating_sub(from) / unit, digits)
}

fn without_port(host: &[u8]) -> &[u8] {
    match memchr::memrchr(b':', host) {
        Some(colon) if host[colon + 1..].iter().all(u8::is_ascii_digit) => &host[..colon],
        _ => host,
    }
}

fn put(out: &mut Vec<u8>, escape: Escape, value: &Value<'_>) {
    match (value, escape) {
        (Value::None, Escape::Default) => out.push(b'-'),
        (Value::None, Escape::Json) => {}
        (Value::None, Escape::JsonValue) => out.extend_from_slice(b"null"),
        (Value::Number(_) | Value::Seconds(..), _) => put_inside(out, escape, value),
        (_, Escape::JsonValue) => {
            out.push(b'"');
            put_inside(out, escape, value);
            out.push(b'"');
        }
        _ => put_inside(out, escape, value),
    }
}

fn put_inside(out: &mut Vec<u8>, escape: Escape, value: &Value<'_>) {
    let put_bytes = match escape {
        Escape::Default => put_escaped,
        Escape::Json | Escape::JsonValue => put_json,
    };
    match *value {
        Value::None => {}
        Value::Bytes(bytes) => put_bytes(out, bytes),
        Value::Number(number) => put_decimal(out, number),
        Value::Seconds(units, digits) => put_seconds(out, units, digits),
        Value::Hex(number, digits) => put_hex(out, number, digits),
        Value::Address(address) => put_address(out, address),
        Value::Server(server) => match &server.address {
            crate::plan::Address::Ip(address) => {
                let is_v6 = address.is_ipv6();
                out.extend_from_slice(if is_v6 { b"[" } else { b"" });
                put_address(out, address.ip());
                out.extend_from_slice(if is_v6 { b"]:" } else { b":" });
                put_decimal(out, address.port().into());
            }
            unix @ crate::plan::Address::Unix(_) => put_bytes(out, unix.to_string().as_bytes()),
        },
    }
}

/// Appends a number of seconds with so many decimals.
fn put_seconds(out: &mut Vec<u8>, units: u64, digits: usize) {
    let second = 10_u64.pow(digits as u32);
    put_decimal(out, units / second);
    out.push(b'.');
    let mut decimals = [b'0'; MICRO];
    let mut rest = units % second;
    for digit in decimals[..digits].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&decimals[..digits]);
}

fn put_hex(out: &mut Vec<u8>, number: u128, digits: usize) {
    for place in (0..digits).rev() {
        let digit = (number >> (4 * place)) as usize & 15;
        out.push(b"0123456789abcdef"[digit]);
    }
}

#[cfg(test)]
mod tests;
