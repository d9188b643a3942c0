//! What is written about each request, and where.

mod format;
mod variable;

use std::fmt;
use std::path::PathBuf;

pub use format::{Escape, FIELDS_MAX, FormatError, LogFormat, Segment};
pub use variable::Variable;

/// `[access_log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogPlan {
    /// What a line says.
    pub format: LogFormat,
    /// Where lines go.
    pub to: LogTarget,
    /// Where lines go of routes that say these names.
    pub more: Vec<(String, LogTarget)>,
    /// Of which requests there are lines.
    pub sample: Sample,
    /// Lines are passed on in blocks of about so many bytes, or each second.
    pub buffer: usize,
}

impl AccessLogPlan {
    /// The size of a block where nothing else is said, bytes.
    pub const BUFFER: usize = 64 << 10;

    /// The name that `to` has for routes.
    pub const MAIN: &str = "main";

    /// All that is written to: `to`, which routes know as number 0, and the others.
    pub fn targets(&self) -> impl Iterator<Item = &LogTarget> {
        std::iter::once(&self.to).chain(self.more.iter().map(|(_, target)| target))
    }

    /// The number of the target of this name.
    pub fn number(&self, name: &str) -> Option<usize> {
        let more = || self.more.iter().position(|(known, _)| known == name).map(|at| at + 1);
        if name == AccessLogPlan::MAIN { Some(0) } else { more() }
    }
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Behind what is in this file.
    File(PathBuf),
    /// The process's standard output.
    Stdout,
    /// A syslog daemon, at this datagram socket.
    Syslog(PathBuf),
}

impl LogTarget {
    /// Where the machine's syslog daemon listens.
    pub const DEV_LOG: &str = "/dev/log";
}

impl fmt::Display for LogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogTarget::File(path) => write!(f, "{}", path.display()),
            LogTarget::Stdout => f.write_str("stdout"),
            LogTarget::Syslog(path) => write!(f, "syslog:unix:{}", path.display()),
        }
    }
}

/// The share of requests that are logged, in 2^32nds. A request that failed (a status of 400 or
/// more, or a client that left) is logged in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample(u64);

impl Sample {
    /// Every request.
    pub const ALL: Sample = Sample(1 << 32);

    /// This share of a million.
    pub fn millionths(share: u32) -> Sample {
        Sample((u64::from(share) << 32) / 1_000_000).min(Sample::ALL)
    }

    /// One in so many; 0 is taken for 1.
    pub fn one_in(count: u32) -> Sample {
        Sample((1 << 32) / u64::from(count.max(1)))
    }

    fn min(self, other: Sample) -> Sample {
        Sample(self.0.min(other.0))
    }

    /// Whether a request is among them for which these bits were drawn; of a random number, the
    /// lower half counts.
    pub fn takes(self, bits: u64) -> bool {
        bits & u64::from(u32::MAX) < self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_takes_its_share() {
        let step = u64::from(u32::MAX) / 1000;
        let bits = || (0..1000).map(|n| n * step + step / 2);
        let taken = |sample: Sample| bits().filter(|bits| sample.takes(*bits)).count();
        assert_eq!(taken(Sample::ALL), 1000);
        assert_eq!(taken(Sample::millionths(100_000)), 100);
        assert_eq!(taken(Sample::one_in(4)), 250);
        assert_eq!(taken(Sample::millionths(0)), 0);
        assert_eq!(taken(Sample::millionths(2_000_000)), 1000);
        assert!(Sample::ALL.takes(u64::MAX) && Sample::one_in(1).takes(u64::MAX));
    }
}
