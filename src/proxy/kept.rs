//! What is kept of a request for what may follow its sending.

use super::passage::Passage;
use crate::http1::{FieldStorage, HeadLimits, MAX_FIELDS, RequestHead, parse_request};

/// A request whose head is needed again.
pub struct Kept {
    head: Vec<u8>,
    /// What had become of it when it was sent.
    pub passage: Option<Box<Passage>>,
}

impl Kept {
    /// This head, which was parsed.
    pub fn new(head: &[u8], passage: Option<Box<Passage>>) -> Kept {
        Kept { head: head.to_vec(), passage }
    }

    /// The head, as it came.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Looks at the head again. It was accepted, so it always is.
    pub fn look<T>(&self, look: impl FnOnce(&RequestHead<'_, '_>) -> T) -> Option<T> {
        let limits = HeadLimits { bytes: usize::MAX, fields: MAX_FIELDS };
        let mut storage = FieldStorage::new();
        parse_request(&self.head, &mut storage, &limits).ok().map(|head| look(&head))
    }
}
