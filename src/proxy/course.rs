//! The course of one request: the servers it is tried on, one after the other.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::client::{Client, Gone};
use super::reply::{self, Failure};
use super::request::Request;
use super::response::Failed;
use super::retry::Cause;
use super::trail::Trail;
use crate::plan::RetryOn;
use crate::ring::Tick;
use crate::telemetry::ServerAt;
use crate::upstream::{ConnectError, Connected, Counted, Denied, Exceeded, Group, Lease, Tried};

/// What was given up for want of descriptors is closed by the ring, at the end of a turn.
const RELIEF: Duration = Duration::from_millis(5);

/// A request's place at a server, and a connection to it.
pub struct Reached {
    pub lease: Lease,
    pub connected: Connected,
}

/// What all tries of one request share.
pub struct Course<'a> {
    client: &'a Client,
    request: &'a Request,
    group: &'a Rc<Group>,
    trail: &'a Trail,
    tried: Tried,
    /// Which of them is under way, and whether the log has its end.
    attempt: usize,
    noted: bool,
    /// No try begins later.
    deadline: Tick,
    /// From the first retry that lasts until there is a response.
    retrying: RefCell<Option<Counted>>,
}

impl<'a> Course<'a> {
    /// Of a request that is tried from now on.
    pub fn new(
        client: &'a Client,
        request: &'a Request,
        group: &'a Rc<Group>,
        trail: &'a Trail,
    ) -> Course<'a> {
        let deadline = match request.route().retry.timeout {
            Some(limit) => client.timer.after(limit),
            None => Tick::MAX,
        };
        Course {
            client,
            request,
            group,
            trail,
            tried: Tried::default(),
            attempt: 0,
            noted: false,
            deadline,
            retrying: RefCell::default(),
        }
    }

    /// What is followed by another try, while there may be one.
    pub fn listed(&self) -> Option<&'a RetryOn> {
        let request = self.request;
        let listed = request.route().retry.listed(request.facts.idempotent);
        listed.filter(|_| self.may_go_on())
    }

    /// There is a response: the request is no retry any more, however long its body may be.
    pub fn answered(&self) {
        self.retrying.take();
    }

    fn is_retrying(&self) -> bool {
        self.retrying.borrow().is_some()
    }

    fn count_retry(&self) -> Result<(), Exceeded> {
        if !self.is_retrying() {
            *self.retrying.borrow_mut() = Some(self.group.allowance.retry()?);
        }
        Ok(())
    }

    fn may_go_on(&self) -> bool {
        let tries = self.request.route().retry.tries as usize;
        self.tried.count() < tries && self.client.context.ring.now() < self.deadline
    }

    /// A server with room, and a connection to it. A failure to connect has sent nothing, so the
    /// next server is tried whatever the method, each of them once.
    pub async fn reach(&mut self) -> Result<Reached, Failed> {
        let (client, ring) = (self.client, &self.client.context.ring);
        let mut last_error = None;
        let mut retrying = None;
        loop {
            let wish = self.request.wish;
            let acquired = self.group.acquire(ring, &client.timer, wish, &mut self.tried);
            let lease = match client.watched(acquired).await.map_err(|Gone| Failed::ClientGone)? {
                Ok(lease) => lease,
                Err(Denied::Exceeded(exceeded)) => return Err(exceeded.into()),
                Err(Denied::Busy(busy)) => {
                    return Err(Failed::Answer(match last_error {
                        Some(error) => no_connection(&error),
                        None => Failure::Busy(busy),
                    }));
                }
            };
            if let Some(connected) = self.reuse(&lease) {
                return Ok(self.reached(lease, connected));
            }
            match self.dial(&lease).await? {
                Ok(connected) => return Ok(self.reached(lease, connected)),
                Err(error) if self.has_tried_all() || !self.may_go_on() => {
                    return Err(Failed::Answer(no_connection(&error)));
                }
                Err(error) => {
                    if !self.is_retrying() && retrying.is_none() {
                        retrying = Some(self.group.allowance.retry().map_err(Failed::from)?);
                    }
                    client.context.count(|counters| counters.connect_retries += 1);
                    last_error = Some(error);
                }
            }
        }
    }

    fn has_tried_all(&self) -> bool {
        self.tried.count() >= self.group.servers().len()
    }

    /// The same server on a fresh connection, after one from the pool proved stale; if it is gone
    /// altogether, another.
    pub async fn reach_again(&mut self, lease: Lease) -> Result<Reached, Failed> {
        self.note(&lease, &"the connection was stale: trying again on a new one");
        self.count_retry().map_err(Failed::from)?;
        let context = &self.client.context;
        context.count(|counters| counters.stale_retries += 1);
        match self.dial(&lease).await? {
            Ok(connected) => Ok(self.reached(lease, connected)),
            Err(error) if self.has_tried_all() || !self.may_go_on() => {
                Err(Failed::Answer(no_connection(&error)))
            }
            Err(_) => {
                context.count(|counters| counters.connect_retries += 1);
                drop(lease);
                self.reach().await
            }
        }
    }

    /// Whether there is a server that was not tried, and may be.
    pub fn may_reach_next(&self) -> bool {
        !self.has_tried_all() && self.may_go_on()
    }

    /// Another server, after a connection that ended without an answer.
    pub async fn reach_next(&mut self, lease: Lease) -> Result<Reached, Failed> {
        let cause = Cause::Closed;
        self.note(&lease, &format_args!("{cause}: trying another"));
        self.count_retry().map_err(Failed::from)?;
        self.client.context.count(|counters| cause.count(counters));
        // A request has one place at a time.
        drop(lease);
        self.reach().await.map_err(|failed| match failed {
            // There is none after all: what happened is still true.
            Failed::Answer(Failure::Busy(_)) => Failed::NoByte,
            other => other,
        })
    }

    /// Another server, and a connection to it, after one that gave `cause`; `None` if there is
    /// none to be had at once, or if too much is tried again already. What there is of an answer
    /// is not let go before.
    ///
    /// # Errors
    /// [`Gone`]: the client has.
    pub async fn reach_another(
        &mut self,
        from: &Lease,
        cause: Cause,
    ) -> Result<Option<Reached>, Gone> {
        let context = &self.client.context;
        let (counted, attempt) = (self.is_retrying(), self.attempt);
        let found = match self.another().await {
            Ok(found) => found,
            Err(Stopped::Gone) => return Err(Gone),
            Err(Stopped::Exceeded(exceeded)) => {
                context.count(|counters| reply::count_exceeded(exceeded, counters));
                None
            }
        };
        let found = found.map(|Reached { lease, connected }| self.reached(lease, connected));
        match &found {
            Some(reached) => {
                context.count(|counters| cause.count(counters));
                let what = format_args!("{cause}: trying again");
                self.note_attempt(attempt, from, Some(&reached.lease), &what);
            }
            None => {
                if !counted {
                    self.answered();
                }
                let what = format_args!("{cause}: there is no other try");
                self.note_attempt(attempt, from, None, &what);
                // A listed answer that goes to the client after all may still break off.
                self.noted = !matches!(cause, Cause::Status(_));
            }
        }
        Ok(found)
    }

    async fn another(&mut self) -> Result<Option<Reached>, Stopped> {
        while self.may_go_on() {
            self.count_retry()?;
            let (wish, now) = (self.request.wish, self.client.context.ring.now());
            let Some(lease) = self.group.acquire_another(wish, &mut self.tried, now) else {
                break;
            };
            if let Some(connected) = self.reuse(&lease) {
                return Ok(Some(Reached { lease, connected }));
            }
            if let Ok(connected) = self.dial(&lease).await? {
                return Ok(Some(Reached { lease, connected }));
            }
            self.client.context.count(|counters| counters.connect_retries += 1);
        }
        Ok(None)
    }

    /// Another attempt is under way.
    fn reached(&mut self, lease: Lease, connected: Connected) -> Reached {
        self.attempt = self.tried.count();
        self.noted = false;
        Reached { lease, connected }
    }

    /// Names the attempt under way in the log, which did not bring the answer.
    fn note(&self, lease: &Lease, what: &dyn fmt::Display) {
        self.note_attempt(self.attempt, lease, None, what);
    }

    fn note_attempt(
        &self,
        attempt: usize,
        lease: &Lease,
        next: Option<&Lease>,
        what: &dyn fmt::Display,
    ) {
        let context = &self.client.context;
        // What is not wanted takes no place of what is.
        let wanted = tracing::enabled!(tracing::Level::INFO);
        if !wanted || !context.attempts.admits(context.ring.now()) {
            return;
        }
        tracing::info!(
            id = self.client.request_id(),
            trace = self.client.trace_id(),
            attempt,
            server = lease.server().name,
            next = next.map(|next| &*next.server().name),
            "{what}"
        );
    }

    /// The last attempt has failed, and the request with it.
    pub fn failed(&self, lease: &Lease, failed: &Failed) {
        match failed {
            _ if self.noted => {}
            Failed::Answer(failure) if failure.is_of_server() => {
                self.note(lease, &failure.reason());
            }
            Failed::NoByte => self.note(lease, &Cause::Closed),
            Failed::CutShort => self.note(lease, &"the server broke off its response"),
            Failed::Answer(_) | Failed::ClientGone => {}
        }
    }

    fn note_try(&self, lease: &Lease) {
        let upstream = self.request.group as u32;
        let (index, id) = (lease.index() as u32, lease.server().id().0);
        self.trail.note(|record| {
            record.attempts = record.attempts.saturating_add(1);
            record.server = Some(ServerAt { upstream, index, id });
        });
    }

    fn reuse(&self, lease: &Lease) -> Option<Connected> {
        let context = &self.client.context;
        let now = context.ring.now();
        self.trail.note(|record| {
            record.phases.leased = now;
            // What an earlier try came to is not this one's.
            (record.phases.connected, record.phases.first_byte) = (0, 0);
        });
        let once = !self.request.facts.idempotent;
        let connected = lease.reuse(&context.ring, self.request.announcement(), once)?;
        context.count(|counters| counters.reused += 1);
        self.note_try(lease);
        self.trail.note(|record| record.phases.connected = now);
        Some(connected)
    }

    async fn dial(&self, lease: &Lease) -> Result<Result<Connected, ConnectError>, Stopped> {
        let (client, ring) = (self.client, &self.client.context.ring);
        let _waits = self.group.allowance.wait()?;
        let limit = self.request.route().timeouts.connect;
        self.note_try(lease);
        let mut again = true;
        let result = loop {
            let dialled = client.watched(lease.dial(ring, &client.timer, limit)).await;
            let result = dialled.map_err(|Gone| Stopped::Gone)?;
            let short = matches!(&result, Err(error) if error.is_shortage());
            if !short || !std::mem::take(&mut again) || !client.context.relieve() {
                break result;
            }
            client.timer.sleep(RELIEF).await;
        };
        match &result {
            Ok(_) => {
                client.context.count(|counters| counters.dialled += 1);
                self.trail.note(|record| record.phases.connected = ring.now());
            }
            Err(error) => {
                let what = format_args!("cannot connect: {error}");
                self.note_attempt(self.tried.count(), lease, None, &what);
                if let Some(verdict) = error.verdict() {
                    lease.learn(verdict, ring.now());
                }
            }
        }
        Ok(result)
    }
}

/// Why the search for a connection ended early.
enum Stopped {
    /// The client has gone.
    Gone,
    /// By a limit of the upstream.
    Exceeded(Exceeded),
}

impl From<Exceeded> for Stopped {
    fn from(exceeded: Exceeded) -> Stopped {
        Stopped::Exceeded(exceeded)
    }
}

impl From<Stopped> for Failed {
    fn from(stopped: Stopped) -> Failed {
        match stopped {
            Stopped::Gone => Failed::ClientGone,
            Stopped::Exceeded(exceeded) => exceeded.into(),
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
