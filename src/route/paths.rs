//! The paths of one host.

use super::{Expression, PathPattern};

/// Up to this many prefixes are quicker compared one by one than looked up.
const PREFIXES_FEW: usize = 8;

/// A route that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub route: usize,
    /// The path lacks the slash that the route's own ends in; the client is to come back with it.
    pub slash: bool,
}

/// The paths of one host.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths {
    /// Decoded, and sorted.
    exact: Vec<(Box<[u8]>, usize)>,
    /// Likewise: paths that only lack the slash of one of `starts`.
    slashes: Vec<(Box<[u8]>, usize)>,
    /// In the order of the file: the first that is found wins.
    regexes: Vec<(Expression, usize)>,
    /// Sorted.
    prefixes: Vec<(Box<str>, usize)>,
    /// Length of the longest prefix: only so much of a path can matter.
    prefix_bytes_max: usize,
    /// Prefixes that end anywhere. Decoded, and sorted.
    starts: Vec<(Box<[u8]>, Start)>,
    /// The lengths that these have, the largest first.
    start_lengths: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Start {
    route: usize,
    /// Expressions are not asked.
    first: bool,
}

impl Paths {
    pub fn add(&mut self, path: PathPattern, route: usize) {
        match path {
            PathPattern::Exact(path) => self.exact.push((path.into(), route)),
            PathPattern::Prefix(path) => self.prefixes.push((path.into(), route)),
            PathPattern::Regex(regex) => self.regexes.push((regex, route)),
            PathPattern::Start { path, first } => {
                self.starts.push((path.into(), Start { route, first }));
            }
        }
    }

    /// Sends who leaves out the slash that `path` ends in to this route.
    pub fn add_slash(&mut self, path: &[u8], route: usize) {
        if let Some(bare) = path.strip_suffix(b"/").filter(|bare| !bare.is_empty()) {
            self.slashes.push((bare.into(), route));
        }
    }

    pub fn seal(&mut self) {
        for paths in [&mut self.exact, &mut self.slashes] {
            sort(paths);
        }
        sort(&mut self.prefixes);
        sort(&mut self.starts);
        self.prefix_bytes_max = self.prefixes.iter().map(|(path, _)| path.len()).max().unwrap_or(0);
        self.start_lengths = self.starts.iter().map(|(path, _)| path.len()).collect();
        self.start_lengths.sort_unstable_by(|a, b| b.cmp(a));
        self.start_lengths.dedup();
        let (starts, prefixes) = (&self.starts, &self.prefixes);
        // Who has a route of his own needs none of another.
        let has_prefix =
            |bare: &[u8]| std::str::from_utf8(bare).is_ok_and(|bare| at(prefixes, bare).is_some());
        self.slashes.retain(|(bare, _)| at(starts, bare).is_none() && !has_prefix(bare));
    }

    /// Whether there is anything but prefixes.
    fn asks_decoded(&self) -> bool {
        !(self.exact.is_empty() && self.starts.is_empty() && self.regexes.is_empty())
    }

    /// The route for this path, which is normalised. `decoded` is asked for only if need be.
    pub fn find<'p>(&self, path: &str, decoded: impl FnOnce() -> &'p [u8]) -> Option<Found> {
        let found = |route| Found { route, slash: false };
        if !self.asks_decoded() {
            return self.find_prefix(path).map(|(_, route)| found(route));
        }
        let decoded = decoded();
        if let Some(route) = at(&self.exact, decoded) {
            return Some(found(route));
        }
        if let Some(route) = at(&self.slashes, decoded) {
            return Some(Found { route, slash: true });
        }
        let start = self.longest_start(decoded);
        if let Some((length, Start { route, first: true })) = start
            && self.find_prefix(path).is_none_or(|(longest, _)| longest < length)
        {
            return Some(found(route));
        }
        let matching = self.regexes.iter().find(|(regex, _)| regex.is_match(decoded));
        if let Some((_, route)) = matching {
            return Some(found(*route));
        }
        match (self.find_prefix(path), start) {
            // Of equals the one that ends at a segment says more.
            (Some((length, route)), Some((other, _))) if length >= other => Some(found(route)),
            (_, Some((_, start))) => Some(found(start.route)),
            (prefix, None) => prefix.map(|(_, route)| found(route)),
        }
    }

    /// The longest that the path begins with, and its length.
    fn longest_start(&self, path: &[u8]) -> Option<(usize, Start)> {
        let lengths = self.start_lengths.iter();
        let mut starts =
            lengths.filter_map(|&length| Some((length, at(&self.starts, path.get(..length)?)?)));
        starts.next()
    }

    fn find_prefix(&self, path: &str) -> Option<(usize, usize)> {
        match self.prefixes.len() {
            ..=PREFIXES_FEW => self.longest_of_few(path),
            _ => self.longest_of_many(path),
        }
    }

    /// Compares the path with every prefix.
    fn longest_of_few(&self, path: &str) -> Option<(usize, usize)> {
        let mut longest: Option<(usize, usize)> = None;
        for (prefix, route) in &self.prefixes {
            let longer = longest.is_none_or(|(length, _)| prefix.len() > length);
            if longer && is_below(path.as_bytes(), prefix.as_bytes()) {
                longest = Some((prefix.len(), *route));
            }
        }
        longest
    }

    /// Walks back from the end of what could match, and looks up every stretch that ends at
    /// a segment boundary: the whole path, then up to and including each slash, and up to just
    /// before it.
    fn longest_of_many(&self, path: &str) -> Option<(usize, usize)> {
        // The boundary itself may lie one byte past the longest prefix.
        let reach = path.len().min(self.prefix_bytes_max + 1);
        let look_up = |path: &str| Some((path.len(), at(&self.prefixes, path)?));
        if reach == path.len()
            && let Some(found) = look_up(path)
        {
            return Some(found);
        }
        let bytes = path.as_bytes();
        (0..reach).rev().filter(|&i| bytes[i] == b'/').find_map(|slash| {
            // Slashes are ASCII, so both cuts fall between characters.
            look_up(&path[..=slash]).or_else(|| look_up(&path[..slash]))
        })
    }
}

/// Whether `path` is `prefix` or lies below it.
fn is_below(path: &[u8], prefix: &[u8]) -> bool {
    path.starts_with(prefix)
        && (prefix.ends_with(b"/") || matches!(path.get(prefix.len()), None | Some(b'/')))
}

/// Of equals the first added stays.
fn sort<P: ?Sized + Ord, T>(paths: &mut Vec<(Box<P>, T)>) {
    // The sort is stable.
    paths.sort_by(|a, b| a.0.cmp(&b.0));
    paths.dedup_by(|later, first| later.0 == first.0);
}

fn at<P: ?Sized + Ord, T: Copy>(paths: &[(Box<P>, T)], path: &P) -> Option<T> {
    let at = paths.binary_search_by(|(known, _)| (**known).cmp(path)).ok()?;
    Some(paths[at].1)
}
