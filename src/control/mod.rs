//! All that is no request, on threads of its own: start, signals, names, the end.

mod admin;
mod audience;
mod difference;
mod health;
mod identity;
mod limits;
mod machine;
mod outcome;
mod reload;
mod reports;
mod resolve;
mod service;
mod shards;
mod signals;
mod sockets;
mod supervisor;
mod upgrade;

pub use machine::machine;
pub use reload::Source;
pub use supervisor::{Running, StartError, start};
