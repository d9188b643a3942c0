//! The routing table: built once, searched for every request without allocating.

use super::host::LowerHost;
use super::path::normalise;
use super::{HostPattern, PathPattern};
use regex::Regex;

/// Collects routes in the order of the file.
#[derive(Debug, Default)]
pub struct TableBuilder {
    exact: Vec<(Box<[u8]>, Paths)>,
    wildcard: Vec<(Box<[u8]>, Paths)>,
    any: Paths,
}

impl TableBuilder {
    /// Without any route.
    pub fn new() -> TableBuilder {
        TableBuilder::default()
    }

    /// Adds the route number `route`; no hosts at all means any host.
    ///
    /// Where two routes have the same host and the same path, the first stays.
    pub fn add(&mut self, hosts: &[HostPattern], path: PathPattern, route: usize) {
        if hosts.is_empty() {
            self.any.add(path, route);
            return;
        }
        for host in hosts {
            let paths = match host {
                HostPattern::Exact(name) => paths_of(&mut self.exact, name),
                HostPattern::Wildcard(suffix) => paths_of(&mut self.wildcard, suffix),
                HostPattern::Any => &mut self.any,
            };
            paths.add(path.clone(), route);
        }
    }

    /// The finished table.
    pub fn build(mut self) -> Table {
        self.exact.sort_by(|a, b| a.0.cmp(&b.0));
        self.wildcard.sort_by(|a, b| a.0.cmp(&b.0));
        for (_, paths) in self.exact.iter_mut().chain(&mut self.wildcard) {
            paths.seal();
        }
        self.any.seal();
        let wildcard_bytes_max = self.wildcard.iter().map(|(suffix, _)| suffix.len()).max();
        Table {
            exact: self.exact,
            wildcard: self.wildcard,
            wildcard_bytes_max: wildcard_bytes_max.unwrap_or(0),
            any: self.any,
        }
    }
}

fn paths_of<'a>(hosts: &'a mut Vec<(Box<[u8]>, Paths)>, name: &str) -> &'a mut Paths {
    // Linear, but only while building, and a thousand hosts compare in microseconds.
    let found = hosts.iter().position(|(known, _)| **known == *name.as_bytes());
    let at = found.unwrap_or_else(|| {
        hosts.push((name.as_bytes().into(), Paths::default()));
        hosts.len() - 1
    });
    &mut hosts[at].1
}

/// The routing table.
///
/// A regular expression needs scratch memory to run and keeps a stock of it that threads share.
/// Cloning the table shares the compiled expressions but not that stock, so a shard that searches
/// its own clone meets no other shard there.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Names in lower case, sorted.
    exact: Vec<(Box<[u8]>, Paths)>,
    /// Suffixes without their `*.`, sorted.
    wildcard: Vec<(Box<[u8]>, Paths)>,
    /// Length of the longest suffix: a host with a hundred labels is not looked up a hundred
    /// times.
    wildcard_bytes_max: usize,
    any: Paths,
}

impl Table {
    /// The route for a request.
    ///
    /// `host` is as in the `Host` field: it may carry a port, any case and a final dot. `path` is
    /// as sent, without the query.
    pub fn find(&self, host: Option<&str>, path: &str) -> Option<usize> {
        let path = normalise(path);
        if !self.exact.is_empty() || !self.wildcard.is_empty() {
            let host = host.and_then(LowerHost::new);
            if let Some(route) = host.and_then(|host| self.find_by_host(host.bytes(), &path)) {
                return Some(route);
            }
        }
        self.any.find(&path)
    }

    fn find_by_host(&self, host: &[u8], path: &str) -> Option<usize> {
        let exact = look_up(&self.exact, host).and_then(|paths| paths.find(path));
        if exact.is_some() || self.wildcard.is_empty() {
            return exact;
        }
        self.find_by_wildcard(host, path)
    }

    /// Tries the suffixes of `host` from the longest.
    fn find_by_wildcard(&self, host: &[u8], path: &str) -> Option<usize> {
        let dots = host.iter().enumerate().filter(|&(i, &byte)| byte == b'.' && i > 0);
        dots.map(|(dot, _)| &host[dot + 1..])
            .filter(|suffix| suffix.len() <= self.wildcard_bytes_max)
            .filter_map(|suffix| look_up(&self.wildcard, suffix))
            .find_map(|paths| paths.find(path))
    }
}

fn look_up<'a>(hosts: &'a [(Box<[u8]>, Paths)], name: &[u8]) -> Option<&'a Paths> {
    let at = hosts.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
    Some(&hosts[at].1)
}

/// Up to this many prefixes are quicker compared one by one than looked up.
const PREFIXES_FEW: usize = 8;

