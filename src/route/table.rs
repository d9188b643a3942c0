//! The routing table: built once, searched for every request without allocating.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::escape::decoded_with;
use super::host::LowerHost;
use super::path::normalise;
use super::paths::{Found, Paths};
use super::{Expression, HostPattern, PathPattern};

/// Collects routes in the order of the file.
#[derive(Debug, Default)]
pub struct TableBuilder {
    exact: Vec<(Box<[u8]>, Paths)>,
    wildcard: Vec<(Box<[u8]>, Paths)>,
    tail: Vec<(Box<[u8]>, Paths)>,
    regexes: Vec<(Expression, Paths)>,
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
        self.each(hosts, |paths| paths.add(path.clone(), route));
    }

    /// Sends those to the route number `route` with a slash who leave out the one that its `path`
    /// ends in, unless they have a route of their own.
    pub fn add_slash(&mut self, hosts: &[HostPattern], path: &[u8], route: usize) {
        self.each(hosts, |paths| paths.add_slash(path, route));
    }

    fn each(&mut self, hosts: &[HostPattern], mut change: impl FnMut(&mut Paths)) {
        if hosts.is_empty() {
            return change(&mut self.any);
        }
        for host in hosts {
            change(match host {
                HostPattern::Exact(name) => paths_of(&mut self.exact, name),
                HostPattern::Wildcard(suffix) => paths_of(&mut self.wildcard, suffix),
                HostPattern::Tail(prefix) => paths_of(&mut self.tail, prefix),
                HostPattern::Regex(regex) => paths_of_expression(&mut self.regexes, regex),
                HostPattern::Any => &mut self.any,
            });
        }
    }

    /// The finished table.
    pub fn build(mut self) -> Table {
        self.exact.sort_by(|a, b| a.0.cmp(&b.0));
        self.wildcard.sort_by(|a, b| a.0.cmp(&b.0));
        self.tail.sort_by(|a, b| a.0.cmp(&b.0));
        let named = self.exact.iter_mut().chain(&mut self.wildcard).chain(&mut self.tail);
        named.for_each(|(_, paths)| paths.seal());
        self.regexes.iter_mut().for_each(|(_, paths)| paths.seal());
        self.any.seal();
        let wildcard_bytes_max = self.wildcard.iter().map(|(suffix, _)| suffix.len()).max();
        Table {
            exact: self.exact,
            wildcard: self.wildcard,
            wildcard_bytes_max: wildcard_bytes_max.unwrap_or(0),
            tail: self.tail,
            regexes: self.regexes,
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

/// Those of an expression: the first in the order of the file come first.
fn paths_of_expression<'a>(
    hosts: &'a mut Vec<(Expression, Paths)>,
    expression: &Expression,
) -> &'a mut Paths {
    let found = hosts.iter().position(|(known, _)| known == expression);
    let at = found.unwrap_or_else(|| {
        hosts.push((expression.clone(), Paths::default()));
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
    /// Prefixes without their `.*`, sorted.
    tail: Vec<(Box<[u8]>, Paths)>,
    /// In the order of the file.
    regexes: Vec<(Expression, Paths)>,
    any: Paths,
}

impl Table {
    /// The route for a request.
    ///
    /// `host` is as in the `Host` field: it may carry a port, any case and a final dot. `path` is
    /// as sent, without the query.
    pub fn find(&self, host: Option<&str>, path: &str) -> Option<Found> {
        let normal = normalise(path);
        let meant = OnceCell::new();
        let asked = Asked { path: &normal, sent: path, decoded: &meant };
        if self.has_hosts() {
            let host = host.and_then(LowerHost::new);
            if let Some(found) = host.and_then(|host| self.find_by_host(host.bytes(), asked)) {
                return Some(found);
            }
        }
        asked.among(&self.any)
    }

    fn has_hosts(&self) -> bool {
        let named = [&self.exact, &self.wildcard, &self.tail];
        named.iter().any(|hosts| !hosts.is_empty()) || !self.regexes.is_empty()
    }

    /// Names first, then the longest suffix, the longest prefix, and the first expression.
    fn find_by_host(&self, host: &[u8], asked: Asked<'_>) -> Option<Found> {
        let exact = look_up(&self.exact, host).and_then(|paths| asked.among(paths));
        exact
            .or_else(|| self.find_by_wildcard(host, asked))
            .or_else(|| self.find_by_tail(host, asked))
            .or_else(|| {
                let matching = self.regexes.iter().filter(|(regex, _)| regex.is_match(host));
                matching.map(|(_, paths)| paths).find_map(|paths| asked.among(paths))
            })
    }

    /// Tries the suffixes of `host` from the longest.
    fn find_by_wildcard(&self, host: &[u8], asked: Asked<'_>) -> Option<Found> {
        if self.wildcard.is_empty() {
            return None;
        }
        let dots = host.iter().enumerate().filter(|&(i, &byte)| byte == b'.' && i > 0);
        dots.map(|(dot, _)| &host[dot + 1..])
            .filter(|suffix| suffix.len() <= self.wildcard_bytes_max)
            .filter_map(|suffix| look_up(&self.wildcard, suffix))
            .find_map(|paths| asked.among(paths))
    }

    /// Tries the prefixes of `host` from the longest.
    fn find_by_tail(&self, host: &[u8], asked: Asked<'_>) -> Option<Found> {
        if self.tail.is_empty() {
            return None;
        }
        let dots = host.iter().enumerate().rev();
        dots.filter(|&(dot, &byte)| byte == b'.' && dot + 1 < host.len())
            .filter_map(|(dot, _)| look_up(&self.tail, &host[..dot]))
            .find_map(|paths| asked.among(paths))
    }
}

/// A path that is looked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    path: &'a str,
    sent: &'a str,
    decoded: &'a OnceCell<Cow<'a, [u8]>>,
}

impl Asked<'_> {
    fn among(self, paths: &Paths) -> Option<Found> {
        paths.find(self.path, || self.decoded.get_or_init(|| decoded_with(self.path, self.sent)))
    }
}

