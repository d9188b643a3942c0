//! Our own answers: errors, fixed responses, redirects. The only place that makes status codes.

use std::borrow::Cow;
use std::sync::Arc;

use super::body::BodyError;
use super::client::{Client, Gone};
use super::connection::Next;
use super::content;
use super::files::{self, FileFault};
use super::rates::Exhausted;
use super::scope::Asked;
use super::trail::Trail;
use crate::http1::{FieldEdits, Refusal, ResponseHead, Version, connection_line, put_decimal};
use crate::telemetry::Counters;
use crate::upstream::{Busy, Exceeded};

/// The methods that may be forwarded; servers may know fewer, and others still (RFC 9110 §10.2.1).
pub const ALLOW: (&str, &str) = ("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// Why a request is answered by us and not by a server.
#[derive(Debug)]
pub enum Failure {
    /// The request breaks a rule.
    Refused(Refusal),
    /// Its head did not come in time.
    HeadTimeout,
    /// Its body did not come in time.
    BodyTimeout,
    /// Its body came too slowly.
    BodySlow,
    /// Its body is larger than allowed.
    BodyTooLarge,
    /// A body was miscounted; a fault of ours.
    BodyMiscounted,
    /// No route matches.
    NoRoute,
    /// A route's step answers with this status.
    Returned(u16),
    /// A server answered so, and its route has a page for that.
    Intercepted(Box<Intercepted>),
    /// Its path was changed too often.
    Circle,
    /// Nothing is left of its path.
    EmptyPath,
    /// Its path, decoded, does not begin as that of its route does.
    OtherPath,
    /// The client's address is kept out here.
    Forbidden,
    /// It brings no password, or a wrong one; what it is asked for.
    Unauthorized(Arc<str>),
    /// Its password could not be checked: too many others wait to be.
    Unverified,
    /// There have been too many requests like it.
    TooMany(Exhausted),
    /// It is a TRACE, which is not forwarded.
    Trace,
    /// There is no such file, or it is not to be had so.
    File(FileFault),
    /// No server has room.
    Busy(Busy),
    /// It would exceed a limit of its upstream.
    Exceeded(Exceeded),
    /// We are short of descriptors, ports or memory.
    Short,
    /// No server could be connected to; `timeout`: the last one did not answer at all.
    NoConnection { timeout: bool },
    /// It would go on to another server, but its body has gone to one already.
    BodyGone,
    /// The server broke off before a response, or sent an unusable one.
    BadResponse(&'static str),
    /// The server did not answer in time.
    ResponseTimeout,
}

/// A server's answer that a page of its route stands in for.
#[derive(Debug)]
pub struct Intercepted {
    /// Its status.
    status: u16,
    /// The field of it that helps whoever asked.
    remedy: Option<(&'static str, String)>,
}

impl Intercepted {
    /// By its head.
    pub fn new(head: &ResponseHead<'_, '_>) -> Intercepted {
        let value = |name: &str| {
            let named = head.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
            let values: Vec<_> = named.map(|field| String::from_utf8_lossy(field.value)).collect();
            (!values.is_empty()).then(|| values.join(", "))
        };
        let names = ["WWW-Authenticate", "Retry-After", "Allow"];
        let remedy = names.into_iter().find_map(|name| Some((name, value(name)?)));
        Intercepted { status: head.status, remedy }
    }
}

impl From<BodyError> for Failure {
    /// What is wrong with a request's body.
    fn from(error: BodyError) -> Failure {
        match error {
            BodyError::Malformed(refusal) => Failure::Refused(refusal),
            BodyError::TooLarge => Failure::BodyTooLarge,
            BodyError::OutOfStep => Failure::BodyMiscounted,
        }
    }
}

impl Failure {
    /// The status that it is answered with.
    pub fn status(&self) -> u16 {
        match self {
            Failure::Refused(refusal) => refusal.status(),
            Failure::HeadTimeout | Failure::BodyTimeout | Failure::BodySlow => 408,
            Failure::BodyTooLarge => 413,
            Failure::BodyMiscounted => 500,
            Failure::NoRoute => 404,
            Failure::OtherPath => 400,
            Failure::Returned(status) => *status,
            Failure::Intercepted(answer) => answer.status,
            Failure::Circle | Failure::EmptyPath => 500,
            Failure::Forbidden => 403,
            Failure::Unauthorized(_) => 401,
            Failure::Unverified => 503,
            Failure::TooMany(rate) => rate.status,
            Failure::Trace => 405,
            Failure::File(fault) => fault.status(),
            Failure::Busy(Busy::NoneLeft) | Failure::BadResponse(_) | Failure::BodyGone => 502,
            Failure::Busy(Busy::QueueFull | Busy::QueueTimeout) => 503,
            Failure::Exceeded(_) | Failure::Short => 503,
            Failure::NoConnection { timeout } => {
                if *timeout {
                    504
                } else {
                    502
                }
            }
            Failure::ResponseTimeout => 504,
        }
    }

    /// Whether the request's body is at fault, so that what follows it cannot be told from it.
    pub fn is_in_body(&self) -> bool {
        matches!(
            self,
            Failure::BodyTooLarge
                | Failure::BodyTimeout
                | Failure::BodySlow
                | Failure::BodyMiscounted
                | Failure::Refused(_)
        )
    }

    /// Whether the request had come as far as the rates of its route, or further.
    pub fn comes_late(&self) -> bool {
        !matches!(
            self,
            Failure::NoRoute
                | Failure::Forbidden
                | Failure::Returned(_)
                | Failure::Circle
                | Failure::EmptyPath
        )
    }

    /// Whether it is what a server did.
    pub fn is_of_server(&self) -> bool {
        matches!(self, Failure::BadResponse(_) | Failure::ResponseTimeout)
    }

    fn count(&self, counters: &mut Counters) {
        counters.refused += 1;
        match self {
            Failure::Forbidden => counters.forbidden += 1,
            Failure::TooMany(_) => counters.too_many += 1,
            Failure::Exceeded(exceeded) => count_exceeded(*exceeded, counters),
            _ => {}
        }
    }

    /// What helps whoever asked: when it may go better (RFC 9110 §10.2.3), or what may be asked.
    pub fn remedy(&self) -> Option<(&'static str, Cow<'static, str>)> {
        match self {
            Failure::TooMany(Exhausted { wait, .. }) => {
                let seconds = wait.as_nanos().div_ceil(1_000_000_000).max(1);
                Some(("Retry-After", seconds.to_string().into()))
            }
            Failure::Unauthorized(challenge) => {
                Some(("WWW-Authenticate", challenge.to_string().into()))
            }
            Failure::Trace => Some((ALLOW.0, ALLOW.1.into())),
            Failure::File(FileFault::Method) => Some((files::ALLOW.0, files::ALLOW.1.into())),
            Failure::File(FileFault::Range(size)) => {
                Some(("Content-Range", format!("bytes */{size}").into()))
            }
            Failure::Intercepted(answer) => {
                answer.remedy.as_ref().map(|(name, value)| (*name, value.clone().into()))
            }
            _ if self.status() == 503 => Some(("Retry-After", "1".into())),
            _ => None,
        }
    }

    /// One sentence, for the page and the log.
    pub fn reason(&self) -> &'static str {
        match self {
            Failure::Refused(refusal) => refusal.reason,
            Failure::HeadTimeout => "The request did not arrive in time.",
            Failure::BodyTimeout => "The request's body did not arrive in time.",
            Failure::BodySlow => "The request's body came too slowly.",
            Failure::BodyTooLarge => "The request's body is larger than allowed here.",
            Failure::BodyMiscounted => "The proxy miscounted a body.",
            Failure::Returned(_) => "This is what the configuration answers here.",
            Failure::Intercepted(_) => "This is what the server answered.",
            Failure::Circle => "The path was rewritten again and again.",
            Failure::EmptyPath => "Nothing was left of the path.",
            Failure::OtherPath => "The path means another one once it is decoded.",
            Failure::NoRoute => "No route matches this host and path.",
            Failure::TooMany(_) => "There have been too many requests.",
            Failure::Forbidden => "Requests from this address are not answered here.",
            Failure::Unauthorized(_) => "A user's name and password are needed here.",
            Failure::Unverified => "Too many passwords are being checked.",
            Failure::Trace => "TRACE is not forwarded here.",
            Failure::File(fault) => fault.reason(),
            Failure::Busy(Busy::NoneLeft) => "No server is available.",
            Failure::Busy(Busy::QueueFull) => "All servers are busy, and too many requests wait.",
            Failure::Busy(Busy::QueueTimeout) => "All servers were busy for too long.",
            Failure::Exceeded(exceeded) => match exceeded {
                Exceeded::Active => "Too many requests to this upstream are in progress.",
                Exceeded::Pending => "Too many requests to this upstream wait for a connection.",
                Exceeded::Retries => {
                    "A server failed, and too many requests are being tried again."
                }
                Exceeded::Budget => "A server failed, and the budget for trying again is used up.",
            },
            Failure::Short => "The proxy is short of descriptors, ports or memory.",
            Failure::NoConnection { .. } => "No server could be reached.",
            Failure::BadResponse(reason) => reason,
            Failure::BodyGone => "The request's body has gone to a server that failed.",
            Failure::ResponseTimeout => "The server did not answer in time.",
        }
    }
}

/// Counts a request that is not tried, or not tried again.
pub fn count_exceeded(exceeded: Exceeded, counters: &mut Counters) {
    match exceeded {
        Exceeded::Budget => counters.budget_refusals += 1,
        Exceeded::Active | Exceeded::Pending | Exceeded::Retries => counters.breaker_refusals += 1,
    }
}

/// A response of our own.
pub struct Reply<'a> {
    pub status: u16,
    pub content_type: &'a str,
    pub body: &'a [u8],
    /// The length of a body that follows by itself, in place of `body`.
    pub length: Option<u64>,
    /// Fields besides those that frame the message.
    pub fields: &'a [(&'a str, &'a str)],
    pub edits: &'a FieldEdits,
    pub manner: Manner,
}

/// A response of our own, ready to be sent.
pub struct OwnResponse {
    pub(super) status: u16,
    pub(super) bytes: Vec<u8>,
    /// How many of the bytes are its body.
    pub(super) body_len: u64,
}

/// How an answer of our own goes to its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// What the client speaks.
    pub version: Version,
    /// The request was HEAD: the body is announced, not sent.
    pub to_head: bool,
    /// The connection stays.
    pub keep_alive: bool,
}

