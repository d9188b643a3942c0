//! All that is no request, on threads of its own: start, signals, names, the end.

mod access_log;
mod admin;
mod audience;
mod clock;
mod difference;
mod discovery;
mod health;
mod identity;
mod limits;
mod machine;
mod maintenance;
mod metrics;
mod observe;
mod outcome;
mod passwords;
mod privileges;
mod recent;
mod reload;
mod reports;
mod service;
mod shards;
mod signals;
mod sockets;
mod steering;
mod supervisor;
mod upgrade;

pub use limits::LockedMemory;
pub use machine::machine;
pub use recent::Recent;
pub use reload::{Draft, Source};
pub use supervisor::{Running, StartError, start};
pub use upgrade::launch;
