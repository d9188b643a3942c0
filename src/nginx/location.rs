//! The locations of a server, as one list: nested ones taken out of those around them.

use super::scope::Scope;
use super::texts;
use super::tree::{Directive, Place, Word};
use super::work::Work;

/// How a location is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A path that begins so.
    Prefix,
    /// The same, `^~`: found before expressions.
    First,
    /// `=`: this path alone.
    Exact,
    /// `~` and `~*`
    Regex,
    /// `@name`: by name only.
    Named,
}

/// A location, or a server in so far as none of its locations fits.
#[derive(Clone, Debug)]
pub(super) struct Location<'t> {
    pub kind: Kind,
    /// What it matches, as written.
    pub path: String,
    /// The same in the text that comes out: a path or an expression.
    pub pattern: String,
    pub place: Place,
    pub scope: Scope<'t>,
    /// Whether it is only the server itself.
    pub is_server: bool,
    /// The path that it must begin with for an expression to be looked for in it: that of the
    /// location around it.
    pub within: Option<String>,
    /// The path of the location whose `alias` holds here; `None`: there is no `alias`.
    pub alias_of: Option<String>,
    /// What is around it, where it is the block of an `if` in a location.
    around: Option<Scope<'t>>,
    /// The locations around it, the outermost first.
    parents: Vec<Around>,
}

/// A location around another.
#[derive(Clone, Debug)]
struct Around {
    kind: Kind,
    path: String,
    place: Place,
}

impl Location<'_> {
    /// The path that `alias` stands for, if that is not the location's own.
    pub fn alias_path(&self) -> Option<String> {
        let of = self.alias_of.as_ref().filter(|path| **path != self.path);
        of.map(|path| encoded(path))
    }

    fn depth(&self) -> usize {
        self.parents.len()
    }

    /// Whether it is found by how paths begin.
    fn is_prefix(&self) -> bool {
        matches!(self.kind, Kind::Prefix | Kind::First)
    }

    fn is_in(&self, place: Place) -> bool {
        self.parents.iter().any(|around| around.place == place)
    }

    /// Its place, or that of the outermost around it.
    fn outermost(&self) -> Place {
        self.parents.first().map_or(self.place, |around| around.place)
    }
}

impl<'t> Location<'t> {
    /// The block of an `if` in this location, which holds in place of it.
    pub fn branch(&self, directive: &'t Directive) -> Location<'t> {
        let has_root = directive.children().iter().any(|inner| inner.is("root"));
        Location {
            alias_of: self.alias_of.clone().filter(|_| !has_root),
            place: directive.place(),
            scope: self.scope.inside(directive.children()),
            around: Some(self.scope.clone()),
            ..self.clone()
        }
    }

    /// Its `proxy_pass`. A location does not take that of the one around it, but an `if` does.
    pub fn proxy_pass(&self) -> Option<&'t Directive> {
        let around = || self.around.as_ref()?.own("proxy_pass").next();
        self.scope.own("proxy_pass").next().or_else(around).filter(|_| !self.is_server)
    }

    /// Whether it is the block of an `if` that says this itself.
    pub fn is_branch_with(&self, name: &'t str) -> bool {
        self.around.is_some() && self.scope.own(name).next().is_some()
    }
}

/// The locations of the server whose block is the innermost of `server`.
pub(super) fn all<'t>(server: &Scope<'t>, place: Place, work: &Work<'_>) -> Vec<Location<'t>> {
    let mut found = Vec::new();
    collect(server, None, &mut found, work);
    refuse_hidden(&found, work);
    nested_expressions(&mut found, work);
    let is_root = |one: &Location<'_>| one.is_prefix() && one.path == "/";
    if !found.iter().any(is_root) {
        found.push(Location {
            kind: Kind::Prefix,
            path: "/".to_owned(),
            pattern: "/".to_owned(),
            place,
            scope: server.clone(),
            is_server: true,
            within: None,
            alias_of: None,
            around: None,
            parents: Vec::new(),
        });
    }
    refuse_twins(&found, work);
    // Expressions inside of others come before those around them.
    let (mut regexes, mut others): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|one| one.kind == Kind::Regex);
    regexes.sort_by_key(|one| std::cmp::Reverse(one.depth()));
    others.extend(regexes);
    others
}

