//! The text that comes out: TOML for people.

use std::fmt::{self, Write as _};

/// `"text"`, or `'text'` where that needs no escapes.
pub(super) fn text(value: &str) -> String {
    let plain = !value.chars().any(|c| c.is_control());
    if plain && value.contains(['"', '\\']) && !value.contains('\'') {
        return format!("'{value}'");
    }
    let mut out = String::from("\"");
    for character in value.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other if other.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(other));
            }
            other => out.push(other),
        }
    }
    out + "\""
}

/// A key, in quotes where it must be.
pub(super) fn key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    match !name.is_empty() && name.bytes().all(bare) {
        true => name.to_owned(),
        false => text(name),
    }
}

/// `["a", "b"]`
pub(super) fn list<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| text(item.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

/// `{ a = "b" }`; the values are written already.
pub(super) fn inline(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{} = {value}", key(name))).collect();
    format!("{{ {} }}", pairs.join(", "))
}

/// A line that is a comment, whatever is in it: what TOML allows in none, and what would end the
/// line, is a blank.
pub(super) fn comment(line: &str) -> String {
    let line = line.replace(|c: char| c.is_control() || "\u{2028}\u{2029}".contains(c), " ");
    format!("# {line}").trim_end().to_owned() + "\n"
}

/// A table: what it was made of, its lines and the tables below it.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    header: String,
    comments: Vec<String>,
    lines: Vec<String>,
    inner: Vec<(String, Vec<String>)>,
}

impl Table {
    /// `[header]` or `[[header]]`, with all of its brackets.
    pub fn new(header: &str) -> Table {
        Table { header: header.to_owned(), ..Table::default() }
    }

    /// A line above it.
    pub fn comment(&mut self, line: impl Into<String>) {
        let line = line.into();
        if !self.comments.contains(&line) {
            self.comments.push(line);
        }
    }

    /// `key = value`; the value is written already.
    pub fn put(&mut self, name: &str, value: impl fmt::Display) {
        self.lines.push(format!("{} = {value}", key(name)));
    }

    /// `key = "value"`
    pub fn text(&mut self, name: &str, value: &str) {
        self.put(name, text(value));
    }

    /// `key = [` with an item on each line.
    pub fn rows(&mut self, name: &str, items: &[String]) {
        let items: String = items.iter().map(|item| format!("  {item},\n")).collect();
        self.put(name, format!("[\n{items}]"));
    }

    /// A table below it, such as `route.files`; nothing without lines.
    pub fn below(&mut self, header: &str, pairs: &[(String, String)]) {
        if !pairs.is_empty() {
            let lines = pairs.iter().map(|(name, value)| format!("{} = {value}", key(name)));
            self.inner.push((format!("[{header}]"), lines.collect()));
        }
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.inner.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.comments {
            f.write_str(&comment(line))?;
        }
        if !self.header.is_empty() {
            writeln!(f, "{}", self.header)?;
        }
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        for (header, lines) in &self.inner {
            writeln!(f, "{header}")?;
            for line in lines {
                writeln!(f, "{line}")?;
            }
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_so_that_they_read_well() {
        let table = [
            ("plain", "\"plain\""),
            ("^/a\\.php$", "'^/a\\.php$'"),
            ("it's \\d", "\"it's \\\\d\""),
            ("a\nb", "\"a\\nb\""),
            ("\u{1}", "\"\\u0001\""),
            ("", "\"\""),
        ];
        for (value, expected) in table {
            assert_eq!(text(value), expected);
        }
        assert_eq!(comment("a\nb = 1\r\u{7f}\u{1}[c]"), "# a b = 1   [c]\n");
        assert_eq!(comment(""), "#\n");
        assert_eq!([key("X-Real-IP"), key("a b"), key("")], ["X-Real-IP", "\"a b\"", "\"\""]);
    }
}
