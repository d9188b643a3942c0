//! Files: where they are, and what a route with them must be like.

use std::fs;
use std::path::Path;

use crate::config::complaint::Complaints;
use crate::config::file::{ActionWritten, File, FilesTable};
use crate::config::folder_of;
use crate::config::source::Sources;
use crate::route::PathPattern;

/// Finds the directories. Their paths are relative to the file that names them.
pub(in crate::config) fn find_folders(file: &mut File, sources: &Sources) {
    for route in &mut file.routes {
        if let Some(ActionWritten::Files(files)) = &mut route.action
            && let Some(written) = &files.folder
        {
            files.found = folder_of(sources.name(written.path.spot)).join(&written.path.value);
        }
    }
}

/// Complains of routes with files.
pub(super) fn check(file: &File, complaints: &Complaints) {
    for route in &file.routes {
        let Some(ActionWritten::Files(files)) = &route.action else { continue };
        let Some(folder) = &files.folder else { continue };
        let is_regex = matches!(route.path.pattern, Some(PathPattern::Regex(_)));
        if folder.made.is_some() {
            if folder.alias && !is_regex {
                let what = "an `alias` with variables is the whole path of a file";
                let remedy = "write `path_regex`, and $1 for what a group of it found";
                complaints.error(folder.path.spot, what, remedy);
            } else if files.alias_path.is_some() {
                let what = "an `alias` with variables stands for no path";
                complaints.error(folder.path.spot, what, "remove `alias_path`");
            }
            continue;
        }
        let is_for_route = folder.alias && files.alias_path.is_none();
        if is_for_route && is_regex {
            complaints.error(
                folder.path.spot,
                "`alias` replaces what the route matches, and an expression may match anything",
                "use `root`, or a `path`, or write it with $1 for what a group found, or say by \
                 `alias_path` which path it stands for",
            );
        }
        let exact = matches!(&route.path.pattern, Some(PathPattern::Exact(_)));
        let is_file = is_for_route && exact && !folder.path.ends_with('/');
        look(files, is_file, complaints);
    }
}

/// What is not there yet may come before somebody asks for it: a warning.
fn look(files: &FilesTable, is_file: bool, complaints: &Complaints) {
    let Some(written) = &files.folder else { return };
    let (path, spot) = (&files.found, written.path.spot);
    let wanted = if is_file { "file" } else { "directory" };
    match kind_of(path) {
        Ok(found) if found == wanted => {}
        Ok(found) => {
            let what = format!("`{}` is a {found}, not a {wanted}", path.display());
            complaints.warning(spot, what, format!("name a {wanted}"));
        }
        Err(error) => {
            let what = format!("`{}` cannot be looked at: {error}", path.display());
            complaints.warning(spot, what, "requests are answered 404 until it is there");
        }
    }
}

fn kind_of(path: &Path) -> std::io::Result<&'static str> {
    let metadata = fs::metadata(path)?;
    Ok(if metadata.is_dir() { "directory" } else { "file" })
}
