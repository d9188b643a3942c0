//! Variables whose value follows from another text.

use std::collections::HashMap;

use super::program::Matcher;
use super::template::Template;

/// One `[[map]]`.
#[derive(Clone, Debug, Default)]
pub struct MapPlan {
    /// What is looked up.
    pub from: Template,
    /// What holds where nothing else fits.
    pub default: Template,
    /// The values.
    pub texts: Vec<Template>,
    /// The value by the text itself, in lower case.
    pub exact: HashMap<Vec<u8>, usize>,
    /// The value by the end of a host name, without `*.`.
    pub suffixes: HashMap<Vec<u8>, usize>,
    /// The value by the beginning of a host name, without `.*`.
    pub prefixes: HashMap<Vec<u8>, usize>,
    /// The value by the first of these that is found.
    pub expressions: Vec<(Matcher, usize)>,
    /// Texts are host names: a final dot is left out.
    pub hostnames: bool,
}

impl MapPlan {
    /// What a text stands for, and the expression that was found in it if one was. As in nginx:
    /// texts in any case, then the longest suffix, the longest prefix, the first expression.
    pub fn find(&self, text: &[u8]) -> (&Template, Option<&Matcher>) {
        let text = match self.hostnames {
            true => text.strip_suffix(b".").unwrap_or(text),
            false => text,
        };
        let lower = text.to_ascii_lowercase();
        let plain = self.exact.get(&lower).or_else(|| self.by_host(&lower));
        if let Some(value) = plain.and_then(|index| self.texts.get(*index)) {
            return (value, None);
        }
        for (matcher, index) in &self.expressions {
            if let (true, Some(value)) = (matcher.expression.is_match(text), self.texts.get(*index))
            {
                return (value, Some(matcher));
            }
        }
        (&self.default, None)
    }

    fn by_host(&self, lower: &[u8]) -> Option<&usize> {
        if !self.hostnames {
            return None;
        }
        let dots = || lower.iter().enumerate().filter(|(_, byte)| **byte == b'.');
        let suffix = || dots().find_map(|(dot, _)| self.suffixes.get(&lower[dot + 1..]));
        let prefix = || dots().rev().find_map(|(dot, _)| self.prefixes.get(&lower[..dot]));
        suffix().or_else(prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Expression;

    #[test]
    fn what_fits_best_holds() {
        let texts = ["exact", "suffix", "long suffix", "prefix", "found", "empty"];
        let key = |text: &str| text.as_bytes().to_vec();
        let matcher = Matcher { expression: Expression::new("^b").unwrap(), names: Vec::new() };
        let mut map = MapPlan {
            default: Template::plain("default"),
            texts: texts.map(Template::plain).to_vec(),
            exact: HashMap::from([(key("a.example.com"), 0), (key(""), 5)]),
            suffixes: HashMap::from([(key("example.com"), 1), (key("b.example.com"), 2)]),
            prefixes: HashMap::from([(key("b"), 3)]),
            expressions: vec![(matcher, 4)],
            hostnames: true,
            ..MapPlan::default()
        };
        let found = |map: &MapPlan, text: &str| {
            let (value, matcher) = map.find(text.as_bytes());
            (value.fixed().unwrap().to_owned(), matcher.is_some())
        };
        for (text, value) in [
            ("A.Example.com.", "exact"),
            ("c.example.com", "suffix"),
            ("x.b.example.com", "long suffix"),
            ("b.org", "prefix"),
            ("example.com", "default"),
            ("", "empty"),
        ] {
            assert_eq!(found(&map, text), (value.to_owned(), false), "{text}");
        }
        assert_eq!(found(&map, "bb"), ("found".to_owned(), true));
        map.hostnames = false;
        assert_eq!(found(&map, "c.example.com").0, "default");
    }
}