impl Manner {
    /// To a request of which nothing is known but that the connection cannot go on after it.
    pub const LAST: Manner = Manner { version: Version::Http11, to_head: false, keep_alive: false };
}

impl<'a> Reply<'a> {
    /// An answer with these edits, without fields and body so far.
    pub fn new(status: u16, edits: &'a FieldEdits, manner: Manner) -> Reply<'a> {
        Reply { status, content_type: "", body: b"", length: None, fields: &[], edits, manner }
    }

    /// Ready to be sent.
    pub fn to_response(&self) -> OwnResponse {
        let body_len = if self.has_body() { self.body.len() as u64 } else { 0 };
        OwnResponse { status: self.status, bytes: self.to_bytes(), body_len }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512 + self.body.len());
        self.write(&mut out);
        out
    }

    /// Whether the body is sent, and not only announced.
    fn has_body(&self) -> bool {
        !matches!(self.status, 204 | 304) && !self.manner.to_head && self.length.is_none()
    }

    /// Appends the message, or the head alone where the body follows by itself.
    pub fn write(&self, out: &mut Vec<u8>) {
        // Formatting would cost more than all that is written here.
        let bodiless = matches!(self.status, 204 | 304);
        out.extend_from_slice(b"HTTP/1.1 ");
        put_decimal(out, self.status.into());
        out.push(b' ');
        out.extend_from_slice(reason_phrase(self.status).as_bytes());
        out.extend_from_slice(b"\r\n");
        if !bodiless {
            out.extend_from_slice(b"Content-Length: ");
            put_decimal(out, self.length.unwrap_or(self.body.len() as u64));
            out.extend_from_slice(b"\r\n");
            if !self.content_type.is_empty() {
                self.field(out, "Content-Type", self.content_type);
            }
        }
        for (name, value) in self.fields {
            self.field(out, name, value);
        }
        for (name, value) in self.edits.set.iter().chain(&self.edits.add) {
            put_field(out, name, value);
        }
        out.extend_from_slice(connection_line(self.manner.keep_alive, self.manner.version));
        out.extend_from_slice(b"\r\n");
        if self.has_body() {
            out.extend_from_slice(self.body);
        }
    }

