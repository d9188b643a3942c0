//! One process after another: this one after the one before it, and a new one after this.

use std::io;

use super::{Message, Running, SERVING, State};
use crate::control::service;
use crate::control::signals::{self, Request};
use crate::control::upgrade::{Heir, Predecessor, Successor};

/// What is told to the service manager after an upgrade that failed. Scripts look for it.
const NOT_UPGRADED: &str = "serving; the last upgrade failed, see the log";

impl Running {
    /// Starts a new process from the file that this one was started from, with all its sockets.
    pub(super) fn upgrade(&mut self) {
        if std::mem::replace(&mut self.upgrading, true) {
            tracing::warn!("an upgrade is under way already");
            return;
        }
        service::status("serving; another process is to take over");
        let messages = self.messages.clone();
        let program = self.program.clone().map_err(io::Error::other);
        let begun = program.and_then(|program| {
            let legacy = self.configuration.legacy()?;
            let take_over = move || {
                let successor = Successor::start(&program, &legacy);
                drop(legacy);
                // Without a receiver this process is ending anyway.
                let _ = messages.send(Message::Successor(successor.and_then(Successor::wait)));
            };
            std::thread::Builder::new().name("upgrade".into()).spawn(take_over)
        });
        if let Err(error) = begun {
            let _ = self.messages.send(Message::Successor(Err(error)));
        }
    }

    /// The new process serves, or it does not.
    pub(super) fn handed_over(&mut self, result: io::Result<Heir>, state: &mut State) {
        self.upgrading = false;
        match result {
            Ok(heir) => {
                let process = heir.process;
                tracing::info!(process, "another process has taken over; draining");
                service::taken_over_by(process);
                self.in_charge = false;
                heir.put_in_charge();
                self.heir = Some(heir);
                self.configuration.sockets.leave_files();
                // Who asks from now on asks the new process.
                self.configuration.admin.leave_file();
                self.admin = None;
                if state.reload_wanted {
                    signals::pass_on(process, Request::Reload);
                }
                if state.stop_wanted {
                    signals::pass_on(process, Request::Stop);
                }
                self.drain(state);
            }
            Err(error) => {
                tracing::error!("no upgrade: {error}; this process serves on");
                service::status(NOT_UPGRADED);
                if std::mem::take(&mut state.stop_wanted) {
                    self.obey(Request::Stop, state);
                } else if std::mem::take(&mut state.reload_wanted) {
                    self.reload();
                }
            }
        }
    }

    /// The process before this one has retired, or ended.
    pub(super) fn hear_of_predecessor(&mut self, news: Predecessor, state: &State) {
        self.has_predecessor = news != Predecessor::Gone;
        if !std::mem::replace(&mut self.in_charge, true) && !state.stopping {
            service::ready(SERVING);
        }
    }
}
