//! Regular expressions that say what of a text they found.

mod looking;

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

use looking::Looking;

/// A regular expression over bytes: a decoded path need not be UTF-8.
#[derive(Clone, Debug)]
pub struct Expression {
    engine: Engine,
    /// Only in texts that begin so is it looked for.
    within: Box<[u8]>,
}

#[derive(Clone, Debug)]
enum Engine {
    /// Takes time in proportion to the text.
    Plain(Regex),
    /// Looks ahead or behind, as in `/\.(?!well-known)`, and may have to go back.
    Looking(Box<Looking>),
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
        Expression::read(text, false)
    }

    /// Reads an expression to which `a` and `A` are the same.
    ///
    /// # Errors
    /// What is wrong with it, in a few words.
    pub fn any_case(text: &str) -> Result<Expression, String> {
        Expression::read(text, true)
    }

    fn read(text: &str, any_case: bool) -> Result<Expression, String> {
        let engine = match RegexBuilder::new(text).case_insensitive(any_case).build() {
            Ok(regex) => Engine::Plain(regex),
            Err(_) if Looking::is_meant(text) => {
                Engine::Looking(Box::new(Looking::new(text, any_case)?))
            }
            Err(error) => return Err(in_words(&error)),
        };
        Ok(Expression { engine, within: Box::default() })
    }

    /// The same, looked for only in texts that begin like this.
    pub fn within(self, start: &[u8]) -> Expression {
        Expression { within: start.into(), ..self }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        match &self.engine {
            Engine::Plain(regex) => regex.as_str(),
            Engine::Looking(looking) => looking.as_str(),
        }
    }

    /// Whether it is found in a text.
    pub fn is_match(&self, text: &[u8]) -> bool {
        text.starts_with(&self.within)
            && match &self.engine {
                Engine::Plain(regex) => regex.is_match(text),
                Engine::Looking(looking) => looking.is_match(text),
            }
    }

    /// What it and its groups found in a text, if it is found there: the whole first, and nothing
    /// for a group that took no part.
    pub fn captures<'t>(&self, text: &'t [u8]) -> Option<Vec<&'t [u8]>> {
        if !text.starts_with(&self.within) {
            return None;
        }
        match &self.engine {
            Engine::Plain(regex) => {
                let captures = regex.captures(text)?;
                Some(
                    captures.iter().map(|group| group.map_or(&b""[..], |g| g.as_bytes())).collect(),
                )
            }
            Engine::Looking(looking) => looking.captures(text),
        }
    }

    /// How many groups it has.
    pub fn groups(&self) -> usize {
        match &self.engine {
            Engine::Plain(regex) => regex.captures_len() - 1,
            Engine::Looking(looking) => looking.groups(),
        }
    }

    /// The names of its groups that have one, with their numbers, from 1.
    pub fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        let names: Vec<Option<&str>> = match &self.engine {
            Engine::Plain(regex) => regex.capture_names().collect(),
            Engine::Looking(looking) => looking.names().collect(),
        };
        names.into_iter().enumerate().filter_map(|(number, name)| Some((number, name?)))
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
        assert_eq!(expression.captures("/é/7".as_bytes()).unwrap()[2], b"7");
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