fn look_up<'a>(hosts: &'a [(Box<[u8]>, Paths)], name: &[u8]) -> Option<&'a Paths> {
    let at = hosts.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
    Some(&hosts[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(table: &Table, host: Option<&str>, path: &str) -> Option<usize> {
        table.find(host, path).map(|found| found.route)
    }

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
            assert_eq!(at(&table, host, "/"), Some(route), "{host:?}");
        }
        let long = "a.".repeat(2_000) + "akuma.xyz";
        assert_eq!(at(&table, Some(&long), "/"), Some(0));
    }

    #[test]
    fn a_host_without_the_path_leaves_it_to_less_specific_hosts() {
        let table = table(&[
            (&["api.example.com"], "/v1"),
            (&["*.example.com"], "/static"),
            (&[], "/health"),
        ]);
        assert_eq!(at(&table, Some("api.example.com"), "/v1/users"), Some(0));
        assert_eq!(at(&table, Some("api.example.com"), "/static/x.css"), Some(1));
        assert_eq!(at(&table, Some("api.example.com"), "/health"), Some(2));
        assert_eq!(at(&table, Some("api.example.com"), "/"), None);
    }

    #[test]
    fn a_specific_host_wins_over_a_specific_path() {
        let table = table(&[(&["example.com"], "/"), (&[], "/admin")]);
        assert_eq!(at(&table, Some("example.com"), "/admin"), Some(0));
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
            assert_eq!(at(&table, None, path), route, "{path}");
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
            assert_eq!(at(&table, None, path), route, "{path}");
        }
    }

    #[test]
    fn the_first_of_equals_stays() {
        let table = table(&[(&[], "/a"), (&[], "/a"), (&["*"], "/a")]);
        assert_eq!(at(&table, None, "/a"), Some(0));
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

    /// nginx's own examples (ngx_http_core_module, `location` and `server_name`).
    #[test]
    fn precedence_is_as_in_nginx() {
        let mut builder = TableBuilder::new();
        let start = |path, first| PathPattern::start(path, first).unwrap();
        let regex = |text| PathPattern::regex(text).unwrap();
        builder.add(&[], PathPattern::exact("/").unwrap(), 0);
        builder.add(&[], start("/", false), 1);
        builder.add(&[], start("/documents/", false), 2);
        builder.add(&[], start("/images/", true), 3);
        builder.add(&[], regex(r"(?i)\.(gif|jpg|jpeg)$"), 4);
        builder.add(&[], start("/images/old/", false), 5);
        builder.add(&[], prefix("/documents/new"), 6);
        builder.add(&[], start("/doc", false), 7);
        for (list, route) in [
            (&["example.org"][..], 10),
            (&["*.example.org"], 11),
            (&["www.example.*"], 12),
            (&[r"~^www\d+\.example\.net$"], 13),
            (&["mail.*", "*.mail.example.org"], 14),
            (&["~."], 15),
        ] {
            builder.add(&hosts(list), PathPattern::exact("/host").unwrap(), route);
        }
        let table = builder.build();
        for (path, route) in [
            ("/", 0),
            ("/index.html", 1),
            ("/documents/document.html", 2),
            ("/images/1.gif", 3),
            ("/documents/1.jpg", 4),
            ("/images/old/1.gif", 4),
            ("/images/old/1.html", 5),
            ("/documents/new/1.html", 6),
            ("/documents/newer", 2),
            ("/docx", 7),
            ("/do", 1),
            ("/documents/1%2Ejpg", 4),
            ("/caf%C3%A9.GIF", 4),
        ] {
            assert_eq!(at(&table, None, path), Some(route), "{path}");
        }
        for (host, route) in [
            ("example.org", 10),
            ("www.example.org", 11),
            ("a.mail.example.org", 14),
            ("www.example.net", 12),
            ("www.example.co.uk", 12),
            ("WWW7.example.NET:80", 13),
            ("mail.example.com", 14),
            ("else.example", 15),
        ] {
            assert_eq!(at(&table, Some(host), "/host"), Some(route), "{host}");
        }
    }

    /// No spelling gets past a route that means what nginx's do; elsewhere `%2F` is data.
    #[test]
    fn escapes_hide_nothing() {
        let mut builder = TableBuilder::new();
        let start = |path| PathPattern::start(path, false).unwrap();
        builder.add(&[], prefix("/"), 0);
        builder.add(&[], start("/@fs/"), 1);
        builder.add(&[], start("/admin/"), 2);
        builder.add(&[], PathPattern::exact("/one").unwrap(), 3);
        builder.add(&[], prefix("/@data"), 4);
        builder.add(&[], start("/caf%C3%A9/"), 5);
        let table = builder.build();
        for (path, route) in [
            ("/%40fs/etc", 1),
            ("/@fs/etc", 1),
            ("/x/..%2F%40fs%2fetc", 1),
            ("/pub/..%2Fadmin/x", 2),
            ("/admin%2Fx", 2),
            ("/%252e%252e/admin/", 0),
            ("/%6Fne", 3),
            ("/x%2F..%2Fone", 3),
            ("/%40data/x", 4),
            ("/x/..%2F@data", 0),
            ("/@data%2Fx", 0),
            ("/caf%c3%a9/x", 5),
            ("*", 0),
        ] {
            assert_eq!(at(&table, None, path), Some(route), "{path}");
        }
    }

    #[test]
    fn a_slash_is_asked_for_where_nobody_else_answers() {
        let start = |path| PathPattern::start(path, false).unwrap();
        let mut builder = TableBuilder::new();
        let add = |builder: &mut TableBuilder, path, route| {
            builder.add(&[], start(path), route);
            builder.add_slash(&[], path.as_bytes(), route);
        };
        add(&mut builder, "/", 0);
        add(&mut builder, "/a/", 1);
        add(&mut builder, "/b/", 2);
        builder.add(&[], PathPattern::exact("/b").unwrap(), 3);
        add(&mut builder, "/c/", 4);
        add(&mut builder, "/c", 5);
        builder.add(&[], PathPattern::regex("^/a$").unwrap(), 6);
        let table = builder.build();
        let found = |route, slash| Some(Found { route, slash });
        for (path, expected) in [
            ("/a", found(1, true)),
            ("/a/", found(1, false)),
            ("/ab", found(0, false)),
            ("/b", found(3, false)),
            ("/c", found(5, false)),
            ("/", found(0, false)),
        ] {
            assert_eq!(table.find(None, path), expected, "{path}");
        }
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
                prop_assert_eq!(at(&table, None, path), longest_prefix(&prefixes, path));
            }
        }

        #[test]
        fn any_host_and_path_is_taken(host: String, path: String) {
            let table = table(&[(&["*.a"], "/b"), (&["c"], "/"), (&[], "/")]);
            prop_assert_eq!(table.find(Some(&host), &path).is_some(), true);
        }
    }
}
