//! The life of one client connection.

mod access_log;
mod admission;
mod answer;
mod body;
mod chronicle;
mod client;
mod connection;
mod context;
mod course;
mod entrance;
mod exchange;
mod forward;
mod hold;
mod journal;
mod kept;
mod listener;
mod meter;
mod rates;
mod reply;
mod request;
mod response;
mod retry;
mod scope;
mod sending;
mod splicing;
mod trail;
mod tunnel;
mod turnstile;

pub use access_log::{AccessLog, Delivery, Outlet};
pub use connection::{Counted, serve};
pub use context::{Context, Service};
pub use listener::Listener;
pub use meter::Measured;
pub use rates::{Rates, Taken};
pub use turnstile::Turnstile;
