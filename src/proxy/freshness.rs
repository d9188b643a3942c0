//! Expires and Cache-Control of a route's answers.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::client::Client;
use super::scope::{Asked, Sent};
use crate::http1::{FieldEdits, parse_http_date};
use crate::plan::{Expires, ExpiresPlan, Moment, is_ok};

/// Adds to the edits of an answer what its route says of how long it stays fresh. What the route
/// sets itself stays.
pub fn add_to(edits: &mut Cow<'_, FieldEdits>, asked: &Asked<'_>) {
    let Some(plan) = asked.route.and_then(|route| route.expires.as_ref()) else { return };
    if !asked.status.is_some_and(is_ok) {
        return;
    }
    let expires = match plan {
        ExpiresPlan::Always(expires) => Some(*expires),
        ExpiresPlan::Said(text) => Expires::read(&String::from_utf8_lossy(&text.fill(asked))),
    };
    let Some(expires) = expires else { return };
    let modified = match asked.sent {
        Some(Sent::Response(head)) => head.field("last-modified").and_then(parse_http_date),
        Some(Sent::Own { modified, .. }) => modified,
        None => None,
    };
    let (date, control) = expires.values(moment(asked.client, expires, modified));
    for (name, value) in [("expires", date), ("cache-control", control)] {
        if !edits.set.iter().any(|(set, _)| set == name) {
            edits.to_mut().set.push((name.to_owned(), value));
        }
    }
}

/// Now, for an answer with something that was changed then.
pub fn moment(client: &Client, expires: Expires, modified: Option<i64>) -> Moment {
    let (now, _) = client.context.files.date(client.context.ring.now());
    // Only a time of day is one of a place.
    let offset = match (expires, Timestamp::from_second(now)) {
        (Expires::Daily(_), Ok(now)) => TimeZone::system().to_offset(now).seconds().into(),
        _ => 0,
    };
    Moment { now, modified, offset }
}
