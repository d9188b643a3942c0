//! What is wrong with a configuration, where, and what to do about it.

use std::cell::RefCell;
use std::fmt;

use super::tree::{Files, Place};

/// One remark on a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The file, as its path was given or made.
    pub file: String,
    /// The line, from 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What to do about it; empty when that is plain from `what`.
    pub remedy: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.what)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Complaint {}

/// Collects remarks while files are read and translated. Everything shares it, hence the cells.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    errors: RefCell<Vec<Remark>>,
    notes: RefCell<Vec<Remark>>,
}

type Remark = (Place, String, String);

impl Complaints {
    /// Something that must be changed.
    pub fn error(&self, place: Place, what: impl Into<String>, remedy: impl Into<String>) {
        add(&self.errors, place, what.into(), remedy.into());
    }

    /// Something that is not needed, or that differs without harm, and why.
    pub fn note(&self, place: Place, what: impl Into<String>, why: impl Into<String>) {
        add(&self.notes, place, what.into(), why.into());
    }

    /// Whether nothing must be changed.
    pub fn is_empty(&self) -> bool {
        self.errors.borrow().is_empty()
    }

    /// What must be changed, in the order of the text.
    pub fn errors(&self, files: &Files) -> Vec<Complaint> {
        in_order(&self.errors, files)
    }

    /// What is only told, in the order of the text.
    pub fn notes(&self, files: &Files) -> Vec<Complaint> {
        in_order(&self.notes, files)
    }
}

/// The same may be found on several ways: a location is seen once for each group of listeners.
fn add(remarks: &RefCell<Vec<Remark>>, place: Place, what: String, remedy: String) {
    let remark = (place, what, remedy);
    let mut remarks = remarks.borrow_mut();
    if !remarks.contains(&remark) {
        remarks.push(remark);
    }
}

fn in_order(remarks: &RefCell<Vec<Remark>>, files: &Files) -> Vec<Complaint> {
    let mut remarks = remarks.borrow().clone();
    remarks.sort_by_key(|(place, ..)| *place);
    let complaint = |(place, what, remedy): Remark| Complaint {
        file: files.name(place).to_owned(),
        line: place.line,
        column: place.column,
        what,
        remedy,
    };
    remarks.into_iter().map(complaint).collect()
}

/// The known word that `word` is probably a misspelling of: a third of its letters may differ.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let distance = |known: &str| strsim::damerau_levenshtein(&word, known);
    let best = known.min_by_key(|known| distance(known))?;
    (distance(best) <= (best.len() / 3).clamp(1, 3)).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_reads_as_one_line() {
        let mut complaint = Complaint {
            file: "corelane.toml".to_owned(),
            line: 3,
            column: 7,
            what: "unknown key `adress`".to_owned(),
            remedy: "did you mean `address`?".to_owned(),
        };
        assert_eq!(
            complaint.to_string(),
            "corelane.toml:3:7: unknown key `adress`; did you mean `address`?"
        );
        complaint.line = 0;
        complaint.remedy.clear();
        assert_eq!(complaint.to_string(), "corelane.toml: unknown key `adress`");
    }
}
