//! The raw kernel interface: every `unsafe` block of the crate, each with its reason.

#![allow(unsafe_code)]

pub(super) mod buffers;
pub(super) mod request;
pub(super) mod steering;
pub(super) mod table;
pub(super) mod uring;
