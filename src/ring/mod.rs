//! The kernel: one data ring per shard, through which every socket operation goes.
//!
//! [`Ring`] is a shard's handle. Futures made from it own their memory until the kernel is done:
//! dropping one cancels the operation, and the memory stays with the ring until the last
//! completion.

mod acceptor;
mod driver;
mod files;
mod mailbox;
mod ops;
mod receiver;
mod send;
mod slots;
mod splice;
mod sys;
mod tier;
mod timers;
mod walk;

pub use acceptor::Acceptor;
pub use driver::Ring;
pub use files::{File, open_now};
pub use mailbox::{Mailbox, Sender, mailbox};
pub use ops::Socket;
pub use receiver::{Receiver, Traffic};
pub use send::{SendOp, Sent};
pub use splice::{Pipe, Pipes, Spliced};
pub use sys::buffers::{BUF_CAPACITY, Buf, HEADROOM};
pub use sys::steering::{steer, unsteer};
pub use tier::{Tier, Unavailable};
pub use timers::{Elapsed, Tick, Timer, Until};

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests time themselves")]
mod tests;
