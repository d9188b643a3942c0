//! Expressions: PCRE's meaning in the syntax of the `regex` crate.
//!
//! nginx matches bytes, without PCRE's UTF mode: a dot is any byte, `\w` and the other case of
//! a letter are ASCII's. `$` also matches before a newline that ends the text, which a path may
//! have (`%0A`).

use std::iter::Peekable;
use std::str::Chars;

use super::complaint::Complaints;
use super::texts::{Piece, VARIABLES, is_family, pieces};
use super::tree::Word;

/// An expression as Corelane takes it, for any text. Complains of what it does not know.
pub(super) fn expression(
    word: &Word,
    text: &str,
    any_case: bool,
    complaints: &Complaints,
) -> Option<String> {
    checked(word, text, any_case, true, complaints)
}

/// The same for what is looked for in a text with these variables.
pub(super) fn expression_on(
    tested: &str,
    word: &Word,
    text: &str,
    any_case: bool,
    complaints: &Complaints,
) -> Option<String> {
    checked(word, text, any_case, may_have_newlines(tested), complaints)
}

/// The same for the name of a host.
pub(super) fn expression_on_host(
    word: &Word,
    text: &str,
    complaints: &Complaints,
) -> Option<String> {
    checked(word, text, true, false, complaints)
}

/// Whether a text may have any: fields and the request line cannot.
fn may_have_newlines(tested: &str) -> bool {
    let decoded = ["uri", "document_uri"];
    pieces(tested).into_iter().any(|piece| match piece {
        Piece::Variable(name, _) => {
            let of_a_line = VARIABLES.contains(&name) || is_family(name);
            !of_a_line || decoded.contains(&name)
        }
        _ => false,
    })
}

fn checked(
    word: &Word,
    text: &str,
    any_case: bool,
    newlines: bool,
    complaints: &Complaints,
) -> Option<String> {
    let converted = converted(text, any_case, newlines);
    let error = match regex::bytes::Regex::new(&converted) {
        Ok(_) => return Some(converted),
        Err(error) => error,
    };
    let looks = ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|look| text.contains(look));
    let (why, remedy) = match &error {
        _ if looks => (
            "looking ahead or behind is not honoured".to_owned(),
            "leave it out, and let the exception come first: `location ^~ /.well-known/ { … }`, or \
             a line before in a `map`",
        ),
        regex::Error::Syntax(syntax) => (
            syntax.lines().last().unwrap_or_default().trim_start_matches("error: ").into(),
            "see https://docs.rs/regex for the syntax; braces need quotes around the word",
        ),
        _ => (error.to_string(), "write a shorter one"),
    };
    complaints.error(word.place, format!("the expression `{text}`: {why}"), remedy);
    None
}

/// What comes out, piece by piece.
struct Conversion<'t> {
    rest: Peekable<Chars<'t>>,
    out: String,
    /// Whether it holds what is another thing for characters than for bytes.
    minds_bytes: bool,
    newlines: bool,
}

/// PCRE's expression in the other syntax; what that does not know is left as it is.
fn converted(text: &str, any_case: bool, newlines: bool) -> String {
    let mut conversion = Conversion {
        rest: text.chars().peekable(),
        out: String::with_capacity(text.len() + 8),
        minds_bytes: any_case || !text.is_ascii(),
        newlines,
    };
    while conversion.next().is_some() {}
    let Conversion { out, minds_bytes, .. } = conversion;
    match (any_case, minds_bytes) {
        (true, _) => format!("(?i-u){out}"),
        (false, true) => format!("(?-u){out}"),
        (false, false) => out,
    }
}

