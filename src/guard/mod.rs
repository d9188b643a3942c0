//! Who may come in, how many at once, how often, and how slowly.
//!
//! No sockets and no clock: time is an argument, in nanoseconds of any clock that does not go back.

mod access;
mod buckets;
mod loads;
mod network;
mod pace;
mod passwords;
mod sets;
mod tally;

pub use access::{Access, Source, parents};
pub use buckets::{Buckets, Rate, TooMany};
pub use loads::{Loads, Obituary};
pub use network::{Network, NetworkError, client_bits};
pub use pace::Pace;
pub use passwords::{PasswordFault, Passwords};
pub use tally::{Entry, Tally};
