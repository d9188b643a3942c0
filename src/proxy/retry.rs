//! Whether a failed attempt may be made again.
//!
//! A failure to connect has sent nothing: any method goes to the next server
//! (`exchange::connect`). This is the other case, a connection that ended before any byte of a
//! response. On one from the pool it is the usual end of a server's patience at the moment we used
//! it (RFC 9112 §9.3.1), and the server is asked again. On a new one the server has died, or dies
//! of this request: another server is asked, and `tries` bounds the harm. Either way only what may
//! be sent twice is (RFC 9110 §9.2.2).

/// An attempt that ended before any byte of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The upstream's `retry.stale`.
    pub stale: bool,
    /// The upstream's `retry.unanswered`.
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
}
