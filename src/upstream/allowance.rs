//! How much an upstream may be asked to do at once, in one shard: the circuit breaker, and the
//! budget of retries.
//!
//! A retry is a request that is tried again: on another server after a failure to connect, until
//! it has a connection; on a new connection after a stale one, or on another server after an
//! answer that is not wanted, or none at all, until it has its response. In an
//! outage nearly every request would be tried again, which is more work for servers that have too
//! much already. So the retries at any moment are limited to a part of the live requests, or to a
//! small number where little goes on.

use std::cell::Cell;
use std::rc::Rc;

use super::server::share;
use crate::plan::{BreakerPlan, BudgetPlan};

/// Counts of one upstream in one shard, and their limits.
pub struct Allowance {
    live: Rc<Counter>,
    pending: Rc<Counter>,
    retrying: Rc<Counter>,
    budget_percent: Cell<u64>,
    budget_min: Cell<u32>,
}

/// How much is counted just now, requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// In progress.
    pub live: u32,
    /// Of these, waiting for a server or a connection.
    pub pending: u32,
    /// Of these, being tried again.
    pub retrying: u32,
}

/// A limit that would be exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// `limits.max_active`.
    Active,
    /// `limits.max_pending`.
    Pending,
    /// `limits.max_retries`.
    Retries,
    /// The retry budget.
    Budget,
}

/// One that is counted, until dropped.
pub struct Counted(Rc<Counter>);

struct Counter {
    count: Cell<u32>,
    most: Cell<u32>,
}

impl Counter {
    /// A shard's part of `most`, but never nothing.
    fn new(most: Option<u32>, shard: usize, shards: usize) -> Rc<Counter> {
        let most = most.map_or(u32::MAX, |most| share(most, shard, shards).max(1));
        Rc::new(Counter { count: Cell::new(0), most: Cell::new(most) })
    }

    fn one_more(self: &Rc<Self>, exceeded: Exceeded) -> Result<Counted, Exceeded> {
        if self.count.get() >= self.most.get() {
            return Err(exceeded);
        }
        self.count.set(self.count.get() + 1);
        Ok(Counted(self.clone()))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
    }
}

impl Allowance {
    pub(super) fn new(
        budget: &BudgetPlan,
        breaker: &BreakerPlan,
        shard: usize,
        shards: usize,
    ) -> Allowance {
        let counter = |most| Counter::new(most, shard, shards);
        Allowance {
            live: counter(breaker.max_active),
            pending: counter(breaker.max_pending),
            retrying: counter(breaker.max_retries),
            budget_percent: Cell::new(budget.percent.into()),
            budget_min: Cell::new(budget.min),
        }
    }

    /// Takes over the limits of another plan. What is counted stays.
    pub(super) fn adopt(
        &self,
        budget: &BudgetPlan,
        breaker: &BreakerPlan,
        shard: usize,
        shards: usize,
    ) {
        let new = Allowance::new(budget, breaker, shard, shards);
        self.live.most.swap(&new.live.most);
        self.pending.most.swap(&new.pending.most);
        self.retrying.most.swap(&new.retrying.most);
        self.budget_percent.swap(&new.budget_percent);
        self.budget_min.swap(&new.budget_min);
    }

    /// What is counted just now.
    pub fn usage(&self) -> Usage {
        Usage {
            live: self.live.count.get(),
            pending: self.pending.count.get(),
            retrying: self.retrying.count.get(),
        }
    }

    /// Counts a request of this upstream.
    ///
    /// # Errors
    /// [`Exceeded::Active`].
    pub fn enter(&self) -> Result<Counted, Exceeded> {
        self.live.one_more(Exceeded::Active)
    }

    /// Counts a request that waits for a server or a connection.
    ///
    /// # Errors
    /// [`Exceeded::Pending`].
    pub fn wait(&self) -> Result<Counted, Exceeded> {
        self.pending.one_more(Exceeded::Pending)
    }

