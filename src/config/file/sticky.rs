//! `sticky` of an upstream as written.

use std::time::Duration;

use super::YEAR;
use crate::config::edits::is_token;
use crate::config::fields::{Field, Fields};
use crate::config::source::{Located, Spot};
use crate::plan::{CookiePlan, SameSite, StickyPlan};

/// `sticky` of an upstream.
#[derive(Debug)]
pub(in crate::config) struct StickyTable {
    pub spot: Spot,
    pub name: Option<Located<String>>,
    pub ttl: Option<Duration>,
    pub same_site: Option<Located<SameSite>>,
    pub secure: Option<bool>,
    pub http_only: Option<bool>,
    pub path: Option<String>,
    pub secret: Option<String>,
}

/// A shorter secret is guessed too soon.
const SECRET_CHARACTERS_MIN: usize = 16;

impl StickyTable {
    pub(super) fn read(mut fields: Fields<'_>) -> StickyTable {
        let same_site = SameSite::ALL.map(|same_site| (same_site.name(), same_site));
        let name = fields.require("name", "name = \"app_server\"");
        let table = StickyTable {
            spot: fields.spot,
            name: name.and_then(read_name),
            ttl: fields.get("ttl").and_then(read_ttl),
            same_site: fields
                .get("same_site")
                .and_then(|field| field.placed(|field| field.one_of(&same_site))),
            secure: fields.get("secure").and_then(Field::flag),
            http_only: fields.get("http_only").and_then(Field::flag),
            path: fields.get("path").and_then(read_path),
            secret: fields.get("secret").and_then(read_secret),
        };
        fields.finish();
        table
    }

    /// The cookie: what is not set is as by default.
    pub fn cookie(&self) -> CookiePlan {
        CookiePlan {
            name: self.name.as_ref().map(|name| name.value.clone()).unwrap_or_default(),
            ttl: self.ttl,
            same_site: self.same_site.as_ref().map_or(SameSite::Lax, |set| set.value),
            secure: self.secure.unwrap_or(false),
            http_only: self.http_only.unwrap_or(true),
            path: self.path.clone().unwrap_or_else(|| "/".to_owned()),
        }
    }

    /// The plan, of which no servers are known yet.
    pub fn plan(&self) -> StickyPlan {
        StickyPlan::new(&self.cookie(), self.secret.as_deref().unwrap_or_default())
    }
}

fn read_name(field: Field<'_>) -> Option<Located<String>> {
    let text = field.text()?.value;
    if !is_token(text) {
        let what = format!("\"{text}\" is not a cookie's name");
        return field.refuse(what, "use letters, digits, hyphens and underscores");
    }
    Some(field.located(text.to_owned()))
}

fn read_ttl(field: Field<'_>) -> Option<Duration> {
    let ttl = field.duration(Duration::from_secs(1)..=YEAR)?;
    if ttl.subsec_nanos() > 0 {
        return field.refuse("`ttl` is not whole seconds", "a cookie knows no smaller unit");
    }
    Some(ttl)
}

/// What a cookie's Path may hold (RFC 6265 §4.1.1).
fn read_path(field: Field<'_>) -> Option<String> {
    let text = field.text()?.value;
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b';';
    if !text.starts_with('/') || !text.bytes().all(fits) {
        let what = format!("`path` is \"{text}\", which no browser would take for a path");
        return field.refuse(what, "begin with `/`, and leave out blanks and semicolons");
    }
    Some(text.to_owned())
}

fn read_secret(field: Field<'_>) -> Option<String> {
    let text = field.text()?.value;
    if text.chars().count() < SECRET_CHARACTERS_MIN {
        let what = format!("`secret` has fewer than {SECRET_CHARACTERS_MIN} characters");
        return field.refuse(what, "write a long random text: openssl rand -base64 24");
    }
    Some(text.to_owned())
}
