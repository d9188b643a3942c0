//! How often requests may come.

use super::ValueOf;
use crate::guard::Rate;

/// One `[[rate]]`. Routes refer to it by index; those that name the same one share its buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RatePlan {
    /// Its name in the file.
    pub name: String,
    /// Which requests count together.
    pub key: RateKey,
    /// How many in how long.
    pub rate: Rate,
    /// Most keys that a shard remembers; then it forgets the one that has waited longest.
    pub keys: usize,
    /// What a request beyond it is answered with: 429, or another status of an error.
    pub status: u16,
}

impl RatePlan {
    /// Too Many Requests (RFC 6585 §4).
    pub const STATUS: u16 = 429;
}

/// What requests that count together have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RateKey {
    /// The client's address; of IPv6 the first 64 bits, the smallest network that anybody is given.
    Client,
    /// Nothing: all count together.
    All,
    /// This value; the client's address where it is absent.
    Value(ValueOf),
}
