//! All that is no request, on threads of its own: start, signals, names, the end.

mod health;
mod limits;
mod machine;
mod resolve;
mod signals;
mod supervisor;

pub use machine::machine;
pub use supervisor::{Running, StartError, start};
