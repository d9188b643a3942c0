//! Exchanges with the control thread what is known of servers.

use std::rc::Rc;

use super::message::{Notice, Notices};
use crate::proxy::Context;
use crate::upstream::{Place, Standing};

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
        let service = context.service.borrow().clone();
        loop {
            let changed = service.news.next().await;
            let now = context.ring.now();
            let found = changed.into_iter().filter_map(|(place, topic)| {
                let server = service.groups.get(place.upstream)?.servers().get(place.server)?;
                server.finding(topic, now)
            });
            self.send(Notice::Findings(found.collect()));
        }
    }

    /// Takes over what holds in the whole process, without waiting for a request to ask.
    pub fn apply(&self, context: &Context, standings: &[(Place, Standing)]) {
        let service = context.service.borrow().clone();
        for (place, standing) in standings {
            service.apply(*place, standing, context.ring.now());
            tracing::debug!(
                shard = self.number,
                upstream = place.upstream,
                server = place.server,
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
