//! Whether a failed attempt may be made again.
//!
//! A failure to connect has sent nothing: any method goes to the next server (`course::reach`).
//! Here are the other cases. A connection that ended before any byte of a response: on one from the
//! pool it is the usual end of a server's patience at the moment we used it (RFC 9112 §9.3.1), and
//! the server is asked again. On a new one the server has died, or dies of this request: another
//! server is asked, and `tries` bounds the harm. Either way only what may be sent twice is
//! (RFC 9110 §9.2.2). And what the configuration lists.

use std::fmt;

use super::reply::Failure;
use super::response::{Answer, Failed};
use crate::plan::RetryOn;
use crate::telemetry::Counters;

/// An attempt that ended before any byte of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The route's `retry.stale`.
    pub stale: bool,
    /// The route's `retry.unanswered`.
    pub unanswered: bool,
    /// The connection came from the pool.
    pub reused: bool,
    /// It was a retry itself.
    pub retried: bool,
    /// The request may be tried on more servers.
    pub servers_left: bool,
    /// The request's method is idempotent.
    pub idempotent: bool,
    /// The whole request is still at hand.
    pub replayable: bool,
    /// Bytes of it that the kernel accepted.
    pub accepted: usize,
}

/// Where to send a request again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// To the same server, on a fresh connection.
    SameServer,
    /// To a server that it was not sent to yet.
    NextServer,
}

/// Where to send the request once more, if anywhere.
pub fn again(attempt: Attempt) -> Option<Again> {
    let harmless = attempt.idempotent || attempt.accepted == 0;
    if !harmless || !attempt.replayable {
        return None;
    }
    if attempt.stale && attempt.reused && !attempt.retried {
        return Some(Again::SameServer);
    }
    (attempt.unanswered && attempt.servers_left).then_some(Again::NextServer)
}

/// Why a request goes to another server, though this one may have acted on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An answer with this status.
    Status(u16),
    /// No answer in time.
    Timeout,
    /// A close in place of an answer.
    Closed,
}

impl Cause {
    /// What of this end is `listed`.
    pub fn of(ended: &Result<Answer, Failed>, listed: &RetryOn) -> Option<Cause> {
        match ended {
            Ok(Answer::Unwanted(status)) => Some(Cause::Status(*status)),
            Err(Failed::Answer(Failure::ResponseTimeout)) if listed.timeout => Some(Cause::Timeout),
            Err(Failed::NoByte) if listed.closed => Some(Cause::Closed),
            Ok(Answer::Given(_)) | Err(_) => None,
        }
    }

    /// Counts a request that is tried again.
    pub fn count(self, counters: &mut Counters) {
        match self {
            Cause::Status(_) => counters.status_retries += 1,
            Cause::Timeout => counters.timeout_retries += 1,
            Cause::Closed => counters.closed_retries += 1,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Status(status) => write!(f, "the server answered {status}"),
            Cause::Timeout => f.write_str("the server did not answer in time"),
            Cause::Closed => f.write_str("the server closed the connection without an answer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALE_GET: Attempt = Attempt {
        stale: true,
        unanswered: false,
        reused: true,
        retried: false,
        servers_left: true,
        idempotent: true,
        replayable: true,
        accepted: 90,
    };

    #[test]
    fn each_condition_is_needed_for_the_same_server() {
        let post = Attempt { idempotent: false, ..STALE_GET };
        for (attempt, expected) in [
            (STALE_GET, true),
            (Attempt { stale: false, ..STALE_GET }, false),
            (Attempt { reused: false, ..STALE_GET }, false),
            (Attempt { retried: true, ..STALE_GET }, false),
            (Attempt { replayable: false, ..STALE_GET }, false),
            (Attempt { servers_left: false, ..STALE_GET }, true),
            (post, false),
            (Attempt { accepted: 0, ..post }, true),
            (Attempt { accepted: 0, replayable: false, ..post }, false),
        ] {
            let expected = expected.then_some(Again::SameServer);
            assert_eq!(again(attempt), expected, "{attempt:?}");
        }
    }

    #[test]
    fn each_condition_is_needed_for_the_next_server() {
        let get = Attempt { unanswered: true, reused: false, ..STALE_GET };
        let post = Attempt { idempotent: false, ..get };
        for (attempt, expected) in [
            (get, true),
            (Attempt { retried: true, ..get }, true),
            (Attempt { reused: true, retried: true, ..get }, true),
            (Attempt { reused: true, stale: false, ..get }, true),
            (Attempt { unanswered: false, ..get }, false),
            (Attempt { servers_left: false, ..get }, false),
            (Attempt { replayable: false, ..get }, false),
            (post, false),
            (Attempt { accepted: 0, ..post }, true),
        ] {
            let expected = expected.then_some(Again::NextServer);
            assert_eq!(again(attempt), expected, "{attempt:?}");
        }
    }

    #[test]
    fn only_what_is_listed_is_a_cause() {
        let timeout = || Err(Failed::Answer(Failure::ResponseTimeout));
        let closed = || Err(Failed::NoByte);
        let all = RetryOn { statuses: vec![503], timeout: true, closed: true };
        let none = RetryOn { statuses: vec![503], ..RetryOn::default() };
        for (ended, on_all, on_none) in [
            (Ok(Answer::Unwanted(503)), Some(Cause::Status(503)), Some(Cause::Status(503))),
            (timeout(), Some(Cause::Timeout), None),
            (closed(), Some(Cause::Closed), None),
            (Err(Failed::CutShort), None, None),
            (Err(Failed::ClientGone), None, None),
            (Err(Failed::Answer(Failure::BodyTimeout)), None, None),
            (Err(Failed::Answer(Failure::BadResponse("why"))), None, None),
        ] {
            assert_eq!(Cause::of(&ended, &all), on_all);
            assert_eq!(Cause::of(&ended, &none), on_none);
        }
    }
}
