//! The life of one client connection.

mod body;
mod client;
mod connection;
mod context;
mod course;
mod entrance;
mod exchange;
mod forward;
mod hold;
mod reply;
mod request;
mod response;
mod retry;
mod sending;
mod splicing;
mod tunnel;

pub use connection::{Counted, serve};
pub use context::{Context, Service};