/// The paths of one host.
#[derive(Clone, Debug, Default)]
struct Paths {
    /// Sorted.
    exact: Vec<(Box<str>, usize)>,
    /// In the order of the file: the first that is found wins.
    regexes: Vec<(Regex, usize)>,
    /// Sorted.
    prefixes: Vec<(Box<str>, usize)>,
    /// Length of the longest prefix: only so much of a path can matter.
    prefix_bytes_max: usize,
}

impl Paths {
    fn add(&mut self, path: PathPattern, route: usize) {
        match path {
            PathPattern::Exact(path) => self.exact.push((path.into(), route)),
            PathPattern::Prefix(path) => self.prefixes.push((path.into(), route)),
            PathPattern::Regex(regex) => self.regexes.push((regex, route)),
        }
    }

    fn seal(&mut self) {
        for paths in [&mut self.exact, &mut self.prefixes] {
            // The sort is stable, so of equals the first added is the one that stays.
            paths.sort_by(|a, b| a.0.cmp(&b.0));
            paths.dedup_by(|later, first| later.0 == first.0);
        }
        self.prefix_bytes_max = self.prefixes.iter().map(|(path, _)| path.len()).max().unwrap_or(0);
    }

    fn find(&self, path: &str) -> Option<usize> {
        route_at(&self.exact, path)
            .or_else(|| self.regexes.iter().find(|(r, _)| r.is_match(path)).map(|&(_, i)| i))
            .or_else(|| self.find_prefix(path))
    }

    fn find_prefix(&self, path: &str) -> Option<usize> {
        match self.prefixes.len() {
            ..=PREFIXES_FEW => self.longest_of_few(path),
            _ => self.longest_of_many(path),
        }
    }

    /// Compares the path with every prefix.
    fn longest_of_few(&self, path: &str) -> Option<usize> {
        let mut longest: Option<(usize, usize)> = None;
        for (prefix, route) in &self.prefixes {
            let longer = longest.is_none_or(|(length, _)| prefix.len() > length);
            if longer && is_below(path.as_bytes(), prefix.as_bytes()) {
                longest = Some((prefix.len(), *route));
            }
        }
        longest.map(|(_, route)| route)
    }

    /// Walks back from the end of what could match, and looks up every stretch that ends at
    /// a segment boundary: the whole path, then up to and including each slash, and up to just
    /// before it.
    fn longest_of_many(&self, path: &str) -> Option<usize> {
        // The boundary itself may lie one byte past the longest prefix.
        let reach = path.len().min(self.prefix_bytes_max + 1);
        if reach == path.len()
            && let Some(route) = route_at(&self.prefixes, path)
        {
            return Some(route);
        }
        let bytes = path.as_bytes();
        (0..reach).rev().filter(|&i| bytes[i] == b'/').find_map(|slash| {
            // Slashes are ASCII, so both cuts fall between characters.
            route_at(&self.prefixes, &path[..=slash])
                .or_else(|| route_at(&self.prefixes, &path[..slash]))
        })
    }
}

/// Whether `path` is `prefix` or lies below it.
fn is_below(path: &[u8], prefix: &[u8]) -> bool {
    path.starts_with(prefix)
        && (prefix.ends_with(b"/") || matches!(path.get(prefix.len()), None | Some(b'/')))
}

