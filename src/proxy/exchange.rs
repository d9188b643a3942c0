//! One request and its response: find a server, send, forward, try again where that is allowed.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::body::Body;
use super::client::{Client, Gone};
use super::connection::Next;
use super::forward::{Broken, Flow};
use super::reply::{self, Failure, Manner};
use super::request::{self, Request};
use super::response::{Attempt, Failed, Finished, Progress};
use super::{retry, tunnel};
use crate::guard::Pace;
use crate::ring::{Buf, Ring, SendOp, Sent, Tier, Traffic};
use crate::telemetry::Phases;
use crate::transport::Stream;
use crate::upstream::{ConnectError, Connected, Denied, Group, Lease, Tried, Verdict};

/// After a server has closed, how long to wait for what the kernel says of the send to it.
const SEND_VERDICT: Duration = Duration::from_secs(1);

/// What was given up for want of descriptors is closed by the ring, at the end of a turn.
const RELIEF: Duration = Duration::from_millis(5);

/// Receives one request, whose first bytes are here, and answers it.
pub async fn run(client: &Client, first: Buf) -> Next {
    let started = client.context.ring.now();
    // Even if the last one was an upload that was spliced.
    client.stream.expect(Traffic::Messages);
    let (request, head, mut body) = match request::receive(client, first).await {
        Ok(received) => received,
        Err(next) => return next,
    };
    let phases = Phases { started, head: client.context.ring.now(), ..Phases::default() };
    let phases = Cell::new(phases);
    let whole = body.ended();
    let failure = match forward(client, &request, head, &mut body, &phases).await {
        Ok(next) => return next,
        Err(Failed::Answer(failure)) => failure,
        Err(Failed::NoByte) => {
            Failure::BadResponse("The server closed the connection without an answer.")
        }
        Err(Failed::ClientGone) => {
            client.context.count(|counters| counters.aborted += 1);
            return Next::Close;
        }
        Err(Failed::CutShort) => return Next::Close,
    };
    // After a body under way, what came behind it may be lost with the upload.
    let keep_alive = request.facts.keep_alive && whole && !failure.is_in_body();
    // Its own descriptor is one that is wanted.
    let keep_alive = keep_alive && !matches!(failure, Failure::Short);
    let (version, to_head) = (request.version, request.facts.is_head);
    let manner = Manner { version, to_head, keep_alive };
    reply::fail(client, &failure, manner).await
}

async fn forward(
    client: &Client,
    request: &Request,
    mut head: Vec<u8>,
    body: &mut Body,
    phases: &Cell<Phases>,
) -> Result<Next, Failed> {
    let group = &request.service.groups[request.group];
    let _live = group.allowance.enter().map_err(Failed::from)?;
    let mut tried = Tried::default();
    let (mut lease, mut connected) = connect(client, request, group, &mut tried, phases).await?;
    // Of a body under way, the part that went out in an attempt is gone with it.
    let whole = body.ended();
    let mut retrying = None;
    loop {
        let Connected { stream: server, reused } = connected;
        let (ended, sent) = send_and_receive(client, request, head, body, &server, phases).await;
        if let Some(verdict) = verdict(&ended, reused) {
            lease.learn(verdict, client.context.ring.now());
        }
        match ended {
            Ok(finished) => {
                return Ok(finish(client, request, &lease, server, finished, phases).await);
            }
            Err(Failed::NoByte) => {
                drop(server);
                let retried = retrying.is_some();
                head = replay(sent, request, whole, reused, retried).ok_or(Failed::NoByte)?;
                retrying = Some(group.allowance.retry().map_err(Failed::from)?);
                client.context.count(|counters| counters.stale_retries += 1);
                // The same server on a fresh connection; if it is gone altogether, another.
                connected = match dial(client, request, &lease, phases).await? {
                    Ok(connected) => connected,
                    Err(error) if tried.count() >= group.max_tries() => {
                        return Err(Failed::Answer(no_connection(&error)));
                    }
                    Err(_) => {
                        client.context.count(|counters| counters.connect_retries += 1);
                        let next = connect(client, request, group, &mut tried, phases).await?;
                        lease = next.0;
                        next.1
                    }
                };
            }
            Err(failed) => return Err(failed),
        }
    }
}

/// What an attempt says about the server; `None`: nothing.
fn verdict(ended: &Result<Finished, Failed>, reused: bool) -> Option<Verdict> {
    match ended {
        Ok(_) => Some(Verdict::Good),
        // The usual end of a connection that was idle for too long.
        Err(Failed::NoByte) if reused => None,
        Err(Failed::NoByte | Failed::CutShort) => Some(Verdict::Failed),
        Err(Failed::Answer(Failure::ResponseTimeout | Failure::BadResponse(_))) => {
            Some(Verdict::Failed)
        }
        Err(Failed::Answer(_) | Failed::ClientGone) => None,
    }
}

