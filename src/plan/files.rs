//! What a route that serves files does.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::expires::Expires;
use super::template::Template;
use crate::http1::Coding;

/// `[route.files]`.
#[derive(Clone, Debug)]
pub struct FilesPlan {
    /// Where they are.
    pub place: Place,
    /// What stands for a directory, in order.
    pub index: Vec<String>,
    /// Whether the route for an index file's own path answers, where that is another one.
    pub index_leads_on: bool,
    /// What is looked for in place of the path; `None`: the path alone.
    pub tries: Option<TryPlan>,
    /// What a directory without an index is answered with.
    pub listing: Listing,
    /// Codings in which files may lie beside themselves, the first of equals preferred.
    pub precompressed: Vec<Coding>,
    /// Which symbolic links are followed.
    pub symlinks: Symlinks,
    /// Whether names that begin with a dot are served.
    pub hidden: bool,
    /// Content-Type.
    pub types: FileTypes,
    /// Whether there is an ETag.
    pub etag: bool,
    /// The most ranges that a request may ask for; one with more gets the whole file.
    pub max_ranges: usize,
    /// Cache-Control; `None`: what `expires` says, if anything.
    pub cache_control: Option<String>,
    /// How long an answer stays fresh.
    pub expires: Option<Expires>,
}

/// Where a route's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The whole path leads on from this directory.
    Root(PathBuf),
    /// What the route has matched of the path stands for this directory.
    Alias {
        /// The directory.
        folder: PathBuf,
        /// What the route matches, decoded and without the slash that it begins with.
        matched: Vec<u8>,
    },
    /// The whole path leads on from the directory that this says.
    Made {
        /// As written.
        written: PathBuf,
        /// The directory.
        folder: Template,
    },
    /// This is the file or directory, whatever the path.
    Whole {
        /// As written.
        written: PathBuf,
        /// Its path.
        path: Template,
    },
    /// The one path of the route stands for this file.
    File {
        /// The file's directory.
        folder: PathBuf,
        /// Its name.
        name: String,
    },
}

impl FilesPlan {
    /// Whether a request may go from here to another route, or what is looked for is made of it.
    pub fn leads_on(&self) -> bool {
        self.tries.as_ref().is_some_and(TryPlan::leads_on)
    }
}

impl Place {
    /// The directory that nothing is served from outside of; what is written of one that differs
    /// from request to request.
    pub fn folder(&self) -> &PathBuf {
        match self {
            Place::Root(folder) | Place::Alias { folder, .. } | Place::File { folder, .. } => {
                folder
            }
            Place::Made { written, .. } | Place::Whole { written, .. } => written,
        }
    }

    /// Whether it differs from request to request.
    pub fn varies(&self) -> bool {
        matches!(self, Place::Made { .. } | Place::Whole { .. })
    }
}

/// `try`: the first of these that is there answers, else the last resort.
#[derive(Clone, Debug)]
pub struct TryPlan {
    /// In order.
    pub paths: Vec<TryPath>,
    /// What answers if none is there.
    pub last: LastResort,
}

impl TryPlan {
    fn leads_on(&self) -> bool {
        !matches!(self.last, LastResort::Status(_)) || self.paths.iter().any(TryPath::varies)
    }
}

/// A path to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TryPath {
    /// Joined in order.
    pub pieces: Vec<TryPiece>,
    /// It ends with a slash: a directory is looked for.
    pub directory: bool,
}

impl TryPath {
    /// Whether anything but the path of the request goes into it.
    pub fn varies(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, TryPiece::Value(_)))
    }
}

/// A part of a path to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TryPiece {
    /// This.
    Text(String),
    /// The path of the request.
    Uri,
    /// What else there is to say of the request.
    Value(Template),
}

/// What answers when nothing was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastResort {
    /// A status.
    Status(u16),
    /// The route for this path, with a query if there is one.
    Path(Template),
    /// The route with this number.
    Route(usize),
}

/// What a directory without an index is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// 403.
    Off,
    /// A page; JSON to whoever prefers that.
    Page,
    /// JSON.
    Json,
}

/// Which symbolic links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Symlinks {
    /// Those that stay below the directory.
    Inside,
    /// None.
    Never,
    /// All.
    Anywhere,
}

/// `[files]`: what holds for the files of all routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCachePlan {
    /// The most that a shard keeps: open files, and names that it found nothing under.
    pub max: usize,
    /// How long what was found under a name holds.
    pub valid: Duration,
}

