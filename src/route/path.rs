//! Path patterns, and the path of a request made comparable.

use std::borrow::Cow;
use std::fmt;

use super::{Expression, decoded};

/// What the path of a request must be. Prefixes are compared with the path as [`normalise`] gives
/// it, all others, which mean what nginx's do, with it as [`decoded`] does; the
/// path that is forwarded stays as the client sent it.
#[derive(Clone, Debug)]
pub enum PathPattern {
    /// This path, decoded, and nothing below.
    Exact(Vec<u8>),
    /// This path, normalised, and everything below: `/api` matches `/api` and `/api/x` but not
    /// `/apix`, `/api/` only what begins with it.
    Prefix(String),
    /// This and whatever begins with it, as nginx's: `/api` matches `/apix` too.
    Start {
        /// What paths begin with, decoded.
        path: Vec<u8>,
        /// Expressions are not asked if this is the longest (nginx's `^~`).
        first: bool,
    },
    /// Any path in which the expression is found, decoded; anchor it with `^` and `$` as needed.
    Regex(Expression),
}

/// Why a text is no path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPatternError {
    /// It does not begin with `/`.
    Relative,
    /// It holds `?` or `#`: routes match paths only.
    Query,
    /// A blank, control or non-ASCII character, which no request target holds.
    NotEncoded,
    /// A star, which stands for itself and would never match as meant.
    Star,
    /// The regular expression is not understood.
    Regex(String),
}

impl fmt::Display for PathPatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathPatternError::Relative => f.write_str("a path begins with `/`"),
            PathPatternError::Query => f.write_str("a route's path has no query or fragment"),
            PathPatternError::NotEncoded => {
                f.write_str("blanks and characters beyond ASCII are sent percent-encoded")
            }
            PathPatternError::Star => f.write_str("a path holds no wildcards"),
            PathPatternError::Regex(message) => write!(f, "bad regular expression: {message}"),
        }
    }
}

impl std::error::Error for PathPatternError {}

impl PathPattern {
    /// An exact path.
    pub fn exact(text: &str) -> Result<PathPattern, PathPatternError> {
        checked(text).map(|text| PathPattern::Exact(decoded(text).into_owned()))
    }

    /// A path and everything below it.
    pub fn prefix(text: &str) -> Result<PathPattern, PathPatternError> {
        checked(text).map(|text| PathPattern::Prefix(normalise(text).into_owned()))
    }

    /// A regular expression.
    pub fn regex(text: &str) -> Result<PathPattern, PathPatternError> {
        Expression::new(text).map(PathPattern::Regex).map_err(PathPatternError::Regex)
    }

    /// What paths begin with; `first`: before any expression.
    pub fn start(text: &str, first: bool) -> Result<PathPattern, PathPatternError> {
        Ok(PathPattern::Start { path: decoded(checked(text)?).into_owned(), first })
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy;
        match self {
            PathPattern::Exact(path) => write!(f, "={}", text(path)),
            PathPattern::Prefix(path) => f.write_str(path),
            PathPattern::Start { path, .. } => write!(f, "^{}", text(path)),
            PathPattern::Regex(regex) => write!(f, "~{regex}"),
        }
    }
}

fn checked(text: &str) -> Result<&str, PathPatternError> {
    if !text.starts_with('/') {
        return Err(PathPatternError::Relative);
    }
    if text.contains(['?', '#']) {
        return Err(PathPatternError::Query);
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(PathPatternError::NotEncoded);
    }
    if text.contains('*') {
        return Err(PathPatternError::Star);
    }
    Ok(text)
}

/// The path as prefixes see it, so that no spelling of a path slips past its route.
///
/// Every escape of a visible ASCII character is decoded but those of `/` and `%`, the hex digits of
/// the rest are upper case, `//` becomes `/`, and `.` and `..` segments are resolved, never above
/// the root. `%2F` stays: it is data, not a separator, and servers that take it for one must be
/// told so by a route of their own. A `%` that begins no escape is `%25`, or what is decoded behind
/// it could make one. What does not begin with `/` (the `*` of OPTIONS, an authority, the empty
/// path of `http://host`) counts as `/`.
///
/// A path that is already clean, the usual case, is borrowed.
pub fn normalise(path: &str) -> Cow<'_, str> {
    if !path.starts_with('/') {
        return Cow::Borrowed("/");
    }
    if !is_suspect(path.as_bytes()) || is_clean(path.as_bytes()) {
        return Cow::Borrowed(path);
    }
    let resolved = resolve(decode_visible(path).as_bytes());
    // It was cut at slashes only, so it is text still.
    Cow::Owned(String::from_utf8_lossy(&resolved).into_owned())
}

/// Whether the path holds a `%`, a `//` or a `/.`, without which it is surely clean.
///
/// No branch leaves the loop, so the compiler compares many bytes at a time.
fn is_suspect(path: &[u8]) -> bool {
    let next = path.get(1..).unwrap_or_default();
    let pairs = path.iter().zip(next);
    let begins = path.last() == Some(&b'%');
    pairs.fold(begins, |suspect, (&byte, &next)| {
        suspect | (byte == b'%') | ((byte == b'/') & ((next == b'/') | (next == b'.')))
    })
}

/// Whether [`normalise`] has nothing to do: in `/.well-known` and `/caf%C3%A9`, for example.
fn is_clean(path: &[u8]) -> bool {
    let mut previous = 0;
    for (i, &byte) in path.iter().enumerate() {
        match byte {
            b'%' if !stays_encoded(&path[i..]) => return false,
            b'/' if previous == b'/' => return false,
            b'.' if previous == b'/' && is_dot_segment(&path[i..]) => return false,
            _ => {}
        }
        previous = byte;
    }
    true
}

