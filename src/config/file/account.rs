//! `user` and `group`, as whom to serve.

use crate::config::fields::{Field, Fields};
use crate::config::source::Located;
use crate::plan::Account;

/// Both as written.
#[derive(Debug, Default)]
pub struct AccountWritten {
    pub user: Option<Located<String>>,
    pub group: Option<Located<String>>,
}

impl AccountWritten {
    /// Takes both out of the main file's fields.
    pub fn read(fields: &mut Fields<'_>) -> AccountWritten {
        let mut read = |key| fields.get(key).and_then(read_name);
        AccountWritten { user: read("user"), group: read("group") }
    }

    /// As whom to serve, if somebody is named.
    pub fn plan(&self) -> Option<Account> {
        let group = self.group.as_ref().map(|group| group.value.clone());
        self.user.as_ref().map(|user| Account { user: user.value.clone(), group })
    }
}

/// A name that passwd(5) and group(5) could hold.
fn read_name(field: Field<'_>) -> Option<Located<String>> {
    let text = field.text()?;
    let odd = |byte: u8| matches!(byte, b':' | b'/') || byte <= b' ' || byte == 0x7f;
    if text.value.is_empty() || text.value.bytes().any(odd) {
        return field.refuse(
            format!("`{}` cannot be the name of an account", text.value.escape_debug()),
            "write a name as in /etc/passwd or /etc/group, such as \"www-data\"",
        );
    }
    Some(Located { value: text.value.to_owned(), spot: text.spot })
}
