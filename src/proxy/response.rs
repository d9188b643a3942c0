//! From a server's first byte to the end of its response.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::task::Poll;

use super::arrival::head_limits;
use super::body::{Body, BodyError};
use super::client::{Client, Departure};
use super::compress;
use super::content;
use super::forward::{Broken, Flow};
use super::reply::{Failure, Intercepted};
use super::request::Request;
use super::trail::Trail;
use crate::http1::{
    BodyOut, Exchange, FieldStorage, HeadScanner, ResponseRewrite, ResponseStep, parse_response,
    write_interim, write_response, write_switching,
};
use crate::plan::RetryOn;
use crate::ring::{Buf, Tick};
use crate::transport::Stream;
use crate::upstream::Exceeded;

/// One attempt to get a response out of a server.
pub struct Attempt<'a> {
    pub client: &'a Client,
    pub request: &'a Request,
    pub server: &'a Stream,
    /// For the final head.
    pub set_cookie: Option<&'a str>,
    pub trail: &'a Trail,
    pub progress: &'a Progress,
    /// Answers that are not for the client while the request may still be sent again.
    pub listed: Option<&'a RetryOn>,
    /// Called when the head of the final response is there.
    pub answered: &'a dyn Fn(),
}

/// What sending a request and receiving its response tell each other.
pub struct Progress {
    /// When the last byte of the request was handed to the kernel, or no more could be; `None`
    /// while its body is coming.
    pub sent_at: Cell<Option<Tick>>,
    /// The server has the whole request.
    pub complete: Cell<bool>,
    /// The final head went to the client: from then on there is no other answer.
    pub begun: Cell<bool>,
    /// An interim head came, and may have gone to the client.
    pub interim: Cell<bool>,
    /// The request was whole before it was sent.
    whole: bool,
    /// Its head has been sent, with what came with it.
    pub head_sent: Cell<bool>,
    /// More of its body has been taken from the client.
    pub body_begun: Cell<bool>,
}

impl Progress {
    /// `whole`: there is no more of the request than is being sent; `sent_at`: since then it need
    /// not be waited for.
    pub fn new(whole: bool, sent_at: Option<Tick>) -> Progress {
        Progress {
            sent_at: Cell::new(sent_at),
            complete: Cell::new(sent_at.is_some()),
            begun: Cell::new(false),
            interim: Cell::new(false),
            whole,
            head_sent: Cell::new(false),
            body_begun: Cell::new(false),
        }
    }

    /// Whether the request, from its head on, can be sent again without the client's noticing.
    pub fn may_repeat(&self) -> bool {
        !self.begun.get() && !self.interim.get() && (self.whole || !self.body_begun.get())
    }

    /// Whether besides that the answer to it can still be forwarded: the rest of the request must
    /// go behind its head, all of which the server has.
    fn may_choose(&self) -> bool {
        self.may_repeat() && (self.whole || self.head_sent.get())
    }
}

/// What a server answered.
pub enum Answer {
    /// A response that the client has got.
    Given(Finished),
    /// One with this status, which is listed: its head is put back, and nothing of it went to the
    /// client.
    Unwanted(u16),
}

/// How a response ended well.
pub enum Finished {
    /// Response complete.
    Response(Ending),
    /// The connections are a tunnel now.
    Tunnel,
    /// Nothing of it went to the client, who gets the page for this status.
    Intercepted(Ending, Box<Intercepted>),
}

/// A complete response, and what it means for the two connections.
pub struct Ending {
    pub exchange: Exchange,
    /// The server sent bytes after the response's end.
    surplus: bool,
    /// A send of the request is under way still.
    pub sending: bool,
}

impl Ending {
    /// The client's connection may carry another request.
    pub fn client_stays(&self) -> bool {
        self.exchange.client_may_continue()
    }

    /// The server's connection may carry another request. Any news on it now were not asked for.
    pub fn server_stays(&self, server: &Stream) -> bool {
        let silent = !self.surplus && !self.sending && !server.has_ahead() && !server.has_news();
        self.exchange.upstream_reusable() && silent
    }

