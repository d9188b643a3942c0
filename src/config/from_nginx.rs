//! A configuration that was written for nginx.

use std::path::Path;

use super::{Complaint, Loaded, Machine, from_text};
use crate::nginx::{self, Surroundings, Translation};

/// Reads an nginx.conf as the TOML that says the same.
pub(super) fn load(path: &Path, machine: &Machine) -> Result<Loaded, Vec<Complaint>> {
    let (_, loaded) = translated(path, machine)?;
    Ok(loaded)
}

/// An nginx.conf as TOML, and what comes of that.
///
/// # Errors
/// Every complaint, with its place in nginx.conf.
pub fn translated(path: &Path, machine: &Machine) -> Result<(String, Loaded), Vec<Complaint>> {
    let Translation { text, notes } = nginx::translate(path, &Surroundings::of(path))?;
    let name = path.display().to_string();
    let mut loaded = from_text(&text, &name, machine).map_err(|errors| not_yet(errors, &text))?;
    // They are about lines that nobody wrote.
    loaded.warnings.clear();
    loaded.notes = notes;
    Ok((text, loaded))
}

/// What the TOML may not say cannot be honoured. The comment above each table says which line of
/// nginx.conf it came from.
fn not_yet(errors: Vec<Complaint>, text: &str) -> Vec<Complaint> {
    let lines: Vec<&str> = text.lines().collect();
    let is_unknown = |error: &&Complaint| error.what.starts_with("unknown key");
    let mut told: Vec<Complaint> = Vec::new();
    let any_unknown = errors.iter().any(|error| is_unknown(&error));
    // What else is wrong then mostly follows from what is missing.
    for error in errors.iter().filter(|error| !any_unknown || is_unknown(error)) {
        let above = lines[..error.line.min(lines.len())].iter().rev();
        let (file, line) = above.copied().find_map(origin).unwrap_or((&error.file, 0));
        let written = lines.get(error.line.wrapping_sub(1)).map_or("", |line| line.trim());
        let (why, remedy) = match any_unknown {
            true => ("not honoured yet".to_owned(), "remove what it comes from".to_owned()),
            false => (format!("not accepted: {}", error.what), error.remedy.clone()),
        };
        let said = Complaint {
            file: file.to_owned(),
            line,
            column: 1,
            what: format!("`{written}`, which this would be, is {why}"),
            remedy,
        };
        if !told.contains(&said) {
            told.push(said);
        }
    }
    told
}

/// File and line of `# sites/akuma.conf:12: location /`.
fn origin(line: &str) -> Option<(&str, usize)> {
    // Notes at the top are set in.
    let comment = line.strip_prefix("# ").filter(|comment| !comment.starts_with(' '))?;
    comment.match_indices(':').find_map(|(at, _)| {
        let digits = comment[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        let number = comment[at + 1..][..digits].parse().ok()?;
        Some((&comment[..at], number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_say_where_a_table_comes_from() {
        let table = [
            ("# sites/a.conf:12", Some(("sites/a.conf", 12))),
            ("# /etc/nginx/a.conf:7: location ~ ^/x:9", Some(("/etc/nginx/a.conf", 7))),
            ("# not a place", None),
            ("#   /etc/nginx/a.conf:7: not needed", None),
            ("key = 1", None),
        ];
        for (line, expected) in table {
            assert_eq!(origin(line), expected, "{line}");
        }
    }

    #[test]
    fn what_the_text_may_not_say_is_complained_of_where_it_came_from() {
        let text = "# a.conf:3\n[[route]]\nnothing = 1\n";
        let error = |what: &str| Complaint {
            file: "x".to_owned(),
            line: 3,
            column: 1,
            what: what.to_owned(),
            remedy: String::new(),
        };
        let told = |errors: Vec<Complaint>| {
            let told = not_yet(errors, text).into_iter();
            told.map(|complaint| complaint.to_string()).collect::<Vec<_>>()
        };
        let place = "a.conf:3:1: `nothing = 1`, which this would be, is";
        assert_eq!(told(vec![error("odd")]), [format!("{place} not accepted: odd")]);
        assert_eq!(
            told(vec![error("unknown key `x`"), error("odd")]),
            [format!("{place} not honoured yet; remove what it comes from")]
        );
    }
}