impl Default for FileCachePlan {
    fn default() -> FileCachePlan {
        FileCachePlan { max: 1000, valid: Duration::from_secs(1) }
    }
}

/// Types by extension.
#[derive(Clone, Debug)]
pub struct FileTypes {
    /// For extensions in lower case, in place of what is known of them.
    pub overrides: Arc<BTreeMap<String, String>>,
    /// Whether more is known of extensions than that.
    pub guessed: bool,
    /// Of all others.
    pub default_type: String,
    /// For types of text.
    pub charset: Option<String>,
}

impl FileTypes {
    /// What a file of unknown type is.
    pub const DEFAULT_TYPE: &str = "application/octet-stream";

    /// The Content-Type of a file with this name or path.
    pub fn of(&self, path: &[u8]) -> Cow<'_, str> {
        let kind = self.without_charset(path);
        match &self.charset {
            Some(charset) if is_text(kind) => Cow::Owned(format!("{kind}; charset={charset}")),
            _ => Cow::Borrowed(kind),
        }
    }

    fn without_charset(&self, path: &[u8]) -> &str {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let dot = name.iter().rposition(|byte| *byte == b'.');
        let extension = dot.and_then(|dot| std::str::from_utf8(&name[dot + 1..]).ok());
        let Some(extension) = extension else { return &self.default_type };
        let known = self.overrides.get(extension).map(String::as_str);
        let known = known.or_else(|| {
            let lower = extension.bytes().any(|byte| byte.is_ascii_uppercase());
            let lower = lower.then(|| extension.to_ascii_lowercase())?;
            self.overrides.get(&lower).map(String::as_str)
        });
        let guess = || mime_guess::from_ext(extension).first_raw().filter(|_| self.guessed);
        known.or_else(guess).unwrap_or(&self.default_type)
    }
}

/// Whether a charset means something to this type.
fn is_text(kind: &str) -> bool {
    !kind.contains(';')
        && (kind.starts_with("text/")
            || kind.ends_with("+xml")
            || matches!(kind, "application/javascript" | "application/xml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(charset: Option<&str>) -> FileTypes {
        let overrides = [("txt", "text/x-mine"), ("foo", "application/foo")];
        let overrides = overrides.map(|(from, to)| (from.to_owned(), to.to_owned()));
        FileTypes {
            overrides: Arc::new(overrides.into_iter().collect()),
            guessed: true,
            default_type: FileTypes::DEFAULT_TYPE.to_owned(),
            charset: charset.map(str::to_owned),
        }
    }

    #[test]
    fn types_by_extension() {
        for (path, kind) in [
            ("index.html", "text/html"),
            ("a/b.css", "text/css"),
            ("app.js", "text/javascript"),
            ("app.mjs", "application/javascript"),
            ("x.json", "application/json"),
            ("x.svg", "image/svg+xml"),
            ("x.PNG", "image/png"),
            ("x.webp", "image/webp"),
            ("x.woff2", "font/woff2"),
            ("x.wasm", "application/wasm"),
            ("x.tar.gz", "application/gzip"),
            ("x.TXT", "text/x-mine"),
            ("x.foo", "application/foo"),
            ("README", "application/octet-stream"),
            ("a.html/README", "application/octet-stream"),
            ("x.unheard-of", "application/octet-stream"),
            ("x.", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(types(None).of(path.as_bytes()), kind, "{path}");
        }
        assert_eq!(types(None).of(b"x.\xff"), "application/octet-stream");
    }

    #[test]
    fn nothing_is_guessed_where_that_is_not_wanted() {
        let types = FileTypes { guessed: false, ..types(None) };
        assert_eq!(types.of(b"a.html"), "application/octet-stream");
        assert_eq!(types.of(b"a.svg"), "application/octet-stream");
        assert_eq!(types.of(b"a.TXT"), "text/x-mine");
    }

    #[test]
    fn text_has_a_charset_where_it_is_asked_for() {
        let types = types(Some("utf-8"));
        assert_eq!(types.of(b"a.html"), "text/html; charset=utf-8");
        assert_eq!(types.of(b"a.svg"), "image/svg+xml; charset=utf-8");
        assert_eq!(types.of(b"a.png"), "image/png");
        assert_eq!(types.of(b"a.json"), "application/json");
    }
}
