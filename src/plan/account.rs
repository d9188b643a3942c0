//! As whom the process serves.

/// A user, and a group other than the user's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user's name (passwd(5)).
    pub user: String,
    /// The group's name (group(5)); `None`: the user's own group.
    pub group: Option<String>,
}
