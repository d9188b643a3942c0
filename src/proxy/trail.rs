//! What is learnt of one request on its way, for the record of it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::Service;
use super::access_log::Capture;
use super::content::Visit;
use crate::http1::FieldEdits;
use crate::plan::{RoutePlan, ServerPlan};
use crate::ring::Tick;
use crate::telemetry::{End, Record};

/// The record of a request, in the making.
pub struct Trail {
    /// What the request began with.
    pub service: Rc<Service>,
    /// What the access log wants of its head.
    pub captured: Cell<Option<Box<Capture>>>,
    /// Bytes of the response's body that went to the client so far.
    pub to_client: Cell<u64>,
    /// Where the route does more than answer.
    pub visit: RefCell<Option<Box<Visit>>>,
    /// What the route changes in the answer to a failure with this status, where that is made of
    /// the request.
    pub failing: Cell<Option<Box<(u16, FieldEdits)>>>,
    record: RefCell<Record>,
}

impl Trail {
    /// Of a request whose first byte came at `now`.
    pub fn new(service: Rc<Service>, now: Tick) -> Trail {
        let mut record = Record::default();
        record.phases.started = now;
        let (captured, to_client) = (Cell::new(None), Cell::new(0));
        let (visit, record) = (RefCell::default(), RefCell::new(record));
        Trail { service, captured, to_client, visit, failing: Cell::default(), record }
    }

    /// Takes note of something.
    pub fn note(&self, change: impl FnOnce(&mut Record)) {
        change(&mut self.record.borrow_mut());
    }

    /// The server that the request was tried on last; `None`: it came to none.
    pub fn server(&self) -> Option<&ServerPlan> {
        let at = self.record.borrow().server?;
        self.service.plan.upstreams.get(at.upstream as usize)?.servers.get(at.index as usize)
    }

    /// The number of the last route that was found for the request.
    pub fn route_number(&self) -> Option<usize> {
        self.record.borrow().route.map(|route| route as usize)
    }

    /// That route.
    pub fn route(&self) -> Option<&RoutePlan> {
        self.service.plan.routes.get(self.route_number()?)
    }

    /// Takes note that the client has gone.
    pub fn client_left(&self) {
        self.note(|record| record.end = End::ClientLeft);
    }

    /// Takes note that the process ended first.
    pub fn cut_off(&self) {
        self.note(|record| {
            record.end = End::CutOff;
            if record.status == 0 {
                record.status = 503;
            }
        });
    }

    /// The request has ended: what is known of it.
    pub fn close(&self, now: Tick) -> Record {
        let mut record = self.record.take();
        record.at = now;
        record.to_client = self.to_client.get();
        record
    }
}
