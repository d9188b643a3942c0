//! From a request's first bytes to what shall be done with it.

use std::rc::Rc;

use super::Service;
use super::body::{Body, BodyError};
use super::client::Client;
use super::connection::Next;
use super::reply::{self, Failure, Reply};
use crate::balance::hash_key;
use crate::http1::{
    FieldStorage, HeadLimits, HeadScanner, Refusal, RequestFacts, RequestFraming, RequestHead,
    RequestRewrite, Version, parse_request, write_request,
};
use crate::plan::{Action, BodyText, HashKey, Limits, Plan, RoutePlan, UpstreamPlan};
use crate::ring::Buf;

/// A request to forward.
pub struct Request {
    pub service: Rc<Service>,
    pub facts: RequestFacts,
    pub version: Version,
    /// Index into the plan's routes, and of its upstream.
    pub route: usize,
    pub group: usize,
    /// What the balancer hashes.
    pub key: u64,
}

/// The head as it goes to the server, followed by the part of the body that is here already:
/// nearly always one buffer.
pub struct Outgoing {
    /// Sent before `buf` where the new head did not fit in front of the body.
    pub before: Vec<u8>,
    pub buf: Buf,
}

impl Request {
    pub fn route(&self) -> &RoutePlan {
        &self.service.plan.routes[self.route]
    }
}

/// Receives a head, `buf` being its first bytes, and decides. Returns what to forward, its first
/// bytes and the rest of its body. `Err`: it is answered already.
pub async fn receive(client: &Client, buf: Buf) -> Result<(Request, Outgoing, Body), Next> {
    let service = client.context.service.borrow().clone();
    let limits = head_limits(&service.plan.limits);
    let (mut buf, len) = receive_head(client, buf, &service.plan, &limits).await?;
    let decision = client.context.with_scratch(|scratch| {
        let decision = decide(client, &service, &buf.bytes()[..len], buf.len() - len, scratch)?;
        buf.advance(len);
        let before = match decision {
            Decision::Forward { .. } if !buf.prepend(scratch) => scratch.clone(),
            _ => Vec::new(),
        };
        Ok((decision, before, scratch.len()))
    });
    client.context.count(|counters| counters.requests += 1);
    match decision {
        Err(refusal) => Err(reply::fail(client, &Failure::Refused(refusal), false, false).await),
        Ok((Decision::Answer(answer), _, _)) => Err(answer_locally(client, answer, buf).await),
        Ok((Decision::Forward { facts, version, route, group, key }, before, head_len)) => {
            let limit = service.plan.routes[route].limits.body_bytes;
            let mut body = Body::of_request(facts.framing, limit);
            let head_in_buf = if before.is_empty() { head_len } else { 0 };
            let framed = frame_first(client, &mut body, &mut buf, head_in_buf).await;
            if let Err(failure) = framed {
                return Err(reply::fail(client, &failure, facts.is_head, false).await);
            }
            let request = Request { service, facts, version, route, group, key };
            Ok((request, Outgoing { before, buf }, body))
        }
    }
}

pub fn head_limits(limits: &Limits) -> HeadLimits {
    HeadLimits { bytes: limits.head_bytes, fields: limits.head_fields }
}

/// Collects bytes until `buf` starts with a whole head, and returns its length.
async fn receive_head(
    client: &Client,
    mut buf: Buf,
    plan: &Plan,
    limits: &HeadLimits,
) -> Result<(Buf, usize), Next> {
    let deadline = client.timer.after(plan.timeouts.header);
    let mut scanner = HeadScanner::new();
    loop {
        match scanner.find_end(buf.bytes(), limits) {
            Ok(Some(len)) => return Ok((buf, len)),
            Ok(None) => {}
            Err(refusal) => {
                client.context.count(|counters| counters.requests += 1);
                return Err(reply::fail(client, &Failure::Refused(refusal), false, false).await);
            }
        }
        let mut more = match client.timer.until(deadline, client.stream.recv()).await {
            Ok(Ok(Some(more))) => more,
            Ok(_) => return Err(Next::Close),
            Err(_) => return Err(reply::fail(client, &Failure::HeadTimeout, false, false).await),
        };
        let taken = buf.extend(more.bytes());
        more.advance(taken);
        if !more.is_empty() {
            client.stream.put_back(more);
        }
    }
}

enum Decision {
    Forward { facts: RequestFacts, version: Version, route: usize, group: usize, key: u64 },
    Answer(Answer),
}

/// An answer of our own to a well-formed request.
struct Answer {
    kind: AnswerKind,
    to_head: bool,
    keep_alive: bool,
    /// Bytes of the request's body in the buffer, to be left out before the next request.
    body_len: usize,
}

enum AnswerKind {
    NotFound,
    TooLarge,
    /// The whole response.
    Bytes(Vec<u8>),
}

