//! Words to a tree of directives, files that are included in their places.

use std::fs;
use std::path::{Path, PathBuf};

use super::complaint::Complaints;
use super::include;
use super::lexer::{LexError, Lexer, Token};

/// Where something stands. Ordered as nginx reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Number of the file, see [`Files`].
    pub file: usize,
    /// From 1; 0: the file as a whole.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

/// A name or an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub text: String,
    pub place: Place,
    /// Whether it stood in quotes, which only messages care about.
    pub quoted: bool,
}

/// `name arguments;` or `name arguments { block }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    pub name: Word,
    pub arguments: Vec<Word>,
    /// `None`: it ended with a semicolon.
    pub block: Option<Vec<Directive>>,
}

impl Directive {
    /// Where it begins.
    pub fn place(&self) -> Place {
        self.name.place
    }

    /// Whether it is called so.
    pub fn is(&self, name: &str) -> bool {
        self.name.text == name
    }

    /// The argument of this number, from 0; empty if there is none.
    pub fn argument(&self, index: usize) -> &str {
        self.arguments.get(index).map_or("", |word| &word.text)
    }

    /// What is in its braces.
    pub fn children(&self) -> &[Directive] {
        self.block.as_deref().unwrap_or_default()
    }
}

/// Every file that was read, the main file first.
#[derive(Debug, Default)]
pub(super) struct Files {
    names: Vec<String>,
}

impl Files {
    /// The name of the file that a place is in.
    pub fn name(&self, place: Place) -> &str {
        self.names.get(place.file).map_or("", String::as_str)
    }
}

/// Blocks in blocks, and files in files: nobody writes more, and a fuzzer should not get further.
const DEPTH_MAX: usize = 64;

/// Reads the main file and all that it includes.
pub(super) fn read(main: &Path, complaints: &Complaints) -> (Vec<Directive>, Files) {
    let folder = main.parent().unwrap_or(Path::new("")).to_owned();
    let mut reader = Reader { folder, files: Files::default(), open: Vec::new(), complaints };
    let directives = reader.read_file(main, None);
    (directives, reader.files)
}

struct Reader<'c> {
    /// What the paths of `include` are relative to.
    folder: PathBuf,
    files: Files,
    /// The files that are being read, each included by the one before.
    open: Vec<PathBuf>,
    complaints: &'c Complaints,
}

/// A directive in the making.
#[derive(Default)]
struct Line {
    words: Vec<Word>,
}

