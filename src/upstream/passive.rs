//! Passive health: what ordinary requests tell about a server.
//!
//! A refused connection marks the server down at once; other failures do when there are three
//! within ten seconds. A server stays down for ten seconds, then one request may try it: success
//! brings it back, failure doubles the time, up to a minute. This is a plain state machine; time
//! is an argument, counted from any fixed moment.

use std::time::Duration;

/// Failures within [`WINDOW`] that mark a server down.
const FAILURES_MAX: usize = 3;

/// How long a failure counts.
const WINDOW: Duration = Duration::from_secs(10);

/// The first time down.
const DOWN_MIN: Duration = Duration::from_secs(10);

/// The longest time down.
const DOWN_MAX: Duration = Duration::from_secs(60);

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

/// One server's record.
#[derive(Clone, Debug, Default)]
pub struct Passive {
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// With the times of the last failures, oldest first.
    Up { failures: [Option<Duration>; FAILURES_MAX - 1] },
    Down {
        /// When a trial may begin.
        until: Duration,
        /// How long it was sent away for this time.
        penalty: Duration,
        /// When the trial in progress began.
        trial: Option<Duration>,
    },
}

impl Default for State {
    fn default() -> State {
        State::Up { failures: [None; FAILURES_MAX - 1] }
    }
}

impl Passive {
    /// A server of which nothing is known: up.
    pub fn new() -> Passive {
        Passive::default()
    }

    /// Whether a request may be sent: the server is up, or it is time for a trial and none is in
    /// progress. A caller that then sends one to a server that is down says so by
    /// [`Passive::begin_trial`].
    pub fn may_try(&self, now: Duration) -> bool {
        match &self.state {
            State::Up { .. } => true,
            State::Down { until, trial: None, .. } => now >= *until,
            State::Down { trial: Some(began), .. } => now >= *began + TRIAL_MAX,
        }
    }

    /// Whether the server is down, on trial or not.
    pub fn is_down(&self, _now: Duration) -> bool {
        matches!(self.state, State::Down { .. })
    }

    /// A request is sent to the server. Nothing changes while it is up. When all servers are down
    /// and all are tried, a trial may begin before its time.
    pub fn begin_trial(&mut self, now: Duration) {
        if let State::Down { trial, .. } = &mut self.state {
            *trial = Some(now);
        }
    }

    /// The trial ended without a verdict, for example because the client went away: the next
    /// request may be one.
    pub fn abandon_trial(&mut self) {
        if let State::Down { trial, .. } = &mut self.state {
            *trial = None;
        }
    }

    /// A request succeeded.
    ///
    /// While the server is down this counts only during a trial: a server that shuts down refuses
    /// new connections but still answers the requests it has.
    pub fn succeeded(&mut self, _now: Duration) {
        if let State::Down { trial: Some(_), .. } = self.state {
            self.state = State::default();
        }
    }

