//! Servers: which are usable, how many requests each has, idle connections to them, new ones.

mod allowance;
mod connect;
mod group;
pub mod passive;
mod pool;
mod server;

pub use allowance::{Allowance, Counted, Exceeded};
pub use connect::{ConnectError, Connected};
pub use group::{Busy, Denied, Group, Lease, Tried};
pub use server::{Server, Verdict};
