//! Which requests are tried again, and after what.

use std::time::Duration;

/// When a request is tried again: `retry` of a route, else of its upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPlan {
    /// Most tries of one request, the first included; 1 to [`RetryPlan::TRIES_MAX`].
    pub tries: u32,
    /// Whether a request that found its connection from the pool closed is sent once more, where
    /// it may be sent twice.
    pub stale: bool,
    /// Whether a request whose connection ended without a byte of a response is sent to another
    /// server, where it may be sent twice and nothing of it is lost.
    pub unanswered: bool,
    /// What else is followed by another try; nothing unless asked for.
    pub on: RetryOn,
    /// No try begins later than this after the first; `None`: no limit.
    pub timeout: Option<Duration>,
    /// A body of at most so many bytes is held until it is whole, so that it can be sent again.
    pub buffer: u64,
    /// Whether [`RetryPlan::on`] is for methods too that are not idempotent (RFC 9110 §9.2.2).
    pub non_idempotent: bool,
}

impl RetryPlan {
    /// More servers than anybody waits for.
    pub const TRIES_MAX: u32 = 8;

    /// What a request is tried again on, besides a failure to connect and a stale connection.
    pub fn listed(&self, idempotent: bool) -> Option<&RetryOn> {
        let may_be_sent_twice = idempotent || self.non_idempotent;
        (may_be_sent_twice && self.tries > 1 && !self.on.is_empty()).then_some(&self.on)
    }
}

impl Default for RetryPlan {
    fn default() -> Self {
        RetryPlan {
            tries: 3,
            stale: true,
            unanswered: true,
            on: RetryOn::default(),
            timeout: None,
            buffer: 64 << 10,
            non_idempotent: false,
        }
    }
}

/// What a server may do that is followed by another try.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryOn {
    /// Its answer has one of these statuses; 400 to 599.
    pub statuses: Vec<u16>,
    /// It does not answer in time.
    pub timeout: bool,
    /// It closes or resets the connection before any byte of an answer.
    pub closed: bool,
}

impl RetryOn {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.statuses.is_empty() && !self.timeout && !self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_listed_unless_asked_for() {
        let on = RetryOn { timeout: true, ..RetryOn::default() };
        let asked = RetryPlan { on: on.clone(), ..RetryPlan::default() };
        let any_method = RetryPlan { non_idempotent: true, ..asked.clone() };
        for (plan, idempotent, expected) in [
            (RetryPlan::default(), true, None),
            (asked.clone(), true, Some(&on)),
            (asked.clone(), false, None),
            (any_method, false, Some(&on)),
            (RetryPlan { tries: 1, ..asked }, true, None),
        ] {
            assert_eq!(plan.listed(idempotent), expected, "{plan:?} {idempotent}");
        }
    }
}
