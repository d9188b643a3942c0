//! All that is no request, on threads of its own: start, signals, names, the end.

mod health;
mod limits;
mod machine;
mod reports;
mod resolve;
mod shards;
mod signals;
mod supervisor;

pub use machine::machine;
pub use supervisor::{Running, StartError, start};
