//! What the running kernel's io_uring can do.

use std::fmt;
use std::io;

use rustix::io::Errno;

use super::sys::uring;

/// A set of ring features that arrived together; the higher, the fewer system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Linux 5.8: one-shot operations, waits limited by a TIMEOUT operation.
    V5_8,
    /// Linux 5.19: COOP_TASKRUN, provided buffer rings.
    V5_19,
    /// Linux 6.1: SINGLE_ISSUER and DEFER_TASKRUN, multishot accept and receive.
    V6_1,
}

impl Tier {
    /// The best tier of the running kernel, not above `ceiling`, found by setting up a small ring
    /// of each.
    ///
    /// # Errors
    /// Why not even the lowest one works.
    pub fn probe(ceiling: Option<Tier>) -> Result<Tier, Unavailable> {
        let ceiling = ceiling.unwrap_or(Tier::V6_1);
        let mut failure = None;
        for tier in [Tier::V6_1, Tier::V5_19, Tier::V5_8] {
            if tier > ceiling {
                continue;
            }
            match uring::probe(tier) {
                Ok(()) => return Ok(tier),
                Err(error) => failure = Some(error),
            }
        }
        Err(Unavailable::from_error(failure.unwrap_or_else(|| Errno::NOSYS.into())))
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tier::V5_8 => "5.8",
            Tier::V5_19 => "5.19",
            Tier::V6_1 => "6.1",
        })
    }
}

/// Why there is no ring; each with its remedy in `Display`.
#[derive(Debug)]
pub enum Unavailable {
    /// `kernel.io_uring_disabled` is 1 or 2.
    Sysctl(u8),
    /// A seccomp filter (a container's, a service's) refuses the system call.
    Seccomp,
    /// The kernel is too old, or built without io_uring.
    Kernel(String),
    /// RLIMIT_MEMLOCK is too low.
    Memlock,
    /// RLIMIT_NOFILE is too low.
    OpenFiles,
    /// Anything else.
    Other(io::Error),
}

impl Unavailable {
    /// Sorts an error of io_uring_setup(2).
    pub fn from_error(error: io::Error) -> Unavailable {
        match Errno::from_io_error(&error) {
            Some(Errno::PERM) => match sysctl_disabled() {
                0 => Unavailable::Seccomp,
                level => Unavailable::Sysctl(level),
            },
            Some(Errno::NOSYS | Errno::INVAL) => Unavailable::Kernel(kernel_release()),
            Some(Errno::NOMEM) => Unavailable::Memlock,
            Some(Errno::MFILE | Errno::NFILE) => Unavailable::OpenFiles,
            _ => Unavailable::Other(error),
        }
    }
}

fn sysctl_disabled() -> u8 {
    let text = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

fn kernel_release() -> String {
    let name = rustix::system::uname();
    name.release().to_string_lossy().into_owned()
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unavailable::Sysctl(level) => write!(
                f,
                "io_uring is switched off by kernel.io_uring_disabled = {level}; \
                 run: sysctl -w kernel.io_uring_disabled=0"
            ),
            Unavailable::Seccomp => write!(
                f,
                "io_uring is refused (EPERM), most likely by a seccomp filter; allow \
                 io_uring_setup, io_uring_enter and io_uring_register in it (Docker: a seccomp \
                 profile of your own)"
            ),
            Unavailable::Kernel(release) => write!(
                f,
                "this kernel ({release}) offers no usable io_uring, or a seccomp filter hides it; \
                 run Linux 5.8 or newer and allow io_uring_setup, io_uring_enter, io_uring_register"
            ),
            Unavailable::Memlock => write!(
                f,
                "the limit on locked memory is too low for the rings; raise it: ulimit -l 8192, or \
                 LimitMEMLOCK=8M in the service unit"
            ),
            Unavailable::OpenFiles => write!(
                f,
                "the limit on open files is too low for the rings; raise it: ulimit -n 65536, or \
                 LimitNOFILE=65536 in the service unit"
            ),
            Unavailable::Other(error) => write!(
                f,
                "io_uring could not be set up: {error}; see the kernel log (dmesg) for the reason"
            ),
        }
    }
}

impl std::error::Error for Unavailable {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forced_tier_is_a_ceiling() {
        let best = Tier::probe(None).expect("tests need io_uring");
        for ceiling in [Tier::V5_8, Tier::V5_19, Tier::V6_1] {
            assert_eq!(Tier::probe(Some(ceiling)).unwrap(), ceiling.min(best));
        }
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        let sentence = |errno: Errno| Unavailable::from_error(errno.into()).to_string();
        assert!(sentence(Errno::NOMEM).contains("ulimit -l"));
        assert!(sentence(Errno::MFILE).contains("ulimit -n"));
        assert!(sentence(Errno::NOSYS).contains("Linux 5.8"));
        let refused = sentence(Errno::PERM);
        assert!(refused.contains("seccomp") || refused.contains("sysctl -w"), "{refused}");
    }
}
