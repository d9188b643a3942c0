//! From a request's first bytes to what shall be done with it.

use std::borrow::Cow;
use std::rc::Rc;

use super::Service;
use super::answer::{self, Answer, Own};
use super::arrival::{Received, head_limits, receive_head};
use super::body::{Body, BodyError};
use super::client::Client;
use super::connection::Next;
use super::files::Strayed;
use super::freshness;
use super::kept::Kept;
use super::passage::{self, Passage};
use super::redirects;
use super::reply::{self, Failure, Manner};
use super::routing::{Onward, Traveller, Way};
use super::scope::{Asked, Sent};
use super::trail::Trail;
use super::wish;
use crate::guard::Pace;
use crate::http1::{
    FieldEdits, FieldStorage, Refusal, RequestFacts, RequestFraming, RequestHead, RequestRewrite,
    ResponseHead, TraceContext, Version, parse_request, write_request,
};
use crate::plan::{Program, RedirectRule, RoutePlan};
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

    fn program(&self) -> Option<&Program> {
        self.route().program.as_deref()
    }

    /// Whether the route has a page for what a server answered with this status.
    pub fn intercepts(&self, status: u16) -> bool {
        let page = self.program().and_then(|program| program.error_page(status, true));
        page.is_some() && !self.passage().is_some_and(|passage| passage.in_error_page)
    }

    /// The status that it is answered with, if not the server's.
    pub fn status_instead(&self) -> Option<u16> {
        self.passage().and_then(|passage| passage.status)
    }

    fn passage(&self) -> Option<&Passage> {
        self.kept.as_ref()?.passage.as_deref()
    }

    /// What connections to its servers begin with; empty if nothing.
    pub fn announcement(&self) -> &[u8] {
        self.announcement.as_deref().unwrap_or_default()
    }

    /// What the route changes in the head of this response.
    pub fn response_edits(
        &self,
        client: &Client,
        response: &ResponseHead<'_, '_>,
    ) -> Cow<'_, FieldEdits> {
        let (plan, route) = (&self.service.plan, self.route());
        let edits = route.response_fields.fixed(Some(response.status)).map(Cow::Borrowed);
        let rules = route.program.as_ref().map_or(&[][..], |program| &program.redirects);
        let rules = match !rules.is_empty() && redirects::may_change(response) {
            true => rules,
            false => &[],
        };
        let passage = self.passage();
        let is_plain = rules.iter().all(RedirectRule::is_fixed)
            && route.expires.is_none()
            && !Passage::owes(passage);
        if let (Some(edits), true) = (&edits, is_plain) {
            let mut edits = edits.clone();
            if !rules.is_empty() {
                redirects::add_to(&mut edits, rules, None, response);
            }
            return edits;
        }
        let make = |head: &RequestHead<'_, '_>| {
            let (route, status) = (Some(route), Some(response.status));
            let sent = Some(Sent::Response(response));
            let asked = Asked { client, plan, head, route, passage, status, sent };
            let fields = &self.route().response_fields;
            let mut edits = edits.unwrap_or_else(|| Cow::Owned(fields.make(&asked, status)));
            redirects::add_to(&mut edits, rules, Some(&asked), response);
            freshness::add_to(&mut edits, &asked);
            Passage::add_to(passage, &mut edits, response.status, Some(response));
            edits
        };
        self.kept.as_ref().and_then(|kept| kept.look(make)).unwrap_or_default()
    }

    /// Makes what its route changes in the answer to a failure.
    fn prepare_failure(&self, client: &Client, trail: &Trail, failure: &Failure) {
        let Some(kept) = self.kept.as_ref().filter(|_| !self.route().response_fields.is_fixed())
        else {
            return;
        };
        let (plan, passage) = (&self.service.plan, self.passage());
        kept.look(|head| {
            let asked =
                Asked { client, plan, head, route: None, passage, status: None, sent: None };
            reply::prepare(trail, &asked, failure);
        });
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
        Ok(Decision::Answer(answer)) => give(client, trail, answer, Some(buf)).await,
        Ok(Decision::Forward(destination)) => begin(client, trail, destination, buf, out).await,
    }
}

/// Begins to forward a request whose head for the server is `out`, and whose body begins in `buf`.
async fn begin(
    client: &Client,
    trail: &Trail,
    destination: Destination,
    mut buf: Buf,
    mut out: Vec<u8>,
) -> Result<(Request, Vec<u8>, Body), Next> {
    let (request, hop_trailers, left_out) = destination.request(client, trail, out.len());
    let (facts, limit) = (request.facts, request.route().limits.body_bytes);
    let mut body = Body::of_request(facts.framing, hop_trailers, limit);
    if let Some(len) = left_out {
        // What follows the body can be told from it only if all of that is here.
        buf.advance(len.min(buf.len()));
        if !facts.keep_alive {
            buf.truncate(0);
        }
    }
    if let Err(error) = take_body(client, &mut body, buf, &mut out) {
        let manner = Manner { version: request.version, to_head: facts.is_head, keep_alive: false };
        trail.note(|record| record.from_client = body.passed());
        let failure = error.into();
        request.prepare_failure(client, trail, &failure);
        return Err(reply::fail(client, trail, &failure, manner).await);
    }
    Ok((request, out, body))
}

