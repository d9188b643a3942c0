//! What of a request tells it from others.

use crate::http1::RequestHead;

/// A value that a request may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueOf {
    /// That of a field, by its name in lower case.
    Field(String),
    /// That of a cookie.
    Cookie(String),
}

impl ValueOf {
    /// The value; `None` where the request has none.
    pub fn find<'b>(&self, head: &RequestHead<'b, '_>) -> Option<&'b [u8]> {
        match self {
            ValueOf::Field(name) => head.field(name),
            ValueOf::Cookie(name) => head.cookie(name),
        }
    }
}