fn refuse_twins(found: &[Location<'_>], work: &Work<'_>) {
    for (at, one) in found.iter().enumerate() {
        let kind = |kind| if kind == Kind::First { Kind::Prefix } else { kind };
        let is_twin = |other: &Location<'_>| {
            kind(other.kind) == kind(one.kind)
                && (&other.pattern, &other.within) == (&one.pattern, &one.within)
        };
        if found[..at].iter().any(is_twin) {
            let what = format!("there is already a location `{}`", one.path);
            work.complaints.error(one.place, what, "keep one");
        }
    }
}

/// nginx looks among all locations of a block for the longest that fits, and only then inside of
/// that: who is inside of a shorter one is never found.
fn refuse_hidden(found: &[Location<'_>], work: &Work<'_>) {
    for one in found.iter().filter(|one| one.is_prefix() || one.kind == Kind::Exact) {
        for (depth, around) in one.parents.iter().enumerate() {
            let beside = |other: &&Location<'_>| {
                let same_block = other.depth() == depth
                    && other.parents.iter().zip(&one.parents).all(|(a, b)| a.place == b.place);
                let longer = other.path.len() > around.path.len();
                same_block && other.is_prefix() && longer && one.path.starts_with(&other.path)
            };
            let Some(other) = found.iter().find(beside) else { continue };
            let what = format!(
                "no request comes to this location: `{}` is longer than `{}` around it",
                other.path, around.path
            );
            work.complaints.error(one.place, what, "move it out, or remove it");
        }
    }
}

fn collect<'t>(
    around: &Scope<'t>,
    parent: Option<&Location<'t>>,
    found: &mut Vec<Location<'t>>,
    work: &Work<'_>,
) {
    for directive in around.own("location") {
        let Some(location) = read(directive, around, parent, work) else { continue };
        if let Some(parent) = parent
            && !fits_inside(&location, parent, work)
        {
            continue;
        }
        let scope = location.scope.clone();
        found.push(location.clone());
        collect(&scope, Some(&location), found, work);
    }
}

fn read<'t>(
    directive: &'t Directive,
    around: &Scope<'t>,
    parent: Option<&Location<'t>>,
    work: &Work<'_>,
) -> Option<Location<'t>> {
    let (kind, any_case, word) = kind_and_path(directive, work)?;
    let path = word.text.clone();
    let pattern = match kind {
        Kind::Named => path.clone(),
        Kind::Regex => texts::expression(&word, &path, any_case, work.complaints)?,
        _ if !path.starts_with('/') => {
            let what = format!("the location `{path}` matches nothing: paths begin with `/`");
            work.complaints.error(word.place, what, format!("did you mean `/{path}`?"));
            return None;
        }
        _ => encoded(&path),
    };
    let scope = around.inside(directive.children());
    let place = directive.place();
    let own = directive.children().iter().find(|one| one.is("root") || one.is("alias"));
    let alias_of = match own {
        Some(own) => own.is("alias").then(|| path.clone()),
        None => parent.and_then(|parent| parent.alias_of.clone()),
    };
    let mut parents = parent.map(|parent| parent.parents.clone()).unwrap_or_default();
    parents.extend(parent.map(|parent| Around {
        kind: parent.kind,
        path: parent.path.clone(),
        place: parent.place,
    }));
    let within = parents.last().map(|parent| encoded(&parent.path));
    let within = within.filter(|path| kind == Kind::Regex && path != "/");
    let (is_server, around) = (false, None);
    Some(Location {
        kind,
        path,
        pattern,
        place,
        scope,
        is_server,
        within,
        alias_of,
        around,
        parents,
    })
}

