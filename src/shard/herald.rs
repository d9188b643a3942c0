//! Exchanges with the control thread what is known of servers.

use std::rc::Rc;

use super::message::{Notice, Notices};
use crate::plan::ServerId;
use crate::proxy::Context;
use crate::upstream::Standing;

/// One shard's end of the exchange.
pub struct Herald {
    /// The shard's number.
    pub number: usize,
    /// To the control thread.
    pub notices: Notices,
}

impl Herald {
    /// Tells what this shard finds out, one message at a time.
    pub async fn tell(self: Rc<Self>, context: Rc<Context>) {
        // All plans of a shard have the same.
        let news = context.service.borrow().news().clone();
        loop {
            let changed = news.next().await;
            let service = context.service.borrow().clone();
            let now = context.ring.now();
            let finding = |id| service.server(id).map(|(_, server)| server.finding(now));
            let found = changed.into_iter().filter_map(finding);
            self.send(Notice::Findings(found.collect()));
        }
    }

    /// Takes over what holds in the whole process, without waiting for a request to ask.
    pub fn apply(&self, context: &Context, standings: &[(ServerId, Standing)]) {
        let service = context.service.borrow().clone();
        for (id, standing) in standings {
            service.apply(*id, standing, context.ring.now());
            tracing::debug!(
                shard = self.number,
                server = id.0,
                state = %standing.state,
                checks_pass = standing.checks_pass,
                ejected = standing.ejection.is_some(),
                "told of a server"
            );
        }
        self.send(Notice::Applied);
    }

    /// There is room for all that may be under way; without a receiver the process is ending.
    fn send(&self, notice: Notice) {
        let _ = self.notices.try_send((self.number, notice));
    }
}