impl Conversion<'_> {
    fn next(&mut self) -> Option<()> {
        match self.rest.next()? {
            '\\' => self.escaped(),
            '[' => self.class(),
            '(' if self.rest.peek() == Some(&'?') => self.group(),
            '.' => {
                self.minds_bytes = true;
                self.out.push('.');
            }
            '$' if self.newlines => {
                let repeated = matches!(self.rest.peek(), Some('?' | '*' | '+' | '{'));
                self.out.push_str(if repeated { r"(?:\n?$)" } else { r"\n?$" });
            }
            other => self.out.push(other),
        }
        Some(())
    }

    /// What stands behind a backslash.
    fn escaped(&mut self) {
        match self.rest.next() {
            // Beginnings and ends of words there, characters here.
            Some(bracket @ ('<' | '>')) => self.out.push(bracket),
            Some(letter) => {
                self.minds_bytes |= "dDwWsSbBpPxX".contains(letter);
                self.out.extend(['\\', letter]);
            }
            None => self.out.push('\\'),
        }
    }

    /// `(?…`, up to what says which kind of group it is.
    fn group(&mut self) {
        self.rest.next();
        self.out.push_str("(?");
        if self.rest.next_if_eq(&'\'').is_some() {
            // `(?'name'…)` is the third way to write `(?<name>…)`.
            self.out.push('<');
            while let Some(letter) = self.rest.next_if(|letter| *letter != '\'') {
                self.out.push(letter);
            }
            if self.rest.next().is_some() {
                self.out.push('>');
            }
            return;
        }
        while let Some(flag) = self.rest.next_if(|flag| flag.is_ascii_alphabetic() || *flag == '-')
        {
            self.minds_bytes |= flag == 'i';
            // `(?R)` goes back to the beginning there, and is about line ends here.
            self.out.push(if flag == 'R' { '&' } else { flag });
        }
    }

    /// `[…]`: nothing in it is nested or calculated with.
    fn class(&mut self) {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.minds_bytes = true;
            self.out.push('^');
        }
        if self.rest.next_if_eq(&']').is_some() {
            self.out.push_str(r"\]");
        }
        let mut previous = ' ';
        while let Some(letter) = self.rest.next() {
            match letter {
                ']' => return self.out.push(']'),
                '\\' => match self.rest.next() {
                    Some(letter) => {
                        self.minds_bytes |= "dDwWsSpPxX".contains(letter);
                        self.out.extend(['\\', letter]);
                    }
                    None => self.out.push('\\'),
                },
                '[' if self.rest.peek() == Some(&':') => {
                    self.minds_bytes = true;
                    self.out.push('[');
                    while let Some(letter) = self.rest.next_if(|letter| *letter != ']') {
                        self.out.push(letter);
                    }
                    self.out.extend(self.rest.next());
                }
                '[' => self.out.push_str(r"\["),
                '&' | '-' | '~' if letter == previous => self.out.extend(['\\', letter]),
                other => self.out.push(other),
            }
            previous = letter;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_mean_what_they_do_to_pcre() {
        let table = [
            ("^/a/b", "^/a/b"),
            (r"\.php$", r"\.php\n?$"),
            ("^/x/(.*)$", r"(?-u)^/x/(.*)\n?$"),
            ("(a|b$)?", r"(a|b\n?$)?"),
            ("a$?", r"a(?:\n?$)?"),
            ("[$.]", "[$.]"),
            ("[^/]", "(?-u)[^/]"),
            (r"\d", r"(?-u)\d"),
            ("(?'x'a)", "(?<x>a)"),
            ("(?<x>a)(?:b)(?P<y>c)", "(?<x>a)(?:b)(?P<y>c)"),
            ("(?i)a", "(?-u)(?i)a"),
            ("[[]", r"[\[]"),
            ("[]a]", r"[\]a]"),
            ("[[:alpha:]]", "(?-u)[[:alpha:]]"),
            ("[a&&!--c]", r"[a&\&!-\-c]"),
            (r"\<a\>", "<a>"),
            ("é", "(?-u)é"),
        ];
        for (text, expected) in table {
            assert_eq!(converted(text, false, true), expected, "{text}");
            assert!(regex::bytes::Regex::new(expected).is_ok(), "{expected}");
        }
        assert_eq!(converted(r"\.php$", true, true), r"(?i-u)\.php\n?$");
        assert_eq!(converted("^a$", true, false), "(?i-u)^a$");
        for text in ["[é]", r"\pL", "(?R)", r"\Qa\E", "a(?!b)", "(a"] {
            assert!(regex::bytes::Regex::new(&converted(text, false, true)).is_err(), "{text}");
        }
    }

    #[test]
    fn newlines_are_in_decoded_texts_only() {
        for (tested, expected) in [
            ("$uri", true),
            ("$1", true),
            ("$mine", true),
            ("$host$document_uri", true),
            ("$request_method", false),
            ("$http_user_agent$arg_x", false),
            ("$request_uri", false),
        ] {
            assert_eq!(may_have_newlines(tested), expected, "{tested}");
        }
    }
}