impl Reader<'_> {
    /// Reads one file; `asked_at` is where it was included.
    fn read_file(&mut self, path: &Path, asked_at: Option<Place>) -> Vec<Directive> {
        let name = path.display().to_string();
        let file = self.files.names.len();
        let unreadable =
            |error: std::io::Error| (error.to_string(), "check its path and permissions");
        let text = match fs::read(path).map_err(unreadable).and_then(decoded) {
            Ok(text) => text,
            Err((error, remedy)) => {
                if asked_at.is_none() {
                    self.files.names.push(name.clone());
                }
                let place = asked_at.unwrap_or_default();
                let what = format!("`{name}` cannot be read: {error}");
                self.complaints.error(place, what, remedy);
                return Vec::new();
            }
        };
        self.files.names.push(name);
        self.open.push(path.canonicalize().unwrap_or_else(|_| path.to_owned()));
        let mut lexer = Lexer::new(&text, file);
        let directives = match self.block(&mut lexer, None, 0) {
            Ok(directives) => directives,
            Err(LexError { place, what, remedy }) => {
                self.complaints.error(place, what, remedy);
                Vec::new()
            }
        };
        self.open.pop();
        directives
    }

    /// The directives up to the brace that closes the one at `opened`, or up to the end.
    fn block(
        &mut self,
        lexer: &mut Lexer<'_>,
        opened: Option<Place>,
        depth: usize,
    ) -> Result<Vec<Directive>, LexError> {
        let mut directives = Vec::new();
        let mut line = Line::default();
        loop {
            match lexer.next()? {
                Some(Token::Word(word)) => line.words.push(word),
                Some(Token::Semicolon(place)) => {
                    let directive = finish(&mut line, ";", place)?;
                    match directive.is("include") {
                        true => directives.extend(self.include(&directive)),
                        false => directives.push(directive),
                    }
                }
                Some(Token::Open(place)) => {
                    let mut directive = finish(&mut line, "{", place)?;
                    if depth == DEPTH_MAX {
                        let what = format!("blocks are nested over {DEPTH_MAX} deep");
                        return Err(error(place, what, "take some of them out"));
                    }
                    directive.block = Some(match is_foreign(&directive) {
                        true => {
                            lexer.skip_block();
                            Vec::new()
                        }
                        false => self.block(lexer, Some(directive.place()), depth + 1)?,
                    });
                    directives.push(directive);
                }
                Some(Token::Close(place)) => {
                    if let Some(last) = line.words.last() {
                        let what = format!("`{}` is not ended", last.text);
                        return Err(error(last.place, what, "add a `;` before the `}`"));
                    }
                    if opened.is_none() {
                        let what = "a `}` closes nothing";
                        return Err(error(place, what, "remove it, or add the `{` it belongs to"));
                    }
                    return Ok(directives);
                }
                None => return ended(lexer.place(), &line, opened).map(|()| directives),
            }
        }
    }

    fn include(&mut self, directive: &Directive) -> Vec<Directive> {
        let place = directive.place();
        let [word] = directive.arguments.as_slice() else {
            let what = "`include` takes one path";
            self.complaints.error(place, what, "write one `include` for each");
            return Vec::new();
        };
        let found = match include::is_pattern(&word.text) {
            true => include::matching(&self.folder, &word.text),
            false => Ok(vec![self.folder.join(&word.text)]),
        };
        let found = match found {
            Ok(found) => found,
            Err(why) => {
                let what = format!("`{}` is no pattern: {why}", word.text);
                self.complaints.error(word.place, what, "write it as glob(7) has it");
                return Vec::new();
            }
        };
        if found.is_empty() {
            let what = format!("no file matches `{}`", word.text);
            self.complaints.note(word.place, what, "nginx minds as little");
        }
        let mut directives = Vec::new();
        for path in found {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            if self.open.contains(&real) || self.open.len() > DEPTH_MAX {
                let what = format!("`{}` includes itself", path.display());
                self.complaints.error(word.place, what, "take it out of this pattern");
                continue;
            }
            directives.extend(self.read_file(&path, Some(word.place)));
        }
        directives
    }
}

/// Text, in whose comments anything may stand; or what is wrong with it, and what to do.
fn decoded(bytes: Vec<u8>) -> Result<String, (String, &'static str)> {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error.into_bytes(),
    };
    let strange = |line: &[u8]| {
        let good = std::str::from_utf8(line).map_or_else(|error| error.valid_up_to(), str::len);
        good < line.len() && !line[..good].trim_ascii_start().starts_with(b"#")
    };
    match bytes.split(|byte| *byte == b'\n').position(strange) {
        None => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Some(line) => {
            let what = format!("its line {} is not UTF-8", line + 1);
            Err((what, "save it as such (iconv -f latin1 -t utf8)"))
        }
    }
}

/// Blocks that hold programs.
fn is_foreign(directive: &Directive) -> bool {
    directive.name.text.ends_with("_by_lua_block")
}

fn error(place: Place, what: impl Into<String>, remedy: impl Into<String>) -> LexError {
    LexError { place, what: what.into(), remedy: remedy.into() }
}

fn finish(line: &mut Line, end: &str, place: Place) -> Result<Directive, LexError> {
    let mut words = std::mem::take(&mut line.words).into_iter();
    match words.next() {
        Some(name) => Ok(Directive { name, arguments: words.collect(), block: None }),
        None if end == "{" => Err(error(
            place,
            "a `{` opens nothing",
            "put what it opens before it; an expression with braces needs quotes",
        )),
        None => Err(error(place, format!("there is nothing before `{end}`"), "remove it")),
    }
}

/// At the end of a file nothing may be open.
fn ended(place: Place, line: &Line, opened: Option<Place>) -> Result<(), LexError> {
    if let Some(last) = line.words.last() {
        let what = format!("the file ends after `{}`", last.text);
        return Err(error(last.place, what, "add a `;`"));
    }
    match opened {
        None => Ok(()),
        Some(opened) => {
            let what = format!("the block of line {} is not closed", opened.line);
            Err(error(place, what, "add the `}`"))
        }
    }
}
