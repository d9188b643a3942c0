//! Host and path to route.

/// The routing table.
#[derive(Debug, Default)]
pub struct Table {}
