//! What holds in a block: what it says itself, else what the blocks around it say.

use super::tree::Directive;

/// A block and those around it, the innermost last.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope<'t> {
    levels: Vec<&'t [Directive]>,
}

impl<'t> Scope<'t> {
    /// A block in this one.
    pub fn inside(&self, block: &'t [Directive]) -> Scope<'t> {
        let mut levels = self.levels.clone();
        levels.push(block);
        Scope { levels }
    }

    /// What the block itself says under this name.
    pub fn own(&self, name: &'t str) -> impl Iterator<Item = &'t Directive> + use<'t> {
        self.block().iter().filter(move |directive| directive.is(name))
    }

    /// All that the block itself says.
    pub fn block(&self) -> &'t [Directive] {
        self.levels.last().copied().unwrap_or_default()
    }

    /// What the innermost block says that says any of these: lists are replaced as a whole, never
    /// added to, which is nginx's rule for all of them.
    pub fn nearest(&self, names: &[&str]) -> Vec<&'t Directive> {
        let said = |level: &&'t [Directive]| -> Vec<&'t Directive> {
            let among = |directive: &&Directive| names.contains(&directive.name.text.as_str());
            level.iter().filter(among).collect()
        };
        self.levels.iter().rev().map(said).find(|said| !said.is_empty()).unwrap_or_default()
    }

    /// The one directive of this name that holds.
    pub fn one(&self, name: &str) -> Option<&'t Directive> {
        self.nearest(&[name]).first().copied()
    }

    /// Its first argument; empty if there is none.
    pub fn value(&self, name: &str) -> &'t str {
        self.one(name).map_or("", |directive| directive.argument(0))
    }

    /// Whether it is `on`.
    pub fn is_on(&self, name: &str) -> bool {
        self.value(name) == "on"
    }

    /// All `set`s of this variable in the blocks around here, and in `if`s there.
    pub fn all_sets(&self, name: &str) -> Vec<&'t Directive> {
        let levels = self.levels.iter();
        let lines = levels.flat_map(|level| level.iter()).flat_map(|directive| {
            let inner = if directive.is("if") { directive.children() } else { &[] };
            std::iter::once(directive).chain(inner)
        });
        lines.filter(|directive| is_set(directive, name)).collect()
    }

    /// The `set`s of this variable in the blocks around here, and how many more there are in
    /// blocks inside of those, where they may or may not run.
    pub fn sets(&self, name: &str) -> (Vec<&'t Directive>, usize) {
        let mut plain = Vec::new();
        let mut nested = 0;
        // Only servers and locations hold any.
        for level in self.levels.iter().rev() {
            plain.extend(level.iter().filter(|directive| is_set(directive, name)));
            let branches = level.iter().filter(|directive| directive.is("if"));
            nested +=
                branches.flat_map(|branch| branch.children()).filter(|d| is_set(d, name)).count();
        }
        (plain, nested)
    }
}

fn is_set(directive: &Directive, name: &str) -> bool {
    let variable = directive.argument(0).strip_prefix('$').unwrap_or_default();
    directive.is("set") && variable.eq_ignore_ascii_case(name)
}
