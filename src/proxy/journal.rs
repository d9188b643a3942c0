//! How much a shard says in the log about single requests.

use std::cell::Cell;

use crate::ring::Tick;

/// The most lines in each [`SPAN`].
const LINES_MAX: u32 = 100;
/// Nanoseconds.
const SPAN: Tick = 1_000_000_000;

/// Bounds the lines about single requests. A server that dies under load fails thousands of them,
/// and the thread that serves is the one that writes.
#[derive(Default)]
pub struct Journal {
    /// When the present span ends.
    end: Cell<Tick>,
    lines: Cell<u32>,
    /// Since the last line.
    left_out: Cell<u64>,
}

impl Journal {
    /// Whether one more line may be written now. Says before it how many were left out.
    pub fn admits(&self, now: Tick) -> bool {
        if now >= self.end.get() {
            self.end.set(now + SPAN);
            self.lines.set(0);
            let lines = self.left_out.take();
            if lines > 0 {
                tracing::warn!(lines, "left out lines about requests: there were too many");
            }
        }
        let admitted = self.lines.get() < LINES_MAX;
        if admitted {
            self.lines.set(self.lines.get() + 1);
        } else {
            self.left_out.set(self.left_out.get() + 1);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_room_for_so_many_lines() {
        let journal = Journal::default();
        for begin in [5, 5 + SPAN, 5 + 7 * SPAN] {
            let end = begin + SPAN - 1;
            let admitted = (begin..=end).step_by(SPAN as usize / 250);
            assert_eq!(admitted.filter(|now| journal.admits(*now)).count(), LINES_MAX as usize);
            assert!(journal.left_out.get() > 100);
        }
    }
}
