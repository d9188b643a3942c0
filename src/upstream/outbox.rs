//! Changes on their way to somebody else, at most one message at a time.
//!
//! However fast things change and however slow the other side is, there is never more than one
//! message under way: what changes meanwhile is remembered by name only, each name once, and goes
//! with the next message, as it is then.

use std::collections::BTreeSet;

/// The names of what has changed.
#[derive(Debug)]
pub struct Outbox<K> {
    changed: BTreeSet<K>,
    under_way: BTreeSet<K>,
}

impl<K> Default for Outbox<K> {
    fn default() -> Self {
        Outbox { changed: BTreeSet::new(), under_way: BTreeSet::new() }
    }
}

impl<K: Ord + Copy> Outbox<K> {
    /// `name` has changed.
    pub fn note(&mut self, name: K) {
        self.changed.insert(name);
    }

    /// What to send now, if anything: nothing while a message is under way.
    pub fn next_message(&mut self) -> Option<Vec<K>> {
        if !self.under_way.is_empty() || self.changed.is_empty() {
            return None;
        }
        self.under_way = std::mem::take(&mut self.changed);
        Some(self.under_way.iter().copied().collect())
    }

    /// The other side has taken the message.
    pub fn delivered(&mut self) {
        self.under_way.clear();
    }

    /// Whether the other side may not know yet of a change of `name`.
    pub fn is_pending(&self, name: K) -> bool {
        self.changed.contains(&name) || self.under_way.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_coalesced_while_a_message_is_under_way() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.next_message(), None);
        outbox.note(1);
        assert_eq!(outbox.next_message(), Some(vec![1]));
        for _ in 0..1_000 {
            outbox.note(2);
            outbox.note(1);
            assert_eq!(outbox.next_message(), None);
        }
        outbox.delivered();
        assert!(outbox.is_pending(1), "it has changed since");
        assert_eq!(outbox.next_message(), Some(vec![1, 2]));
        outbox.delivered();
        assert!(!outbox.is_pending(1));
        assert_eq!(outbox.next_message(), None);
    }
}
