//! A byte stream to a peer, and what a proxy says about it ahead of everything else.

pub mod proxy_protocol;
mod stream;

pub use stream::Stream;
