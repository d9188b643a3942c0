//! A byte stream to a peer.

mod stream;

pub use stream::Stream;
