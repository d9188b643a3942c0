//! Where servers send clients: their Location and Refresh, as clients must see them.

use std::borrow::Cow;

use super::scope::Asked;
use crate::http1::{FieldEdits, ResponseHead};
use crate::plan::{RedirectFrom, RedirectRule};

/// Fields that say where the client is to go.
const FIELDS: [&str; 2] = ["location", "refresh"];

/// Whether a response has anything that rules are about.
pub fn may_change(response: &ResponseHead<'_, '_>) -> bool {
    FIELDS.iter().any(|name| response.field(name).is_some())
}

/// Adds to the edits of a response what these rules make of it. What the route sets itself stays.
/// Without a request, rules that are not fixed are left out.
pub fn add_to(
    edits: &mut Cow<'_, FieldEdits>,
    rules: &[RedirectRule],
    asked: Option<&Asked<'_>>,
    response: &ResponseHead<'_, '_>,
) {
    for name in FIELDS {
        let replaced = edits.set.iter().any(|(set, _)| set == name)
            || edits.remove.iter().any(|removed| removed == name);
        let Some(value) = response.field(name).filter(|_| !replaced) else { continue };
        // `5; url=/there`
        let start = match name {
            "refresh" => value.windows(4).position(|some| some.eq_ignore_ascii_case(b"url=")),
            _ => Some(0),
        };
        let Some(start) = start.map(|at| if name == "refresh" { at + 4 } else { at }) else {
            continue;
        };
        let (before, uri) = value.split_at(start);
        let Some(new) = rules.iter().find_map(|rule| replace(rule, asked, uri)) else { continue };
        let value = [before, &new].concat();
        let value = String::from_utf8_lossy(&value).into_owned();
        edits.to_mut().set.push((name.to_owned(), value));
    }
}

/// What a rule makes of a URI, if it is about that.
fn replace(rule: &RedirectRule, asked: Option<&Asked<'_>>, uri: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match (&rule.from, asked) {
        (RedirectFrom::Start(start), None) => {
            let rest = uri.strip_prefix(start.fixed()?.as_bytes())?;
            out.extend_from_slice(rule.to.fixed()?.as_bytes());
            out.extend_from_slice(rest);
        }
        (RedirectFrom::Found(matcher), None) => {
            if !matcher.expression.is_match(uri) {
                return None;
            }
            out.extend_from_slice(rule.to.fixed()?.as_bytes());
        }
        (RedirectFrom::Start(start), Some(asked)) => {
            let rest = uri.strip_prefix(&*start.fill(asked))?;
            rule.to.put_value(asked, &mut out);
            out.extend_from_slice(rest);
        }
        (RedirectFrom::Found(matcher), Some(asked)) => {
            let mut passage = asked.passage.cloned().unwrap_or_default();
            if !passage.capture(matcher, uri) {
                return None;
            }
            let asked = Asked { passage: Some(&passage), ..*asked };
            rule.to.put_value(&asked, &mut out);
        }
    }
    Some(out)
}
