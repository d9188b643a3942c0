//! Changes that a route makes to the fields of a head.

/// Fields to remove, set and add, applied in that order. Names are lower case; every name and
/// value was checked when the plan was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldEdits {
    /// Names of fields to leave out.
    pub remove: Vec<String>,
    /// Fields that replace whatever the message had under that name.
    pub set: Vec<(String, String)>,
    /// Fields to append, whatever the message had.
    pub add: Vec<(String, String)>,
}

impl FieldEdits {
    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}
