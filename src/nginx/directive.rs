//! Every directive that is known: where it may stand, how many arguments it takes, what becomes of
//! it. `docs/from-nginx.md` lists the same, which a test compares.

mod main;
mod proxy;
mod refused;
mod server;

use super::complaint::nearest;

/// Where a directive may stand; several are added up.
pub(super) type Contexts = u16;

/// Outside of all blocks.
pub(super) const M: Contexts = 1;
/// `events`
pub(super) const E: Contexts = 1 << 1;
/// `http`
pub(super) const H: Contexts = 1 << 2;
/// `server`
pub(super) const S: Contexts = 1 << 3;
/// `location`
pub(super) const L: Contexts = 1 << 4;
/// `upstream`
pub(super) const U: Contexts = 1 << 5;
/// `if` in a server
pub(super) const SIF: Contexts = 1 << 6;
/// `if` in a location
pub(super) const LIF: Contexts = 1 << 7;
/// `limit_except`
pub(super) const LMT: Contexts = 1 << 8;

/// `http`, `server` and `location`, where most may stand.
pub(super) const HSL: Contexts = H | S | L;

/// The contexts and what they are called.
pub(super) const CONTEXTS: [(Contexts, &str); 9] = [
    (M, "the main file, outside of all blocks"),
    (E, "events"),
    (H, "http"),
    (S, "server"),
    (L, "location"),
    (U, "upstream"),
    (SIF, "if in a server"),
    (LIF, "if in a location"),
    (LMT, "limit_except"),
];

/// What becomes of a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is translated.
    Honoured,
    /// Nothing has to be done, and why.
    NotNeeded(&'static str),
    /// It cannot be, why, and what to do instead.
    Refused(&'static str, &'static str),
}

/// What follows a directive's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// The fewest and the most arguments.
    pub least: u8,
    pub most: u8,
    /// Whether it has a block, and otherwise a semicolon.
    pub block: bool,
    /// Whether its argument is `on` or `off`.
    pub flag: bool,
}

const fn args(least: u8, most: u8) -> Shape {
    Shape { least, most, block: false, flag: false }
}

const fn block(least: u8, most: u8) -> Shape {
    Shape { least, most, block: true, flag: false }
}

/// `on` or `off`.
const FLAG: Shape = Shape { least: 1, most: 1, block: false, flag: true };
const NONE: Shape = args(0, 0);
const ONE: Shape = args(1, 1);
const TWO: Shape = args(2, 2);
const SOME: Shape = args(1, u8::MAX);

/// A directive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub name: &'static str,
    pub contexts: Contexts,
    pub shape: Shape,
    pub fate: Fate,
}

const fn yes(name: &'static str, contexts: Contexts, shape: Shape) -> Known {
    Known { name, contexts, shape, fate: Fate::Honoured }
}

const fn idle(name: &'static str, contexts: Contexts, shape: Shape, why: &'static str) -> Known {
    Known { name, contexts, shape, fate: Fate::NotNeeded(why) }
}

const fn no(
    name: &'static str,
    contexts: Contexts,
    shape: Shape,
    why: &'static str,
    instead: &'static str,
) -> Known {
    Known { name, contexts, shape, fate: Fate::Refused(why, instead) }
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Known> {
    [main::TABLE, server::TABLE, proxy::TABLE, refused::TABLE].into_iter().flatten()
}

/// Whole families, by the beginning of their names; what is listed above comes first.
pub(super) const FAMILIES: [(&str, Fate); 9] = [
    ("ssl_", Fate::NotNeeded("it is about `listen … ssl`, which is refused where it stands")),
    ("proxy_ssl_", Fate::NotNeeded("it is about https:// servers, which `proxy_pass` refuses")),
    (
        "proxy_cache_",
        Fate::NotNeeded("it is about `proxy_cache`, which is refused where it stands"),
    ),
    ("fastcgi_", Fate::NotNeeded("it is about `fastcgi_pass`, which is refused where it stands")),
    ("uwsgi_", Fate::NotNeeded("it is about `uwsgi_pass`, which is refused where it stands")),
    ("scgi_", Fate::NotNeeded("it is about `scgi_pass`, which is refused where it stands")),
    ("grpc_", Fate::NotNeeded("it is about `grpc_pass`, which is refused where it stands")),
    ("memcached_", Fate::NotNeeded("it is about `memcached_pass`, refused where it stands")),
    ("http2_", Fate::NotNeeded("it is about HTTP/2, which is refused where it is asked for")),
];

/// What is known of the directive called `name`.
pub(super) fn named(name: &str) -> Option<Known> {
    if let Some(known) = all().find(|known| known.name == name) {
        return Some(*known);
    }
    let (family, fate) = FAMILIES.iter().find(|(start, _)| name.starts_with(start))?;
    let shape = args(0, u8::MAX);
    Some(Known { name: family, contexts: Contexts::MAX, shape, fate: *fate })
}

/// The name that `name` is probably a misspelling of.
pub(super) fn like(name: &str) -> Option<&'static str> {
    nearest(name, all().map(|known| known.name))
}
