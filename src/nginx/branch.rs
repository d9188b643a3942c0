//! Blocks that answer in place of the location that they are in: `if` with more than steps, and
//! `proxy_pass` with a variable that may have one of several values.

use super::location::Location;
use super::scope::Scope;
use super::steps::{NAMES, final_return};
use super::target::{self, Target};
use super::texts::{Piece, is_plain, pieces};
use super::toml;
use super::tree::{Directive, Word};
use super::work::Work;

/// A route that answers in place of a location's.
pub(super) struct Variant<'t> {
    pub name: String,
    pub location: Location<'t>,
    /// Where its `proxy_pass` leads, if a variable says so.
    pub target: Option<Target>,
}

/// Whether an `if` does more than to take steps.
pub(super) fn has_settings(directive: &Directive) -> bool {
    let is_setting = |inner: &Directive| {
        let name = inner.name.text.as_str();
        !NAMES.contains(&name) && super::is_honoured(name)
    };
    directive.children().iter().any(is_setting)
}

/// The name of the route that an `if` makes.
pub(super) fn name(directive: &Directive, work: &Work<'_>) -> String {
    short(&format!("if {}", work.origin(directive.place())))
}

/// As much of a name, from its end, as a route's may have.
fn short(name: &str) -> String {
    let skipped = name.chars().count().saturating_sub(100);
    name.chars().skip(skipped).collect()
}

/// What a variable in a `proxy_pass` may be.
pub(super) struct Choices {
    /// The variable, as written.
    variable: String,
    /// Its values, the names of routes, and where they lead.
    values: Vec<(String, String, Target)>,
}

impl Choices {
    /// The steps that choose.
    pub fn steps(&self) -> Vec<String> {
        let variable = toml::text(&self.variable);
        let step = |(value, name, _): &(String, String, Target)| {
            let (value, name) = (toml::text(value), toml::text(&format!("@{name}")));
            format!("{{ if = {variable}, is = {value}, then = [{{ answer_by = {name} }}] }}")
        };
        self.values.iter().map(step).collect()
    }
}

/// The routes that may answer in place of a location's.
pub(super) fn variants<'t>(
    location: &Location<'t>,
    choices: Option<&Choices>,
    work: &Work<'_>,
) -> Vec<Variant<'t>> {
    let block = location.scope.block();
    let end = final_return(block).map_or(block.len(), |end| {
        block.iter().position(|one| std::ptr::eq(one, end)).unwrap_or(block.len())
    });
    let branches = block[..end].iter().filter(|one| one.is("if") && has_settings(one));
    let of_branch = |directive: &'t Directive| {
        let own = directive.children().iter().any(|inner| inner.is("proxy_pass"));
        if choices.is_some() && !own {
            let why = "which server it is about is only known when a request comes";
            work.refuse(directive, why, "write the `proxy_pass` into it as well");
        }
        Variant { name: name(directive, work), location: location.branch(directive), target: None }
    };
    let mut variants: Vec<Variant<'t>> = branches.map(of_branch).collect();
    let values = choices.iter().flat_map(|choices| &choices.values);
    variants.extend(values.map(|(_, name, target)| Variant {
        name: name.clone(),
        location: location.clone(),
        target: Some(target.clone()),
    }));
    variants
}

/// Where a `proxy_pass` may lead whose server is a variable with known values; `None` where it is
/// not, or cannot be.
pub(super) fn choices(location: &Location<'_>, work: &Work<'_>) -> Option<Choices> {
    let directive = location.proxy_pass()?;
    let word = directive.arguments.first()?;
    let scope = &location.scope;
    let text = target::resolved(word, scope);
    let found = pieces(target::server_of(&text)).into_iter().find_map(|piece| match piece {
        Piece::Variable(name, written) => Some((name.to_owned(), written.to_owned())),
        _ => None,
    });
    let (name, variable) = found?;
    let values = values(&name, scope, work)?;
    let set_here = scope.own("set").chain(branch_sets(scope)).any(|set| is_set(set, &name));
    if set_here {
        let why = "its variable gets one of several values in the same location";
        work.refuse(directive, why, "set it in the server, or by a `map`");
        return Some(Choices { variable, values: Vec::new() });
    }
    let mut found = Vec::new();
    for (number, value) in values.into_iter().enumerate() {
        let text = text.replacen(&variable, &value, 1);
        let word = Word { text, ..word.clone() };
        // What is wrong with one is told.
        if let Some(target) = target::read_word(&word, false, scope, work) {
            let place = format!("{} to {}", work.origin(directive.place()), number + 1);
            found.push((value, short(&place), target));
        }
    }
    Some(Choices { variable, values: found })
}

fn branch_sets<'t>(scope: &Scope<'t>) -> impl Iterator<Item = &'t Directive> {
    scope.own("if").flat_map(|branch| branch.children())
}

fn is_set(directive: &Directive, name: &str) -> bool {
    let variable = directive.argument(0).strip_prefix('$').unwrap_or_default();
    directive.is("set") && variable.eq_ignore_ascii_case(name)
}

/// All values that a variable may have by `set` around here, or else by a `map`; `None` where they
/// are not known.
fn values(name: &str, scope: &Scope<'_>, work: &Work<'_>) -> Option<Vec<String>> {
    let mut values: Vec<String> = Vec::new();
    let mut add = |value: &str| {
        if !value.is_empty() && !values.iter().any(|known| known == value) {
            values.push(value.to_owned());
        }
        is_plain(value)
    };
    let mut known = true;
    for set in scope.all_sets(name) {
        known &= add(set.argument(1));
    }
    let is_it = |map: &&Directive| {
        let variable = map.argument(1).strip_prefix('$').unwrap_or_default();
        variable.eq_ignore_ascii_case(name)
    };
    for map in work.http.own("map").filter(is_it) {
        for line in map.children().iter().filter(|line| !line.arguments.is_empty()) {
            known &= add(line.argument(0));
        }
    }
    (known && !values.is_empty()).then_some(values)
}
