//! Where a shard records the requests of one plan.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::plan::{Action, Plan};
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
        let routes = only_routes(plan);
        let members = plan.upstreams.iter().zip(routes);
        let members =
            members.map(|(upstream, route)| Members { servers: upstream.servers.len(), route });
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

/// By upstream: the route that leads to it, if no other does.
fn only_routes(plan: &Plan) -> Vec<Option<usize>> {
    let mut leading = vec![(0, None); plan.upstreams.len()];
    for (index, route) in plan.routes.iter().enumerate() {
        if let Action::Upstream(upstream) = route.action
            && let Some((count, first)) = leading.get_mut(upstream)
        {
            *count += 1;
            *first = first.or(Some(index));
        }
    }
    leading.into_iter().map(|(count, first)| first.filter(|_| count == 1)).collect()
}
