//! Expressions that look ahead or behind, as PCRE's may.

use std::borrow::Cow;

use fancy_regex::{Regex, RegexBuilder};

/// How often one may go back in a text before that is given up. The longest path that a head can
/// hold needs a fraction of it, unless the expression is written so that it multiplies its ways.
const STEPS: usize = 100_000;
/// Bytes beyond ASCII stand for themselves: as characters that are no letters, and have no case.
const BEYOND_ASCII: u32 = 0xE000;

/// Such an expression. It matches bytes: a dot is any one, and the other case of a letter is
/// ASCII's.
#[derive(Clone, Debug)]
pub struct Looking {
    written: Box<str>,
    regex: Regex,
}

impl Looking {
    /// Whether a text that the plain syntax does not know looks ahead or behind.
    pub fn is_meant(text: &str) -> bool {
        ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|look| text.contains(look))
    }

    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, in a few words.
    pub fn new(written: &str, any_case: bool) -> Result<Looking, String> {
        if !written.is_ascii() {
            return Err("what looks ahead or behind may hold ASCII only".to_owned());
        }
        // Bytes are all that it ever sees.
        let (bare, any_case) = match written.strip_prefix("(?i-u)") {
            Some(bare) => (bare, true),
            None => (written.strip_prefix("(?-u)").unwrap_or(written), any_case),
        };
        let regex = RegexBuilder::new(bare)
            .case_insensitive(any_case)
            .backtrack_limit(STEPS)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Looking { written: written.into(), regex })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether it is found in a text. Where that takes too long it counts as found: what is kept
    /// out by it must not get in by being long.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(&spelled(text)).unwrap_or(true)
    }

    /// As [`super::Expression::captures`]; where it takes too long, nothing for each group.
    pub fn captures<'t>(&self, text: &'t [u8]) -> Option<Vec<&'t [u8]>> {
        let spelled = spelled(text);
        let Ok(captures) = self.regex.captures(&spelled) else {
            return Some(vec![b""; self.groups() + 1]);
        };
        // Each character is one byte of the text.
        let place = |at: usize| spelled[..at].chars().count();
        let captures = captures?;
        let groups = (0..captures.len()).map(|group| {
            captures.get(group).map_or(&b""[..], |g| &text[place(g.start())..place(g.end())])
        });
        Some(groups.collect())
    }

    /// How many groups it has.
    pub fn groups(&self) -> usize {
        self.regex.captures_len() - 1
    }

    /// The names of its groups, that of the whole first.
    pub fn names(&self) -> impl Iterator<Item = Option<&str>> {
        self.regex.capture_names()
    }
}

/// A text as characters, one for each byte.
fn spelled(text: &[u8]) -> Cow<'_, str> {
    let spell = |byte: u8| match byte.is_ascii() {
        true => byte as char,
        false => {
            char::from_u32(BEYOND_ASCII + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
    };
    match std::str::from_utf8(text) {
        Ok(plain) if plain.is_ascii() => Cow::Borrowed(plain),
        _ => Cow::Owned(text.iter().copied().map(spell).collect()),
    }
}

#[cfg(test)]
mod tests {
    use crate::route::Expression;

    #[test]
    fn what_tutorials_write_is_found() {
        let table: [(&str, &[(&str, bool)]); 4] = [
            (
                r"/\.(?!well-known).*",
                &[("/.git/config", true), ("/.well-known/acme", false), ("/a/.env", true)],
            ),
            (r"(?-u)^/(?!api/)(.*)\n?$", &[("/x", true), ("/api/x", false), ("/api", true)]),
            (r"(?i-u)(?<!/)\.PHP$", &[("/a.php", true), ("/.php", false)]),
            (r"^(?=.*\d)/a", &[("/a1", true), ("/ab", false)]),
        ];
        for (written, texts) in table {
            let expression = Expression::new(written).unwrap();
            assert_eq!(expression.as_str(), written);
            for (text, expected) in texts {
                assert_eq!(expression.is_match(text.as_bytes()), *expected, "{written}: {text}");
                assert_eq!(expression.captures(text.as_bytes()).is_some(), *expected);
            }
        }
    }

    #[test]
    fn groups_are_of_bytes() {
        let expression = Expression::new("^/(?!a)(?<first>[^/]+)/(x)?(.)").unwrap();
        assert_eq!(expression.groups(), 3);
        assert_eq!(expression.names().collect::<Vec<_>>(), [(1, "first")]);
        let found = expression.captures(b"/\xff\xc3/\xe9z").unwrap();
        assert_eq!(found, [&b"/\xff\xc3/\xe9"[..], b"\xff\xc3", b"", b"\xe9"]);
        assert!(!Expression::new(r"(?!b)\w").unwrap().is_match(b"\xe9"), "no letter of ASCII's");
    }

    #[test]
    fn what_takes_too_long_is_found() {
        let expression = Expression::new("^(?!b)(a|aa)+(?=c)$").unwrap();
        let long = "a".repeat(64);
        assert!(expression.is_match(long.as_bytes()));
        assert_eq!(expression.captures(long.as_bytes()).unwrap(), [&b""[..], b""]);
        assert!(!expression.is_match(b"aaa"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(Expression::new("(?!é)").unwrap_err().contains("ASCII only"));
        assert!(Expression::new("(?!a").is_err());
        assert_eq!(Expression::new("(a").unwrap_err(), "unclosed group");
    }
}
