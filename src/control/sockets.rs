//! The listening sockets of the process.
//!
//! Each is held here as well as by its shard, so that what waits in its queue is never lost while
//! somebody still means to accept it: a shard that lets go of one has emptied it, and it is closed
//! when both have let go.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use crate::plan::{Address, ListenerPlan};
use crate::shard::{self, BindError, Bound, Socket};

/// One for each of a plan's listeners.
pub struct Sockets {
    open: Vec<Open>,
    shards: usize,
}

struct Open {
    plan: ListenerPlan,
    bound: Bound,
}

/// Why listeners cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// An address cannot be listened on.
    Bind(BindError),
    /// Descriptors are short.
    Descriptors(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Bind(error) => error.fmt(f),
            OpenError::Descriptors(error) => {
                write!(
                    f,
                    "cannot pass on listening sockets: {error}; raise the limit that it names"
                )
            }
        }
    }
}

impl From<BindError> for OpenError {
    fn from(error: BindError) -> Self {
        OpenError::Bind(error)
    }
}

impl Sockets {
    /// None yet, for so many shards.
    pub fn new(shards: usize) -> Sockets {
        Sockets { open: Vec::new(), shards }
    }

    /// Where they listen, in the order of the plan.
    pub fn addresses(&self) -> Vec<Address> {
        self.open.iter().map(|open| open.bound.address.clone()).collect()
    }

    /// Opens what `plans` has and was not open, and closes what it has no more. Returns for each
    /// shard what it then accepts from.
    ///
    /// # Errors
    /// [`OpenError`]; nothing has changed then.
    pub fn change(&mut self, plans: &[ListenerPlan]) -> Result<Vec<Vec<Socket>>, OpenError> {
        let mut steps = Vec::new();
        let mut unused: Vec<Option<usize>> = (0..self.open.len()).map(Some).collect();
        for plan in plans {
            let same = unused.iter_mut().find(|index| {
                index.is_some_and(|index| self.open[index].plan.address == plan.address)
            });
            steps.push(match same.and_then(Option::take) {
                Some(index) => Step::Keep(index),
                None => {
                    let own: Vec<Address> =
                        self.addresses().into_iter().chain(new(&steps)).collect();
                    Step::Open(shard::bind(plan, self.shards, &own)?)
                }
            });
        }
        let sockets =
            (0..self.shards).map(|shard| steps.iter().map(|step| step.socket(shard)).collect());
        let sockets = sockets.collect::<io::Result<_>>().map_err(OpenError::Descriptors)?;
        let mut before: Vec<Option<Open>> = self.open.drain(..).map(Some).collect();
        for (step, plan) in steps.into_iter().zip(plans) {
            let bound = match step {
                Step::Open(bound) => Some(bound),
                Step::Keep(index) => before[index].take().map(|mut open| {
                    open.set_backlog(plan);
                    open.bound
                }),
            };
            self.open.extend(bound.map(|bound| Open { plan: plan.clone(), bound }));
        }
        Ok(sockets)
    }

    /// Leaves them to the shards, which are about to close them.
    pub fn let_go(&mut self) {
        self.open.iter_mut().for_each(|open| open.bound.sockets.clear());
    }
}

impl Open {
    /// Calls listen(2) again if the queue's length has changed.
    fn set_backlog(&mut self, plan: &ListenerPlan) {
        if self.plan.backlog != plan.backlog {
            for socket in &self.bound.sockets {
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
    Open(Bound),
}

impl Step {
    fn socket(&self, shard: usize) -> io::Result<Socket> {
        match self {
            Step::Keep(index) => Ok(Socket::Kept(*index)),
            Step::Open(bound) => bound.sockets[shard].try_clone().map(Socket::Opened),
        }
    }
}

/// Where those listen that were opened just now.
fn new(steps: &[Step]) -> impl Iterator<Item = Address> {
    steps.iter().filter_map(|step| match step {
        Step::Open(bound) => Some(bound.address.clone()),
        Step::Keep(_) => None,
    })
}

/// The sockets of a shard that starts.
pub fn opened(sockets: Vec<Socket>) -> Vec<OwnedFd> {
    let opened = |socket| match socket {
        Socket::Opened(socket) => Some(socket),
        Socket::Kept(_) => None,
    };
    sockets.into_iter().filter_map(opened).collect()
}