    /// A request failed.
    ///
    /// While the server is down, only a trial's failure counts: the other requests that it fails
    /// when it goes down were sent before and are the same event.
    pub fn failed(&mut self, now: Duration, kind: FailureKind) {
        match &mut self.state {
            State::Up { failures } => {
                let oldest = failures[0];
                failures.rotate_left(1);
                failures[FAILURES_MAX - 2] = Some(now);
                let third = oldest.is_some_and(|oldest| now.saturating_sub(oldest) <= WINDOW);
                if third || kind == FailureKind::Refused {
                    let until = now + DOWN_MIN;
                    self.state = State::Down { until, penalty: DOWN_MIN, trial: None };
                }
            }
            State::Down { until, penalty, trial } => {
                if trial.take().is_some() {
                    *penalty = (*penalty * 2).min(DOWN_MAX);
                    *until = now + *penalty;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn refused(now: u64) -> Passive {
        let mut passive = Passive::new();
        passive.failed(at(now), FailureKind::Refused);
        passive
    }

    #[test]
    fn refused_is_down_at_once_for_ten_seconds() {
        let passive = refused(500);
        assert!(passive.is_down(at(500)));
        assert!(!passive.may_try(at(10_499)));
        assert!(passive.may_try(at(10_500)));
        assert!(passive.is_down(at(10_500)), "down until a trial succeeds");
    }

    #[test]
    fn three_failures_in_ten_seconds() {
        let mut passive = Passive::new();
        passive.failed(at(0), FailureKind::Other);
        passive.failed(at(9_000), FailureKind::Other);
        assert!(!passive.is_down(at(9_000)));
        // The first has left the window; the second and third have not.
        passive.failed(at(10_001), FailureKind::Other);
        assert!(!passive.is_down(at(10_001)));
        passive.failed(at(19_000), FailureKind::Other);
        assert!(passive.is_down(at(19_000)));
    }

    #[test]
    fn successes_between_do_not_excuse_failures() {
        let mut passive = Passive::new();
        for ms in [0, 1_000, 2_000] {
            passive.succeeded(at(ms));
            passive.failed(at(ms), FailureKind::Other);
        }
        assert!(passive.is_down(at(2_000)));
    }

    #[test]
    fn one_trial_at_a_time() {
        let mut passive = refused(0);
        passive.begin_trial(at(10_000));
        assert!(!passive.may_try(at(10_001)));
        passive.abandon_trial();
        assert!(passive.may_try(at(10_002)));
        passive.begin_trial(at(10_002));
        passive.succeeded(at(10_010));
        assert!(!passive.is_down(at(10_010)));
        assert!(passive.may_try(at(10_010)));
    }

    #[test]
    fn failed_trials_double_the_time_up_to_a_minute() {
        let mut passive = refused(0);
        let mut now = 0;
        for penalty in [10_000, 20_000, 40_000, 60_000, 60_000] {
            assert!(!passive.may_try(at(now + penalty - 1)), "{penalty}");
            now += penalty;
            assert!(passive.may_try(at(now)));
            passive.begin_trial(at(now));
            passive.failed(at(now), FailureKind::Other);
        }
        now += 60_000;
        passive.begin_trial(at(now));
        passive.succeeded(at(now));
        passive.failed(at(now), FailureKind::Refused);
        assert!(passive.may_try(at(now + 10_000)), "a trial that succeeds starts afresh");
    }

    #[test]
    fn requests_in_flight_do_not_count_while_down() {
        let mut passive = refused(0);
        for _ in 0..10 {
            passive.failed(at(5_000), FailureKind::Refused);
        }
        assert!(passive.may_try(at(10_000)), "they neither extend nor double the time");
        passive.succeeded(at(5_000));
        assert!(passive.is_down(at(5_000)), "nor does a late success end it");
    }

    #[test]
    fn a_trial_before_its_time_counts() {
        let mut passive = refused(0);
        passive.begin_trial(at(1_000));
        passive.succeeded(at(1_001));
        assert!(!passive.is_down(at(1_001)));
    }

    #[test]
    fn a_lost_trial_does_not_keep_the_server_down() {
        let mut passive = refused(0);
        passive.begin_trial(at(10_000));
        assert!(!passive.may_try(at(69_999)));
        assert!(passive.may_try(at(70_000)));
    }

    proptest! {
        /// Whatever happens, a server that is down may be tried again within two minutes.
        #[test]
        fn never_down_for_ever(steps in prop::collection::vec((0u8..5, 0u64..30_000), 0..50)) {
            let mut passive = Passive::new();
            let mut now = 0;
            for (step, ms) in steps {
                now += ms;
                match step {
                    0 => passive.failed(at(now), FailureKind::Other),
                    1 => passive.failed(at(now), FailureKind::Refused),
                    2 => passive.succeeded(at(now)),
                    3 if passive.may_try(at(now)) => passive.begin_trial(at(now)),
                    _ => passive.abandon_trial(),
                }
                prop_assert!(passive.is_down(at(now)) || passive.may_try(at(now)));
            }
            prop_assert!(passive.may_try(at(now + 60_000)));
        }
    }
}
