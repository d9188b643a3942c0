//! When the shards are asked for what they measured.

use std::sync::mpsc::RecvTimeoutError;

use super::{Message, Running, State};
use crate::shard::Command;

impl Running {
    /// The next message; `None` when there will be none. The shards are asked meanwhile.
    pub(super) fn next_message(&self, state: &mut State) -> Option<Message> {
        loop {
            state.observer.adopt(&self.configuration.plan);
            let wait = state.observer.wait();
            if wait.is_zero() {
                let commands = state.observer.tick();
                self.send(commands);
                continue;
            }
            match self.events.recv_timeout(wait) {
                Ok(message) => return Some(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Asks each shard for a report, and for what it measured before it.
    pub(super) fn ask_for_reports(&self, state: &mut State) {
        state.reports.ask();
        let commands = state.observer.ask();
        self.send(commands);
        self.shards.tell(|| Command::Report);
    }

    fn send(&self, commands: Vec<(usize, Command)>) {
        for (shard, command) in commands {
            if let Some(shard) = self.shards.commands().get(shard) {
                shard.send(command);
            }
        }
    }
}
