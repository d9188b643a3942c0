//! One try: the request goes out, and the response is awaited at the same time.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::body::Body;
use super::client::Client;
use super::forward::{Broken, Flow};
use super::reply::Failure;
use super::request::Request;
use super::response::{Answer, Attempt, Failed, Finished, Progress};
use super::trail::Trail;
use crate::plan::RetryOn;
use crate::ring::{Ring, SendOp, Sent, Tier, Timer};
use crate::transport::Stream;
use crate::upstream::Lease;

/// After a server has closed, how long to wait for what the kernel says of the send to it.
const SEND_VERDICT: Duration = Duration::from_secs(1);

/// A request up to this size is sent without waiting for the kernel's word. Only one whose body was
/// held is larger.
const SMALL: usize = 64 << 10;

/// A try of a request on one server.
pub struct Try<'a> {
    pub client: &'a Client,
    pub request: &'a Request,
    pub lease: &'a Lease,
    pub server: &'a Stream,
    pub trail: &'a Trail,
    /// What is not passed on to the client while the request may still be sent again.
    pub listed: Option<&'a RetryOn>,
    /// Called when the head of the final response is there.
    pub answered: &'a dyn Fn(),
}

/// What came of it.
pub struct Tried {
    pub ended: Result<Answer, Failed>,
    /// What became of the head, where that was waited for.
    pub sent: Option<Sent>,
    /// The send of the head was not seen to its end.
    pub cut: bool,
    /// The request as it was, with what is left of its body, is all that there is of it: nothing
    /// of it was taken from the client since, and nothing went to the client.
    pub repeatable: bool,
}

impl Try<'_> {
    /// Sends the request, its `head` first, and receives the response: both at once where the
    /// request has a body, since a server may answer before it has read all of it. Without a head,
    /// that has been sent on this connection already.
    pub async fn run(&self, head: Option<Vec<u8>>, body: &mut Body) -> Tried {
        let ring = &self.client.context.ring;
        let whole = body.ended();
        let small = whole && head.as_ref().is_none_or(|head| head.len() <= SMALL);
        // Both are queued now and reach the kernel together.
        self.server.arm();
        let mut sending = head.map(|head| self.server.socket.send_bytes(head));
        let progress = Progress::new(whole, small.then(|| ring.now()));
        let attempt = Attempt {
            client: self.client,
            request: self.request,
            server: self.server,
            set_cookie: self.request.set_cookie(self.lease.index()),
            trail: self.trail,
            progress: &progress,
            listed: self.listed,
            answered: self.answered,
        };
        if small && ring.tier() != Tier::V5_8 {
            // The kernel takes a small request whole and at once; to wait for its word would cost a
            // wake for each request. What went wrong shows in the response, or in its absence.
            let mut ended = attempt.run().await;
            let cut = sending.as_ref().is_some_and(|sending| !sending.is_done());
            if let Ok(Answer::Given(
                Finished::Response(ending) | Finished::Intercepted(ending, _),
            )) = &mut ended
            {
                ending.sending = cut;
            }
            let sent = match (&ended, sending) {
                (Err(Failed::NoByte), Some(sending)) => {
                    self.client.timer.within(SEND_VERDICT, sending).await.ok()
                }
                _ => None,
            };
            return Tried { ended, sent, cut, repeatable: progress.may_repeat() };
        }
        let (mut sent, has_head) = (None, sending.is_some());
        let ended = {
            // Boxed: most requests have no body, and need no room for this.
            let uploading = Box::pin(self.upload(&mut sending, &mut sent, body, &progress));
            both(uploading, Box::pin(attempt.run()), &progress, ring).await
        };
        let cut = has_head && sent.as_ref().is_none_or(|sent| sent.result.is_err());
        Tried { ended, sent, cut, repeatable: progress.may_repeat() }
    }

    /// Sends the head, and the body after it.
    async fn upload(
        &self,
        sending: &mut Option<SendOp>,
        sent: &mut Option<Sent>,
        body: &mut Body,
        progress: &Progress,
    ) -> Result<(), Broken> {
        let timer = self.client.context.ring.timer();
        let idle = self.request.route().timeouts.body_idle;
        if let Some(sending) = sending {
            let head = timer.within(idle, sending).await.map_err(|_| Broken::SinkTimeout)?;
            if sent.insert(head).result.is_err() {
                return Err(Broken::Sink);
            }
        }
        progress.head_sent.set(true);
        if self.listed.is_some() && !body.ended() {
            self.await_body(&timer, idle).await?;
            progress.body_begun.set(true);
        }
        let pace = self.request.pace().map(Cell::new);
        let flow = Flow {
            context: &self.client.context,
            from: &self.client.stream,
            to: self.server,
            timer: &timer,
            idle,
            watch: None,
            pace: pace.as_ref(),
            passed: None,
        };
        flow.run(body).await
    }

    /// Waits for the next bytes of the body, and leaves them where they are: until they come, the
    /// request is at hand as it was.
    async fn await_body(&self, timer: &Timer, idle: Duration) -> Result<(), Broken> {
        let stream = &self.client.stream;
        match timer.within(idle, stream.recv()).await {
            Ok(Ok(Some(buf))) => {
                stream.put_back(buf);
                Ok(())
            }
            Ok(_) => Err(Broken::CutShort),
            Err(_) => Err(Broken::SourceTimeout),
        }
    }
}

/// Runs both until the response has ended, or sending has failed for good. Where both peers were
/// told that their connections stay, the rest of the request is sent after an early response too:
/// what follows on the connection could not be told from it otherwise.
async fn both(
    mut uploading: Pin<Box<impl Future<Output = Result<(), Broken>>>>,
    mut receiving: Pin<Box<impl Future<Output = Result<Answer, Failed>>>>,
    progress: &Progress,
    ring: &Ring,
) -> Result<Answer, Failed> {
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
                Poll::Ready(Ok(Answer::Given(Finished::Response(verdict))))
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
        Poll::Ready(Ok(Answer::Given(Finished::Response(verdict))))
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
