//! A request's way into the access log.

use super::access_log::{Entry, Written};
use super::client::Client;
use super::trail::Trail;
use crate::http1::RequestHead;
use crate::plan::Action;
use crate::telemetry::{End, Record};

/// What the log says of a client that left before it was answered, as nginx does.
const CLIENT_LEFT: u16 = 499;

impl Client {
    /// Keeps what the log wants of a request, whose head came as these bytes.
    pub(super) fn capture(&self, trail: &Trail, head: &RequestHead<'_, '_>, bytes: &[u8]) {
        let log = &self.context.access_log;
        trail.captured.set(log.capture(|capture, wanted| capture.take(wanted, head, bytes)));
    }

    /// Keeps the beginning of what is no head, or not all of one.
    pub(super) fn capture_broken(&self, trail: &Trail, bytes: &[u8]) {
        let log = &self.context.access_log;
        trail.captured.set(log.capture(|capture, _| capture.take_broken(bytes)));
    }

    /// Has a request logged, which is over, if it began when there was a log.
    pub(super) fn log(&self, trail: &Trail, record: &Record) {
        let Some(capture) = trail.captured.take() else { return };
        let (plan, log) = (&trail.service.plan, &self.context.access_log);
        let route = record.route.and_then(|index| plan.routes.get(index as usize));
        let logs = route.map_or(&[0][..], |route| &route.access_log);
        if logs.is_empty() {
            return log.give_back(capture);
        }
        let group = route.and_then(|route| match route.action {
            Action::Upstream(index) => plan.upstreams.get(index),
            Action::Respond { .. } | Action::Redirect(_) | Action::Files(_) => None,
        });
        let server = record.server.and_then(|at| {
            plan.upstreams.get(at.upstream as usize)?.servers.get(at.index as usize)
        });
        let phases = record.lasted();
        let status = if record.status == 0 { CLIENT_LEFT } else { record.status };
        let went_well = status < 400 && record.end == End::Answered;
        let entry = Entry {
            client: self.ip(),
            status,
            sent: record.to_client,
            received: record.from_client,
            attempts: record.attempts,
            phases,
            route: route.map(|route| route.name.as_str()),
            upstream: group.map(|upstream| upstream.name.as_str()),
            server,
            id: self.request_number(),
            trace: self.trace(),
        };
        let logs = (logs, plan.access_log.as_ref());
        let written = log.write((record.at, went_well), logs, capture, &entry);
        if written == Written::LeftOut {
            self.context.count(|counters| counters.log_lines_lost += 1);
        }
    }
}
