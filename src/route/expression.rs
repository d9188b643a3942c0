//! Regular expressions that say what of a text they found.

use regex::bytes::{Captures, Regex, RegexBuilder};

/// A regular expression over bytes: a decoded path need not be UTF-8.
#[derive(Clone, Debug)]
pub struct Expression(Regex);

/// Two are equal that are written alike.
impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Expression {}

impl std::hash::Hash for Expression {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, in a few words.
    pub fn new(text: &str) -> Result<Expression, String> {
        Regex::new(text).map(Expression).map_err(|error| in_words(&error))
    }

    /// Reads an expression to which `a` and `A` are the same.
    ///
    /// # Errors
    /// What is wrong with it, in a few words.
    pub fn any_case(text: &str) -> Result<Expression, String> {
        let regex = RegexBuilder::new(text).case_insensitive(true).build();
        regex.map(Expression).map_err(|error| in_words(&error))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it is found in a text.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }

    /// What its groups found in a text, if it is found there.
    pub fn captures<'t>(&self, text: &'t [u8]) -> Option<Captures<'t>> {
        self.0.captures(text)
    }

    /// How many groups it has.
    pub fn groups(&self) -> usize {
        self.0.captures_len() - 1
    }

    /// The names of its groups that have one, with their numbers, from 1.
    pub fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        self.0.capture_names().enumerate().filter_map(|(number, name)| Some((number, name?)))
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
}