/// Gives an answer to the request whose body begins in `buf`, `None` where nothing of it is left to
/// come. Where no file is to be had, what its route has in its place.
///
/// # Errors
/// What follows it. What is given back is another's to answer.
pub async fn give(
    client: &Client,
    trail: &Trail,
    mut answer: Answer,
    mut buf: Option<Buf>,
) -> Result<(Request, Vec<u8>, Body), Next> {
    loop {
        let leftover = answer.leftover();
        if let Some(buf) = buf.take_if(|_| !answer.may_want_body()) {
            leftover.leave_out(client, trail, buf);
        }
        let strayed = match answer.send(client, trail).await {
            Ok(next) => {
                buf.into_iter().for_each(|buf| leftover.leave_out(client, trail, buf));
                return Err(next);
            }
            Err(strayed) => strayed,
        };
        let Strayed { route, kept, manner, onward } = *strayed;
        let left = match &buf {
            Some(buf) => Left::Body(buf.len()),
            None => Left::Nothing { keep_alive: manner.keep_alive },
        };
        match elsewhere(client, trail, (kept.as_ref(), route), onward, left) {
            Ok((Decision::Answer(another), _)) => answer = another,
            Ok((Decision::Forward(destination), out)) => {
                return match buf {
                    Some(buf) => begin(client, trail, destination, buf, out).await,
                    None => Ok(destination.bodiless(client, trail, out)),
                };
            }
            Err(failure) => {
                let keep_alive = manner.keep_alive && !failure.is_in_body();
                buf.into_iter().for_each(|buf| leftover.leave_out(client, trail, buf));
                let manner = Manner { keep_alive, ..manner };
                return Err(reply::fail(client, trail, &failure, manner).await);
            }
        }
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
    /// How much of its body is here and left out, where it is forwarded without.
    left_out: Option<usize>,
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
    let mut passage = None;
    let found = Traveller { client, trail, head: &head }.find(&mut passage);
    let sending = Sending { client, trail, head: &head, bytes, trusted, trace };
    match found.and_then(|way| sending.prepare(way, &mut passage, body_here, out)) {
        Ok(destination) => Ok(Decision::Forward(destination)),
        Err(mut own) => {
            own.keep(plan, bytes, passage.as_deref());
            let (route, passage) = (own.route(), passage.as_deref());
            let asked =
                Asked { client, plan, head: &head, route, passage, status: None, sent: None };
            let answer = Answer::new(own, trail, &asked, body_here);
            Ok(Decision::Answer(answer.unless_refused(trail, bytes, passage)))
        }
    }
}

/// A request that is about to be forwarded.
struct Sending<'a> {
    client: &'a Client,
    trail: &'a Trail,
    head: &'a RequestHead<'a, 'a>,
    bytes: &'a [u8],
    trusted: bool,
    trace: Option<TraceContext>,
}

impl Sending<'_> {
    /// Writes the head for the server to `out`.
    ///
    /// # Errors
    /// What answers instead.
    fn prepare<'p>(
        &self,
        way: Way,
        passage: &mut Option<Box<Passage>>,
        body_here: usize,
        out: &mut Vec<u8>,
    ) -> Result<Destination, Own<'p>> {
        let (plan, client, head) = (&self.trail.service.plan, self.client, self.head);
        let Way { route: index, group } = way;
        let route = &plan.routes[index];
        let passed = passage.as_deref();
        let asked = Asked {
            client,
            plan,
            head,
            route: Some(route),
            passage: passed,
            status: None,
            sent: None,
        };
        let target = match route.program.is_some() || passed.is_some() {
            true => passage::target(&asked).map_err(Own::Failure)?,
            false => None,
        };
        let as_get = passed.is_some_and(|passage| passage.to_get);
        let made;
        let edits = match route.request_fields.fixed(None) {
            Some(edits) => edits,
            None => {
                made = route.request_fields.make(&asked, None);
                &made
            }
        };
        let how = RequestRewrite {
            client_ip: client.peer.get(),
            trusted: self.trusted,
            as_came: route.pass_forwarding,
            scheme: "http",
            edits,
            target: target.as_deref(),
            as_get,
            request_id: None,
            trace: self.trace,
        };
        write_request(out, head, &how);
        let wish = wish::of(&plan.upstreams[group], head, client);
        let (mut facts, hop_trailers, version) = (head.facts, head.hop_trailers(), head.version);
        let mut left_out = None;
        if as_get {
            let left = answer::body_left(&facts, body_here);
            left_out = Some(left.unwrap_or(body_here));
            facts = facts.without_body();
            facts.keep_alive &= left.is_some();
        }
        let again =
            passed.is_some_and(|passage| passage.status.is_some() || passage.remedy.is_some());
        let keeps = route.asks_later() || again;
        let kept = keeps.then(|| Box::new(Kept::new(self.bytes, passage.take())));
        let route = index;
        Ok(Destination { facts, hop_trailers, version, route, group, wish, kept, left_out })
    }
}

