//! HTTP/1.1 without sockets: bytes in, decisions out (RFC 9110, RFC 9112).
//!
//! A [`HeadScanner`] finds where a head ends, [`parse_request`] and [`parse_response`] read it and
//! refuse what two recipients could understand differently, [`write_request`] and
//! [`write_response`] forward it, [`ChunkedDecoder`] delimits chunked bodies, and an [`Exchange`]
//! decides what follows from a request and its response. Nothing here reads a clock or a socket,
//! and nothing allocates except into the buffer it is given and for trailers.

mod chunked;
mod conditional;
mod date;
mod diagnosis;
#[cfg(any(test, fuzzing))]
pub mod differential;
mod edits;
mod encoding;
mod exchange;
mod forwarded;
mod framing;
mod head;
mod name;
#[cfg(test)]
mod properties;
mod ranges;
#[cfg(any(test, fuzzing))]
mod reference;
mod refusal;
mod request;
mod response;
mod rewrite;
mod scanner;
#[cfg(test)]
mod smuggling;
mod survey;
mod target;
mod trace;
mod trailers;

pub use chunked::{ChunkStep, ChunkedDecoder, write_chunk_size};
pub use conditional::{Conditions, Validators, Verdict};
pub use date::{http_date, parse_http_date};
pub use edits::FieldEdits;
pub use encoding::{Accepted, Coding};
pub use exchange::{Exchange, ResponseStep};
pub use framing::{RequestFraming, ResponseFraming};
pub use head::{Field, FieldStorage, MAX_FIELDS, Version};
pub use ranges::{ByteRange, Multipart, Ranges};
pub use refusal::{Fault, Refusal};
pub use request::{RequestFacts, RequestHead, parse_request};
pub use response::{ResponseFacts, ResponseHead, parse_response};
pub use rewrite::{
    BodyOut, RequestRewrite, ResponseRewrite, connection_line, put_address, put_decimal,
    write_interim, write_request, write_response, write_switching,
};
pub use scanner::{HeadLimits, HeadScanner};
pub use target::Target;
pub use trace::TraceContext;