/// The request again, if it may be sent again. `whole`: it was sent with nothing to follow.
fn replay(
    sent: Option<Sent>,
    request: &Request,
    whole: bool,
    reused: bool,
    retried: bool,
) -> Option<Vec<u8>> {
    let Sent { accepted, bytes, .. } = sent?;
    let attempt = retry::Attempt {
        allowed: request.service.plan.upstreams[request.group].retry.stale,
        reused,
        retried,
        idempotent: request.facts.idempotent,
        // The rest of a body is untouched only if not even the head went out.
        replayable: bytes.is_some() && (whole || accepted == 0),
        accepted,
    };
    bytes.filter(|_| retry::on_fresh_connection(attempt))
}

/// The response is complete: what happens to both connections.
async fn finish(
    client: &Client,
    request: &Request,
    lease: &Lease,
    server: Stream,
    finished: Finished,
    phases: &Cell<Phases>,
) -> Next {
    let context = &client.context;
    context.record(&phases.get());
    match finished {
        Finished::Tunnel => {
            context.count(|counters| counters.tunnels += 1);
            let idle = request.route().timeouts.tunnel_idle;
            tunnel::run(context, &client.stream, &server, idle).await;
            Next::Close
        }
        Finished::Response(verdict) => {
            if verdict.server_stays(&server) {
                lease.server().keep(server, context.ring.now());
            }
            match (verdict.client_stays(), client.finished.get()) {
                (true, _) => Next::Keep,
                (false, true) => Next::Close,
                (false, false) => Next::Linger,
            }
        }
    }
}

/// A server with room, and a connection to it. A failure to connect has sent nothing, so the next
/// server is tried whatever the method.
async fn connect(
    client: &Client,
    request: &Request,
    group: &Rc<Group>,
    tried: &mut Tried,
    phases: &Cell<Phases>,
) -> Result<(Lease, Connected), Failed> {
    let ring = &client.context.ring;
    let mut last_error = None;
    let mut retrying = None;
    loop {
        let leased = client.watched(group.acquire(ring, &client.timer, request.key, tried));
        let lease = match leased.await.map_err(|Gone| Failed::ClientGone)? {
            Ok(lease) => lease,
            Err(Denied::Exceeded(exceeded)) => return Err(exceeded.into()),
            Err(Denied::Busy(busy)) => {
                return Err(Failed::Answer(match last_error {
                    Some(error) => no_connection(&error),
                    None => Failure::Busy(busy),
                }));
            }
        };
        phases.set(Phases { leased: ring.now(), ..phases.get() });
        if let Some(connected) = lease.reuse(ring, !request.facts.idempotent) {
            client.context.count(|counters| counters.reused += 1);
            phases.set(Phases { connected: ring.now(), ..phases.get() });
            return Ok((lease, connected));
        }
        match dial(client, request, &lease, phases).await? {
            Ok(connected) => return Ok((lease, connected)),
            Err(error) if tried.count() >= group.max_tries() => {
                return Err(Failed::Answer(no_connection(&error)));
            }
            Err(error) => {
                if retrying.is_none() {
                    retrying = Some(group.allowance.retry().map_err(Failed::from)?);
                }
                client.context.count(|counters| counters.connect_retries += 1);
                last_error = Some(error);
            }
        }
    }
}

fn no_connection(error: &ConnectError) -> Failure {
    match error {
        ConnectError::Ours(_) => Failure::Short,
        ConnectError::Timeout => Failure::NoConnection { timeout: true },
        ConnectError::Refused(_) | ConnectError::TakenDown => {
            Failure::NoConnection { timeout: false }
        }
    }
}

async fn dial(
    client: &Client,
    request: &Request,
    lease: &Lease,
    phases: &Cell<Phases>,
) -> Result<Result<Connected, ConnectError>, Failed> {
    let ring = &client.context.ring;
    let group = &request.service.groups[request.group];
    let _waits = group.allowance.wait().map_err(Failed::from)?;
    let limit = request.route().timeouts.connect;
    let mut again = true;
    let result = loop {
        let dialled = client.watched(lease.dial(ring, &client.timer, limit)).await;
        let result = dialled.map_err(|Gone| Failed::ClientGone)?;
        let short = matches!(result, Err(ConnectError::Ours(_)));
        if !short || !std::mem::take(&mut again) || !client.context.relieve() {
            break result;
        }
        client.timer.sleep(RELIEF).await;
    };
    match &result {
        Ok(_) => {
            client.context.count(|counters| counters.dialled += 1);
            phases.set(Phases { connected: ring.now(), ..phases.get() });
        }
        Err(error) => {
            tracing::debug!(server = lease.server().name, ?error, "cannot connect");
            if let Some(verdict) = error.verdict() {
                lease.learn(verdict, ring.now());
            }
        }
    }
    Ok(result)
}