/// What follows where a request could not be answered as its route says.
pub enum Instead {
    /// It goes somewhere else: its head for there.
    Forward(Request, Vec<u8>),
    /// It is answered so.
    Answer(Answer),
    /// It has failed.
    Failure(Failure),
}

impl Request {
    /// What is answered in place of a failure, once what there was of the request has been sent or
    /// thrown away. `keep_alive`: nothing of it is left to come.
    pub fn instead(
        &self,
        client: &Client,
        trail: &Trail,
        failure: Failure,
        keep_alive: bool,
    ) -> Instead {
        let pages = |program: &Program| !program.error_pages.is_empty();
        let kept = self.kept.as_deref().filter(|_| self.program().is_some_and(pages));
        if kept.is_none() {
            self.prepare_failure(client, trail, &failure);
            return Instead::Failure(failure);
        }
        let (onward, left) = (Onward::Failure(failure), Left::Nothing { keep_alive });
        match elsewhere(client, trail, (kept, self.route), onward, left) {
            Ok((Decision::Forward(destination), out)) => {
                let (request, out, _) = destination.bodiless(client, trail, out);
                Instead::Forward(request, out)
            }
            Ok((Decision::Answer(answer), _)) => Instead::Answer(answer),
            Err(failure) => Instead::Failure(failure),
        }
    }
}

/// What is left of a request that goes another way.
#[derive(Clone, Copy)]
enum Left {
    /// All of its body, so many bytes of which are here.
    Body(usize),
    /// Nothing; and whether its connection may stay.
    Nothing { keep_alive: bool },
}

/// What becomes of a request that the route with this number does not answer, and the head for the
/// server if it is forwarded.
///
/// # Errors
/// It has failed.
fn elsewhere(
    client: &Client,
    trail: &Trail,
    (kept, route): (Option<&Kept>, usize),
    onward: Onward,
    left: Left,
) -> Result<(Decision, Vec<u8>), Failure> {
    let plan = &trail.service.plan;
    let mut onward = Some(onward);
    let look = |head: &RequestHead<'_, '_>| {
        let kept = kept?;
        let mut passage = kept.passage.clone();
        let (body_here, gone) = match left {
            Left::Body(body_here) => (body_here, None),
            Left::Nothing { keep_alive } => (0, Some(keep_alive)),
        };
        if gone.is_some() && head.facts.framing != RequestFraming::None {
            passage.get_or_insert_default().body_gone = true;
        }
        let traveller = Traveller { client, trail, head };
        let found = traveller.go_on(onward.take()?, route, &mut passage);
        let trusted = client.trusts_fields();
        let trace = client.trace().filter(|_| head.trace().is_none());
        let sending = Sending { client, trail, head, bytes: kept.head(), trusted, trace };
        let mut out = Vec::new();
        let way = found.and_then(|way| sending.prepare(way, &mut passage, body_here, &mut out));
        Some(match way {
            Ok(mut destination) => {
                if let Some(keep_alive) = gone {
                    destination.facts.keep_alive = keep_alive;
                }
                Ok((Decision::Forward(destination), out))
            }
            Err(Own::Failure(failure)) => {
                let passage = passage.as_deref();
                let asked =
                    Asked { client, plan, head, route: None, passage, status: None, sent: None };
                reply::prepare(trail, &asked, &failure);
                Err(failure)
            }
            Err(mut own) => {
                own.keep(plan, kept.head(), passage.as_deref());
                let (route, passage) = (own.route(), passage.as_deref());
                let asked = Asked { client, plan, head, route, passage, status: None, sent: None };
                let answer = match gone {
                    Some(keep_alive) => Answer::late(own, trail, &asked, keep_alive),
                    None => Answer::new(own, trail, &asked, body_here),
                };
                let answer = answer.unless_refused(trail, kept.head(), passage);
                Ok((Decision::Answer(answer), out))
            }
        })
    };
    let found = kept.and_then(|kept| kept.look(look)).flatten();
    found.unwrap_or(Err(match onward {
        Some(Onward::Failure(failure)) => failure,
        _ => Failure::Circle,
    }))
}

impl Destination {
    /// The request, the names of trailers that stay behind, and how much of its body is left out.
    fn request(
        self,
        client: &Client,
        trail: &Trail,
        head_len: usize,
    ) -> (Request, Vec<Box<str>>, Option<usize>) {
        let Destination { facts, hop_trailers, version, route, group, wish, kept, left_out } = self;
        let service = trail.service.clone();
        let announced = service.plan.upstreams[group].proxy_protocol;
        let announcement = announced.map(|version| client.announcement(version));
        let request =
            Request { service, facts, version, head_len, route, group, wish, announcement, kept };
        (request, hop_trailers, left_out)
    }

    /// The request, where nothing of its body is left.
    fn bodiless(self, client: &Client, trail: &Trail, out: Vec<u8>) -> (Request, Vec<u8>, Body) {
        let (request, _, _) = self.request(client, trail, out.len());
        (request, out, Body::of_request(RequestFraming::None, Vec::new(), None))
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
