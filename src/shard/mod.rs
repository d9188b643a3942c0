//! One core: its executor's main task, its listeners, its state.

mod drain;
mod herald;
mod listener;
mod message;
#[allow(clippy::module_inception)]
mod shard;

pub use listener::{BindError, Bound, bind};
pub use message::{Command, Event, Notice, Notices, notices};
pub use shard::{Setup, spawn};
// What starting and commanding a shard takes, for the control thread.
pub use crate::ring::{Sender, Tier, Unavailable, mailbox};
pub use crate::upstream::passive::Ejection;
pub use crate::upstream::{Fact, Finding, Outbox, Place, Standing};
