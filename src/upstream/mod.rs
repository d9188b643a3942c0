//! Servers: which are usable, how many requests each has, idle connections to them, new ones.

mod allowance;
mod connect;
mod group;
mod health;
mod outbox;
pub mod passive;
mod pool;
mod server;
mod standing;

pub use allowance::{Allowance, Counted, Exceeded};
pub use connect::{ConnectError, Connected};
pub use group::{Busy, Denied, Group, Lease, Site, Tried};
pub use outbox::Outbox;
pub use server::{Server, Verdict};
pub use standing::{Fact, Finding, News, Place, Standing, Topic};
