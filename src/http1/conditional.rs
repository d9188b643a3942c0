//! Conditional requests: what a request's conditions say of a response (RFC 9110 §13).

use super::{RequestHead, parse_http_date};

/// What identifies a state of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validators {
    /// The ETag with its quotes, a strong one; `None`: none is sent.
    pub etag: Option<String>,
    /// Last-Modified, in seconds since 1970.
    pub modified: i64,
}

impl Validators {
    /// Of a file that was changed then and has so many bytes, in nginx's form: both in
    /// hexadecimal. So caches that have filled before nginx stay valid.
    pub fn of_file(modified: i64, size: u64, with_etag: bool) -> Validators {
        let etag = with_etag.then(|| format!("\"{modified:x}-{size:x}\""));
        Validators { etag, modified }
    }
}

/// The conditions of a request, and the ranges that it asks for, taken out of its head. Most have
/// none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    if_match: Option<Vec<u8>>,
    if_none_match: Option<Vec<u8>>,
    if_modified_since: Option<Vec<u8>>,
    if_unmodified_since: Option<Vec<u8>>,
    if_range: Option<Vec<u8>>,
    range: Option<Vec<u8>>,
}

/// What follows from conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The response goes out.
    Send,
    /// 304: the client has it.
    NotModified,
    /// 412: it is not what the client takes it for.
    Failed,
}

impl Conditions {
    /// Those of this head; `None` where there are none.
    pub fn of(head: &RequestHead<'_, '_>) -> Option<Box<Conditions>> {
        let mut found: Option<Box<Conditions>> = None;
        for field in head.fields {
            let length = field.name.len();
            if !matches!(length, 5 | 8 | 13 | 17 | 19) {
                continue;
            }
            let place: fn(&mut Conditions) -> &mut Option<Vec<u8>> =
                match field.name.to_ascii_lowercase().as_str() {
                    "if-match" => |all| &mut all.if_match,
                    "if-none-match" => |all| &mut all.if_none_match,
                    "if-modified-since" => |all| &mut all.if_modified_since,
                    "if-unmodified-since" => |all| &mut all.if_unmodified_since,
                    "if-range" => |all| &mut all.if_range,
                    "range" => |all| &mut all.range,
                    _ => continue,
                };
            let place = place(found.get_or_insert_default());
            match place {
                // Several fields of a list are one (RFC 9110 §5.3). Of others that is no valid
                // value, and counts for nothing.
                Some(value) => {
                    value.extend_from_slice(b", ");
                    value.extend_from_slice(field.value);
                }
                None => *place = Some(field.value.to_vec()),
            }
        }
        found
    }

    /// Judges them in the order of RFC 9110 §13.2.2.
    pub fn judge(&self, of: &Validators) -> Verdict {
        if let Some(value) = &self.if_match {
            if !matches_any(value, of, Comparison::Strong) {
                return Verdict::Failed;
            }
        } else if let Some(since) = self.if_unmodified_since.as_deref().and_then(parse_http_date)
            && of.modified > since
        {
            return Verdict::Failed;
        }
        if let Some(value) = &self.if_none_match {
            if matches_any(value, of, Comparison::Weak) {
                return Verdict::NotModified;
            }
        } else if let Some(since) = self.if_modified_since.as_deref().and_then(parse_http_date)
            && of.modified <= since
        {
            return Verdict::NotModified;
        }
        Verdict::Send
    }

    /// The ranges that are asked for, where If-Range does not stand against them
    /// (RFC 9110 §13.1.5).
    pub fn range(&self, of: &Validators) -> Option<&[u8]> {
        let range = self.range.as_deref()?;
        let applies = match self.if_range.as_deref().map(<[u8]>::trim_ascii) {
            None => true,
            Some(tag @ ([b'"', ..] | [b'W', b'/', ..])) => {
                of.etag.as_deref().is_some_and(|etag| etag.as_bytes() == tag)
            }
            // A date is a strong validator only if it is the very same; a file is not changed
            // twice in the second that a client has seen, more often than not.
            Some(date) => parse_http_date(date) == Some(of.modified),
        };
        applies.then_some(range)
    }
}

