//! `[admin]` as written.

use std::path::PathBuf;

use super::listener::read_address;
use crate::config::fields::{Field, Fields};
use crate::config::source::Located;
use crate::plan::{Address, AdminPlan, Token};

/// `[admin]`.
#[derive(Debug)]
pub(in crate::config) struct AdminTable {
    pub address: Option<Located<Address>>,
    pub mode: Option<Located<u32>>,
    pub token: Option<Located<Token>>,
    pub token_file: Option<Located<PathBuf>>,
    /// What the file holds, once it was read.
    pub token_read: Option<Token>,
}

impl AdminTable {
    pub(in crate::config) fn read(mut fields: Fields<'_>) -> AdminTable {
        // What it was called before there was one.
        let listen = fields.take_renamed("listen", "address");
        let address = match listen {
            true => fields.get("address"),
            false => fields.require("address", "address = \"unix:/run/corelane/admin.sock\""),
        };
        let table = AdminTable {
            address: address.and_then(read_address),
            mode: fields.get("mode").and_then(read_mode),
            token: fields.get("token").and_then(read_token),
            token_file: fields.get("token_file").and_then(|field| {
                let text = field.text()?;
                match text.value.is_empty() {
                    true => field.refuse("`token_file` is empty", "write the path of a file"),
                    false => Some(field.located(PathBuf::from(text.value))),
                }
            }),
            token_read: None,
        };
        fields.finish();
        table
    }

    /// The plan.
    pub fn plan(&self) -> Option<AdminPlan> {
        let written = self.token.as_ref().map(|token| token.value.clone());
        Some(AdminPlan {
            address: self.address.as_ref()?.value.clone(),
            mode: self.mode.as_ref().map_or(AdminPlan::MODE, |mode| mode.value),
            token: written.or_else(|| self.token_read.clone()),
        })
    }
}

/// Three octal digits, with the 0 that says so or without it, as chmod(1) takes them.
fn read_mode(field: Field<'_>) -> Option<Located<u32>> {
    let text = field.text_or("it in quotes, such as \"0660\"")?.value;
    let digits = text.strip_prefix('0').unwrap_or(text);
    let octal = digits.len() == 3 && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    match u32::from_str_radix(digits, 8) {
        Ok(mode) if octal => Some(field.located(mode)),
        _ => field.refuse(
            format!("`mode` is \"{text}\""),
            "write permissions as chmod takes them, such as \"0660\"",
        ),
    }
}

fn read_token(field: Field<'_>) -> Option<Located<Token>> {
    let text = field.text()?.value;
    match Token::new(text) {
        Some(token) => Some(field.located(token)),
        None => field.refuse("`token` is no token", TOKEN_REMEDY),
    }
}

/// What a token is made of, and how one is made.
pub(in crate::config) const TOKEN_REMEDY: &str = "write 16 visible ASCII \
    characters or more without blanks; one is made by: openssl rand -hex 32";
