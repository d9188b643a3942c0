//! Which files an `include` names, as glob(3) finds them.

use std::path::{Path, PathBuf};

use glob::{GlobError, MatchOptions, Pattern};

/// The crate's own rule for names that begin with a dot hides them from patterns that do, too.
const AS_GLOB_3: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// Whether `text` is a pattern and not a path.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// What matches `pattern` in `folder`, sorted by name: `*` is any run of characters of a name, `?`
/// any one, `[a-z]` one of these and `[!a-z]` none of them. The pattern may be absolute, and may
/// have several parts. What cannot be read holds nothing.
///
/// # Errors
/// Why the pattern is none, as `an invalid range pattern, at 4`.
pub fn matching(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    // glob(3) knows no `**`, and has two ways to say `[!a-z]`.
    let mut written = pattern.replace("[^", "[!");
    while written.contains("**") {
        written = written.replace("**", "*");
    }
    let folder = Pattern::escape(&folder.to_string_lossy());
    let path = Path::new(&folder).join(written);
    let found = glob::glob_with(&path.to_string_lossy(), AS_GLOB_3)
        .map_err(|error| format!("{}, at {}", error.msg, error.pos))?;
    let found = found.filter_map(Result::<_, GlobError>::ok);
    let mut found: Vec<PathBuf> = found.filter(|found| shows(&path, found)).collect();
    found.sort();
    Ok(found)
}

/// As glob(3) without flags: names that begin with a dot are found by patterns that do.
fn shows(pattern: &Path, found: &Path) -> bool {
    let names = pattern.components().rev().zip(found.components().rev());
    let mut names = names.map(|(pattern, name)| (pattern.as_os_str(), name.as_os_str()));
    names.all(|(pattern, name)| {
        let [pattern, name] = [pattern, name].map(|text| text.as_encoded_bytes().starts_with(b"."));
        pattern || !name
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The files of a folder that a pattern finds.
    fn found(files: &[&str], pattern: &str) -> Vec<String> {
        // A folder whose own name looks like a pattern.
        let dir = tempfile::Builder::new().prefix("[a-b]*").tempdir().unwrap();
        for path in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = matching(dir.path(), pattern).unwrap();
        let relative = |path: PathBuf| path.strip_prefix(dir.path()).unwrap().display().to_string();
        found.into_iter().map(relative).collect()
    }

    #[test]
    fn patterns_match_names() {
        let table = [
            ("*.conf", "a.conf", true),
            ("*.conf", ".conf", false),
            ("*.conf", "a.conf~", false),
            ("*", "default", true),
            ("**", "default", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]*.conf", "b1.conf", true),
            ("[!a-c]*.conf", "b1.conf", false),
            ("[^a-c]*.conf", "d1.conf", true),
            ("[]x]", "]", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbX", false),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(found(&[name], pattern) == [name], expected, "{pattern} {name}");
        }
    }

    #[test]
    fn files_are_found_in_order_and_folders_may_be_patterns() {
        let files = ["b/1.conf", "a/2.conf", "a/1.conf", "a/.hidden.conf", "a/x.txt", "a/b/c.conf"];
        assert_eq!(found(&files, "*/*.conf"), ["a/1.conf", "a/2.conf", "b/1.conf"]);
        assert_eq!(found(&files, "**/*.conf"), ["a/1.conf", "a/2.conf", "b/1.conf"]);
        assert_eq!(found(&files, "a/.h*"), ["a/.hidden.conf"]);
        assert!(found(&files, "none/*.conf").is_empty());
    }

    #[test]
    fn what_is_no_pattern_is_said() {
        let error = matching(Path::new(""), "[ab").unwrap_err();
        assert_eq!(error, "invalid range pattern, at 0");
    }

    #[test]
    fn a_pathological_pattern_ends() {
        assert!(found(&[&"a".repeat(200)], "a*a*a*a*a*a*a*a*a*b").is_empty());
    }
}