/// How tags are compared (RFC 9110 §8.8.3.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether the list holds the file's tag, or is a star.
fn matches_any(list: &[u8], of: &Validators, comparison: Comparison) -> bool {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return true;
    }
    let Some(etag) = of.etag.as_deref().map(str::as_bytes) else { return false };
    while let Some((weak, tag, behind)) = next_tag(rest) {
        if tag == etag && (!weak || comparison == Comparison::Weak) {
            return true;
        }
        rest = behind;
    }
    false
}

/// The first tag of a list: whether it is weak, the tag in its quotes, and what follows. `None` at
/// the end, or where something else stands. A tag may hold commas.
fn next_tag(list: &[u8]) -> Option<(bool, &[u8], &[u8])> {
    let skipped = list.iter().take_while(|byte| matches!(byte, b',' | b' ' | b'\t')).count();
    let list = &list[skipped..];
    let (weak, tag) = match list.strip_prefix(b"W/") {
        Some(tag) => (true, tag),
        None => (false, list),
    };
    let inner = tag.strip_prefix(b"\"")?;
    let end = inner.iter().position(|byte| *byte == b'"')? + 2;
    Some((weak, &tag[..end], &tag[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{FieldStorage, HeadLimits, parse_request};
    use proptest::prelude::*;

    /// Of Sun, 06 Nov 1994 08:49:37 GMT.
    const MODIFIED: i64 = 784_111_777;
    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const TAG: &str = "\"2ebc98a1-3e8\"";

    fn file() -> Validators {
        Validators::of_file(MODIFIED, 1000, true)
    }

    fn conditions(lines: &str) -> Option<Box<Conditions>> {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let mut storage = FieldStorage::new();
        let limits = HeadLimits { bytes: 4096, fields: 64 };
        Conditions::of(&parse_request(head.as_bytes(), &mut storage, &limits).expect("a head"))
    }

    fn judged(lines: &str) -> Verdict {
        conditions(lines).map_or(Verdict::Send, |conditions| conditions.judge(&file()))
    }

    #[test]
    fn validators_are_those_of_nginx() {
        assert_eq!(file().etag.as_deref(), Some(TAG));
        assert_eq!(Validators::of_file(MODIFIED, 1000, false).etag, None);
    }

    #[test]
    fn most_requests_have_none() {
        assert_eq!(conditions("Accept: */*\r\nX-Ab: c\r\nIf-Matching: a\r\n"), None);
    }

    #[test]
    fn each_condition_alone() {
        use Verdict::{Failed, NotModified, Send};
        for (line, verdict) in [
            (format!("If-None-Match: {TAG}"), NotModified),
            (format!("if-none-match: W/{TAG}"), NotModified),
            (format!("If-None-Match: \"x,y\", {TAG}"), NotModified),
            (format!("If-None-Match: \"a\"\r\nIf-None-Match: {TAG}"), NotModified),
            ("If-None-Match: *".to_owned(), NotModified),
            ("If-None-Match: \"other\"".to_owned(), Send),
            ("If-None-Match: 2ebc98a1-3e8".to_owned(), Send),
            (format!("If-Match: {TAG}"), Send),
            ("If-Match: *".to_owned(), Send),
            (format!("If-Match: W/{TAG}"), Failed),
            ("If-Match: \"other\"".to_owned(), Failed),
            (format!("If-Modified-Since: {THEN}"), NotModified),
            (format!("If-Modified-Since: {AFTER}"), NotModified),
            (format!("If-Modified-Since: {BEFORE}"), Send),
            ("If-Modified-Since: yesterday".to_owned(), Send),
            (format!("If-Unmodified-Since: {THEN}"), Send),
            (format!("If-Unmodified-Since: {AFTER}"), Send),
            (format!("If-Unmodified-Since: {BEFORE}"), Failed),
            ("If-Unmodified-Since: yesterday".to_owned(), Send),
        ] {
            assert_eq!(judged(&format!("{line}\r\n")), verdict, "{line}");
        }
    }

    /// RFC 9110 §13.2.2
    #[test]
    fn tags_take_precedence_over_dates() {
        use Verdict::{Failed, NotModified, Send};
        for (first, second, verdict) in [
            ("If-None-Match: \"x\"".to_owned(), format!("If-Modified-Since: {AFTER}"), Send),
            (format!("If-None-Match: {TAG}"), format!("If-Modified-Since: {BEFORE}"), NotModified),
            (format!("If-Match: {TAG}"), format!("If-Unmodified-Since: {BEFORE}"), Send),
            ("If-Match: \"x\"".to_owned(), format!("If-None-Match: {TAG}"), Failed),
            (format!("If-Match: {TAG}"), format!("If-None-Match: {TAG}"), NotModified),
            (
                format!("If-Unmodified-Since: {BEFORE}"),
                format!("If-Modified-Since: {AFTER}"),
                Failed,
            ),
        ] {
            assert_eq!(judged(&format!("{first}\r\n{second}\r\n")), verdict, "{first}, {second}");
            assert_eq!(judged(&format!("{second}\r\n{first}\r\n")), verdict, "{second}, {first}");
        }
    }

    #[test]
    fn without_a_tag_none_matches() {
        let file = Validators::of_file(MODIFIED, 1000, false);
        let judged = |line: &str| conditions(line).expect("conditions").judge(&file);
        assert_eq!(judged(&format!("If-None-Match: {TAG}\r\n")), Verdict::Send);
        assert_eq!(judged(&format!("If-Match: {TAG}\r\n")), Verdict::Failed);
        assert_eq!(judged("If-Match: *\r\n"), Verdict::Send);
    }

    #[test]
    fn if_range_decides_whether_ranges_count() {
        for (line, counts) in [
            (String::new(), true),
            (format!("If-Range: {TAG}\r\n"), true),
            (format!("If-Range: W/{TAG}\r\n"), false),
            ("If-Range: \"x\"\r\n".to_owned(), false),
            (format!("If-Range: {THEN}\r\n"), true),
            (format!("If-Range: {AFTER}\r\n"), false),
            (format!("If-Range: {BEFORE}\r\n"), false),
            ("If-Range: ?\r\n".to_owned(), false),
            (format!("If-Range: {TAG}\r\nIf-Range: {TAG}\r\n"), false),
        ] {
            let conditions = conditions(&format!("{line}Range: bytes=0-0\r\n")).expect("a range");
            let expected = counts.then_some(&b"bytes=0-0"[..]);
            assert_eq!(conditions.range(&file()), expected, "{line}");
        }
        assert_eq!(conditions("If-Range: \"x\"\r\n").expect("one").range(&file()), None);
    }

    proptest! {
        #[test]
        fn any_list_of_tags_is_taken(list: Vec<u8>) {
            matches_any(&list, &file(), Comparison::Weak);
        }

        /// A tag is found wherever it stands, and weak ones count only where they may.
        #[test]
        fn a_tag_is_found_in_its_list(
            before in "(W?/?\"[a-z,]{0,3}\",? ?){0,4}",
            weak: bool,
            after in "(, ?\"[a-z]{0,3}\"){0,3}"
        ) {
            let before = before.replace('/', "").replace('W', "W/");
            let begins = before.is_empty() || before.ends_with([',', ' ']);
            let separator = if begins { "" } else { "," };
            let list = format!("{before}{separator}{}{TAG}{after}", if weak { "W/" } else { "" });
            prop_assert!(matches_any(list.as_bytes(), &file(), Comparison::Weak), "{}", list);
            prop_assert_eq!(matches_any(list.as_bytes(), &file(), Comparison::Strong), !weak);
        }
    }
}
