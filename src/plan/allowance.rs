//! How much an upstream may be asked to do at once.

/// The budget for trying again: `budget_percent` and `budget_min` of `[upstream.retry]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetPlan {
    /// Requests that are tried again at once, in percent of the live ones of the shard.
    pub percent: u32,
    /// So many may be in each shard, however few requests are live.
    pub min: u32,
}

impl Default for BudgetPlan {
    fn default() -> Self {
        BudgetPlan { percent: 20, min: 10 }
    }
}

/// The circuit breaker: `[upstream.limits]`. Counts are over all shards, `None`: no limit. What is
/// beyond a limit is answered 503 at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BreakerPlan {
    /// Most requests at once, from their heads to the ends of their responses.
    pub max_active: Option<u32>,
    /// Most requests without a connection: waiting for a server, or for a connection to it.
    pub max_pending: Option<u32>,
    /// Most requests that are tried again at once.
    pub max_retries: Option<u32>,
}
