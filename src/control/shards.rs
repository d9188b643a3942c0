//! The shards that run.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::mpsc;

use super::{StartError, passwords};
use crate::plan::Plan;
use crate::shard::{self, Command, Event, Notices, Sender, Setup, Thread, Tier, mailbox};

/// Running shards. Dropped, they are stopped at once, and have ended afterwards.
#[derive(Default)]
pub struct Shards {
    commands: Vec<Sender<Command>>,
    threads: Vec<Thread>,
}

impl Shards {
    /// Starts one for each CPU of the plan; it accepts nothing before it is given sockets. What
    /// they have to say comes through `events`, with their numbers; what they find out about
    /// servers, through `notices`.
    ///
    /// # Errors
    /// Why one could not be started; the others are stopped.
    pub fn start(
        plan: &Arc<Plan>,
        tier: Tier,
        events: &mpsc::Sender<(usize, Event)>,
        notices: &Notices,
    ) -> Result<Shards, StartError> {
        let mut shards = Shards::default();
        let commons = shard::commons(plan)?;
        let desk = passwords::start(commons.len())?;
        for (number, commons) in commons.into_iter().enumerate() {
            let (sender, mailbox) = mailbox()?;
            let (plan, events, seed) = (plan.clone(), events.clone(), seed(number));
            let (notices, desk) = (notices.clone(), desk.clone());
            let setup = Setup { number, plan, tier, mailbox, events, commons, notices, desk, seed };
            shards.threads.push(shard::spawn(setup).map_err(StartError)?);
            shards.commands.push(sender);
        }
        Ok(shards)
    }

    /// Where each takes its commands.
    pub fn commands(&self) -> &[Sender<Command>] {
        &self.commands
    }

    /// Commands all of them.
    pub fn tell(&self, command: impl Fn() -> Command) {
        for shard in &self.commands {
            shard.send(command());
        }
    }

    /// Leaves them to the end of the process, which is near.
    pub fn abandon(&mut self) {
        self.threads.clear();
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        self.tell(|| Command::Stop);
        self.threads.drain(..).for_each(Thread::join);
    }
}

/// A number that differs from shard to shard and from start to start.
fn seed(number: usize) -> u64 {
    RandomState::new().hash_one(number)
}
