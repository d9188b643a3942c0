//! Whether a failed attempt may be made again.
//!
//! A failure to connect has sent nothing: any method goes to the next server
//! (`exchange::connect`). This is the other case, a connection from the pool that the server had
//! given up at the moment we used it (RFC 9112 §9.3.1, RFC 9110 §9.2.2).

/// An attempt that ended before any byte of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The upstream's `retry.stale`.
    pub allowed: bool,
    /// The connection came from the pool.
    pub reused: bool,
    /// It was a retry itself.
    pub retried: bool,
    /// The request's method is idempotent.
    pub idempotent: bool,
    /// The whole request is still at hand.
    pub replayable: bool,
    /// Bytes of it that the kernel accepted.
    pub accepted: usize,
}

/// Whether to send the request once more, on a fresh connection.
pub fn on_fresh_connection(attempt: Attempt) -> bool {
    let harmless = attempt.idempotent || attempt.accepted == 0;
    attempt.allowed && attempt.reused && !attempt.retried && attempt.replayable && harmless
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALE_GET: Attempt = Attempt {
        allowed: true,
        reused: true,
        retried: false,
        idempotent: true,
        replayable: true,
        accepted: 90,
    };

    #[test]
    fn each_condition_is_needed() {
        let post = Attempt { idempotent: false, ..STALE_GET };
        for (attempt, expected) in [
            (STALE_GET, true),
            (Attempt { allowed: false, ..STALE_GET }, false),
            (Attempt { reused: false, ..STALE_GET }, false),
            (Attempt { retried: true, ..STALE_GET }, false),
            (Attempt { replayable: false, ..STALE_GET }, false),
            (post, false),
            (Attempt { accepted: 0, ..post }, true),
            (Attempt { accepted: 0, replayable: false, ..post }, false),
        ] {
            assert_eq!(on_fresh_connection(attempt), expected, "{attempt:?}");
        }
    }
}