    /// Whether both connections would stay if only the request's body were complete.
    pub fn both_expect_more(&self) -> bool {
        let mut complete = self.exchange.clone();
        complete.request_body_ended();
        complete.client_may_continue() && complete.upstream_reusable() && !self.surplus
    }
}

/// How it did not.
#[derive(Debug)]
pub enum Failed {
    /// The server closed or reset the connection before any byte of a response.
    NoByte,
    /// The client shall get this answer, if no other has begun.
    Answer(Failure),
    /// The client has gone.
    ClientGone,
    /// The response broke off after its head went out.
    CutShort,
}

impl From<Exceeded> for Failed {
    fn from(exceeded: Exceeded) -> Failed {
        Failed::Answer(Failure::Exceeded(exceeded))
    }
}

impl From<Broken> for Failed {
    /// Of a response.
    fn from(broken: Broken) -> Failed {
        match broken {
            Broken::Sink | Broken::SinkTimeout | Broken::ClientGone => Failed::ClientGone,
            Broken::CutShort | Broken::Source(_) | Broken::SourceTimeout | Broken::SourceSlow => {
                Failed::CutShort
            }
        }
    }
}

enum Judged {
    /// The buffer holds the head still.
    Unwanted(u16),
    /// The scratch buffer holds an interim head to forward, or is empty.
    Interim,
    Tunnel,
    /// The body, and whether the server sent bytes after its end.
    Final(Body, bool),
    /// It is for a page of the route's. Whether all of its body was here, and nothing behind it.
    Intercepted {
        answer: Box<Intercepted>,
        whole: bool,
    },
}

