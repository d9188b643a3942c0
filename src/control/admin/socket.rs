//! The socket of the admin address: opened, kept, passed on.

use std::fs::Permissions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::control::sockets::Inherited;
use crate::plan::{Address, AdminPlan};
use crate::shard::{self, BindError, Bound, SocketFile};

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
    bound: Bound,
    /// Inherited, and its file with it.
    with_file: bool,
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
        let (bound, with_file) = match self.inherited.take_if(same) {
            Some(Inherited { bound: address, sockets, with_file, .. }) => {
                (Bound { address, sockets, file: None }, with_file)
            }
            None => (shard::bind_alone(&plan.address, plan.mode, BACKLOG)?, false),
        };
        Ok(Step::New(Open { plan: plan.clone(), bound, with_file }))
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
        let Some(socket) = open.bound.sockets.first() else { return Ok(None) };
        Ok(Some((socket.try_clone()?, open.plan.clone())))
    }

    /// Where it listens.
    pub fn address(&self) -> Option<&Address> {
        self.open.as_ref().map(|open| &open.bound.address)
    }

    /// The file of a Unix socket, where that is this process's.
    pub fn file(&self) -> Option<&Path> {
        match self.open.as_ref().filter(|open| open.has_file()).map(|open| &open.bound.address) {
            Some(Address::Unix(path)) => Some(path),
            _ => None,
        }
    }

    /// For another process: the same socket.
    ///
    /// # Errors
    /// Those of dup(2).
    pub fn legacy(&self) -> io::Result<Option<Inherited>> {
        let Some(open) = &self.open else { return Ok(None) };
        let sockets = open.bound.sockets.iter().map(OwnedFd::try_clone);
        Ok(Some(Inherited {
            configured: open.plan.address.clone(),
            bound: open.bound.address.clone(),
            sockets: sockets.collect::<io::Result<_>>()?,
            with_file: open.has_file(),
            admin: true,
        }))
    }

    /// Answers from now on for the file that another process made, and lets go of what is not used.
    pub fn settle(&mut self) {
        if let Some(unused) = self.inherited.take()
            && let (Address::Unix(path), true) = (&unused.bound, unused.with_file)
        {
            drop(SocketFile::bound_at(path));
        }
        let Some(open) = self.open.as_mut().filter(|open| open.with_file) else { return };
        if let Address::Unix(path) = &open.bound.address {
            open.bound.file = SocketFile::bound_at(path).ok();
            open.set_mode();
        }
    }

    /// Leaves its file to another process.
    pub fn leave_file(&mut self) {
        if let Some(file) = self.open.as_mut().and_then(|open| open.bound.file.take()) {
            file.leave();
        }
    }
}

impl Open {
    fn has_file(&self) -> bool {
        self.with_file || self.bound.file.is_some()
    }

    fn set_mode(&self) {
        let Address::Unix(path) = &self.bound.address else { return };
        let permissions = Permissions::from_mode(self.plan.mode);
        if let Err(error) = std::fs::set_permissions(path, permissions) {
            tracing::error!(%error, path = %path.display(), "cannot set the socket's mode");
        }
    }
}
