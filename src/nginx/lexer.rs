//! Text to words, as nginx itself cuts it (`ngx_conf_read_token`).
//!
//! A word ends at a blank, `;` or `{`; it may begin with a quote and then ends at the same one. A
//! backslash keeps the next character from meaning anything. `${name}` is part of a word, any other
//! brace is not: an expression with braces must be quoted.

use super::tree::{Place, Word};

/// A piece of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name or an argument.
    Word(Word),
    /// `;`
    Semicolon(Place),
    /// `{`
    Open(Place),
    /// `}`
    Close(Place),
}

/// A text that cannot be cut into words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LexError {
    pub place: Place,
    pub what: String,
    pub remedy: String,
}

/// Cuts the text of one file.
pub(super) struct Lexer<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    place: Place,
}

impl<'t> Lexer<'t> {
    /// For the text of file number `file`.
    pub fn new(text: &'t str, file: usize) -> Lexer<'t> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Lexer { rest: text.chars().peekable(), place: Place { file, line: 1, column: 1 } }
    }

    /// Where the next character stands.
    pub fn place(&self) -> Place {
        self.place
    }

    fn take(&mut self) -> Option<char> {
        let next = self.rest.next()?;
        match next {
            '\n' => {
                self.place.line += 1;
                self.place.column = 1;
            }
            _ => self.place.column += 1,
        }
        Some(next)
    }

    fn skip_blanks_and_comments(&mut self) {
        while let Some(&next) = self.rest.peek() {
            match next {
                ' ' | '\t' | '\r' | '\n' => {
                    self.take();
                }
                '#' => while self.take().is_some_and(|taken| taken != '\n') {},
                _ => return,
            }
        }
    }

    /// The next piece; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Token>, LexError> {
        self.skip_blanks_and_comments();
        let place = self.place;
        let Some(&first) = self.rest.peek() else { return Ok(None) };
        match first {
            ';' | '{' | '}' => {
                self.take();
                Ok(Some(match first {
                    ';' => Token::Semicolon(place),
                    '{' => Token::Open(place),
                    _ => Token::Close(place),
                }))
            }
            '"' | '\'' => self.quoted(first, place).map(Some),
            _ => Ok(Some(self.bare(place))),
        }
    }

    fn quoted(&mut self, quote: char, place: Place) -> Result<Token, LexError> {
        self.take();
        let mut text = String::new();
        loop {
            match self.take() {
                Some('\\') => self.escaped(&mut text),
                Some(taken) if taken == quote => break,
                Some(taken) => text.push(taken),
                None => {
                    let what = "a quoted text is not closed".to_owned();
                    return Err(LexError { place, what, remedy: format!("add the `{quote}`") });
                }
            }
        }
        // nginx lets `)` follow, for `if ($x = "y")`.
        match self.rest.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | ';' | '{' | ')') => {}
            Some(next) => {
                return Err(LexError {
                    place: self.place,
                    what: format!("`{next}` follows a quoted text without a blank"),
                    remedy: format!("put the whole word into {quote}…{quote}"),
                });
            }
        }
        Ok(Token::Word(Word { text, place, quoted: true }))
    }

    fn bare(&mut self, place: Place) -> Token {
        let mut text = String::new();
        let mut after_dollar = false;
        while let Some(&next) = self.rest.peek() {
            match next {
                ' ' | '\t' | '\r' | '\n' | ';' => break,
                '{' if !after_dollar => break,
                _ => {}
            }
            self.take();
            match next {
                '\\' => self.escaped(&mut text),
                _ => text.push(next),
            }
            after_dollar = next == '$';
        }
        Token::Word(Word { text, place, quoted: false })
    }

    /// What follows a backslash: a quote or a backslash stands for itself, `t`, `r` and `n` for
    /// what they do elsewhere, and before anything else the backslash stays.
    fn escaped(&mut self, text: &mut String) {
        match self.take() {
            Some(taken @ ('"' | '\'' | '\\')) => text.push(taken),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('n') => text.push('\n'),
            Some(taken) => text.extend(['\\', taken]),
            None => text.push('\\'),
        }
    }

    /// Leaves out the rest of a block in another language, which is Lua: up to the brace that
    /// closes it, its own braces counted, but for those in its strings and comments.
    pub fn skip_block(&mut self) {
        let mut depth = 1;
        while depth > 0 {
            match self.take() {
                Some('{') => depth += 1,
                Some('}') => depth -= 1,
                Some(quote @ ('"' | '\'')) => self.skip_string(quote),
                Some('-') if self.rest.peek() == Some(&'-') => {
                    while self.take().is_some_and(|taken| taken != '\n') {}
                }
                Some(_) => {}
                None => return,
            }
        }
    }

    fn skip_string(&mut self, quote: char) {
        while let Some(taken) = self.take() {
            match taken {
                '\\' => {
                    self.take();
                }
                _ if taken == quote => return,
                _ => {}
            }
        }
    }
}
