//! The request as the server gets it.

use std::io::Write as _;
use std::net::IpAddr;

use super::{RESERVE, Sheet, put_decimal};
use crate::http1::framing::RequestFraming;
use crate::http1::name::Known;
use crate::http1::{FieldEdits, RequestHead, Target, TraceContext, Version};

/// What a forwarded request gets besides its own fields.
#[derive(Clone, Copy, Debug)]
pub struct RequestRewrite<'a> {
    /// Who sent the request, for X-Forwarded-For; `None` for peers without an address (Unix
    /// sockets).
    pub client_ip: Option<IpAddr>,
    /// Whether what that peer says of those before it is true. Then X-Forwarded-For and Forwarded
    /// are extended, and X-Forwarded-Host and -Proto stay; else none of it goes on.
    pub trusted: bool,
    /// All of that goes on as it came, whoever sent it, and nothing is added.
    pub as_came: bool,
    /// `http` or `https`, for X-Forwarded-Proto.
    pub scheme: &'a str,
    /// The route's changes; they win over everything but framing.
    pub edits: &'a FieldEdits,
    /// What is asked for, in place of what the client asked for.
    pub target: Option<&'a [u8]>,
    /// Whether it is asked for by GET, whatever the client did, and without a body; a HEAD stays.
    pub as_get: bool,
    /// X-Request-Id for a request that has none.
    pub request_id: Option<&'a str>,
    /// Takes the place of what the request says of its trace.
    pub trace: Option<TraceContext>,
}

