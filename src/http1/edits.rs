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

    /// Whether edits may name this field at all (lower case). The framing of a message and its
    /// connection are the proxy's own affair; an edit there is ignored.
    pub fn may_name(lower_name: &str) -> bool {
        !matches!(
            lower_name,
            "connection"
                | "content-length"
                | "keep-alive"
                | "proxy-connection"
                | "te"
                | "trailer"
                | "transfer-encoding"
                | "upgrade"
        )
    }

    /// Whether what the message has under this name goes; any case.
    pub(super) fn replaces(&self, name: &str) -> bool {
        let is_it = |edited: &str| edited.eq_ignore_ascii_case(name) && Self::may_name(edited);
        self.remove.iter().any(|edited| is_it(edited))
            || self.set.iter().any(|(edited, _)| is_it(edited))
    }

    /// The same for a name that servers may take for one of those: many know no difference between
    /// `-` and `_` (RFC 3875 §4.1.18).
    pub(super) fn replaces_alike(&self, name: &str) -> bool {
        let same = |a: u8, b: u8| a.eq_ignore_ascii_case(&b) || (is_dash(a) && is_dash(b));
        let is_it = |edited: &str| {
            edited.len() == name.len()
                && edited.bytes().zip(name.bytes()).all(|(a, b)| same(a, b))
                && Self::may_name(edited)
        };
        self.remove.iter().any(|edited| is_it(edited))
            || self.set.iter().any(|(edited, _)| is_it(edited))
    }

    /// Fields to write, in order.
    pub(super) fn written(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.set.iter().chain(&self.add);
        all.map(|(name, value)| (&**name, &**value)).filter(|(name, _)| Self::may_name(name))
    }

    /// The value that this name is set to.
    pub(super) fn value_of(&self, lower_name: &str) -> Option<&str> {
        let found = self.set.iter().rev().find(|(name, _)| name == lower_name);
        found.map(|(_, value)| &**value)
    }
}

fn is_dash(byte: u8) -> bool {
    matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_servers_confuse() {
        let edits = FieldEdits {
            remove: vec!["x-secret".into()],
            set: vec![("x-remote-user".into(), "a".into())],
            add: vec![("x-more".into(), "1".into())],
        };
        for name in ["X_Remote_User", "x-remote_USER", "X-Remote-User", "x_secret"] {
            assert!(edits.replaces_alike(name), "{name}");
        }
        for name in ["X-Remote-Users", "X.Remote.User", "X_More", "XSecret"] {
            assert!(!edits.replaces_alike(name), "{name}");
        }
        assert!(!edits.replaces("X_Remote_User"));
    }

    /// A route must not be able to break a message's framing.
    #[test]
    fn framing_is_out_of_reach() {
        let edits = FieldEdits {
            remove: vec!["content-length".into(), "x-a".into()],
            set: vec![("transfer-encoding".into(), "chunked".into()), ("x-b".into(), "1".into())],
            add: vec![("connection".into(), "close".into()), ("x-c".into(), "2".into())],
        };
        assert!(!edits.replaces("Content-Length") && !edits.replaces("Transfer-Encoding"));
        assert!(edits.replaces("X-A") && edits.replaces("X-B") && !edits.replaces("X-C"));
        assert_eq!(edits.written().collect::<Vec<_>>(), [("x-b", "1"), ("x-c", "2")]);
    }
}
