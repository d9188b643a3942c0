//! One core: its executor's main task, its listeners, its state.

mod commons;
mod drain;
mod listener;
mod message;
#[allow(clippy::module_inception)]
mod shard;

pub use commons::{Commons, commons};
pub use listener::{BindError, Bound, SocketFile, bind};
pub use message::{Command, Event};
pub use shard::{Setup, spawn};
// What starting and commanding a shard takes, for the control thread.
pub use crate::ring::{Sender, Tier, Unavailable, mailbox};
