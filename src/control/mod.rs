//! All that is no request, on threads of its own: start, signals, names, the end.

mod health;
mod identity;
mod limits;
mod machine;
mod reload;
mod reports;
mod resolve;
mod service;
mod shards;
mod signals;
mod sockets;
mod steering;
mod supervisor;
mod upgrade;

pub use machine::machine;
pub use reload::Source;
pub use supervisor::{Running, StartError, start};