/// Sends the request and receives the response: both at once where the request has a body, since
/// a server may answer before it has read all of it. Also returns what became of the head.
async fn send_and_receive(
    client: &Client,
    request: &Request,
    head: Vec<u8>,
    body: &mut Body,
    server: &Stream,
    phases: &Cell<Phases>,
) -> (Result<Finished, Failed>, Option<Sent>) {
    let ring = &client.context.ring;
    let whole = body.ended();
    // Both are queued now and reach the kernel together.
    server.arm();
    let mut sending = server.socket.send_bytes(head);
    let progress = Progress::new(whole.then(|| ring.now()));
    let attempt = Attempt { client, request, server, phases, progress: &progress };
    if whole && ring.tier() != Tier::V5_8 {
        // The kernel takes a small request whole and at once; to wait for its word would cost a
        // wake for each request. What went wrong shows in the response, or in its absence.
        let mut ended = attempt.run().await;
        if let Ok(Finished::Response(ending)) = &mut ended {
            ending.sending = !sending.is_done();
        }
        let sent = match &ended {
            Err(Failed::NoByte) => client.timer.within(SEND_VERDICT, sending).await.ok(),
            _ => None,
        };
        return (ended, sent);
    }
    let mut sent = None;
    let ended = {
        let uploading = upload(client, request, &mut sending, &mut sent, body, server);
        both(uploading, attempt.run(), &progress, ring).await
    };
    (ended, sent)
}

/// Sends the head, and the body after it.
async fn upload(
    client: &Client,
    request: &Request,
    sending: &mut SendOp,
    sent: &mut Option<Sent>,
    body: &mut Body,
    server: &Stream,
) -> Result<(), Broken> {
    let timer = client.context.ring.timer();
    let timeouts = &request.route().timeouts;
    let head = timer.within(timeouts.body_idle, sending).await.map_err(|_| Broken::SinkTimeout)?;
    if sent.insert(head).result.is_err() {
        return Err(Broken::Sink);
    }
    let rate = request.route().limits.body_rate;
    let pace = rate.map(|rate| Cell::new(Pace::new(rate, timeouts.body_grace)));
    let flow = Flow {
        context: &client.context,
        from: &client.stream,
        to: server,
        timer: &timer,
        idle: timeouts.body_idle,
        watch: None,
        pace: pace.as_ref(),
    };
    flow.run(body).await
}

/// Runs both until the response has ended, or sending has failed for good. Where both peers were
/// told that their connections stay, the rest of the request is sent after an early response too:
/// what follows on the connection could not be told from it otherwise.
async fn both(
    uploading: impl Future<Output = Result<(), Broken>>,
    receiving: impl Future<Output = Result<Finished, Failed>>,
    progress: &Progress,
    ring: &Ring,
) -> Result<Finished, Failed> {
    let mut uploading = pin!(uploading);
    let mut receiving = pin!(receiving);
    let mut uploaded = false;
    let mut early = None;
    poll_fn(|context| {
        if !uploaded && let Poll::Ready(result) = uploading.as_mut().poll(context) {
            uploaded = true;
            match result {
                Ok(()) => progress.complete.set(true),
                // The server reads no more: it has answered, or it is gone. Its side will tell.
                Err(Broken::Sink) => {}
                // The answer is out; the client's connection ends, that is all.
                Err(_) if early.is_some() => {}
                Err(broken) => return Poll::Ready(Err(failed_upload(broken, progress))),
            }
            progress.sent_at.set(Some(ring.now()));
        }
        if early.is_none() {
            match receiving.as_mut().poll(context) {
                Poll::Ready(Ok(Finished::Response(verdict)))
                    if !uploaded && verdict.both_expect_more() =>
                {
                    early = Some(verdict);
                }
                poll => return poll,
            }
        }
        if !uploaded {
            return Poll::Pending;
        }
        let mut verdict = early.take().expect("polled only until ready");
        if progress.complete.get() {
            verdict.exchange.request_body_ended();
        }
        Poll::Ready(Ok(Finished::Response(verdict)))
    })
    .await
}

fn failed_upload(broken: Broken, progress: &Progress) -> Failed {
    let answer = match broken {
        Broken::CutShort | Broken::ClientGone | Broken::Sink => return Failed::ClientGone,
        Broken::SinkTimeout if progress.begun.get() => return Failed::CutShort,
        // The client's fault, and too late for another answer.
        _ if progress.begun.get() => return Failed::ClientGone,
        Broken::Source(error) => error.into(),
        Broken::SourceTimeout => Failure::BodyTimeout,
        Broken::SourceSlow => Failure::BodySlow,
        Broken::SinkTimeout => Failure::ResponseTimeout,
    };
    Failed::Answer(answer)
}
