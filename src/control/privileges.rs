//! From root to an ordinary user, once the listeners are open.
//!
//! Capabilities and user ids belong to threads (capabilities(7)): this is done while there is one,
//! and those that it starts inherit what is left. What is left is CAP_NET_BIND_SERVICE, so that a
//! reload may open a listener on a port below 1024, and a new process that takes over may too.

use std::path::Path;

use nix::unistd::{Group, User};
use rustix::fs::{AtFlags, CWD, chownat};
use rustix::process::geteuid;
use rustix::thread::{
    CapabilitySet, CapabilitySets, Gid, Uid, capabilities, configure_capability_in_ambient_set,
    set_capabilities, set_keep_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use crate::plan::Account;

/// What is kept of root's might.
const KEPT: CapabilitySet = CapabilitySet::NET_BIND_SERVICE;

/// An account that exists.
#[derive(Debug)]
pub struct Ids {
    uid: Uid,
    gid: Gid,
    /// All of the user's groups.
    groups: Vec<Gid>,
}

/// Looks up whom to become: nobody, where there is no `account`, or where this is no root, who
/// alone could. That is usual where a service manager has done it already.
///
/// # Errors
/// A sentence with the remedy where there is no such user or group.
pub fn look_up(account: Option<&Account>) -> Result<Option<Ids>, String> {
    let Some(account) = account else { return Ok(None) };
    if !geteuid().is_root() {
        let runs_as = User::from_uid(geteuid().as_raw().into()).ok().flatten();
        if runs_as.is_none_or(|user| user.name != account.user) {
            tracing::warn!(user = account.user, "`user` is ignored: only root can become another");
        }
        return Ok(None);
    }
    let Account { user: name, group } = account;
    let user = User::from_name(name)
        .map_err(|error| format!("cannot look up the user `{name}`: {error}"))?
        .ok_or_else(|| {
            format!(
                "there is no user `{name}`; make one (useradd --system {name}), or change `user` \
                 in the configuration"
            )
        })?;
    let gid = match group {
        None => user.gid,
        Some(name) => {
            Group::from_name(name)
                .map_err(|error| format!("cannot look up the group `{name}`: {error}"))?
                .ok_or_else(|| {
                    format!(
                        "there is no group `{name}`; make one (groupadd --system {name}), or \
                         change `group` in the configuration"
                    )
                })?
                .gid
        }
    };
    let c_name = std::ffi::CString::new(name.as_str()).map_err(|error| error.to_string())?;
    let groups = nix::unistd::getgrouplist(&c_name, gid)
        .map_err(|error| format!("cannot look up the groups of `{name}`: {error}"))?;
    Ok(Some(Ids {
        uid: Uid::from_raw(user.uid.as_raw()),
        gid: Gid::from_raw(gid.as_raw()),
        groups: groups.into_iter().map(|gid| Gid::from_raw(gid.as_raw())).collect(),
    }))
}

impl Ids {
    /// Gives them these files of sockets, for whom their modes are meant, and of logs.
    pub fn own<'a>(&self, files: impl Iterator<Item = &'a Path>) {
        for file in files {
            let (uid, gid) = (Some(self.uid), Some(self.gid));
            if let Err(error) = chownat(CWD, file, uid, gid, AtFlags::SYMLINK_NOFOLLOW) {
                tracing::warn!(%error, file = %file.display(), "the file stays root's");
            }
        }
    }

    /// Becomes this user for good. There must be one thread only.
    ///
    /// # Errors
    /// A sentence; the process must not go on then.
    pub fn become_them(&self) -> Result<(), String> {
        self.change().map_err(|error| {
            format!(
                "cannot become user {} with group {}: {error}; start it as that user, with \
                 CAP_NET_BIND_SERVICE for ports below 1024",
                self.uid.as_raw(),
                self.gid.as_raw()
            )
        })
    }

    fn change(&self) -> rustix::io::Result<()> {
        // A container may have taken it away already.
        let kept = KEPT & capabilities(None)?.permitted;
        set_keep_capabilities(true)?;
        set_thread_groups(&self.groups)?;
        set_thread_res_gid(self.gid, self.gid, self.gid)?;
        set_thread_res_uid(self.uid, self.uid, self.uid)?;
        set_keep_capabilities(false)?;
        let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: kept };
        set_capabilities(None, sets)?;
        if !kept.is_empty() {
            // For the program that an upgrade starts.
            configure_capability_in_ambient_set(kept, true)?;
        }
        set_no_new_privs(true)
    }
}
