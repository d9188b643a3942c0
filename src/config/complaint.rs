//! What is wrong with a configuration, where, and what to write instead.

use std::cell::RefCell;

use super::names::Names;
use super::source::{Sources, Spot};
pub use crate::nginx::Complaint;

/// Collects complaints while a configuration is read and checked. Everything that reads a value
/// holds a shared reference to it, hence the cells.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    errors: RefCell<Vec<Pending>>,
    warnings: RefCell<Vec<Pending>>,
    syntax_errors: RefCell<bool>,
    /// What texts call things, some of which may turn out not to be there.
    pub names: Names,
}

#[derive(Debug)]
struct Pending {
    spot: Spot,
    what: String,
    remedy: String,
}

impl Complaints {
    /// Something that must be changed.
    pub fn error(&self, spot: Spot, what: impl Into<String>, remedy: impl Into<String>) {
        let pending = Pending { spot, what: what.into(), remedy: remedy.into() };
        self.errors.borrow_mut().push(pending);
    }

    /// A file that is not TOML, so that most of it is unknown.
    pub fn syntax_error(&self, spot: Spot, what: impl Into<String>, remedy: impl Into<String>) {
        *self.syntax_errors.borrow_mut() = true;
        self.error(spot, what, remedy);
    }

    /// Something that is hardly meant.
    pub fn warning(&self, spot: Spot, what: impl Into<String>, remedy: impl Into<String>) {
        let pending = Pending { spot, what: what.into(), remedy: remedy.into() };
        self.warnings.borrow_mut().push(pending);
    }

    /// Whether nothing must be changed.
    pub fn is_empty(&self) -> bool {
        self.errors.borrow().is_empty()
    }

    /// Whether some file could not be parsed.
    pub fn has_syntax_errors(&self) -> bool {
        *self.syntax_errors.borrow()
    }

    /// The errors in the order of the text.
    pub fn into_errors(self, sources: &Sources) -> Vec<Complaint> {
        in_order(self.errors.into_inner(), sources)
    }

    /// The warnings in the order of the text.
    pub fn into_warnings(self, sources: &Sources) -> Vec<Complaint> {
        in_order(self.warnings.into_inner(), sources)
    }
}

fn in_order(mut pending: Vec<Pending>, sources: &Sources) -> Vec<Complaint> {
    pending.sort_by_key(|pending| pending.spot);
    let complaint = |Pending { spot, what, remedy }| {
        let (line, column) = sources.line_and_column(spot);
        Complaint { file: sources.name(spot).to_owned(), line, column, what, remedy }
    };
    pending.into_iter().map(complaint).collect()
}

/// ``did you mean `near`?`` if a known word is near, else a list of them all.
pub(super) fn suggest<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
    list_begins: &str,
) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(near) = nearest(word, &known) {
        return format!("did you mean `{near}`?");
    }
    let quoted: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
    format!("{list_begins} {}", quoted.join(", "))
}

/// The known word that `word` is probably a misspelling of.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let distance = |known: &&str| strsim::damerau_levenshtein(&word, known);
    let best = known.iter().copied().min_by_key(distance)?;
    // A third of the letters may differ; a short word must be nearly right. What is only cut
    // short or lengthened (`address` for `addr`) is near as well.
    let allowed = (best.len() / 3).max(1);
    if strsim::damerau_levenshtein(&word, best) <= allowed {
        return Some(best);
    }
    known
        .iter()
        .copied()
        .find(|known| word.len() >= 3 && (known.starts_with(&word) || word.starts_with(*known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspellings_find_their_word() {
        let known = ["address", "weight", "backup", "max_connections", "ip"];
        let table = [
            ("adress", Some("address")),
            ("addr", Some("address")),
            ("wieght", Some("weight")),
            ("max_connection", Some("max_connections")),
            ("Backup", Some("backup")),
            ("Ip", Some("ip")),
            ("port", None),
            ("xx", None),
            ("", None),
        ];
        for (word, near) in table {
            assert_eq!(nearest(word, &known), near, "{word}");
        }
        assert_eq!(nearest("x", &[]), None);
    }
}
