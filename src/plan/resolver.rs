//! How names of servers are looked up: `[resolver]`.

use std::net::SocketAddr;
use std::time::Duration;

/// Whom to ask, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverPlan {
    /// The name servers to ask, the first first; none: those of resolv.conf(5), with its search
    /// list.
    pub nameservers: Vec<SocketAddr>,
    /// How long a lookup may take in all, with its repetitions.
    pub timeout: Duration,
    /// A name is looked up again after its time to live, but not sooner than this.
    pub min_ttl: Duration,
    /// Nor later than this; at least [`ResolverPlan::min_ttl`].
    pub max_ttl: Duration,
}

impl Default for ResolverPlan {
    fn default() -> Self {
        ResolverPlan {
            nameservers: Vec::new(),
            timeout: Duration::from_secs(5),
            min_ttl: Duration::from_secs(1),
            max_ttl: Duration::from_secs(300),
        }
    }
}
