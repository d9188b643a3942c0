//! The texts of a configuration and places in them.

use std::ops::Deref;

use super::written::{Written, WrittenFile};

/// A place in one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    /// Index into [`Sources`].
    pub file: usize,
    /// Bytes from the beginning of the text.
    pub offset: usize,
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Located<T> {
    pub value: T,
    pub spot: Spot,
}

impl<T> Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Every file that was read, the main file first.
#[derive(Debug, Default)]
pub(super) struct Sources {
    files: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    name: String,
    text: String,
}

impl Sources {
    /// Keeps a text; the answer is its number in a [`Spot`].
    pub fn add(&mut self, name: String, text: String) -> usize {
        self.files.push(Source { name, text });
        self.files.len() - 1
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// The first `count`, as they may be shown.
    pub fn written(&self, count: usize) -> Written {
        let files = self.files.iter().take(count);
        Written { files: files.map(|file| WrittenFile::new(&file.name, &file.text)).collect() }
    }

    /// The text of a file that was added; empty for any other number.
    pub fn text(&self, file: usize) -> &str {
        self.files.get(file).map_or("", |source| &source.text)
    }

    /// The name of the file.
    pub fn name(&self, spot: Spot) -> &str {
        self.files.get(spot.file).map_or("", |source| &source.name)
    }

    /// Line and column, both from 1; the column counts characters.
    pub fn line_and_column(&self, spot: Spot) -> (usize, usize) {
        let text = self.text(spot.file);
        // A span from the parser falls between characters; if it ever did not, the nearest
        // place before is good enough for a message.
        let offset = (0..=spot.offset.min(text.len())).rev().find(|&i| text.is_char_boundary(i));
        let before = &text[..offset.unwrap_or(0)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns() {
        let mut sources = Sources::default();
        let file = sources.add("x.toml".to_owned(), "a = 1\nbé = 2\n".to_owned());
        let at = |offset| sources.line_and_column(Spot { file, offset });
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(4), (1, 5));
        assert_eq!(at(6), (2, 1));
        assert_eq!(at(8), (2, 2), "inside é");
        assert_eq!(at(9), (2, 3));
        assert_eq!(at(999), (3, 1));
        assert_eq!(sources.line_and_column(Spot { file: 7, offset: 3 }), (1, 1));
    }
}
