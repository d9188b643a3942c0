//! TOML text to a tree with places, or the first mistake in words.

use toml::de::DeTable;

/// A text that is not TOML.
#[derive(Debug)]
pub(super) struct SyntaxError {
    /// Where, in bytes.
    pub offset: usize,
    pub what: String,
    pub remedy: String,
}

/// The tree of `text`.
///
/// The parser goes on after an error, but what it then takes for errors mostly follows from the
/// first, so only that is told.
pub(super) fn parse(text: &str) -> Result<DeTable<'_>, SyntaxError> {
    match parse_leniently(text) {
        (_, Some(error)) => Err(error),
        (root, None) => Ok(root),
    }
}

/// The tree of what can be parsed, and the first mistake.
pub(super) fn parse_leniently(text: &str) -> (DeTable<'_>, Option<SyntaxError>) {
    let (root, errors) = DeTable::parse_recoverable(text);
    let place = |error: &&toml::de::Error| error.span().map_or(0, |span| span.start);
    let first = errors.iter().min_by_key(place);
    let error = first.map(|first| in_words(first, text));
    (root.into_inner(), error)
}

/// The parser's complaint in other words.
///
/// The mistakes that everyone makes get an answer of their own; for the rest the parser says what
/// it expected, where it knows.
fn in_words(error: &toml::de::Error, text: &str) -> SyntaxError {
    let span = error.span().unwrap_or_default();
    let (message, expected) = match error.message().split_once(", expected ") {
        Some((message, expected)) => (message, format!("expected {expected}")),
        None => (error.message(), String::new()),
    };
    let (what, remedy) = match message {
        "invalid basic string" if expected == "expected `\"`" => {
            ("a string is not closed".to_owned(), "add the `\"`".to_owned())
        }
        "invalid literal string" => ("a string is not closed".to_owned(), "add the `'`".to_owned()),
        "duplicate key" => {
            let key = text.get(span.clone()).unwrap_or_default();
            (format!("`{key}` is there twice"), "keep one".to_owned())
        }
        _ => {
            let unquoted = message == "string values must be quoted";
            let word = text.get(span.clone()).filter(|word| unquoted && !word.is_empty());
            let word = word.map(|word| (span.start, word));
            // Other messages are about the inside of what looks like a number or a date.
            let bare = match unquoted || message.starts_with("invalid ") {
                true => bare_value(text, span.start).or(word),
                false => None,
            };
            if let Some((start, value)) = bare {
                let what = format!("`{value}` is not a value");
                let remedy = format!("did you mean \"{value}\", in quotes?");
                return SyntaxError { offset: start, what, remedy };
            }
            match unquoted {
                true => ("there is no value after the `=`".to_owned(), "add one".to_owned()),
                false => (message.to_owned(), expected),
            }
        }
    };
    SyntaxError { offset: span.start, what, remedy }
}

/// The value in the line of `key = value` that `offset` is in, and where it begins, if it stands
/// there without quotes or brackets.
fn bare_value(text: &str, offset: usize) -> Option<(usize, &str)> {
    let line_start = text.get(..offset)?.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(line_start..)?.lines().next()?;
    let (key, rest) = line.split_once('=')?;
    let value = rest.split('#').next()?.trim();
    let start = line_start + key.len() + 1 + (rest.len() - rest.trim_start().len());
    let bare = !value.is_empty() && !value.starts_with(['"', '\'', '[', '{']);
    (bare && !value.contains(['"', '='])).then_some((start, value))
}