fn route_at(paths: &[(Box<str>, usize)], path: &str) -> Option<usize> {
    let at = paths.binary_search_by(|(known, _)| (**known).cmp(path)).ok()?;
    Some(paths[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hosts(list: &[&str]) -> Vec<HostPattern> {
        list.iter().map(|text| HostPattern::parse(text).unwrap()).collect()
    }

    fn prefix(path: &str) -> PathPattern {
        PathPattern::prefix(path).unwrap()
    }

    /// A table of prefixes, numbered in order.
    fn table(routes: &[(&[&str], &str)]) -> Table {
        let mut builder = TableBuilder::new();
        for (i, (list, path)) in routes.iter().enumerate() {
            builder.add(&hosts(list), prefix(path), i);
        }
        builder.build()
    }

    #[test]
    fn the_most_specific_host_wins() {
        let table = table(&[
            (&[], "/"),
            (&["*.akuma.xyz"], "/"),
            (&["*.api.akuma.xyz"], "/"),
            (&["www.akuma.xyz", "akuma.xyz"], "/"),
        ]);
        let cases = [
            (Some("akuma.xyz"), 3),
            (Some("WWW.Akuma.XYZ:8080"), 3),
            (Some("www.akuma.xyz."), 3),
            (Some("x.akuma.xyz"), 1),
            (Some("a.b.akuma.xyz"), 1),
            (Some("api.akuma.xyz"), 1),
            (Some("v1.api.akuma.xyz"), 2),
            (Some(".akuma.xyz"), 0),
            (Some("notakuma.xyz"), 0),
            (Some("akuma.xyz.evil.example"), 0),
            (Some(""), 0),
            (None, 0),
        ];
        for (host, route) in cases {
            assert_eq!(table.find(host, "/"), Some(route), "{host:?}");
        }
        let long = "a.".repeat(2_000) + "akuma.xyz";
        assert_eq!(table.find(Some(&long), "/"), Some(0));
    }

    #[test]
    fn a_host_without_the_path_leaves_it_to_less_specific_hosts() {
        let table = table(&[
            (&["api.example.com"], "/v1"),
            (&["*.example.com"], "/static"),
            (&[], "/health"),
        ]);
        assert_eq!(table.find(Some("api.example.com"), "/v1/users"), Some(0));
        assert_eq!(table.find(Some("api.example.com"), "/static/x.css"), Some(1));
        assert_eq!(table.find(Some("api.example.com"), "/health"), Some(2));
        assert_eq!(table.find(Some("api.example.com"), "/"), None);
    }

    #[test]
    fn a_specific_host_wins_over_a_specific_path() {
        let table = table(&[(&["example.com"], "/"), (&[], "/admin")]);
        assert_eq!(table.find(Some("example.com"), "/admin"), Some(0));
    }

    #[test]
    fn prefixes_end_at_segments() {
        let table = table(&[(&[], "/api"), (&[], "/dir/"), (&[], "/api/v1/users")]);
        let cases = [
            ("/api", Some(0)),
            ("/api/", Some(0)),
            ("/api/x", Some(0)),
            ("/apix", None),
            ("/ap", None),
            ("/dir", None),
            ("/dir/", Some(1)),
            ("/dir/x", Some(1)),
            ("/api/v1", Some(0)),
            ("/api/v1/users", Some(2)),
            ("/api/v1/users/7", Some(2)),
            ("/api/v1/users7", Some(0)),
            ("/", None),
            ("/x/../api", Some(0)),
            ("/api/../x", None),
            ("/%61pi/x", Some(0)),
        ];
        for (path, route) in cases {
            assert_eq!(table.find(None, path), route, "{path}");
        }
    }

    #[test]
    fn exact_then_regex_in_order_then_longest_prefix() {
        let mut builder = TableBuilder::new();
        builder.add(&[], prefix("/files/archive"), 0);
        builder.add(&[], PathPattern::regex(r"\.zip$").unwrap(), 1);
        builder.add(&[], PathPattern::regex(r"^/files/").unwrap(), 2);
        builder.add(&[], PathPattern::exact("/files/a.zip").unwrap(), 3);
        builder.add(&[], PathPattern::exact("/files/a.zip").unwrap(), 4);
        let table = builder.build();
        let cases = [
            ("/files/a.zip", Some(3)),
            ("/files/b.zip", Some(1)),
            ("/files/archive", Some(2)),
            ("/other/b.zip", Some(1)),
            ("/other", None),
        ];
        for (path, route) in cases {
            assert_eq!(table.find(None, path), route, "{path}");
        }
    }

    #[test]
    fn the_first_of_equals_stays() {
        let table = table(&[(&[], "/a"), (&[], "/a"), (&["*"], "/a")]);
        assert_eq!(table.find(None, "/a"), Some(0));
    }

    #[test]
    fn an_empty_table_finds_nothing() {
        assert_eq!(Table::default().find(Some("example.com"), "/"), None);
    }

    /// What prefixes mean, word for word.
    fn longest_prefix(prefixes: &[String], path: &str) -> Option<usize> {
        let path = normalise(path);
        let matches = |prefix: &str| match path.strip_prefix(prefix) {
            Some(rest) => rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'),
            None => false,
        };
        let matching = (0..prefixes.len()).filter(|&i| matches(&prefixes[i]));
        // `max_by_key` takes the last of equals, hence the reversal.
        matching.rev().max_by_key(|&i| prefixes[i].len())
    }

    proptest! {
        #[test]
        fn prefixes_match_their_definition(
            prefixes in prop::collection::vec("(/[ab]{1,2}){0,4}/?", 1..24),
            paths in prop::collection::vec("(/[ab.]{0,3}){1,6}/?", 1..12),
        ) {
            let prefixes: Vec<String> = prefixes
                .iter()
                .map(|path| normalise(path).into_owned())
                .collect();
            let mut builder = TableBuilder::new();
            for (i, path) in prefixes.iter().enumerate() {
                builder.add(&[], prefix(path), i);
            }
            let table = builder.build();
            for path in &paths {
                prop_assert_eq!(table.find(None, path), longest_prefix(&prefixes, path));
            }
        }

        #[test]
        fn any_host_and_path_is_taken(host: String, path: String) {
            let table = table(&[(&["*.a"], "/b"), (&["c"], "/"), (&[], "/")]);
            prop_assert_eq!(table.find(Some(&host), &path).is_some(), true);
        }
    }
}
