//! From the path of a request to the path of a file.

/// Why a path names no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathFault {
    /// It holds a NUL, which no file name does: the request is wrong (400).
    Nul,
    /// It holds an encoded slash, or what becomes a dot segment when it is decoded: routes have
    /// seen another path than the file system would (404).
    Ambiguous,
}

/// What a path, as [`normalise`](super::normalise) gives it, is called in the file system, without
/// the slash that it begins with. A slash at its end stays.
///
/// Everything is decoded, once. What that turns into a separator or a dot segment is refused, so
/// the result is below its root whatever opens it; a backslash is an ordinary character.
pub fn decode_file_path(path: &str) -> Result<Vec<u8>, PathFault> {
    let path = path.strip_prefix('/').unwrap_or(path).as_bytes();
    if path.contains(&0) {
        return Err(PathFault::Nul);
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, behind)) = rest.split_first() {
        match super::path::decode(rest) {
            Some(0) => return Err(PathFault::Nul),
            Some(b'/') => return Err(PathFault::Ambiguous),
            Some(byte) => {
                decoded.push(byte);
                rest = &rest[3..];
            }
            None => {
                decoded.push(byte);
                rest = behind;
            }
        }
    }
    let is_dot = |segment: &[u8]| segment == b"." || segment == b"..";
    match decoded.split(|byte| *byte == b'/').any(is_dot) {
        true => Err(PathFault::Ambiguous),
        false => Ok(decoded),
    }
}

/// Whether a decoded path has a segment that begins with a dot, which by custom hides a file.
/// `.well-known` at its beginning is for everybody to see (RFC 8615).
pub fn is_hidden(path: &[u8]) -> bool {
    let mut segments = path.split(|byte| *byte == b'/').enumerate();
    segments.any(|(at, name)| name.starts_with(b".") && !(at == 0 && name == b".well-known"))
}

/// The path as it is written in a Location: what is no plain character of paths is encoded.
pub fn encode_file_path(path: &[u8]) -> String {
    let mut encoded = String::with_capacity(path.len() + 1);
    for &byte in path {
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=:@".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for digit in [byte >> 4, byte & 15] {
                encoded.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::super::{decoded as decoded_path, normalise};
    use super::*;
    use proptest::prelude::*;

    fn decoded(path: &str) -> Result<String, PathFault> {
        decode_file_path(&normalise(path)).map(|path| String::from_utf8(path).expect("text"))
    }

    #[test]
    fn paths_of_files() {
        for (path, file) in [
            ("/", ""),
            ("/a/b.html", "a/b.html"),
            ("/a/", "a/"),
            ("//a///b", "a/b"),
            ("/a%20b/%C3%A9", "a b/é"),
            ("/100%", "100%"),
            ("/%zz", "%zz"),
            ("/..", ""),
            ("/../../etc/passwd", "etc/passwd"),
            ("/%2e%2e/%2E%2e/etc/passwd", "etc/passwd"),
            ("/a/..%5c..%5cb", "a/..\\..\\b"),
            ("/a/..\\b", "a/..\\b"),
            ("/...", "..."),
            ("/a..b/..c", "a..b/..c"),
            ("/%252e%252e/a", "%2e%2e/a"),
            // Decoded once, whatever it looks like then: routes have seen the same.
            ("/%%32e%%32e/etc/passwd", "%2e%2e/etc/passwd"),
            ("/%%370rivate", "%70rivate"),
            ("*", ""),
        ] {
            assert_eq!(decoded(path).as_deref(), Ok(file), "{path}");
        }
    }

    #[test]
    fn what_names_no_file() {
        for (path, fault) in [
            ("/a%00.html", PathFault::Nul),
            ("/%00", PathFault::Nul),
            ("/a\0", PathFault::Nul),
            ("/..%2f..%2fetc/passwd", PathFault::Ambiguous),
            ("/a%2Fb", PathFault::Ambiguous),
        ] {
            assert_eq!(decoded(path), Err(fault), "{path}");
        }
    }

    #[test]
    fn hidden_files() {
        for path in [".git/config", "a/.htpasswd", "a/.b/c", ".env", "a/.well-known/x", "..."] {
            assert!(is_hidden(path.as_bytes()), "{path}");
        }
        for path in ["", "a/b", ".well-known/acme-challenge/x", "a.b/c.d", ".well-known"] {
            assert!(!is_hidden(path.as_bytes()), "{path}");
        }
    }

    proptest! {
        /// However it is spelled, nothing above the root can be meant.
        #[test]
        fn no_path_leads_out(path in "/([a./%2eE\\\\]|%2[eEfF]|%5[cC]|%25|%32|%00){0,24}") {
            if let Ok(file) = decode_file_path(&normalise(&path)) {
                prop_assert!(!file.contains(&0) && !file.starts_with(b"/"));
                let mut segments = file.split(|byte| *byte == b'/');
                prop_assert!(segments.all(|segment| segment != b"." && segment != b".."));
            }
        }

        /// Routes judge the path of the file that is opened, in all its spellings.
        #[test]
        fn routes_see_the_same_path(
            path in "/([a./%2eE]|%2[eEfF]|%5[cC]|%25|%3[2-7]|%C3%a9){0,24}",
        ) {
            if let Ok(file) = decode_file_path(&normalise(&path)) {
                prop_assert_eq!([b"/", &file[..]].concat(), decoded_path(&path).into_owned());
                let sent = encode_file_path(&file);
                let again = decode_file_path(&normalise(&format!("/{sent}")));
                prop_assert_eq!(again, Ok(file));
            }
        }

        /// A Location leads back to the same file.
        #[test]
        fn encoded_paths_are_decoded(path in proptest::collection::vec(1_u8..=255, 0..24)) {
            prop_assume!(!path.starts_with(b"/"));
            let encoded = encode_file_path(&path);
            prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic()));
            if let Ok(decoded) = decode_file_path(&format!("/{encoded}")) {
                prop_assert_eq!(decoded, path);
            }
        }
    }
}
