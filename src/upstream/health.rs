//! Whether a server takes requests.
//!
//! Two things decide, and both must agree: the state that an operator set (`up`, `drain`, `down`),
//! and what requests tell (see [`super::passive`]). Where no server of an upstream takes requests,
//! all are tried whose state is `up`.

use std::time::Duration;

use super::passive::Passive;
use crate::plan::ServerState;

/// One server's health, as one shard knows it.
pub struct Health {
    /// What an operator wants.
    pub state: ServerState,
    /// What requests tell.
    pub passive: Passive,
}

impl Health {
    /// Whether requests go to it as usual.
    pub fn is_fit(&self) -> bool {
        self.state == ServerState::Up && !self.passive.is_ejected()
    }

    /// Whether a request may go to it now, if only as a trial.
    pub fn may_try(&self, now: Duration) -> bool {
        self.state == ServerState::Up && self.passive.may_try(now)
    }

    /// Whether a request of a session that lives there may go to it now: draining it ends no
    /// sessions.
    pub fn may_stick(&self, now: Duration) -> bool {
        self.state != ServerState::Down && self.passive.may_try(now)
    }

    /// Whether a request may go to it when no server takes requests.
    pub fn is_last_resort(&self) -> bool {
        self.state == ServerState::Up
    }
}
