//! The socket of the admin address: opened, kept, passed on.

use std::fs::Permissions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::control::sockets::{Held, Inherited};
use crate::plan::{Address, AdminPlan};
use crate::shard::{self, BindError};

/// Length of the accept queue.
const BACKLOG: i32 = 128;

/// The socket, if there is an admin address.
#[derive(Default)]
pub struct AdminSocket {
    open: Option<Open>,
    /// From another process, and not in use yet.
    inherited: Option<Inherited>,
}

/// A socket that listens.
pub struct Open {
    plan: AdminPlan,
    held: Held,
}

/// What becomes of the socket.
pub enum Step {
    /// It is closed, or there was none.
    None,
    /// It stays.
    Keep(AdminPlan),
    /// This takes its place.
    New(Open),
}

impl AdminSocket {
    /// None yet; takes from what another process left what that had for this, or what the service
    /// manager opened at this address.
    pub fn inherit(plan: Option<&AdminPlan>, inherited: &mut Vec<Inherited>) -> AdminSocket {
        let here = |other: &Inherited| plan.is_some_and(|plan| other.bound == plan.address);
        let index = inherited.iter().position(|other| other.admin);
        let index = index.or_else(|| inherited.iter().position(here));
        AdminSocket { open: None, inherited: index.map(|index| inherited.remove(index)) }
    }

    /// Opens what `plan` wants and is not open.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn prepare(&mut self, plan: Option<&AdminPlan>) -> Result<Step, BindError> {
        let Some(plan) = plan else { return Ok(Step::None) };
        if self.open.as_ref().is_some_and(|open| open.plan.address == plan.address) {
            return Ok(Step::Keep(plan.clone()));
        }
        let same =
            |other: &mut Inherited| other.configured == plan.address || other.bound == plan.address;
        let held = match self.inherited.take_if(same) {
            Some(inherited) => Held::inherited(inherited),
            None => Held::opened(shard::bind_alone(&plan.address, plan.mode, BACKLOG)?),
        };
        Ok(Step::New(Open { plan: plan.clone(), held }))
    }

    /// Takes a step that was prepared.
    pub fn take(&mut self, step: Step) {
        match step {
            Step::None => self.open = None,
            Step::New(open) => self.open = Some(open),
            Step::Keep(plan) => {
                if let Some(open) = &mut self.open {
                    let before = std::mem::replace(&mut open.plan, plan);
                    if before.mode != open.plan.mode {
                        open.set_mode();
                    }
                }
            }
        }
    }

    /// The socket, for whoever accepts from it, and its plan.
    ///
    /// # Errors
    /// Those of dup(2).
    pub fn share(&self) -> io::Result<Option<(OwnedFd, AdminPlan)>> {
        let Some(open) = &self.open else { return Ok(None) };
        let Some(socket) = open.held.bound.sockets.first() else { return Ok(None) };
        Ok(Some((socket.try_clone()?, open.plan.clone())))
    }

    /// Where it listens.
    pub fn address(&self) -> Option<&Address> {
        self.open.as_ref().map(|open| &open.held.bound.address)
    }

    /// The file of a Unix socket, where that is this process's.
    pub fn file(&self) -> Option<&Path> {
        self.open.as_ref().and_then(|open| open.held.file())
    }

    /// For another process: the same socket.
    ///
    /// # Errors
    /// Those of dup(2).
    pub fn legacy(&self) -> io::Result<Option<Inherited>> {
        let legacy = self.open.as_ref().map(|open| open.held.legacy(&open.plan.address, true));
        legacy.transpose()
    }

    /// Answers from now on for the file that another process made, and lets go of what is not used.
    pub fn settle(&mut self) {
        if let Some(unused) = self.inherited.take() {
            unused.discard();
        }
        if let Some(open) = &mut self.open
            && open.held.settle()
        {
            open.set_mode();
        }
    }

    /// Leaves its file to another process.
    pub fn leave_file(&mut self) {
        if let Some(open) = &mut self.open {
            open.held.leave_file();
        }
    }
}

impl Open {
    fn set_mode(&self) {
        let Address::Unix(path) = &self.held.bound.address else { return };
        let permissions = Permissions::from_mode(self.plan.mode);
        if let Err(error) = std::fs::set_permissions(path, permissions) {
            tracing::error!(%error, path = %path.display(), "cannot set the socket's mode");
        }
    }
}
