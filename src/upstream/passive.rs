//! Passive health: what ordinary requests tell about a server.
//!
//! A refused connection ejects a server at once; other failures do when there are so many within
//! a window. An ejected server gets no requests for a while, then one may try it: success brings
//! it back, failure doubles the time. A server that is ejected again within as long a time as it
//! was away has not recovered, so the doubling goes on. This is a plain state machine; time is an
//! argument, counted from any fixed moment.

use std::collections::VecDeque;
use std::time::Duration;

use crate::plan::PassivePlan;

/// A trial that has neither succeeded nor failed after this long no longer stands in the way of
/// another, so that a lost verdict cannot keep a server down for ever.
const TRIAL_MAX: Duration = Duration::from_secs(60);

/// How a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The server's host refused the connection: nothing listens there.
    Refused,
    /// A timeout, a reset, or a response that breaks the protocol.
    Other,
}

/// What a request is to its server's record. Said when it begins, and again with its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// To a server that is not ejected.
    Ordinary,
    /// The one request that tries an ejected server when its time is over.
    Trial,
    /// To an ejected server before its time, or beside its trial, since all servers are down.
    Early,
}

/// An ejection, as shards tell each other of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// The time until a trial may begin.
    pub left: Duration,
    /// How long the server was sent away for this time.
    pub length: Duration,
    /// A trial is in progress.
    pub on_trial: bool,
}

/// One server's record.
#[derive(Clone, Debug)]
pub struct Passive {
    state: State,
    /// How much later than others this shard begins a trial: one goes first, the rest hear of it.
    stagger: Duration,
}

#[derive(Clone, Debug)]
enum State {
    In {
        /// The times of the last failures, oldest first.
        failures: VecDeque<Duration>,
        /// The last ejection: when it ended, and how long it was.
        last: Option<(Duration, Duration)>,
    },
    Ejected {
        /// When a trial may begin.
        until: Duration,
        length: Duration,
        trial: Option<Trial>,
    },
}

#[derive(Clone, Copy, Debug)]
struct Trial {
    began: Duration,
    /// It is a request of this shard.
    own: bool,
}

impl Passive {
    /// A server of which nothing is known.
    pub fn new(stagger: Duration) -> Passive {
        Passive { state: State::In { failures: VecDeque::new(), last: None }, stagger }
    }

    /// Whether a request may be sent: the server is not ejected, or it is time for a trial and
    /// none is in progress.
    pub fn may_try(&self, now: Duration) -> bool {
        match &self.state {
            State::In { .. } => true,
            State::Ejected { until, trial: None, .. } => now >= *until + self.stagger,
            State::Ejected { trial: Some(trial), .. } => now >= trial.began + TRIAL_MAX,
        }
    }

    /// Whether the server is ejected, on trial or not.
    pub fn is_ejected(&self) -> bool {
        matches!(self.state, State::Ejected { .. })
    }

    /// The ejection, as of now.
    pub fn ejection(&self, now: Duration) -> Option<Ejection> {
        match &self.state {
            State::In { .. } => None,
            State::Ejected { until, length, trial } => Some(Ejection {
                left: until.saturating_sub(now),
                length: *length,
                on_trial: trial.is_some(),
            }),
        }
    }

    /// A request is sent to the server.
    pub fn begin(&mut self, now: Duration) -> Attempt {
        let may_try = self.may_try(now);
        match &mut self.state {
            State::In { .. } => Attempt::Ordinary,
            State::Ejected { trial, .. } if may_try => {
                *trial = Some(Trial { began: now, own: true });
                Attempt::Trial
            }
            State::Ejected { .. } => Attempt::Early,
        }
    }

    /// The request ended without a verdict, for example because the client went away: if it was
    /// the trial, the next request may be one. Says whether it was.
    pub fn abandon(&mut self, attempt: Attempt) -> bool {
        match &mut self.state {
            State::Ejected { trial, .. }
                if attempt == Attempt::Trial && trial.is_some_and(|trial| trial.own) =>
            {
                *trial = None;
                true
            }
            _ => false,
        }
    }

    /// The request succeeded; says whether that ended an ejection.
    ///
    /// A request from before the ejection does not: a server that shuts down refuses new
    /// connections but still answers the requests it has.
    pub fn succeeded(&mut self, now: Duration, attempt: Attempt) -> bool {
        let counts = self.is_ejected() && attempt != Attempt::Ordinary;
        if counts {
            self.apply(None, now);
        }
        counts
    }

    /// The request failed; says whether that ejected the server, anew or again.
    ///
    /// While the server is ejected only the trial counts: requests from before are the same event,
    /// and early ones are sent only because there is no other server.
    pub fn failed(
        &mut self,
        now: Duration,
        kind: FailureKind,
        attempt: Attempt,
        plan: &PassivePlan,
    ) -> bool {
        match &mut self.state {
            State::In { failures, last } => {
                failures.push_back(now);
                while failures.len() > plan.failures as usize
                    || failures
                        .front()
                        .is_some_and(|first| now.saturating_sub(*first) > plan.window)
                {
                    failures.pop_front();
                }
                let refused = kind == FailureKind::Refused && plan.eject_refused;
                if !refused && failures.len() < plan.failures as usize {
                    return false;
                }
                let again = last.filter(|(ended, length)| now.saturating_sub(*ended) <= *length);
                let length = again.map_or(plan.ejection, |(_, length)| longer(length, plan));
                self.state = State::Ejected { until: now + length, length, trial: None };
                true
            }
            State::Ejected { until, length, trial } => {
                let counts = attempt == Attempt::Trial && trial.take_if(|t| t.own).is_some();
                if counts {
                    *length = longer(*length, plan);
                    *until = now + *length;
                }
                counts
            }
        }
    }

    /// Takes over what another shard found, or the control thread decided.
    pub fn apply(&mut self, ejection: Option<Ejection>, now: Duration) {
        match (&mut self.state, ejection) {
            (State::In { .. }, None) => {}
            (State::Ejected { length, .. }, None) => {
                let last = Some((now, *length));
                self.state = State::In { failures: VecDeque::new(), last };
            }
            (state, Some(Ejection { left, length, on_trial })) => {
                let known = match state {
                    State::Ejected { trial, .. } => *trial,
                    State::In { .. } => None,
                };
                let trial = known.unwrap_or(Trial { began: now, own: false });
                let trial = on_trial.then_some(trial);
                *state = State::Ejected { until: now + left, length, trial };
            }
        }
    }
}

/// The length of the ejection after one of `length`.
fn longer(length: Duration, plan: &PassivePlan) -> Duration {
    (length * 2).min(plan.max_ejection).max(plan.ejection)
}

#[cfg(test)]
mod tests;
