//! How much an upstream may be asked to do at once.

/// When a request is tried again: `[upstream.retry]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPlan {
    /// Most servers that a request is tried on while no connection comes about;
    /// 1 to [`RetryPlan::TRIES_MAX`].
    pub tries: u32,
    /// Whether a request that found its connection from the pool closed is sent once more, where
    /// it may be sent twice.
    pub stale: bool,
    /// Requests that are tried again at once, in percent of the live ones of the shard.
    pub budget_percent: u32,
    /// So many may be in each shard, however few requests are live.
    pub budget_min: u32,
}

impl RetryPlan {
    /// More servers than anybody waits for.
    pub const TRIES_MAX: u32 = 8;
}

impl Default for RetryPlan {
    fn default() -> Self {
        RetryPlan { tries: 3, stale: true, budget_percent: 20, budget_min: 10 }
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
