//! From a request's first bytes to what shall be done with it.

use std::borrow::Cow;
use std::rc::Rc;

use super::answer::{self, Answer, Own};
use super::body::{Body, BodyError};
use super::client::Client;
use super::connection::Next;
use super::content::{self, Stop};
use super::files::{self, FileRequest};
use super::kept::Kept;
use super::reply::{self, Failure, Manner};
use super::scope::Asked;
use super::trail::Trail;
use super::{Service, admission};
use crate::balance::hash_key;
use crate::guard::Pace;
use crate::http1::{
    FieldEdits, FieldStorage, HeadLimits, HeadScanner, Refusal, RequestFacts, RequestFraming,
    RequestHead, RequestRewrite, Version, parse_request, write_request,
};
use crate::plan::{Action, HashKey, Limits, RoutePlan, UpstreamPlan};
use crate::ring::Buf;
use crate::telemetry::Method;
use crate::upstream::Wish;

/// A request to forward.
pub struct Request {
    pub service: Rc<Service>,
    pub facts: RequestFacts,
    pub version: Version,
    /// How much of what goes to the server is its head.
    pub head_len: usize,
    /// Index into the plan's routes, and of its upstream.
    pub route: usize,
    pub group: usize,
    /// What the choice of its server goes by.
    pub wish: Wish,
    /// What connections to its servers begin with, if anything.
    announcement: Option<Rc<[u8]>>,
    /// What its route may ask about it later.
    kept: Option<Box<Kept>>,
}

impl Request {
    pub fn route(&self) -> &RoutePlan {
        &self.service.plan.routes[self.route]
    }

    /// What connections to its servers begin with; empty if nothing.
    pub fn announcement(&self) -> &[u8] {
        self.announcement.as_deref().unwrap_or_default()
    }

    /// What the route changes in the head of a response with this status.
    pub fn response_edits(&self, client: &Client, status: u16) -> Cow<'_, FieldEdits> {
        let (plan, route) = (&self.service.plan, self.route());
        if let Some(edits) = route.response_fields.fixed() {
            return Cow::Borrowed(edits);
        }
        let make = |head: &RequestHead<'_, '_>| {
            let asked = Asked { client, plan, head, route: Some(route), status: Some(status) };
            route.response_fields.make(&asked)
        };
        Cow::Owned(self.kept.as_ref().and_then(|kept| kept.look(make)).unwrap_or_default())
    }

    /// How slowly its body may come.
    pub fn pace(&self) -> Option<Pace> {
        let (limits, timeouts) = (&self.route().limits, &self.route().timeouts);
        let pace = |rate| Pace::new(rate, timeouts.body_grace, timeouts.body_idle);
        limits.body_rate.map(pace)
    }

    /// The Set-Cookie that goes with the response of this server, if the client is to come back to
    /// it and does not know that yet.
    pub fn set_cookie(&self, server: usize) -> Option<&str> {
        let sticky = self.service.plan.upstreams[self.group].sticky.as_ref()?;
        if self.wish.server == Some(server) { None } else { sticky.set_cookie(server) }
    }
}

