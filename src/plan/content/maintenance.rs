//! A route that is closed for a while.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, LazyLock};

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

/// That of routes which say no more than that they are closed, or not even that.
static USUAL: LazyLock<MaintenancePlan> = LazyLock::new(|| MaintenancePlan {
    when: None,
    page: Page {
        content_type: MaintenancePlan::CONTENT_TYPE.to_owned(),
        bytes: MaintenancePlan::TEXT.as_bytes().to_vec(),
    },
    retry_after: Some(MaintenancePlan::RETRY_AFTER),
    allow: None,
});

impl MaintenancePlan {
    /// What the page says where it is not given.
    pub const TEXT: &str = "Down for maintenance. Please try again in a few minutes.\n";
    /// What that is.
    pub const CONTENT_TYPE: &str = "text/plain; charset=utf-8";
    /// When it may be over, where that is not given: seconds.
    pub const RETRY_AFTER: u64 = 300;

    /// Of a route that is closed by hand and has none of its own.
    pub fn usual() -> &'static MaintenancePlan {
        &USUAL
    }

    /// Whether the route is closed for whom `allow` does not name.
    pub fn is_on(&self) -> bool {
        self.when.as_ref().is_none_or(Switch::is_on)
    }

    /// What it goes by: a file, or `None`, as it is always on.
    pub fn goes_by(&self) -> Option<&Path> {
        self.when.as_ref().map(|switch| switch.path.as_path())
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

/// Whether a route is closed, as somebody has said while it was served, whatever its plan says. All
/// plans have the same one for as long as they agree about the route; see [`Switch`].
#[derive(Clone, Debug, Default)]
pub struct ByHand(Arc<AtomicU8>);

impl ByHand {
    /// What was said, if anything.
    pub fn said(&self) -> Option<bool> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            closed => Some(closed == 2),
        }
    }

    /// Says it; `None`: the plan counts again.
    pub fn say(&self, closed: Option<bool>) {
        self.0.store(closed.map_or(0, |closed| 1 + u8::from(closed)), Ordering::Relaxed);
    }
}

/// On while a file exists. Whoever watches the file turns it, and shards read it without asking
/// the file system: this and [`ByHand`] are all that changes in a plan.
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
    fn what_was_said_by_hand_is_said_to_all() {
        let here = ByHand::default();
        let there = here.clone();
        for said in [Some(true), Some(false), None] {
            here.say(said);
            assert_eq!(there.said(), said);
        }
    }

    #[test]
    fn a_switch_is_one_for_all_who_have_it() {
        let switch = Switch::new("x".into(), false);
        let other = switch.clone();
        assert!(!other.is_on() && switch.turn(true) && !switch.turn(true) && other.is_on());
        assert!(other.turn(false) && !switch.is_on());
    }
}
