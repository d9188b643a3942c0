//! The names that a configuration defines for its own texts.
//!
//! A text may use a name that stands further down, or in another file, so a name gets its number
//! when it is first seen, and whether anything defines it is looked at in the end.

use std::cell::{Cell, RefCell};

use super::complaint::{Complaints, suggest};
use super::source::Spot;
use crate::plan::{Matcher, Term};
use crate::route::Expression;

/// All names, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: RefCell<Vec<Known>>,
    /// Whether a text asks for what a group matched.
    groups: Cell<bool>,
}

#[derive(Debug)]
struct Known {
    name: String,
    defined: bool,
    used: Vec<Spot>,
}

impl Names {
    fn number(&self, name: &str, note: impl FnOnce(&mut Known)) -> u32 {
        let mut known = self.known.borrow_mut();
        let found = known.iter().position(|known| known.name == name);
        let at = found.unwrap_or_else(|| {
            let name = name.to_owned();
            known.push(Known { name, defined: false, used: Vec::new() });
            known.len() - 1
        });
        note(&mut known[at]);
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    /// The number of a name, in lower case, that a text uses.
    pub fn used(&self, name: &str, spot: Spot) -> u32 {
        self.number(name, |known| known.used.push(spot))
    }

    /// The number of a name that is defined, in any case.
    pub fn defined(&self, name: &str) -> u32 {
        self.number(&name.to_ascii_lowercase(), |known| known.defined = true)
    }

    /// Takes note that a text asks for a group by its number.
    pub fn ask_for_groups(&self) {
        self.groups.set(true);
    }

    /// An expression whose groups may be asked for; it defines the names of those that have one.
    pub fn matcher(&self, expression: &Expression) -> Matcher {
        let names = expression.names().map(|(group, name)| (group, self.defined(name)));
        Matcher { names: names.collect(), expression: expression.clone() }
    }

    /// The same, if it has groups and somebody asks for any.
    pub fn asked_for(&self, expression: &Expression) -> Option<Matcher> {
        let matcher = self.matcher(expression);
        let known = self.known.borrow();
        let used = |&(_, number): &(usize, u32)| !known[number as usize].used.is_empty();
        let asked = self.groups.get() || matcher.names.iter().any(used);
        (asked && expression.groups() > 0).then_some(matcher)
    }

    /// Complains of names that texts use and nothing defines.
    pub fn check(&self, complaints: &Complaints) {
        let known = self.known.borrow();
        let defined = known.iter().filter(|known| known.defined).map(|known| known.name.as_str());
        let all: Vec<&str> = defined.chain(Term::NAMES.iter().copied()).collect();
        for Known { name, used, .. } in known.iter().filter(|known| !known.defined) {
            for spot in used {
                let what = format!("there is no variable `${name}`");
                let remedy = suggest(name, all.iter().copied(), "there are");
                complaints.error(*spot, what, remedy);
            }
        }
    }
}