/// Receives a head, `buf` being its first bytes, and decides. Returns what to forward, its head as
/// it goes to the server with the part of the body that is here already, and the rest of its body.
/// `Err`: it is answered already.
pub async fn receive(
    client: &Client,
    buf: Buf,
    trail: &Trail,
) -> Result<(Request, Vec<u8>, Body), Next> {
    let service = trail.service.clone();
    client.forget_request();
    let limits = head_limits(&service.plan.limits);
    let Received { apart, mut buf, len } = receive_head(client, buf, trail, &limits).await?;
    client.context.count(|counters| counters.requests += 1);
    trail.note(|record| record.phases.head = client.context.ring.now());
    let (head, behind) = match &apart {
        Some(head) => (&head[..], buf.len()),
        None => (&buf.bytes()[..len], buf.len() - len),
    };
    // What is sent may wait long for its answer: it holds the memory it needs, and no buffer.
    let mut out = Vec::new();
    let decision = decide(client, trail, head, behind, &mut out);
    // A refused head says no more than that.
    let to_head = decision.is_err() && head.starts_with(b"HEAD ");
    if apart.is_none() {
        buf.advance(len);
    }
    match decision {
        Err(refusal) => {
            drop(buf);
            let manner = Manner { to_head, ..Manner::LAST };
            Err(reply::fail(client, trail, &Failure::Refused(refusal), manner).await)
        }
        Ok(Decision::Answer(answer)) => Err(answer::give(client, trail, answer, buf).await),
        Ok(Decision::Forward(destination)) => {
            let Destination { facts, hop_trailers, version, route, group, wish, kept } =
                destination;
            let (head_len, limit) = (out.len(), service.plan.routes[route].limits.body_bytes);
            let mut body = Body::of_request(facts.framing, hop_trailers, limit);
            if let Err(error) = take_body(client, &mut body, buf, &mut out) {
                let manner = Manner { version, to_head: facts.is_head, keep_alive: false };
                trail.note(|record| record.from_client = body.passed());
                return Err(reply::fail(client, trail, &error.into(), manner).await);
            }
            let announced = service.plan.upstreams[group].proxy_protocol;
            let announcement = announced.map(|version| client.announcement(version));
            let request = Request {
                service,
                facts,
                version,
                head_len,
                route,
                group,
                wish,
                announcement,
                kept,
            };
            Ok((request, out, body))
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
    trail: &Trail,
    limits: &HeadLimits,
) -> Result<Received, Next> {
    let deadline = client.timer.after(trail.service.plan.timeouts.header);
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
                client.capture_broken(trail, if before == 0 { buf.bytes() } else { &collected });
                drop(buf);
                let failure = Failure::Refused(refusal);
                return Err(reply::fail(client, trail, &failure, Manner::LAST).await);
            }
        }
        drop(buf);
        buf = match client.timer.until(deadline, client.stream.recv()).await {
            Ok(Ok(Some(more))) => more,
            Ok(_) => {
                client.capture_broken(trail, &collected);
                trail.client_left();
                return Err(Next::Close);
            }
            Err(_) => {
                client.capture_broken(trail, &collected);
                let failure = Failure::HeadTimeout;
                return Err(reply::fail(client, trail, &failure, Manner::LAST).await);
            }
        };
    }
}

/// What shall be done with a well-formed request.
enum Decision {
    Forward(Destination),
    Answer(Answer),
}

/// Where a request goes.
struct Destination {
    facts: RequestFacts,
    /// Names of trailers that stay behind.
    hop_trailers: Vec<Box<str>>,
    version: Version,
    route: usize,
    group: usize,
    wish: Wish,
    kept: Option<Box<Kept>>,
}

/// Parses and routes a head, `body_here` bytes being behind it. For a request to forward, the head
/// for the server is in `out`.
fn decide(
    client: &Client,
    trail: &Trail,
    bytes: &[u8],
    body_here: usize,
    out: &mut Vec<u8>,
) -> Result<Decision, Refusal> {
    let plan = &trail.service.plan;
    let mut storage = FieldStorage::new();
    let parsed = parse_request(bytes, &mut storage, &head_limits(&plan.limits));
    let head = parsed.inspect_err(|_| client.capture_broken(trail, bytes))?;
    client.capture(trail, &head, bytes);
    trail.note(|record| record.method = Method::of(head.method));
    let trusted = client.identify(&head);
    let trace = client.trace_request(&head, &plan.tracing);
    let (route, group) = match find(client, trail, &head) {
        Ok(found) => found,
        Err(mut own) => {
            if let Own::File(request) = &mut own {
                request.keep(plan, bytes);
            }
            let asked = Asked { client, plan, head: &head, route: own.route(), status: None };
            return Ok(Decision::Answer(Answer::new(own, &asked, body_here)));
        }
    };
    let edits = &plan.routes[route].request_fields;
    let made;
    let edits = match edits.fixed() {
        Some(edits) => edits,
        None => {
            let route = Some(&plan.routes[route]);
            made = edits.make(&Asked { client, plan, head: &head, route, status: None });
            &made
        }
    };
    let how = RequestRewrite {
        client_ip: client.peer.get(),
        trusted,
        scheme: "http",
        edits,
        request_id: None,
        trace,
    };
    write_request(out, &head, &how);
    let wish = wish(&plan.upstreams[group], &head, client);
    let (facts, hop_trailers, version) = (head.facts, head.hop_trailers(), head.version);
    let varies = plan.routes[route].response_fields.fixed().is_none();
    let kept = varies.then(|| Box::new(Kept::new(bytes)));
    Ok(Decision::Forward(Destination { facts, hop_trailers, version, route, group, wish, kept }))
}

