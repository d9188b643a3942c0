//! `[route.files]` and `[files]` as written.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{YEAR, expires, table};
use crate::config::edits::field_value;
use crate::config::fields::{Field, Fields};
use crate::config::source::Located;
use crate::plan::{Coding, Expires, Listing, Symlinks, Template, TryPath, TryPiece};

/// `[route.files]`.
#[derive(Debug)]
pub(in crate::config) struct FilesTable {
    /// As written.
    pub folder: Option<FolderWritten>,
    /// The path that `alias` stands for, decoded; `None`: what the route matches.
    pub alias_path: Option<Vec<u8>>,
    /// The same, relative to where the process runs.
    pub found: PathBuf,
    pub index: Option<Vec<String>>,
    pub index_leads_on: bool,
    pub tries: Option<TryTable>,
    pub listing: Option<Listing>,
    pub precompressed: Vec<Coding>,
    pub symlinks: Option<Symlinks>,
    pub hidden: Option<bool>,
    pub types: TypesTable,
    pub charset: Option<String>,
    pub etag: Option<bool>,
    pub max_ranges: Option<u32>,
    pub cache_control: Option<String>,
    pub expires: Option<Expires>,
}

/// `try`.
#[derive(Debug)]
pub(in crate::config) struct TryTable {
    pub paths: Vec<TryPath>,
    pub last: LastWritten,
}

/// The last of `try`.
#[derive(Debug)]
pub(in crate::config) enum LastWritten {
    Status(u16),
    Path(Template),
    /// The name of an internal route.
    Route(Located<String>),
}

/// `root` or `alias`.
#[derive(Debug)]
pub(in crate::config) struct FolderWritten {
    pub path: Located<String>,
    /// The same, if it has variables.
    pub made: Option<Template>,
    pub alias: bool,
}

/// `types`, `only_types` and `default_type`.
#[derive(Debug, Default)]
pub(in crate::config) struct TypesTable {
    pub types: BTreeMap<String, String>,
    /// Whether nothing but `types` says what extensions are.
    pub only: Option<bool>,
    pub default_type: Option<String>,
}

/// `[files]`.
#[derive(Debug, Default)]
pub(in crate::config) struct AllFilesTable {
    pub types: TypesTable,
    pub charset: Option<String>,
    pub cache_max: Option<u32>,
    pub cache_valid: Option<Duration>,
}

impl FilesTable {
    pub(super) fn read(mut fields: Fields<'_>) -> FilesTable {
        let codings = Coding::ALL;
        let symlinks = [
            ("inside", Symlinks::Inside),
            ("never", Symlinks::Never),
            ("anywhere", Symlinks::Anywhere),
        ];
        let folder = read_folder(&mut fields);
        let alias_path = fields.get("alias_path").and_then(|field| read_alias_path(field, &folder));
        let table = FilesTable {
            folder,
            alias_path,
            found: PathBuf::new(),
            index: fields.get("index").map(read_index),
            index_leads_on: fields.get("index_leads_on").and_then(Field::flag).unwrap_or(false),
            tries: fields.get("try").and_then(read_try),
            listing: fields.get("listing").and_then(read_listing),
            precompressed: fields
                .get("precompressed")
                .map(Field::list)
                .map_or_else(Vec::new, |items| {
                    items.into_iter().filter_map(|item| item.one_of(&codings)).collect()
                }),
            symlinks: fields.get("symlinks").and_then(|field| field.one_of(&symlinks)),
            hidden: fields.get("hidden").and_then(Field::flag),
            types: TypesTable::read(&mut fields),
            charset: fields.get("charset").and_then(read_charset),
            etag: fields.get("etag").and_then(Field::flag),
            max_ranges: fields.get("max_ranges").and_then(|field| field.whole32(0..=1000)),
            cache_control: fields.get("cache_control").and_then(field_value),
            expires: fields.get("expires").and_then(expires::read),
        };
        fields.finish();
        table
    }
}

