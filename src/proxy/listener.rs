//! A listener, as its connections see it.

use std::cell::{Ref, RefCell};

use crate::plan::ListenerPlan;

/// What holds for the connections of a listener: what the plan in force says of it, or the last
/// one that had it.
pub struct Listener(RefCell<ListenerPlan>);

impl Listener {
    /// By its plan.
    pub fn new(plan: &ListenerPlan) -> Listener {
        Listener(RefCell::new(plan.clone()))
    }

    /// What holds now; not to be kept while anything is waited for.
    pub fn plan(&self) -> Ref<'_, ListenerPlan> {
        self.0.borrow()
    }

    /// Replaces that, for the connections that there are too.
    pub fn adopt(&self, plan: &ListenerPlan) {
        if *self.plan() != *plan {
            *self.0.borrow_mut() = plan.clone();
        }
    }
}
