//! One request and its response: find a server, send, forward, try again where that is allowed.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::body::Body;
use super::client::{Client, Gone};
use super::connection::Next;
use super::content;
use super::course::{Course, Reached};
use super::hold::hold;
use super::reply::{self, Failure, Manner};
use super::request::{self, Instead, Request};
use super::response::{Answer, Failed, Finished};
use super::retry::{self, Again, Cause};
use super::sending::Try;
use super::trail::Trail;
use super::tunnel::Tunnel;
use crate::http1::RequestFraming;
use crate::ring::{Buf, Sent, Traffic};
use crate::telemetry::End;
use crate::transport::Stream;
use crate::upstream::{Connected, Counted, Lease, Verdict};

/// Receives one request, whose first bytes are here, answers it, and has it recorded.
pub async fn run(client: &Client, first: Buf) -> Next {
    let service = client.context.service.borrow().clone();
    let trail = Trail::new(service, client.context.ring.now());
    let mut serving = pin!(serve(client, first, &trail));
    // Whatever becomes of a request, it is recorded: also of one that is in progress when the shard
    // ends.
    let next = poll_fn(|task| {
        if client.context.cut_off.get() {
            trail.cut_off();
            return Poll::Ready(Next::Close);
        }
        serving.as_mut().poll(task)
    });
    let next = next.await;
    let record = client.context.finish(&trail);
    client.log(&trail, &record);
    next
}

async fn serve(client: &Client, first: Buf, trail: &Trail) -> Next {
    // Even if the last one was an upload that was spliced.
    client.stream.expect(Traffic::Messages);
    let (mut request, mut head, mut body) = match request::receive(client, first, trail).await {
        Ok(received) => received,
        Err(next) => return next,
    };
    let mut whole = body.ended();
    // Round again for the page of an error, which may be another server's.
    let (failure, keep_alive) = loop {
        let forwarded = match content::settle(client, trail).await {
            Ok(()) => forward(client, &request, head, &mut body, trail).await,
            Err(failed) => Err(failed),
        };
        trail.note(|record| record.from_client += body.passed());
        let failure = match failed(client, trail, forwarded) {
            Ok(failure) => failure,
            Err(next) => return next,
        };
        // After a body under way, what came behind it may be lost with the upload.
        let keep_alive = request.facts.keep_alive && whole && !failure.is_in_body();
        // Its own descriptor is one that is wanted.
        let keep_alive = keep_alive && !matches!(failure, Failure::Short);
        match request.instead(client, trail, failure, keep_alive) {
            Instead::Failure(failure) => break (failure, keep_alive),
            Instead::Answer(answer) => match request::give(client, trail, answer, None).await {
                Ok((another, its_head, _)) => (request, head) = (another, its_head),
                Err(next) => return next,
            },
            Instead::Forward(another, its_head) => (request, head) = (another, its_head),
        }
        whole = true;
        body = Body::of_request(RequestFraming::None, Vec::new(), None);
    };
    let (version, to_head) = (request.version, request.facts.is_head);
    let manner = Manner { version, to_head, keep_alive };
    reply::fail(client, trail, &failure, manner).await
}

/// What is to be answered where nothing was, or what follows.
fn failed(
    client: &Client,
    trail: &Trail,
    forwarded: Result<Next, Failed>,
) -> Result<Failure, Next> {
    match forwarded {
        Ok(next) => Err(next),
        Err(Failed::Answer(failure)) => Ok(failure),
        Err(Failed::NoByte) => {
            let reason = "The server closed the connection without an answer.";
            Ok(Failure::BadResponse(reason))
        }
        Err(Failed::ClientGone) => {
            client.context.count(|counters| counters.aborted += 1);
            trail.client_left();
            Err(Next::Close)
        }
        Err(Failed::CutShort) => {
            trail.note(|record| record.end = End::CutShort);
            Err(Next::Close)
        }
    }
}

