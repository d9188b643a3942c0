//! Where a shard records the requests of one plan.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::plan::{Action, Plan, RoutePlan};
use crate::telemetry::{Interval, Members, Record, Shape};

/// What was recorded, with the plan that says what its numbers mean.
pub struct Measured {
    /// The plan that the requests began with.
    pub plan: Arc<Plan>,
    /// What was recorded of them.
    pub interval: Box<Interval>,
    /// The plan is one before the present one.
    pub retired: bool,
}

/// Records the requests that began with one plan.
pub struct Meter {
    plan: Arc<Plan>,
    shape: Shape,
    interval: RefCell<Box<Interval>>,
}

impl Meter {
    /// With nothing recorded.
    pub fn new(plan: &Arc<Plan>) -> Rc<Meter> {
        let members = plan.upstreams.iter().enumerate().map(|(index, upstream)| Members {
            servers: upstream.servers.len(),
            route: only_route(&plan.routes, index),
        });
        let shape = Shape::new(plan.routes.len(), members);
        let interval = RefCell::new(Box::new(Interval::new(&shape)));
        Rc::new(Meter { plan: plan.clone(), shape, interval })
    }

    /// Records a request.
    pub fn record(&self, record: &Record) {
        self.interval.borrow_mut().record(&self.shape, record);
    }

    /// Nothing was recorded since the last swap.
    pub fn is_empty(&self) -> bool {
        self.interval.borrow().is_empty()
    }

    /// Takes out what was recorded, and goes on with an emptied interval: `spare`, if that has the
    /// places that this plan needs.
    pub fn swap(&self, spare: Option<Box<Interval>>) -> Measured {
        let spare = spare.filter(|spare| spare.fits(&self.shape));
        let next = spare.unwrap_or_else(|| Box::new(Interval::new(&self.shape)));
        let interval = self.interval.replace(next);
        Measured { plan: self.plan.clone(), interval, retired: false }
    }
}

/// The route that leads to this upstream, if no other does.
fn only_route(routes: &[RoutePlan], upstream: usize) -> Option<usize> {
    let leads = |route: &RoutePlan| matches!(route.action, Action::Upstream(to) if to == upstream);
    let mut leading = routes.iter().enumerate().filter(|(_, route)| leads(route));
    let (first, _) = leading.next()?;
    leading.next().is_none().then_some(first)
}
