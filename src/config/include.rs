//! `include`: which files a pattern names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::complaint::Complaints;
use super::source::{Located, Spot};

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
        let found = match matching(&folder.join(&pattern.value)) {
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

fn matching(pattern: &Path) -> Result<Vec<PathBuf>, Refusal> {
    let folder = pattern.parent().unwrap_or(Path::new(""));
    let name = pattern.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    if folder.to_string_lossy().contains(['*', '?']) {
        return Err((
            "only the file's name may hold `*` and `?`".to_owned(),
            "write one pattern for each folder".to_owned(),
        ));
    }
    if !name.contains(['*', '?']) {
        // A file that is named must be there; reading it will tell.
        return Ok(vec![pattern.to_owned()]);
    }
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = names_in(listed).map_err(|error| {
        let what = format!("`{}` cannot be read: {error}", folder.display());
        (what, "create the folder or remove the pattern".to_owned())
    })?;
    let mut found: Vec<PathBuf> = names
        .iter()
        .filter(|found| !found.starts_with('.') && matches(name.as_bytes(), found.as_bytes()))
        .map(|found| folder.join(found))
        .collect();
    found.sort();
    Ok(found)
}

/// The names of the files in a folder. A name that is not UTF-8 matches no pattern.
fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let (Ok(name), false) = (entry.file_name().into_string(), entry.path().is_dir()) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Whether `name` is described by `pattern`: `*` is any run of characters, `?` any one byte.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where to go on when what follows the last star does not fit: let the star take one more.
    let mut retry = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n + 1));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((after_star, next)) = retry else { return false };
                (p, n) = (after_star, next);
                retry = Some((after_star, next + 1));
            }
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names() {
        let table = [
            ("*.toml", "a.toml", true),
            ("*.toml", ".toml", true),
            ("*.toml", "a.toml~", false),
            ("*.toml", "a.tomltoml", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbX", false),
            ("?.toml", "a.toml", true),
            ("?.toml", "ab.toml", false),
            ("*", "", true),
            ("*", "anything", true),
            ("", "", true),
            ("", "a", false),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pathological_pattern_ends() {
        let name = "a".repeat(200);
        assert!(!matches("a*a*a*a*a*a*a*a*a*b".as_bytes(), name.as_bytes()));
    }
}
