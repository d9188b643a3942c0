//! When the shards are asked for what they measured.

use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::{Message, Running, State};
use crate::control::clock::now;
use crate::shard::Command;

/// How soon after the begin of a round of reports the next one may begin, however many ask.
const ROUND_MIN: Duration = Duration::from_millis(5);

impl State {
    fn wants_reports(&self) -> bool {
        self.audience.wants_another() || !self.samplers.is_empty()
    }
}

impl Running {
    /// The next message; `None` when there will be none. The shards are asked meanwhile.
    pub(super) fn next_message(&self, state: &mut State) -> Option<Message> {
        loop {
            state.observer.adopt(&self.configuration.plan);
            let mut wait = state.observer.wait();
            if wait.is_zero() {
                let commands = state.observer.tick();
                self.send(commands);
                continue;
            }
            let round = state.wants_reports() && !state.reports.are_under_way();
            if round {
                // Whoever has asked by then is served by the same.
                wait = wait.min(state.next_round.saturating_duration_since(now()));
            }
            match self.events.recv_timeout(wait) {
                Ok(message) => return Some(message),
                Err(RecvTimeoutError::Timeout) if round => self.ask_for_reports(state),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Has each shard report, and tell before that what it measured; unless they are about to or
    /// have just begun to: one round at a time serves all who wait.
    pub(super) fn ask_for_reports(&self, state: &mut State) {
        if now() >= state.next_round && state.reports.begin() {
            tracing::debug!("shards are asked for reports");
            state.next_round = now() + ROUND_MIN;
            state.audience.gather();
            let commands = state.observer.ask();
            self.send(commands);
            self.shards.tell(|| Command::Report);
        }
    }

    fn send(&self, commands: Vec<(usize, Command)>) {
        for (shard, command) in commands {
            if let Some(shard) = self.shards.commands().get(shard) {
                shard.send(command);
            }
        }
    }
}
