//! The clock of what is no request.

use std::time::Instant;

/// This moment. Shards have the clock of their ring, which is read once a turn.
#[allow(clippy::disallowed_methods, reason = "what is no request is timed by itself")]
pub fn now() -> Instant {
    Instant::now()
}