/// Whether the segment that begins here is `.` or `..`.
fn is_dot_segment(rest: &[u8]) -> bool {
    let segment = rest.split(|&byte| byte == b'/').next().unwrap_or_default();
    segment == b"." || segment == b".."
}

/// Whether the `%` at the beginning of `rest` is to be left as it is: it encodes what stays so, in
/// upper case.
fn stays_encoded(rest: &[u8]) -> bool {
    match decode(rest) {
        Some(byte) => {
            !is_decoded(byte) && !rest[1..3].iter().any(|digit| digit.is_ascii_lowercase())
        }
        None => false,
    }
}

/// The byte that `%XX` at the beginning of `rest` stands for.
pub(super) fn decode(rest: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    match rest {
        [b'%', high, low, ..] => Some((digit(*high)? * 16 + digit(*low)?) as u8),
        _ => None,
    }
}

fn is_decoded(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'/' && byte != b'%'
}

fn decode_visible(path: &str) -> String {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(percent) = rest.find('%') {
        decoded.push_str(&rest[..percent]);
        rest = &rest[percent..];
        let Some(byte) = decode(rest.as_bytes()) else {
            decoded.push_str("%25");
            rest = &rest[1..];
            continue;
        };
        if is_decoded(byte) {
            decoded.push(char::from(byte));
        } else {
            decoded.push_str(&rest[..3].to_ascii_uppercase());
        }
        rest = &rest[3..];
    }
    decoded.push_str(rest);
    decoded
}

/// Resolves dot segments and collapses empty ones (RFC 3986 §5.2.4).
pub(super) fn resolve(path: &[u8]) -> Vec<u8> {
    let mut resolved = Vec::with_capacity(path.len());
    // A path that ends in a slash or a dot segment names a directory and keeps its slash.
    let mut directory = false;
    for segment in path.split(|&byte| byte == b'/') {
        directory = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => resolved.truncate(memchr::memrchr(b'/', &resolved).unwrap_or(0)),
            _ => {
                resolved.push(b'/');
                resolved.extend_from_slice(segment);
            }
        }
    }
    if directory {
        resolved.push(b'/');
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn clean_paths_are_borrowed() {
        let table = [
            "/",
            "/api",
            "/api/",
            "/a.b/c..d/..e/.well-known/acme",
            "/...",
            "/caf%C3%A9/%2F%20",
            "/100%25",
        ];
        for path in table {
            assert!(matches!(normalise(path), Cow::Borrowed(same) if same == path), "{path}");
        }
    }

    #[test]
    fn spellings_of_one_path() {
        let table = [
            ("/a/../admin", "/admin"),
            ("/a/%2e%2e/admin", "/admin"),
            ("/a/.%2E/admin", "/admin"),
            ("//admin", "/admin"),
            ("/./admin", "/admin"),
            ("/%61dmin", "/admin"),
            ("/admin//x///y", "/admin/x/y"),
            ("/..", "/"),
            ("/../../etc", "/etc"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a//", "/a/"),
            ("//", "/"),
            ("/a%2fb", "/a%2Fb"),
            ("/a/..%2Fadmin", "/a/..%2Fadmin"),
            ("/%252e%252e/x", "/%252e%252e/x"),
            ("/%C3%a9", "/%C3%A9"),
            ("/%7Euser", "/~user"),
            ("/%40fs/%3Fx%23", "/@fs/?x#"),
            ("/a%5c..%5Cb", "/a\\..\\b"),
            ("/%2f%2e%2E%2f", "/%2F..%2F"),
            ("/100%", "/100%25"),
            ("/%zz/%4", "/%25zz/%254"),
            ("/%%32e%%32E/x", "/%252e%252E/x"),
            ("/%%370rivate", "/%2570rivate"),
            ("*", "/"),
            ("", "/"),
            ("example.com:443", "/"),
        ];
        for (path, expected) in table {
            assert_eq!(normalise(path), expected, "{path}");
        }
    }

    #[test]
    fn patterns_say_what_is_wrong() {
        let error = |text: &str| PathPattern::prefix(text).unwrap_err();
        assert_eq!(error("api"), PathPatternError::Relative);
        assert_eq!(error(""), PathPatternError::Relative);
        assert_eq!(error("/a?b"), PathPatternError::Query);
        assert_eq!(error("/a b"), PathPatternError::NotEncoded);
        assert_eq!(error("/é"), PathPatternError::NotEncoded);
        assert_eq!(error("/*"), PathPatternError::Star);
        let regex = PathPattern::regex("^/(a").unwrap_err();
        assert_eq!(regex.to_string(), "bad regular expression: unclosed group");
    }

    proptest! {
        /// The result holds nothing that a server would still resolve.
        #[test]
        fn nothing_is_left_to_resolve(path in "/([a./%2eE]|%2[eEfF]|%61){0,20}") {
            let path = normalise(&path);
            prop_assert!(path.starts_with('/'));
            prop_assert!(!path.contains("//"));
            prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
        }

        /// A second pass changes nothing.
        #[test]
        fn normal_paths_stay(path in "/([a./2eE%]|%2[eEfF]|%61|%25|%40|%c3|%3[2-7]){0,20}") {
            let once = normalise(&path).into_owned();
            prop_assert_eq!(&normalise(&once), &once);
        }

        #[test]
        fn any_text_is_taken(path: String) {
            prop_assert!(normalise(&path).starts_with('/'));
        }
    }
}
