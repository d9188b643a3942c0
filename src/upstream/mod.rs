//! Servers: which are usable, how many requests each has, idle connections to them, new ones.

mod connect;
mod group;
pub mod passive;
mod pool;
mod server;

pub use connect::{ConnectError, Connected};
pub use group::{Busy, Group, Lease, Tried};
pub use server::{Server, Verdict};
