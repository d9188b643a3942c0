//! Requests that want the server they had before (see [`crate::plan::StickyPlan`]).
//!
//! A server that an operator drains takes no other requests, but still those: sessions may live in
//! its memory. A backup takes them too, once it was chosen. A server that is ejected, full, set
//! down or gone does not; the balancer chooses another then, and the session moves there.

use std::rc::Rc;

use super::{Group, Lease, Tried};
use crate::ring::Tick;

/// What a request brings to the choice of its server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// What a hashing policy goes by.
    pub key: u64,
    /// The server that its sticky cookie names, by its place in the plan.
    pub server: Option<usize>,
}

impl Group {
    /// The server that the request wishes for, if it may have it now. While others wait in the
    /// queue for a server, only one that they cannot have.
    pub(super) fn stick(
        self: &Rc<Self>,
        wish: Wish,
        tried: &mut Tried,
        now: Tick,
        others_wait: bool,
    ) -> Option<Lease> {
        let index = wish.server?;
        let server = self.servers.get(index)?;
        let available = !server.is_full() && server.may_stick(now);
        if !available || tried.contains(index) || (others_wait && server.may_try(now)) {
            return None;
        }
        Some(self.lease(index, tried, now))
    }
}
