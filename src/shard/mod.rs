//! One core: its executor's main task, its listeners, its state.

mod commons;
mod handover;
mod herald;
mod listener;
mod listeners;
mod message;
#[allow(clippy::module_inception)]
mod shard;
mod socket_file;

pub use commons::{Commons, commons};
pub use listener::{BindError, Bound, bind, bind_alone, bind_more, listen};
pub use message::{Command, Event, Notice, Notices, Socket, notices};
pub use shard::{Setup, Thread, spawn};
pub use socket_file::SocketFile;
// What starting and commanding a shard takes, for the control thread.
pub use crate::proxy::{Delivery, INQUIRIES_MAX, Inquiry, Measured, Outlet};
pub use crate::ring::{Sender, Tier, Unavailable, mailbox, steer, unsteer};
pub use crate::upstream::passive::Ejection;
pub use crate::upstream::{Finding, Outbox, Standing};