    /// Counts a request that is tried again.
    ///
    /// # Errors
    /// [`Exceeded::Retries`], [`Exceeded::Budget`].
    pub fn retry(&self) -> Result<Counted, Exceeded> {
        let part = u64::from(self.live.count.get()) * self.budget_percent.get() / 100;
        if u64::from(self.retrying.count.get()) >= part.max(self.budget_min.get().into()) {
            return Err(Exceeded::Budget);
        }
        self.retrying.one_more(Exceeded::Retries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn allowance(breaker: &BreakerPlan) -> Allowance {
        Allowance::new(&BudgetPlan::default(), breaker, 0, 1)
    }

    #[test]
    fn without_limits_everything_is_allowed() {
        let allowance = allowance(&BreakerPlan::default());
        let all: Vec<_> = (0..100_000).map(|_| (allowance.enter(), allowance.wait())).collect();
        assert!(all.iter().all(|(live, pending)| live.is_ok() && pending.is_ok()));
    }

    #[test]
    fn each_limit_is_reached_and_left_again() {
        let (max_active, max_pending, max_retries) = (Some(2), Some(1), Some(1));
        let allowance = allowance(&BreakerPlan { max_active, max_pending, max_retries });
        let first = allowance.enter().ok();
        let second = allowance.enter().ok();
        assert_eq!(allowance.enter().err(), Some(Exceeded::Active));
        drop((first, second));
        assert!(allowance.enter().is_ok());
        let pending = allowance.wait();
        assert_eq!(allowance.usage(), Usage { live: 0, pending: 1, retrying: 0 });
        assert_eq!(allowance.wait().err(), Some(Exceeded::Pending));
        drop(pending);
        assert!(allowance.wait().is_ok());
        let retry = allowance.retry();
        assert_eq!(allowance.retry().err(), Some(Exceeded::Retries));
        drop(retry);
        assert!(allowance.retry().is_ok());
    }

    #[test]
    fn limits_are_divided_among_shards() {
        let breaker = BreakerPlan { max_active: Some(5), ..BreakerPlan::default() };
        let room = |shard| {
            let allowance = Allowance::new(&BudgetPlan::default(), &breaker, shard, 3);
            let live: Vec<_> = (0..9).filter_map(|_| allowance.enter().ok()).collect();
            live.len()
        };
        assert_eq!([room(0), room(1), room(2)], [2, 2, 1]);
    }

    #[test]
    fn other_limits_count_what_is_under_way() {
        let limited = |max_active| BreakerPlan { max_active, ..BreakerPlan::default() };
        let adopt = |allowance: &Allowance, most, percent| {
            let budget = BudgetPlan { percent, min: 0 };
            allowance.adopt(&budget, &limited(most), 0, 1);
        };
        let allowance = allowance(&limited(Some(3)));
        let mut live: Vec<_> = (0..3).map(|_| allowance.enter().ok()).collect();
        adopt(&allowance, Some(2), 50);
        live.truncate(2);
        assert_eq!(allowance.enter().err(), Some(Exceeded::Active));
        let retry = allowance.retry();
        assert!(retry.is_ok());
        assert_eq!(allowance.retry().err(), Some(Exceeded::Budget));
        adopt(&allowance, None, 100);
        assert!(allowance.retry().is_ok());
        live.push(allowance.enter().ok());
        assert_eq!(allowance.usage(), Usage { live: 3, pending: 0, retrying: 1 });
    }

    proptest! {
        /// However requests come, fail and go, a retry begins only within the budget, and always
        /// within it.
        #[test]
        fn retries_keep_within_the_budget(
            percent in 0u32..=100,
            min in 0u32..20,
            steps in prop::collection::vec((0u8..4, any::<prop::sample::Index>()), 0..400),
        ) {
            let plan = BudgetPlan { percent, min };
            let allowance = Allowance::new(&plan, &BreakerPlan::default(), 0, 1);
            let (mut live, mut retries) = (Vec::new(), Vec::new());
            for (step, index) in steps {
                match step {
                    0 => live.push(allowance.enter().ok().unwrap()),
                    1 if !live.is_empty() => drop(live.swap_remove(index.index(live.len()))),
                    2 if !retries.is_empty() => {
                        drop(retries.swap_remove(index.index(retries.len())));
                    }
                    _ => {
                        let allowed = (live.len() * percent as usize / 100).max(min as usize);
                        let retry = allowance.retry();
                        prop_assert_eq!(retry.is_ok(), retries.len() < allowed);
                        retries.extend(retry);
                    }
                }
            }
        }
    }
}
