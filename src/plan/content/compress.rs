//! Which answers are compressed, and how.

use crate::http1::Coding;

/// `compress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompressPlan {
    /// What is offered; of those that a client likes as much, the first.
    pub codings: Vec<Coding>,
    /// Content types.
    pub types: Vec<TypePattern>,
    /// Answers that are announced to be smaller stay as they are, bytes.
    pub min_bytes: u64,
    /// How hard gzip tries, 1 to 9.
    pub gzip_level: u32,
    /// How hard Brotli tries, 1 to 9.
    pub brotli_level: u32,
    /// How hard Zstandard tries, 1 to 12.
    pub zstd_level: u32,
}

/// A content type, lower case and without parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypePattern {
    /// `*`: every one.
    Any,
    /// `text/*`: those that begin so, slash included.
    Below(String),
    /// This one.
    Exact(String),
}

/// Sent while it is made, line by line: compression would hold lines back if it were not flushed
/// with each, and gains little when it is. Compressed only where it is named.
const EVENTS: &[u8] = b"text/event-stream";

impl CompressPlan {
    /// What text there is on the web; pictures, films and archives are compressed already.
    pub const TYPES: [&str; 16] = [
        "text/html",
        "text/css",
        "text/plain",
        "text/xml",
        "text/csv",
        "text/javascript",
        "text/markdown",
        "application/javascript",
        "application/json",
        "application/ld+json",
        "application/manifest+json",
        "application/wasm",
        "application/xml",
        "application/rss+xml",
        "application/atom+xml",
        "image/svg+xml",
    ];
    /// In less there is little to gain.
    pub const MIN_BYTES: u64 = 1 << 10;

    /// Whether answers with this Content-Type are compressed.
    pub fn has_type(&self, content_type: &[u8]) -> bool {
        let name = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        self.types.iter().any(|pattern| match pattern {
            TypePattern::Exact(exact) => exact.as_bytes().eq_ignore_ascii_case(name),
            _ if name.eq_ignore_ascii_case(EVENTS) => false,
            TypePattern::Any => true,
            TypePattern::Below(start) => name
                .get(..start.len())
                .is_some_and(|begin| start.as_bytes().eq_ignore_ascii_case(begin)),
        })
    }
}

impl TypePattern {
    /// Reads `*`, `text/*` or `text/html`.
    pub fn parse(text: &str) -> Option<TypePattern> {
        if text == "*" {
            return Some(TypePattern::Any);
        }
        let is_part = |part: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
            !part.is_empty() && part.bytes().all(known)
        };
        let lower = text.to_ascii_lowercase();
        match lower.split_once('/') {
            Some((first, "*")) if is_part(first) => Some(TypePattern::Below(format!("{first}/"))),
            Some((first, second)) if is_part(first) && is_part(second) => {
                Some(TypePattern::Exact(lower))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(types: &[&str]) -> CompressPlan {
        CompressPlan {
            codings: vec![Coding::Gzip],
            types: types.iter().map(|text| TypePattern::parse(text).unwrap()).collect(),
            min_bytes: 0,
            gzip_level: 5,
            brotli_level: 4,
            zstd_level: 3,
        }
    }

    #[test]
    fn types() {
        let has = |types: &[&str], found: &str| plan(types).has_type(found.as_bytes());
        for found in ["text/html", "Text/HTML; charset=utf-8", " text/html ;a"] {
            assert!(has(&["text/html"], found) && has(&["text/*"], found) && has(&["*"], found));
        }
        for found in ["text", "", "application/json", "image/png", "texta/html"] {
            assert!(!has(&["text/html", "text/*"], found), "{found}");
        }
        assert!(!has(&["text/html"], "text/htmlx"));
        assert!(!has(&["*", "text/*"], "text/event-stream; charset=utf-8"));
        assert!(has(&["text/event-stream"], "text/event-stream"));
        assert!(!has(&CompressPlan::TYPES, "text/event-stream"));
    }

    #[test]
    fn what_is_no_type() {
        for text in ["", "html", "text/", "/html", "text/a b", "*/*", "*/html", "text/html;a=b"] {
            assert_eq!(TypePattern::parse(text), None, "{text}");
        }
        assert_eq!(TypePattern::parse("Text/*"), Some(TypePattern::Below("text/".into())));
    }
}