impl<'a> RequestRewrite<'a> {
    /// For a request that comes by plain HTTP from a peer that nobody trusts.
    pub fn plain(client_ip: Option<IpAddr>, edits: &'a FieldEdits) -> RequestRewrite<'a> {
        RequestRewrite {
            client_ip,
            trusted: false,
            as_came: false,
            scheme: "http",
            edits,
            target: None,
            as_get: false,
            request_id: None,
            trace: None,
        }
    }
}

/// Appends the head to forward to `out`: HTTP/1.1 whatever the client spoke (RFC 9110 §2.5), and
/// for a connection that stays open.
pub fn write_request(out: &mut Vec<u8>, head: &RequestHead<'_, '_>, how: &RequestRewrite<'_>) {
    out.reserve(head.len + RESERVE);
    let mut sheet = Sheet { alike: true, ..Sheet::new(out, how.edits) };
    request_line(&mut sheet, head, how);
    host(&mut sheet, head);
    let upgrade = head.facts.upgrade && !how.as_get;
    let modern = head.version == Version::Http11 && !how.as_get;
    let (survey, trusted) = (&head.survey, how.trusted);
    let max_forwards = head.max_forwards();
    sheet.copy(head.lines(), head.survey.marks, |name| match name {
        Known::Upgrade => upgrade,
        // The 100 that it asks for would have no way back to an HTTP/1.0 client.
        Known::Expect => modern,
        Known::MaxForwards => max_forwards.is_none(),
        Known::XRequestId => true,
        Known::Traceparent | Known::Tracestate => how.trace.is_none(),
        Known::Forwarded
        | Known::XForwardedElse
        | Known::XForwardedFor
        | Known::XForwardedHost
        | Known::XForwardedProto
            if how.as_came =>
        {
            true
        }
        Known::Forwarded => trusted && survey.forwarded,
        Known::XForwardedElse => trusted,
        Known::XForwardedHost => trusted && survey.forwarded_host,
        Known::XForwardedProto => trusted && survey.forwarded_proto,
        _ => false,
    });
    if let Some(hops) = max_forwards
        && sheet.owns("max-forwards")
    {
        sheet.put(b"Max-Forwards: ");
        put_decimal(sheet.out, hops.saturating_sub(1));
        sheet.put(b"\r\n");
    }
    if !how.as_get {
        framing(&mut sheet, head);
    }
    connection(&mut sheet, head, upgrade);
    if !how.as_came {
        forwarded(&mut sheet, head, how);
    }
    sheet.via(head.version);
    if let Some(id) = how.request_id
        && !head.survey.request_id
        && sheet.owns("x-request-id")
    {
        sheet.put(b"X-Request-Id: ");
        sheet.put(id.as_bytes());
        sheet.put(b"\r\n");
    }
    if let Some(trace) = how.trace
        && sheet.owns("traceparent")
    {
        // Writing to a Vec cannot fail.
        _ = write!(sheet.out, "Traceparent: {trace}\r\n");
    }
    sheet.finish("host");
}

/// An absolute target goes on in origin form: the server is no proxy (RFC 9112 §3.2.1).
#[inline]
fn request_line(sheet: &mut Sheet<'_, '_>, head: &RequestHead<'_, '_>, how: &RequestRewrite<'_>) {
    let method = if how.as_get && !head.facts.is_head { "GET" } else { head.method };
    sheet.put(method.as_bytes());
    sheet.put(b" ");
    if let Some(target) = how.target {
        sheet.put(target);
        sheet.put(b" HTTP/1.1\r\n");
        return;
    }
    match head.target {
        Target::Origin(target) | Target::Authority(target) => sheet.put(target.as_bytes()),
        Target::Asterisk => sheet.put(b"*"),
        Target::Absolute { path_and_query, .. } => {
            if path_and_query.starts_with('?') {
                sheet.put(b"/");
            }
            sheet.put(path_and_query.as_bytes());
        }
    }
    sheet.put(b" HTTP/1.1\r\n");
}

/// First of all fields, as RFC 9112 §3.2 wishes; empty if an HTTP/1.0 client sent none.
#[inline]
fn host(sheet: &mut Sheet<'_, '_>, head: &RequestHead<'_, '_>) {
    let set = match sheet.plain {
        true => None,
        false => sheet.edits.value_of("host"),
    };
    sheet.put(b"Host: ");
    sheet.put(set.or(head.host).unwrap_or_default().as_bytes());
    sheet.put(b"\r\n");
}

/// `Content-Length: 0` goes on as well: some servers want it with POST (RFC 9110 §8.6).
#[inline]
fn framing(sheet: &mut Sheet<'_, '_>, head: &RequestHead<'_, '_>) {
    if head.facts.framing == RequestFraming::Chunked {
        sheet.chunked();
    } else if let Some(length) = head.survey.declared.length {
        sheet.content_length(length);
    }
}

/// Whoever sends TE or Upgrade must name it in Connection (RFC 9110 §10.1.4, §7.8).
#[inline]
fn connection(sheet: &mut Sheet<'_, '_>, head: &RequestHead<'_, '_>, upgrade: bool) {
    match (upgrade, head.survey.te_trailers) {
        (false, false) => {}
        (true, false) => sheet.put(b"Connection: upgrade\r\n"),
        (false, true) => sheet.put(b"Connection: TE\r\nTE: trailers\r\n"),
        (true, true) => sheet.put(b"Connection: upgrade, TE\r\nTE: trailers\r\n"),
    }
}

#[inline]
fn forwarded(sheet: &mut Sheet<'_, '_>, head: &RequestHead<'_, '_>, how: &RequestRewrite<'_>) {
    if sheet.owns("x-forwarded-for") {
        forwarded_for(sheet, head, how);
    }
    if how.trusted && head.survey.forwarded && sheet.owns("forwarded") {
        forwarded_element(sheet, how);
    }
    if let Some(host) = head.host
        && !host.is_empty()
        && !(how.trusted && head.survey.forwarded_host)
        && sheet.owns("x-forwarded-host")
    {
        sheet.put(b"X-Forwarded-Host: ");
        sheet.put(host.as_bytes());
        sheet.put(b"\r\n");
    }
    if !(how.trusted && head.survey.forwarded_proto) && sheet.owns("x-forwarded-proto") {
        sheet.put(b"X-Forwarded-Proto: ");
        sheet.put(how.scheme.as_bytes());
        sheet.put(b"\r\n");
    }
}

/// One field: many applications read only the first or only the last of several.
#[inline]
fn forwarded_for(sheet: &mut Sheet<'_, '_>, head: &RequestHead<'_, '_>, how: &RequestRewrite<'_>) {
    const NAME: &[u8] = b"X-Forwarded-For: ";
    let mut separator = NAME;
    if how.trusted && head.survey.forwarded_for {
        for i in head.survey.marks.below(head.fields.len()) {
            let field = &head.fields[i];
            if Known::of(field.name) == Known::XForwardedFor && !field.value.is_empty() {
                sheet.put(separator);
                sheet.put(field.value);
                separator = b", ";
            }
        }
    }
    if let Some(client) = how.client_ip {
        sheet.put(separator);
        put_address(sheet.out, client);
    } else if separator == NAME {
        return;
    }
    sheet.put(b"\r\n");
}

/// This hop's element (RFC 7239 §4), behind those of earlier ones: lines of one name read as one
/// list. Who only knows X-Forwarded-For gets no Forwarded.
#[cold]
fn forwarded_element(sheet: &mut Sheet<'_, '_>, how: &RequestRewrite<'_>) {
    sheet.put(b"Forwarded: for=");
    match how.client_ip.map(|client| client.to_canonical()) {
        Some(client @ IpAddr::V4(_)) => put_address(sheet.out, client),
        Some(client @ IpAddr::V6(_)) => {
            sheet.put(b"\"[");
            put_address(sheet.out, client);
            sheet.put(b"]\"");
        }
        None => sheet.put(b"unknown"),
    }
    sheet.put(b";proto=");
    sheet.put(how.scheme.as_bytes());
    sheet.put(b"\r\n");
}

/// Appends an address; an IPv4 client of a dual-stack socket as IPv4.
#[inline]
pub fn put_address(out: &mut Vec<u8>, address: IpAddr) {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            put_decimal(out, u64::from(a));
            for octet in [b, c, d] {
                out.push(b'.');
                put_decimal(out, u64::from(octet));
            }
        }
        // Writing to a Vec cannot fail.
        IpAddr::V6(v6) => _ = write!(out, "{v6}"),
    }
}
