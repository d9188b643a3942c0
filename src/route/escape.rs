//! Paths with their escapes taken out, and put back in.

use std::borrow::Cow;

use super::path::{decode, resolve};

/// The path as people mean it: every escape decoded, then `//`, `.` and `..` resolved, as nginx's
/// `$uri`. Any byte may be in it. What does not begin with `/` counts as `/`; what is no escape
/// stays.
///
/// A path without anything to do is borrowed.
pub fn decoded(path: &str) -> Cow<'_, [u8]> {
    match super::normalise(path) {
        normal if memchr::memchr(b'%', normal.as_bytes()).is_some() => decode_all(path),
        Cow::Borrowed(path) => Cow::Borrowed(path.as_bytes()),
        Cow::Owned(path) => Cow::Owned(path.into_bytes()),
    }
}

/// The same, where it is known already what the path is normalised.
pub(super) fn decoded_with<'p>(normal: &'p str, path: &'p str) -> Cow<'p, [u8]> {
    match memchr::memchr(b'%', normal.as_bytes()) {
        Some(_) => decode_all(path),
        None => Cow::Borrowed(normal.as_bytes()),
    }
}

fn decode_all(path: &str) -> Cow<'_, [u8]> {
    let mut bytes = Vec::with_capacity(path.len());
    // As it was sent: what was normalised already would be decoded twice.
    let mut rest = path.as_bytes();
    while let Some(percent) = memchr::memchr(b'%', rest) {
        bytes.extend_from_slice(&rest[..percent]);
        match decode(&rest[percent..]) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[percent + 3..];
            }
            None => {
                bytes.push(b'%');
                rest = &rest[percent + 1..];
            }
        }
    }
    bytes.extend_from_slice(rest);
    Cow::Owned(resolve(&bytes))
}

/// Appends a decoded path as it is sent. What nginx escapes there is escaped: blanks, control
/// characters, what is beyond ASCII, and `"#%<>?\^{|}` and the backtick.
pub fn put_escaped(path: &[u8], out: &mut Vec<u8>) {
    put_with(path, out, |byte| !byte.is_ascii_graphic() || b"\"#%<>?\\^`{|}".contains(&byte));
}

/// Appends a text as a part of a query. What nginx escapes there is escaped, so that it ends
/// neither its argument nor the query: what is escaped in paths, and `&+;`.
pub fn put_argument(text: &[u8], out: &mut Vec<u8>) {
    put_with(text, out, |byte| !byte.is_ascii_graphic() || b"\"#%&+;<>?\\^`{|}".contains(&byte));
}

/// Appends a target that is made of parts, some of which are escaped already: only what no target
/// may hold is escaped.
pub fn put_target(target: &[u8], out: &mut Vec<u8>) {
    put_with(target, out, |byte| !byte.is_ascii_graphic() || byte == b'#');
}

/// Appends a location likewise; that may have a fragment. What no URI holds (RFC 3986, appendix A)
/// is escaped too: browsers take `\` for a slash, and `/\host` for another host.
pub fn put_location(location: &[u8], out: &mut Vec<u8>) {
    put_with(location, out, |byte| !byte.is_ascii_graphic() || b"\"<>\\^`{|}".contains(&byte));
}

fn put_with(bytes: &[u8], out: &mut Vec<u8>, escaped: impl Fn(u8) -> bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if escaped(byte) {
            let digit = |nibble: u8| DIGITS[usize::from(nibble & 15)];
            out.extend([b'%', digit(byte >> 4), digit(byte)]);
        } else {
            out.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_decoded_and_resolved() {
        for (path, expected) in [
            ("/", &b"/"[..]),
            ("/a/b", b"/a/b"),
            ("/a%20b", b"/a b"),
            ("/%40fs/%3F", b"/@fs/?"),
            ("/pub/..%2Fadmin", b"/admin"),
            ("/a//b/./c/../d", b"/a/b/d"),
            ("/a%2Fb", b"/a/b"),
            ("/a/%2e%2E/b", b"/b"),
            ("/a%2F..%2Fb/", b"/b/"),
            ("/%2F/a", b"/a"),
            ("/%2525", b"/%25"),
            ("/100%", b"/100%"),
            ("/%zz%4", b"/%zz%4"),
            ("/caf%C3%A9%FF", b"/caf\xC3\xA9\xFF"),
            ("/a%00", b"/a\0"),
            ("*", b"/"),
            ("", b"/"),
        ] {
            assert_eq!(&*decoded(path), expected, "{path}");
        }
        assert!(matches!(decoded("/a.b/c"), Cow::Borrowed(_)));
    }

    #[test]
    fn only_what_must_be_is_escaped() {
        let escaped = |path: &[u8]| {
            let mut out = Vec::new();
            put_escaped(path, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(escaped(b"/a b%?#\xC3\0"), "/a%20b%25%3F%23%C3%00");
        let plain = "/a-._~!$&'()*+,;=:@/[]9";
        assert_eq!(escaped(plain.as_bytes()), plain);
        let mut out = Vec::new();
        put_target(b"/a%20b?c d\r\n", &mut out);
        put_location(b"/\\e#\xFF", &mut out);
        assert_eq!(out, b"/a%20b?c%20d%0D%0A/%5Ce#%FF");
    }

    proptest! {
        /// A path that was escaped means what it meant, and is whole.
        #[test]
        fn escaping_changes_no_meaning(path in "/[a-z%?#\u{0}-\u{20}\u{e9}+&;]{0,20}") {
            let mut out = Vec::new();
            put_escaped(path.as_bytes(), &mut out);
            let text = String::from_utf8(out).unwrap();
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(&*decoded(&text), path.as_bytes());
        }

        /// However often it is encoded, nothing is left to resolve.
        #[test]
        fn nothing_is_left_to_resolve(path in "/([a./]|%2[eEfF]){0,20}") {
            let path = decoded(&path);
            prop_assert!(path.starts_with(b"/"));
            let segments = path[1..].split(|byte| *byte == b'/').collect::<Vec<_>>();
            let (last, others) = segments.split_last().unwrap();
            prop_assert!(others.iter().all(|segment| !segment.is_empty()));
            prop_assert!(segments.iter().all(|segment| *segment != b"." && *segment != b".."));
            prop_assert!(*last != b".");
        }
    }
}
