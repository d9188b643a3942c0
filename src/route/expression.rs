//! Regular expressions that say what of a text they found.

use std::fmt;

use regex::bytes::{Captures, Regex, RegexBuilder};

/// A regular expression over bytes: a decoded path need not be UTF-8.
#[derive(Clone, Debug)]
pub struct Expression {
    regex: Regex,
    /// Only in texts that begin so is it looked for.
    within: Box<[u8]>,
}

/// Two are equal that are written alike.
impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.as_str() == other.as_str() && self.within == other.within
    }
}

impl Eq for Expression {}

impl std::hash::Hash for Expression {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
        self.within.hash(state);
    }
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, in a few words.
    pub fn new(text: &str) -> Result<Expression, String> {
        Regex::new(text).map(Expression::from).map_err(|error| in_words(&error))
    }

    /// Reads an expression to which `a` and `A` are the same.
    ///
    /// # Errors
    /// What is wrong with it, in a few words.
    pub fn any_case(text: &str) -> Result<Expression, String> {
        let regex = RegexBuilder::new(text).case_insensitive(true).build();
        regex.map(Expression::from).map_err(|error| in_words(&error))
    }

    /// The same, looked for only in texts that begin like this.
    pub fn within(self, start: &[u8]) -> Expression {
        Expression { within: start.into(), ..self }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    /// Whether it is found in a text.
    pub fn is_match(&self, text: &[u8]) -> bool {
        text.starts_with(&self.within) && self.regex.is_match(text)
    }

    /// What its groups found in a text, if it is found there.
    pub fn captures<'t>(&self, text: &'t [u8]) -> Option<Captures<'t>> {
        text.starts_with(&self.within).then(|| self.regex.captures(text))?
    }

    /// How many groups it has.
    pub fn groups(&self) -> usize {
        self.regex.captures_len() - 1
    }

    /// The names of its groups that have one, with their numbers, from 1.
    pub fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        self.regex.capture_names().enumerate().filter_map(|(number, name)| Some((number, name?)))
    }
}

/// For people.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self.within.is_empty() {
            true => Ok(()),
            false => write!(f, " in {}", String::from_utf8_lossy(&self.within)),
        }
    }
}

impl From<Regex> for Expression {
    fn from(regex: Regex) -> Expression {
        Expression { regex, within: Box::default() }
    }
}

/// The message is a drawing over several lines; its last line says what is wrong.
fn in_words(error: &regex::Error) -> String {
    let message = error.to_string();
    let last = message.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_names() {
        let expression = Expression::new(r"^/(?<user>[^/]+)/(\d+)$").unwrap();
        assert_eq!(expression.groups(), 2);
        assert_eq!(expression.names().collect::<Vec<_>>(), [(1, "user")]);
        let captures = expression.captures(b"/\xff/7");
        assert!(captures.is_none(), "a class holds characters");
        assert_eq!(&expression.captures("/é/7".as_bytes()).unwrap()[2], b"7");
        assert!(Expression::any_case("^A$").unwrap().is_match(b"a"));
        assert_eq!(Expression::new("(a").unwrap_err(), "unclosed group");
    }

    #[test]
    fn an_expression_may_be_for_texts_with_a_beginning() {
        let plain = Expression::new("/x$").unwrap();
        let within = plain.clone().within(b"/a/");
        assert_ne!(plain, within);
        for (text, expected) in [("/a/x", true), ("/a/b/x", true), ("/b/x", false), ("/x", false)] {
            assert_eq!(within.is_match(text.as_bytes()), expected, "{text}");
            assert_eq!(within.captures(text.as_bytes()).is_some(), expected, "{text}");
        }
    }
}
