//! HTTP/1.1 without sockets: bytes in, decisions out (RFC 9110, RFC 9112).

mod edits;

pub use edits::FieldEdits;
