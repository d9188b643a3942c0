//! The text of a configuration, for people who look at a running proxy: without its secrets.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::syntax;

/// The files of a configuration as they were read, the main file first. Files with servers are not
/// among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Each with its text.
    pub files: Vec<WrittenFile>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// What it is called in complaints.
    pub name: String,
    /// What it says. [`HIDDEN`] stands for secrets.
    pub text: String,
}

/// Longest text that is kept of a file, bytes; what comes after that is not shown.
const TEXT_MAX: usize = 256 << 10;
/// What stands for a secret.
pub const HIDDEN: &str = "\"(not shown)\"";

/// Words in a key whose value is a secret. Fields of requests are keys as well: Authorization and
/// the like.
const SECRET: [&str; 8] =
    ["token", "secret", "password", "passwd", "authorization", "api-key", "api_key", "apikey"];
/// Keys with such a word whose value says where the secret is.
const ENDS_OF_PLACES: [&str; 2] = ["_file", "-file"];

impl WrittenFile {
    /// A file with this text, which is TOML.
    pub(super) fn new(name: &str, text: &str) -> WrittenFile {
        WrittenFile { name: name.to_owned(), text: without_secrets(text) }
    }
}

fn is_secret(key: &str) -> bool {
    // As a field. `cookie` is also the name of a sticky cookie, which is none.
    if key == "Cookie" || key.eq_ignore_ascii_case("set-cookie") {
        return true;
    }
    let key = key.to_ascii_lowercase();
    let is_place = ENDS_OF_PLACES.iter().any(|end| key.ends_with(end));
    !is_place && SECRET.iter().any(|word| key.contains(word))
}

fn without_secrets(text: &str) -> String {
    let Ok(root) = syntax::parse(text) else {
        // It was accepted, so this does not happen; if it did, nothing would be the right answer.
        return String::new();
    };
    let mut spans = Vec::new();
    in_table(&root, false, &mut spans);
    spans.sort_by_key(|span| span.start);
    let mut end = (0..=text.len().min(TEXT_MAX)).rev().find(|at| text.is_char_boundary(*at));
    // No secret is cut in two.
    let torn = |end: &usize| spans.iter().find(|span| span.start < *end && *end < span.end);
    end = end.map(|end| torn(&end).map_or(end, |span| span.start));
    let end = end.unwrap_or_default();
    let mut shown = text[..end].to_owned();
    // From the last, so that the places before stay where they are.
    for span in spans.into_iter().rev().filter(|span| span.end <= end) {
        shown.replace_range(span, HIDDEN);
    }
    if end < text.len() {
        shown += &format!("\n# ... and {} bytes more, which are not shown\n", text.len() - end);
    }
    comments_without_secrets(shown)
}

fn in_table(table: &DeTable<'_>, secret: bool, spans: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        let key: &Spanned<DeString<'_>> = key;
        in_value(value, secret || is_secret(key.get_ref()), spans);
    }
}

fn in_value(value: &Spanned<DeValue<'_>>, secret: bool, spans: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(table) => in_table(table, secret, spans),
        DeValue::Array(values) => values.iter().for_each(|value| in_value(value, secret, spans)),
        _ if secret => spans.push(value.span()),
        _ => {}
    }
}

/// A setting that was turned into a comment, or stands in one as an example, may be one in use
/// elsewhere.
fn comments_without_secrets(text: String) -> String {
    if !text.lines().any(|line| without_its_secret(line).is_some()) {
        return text;
    }
    let line = |line: &str| without_its_secret(line).unwrap_or_else(|| line.to_owned());
    text.split_inclusive('\n').map(line).collect()
}

/// What stands for a comment that sets a secret; `None`: this is none.
fn without_its_secret(line: &str) -> Option<String> {
    let comment = line.trim_start().strip_prefix('#')?;
    let (key, value) = comment.split_once('=')?;
    let key = key.rsplit(['.', ' ', '{', ',', '#', ':']).find(|word| !word.is_empty())?;
    let kept = line.len() - value.len();
    is_secret(key).then(|| format!("{} {HIDDEN}\n", &line[..kept]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out_and_the_rest_is_as_written() {
        let text = "# A comment, kept.\n\
                    [admin]\n\
                    address = \"127.0.0.1:9900\" # kept\n\
                    token = \"0123456789abcdef\"\n\
                    token_file = \"admin.token\"\n\
                    # token = \"fedcba9876543210\"\n\
                    [[upstream]]\n\
                    sticky = { cookie = \"place\", secret = \"very secret\" }\n\
                    [[route]]\n\
                    path = \"/\"\n\
                    request_fields.set = { Authorization = \"Basic eDp5\", X-A = \"b\" }\n";
        let shown = without_secrets(text);
        for secret in ["0123", "fedc", "very", "eDp5"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert_eq!(shown.lines().count(), text.lines().count());
        for (shown, written) in shown.lines().zip(text.lines()) {
            assert!(shown == written || shown.contains(HIDDEN), "{shown}");
        }
        for kept in ["A comment, kept.", "# kept", "\"admin.token\"", "X-A = \"b\"", "\"place\""] {
            assert!(shown.contains(kept), "{shown}");
        }
    }

    #[test]
    fn a_long_text_is_cut_and_no_secret_in_it() {
        let long = "x".repeat(TEXT_MAX);
        let shown = without_secrets(&format!("token = \"first\"\na = \"{long}\"\nb = 1\n"));
        assert!(shown.starts_with("token = \"(not shown)\"\na = \"xxx"), "{}", &shown[..40]);
        assert!(shown.ends_with("bytes more, which are not shown\n") && !shown.contains("first"));
        let shown = without_secrets(&format!("a = 1\ntoken = \"{long}\"\nb = 1\n"));
        assert!(shown.starts_with("a = 1\ntoken = \n# ... and "), "{shown}");
    }

    #[test]
    fn a_secret_over_several_lines_goes_whole() {
        let shown = without_secrets("a = 1\n[x]\npassword = '''\none\ntwo\n'''\nb = 2\n");
        assert_eq!(shown, format!("a = 1\n[x]\npassword = {HIDDEN}\nb = 2\n"));
        assert_eq!(without_secrets("tokens = [\"a\"]\n"), format!("tokens = [{HIDDEN}]\n"));
    }
}
