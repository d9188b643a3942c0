//! The listening sockets of the process.
//!
//! Each is held here as well as by its shard, so that what waits in its queue is never lost while
//! somebody still means to accept it: a shard that lets go of one has emptied it, and it is closed
//! when both have let go.

mod held;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

pub use held::{Held, Inherited};

use super::steering::{self, Chooser};
use crate::plan::{Address, ListenerPlan, Steering};
use crate::shard::{self, Socket};

/// One for each of a plan's listeners.
pub struct Sockets {
    open: Vec<Open>,
    shards: usize,
    /// From another process, and not in use yet.
    inherited: Vec<Inherited>,
}

struct Open {
    plan: ListenerPlan,
    held: Held,
    /// Who chooses the shard of a new connection.
    chooser: Chooser,
}

impl Sockets {
    /// None yet, for so many shards; those of another process are used where they fit.
    pub fn new(shards: usize, inherited: Vec<Inherited>) -> Sockets {
        Sockets { open: Vec::new(), shards, inherited }
    }

    /// Where they listen, in the order of the plan.
    pub fn addresses(&self) -> Vec<Address> {
        self.open.iter().map(|open| open.held.bound.address.clone()).collect()
    }

    /// Opens what `plans` has and was not open, and closes what it has no more. Returns for each
    /// shard what it then accepts from.
    ///
    /// # Errors
    /// A sentence with the remedy; nothing has changed then.
    pub fn change(&mut self, plans: &[ListenerPlan]) -> Result<Vec<Vec<Socket>>, String> {
        let mut steps = Vec::new();
        let mut unused: Vec<Option<usize>> = (0..self.open.len()).map(Some).collect();
        for plan in plans {
            let same = unused.iter_mut().find(|index| {
                index.is_some_and(|index| self.open[index].plan.address == plan.address)
            });
            steps.push(match same.and_then(Option::take) {
                Some(index) => Step::Keep(index),
                None => match self.inherit(plan) {
                    Some(step) => step,
                    None => {
                        let inherited = self.inherited.iter().map(|other| other.bound.clone());
                        let open = self.addresses().into_iter().chain(inherited);
                        let own: Vec<Address> = open.chain(new(&steps)).collect();
                        let bound = shard::bind(plan, self.shards, &own);
                        let bound = bound.map_err(|error| error.to_string())?;
                        Step::New(Held::opened(bound), Chooser::Hash)
                    }
                },
            });
        }
        let shards = self.shards;
        let sockets =
            (0..shards).map(|shard| steps.iter().map(|step| step.sockets(shard, shards)).collect());
        let sockets = sockets.collect::<io::Result<_>>().map_err(|error| {
            format!("cannot pass on listening sockets: {error}; raise the limit that it names")
        })?;
        let mut before: Vec<Option<Open>> = self.open.drain(..).map(Some).collect();
        for (step, plan) in steps.into_iter().zip(plans) {
            self.open.extend(match step {
                Step::New(held, chooser) => Some(Open { plan: plan.clone(), held, chooser }),
                Step::Keep(index) => before[index].take().map(|mut open| {
                    open.set_backlog(plan);
                    Open { plan: plan.clone(), ..open }
                }),
            });
        }
        Ok(sockets)
    }

    /// The sockets that another process left for this listener; with more shards than it had,
    /// also some of our own.
    fn inherit(&mut self, plan: &ListenerPlan) -> Option<Step> {
        let same = |other: &Inherited| other.configured == plan.address;
        let index = self.inherited.iter().position(same)?;
        let mut held = Held::inherited(self.inherited.remove(index));
        while held.bound.sockets.len() < self.shards {
            // Else two shards accept from the same.
            let Ok(socket) = shard::bind_more(plan, &held.bound.address) else { break };
            held.bound.sockets.push(socket);
        }
        Some(Step::New(held, Chooser::Unknown))
    }

    /// The files of Unix sockets that are this process's.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.open.iter().filter_map(|open| open.held.file())
    }

    /// For another process: the same sockets.
    ///
    /// # Errors
    /// Those of dup(2).
    pub fn legacy(&self) -> io::Result<Vec<Inherited>> {
        self.open.iter().map(|open| open.held.legacy(&open.plan.address, false)).collect()
    }

    /// Closes what was inherited and is not in use, and answers from now on for the files of Unix
    /// sockets that another process made.
    pub fn settle(&mut self) {
        for unused in self.inherited.drain(..) {
            let address = &unused.bound;
            tracing::warn!(%address, "no listener has this inherited socket: closed");
            unused.discard();
        }
        for open in &mut self.open {
            open.held.settle();
        }
    }

    /// Has new connections go where the `steering` of their listener says; shards run on these
    /// `cpus`. Not before it is certain that this process serves: others may have the sockets too.
    pub fn steer(&mut self, cpus: &[usize]) {
        let by_cpu = self.open.iter().any(|open| open.plan.steering == Steering::Cpu);
        let net = Path::new("/sys/class/net");
        let interfaces = if by_cpu { steering::spreading_interfaces(net) } else { Vec::new() };
        for open in &mut self.open {
            // They are in the order in which they began to listen, also where they are inherited.
            let Some(socket) = open.held.bound.sockets.first() else { continue };
            let listener = (&open.held.bound.address, socket);
            let steering = open.plan.steering;
            open.chooser = steering::apply(listener, steering, cpus, &interfaces, open.chooser);
        }
    }

    /// Leaves the files of Unix sockets to another process.
    pub fn leave_files(&mut self) {
        self.open.iter_mut().for_each(|open| open.held.leave_file());
    }

    /// Leaves the sockets to the shards, which are about to close them.
    pub fn let_go(&mut self) {
        self.open.iter_mut().for_each(|open| open.held.bound.sockets.clear());
    }
}

impl Open {
    /// Calls listen(2) again if the queue's length has changed.
    fn set_backlog(&mut self, plan: &ListenerPlan) {
        if self.plan.backlog != plan.backlog {
            for socket in &self.held.bound.sockets {
                if let Err(error) = shard::listen(socket, plan) {
                    tracing::warn!(%error, address = %plan.address, "cannot change the backlog");
                }
            }
        }
    }
}

/// How a listener of the next plan comes about.
enum Step {
    Keep(usize),
    /// With these sockets; and who chooses among them.
    New(Held, Chooser),
}

impl Step {
    /// What one of the shards accepts from.
    fn sockets(&self, shard: usize, shards: usize) -> io::Result<Socket> {
        let bound = match self {
            Step::Keep(index) => return Ok(Socket::Kept(*index)),
            Step::New(held, _) => &held.bound,
        };
        let count = bound.sockets.len();
        // Each has one at least, and each is somebody's.
        let first = if count == 0 { 0 } else { shard % count };
        let own = bound.sockets.iter().skip(first).step_by(shards);
        own.map(OwnedFd::try_clone).collect::<io::Result<_>>().map(Socket::Opened)
    }
}

/// Where those listen that were opened just now.
fn new(steps: &[Step]) -> impl Iterator<Item = Address> {
    steps.iter().filter_map(|step| match step {
        Step::New(held, _) => Some(held.bound.address.clone()),
        Step::Keep(_) => None,
    })
}