impl AllFilesTable {
    pub(super) fn read(mut fields: Fields<'_>) -> AllFilesTable {
        let (types, charset) =
            (TypesTable::read(&mut fields), fields.get("charset").and_then(read_charset));
        let cache = table(fields.get("cache"), "`cache` of files", |mut cache: Fields<'_>| {
            let max = cache.get("max").and_then(|field| field.whole32(0..=1_000_000));
            let valid = cache.get("valid").and_then(|field| field.duration(Duration::ZERO..=YEAR));
            cache.finish();
            (max, valid)
        });
        fields.finish();
        AllFilesTable { types, charset, cache_max: cache.0, cache_valid: cache.1 }
    }
}

impl TypesTable {
    fn read(fields: &mut Fields<'_>) -> TypesTable {
        let types = fields.get("types").and_then(|field| field.table("extensions and types"));
        let types = types.map(|types| types.entries().filter_map(read_type).collect());
        TypesTable {
            types: types.unwrap_or_default(),
            only: fields.get("only_types").and_then(Field::flag),
            default_type: fields.get("default_type").and_then(field_value),
        }
    }
}

fn read_type((name, field): (Located<&str>, Field<'_>)) -> Option<(String, String)> {
    let extension = name.value;
    if extension.is_empty() || extension.contains(['/', '.']) {
        let meant = extension.trim_start_matches(['*', '.']);
        let what = format!("`{extension}` is no extension");
        let remedy = match meant.is_empty() || meant.contains(['/', '.']) {
            true => "write what follows the last dot of a name, such as html".to_owned(),
            false => format!("did you mean `{meant}`?"),
        };
        return field.at(name.spot).refuse(what, remedy);
    }
    Some((extension.to_ascii_lowercase(), field_value(field)?))
}

fn read_folder(fields: &mut Fields<'_>) -> Option<FolderWritten> {
    let [root, alias] = ["root", "alias"].map(|key| (key, fields.get(key)));
    if let ((_, Some(_)), (_, Some(alias))) = (&root, &alias) {
        alias.complain(
            "files have one of `root` and `alias`",
            "keep `root` to append the whole path to it, `alias` to replace what the route matches",
        );
    }
    let Some((key, field)) =
        [root, alias].into_iter().find_map(|(key, field)| field.map(|field| (key, field)))
    else {
        fields.complain("files have no `root`", "add root = \"/var/www/html\"");
        return None;
    };
    let text = field.text()?;
    if text.is_empty() || text.contains('\0') {
        return field.refuse(
            format!("`{key}` is no path"),
            format!("write a directory such as {key} = \"/var/www/html\""),
        );
    }
    let made = match text.contains('$') {
        true => Some(field.template()?),
        false => None,
    };
    if made.is_some() && !text.starts_with('/') {
        let what = format!("`{key}` has variables, and does not begin with `/`");
        return field.refuse(what, "write the whole path");
    }
    let path = Located { value: text.value.to_owned(), spot: text.spot };
    Some(FolderWritten { path, made, alias: key == "alias" })
}

fn read_alias_path(field: Field<'_>, folder: &Option<FolderWritten>) -> Option<Vec<u8>> {
    if folder.as_ref().is_some_and(|folder| !folder.alias) {
        let what = "`alias_path` says what `alias` stands for, and there is none";
        return field.refuse(what, "remove it, or write `alias` in place of `root`");
    }
    super::route::read_start(field)
}

fn read_index(field: Field<'_>) -> Vec<String> {
    let name = |item: Field<'_>| {
        let text = item.text()?.value;
        let plain = !text.is_empty() && !text.starts_with('/') && !text.contains(['$', '\0']);
        if plain && !text.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Some(text.to_owned());
        }
        item.refuse(format!("\"{text}\" is no file's name"), "write a name such as \"index.html\"")
    };
    field.one_or_list().into_iter().filter_map(name).collect()
}

fn read_listing(field: Field<'_>) -> Option<Listing> {
    match field.as_text() {
        Some("json") => Some(Listing::Json),
        Some(_) => field.refuse("`listing` is not understood", "write true, false or \"json\""),
        None => field.flag().map(|on| if on { Listing::Page } else { Listing::Off }),
    }
}

