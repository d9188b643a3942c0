//! Whether a server takes requests.
//!
//! Three things decide, and all must agree: the state that an operator set (`up`, `drain`,
//! `down`), the active checks, and what requests tell (see [`super::passive`]). Where no server of
//! an upstream takes requests, all are tried whose state is `up`.
//!
//! The rule by which checks and requests combine:
//!
//! - A server whose checks fail gets no trial, however long ago it was ejected. When they succeed
//!   again, `rise` times in a row, it is back, and not ejected either: that was the same outage.
//! - A server that is ejected while its checks succeed stays so, for they may ask for less than
//!   requests do. But `rise` successes in a row, all after the last failed request, end its
//!   waiting, once for each ejection: its trial is due at once. If that fails, it waits for the
//!   whole of its doubled time.
//!
//! The control thread applies this rule, so that it holds in all shards at once.

use std::time::Duration;

use super::passive::Passive;
use crate::plan::ServerState;

/// One server's health, as one shard knows it.
pub struct Health {
    /// What an operator wants.
    pub state: ServerState,
    /// Active checks say nothing against it.
    pub checks_pass: bool,
    /// What requests tell.
    pub passive: Passive,
}

impl Health {
    /// Whether requests go to it as usual.
    pub fn is_fit(&self) -> bool {
        self.is_wanted() && !self.passive.is_ejected()
    }

    /// Whether a request may go to it now, if only as a trial.
    pub fn may_try(&self, now: Duration) -> bool {
        self.is_wanted() && self.passive.may_try(now)
    }

    fn is_wanted(&self) -> bool {
        self.state == ServerState::Up && self.checks_pass
    }

    /// Whether a request may go to it when no server takes requests.
    pub fn is_last_resort(&self) -> bool {
        self.state == ServerState::Up
    }
}

#[cfg(test)]
mod tests {
    use super::super::passive::Ejection;
    use super::*;

    #[test]
    fn all_three_must_agree() {
        let length = Duration::from_secs(10);
        let over = Ejection { left: Duration::ZERO, length, on_trial: false };
        let left = Ejection { left: length, ..over };
        for state in ServerState::ALL {
            for checks_pass in [true, false] {
                for ejection in [None, Some(over), Some(left)] {
                    let mut passive = Passive::new(Duration::ZERO);
                    passive.apply(ejection, Duration::ZERO);
                    let health = Health { state, checks_pass, passive };
                    let up = state == ServerState::Up;
                    let wanted = up && checks_pass;
                    assert_eq!(health.is_fit(), wanted && ejection.is_none());
                    assert_eq!(health.may_try(Duration::ZERO), wanted && ejection != Some(left));
                    assert_eq!(health.is_last_resort(), up);
                }
            }
        }
    }
}
