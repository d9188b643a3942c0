//! A route that is closed for a while.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::guard::Access;

/// `maintenance`.
#[derive(Clone, Debug)]
pub struct MaintenancePlan {
    /// When; `None`: now.
    pub when: Option<Switch>,
    /// The page.
    pub page: Page,
    /// After so many seconds it may be over.
    pub retry_after: Option<u64>,
    /// Who is served all the same.
    pub allow: Option<Access>,
}

impl MaintenancePlan {
    /// Whether the route is closed for whom `allow` does not name.
    pub fn is_on(&self) -> bool {
        self.when.as_ref().is_none_or(Switch::is_on)
    }
}

/// What people see meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The `Content-Type`.
    pub content_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// On while a file exists. Whoever watches the file turns it, and shards read it without asking
/// the file system: it is the one thing in a plan that changes.
#[derive(Clone, Debug)]
pub struct Switch {
    /// The file.
    pub path: PathBuf,
    on: Arc<AtomicBool>,
}

impl Switch {
    /// Of a file that exists already, or not.
    pub fn new(path: PathBuf, on: bool) -> Switch {
        Switch { path, on: Arc::new(AtomicBool::new(on)) }
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Turns it; says whether it was the other way before.
    pub fn turn(&self, on: bool) -> bool {
        self.on.swap(on, Ordering::Relaxed) != on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_one_for_all_who_have_it() {
        let switch = Switch::new("x".into(), false);
        let other = switch.clone();
        assert!(!other.is_on() && switch.turn(true) && !switch.turn(true) && other.is_on());
        assert!(other.turn(false) && !switch.is_on());
    }
}
