//! Cast for the tests: a proxy (the built binary), raw clients, and origins named after how they
//! behave.
//!
//! All of it is blocking sockets and threads, so that a test reads from top to bottom. Nothing
//! sleeps to wait for something: waits are for a condition and end after [`PATIENCE`], and every
//! socket gives up after as long, so no test can hang. The stalls of slow peers go through
//! [`pause`].
//!
//! Environment:
//! - `CORELANE_TEST_TIERS`: ring tiers to run in, comma separated (default: `6.1,5.19,5.8`).
//! - `CORELANE_TEST_BINARY`: a binary to test in place of the one just built.
//! - `CORELANE_TEST_BODIES`, `CORELANE_TEST_SEED`: see `bodies.rs`.
//! - `CORELANE_TEST_CHAOS`: see `chaos.rs`.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the house rules on clocks and locks are for shards"
)]
// Each test file is a crate of its own and uses a part of this.
#![allow(dead_code, unused_imports)]

mod admin;
mod browser;
mod client;
mod confinement;
mod dns;
mod machine;
mod message;
mod mortal;
mod origin;
mod origins;
mod pattern;
mod proxy;
mod reading;
mod recorder;
mod stage;
pub mod strict;
mod usage;
mod waiting;
mod webroot;
mod wire;

pub use admin::{Admin, admin_address, ask, corelane};
pub use browser::{Browser, ENTER, ESCAPE, TAB};
pub use client::Client;
pub use confinement::Confinement;
pub use dns::{Dns, DnsFault};
pub use machine::{alone, free_port, may_open};
pub use message::{Head, Request, Response, chunked, ok, post, response};
pub use mortal::{Death, Mortal};
pub use origin::{Conn, Gate, Heard, Origin, Script};
pub use origins::*;
pub use pattern::{Pattern, Rng};
pub use proxy::{Config, Exit, Proxy, Successor, binary};
pub use reading::{Peer, in_order, request_as_text, response_as_text};
pub use recorder::Recorder;
pub use stage::{Answer, Expected, Saw, Stage, Then, stay};
pub use usage::Usage;
pub use waiting::*;
pub use webroot::Webroot;
pub use wire::{Address, End, Framing, Wire};

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A way of driving the ring; the proxy is told to use it with `ring.tier`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Linux 6.1 and newer.
    V6_1,
    /// Linux 5.19 and newer.
    V5_19,
    /// Linux 5.8 and newer.
    V5_8,
}

impl Tier {
    const ALL: [Tier; 3] = [Tier::V6_1, Tier::V5_19, Tier::V5_8];
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tier::V6_1 => "6.1",
            Tier::V5_19 => "5.19",
            Tier::V5_8 => "5.8",
        })
    }
}

/// The tiers to test, by `CORELANE_TEST_TIERS`.
pub fn tiers() -> Vec<Tier> {
    let Ok(asked) = std::env::var("CORELANE_TEST_TIERS") else { return Tier::ALL.to_vec() };
    let named = |name: &str| {
        Tier::ALL
            .into_iter()
            .find(|tier| tier.to_string() == name)
            .unwrap_or_else(|| panic!("CORELANE_TEST_TIERS: no tier is called {name:?}"))
    };
    asked.split(',').map(str::trim).filter(|name| !name.is_empty()).map(named).collect()
}

/// Runs a test in one tier, unless that tier is not to be tested.
pub fn in_tier(tier: Tier, test: fn(Tier)) {
    if tiers().contains(&tier) {
        test(tier);
    } else {
        println!("skipped: tier {tier} is not among CORELANE_TEST_TIERS");
    }
}

/// Makes each named `fn(Tier)` a test of every tier: `tier_6_1::name`, `tier_5_19::name`,
/// `tier_5_8::name`. A function left out of the list is reported as never used.
#[macro_export]
macro_rules! tiered {
    (@$module:ident $tier:ident $($name:ident)+) => {
        mod $module {
            $(
                #[test]
                fn $name() {
                    $crate::support::in_tier($crate::support::Tier::$tier, super::$name);
                }
            )+
        }
    };
    ($($name:ident),+ $(,)?) => {
        tiered!(@tier_6_1 V6_1 $($name)+);
        tiered!(@tier_5_19 V5_19 $($name)+);
        tiered!(@tier_5_8 V5_8 $($name)+);
    };
}

/// Locks even after a panic elsewhere: the first failure is the one to report.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