async fn forward(
    client: &Client,
    request: &Request,
    mut head: Vec<u8>,
    body: &mut Body,
    trail: &Trail,
) -> Result<Next, Failed> {
    let group = &request.service.groups[request.group];
    // Whoever sends slowly keeps nobody from a server.
    let repeatable = hold(client, request, &mut head, body).await?;
    let live = group.allowance.enter().map_err(Failed::from)?;
    // Of a body under way, the part that went out in an attempt is gone with it.
    let whole = body.ended();
    let mut course = Course::new(client, request, group, trail);
    let mut reached = course.reach().await?;
    let (mut to_send, mut stale_before, mut cut_before) = (Some(head), false, false);
    loop {
        let Reached { lease, connected: Connected { stream: server, reused } } = reached;
        // What was sent already is being answered: that answer is the last.
        let listed = to_send.as_ref().and(course.listed()).filter(|_| repeatable);
        let copy = listed.and_then(|_| to_send.clone());
        if let (Some(head), false) = (&mut to_send, reused) {
            // Both leave in one send.
            head.splice(..0, request.announcement().iter().copied());
        }
        let answered = || {
            lease.learn(Verdict::Good, client.context.ring.now());
            course.answered();
        };
        let answered: &dyn Fn() = &answered;
        let attempt =
            Try { client, request, lease: &lease, server: &server, trail, listed, answered };
        let mut tried = attempt.run(to_send.take(), body).await;
        if let Some(verdict) = verdict(&tried.ended, reused) {
            lease.learn(verdict, client.context.ring.now());
        }
        if let Err(Failed::NoByte) = tried.ended {
            // What the configuration lists goes further: its turn is next.
            let goes_further = listed.is_some_and(|on| on.closed);
            let servers_left = !goes_further && course.may_reach_next();
            let past = Past { whole, reused, retried: stale_before, servers_left };
            if let Some((again, head)) = replay(tried.sent.take(), request, past) {
                drop(server);
                stale_before = again == Again::SameServer;
                to_send = Some(head);
                reached = match again {
                    Again::SameServer => course.reach_again(lease).await?,
                    Again::NextServer => course.reach_next(lease).await?,
                };
                continue;
            }
        }
        if let Some(cause) = listed.and_then(|on| Cause::of(&tried.ended, on))
            && tried.repeatable
        {
            let another = course.reach_another(&lease, cause).await;
            if let Some(another) = another.map_err(|Gone| Failed::ClientGone)? {
                stale_before = false;
                to_send = copy;
                reached = another;
                continue;
            }
        }
        match tried.ended {
            Ok(Answer::Given(mut finished)) => {
                if let Finished::Response(ending) | Finished::Intercepted(ending, _) = &mut finished
                {
                    ending.sending |= cut_before;
                }
                return finish(client, request, Place { lease, _live: live }, server, finished);
            }
            Ok(Answer::Unwanted(_)) => {
                cut_before = tried.cut;
                reached = Reached { lease, connected: Connected { stream: server, reused } };
            }
            Err(failed) => {
                course.failed(&lease, &failed);
                return Err(failed);
            }
        }
    }
}

/// What an attempt says about the server; `None`: nothing.
fn verdict(ended: &Result<Answer, Failed>, reused: bool) -> Option<Verdict> {
    match ended {
        // Told when its head was there.
        Ok(Answer::Given(_)) => None,
        Ok(Answer::Unwanted(_)) => Some(Verdict::Good),
        // The usual end of a connection that was idle for too long.
        Err(Failed::NoByte) if reused => None,
        Err(Failed::NoByte | Failed::CutShort) => Some(Verdict::Failed),
        Err(Failed::Answer(Failure::ResponseTimeout | Failure::BadResponse(_))) => {
            Some(Verdict::Failed)
        }
        Err(Failed::Answer(_) | Failed::ClientGone) => None,
    }
}

/// What is known of an attempt that has failed.
#[derive(Clone, Copy)]
struct Past {
    /// The request was sent with nothing to follow.
    whole: bool,
    reused: bool,
    retried: bool,
    servers_left: bool,
}

/// The request again, and where to, if it may be sent again.
fn replay(sent: Option<Sent>, request: &Request, past: Past) -> Option<(Again, Vec<u8>)> {
    let Past { whole, reused, retried, servers_left } = past;
    let Sent { accepted, bytes, .. } = sent?;
    let plan = &request.route().retry;
    let attempt = retry::Attempt {
        stale: plan.stale,
        unanswered: plan.unanswered,
        reused,
        retried,
        servers_left,
        idempotent: request.facts.idempotent,
        // The rest of a body is untouched only if not even the head went out.
        replayable: bytes.is_some() && (whole || accepted == 0),
        accepted,
    };
    let (again, mut bytes) = (retry::again(attempt)?, bytes?);
    if !reused {
        // It began a connection, and another may not need it.
        bytes.drain(..request.announcement().len());
    }
    Some((again, bytes))
}

/// Where a request is counted for as long as it lasts.
pub struct Place {
    /// At its server.
    lease: Lease,
    /// At its upstream.
    _live: Counted,
}

/// The response is complete: what happens to both connections.
fn finish(
    client: &Client,
    request: &Request,
    place: Place,
    server: Stream,
    finished: Finished,
) -> Result<Next, Failed> {
    let context = &client.context;
    Ok(match finished {
        Finished::Intercepted(ending, answer) => {
            if ending.server_stays(&server) {
                place.lease.keep(server, request.announcement(), context.ring.now());
            }
            return Err(Failed::Answer(Failure::Intercepted(answer)));
        }
        Finished::Tunnel => {
            context.count(|counters| counters.tunnels += 1);
            let idle = request.route().timeouts.tunnel_idle;
            Next::Tunnel(Box::new(Tunnel { server, idle, _place: place }))
        }
        Finished::Response(verdict) => {
            if verdict.server_stays(&server) {
                place.lease.keep(server, request.announcement(), context.ring.now());
            }
            match (verdict.client_stays(), client.finished.get()) {
                (true, _) => Next::Keep,
                (false, true) => Next::Close,
                (false, false) => Next::Linger,
            }
        }
    })
}