/// `try`: paths, and what answers if none of them is there.
fn read_try(field: Field<'_>) -> Option<TryTable> {
    let mut items = field.list();
    let last = items.pop();
    if items.is_empty() {
        let remedy = "write try = [\"$uri\", \"/index.html\"] or try = [\"$uri\", \"=404\"]";
        return field.refuse("`try` needs a path and what answers if it is not there", remedy);
    }
    let paths = items.iter().filter_map(|item| read_try_path(*item)).collect();
    let last = last.and_then(read_last_resort);
    Some(TryTable { paths, last: last? })
}

fn read_try_path(item: Field<'_>) -> Option<TryPath> {
    let text = item.text()?.value;
    if text.starts_with('=') || text.starts_with('@') {
        let what = format!("\"{text}\" is not a path");
        return item.refuse(what, "only the last of `try` may be a status or a route's name");
    }
    let pieces = read_pieces(item, text)?;
    let rooted = match pieces.first() {
        Some(TryPiece::Text(text)) => text.starts_with('/'),
        Some(_) => true,
        None => false,
    };
    if !rooted {
        let remedy = format!("did you mean \"/{text}\"?");
        return item.refuse(format!("\"{text}\" does not begin with `/` or `$uri`"), remedy);
    }
    Some(TryPath { directory: text.ends_with('/'), pieces })
}

/// A text cut at `$uri` and `${uri}`.
fn read_pieces(item: Field<'_>, text: &str) -> Option<Vec<TryPiece>> {
    let mut pieces = Vec::new();
    let (mut rest, mut at) = (text, 0);
    while let Some(found) = rest[at..].find('$') {
        let dollar = at + found;
        let behind = &rest[dollar + 1..];
        let goes_on = |next: char| next.is_ascii_alphanumeric() || next == '_';
        let plain = behind.strip_prefix("uri").filter(|behind| !behind.starts_with(goes_on));
        match behind.strip_prefix("{uri}").or(plain) {
            Some(behind) => {
                pieces.extend(read_piece(item, &rest[..dollar])?);
                pieces.push(TryPiece::Uri);
                (rest, at) = (behind, 0);
            }
            None => at = dollar + 1 + usize::from(behind.starts_with('$')),
        }
    }
    pieces.extend(read_piece(item, rest)?);
    Some(pieces)
}

fn read_piece(item: Field<'_>, text: &str) -> Option<Option<TryPiece>> {
    if text.is_empty() {
        return Some(None);
    }
    let template = item.template_of(text)?;
    Some(Some(match template.fixed() {
        Some(text) => TryPiece::Text(text.to_owned()),
        None => TryPiece::Value(template),
    }))
}

fn read_last_resort(item: Field<'_>) -> Option<LastWritten> {
    let text = item.text()?.value;
    if let Some(status) = text.strip_prefix('=') {
        let status = status.parse().ok().filter(|status| (400..=599).contains(status));
        return status.map(LastWritten::Status).or_else(|| {
            let what = format!("\"{text}\" is no status of an error");
            item.refuse(what, "write \"=404\" or another from 400 to 599")
        });
    }
    if let Some(name) = text.strip_prefix('@') {
        return Some(LastWritten::Route(item.located(name.to_owned())));
    }
    if text.starts_with(['/', '$']) && !text.contains('#') {
        return item.template().map(LastWritten::Path);
    }
    let what = format!("\"{text}\" cannot be the last of `try`");
    let remedy = "end with a path such as \"/index.html\", with \"@name\" of an internal route, or \
                  with a status such as \"=404\"";
    item.refuse(what, remedy)
}

fn read_charset(field: Field<'_>) -> Option<String> {
    let text = field.text()?.value;
    if !crate::config::edits::is_token(text) {
        return field.refuse(format!("\"{text}\" is no charset"), "write \"utf-8\" or \"none\"");
    }
    Some(text.to_owned())
}
