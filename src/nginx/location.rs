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
    /// What is around it, where it is the block of an `if` in a location.
    around: Option<Scope<'t>>,
    depth: usize,
}

impl<'t> Location<'t> {
    /// The block of an `if` in this location, which holds in place of it.
    pub fn branch(&self, directive: &'t Directive) -> Location<'t> {
        Location {
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
    collect(server, None, 0, &mut found, work);
    let is_root =
        |one: &Location<'_>| matches!(one.kind, Kind::Prefix | Kind::First) && one.path == "/";
    if !found.iter().any(is_root) {
        found.push(Location {
            kind: Kind::Prefix,
            path: "/".to_owned(),
            pattern: "/".to_owned(),
            place,
            scope: server.clone(),
            is_server: true,
            around: None,
            depth: 0,
        });
    }
    refuse_twins(&found, work);
    // Expressions inside of others come before those around them.
    let (mut regexes, mut others): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|one| one.kind == Kind::Regex);
    regexes.sort_by_key(|one| std::cmp::Reverse(one.depth));
    others.extend(regexes);
    others
}

fn refuse_twins(found: &[Location<'_>], work: &Work<'_>) {
    for (at, one) in found.iter().enumerate() {
        let kind = |kind| if kind == Kind::First { Kind::Prefix } else { kind };
        let is_twin = |other: &Location<'_>| {
            kind(other.kind) == kind(one.kind) && other.pattern == one.pattern
        };
        if found[..at].iter().any(is_twin) {
            let what = format!("there is already a location `{}`", one.path);
            work.complaints.error(one.place, what, "keep one");
        }
    }
}

fn collect<'t>(
    around: &Scope<'t>,
    parent: Option<&Location<'t>>,
    depth: usize,
    found: &mut Vec<Location<'t>>,
    work: &Work<'_>,
) {
    for directive in around.own("location") {
        let Some(location) = read(directive, around, parent, depth, work) else { continue };
        if let Some(parent) = parent
            && !fits_inside(&location, parent, work)
        {
            continue;
        }
        let scope = location.scope.clone();
        found.push(location.clone());
        collect(&scope, Some(&location), depth + 1, found, work);
    }
    if depth == 0 {
        nested_expressions(found, work);
    }
}

fn read<'t>(
    directive: &'t Directive,
    around: &Scope<'t>,
    parent: Option<&Location<'t>>,
    depth: usize,
    work: &Work<'_>,
) -> Option<Location<'t>> {
    let (kind, any_case, word) = kind_and_path(directive, work)?;
    let path = word.text.clone();
    let pattern = match kind {
        Kind::Named => path.clone(),
        Kind::Regex => {
            let within = parent.map(|parent| parent.path.as_str());
            let text = within.map_or(Some(path.clone()), |within| inside_of(within, &path));
            let Some(text) = text else {
                let what = format!("the expression `{path}` in a location is not honoured");
                let remedy = "move it out of the location, with the path at its beginning";
                work.complaints.error(word.place, what, remedy);
                return None;
            };
            texts::expression(&word, &text, any_case, work.complaints)?
        }
        _ if !path.starts_with('/') => {
            let what = format!("the location `{path}` matches nothing: paths begin with `/`");
            work.complaints.error(word.place, what, format!("did you mean `/{path}`?"));
            return None;
        }
        _ => encoded(&path),
    };
    let scope = around.inside(directive.children());
    let place = directive.place();
    Some(Location { kind, path, pattern, place, scope, is_server: false, around: None, depth })
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

/// An expression for what begins with `path` and has `expression` found behind that; `None` where
/// that cannot be said.
fn inside_of(path: &str, expression: &str) -> Option<String> {
    let start = regex::escape(path);
    match expression.strip_prefix('^') {
        Some(rest) if path == "/" || rest.starts_with(path) || rest.starts_with(&start) => {
            Some(expression.to_owned())
        }
        Some(_) => None,
        None => Some(format!("^{start}.*(?:{expression})")),
    }
}

/// An expression in a location is only looked at where that location is the longest that fits,
/// which an expression for itself cannot know.
fn nested_expressions(found: &mut [Location<'_>], work: &Work<'_>) {
    let nested: Vec<(String, Place)> = found
        .iter()
        .filter(|one| one.kind == Kind::Regex && one.depth > 0)
        .map(|one| (one.path.clone(), one.place))
        .collect();
    for (path, place) in nested {
        // The prefix around it is the last one before it with a smaller depth.
        let at = found.iter().position(|one| one.place == place).unwrap_or(0);
        let depth = found[at].depth;
        let Some(around) = found[..at].iter().rposition(|one| one.depth < depth) else { continue };
        let outer = found[around].path.clone();
        let longer = found.iter().any(|one| {
            let is_prefix = matches!(one.kind, Kind::Prefix | Kind::First);
            is_prefix && one.path.len() > outer.len() && one.path.starts_with(&outer)
        });
        let outside = found.iter().any(|one| one.kind == Kind::Regex && one.depth < depth);
        let is_first = found[around].kind == Kind::First;
        if longer || (is_first && outside) {
            let what = format!("the expression `{path}` in the location `{outer}` is not honoured");
            let remedy = "move it out of the location, with the path at its beginning";
            work.complaints.error(place, what, remedy);
        } else if is_first {
            found[around].kind = Kind::Prefix;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_bound_to_the_path_around_them() {
        let table = [
            ("/a/", r"\.php$", Some(r"^/a/.*(?:\.php$)")),
            ("/a/", r"^/a/b", Some("^/a/b")),
            ("/a/", r"^/c", None),
            ("/", r"^/c", Some("^/c")),
            ("/a.b/", "x", Some(r"^/a\.b/.*(?:x)")),
        ];
        for (path, expression, expected) in table {
            assert_eq!(inside_of(path, expression).as_deref(), expected, "{path} {expression}");
        }
    }
}
