//! `expires` of a `[[route]]` and of its files, as written.

use std::time::Duration;

use super::YEAR;
use crate::config::fields::Field;
use crate::plan::{Expires, ExpiresPlan};

/// How long answers stay fresh.
pub(super) fn read(field: Field<'_>) -> Option<Expires> {
    let range = Duration::ZERO..=YEAR * 10;
    match field.as_text() {
        Some("epoch") => Some(Expires::Epoch),
        Some("max") => Some(Expires::Max),
        _ if field.is_table() => {
            let mut fields = field.table("`expires`")?;
            let daily = fields.get("daily");
            let expires = match daily {
                Some(daily) => daily.text().and_then(|_| read_time_of_day(daily)),
                None => {
                    let after = fields.require("after_change", "after_change = \"1h\"");
                    after.and_then(|field| field.duration(range)).map(Expires::AfterChange)
                }
            };
            fields.finish();
            expires
        }
        _ => field.duration(range).map(Expires::After),
    }
}

/// `15:30`
fn read_time_of_day(field: Field<'_>) -> Option<Expires> {
    let text = field.text()?.value;
    let number = |text: &str, most: u32| {
        let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number: &u32| plain && *number < most)
    };
    let found = text.split_once(':').and_then(|(hour, rest)| {
        let (minute, second) = rest.split_once(':').unwrap_or((rest, "00"));
        Some(number(hour, 24)? * 3600 + number(minute, 60)? * 60 + number(second, 60)?)
    });
    found.map(Expires::Daily).or_else(|| {
        field.refuse(format!("\"{text}\" is no time of the day"), "write such as \"15:30\"")
    })
}

/// The same, or a text with variables that says it in nginx's words.
pub(super) fn read_plan(field: Field<'_>) -> Option<ExpiresPlan> {
    match field.as_text() {
        Some(text) if text.contains('$') => field.template().map(ExpiresPlan::Said),
        _ => read(field).map(ExpiresPlan::Always),
    }
}