impl Attempt<'_> {
    /// Receives and forwards the response.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn run(&self) -> Result<Answer, Failed> {
        let last = self.client.is_last_request();
        let mut exchange = Exchange::new(self.request.facts, self.request.version, last);
        let mut ahead = None;
        loop {
            let received = self.receive_head(ahead.take()).await;
            let (mut buf, len) = received.map_err(|failed| match failed {
                // Something did come, and may have gone to the client.
                Failed::NoByte if self.progress.interim.get() => {
                    Failed::Answer(Failure::BadResponse(
                        "The server closed the connection after an interim response.",
                    ))
                }
                failed => failed,
            })?;
            let (judged, head) = self.judge(&mut exchange, &mut buf, len)?;
            match judged {
                Judged::Unwanted(status) => {
                    self.server.put_back(buf);
                    return Ok(Answer::Unwanted(status));
                }
                Judged::Intercepted { answer, whole } => {
                    (self.answered)();
                    if whole {
                        exchange.response_body_ended();
                    }
                    if self.progress.complete.get() {
                        exchange.request_body_ended();
                    }
                    let ending = Ending { exchange, surplus: !whole, sending: false };
                    return Ok(Answer::Given(Finished::Intercepted(ending, answer)));
                }
                Judged::Interim => {
                    self.progress.interim.set(true);
                    self.send_head(head).await?;
                    ahead = (!buf.is_empty()).then_some(buf);
                }
                Judged::Tunnel => {
                    self.progress.begun.set(true);
                    (self.answered)();
                    self.send_head(head).await?;
                    self.mark_end();
                    self.server.came_in_part().await;
                    if !buf.is_empty() {
                        self.server.put_back(buf);
                    }
                    return Ok(Answer::Given(Finished::Tunnel));
                }
                Judged::Final(mut body, surplus) => {
                    self.progress.begun.set(true);
                    (self.answered)();
                    self.forward(&mut body, buf, head).await?;
                    exchange.response_body_ended();
                    if self.progress.complete.get() {
                        exchange.request_body_ended();
                    }
                    self.mark_end();
                    let ending = Ending { exchange, surplus, sending: false };
                    return Ok(Answer::Given(Finished::Response(ending)));
                }
            }
        }
    }

    /// Collects bytes until a buffer starts with a whole head.
    async fn receive_head(&self, ahead: Option<Buf>) -> Result<(Buf, usize), Failed> {
        let limits = head_limits(&self.request.route().limits);
        let first = match ahead {
            Some(buf) => buf,
            None => match self.next_bytes().await? {
                Ok(Some(buf)) => buf,
                Ok(None) | Err(_) => return Err(Failed::NoByte),
            },
        };
        let mut buf = first;
        let mut scanner = HeadScanner::new();
        loop {
            match scanner.find_end(buf.bytes(), &limits) {
                Ok(Some(len)) => return Ok((buf, len)),
                Ok(None) => {}
                Err(refusal) => return Err(Failed::Answer(Failure::BadResponse(refusal.reason))),
            }
            let Ok(Some(mut more)) = self.next_bytes().await? else {
                let reason = "The server closed the connection in the middle of a head.";
                return Err(Failed::Answer(Failure::BadResponse(reason)));
            };
            // Behind other heads it may have little room left; within the limits it fits at last.
            buf.compact();
            let taken = buf.extend(more.bytes());
            more.advance(taken);
            if !more.is_empty() {
                self.server.put_back(more);
            }
        }
    }

    /// Waits for the server, and watches the client meanwhile. The response timeout runs from the
    /// end of the request; a client that closed its sending side is owed a head for a while only.
    async fn next_bytes(&self) -> Result<io::Result<Option<Buf>>, Failed> {
        let timeouts = &self.request.route().timeouts;
        let timer = &self.client.timer;
        let mut patience = None;
        let waited = poll_fn(|context| {
            if let Poll::Ready(received) = self.server.poll_recv(context) {
                return Poll::Ready(Ok(received));
            }
            let Some(sent_at) = self.progress.sent_at.get() else {
                return Poll::Pending; // the body is on its way, and its sender watches the client
            };
            if self.client.poll_departure(context) == Poll::Ready(Departure::Reset) {
                return Poll::Ready(Err(Failed::ClientGone));
            }
            let response = sent_at.saturating_add(timeouts.response.as_nanos() as Tick);
            let mut deadline = response;
            if self.client.finished.get() {
                let until = *patience.get_or_insert_with(|| timer.after(timeouts.half_closed));
                deadline = deadline.min(until);
            }
            timer.poll_at(deadline, context).map(|_| {
                if deadline < response {
                    return Err(Failed::ClientGone);
                }
                Err(Failed::Answer(Failure::ResponseTimeout))
            })
        })
        .await;
        timer.clear();
        waited
    }

    /// Reads the head in the first `len` bytes of `buf`, which is left with what follows it, framed
    /// for the client. Returns the head to send to the client where it did not fit before that.
    fn judge(
        &self,
        exchange: &mut Exchange,
        buf: &mut Buf,
        len: usize,
    ) -> Result<(Judged, Vec<u8>), Failed> {
        let bad = |reason| Failed::Answer(Failure::BadResponse(reason));
        let route = self.request.route();
        self.client.context.with_scratch(|out| {
            let mut storage = FieldStorage::new();
            let (to_head, limits) = (self.request.facts.is_head, head_limits(&route.limits));
            let head = parse_response(&buf.bytes()[..len], &mut storage, to_head, &limits)
                .map_err(|refusal| bad(refusal.reason))?;
            if self.listed.is_some_and(|on| on.statuses.contains(&head.facts.status))
                && self.progress.may_choose()
            {
                return Ok((Judged::Unwanted(head.facts.status), Vec::new()));
            }
            if self.client.is_last_request() {
                exchange.drain();
            }
            if self.progress.complete.get() {
                exchange.request_body_ended();
            }
            let step = exchange.response(&head.facts).map_err(|refusal| bad(refusal.reason))?;
            match step {
                ResponseStep::Interim { forward } => {
                    if forward {
                        write_interim(out, &head);
                    }
                    buf.advance(len);
                    Ok((Judged::Interim, out.clone()))
                }
                ResponseStep::Tunnel => {
                    self.mark_first_byte(head.facts.status);
                    if self.progress.sent_at.get().is_none() {
                        return Err(bad("The server switched protocols before the request's end."));
                    }
                    let edits = self.request.response_edits(self.client, &head);
                    write_switching(out, &head, &edits, self.set_cookie);
                    buf.advance(len);
                    Ok((Judged::Tunnel, out.clone()))
                }
                ResponseStep::Final { body_in, body_out, keep_alive } => {
                    let status = head.facts.status;
                    if self.request.intercepts(status) && !self.progress.interim.get() {
                        self.client.context.count(|counters| counters.responses += 1);
                        let answer = Box::new(Intercepted::new(&head));
                        buf.advance(len);
                        let mut body = Body::of_response(body_in, Vec::new(), BodyOut::None);
                        let whole = body.frame(buf).is_ok_and(|surplus| surplus.is_empty());
                        let judged = Judged::Intercepted { answer, whole: whole && body.ended() };
                        return Ok((judged, Vec::new()));
                    }
                    let head = match self.request.status_instead() {
                        Some(status) => head.with_status(status),
                        None => head,
                    };
                    self.mark_first_byte(head.status);
                    let edits = self.request.response_edits(self.client, &head);
                    let shape = content::shape(self.client, self.trail, &head, to_head, &edits);
                    let compressed = shape.as_ref().is_some_and(|shape| shape.compressed);
                    let how = ResponseRewrite {
                        client_version: self.request.version,
                        keep_alive: keep_alive && !self.client.finished.get(),
                        body: shape.as_ref().map_or(body_out, |shape| shape.announced(body_out)),
                        edits: shape.as_ref().map_or(&*edits, |shape| &shape.edits),
                        set_cookie: self.set_cookie,
                    };
                    write_response(out, &head, &how);
                    let hop_trailers = head.hop_trailers();
                    buf.advance(len);
                    // Compressed, it is framed behind that.
                    let framed = compressed && !to_head;
                    let body_out = if framed { BodyOut::AsDeclared } else { body_out };
                    let mut body = Body::of_response(body_in, hop_trailers, body_out);
                    let surplus = body.frame(buf).map_err(|error| match error {
                        BodyError::OutOfStep => Failed::Answer(Failure::BodyMiscounted),
                        _ => bad("A chunk is malformed."),
                    })?;
                    let head =
                        if !compressed && buf.prepend(out) { Vec::new() } else { out.clone() };
                    Ok((Judged::Final(body, !surplus.is_empty()), head))
                }
            }
        })
    }

    fn mark_first_byte(&self, status: u16) {
        let now = self.client.context.ring.now();
        self.trail.note(|record| {
            record.phases.first_byte = now;
            record.status = status;
        });
        self.client.context.count(|counters| counters.responses += 1);
    }

    fn mark_end(&self) {
        let now = self.client.context.ring.now();
        self.trail.note(|record| record.phases.ended = now);
    }

    /// Sends what is in `buf`, `head` before it, and the rest of the body.
    async fn forward(&self, body: &mut Body, buf: Buf, head: Vec<u8>) -> Result<(), Failed> {
        if body.ended() {
            self.server.came_whole();
        } else {
            self.server.came_in_part().await;
        }
        let watch = self.progress.sent_at.get().map(|_| self.client);
        let flow = Flow {
            context: &self.client.context,
            from: self.server,
            to: &self.client.stream,
            timer: &self.client.timer,
            idle: self.request.route().timeouts.body_idle,
            watch,
            pace: None,
            passed: Some(&self.trail.to_client),
        };
        if let Some(encoder) = content::encoder(self.client, self.trail) {
            // Without one, what was announced cannot be sent: memory is short.
            let encoder = encoder.map_err(|_| Failed::CutShort)?;
            let sent = &self.trail.to_client;
            let done = compress::forward(&flow, body, encoder, head, buf, sent);
            return Box::pin(done).await.map_err(Failed::from);
        }
        // Whatever ends the connection before the body has ended must not look like its end.
        let until_close = body.lasts_until_close();
        if until_close {
            self.client.stream.reset_on_close(true);
        }
        flow.send_first(head, buf, body.take_tail()).await?;
        self.trail.to_client.set(body.passed());
        if !body.ended() {
            // Boxed: most responses came whole, and need no room for this.
            Box::pin(flow.run(body)).await?;
        }
        if until_close {
            self.client.stream.reset_on_close(false);
        }
        Ok(())
    }

    async fn send_head(&self, head: Vec<u8>) -> Result<(), Failed> {
        let idle = self.request.route().timeouts.body_idle;
        self.client.send_bytes(head, idle).await.map_err(|_| Failed::ClientGone)
    }
}