/// The route of a request to forward and its upstream, or what answers it here.
fn find<'p>(
    client: &Client,
    trail: &'p Trail,
    head: &RequestHead<'_, '_>,
) -> Result<(usize, usize), Own<'p>> {
    let service = &*trail.service;
    admission::to_listener(client).map_err(Own::Failure)?;
    let index = service.table.find(head.host, head.path());
    let index = index.ok_or(Own::Failure(Failure::NoRoute))?;
    trail.note(|record| record.route = Some(index as u32));
    let route = &service.plan.routes[index];
    admission::to_route(client, service, route, head).map_err(Own::Failure)?;
    if let Some(content) = &route.content {
        content::enter(client, trail, content, head).map_err(|stop| match stop {
            Stop::Failure(failure) => Own::Failure(failure),
            Stop::Page { status, page } => Own::Page { route, status, page },
        })?;
    }
    if let (RequestFraming::Length(n), Some(limit)) = (head.facts.framing, route.limits.body_bytes)
        && n > limit
    {
        return Err(Own::Failure(Failure::BodyTooLarge));
    }
    match &route.action {
        // As nginx does: a server's answer would show what proxies have added to the request.
        Action::Upstream(_) if head.method == "TRACE" => Err(Own::Failure(Failure::Trace)),
        Action::Upstream(_) if head.max_forwards() == Some(0) => {
            Err(Own::Options { route, allow: reply::ALLOW })
        }
        Action::Upstream(group) => Ok((index, *group)),
        Action::Respond { status, body } => Err(Own::Fixed { route, status: *status, body }),
        Action::Redirect(redirect) => Err(Own::Redirect { route, redirect }),
        Action::Files(_) if head.method == "OPTIONS" => {
            Err(Own::Options { route, allow: files::ALLOW })
        }
        Action::Files(_) => Err(match FileRequest::new(head, index) {
            Ok(request) => Own::File(request),
            Err(fault) => Own::Failure(Failure::File(fault)),
        }),
    }
}

fn wish(upstream: &UpstreamPlan, head: &RequestHead<'_, '_>, client: &Client) -> Wish {
    let sticky = upstream.sticky.as_ref();
    let server = sticky.and_then(|sticky| sticky.server(head.cookies(&sticky.name)));
    Wish { key: balancing_key(upstream, head, client), server }
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
        HashKey::Value(value) => value.find(head),
    };
    match (value, client.ip()) {
        (Some(value), _) => hash_key(value),
        (None, Some(std::net::IpAddr::V4(ip))) => hash_key(&ip.octets()),
        (None, Some(std::net::IpAddr::V6(ip))) => hash_key(&ip.octets()),
        (None, None) => hash_key(b"unix"),
    }
}

/// Appends the part of the body that is here already, and puts back what does not belong to it.
/// What is wrong with that part shows before the server hears of the request.
fn take_body(
    client: &Client,
    body: &mut Body,
    mut buf: Buf,
    out: &mut Vec<u8>,
) -> Result<(), BodyError> {
    if buf.is_empty() {
        return Ok(());
    }
    if body.leaves_chunked() {
        let surplus = body.frame(&mut buf)?;
        out.extend_from_slice(buf.bytes());
        out.append(&mut body.take_tail());
        buf.truncate(0);
        // It was in this buffer, behind what was taken out of it.
        if buf.extend(&surplus) < surplus.len() {
            return Err(BodyError::OutOfStep);
        }
    } else {
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