    fn field(&self, out: &mut Vec<u8>, name: &str, value: &str) {
        let is_it = |edited: &String| edited.eq_ignore_ascii_case(name);
        let replaced = self.edits.set.iter().any(|(set, _)| is_it(set));
        if !replaced && !self.edits.remove.iter().any(is_it) {
            put_field(out, name, value);
        }
    }
}

fn put_field(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Counts a failure, and names it in the log.
pub fn take_note(client: &Client, trail: &Trail, failure: &Failure) {
    let context = &client.context;
    let (status, id) = (failure.status(), client.request_id());
    context.count(|counters| failure.count(counters));
    let told = client.ip().map(tracing::field::display);
    let trace = client.trace_id();
    let of_client = matches!(failure, Failure::Refused(_));
    if status >= 500 && !of_client && context.failures.admits(context.ring.now()) {
        let server = trail.server().map(|server| server.address.to_string());
        tracing::warn!(status, id, trace, client = told, server, "{}", failure.reason());
    } else {
        tracing::debug!(status, id, trace, client = told, "{}", failure.reason());
    }
}

/// Makes what the route of a request changes in the answer to this failure, while there is still
/// something known of the request.
pub fn prepare(trail: &Trail, asked: &Asked<'_>, failure: &Failure) {
    let Some(fields) = trail.route().map(|route| &route.response_fields) else { return };
    let status = failure.status();
    if !fields.is_fixed() {
        let asked = Asked { status: Some(status), route: trail.route(), ..*asked };
        trail.failing.set(Some(Box::new((status, fields.make(&asked, Some(status))))));
    }
}

/// What the route of a request changes in a built-in page. That is never to be kept, and stays of
/// its own type.
fn edits_of_page(trail: &Trail, status: u16) -> FieldEdits {
    let prepared = trail.failing.take().filter(|prepared| prepared.0 == status);
    let fields = trail.route().map(|route| &route.response_fields);
    let mut edits = match (prepared, fields) {
        (Some(prepared), _) => prepared.1,
        (None, Some(fields)) => fields.without_request(status),
        (None, None) => FieldEdits::default(),
    };
    let changes = |name: &str| {
        !["cache-control", "content-type", "content-encoding", "expires"].contains(&name)
    };
    edits.remove.retain(|name| changes(name));
    edits.set.retain(|(name, _)| changes(name));
    edits.add.retain(|(name, _)| changes(name));
    edits
}

/// Answers with a small page for `failure`.
pub async fn fail(client: &Client, trail: &Trail, failure: &Failure, manner: Manner) -> Next {
    take_note(client, trail, failure);
    let (status, id) = (failure.status(), client.request_id());
    let keep_alive = manner.keep_alive && !client.is_last_request() && !client.finished.get();
    let page =
        format!("{status} {}\n\n{}\nRequest id: {id}\n", reason_phrase(status), failure.reason());
    let remedy = failure.remedy();
    let edits = edits_of_page(trail, status);
    let mut fields = vec![("Cache-Control", "no-store"), ("X-Request-Id", id.as_str())];
    fields.extend(remedy.as_ref().map(|(name, value)| (*name, value.as_ref())));
    let reply = Reply {
        status,
        content_type: "text/plain; charset=utf-8",
        body: page.as_bytes(),
        length: None,
        fields: &fields,
        edits: &edits,
        manner: Manner { keep_alive, ..manner },
    };
    send(client, trail, reply.to_response(), keep_alive).await
}

/// Sends a response of our own.
pub async fn send(client: &Client, trail: &Trail, response: OwnResponse, keep: bool) -> Next {
    let OwnResponse { status, bytes, body_len } = content::dress(trail, response, keep);
    trail.note(|record| {
        record.own = true;
        record.status = status;
    });
    let limit = client.context.service.borrow().plan.timeouts.body_idle;
    if let Err(Gone) = client.send_bytes(bytes, limit).await {
        trail.client_left();
        return Next::Close;
    }
    trail.to_client.set(body_len);
    trail.note(|record| record.phases.ended = client.context.ring.now());
    if keep { Next::Keep } else { Next::Linger }
}

/// The reason phrase of a status code (RFC 9110 §15).
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        410 => "Gone",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// HTTP/1.0 closes unless both sides say otherwise (RFC 9112 §9.3).
    #[test]
    fn an_answer_says_what_becomes_of_the_connection() {
        use Version::{Http10, Http11};
        for (version, keep_alive, expected) in [
            (Http11, true, ""),
            (Http11, false, "Connection: close\r\n"),
            (Http10, true, "Connection: keep-alive\r\n"),
            (Http10, false, "Connection: close\r\n"),
        ] {
            let reply = Reply {
                status: 204,
                content_type: "",
                length: None,
                body: b"",
                fields: &[],
                edits: &FieldEdits::default(),
                manner: Manner { version, to_head: false, keep_alive },
            };
            let expected = format!("HTTP/1.1 204 No Content\r\n{expected}\r\n");
            assert_eq!(reply.to_bytes(), expected.as_bytes(), "{version:?} {keep_alive}");
        }
    }

    #[test]
    fn edits_apply_to_our_own_answers() {
        let edits = FieldEdits {
            remove: vec!["cache-control".into()],
            set: vec![("content-type".into(), "text/html".into())],
            add: vec![("x-extra".into(), "1".into())],
        };
        let reply = Reply {
            status: 200,
            content_type: "text/plain",
            length: None,
            body: b"hi",
            fields: &[("Cache-Control", "no-store")],
            edits: &edits,
            manner: Manner { keep_alive: true, ..Manner::LAST },
        };
        let text = String::from_utf8(reply.to_bytes()).unwrap();
        assert_eq!(
            text,
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\
             content-type: text/html\r\nx-extra: 1\r\n\r\nhi"
        );
    }
}