/// The modifier may be glued to the path: `=/x`, `~\.php$`.
fn kind_and_path(directive: &Directive, work: &Work<'_>) -> Option<(Kind, bool, Word)> {
    let known = [
        ("^~", Kind::First, false),
        ("~*", Kind::Regex, true),
        ("~", Kind::Regex, false),
        ("=", Kind::Exact, false),
    ];
    let first = directive.arguments.first()?;
    if let Some(path) = directive.arguments.get(1) {
        let Some(found) = known.iter().find(|(modifier, ..)| *modifier == first.text) else {
            let what = format!("`{}` is no modifier of a location", first.text);
            work.complaints.error(first.place, what, "there are =, ^~, ~ and ~*");
            return None;
        };
        return Some((found.1, found.2, path.clone()));
    }
    if first.text.starts_with('@') {
        return Some((Kind::Named, false, first.clone()));
    }
    for (modifier, kind, any_case) in known {
        if let Some(path) = first.text.strip_prefix(modifier) {
            return Some((kind, any_case, Word { text: path.to_owned(), ..first.clone() }));
        }
    }
    Some((Kind::Prefix, false, first.clone()))
}

/// Whether nginx, and this translation, let it stand there.
fn fits_inside(location: &Location<'_>, parent: &Location<'_>, work: &Work<'_>) -> bool {
    let refuse = |what: String, remedy: &str| {
        work.complaints.error(location.place, what, remedy);
        false
    };
    match (parent.kind, location.kind) {
        (_, Kind::Named) => refuse(
            format!("the location `{}` is in another", location.path),
            "named locations belong into the server",
        ),
        (Kind::Exact | Kind::Named, _) => {
            refuse(format!("nothing can be in the location `{}`", parent.path), "move it out")
        }
        (Kind::Regex, _) => refuse(
            format!("a location in that of the expression `{}` is not honoured", parent.path),
            "move it out, and write the whole path or expression",
        ),
        (_, Kind::Regex) => true,
        _ if location.path.starts_with(&parent.path) => true,
        _ => refuse(
            format!("the location `{}` is outside of `{}`", location.path, parent.path),
            "move it out, or begin it with that path",
        ),
    }
}

/// An expression in a location is only looked at where that location is the longest that fits, or
/// around that; and `^~` counts where it is said of the outermost, but for expressions that are in
/// between. Here all locations are side by side.
fn nested_expressions(found: &mut [Location<'_>], work: &Work<'_>) {
    let kinds: Vec<(Place, Kind)> = found.iter().map(|one| (one.place, one.kind)).collect();
    let written = |place: Place| {
        kinds.iter().find(|(known, _)| *known == place).map_or(Kind::Prefix, |(_, kind)| *kind)
    };
    for one in found.iter_mut().filter(|one| one.is_prefix()) {
        one.kind = written(one.outermost());
    }
    let nested: Vec<Location<'_>> =
        found.iter().filter(|one| one.kind == Kind::Regex && one.depth() > 0).cloned().collect();
    for regex in nested {
        let (Some(outer), outermost) = (regex.parents.last(), regex.outermost()) else { continue };
        let keeps_it = |one: &&Location<'_>| {
            let longer = one.is_prefix() && one.path.len() > outer.path.len();
            let below = one.parents.iter().skip_while(|around| around.place != outer.place).skip(1);
            // From the one inside of `outer` that this is, or is in, no expression is asked.
            let first = written(one.place) == Kind::First
                || below.into_iter().any(|around| around.kind == Kind::First);
            longer && one.path.starts_with(&outer.path) && (first || !one.is_in(outer.place))
        };
        let kept = found.iter().any(|one| keeps_it(&one));
        let is_first = written(outermost) == Kind::First;
        let others = |one: &Location<'_>| one.kind == Kind::Regex && one.depth() == 0;
        if kept || (is_first && found.iter().any(others)) {
            let (path, outer) = (&regex.path, &outer.path);
            let what = format!("the expression `{path}` in the location `{outer}` is not honoured");
            let remedy = "move it out of the location, with the path at its beginning";
            work.complaints.error(regex.place, what, remedy);
        } else if is_first {
            for one in found.iter_mut().filter(|one| one.outermost() == outermost) {
                one.kind = if one.kind == Kind::First { Kind::Prefix } else { one.kind };
            }
        }
    }
}

/// A path as requests have it: what has a meaning there is percent-encoded.
fn encoded(path: &str) -> String {
    let encode = |byte: u8| match byte {
        b'%' | b'?' | b'#' | b'*' => format!("%{byte:02X}"),
        byte if byte.is_ascii_graphic() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    path.bytes().map(encode).collect()
}
