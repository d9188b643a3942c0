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

impl Request {
    pub fn route(&self) -> &RoutePlan {
        &self.service.plan.routes[self.route]
    }
}

/// Receives a head, `buf` being its first bytes, and decides. Returns what to forward, its head as
/// it goes to the server with the part of the body that is here already, and the rest of its body.
/// `Err`: it is answered already.
pub async fn receive(client: &Client, buf: Buf) -> Result<(Request, Vec<u8>, Body), Next> {
    let service = client.context.service.borrow().clone();
    let limits = head_limits(&service.plan.limits);
    let Received { apart, mut buf, len } =
        receive_head(client, buf, &service.plan, &limits).await?;
    client.context.count(|counters| counters.requests += 1);
    let (head, behind) = match &apart {
        Some(head) => (&head[..], buf.len()),
        None => (&buf.bytes()[..len], buf.len() - len),
    };
    // What is sent may wait long for its answer: it holds the memory it needs, and no buffer.
    let mut out = Vec::new();
    let decision = decide(client, &service, head, behind, &mut out);
    if apart.is_none() {
        buf.advance(len);
    }
    match decision {
        Err(refusal) => {
            drop(buf);
            Err(reply::fail(client, &Failure::Refused(refusal), false, false).await)
        }
        Ok(Decision::Answer(answer)) => Err(answer_locally(client, answer, buf).await),
        Ok(Decision::Forward { facts, version, route, group, key }) => {
            let limit = service.plan.routes[route].limits.body_bytes;
            let mut body = Body::of_request(facts.framing, limit);
            if let Err(BodyError::TooLarge | BodyError::Malformed(_)) =
                take_body(client, &mut body, buf, &mut out)
            {
                let failure = Failure::BodyTooLarge;
                return Err(reply::fail(client, &failure, facts.is_head, false).await);
            }
            Ok((Request { service, facts, version, route, group, key }, out, body))
        }
    }
}

pub fn head_limits(limits: &Limits) -> HeadLimits {
    HeadLimits { bytes: limits.head_bytes, fields: limits.head_fields }
}

/// A whole head and what came behind it.
struct Received {
    /// The head, where it came in several parts.
    apart: Option<Vec<u8>>,
    /// The head, if it came in one part, and what came behind it.
    buf: Buf,
    /// The head's length.
    len: usize,
}

/// Collects bytes until there is a whole head. While it waits for more it holds no buffer, or a few
/// thousand slow clients would hold all of them.
async fn receive_head(
    client: &Client,
    mut buf: Buf,
    plan: &Plan,
    limits: &HeadLimits,
) -> Result<Received, Next> {
    let deadline = client.timer.after(plan.timeouts.header);
    let mut scanner = HeadScanner::new();
    let mut collected: Vec<u8> = Vec::new();
    loop {
        let before = collected.len();
        let found = if before == 0 {
            scanner.find_end(buf.bytes(), limits)
        } else {
            collected.extend_from_slice(buf.bytes());
            scanner.find_end(&collected, limits)
        };
        match found {
            Ok(Some(len)) if before == 0 => return Ok(Received { apart: None, buf, len }),
            Ok(Some(len)) => {
                collected.truncate(len);
                buf.advance(len - before);
                return Ok(Received { apart: Some(collected), buf, len });
            }
            Ok(None) if before == 0 => collected.extend_from_slice(buf.bytes()),
            Ok(None) => {}
            Err(refusal) => {
                client.context.count(|counters| counters.requests += 1);
                drop(buf);
                return Err(reply::fail(client, &Failure::Refused(refusal), false, false).await);
            }
        }
        drop(buf);
        buf = match client.timer.until(deadline, client.stream.recv()).await {
            Ok(Ok(Some(more))) => more,
            Ok(_) => return Err(Next::Close),
            Err(_) => return Err(reply::fail(client, &Failure::HeadTimeout, false, false).await),
        };
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
    } else {
        drop(buf);
    }
    match kind {
        AnswerKind::Bytes(bytes) => reply::send(client, bytes, keep_alive).await,
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

/// Appends the part of the body that is here already, and puts back what does not belong to it or
/// must be framed anew.
fn take_body(
    client: &Client,
    body: &mut Body,
    mut buf: Buf,
    out: &mut Vec<u8>,
) -> Result<(), BodyError> {
    if !body.leaves_chunked() {
        let n = buf.len().min(usize::try_from(body.unframed()).unwrap_or(usize::MAX));
        body.skip(n as u64)?;
        out.extend_from_slice(&buf.bytes()[..n]);
        buf.advance(n);
    }
    if !buf.is_empty() {
        client.stream.put_back(buf);
    }
    Ok(())
}
