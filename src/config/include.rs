//! `include`: which files a pattern names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::complaint::Complaints;
use super::source::{Located, Spot};
use crate::nginx;

/// The files that the patterns name, each with the place of its pattern. Patterns keep their
/// order; the files of one pattern are sorted by name, and a file is read once.
pub(super) fn expand(
    main: &Path,
    patterns: &[Located<String>],
    complaints: &Complaints,
) -> Vec<(PathBuf, Spot)> {
    let folder = main.parent().unwrap_or(Path::new(""));
    let mut files: Vec<(PathBuf, Spot)> = Vec::new();
    for pattern in patterns {
        let found = match matching(folder, &pattern.value) {
            Ok(found) => found,
            Err((what, remedy)) => {
                complaints.error(pattern.spot, what, remedy);
                continue;
            }
        };
        if found.is_empty() {
            let what = format!("no file matches `{}`", pattern.value);
            complaints.warning(pattern.spot, what, "remove the pattern if that is so");
        }
        for file in found {
            if is_same_file(&file, main) {
                let what = format!("`{}` includes the file itself", pattern.value);
                let remedy = "keep the files to include in a folder of their own";
                complaints.error(pattern.spot, what, remedy);
            } else if !files.iter().any(|(known, _)| *known == file) {
                files.push((file, pattern.spot));
            }
        }
    }
    files
}

/// What is wrong with a pattern, and the remedy.
type Refusal = (String, String);

fn matching(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, Refusal> {
    if !nginx::is_pattern(pattern) {
        // A file that is named must be there; reading it will tell.
        return Ok(vec![folder.join(pattern)]);
    }
    let parent = Path::new(pattern).parent().unwrap_or(Path::new(""));
    if !nginx::is_pattern(&parent.to_string_lossy()) {
        readable(&folder.join(parent))?;
    }
    let mut found = nginx::matching(folder, pattern).map_err(|why| {
        (format!("`{pattern}` is no pattern: {why}"), "write it as glob(7) has it".to_owned())
    })?;
    found.retain(|path| !path.is_dir());
    Ok(found)
}

/// Whoever names a folder means one that is there.
fn readable(folder: &Path) -> Result<(), Refusal> {
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let refused = |error: io::Error| {
        let what = format!("`{}` cannot be read: {error}", folder.display());
        (what, "create the folder or remove the pattern".to_owned())
    };
    fs::read_dir(listed).map(|_| ()).map_err(refused)
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
