//! Which files an `include` names, as glob(3) finds them.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// Whether `text` is a pattern and not a path.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The files that match an absolute or relative pattern, sorted by name. Folders that cannot be
/// read hold none.
pub(super) fn matching(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        match part {
            Component::Normal(name) if is_pattern(&name.to_string_lossy()) => {
                let name = name.to_string_lossy();
                found = found.iter().flat_map(|folder| entries(folder, &name)).collect();
            }
            part => found.iter_mut().for_each(|path| path.push(part)),
        }
    }
    found.retain(|path| path.exists());
    found.sort();
    found
}

fn entries(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = fs::read_dir(listed) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let pattern: Vec<char> = pattern.chars().collect();
    let fits = |name: &String| {
        let name: Vec<char> = name.chars().collect();
        // As in a shell, hidden files are only found by a pattern that says the dot.
        (name.first() != Some(&'.') || pattern.first() == Some(&'.')) && matches(&pattern, &name)
    };
    names.filter(fits).map(|name| folder.join(name)).collect()
}

/// Whether `name` is described by `pattern`: `*` is any run of characters, `?` any one, `[a-z]` one
/// of these and `[!a-z]` none of them.
fn matches(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where to go on when what follows the last star does not fit: let the star take one more.
    let mut retry = None;
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            retry = Some((p + 1, n + 1));
            p += 1;
        } else if let Some(length) = fits_one(&pattern[p..], name[n]) {
            p += length;
            n += 1;
        } else {
            let Some((after_star, next)) = retry else { return false };
            (p, n) = (after_star, next);
            retry = Some((after_star, next + 1));
        }
    }
    pattern[p..].iter().all(|&character| character == '*')
}

/// How many characters of the pattern stand for this one character, if it fits.
fn fits_one(pattern: &[char], character: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => fits_set(pattern, character),
        &other => (other == character).then_some(1),
    }
}

fn fits_set(pattern: &[char], character: char) -> Option<usize> {
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    let start = if negated { 2 } else { 1 };
    // A `]` right at the beginning is one of the set.
    let end = start + 1 + pattern.get(start + 1..)?.iter().position(|&c| c == ']')?;
    let set = &pattern[start..end];
    let mut found = false;
    let mut at = 0;
    while at < set.len() {
        if set.get(at + 1) == Some(&'-') && at + 2 < set.len() {
            found |= (set[at]..=set[at + 2]).contains(&character);
            at += 3;
        } else {
            found |= set[at] == character;
            at += 1;
        }
    }
    (found != negated).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names() {
        let table = [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf~", false),
            ("*", "default", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]*.conf", "b1.conf", true),
            ("[!a-c]*.conf", "b1.conf", false),
            ("[]x]", "]", true),
            ("[ab", "a", false),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbX", false),
            ("", "", true),
        ];
        for (pattern, name, expected) in table {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(matches(&chars(pattern), &chars(name)), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn files_are_found_in_order_and_folders_may_be_patterns() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["b/1.conf", "a/2.conf", "a/1.conf", "a/.hidden.conf", "a/x.txt"] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = matching(&dir.path().join("*/*.conf"));
        let relative =
            |path: &PathBuf| path.strip_prefix(dir.path()).unwrap().display().to_string();
        let found: Vec<String> = found.iter().map(relative).collect();
        assert_eq!(found, ["a/1.conf", "a/2.conf", "b/1.conf"]);
        assert!(matching(&dir.path().join("none/*.conf")).is_empty());
    }
}