/// Parses and routes a head. For a request to forward, the head for the server is in `out`.
fn decide(
    client: &Client,
    service: &Service,
    bytes: &[u8],
    body_here: usize,
    out: &mut Vec<u8>,
) -> Result<Decision, Refusal> {
    let plan = &service.plan;
    let mut storage = FieldStorage::new();
    let head = parse_request(bytes, &mut storage, &head_limits(&plan.limits))?;
    let facts = head.facts;
    let answer = |kind| {
        let body_len = match facts.framing {
            RequestFraming::None => Some(0),
            RequestFraming::Length(n) => usize::try_from(n).ok().filter(|&n| n <= body_here),
            RequestFraming::Chunked => None,
        };
        let keep_alive = facts.keep_alive && body_len.is_some() && !client.context.draining.get();
        let body_len = body_len.unwrap_or(body_here);
        Decision::Answer(Answer { kind, to_head: facts.is_head, keep_alive, body_len })
    };
    let Some(index) = service.table.find(head.host, head.path()) else {
        return Ok(answer(AnswerKind::NotFound));
    };
    let route = &plan.routes[index];
    if let (RequestFraming::Length(n), Some(limit)) = (facts.framing, route.limits.body_bytes)
        && n > limit
    {
        return Ok(answer(AnswerKind::TooLarge));
    }
    let group = match &route.action {
        Action::Upstream(group) => *group,
        action => {
            let Decision::Answer(mut made) = answer(AnswerKind::NotFound) else { unreachable!() };
            made.kind = AnswerKind::Bytes(local_answer(route, action, &head, &made));
            return Ok(Decision::Answer(made));
        }
    };
    let how = RequestRewrite {
        client_ip: client.ip,
        scheme: "http",
        edits: &route.request_fields,
        request_id: None,
    };
    write_request(out, &head, &how);
    let key = balancing_key(&plan.upstreams[group], &head, client);
    Ok(Decision::Forward { facts, version: head.version, route: index, group, key })
}

/// The bytes of a fixed response or a redirect.
fn local_answer(
    route: &RoutePlan,
    action: &Action,
    head: &RequestHead<'_, '_>,
    made: &Answer,
) -> Vec<u8> {
    let (status, body, location) = match action {
        Action::Respond { status, body } => (*status, body, None),
        Action::Redirect(redirect) => {
            let location = reply::location(redirect, head.host, head.path(), head.query());
            (redirect.status, &BodyText::default(), Some(location))
        }
        Action::Upstream(_) => unreachable!("forwarded, not answered here"),
    };
    let fields = location.as_ref().map(|location| ("Location", location.as_str()));
    let mut out = Vec::with_capacity(256 + body.bytes.len());
    let reply = Reply {
        status,
        content_type: &body.content_type,
        body: &body.bytes,
        fields: fields.as_slice(),
        edits: &route.response_fields,
        keep_alive: made.keep_alive,
        to_head: made.to_head,
    };
    reply.write(&mut out);
    out
}

async fn answer_locally(client: &Client, answer: Answer, mut buf: Buf) -> Next {
    let Answer { kind, to_head, keep_alive, body_len } = answer;
    buf.advance(body_len);
    if keep_alive && !buf.is_empty() {
        client.stream.put_back(buf);
    }
    match kind {
        AnswerKind::Bytes(bytes) => reply::send(client, &bytes, keep_alive).await,
        AnswerKind::NotFound => reply::fail(client, &Failure::NoRoute, to_head, keep_alive).await,
        AnswerKind::TooLarge => reply::fail(client, &Failure::BodyTooLarge, to_head, false).await,
    }
}

/// What the upstream's policy hashes; 0 where it hashes nothing.
fn balancing_key(upstream: &UpstreamPlan, head: &RequestHead<'_, '_>, client: &Client) -> u64 {
    use crate::balance::PolicyKind::{ConsistentHash, IpHash};
    if !matches!(upstream.policy, IpHash | ConsistentHash) {
        return 0;
    }
    let value = match &upstream.hash_key {
        HashKey::ClientIp => None,
        HashKey::Path => Some(head.path().as_bytes()),
        HashKey::Field(name) => head.field(name),
        HashKey::Cookie(name) => head.cookie(name),
    };
    match (value, client.ip) {
        (Some(value), _) => hash_key(value),
        (None, Some(std::net::IpAddr::V4(ip))) => hash_key(&ip.octets()),
        (None, Some(std::net::IpAddr::V6(ip))) => hash_key(&ip.octets()),
        (None, None) => hash_key(b"unix"),
    }
}

/// Frames the part of the body that came with the head, which occupies the first `head_len` bytes
/// of `buf`. Bytes of the next request are put back.
async fn frame_first(
    client: &Client,
    body: &mut Body,
    buf: &mut Buf,
    head_len: usize,
) -> Result<(), Failure> {
    let here = buf.len() - head_len;
    if here == 0 {
        return Ok(());
    }
    let surplus = if body.leaves_chunked() {
        // Chunks are framed anew: that needs room before them, so the relay gets them apart.
        let rest = match buf.split_off(head_len) {
            Some(rest) => rest,
            None => {
                let mut rest = client.context.ring.buf().await;
                rest.extend(&buf.bytes()[head_len..]);
                buf.truncate(head_len);
                rest
            }
        };
        client.stream.put_back(rest);
        return Ok(());
    } else {
        body.frame_behind(buf, head_len).map_err(|error| match error {
            BodyError::TooLarge => Failure::BodyTooLarge,
            BodyError::Malformed(refusal) => Failure::Refused(refusal),
        })?
    };
    put_back_bytes(client, &surplus).await;
    Ok(())
}

/// Keeps bytes that belong to the next request.
pub async fn put_back_bytes(client: &Client, bytes: &[u8]) {
    if !bytes.is_empty() {
        let mut buf = client.context.ring.buf().await;
        // They came in one buffer, behind at least a head: they fit into one.
        buf.extend(bytes);
        client.stream.put_back(buf);
    }
}
