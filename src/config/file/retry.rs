//! `retry` of an upstream or a route as written.

use std::time::Duration;

use super::YEAR;
use crate::config::fields::{Field, Fields};
use crate::config::source::{Located, Spot};
use crate::plan::{BudgetPlan, RetryOn, RetryPlan};

/// `retry` of an upstream or a route.
#[derive(Debug, Default)]
pub(in crate::config) struct RetryTable {
    pub tries: Option<Located<u32>>,
    pub stale: Option<Located<bool>>,
    pub unanswered: Option<Located<bool>>,
    pub on: Option<Located<RetryOn>>,
    /// The inner `None` is a written "none".
    pub timeout: Option<Located<Option<Duration>>>,
    pub buffer: Option<Located<u64>>,
    pub non_idempotent: Option<Located<bool>>,
    /// Of an upstream only.
    pub budget_percent: Option<Located<u32>>,
    pub budget_min: Option<Located<u32>>,
}

/// Larger bodies are not for memory.
const BUFFER_MAX: u64 = 16 << 20;

impl RetryTable {
    pub(super) fn read(mut fields: Fields<'_>) -> RetryTable {
        let table = RetryTable {
            budget_percent: fields.get("budget_percent").and_then(|field| whole(field, 0..=100)),
            budget_min: fields.get("budget_min").and_then(|field| whole(field, 0..=10_000_000)),
            ..RetryTable::read_shared(&mut fields)
        };
        fields.finish();
        table
    }

    /// `retry` of a route: the budget is for the whole upstream.
    pub(super) fn read_of_route(mut fields: Fields<'_>) -> RetryTable {
        let table = RetryTable::read_shared(&mut fields);
        let elsewhere = ["budget_percent", "budget_min"];
        fields.refuse_misplaced(&elsewhere, "set it in `retry` of the upstream");
        fields.finish();
        table
    }

    fn read_shared(fields: &mut Fields<'_>) -> RetryTable {
        let flag = |field: Field<'_>| field.placed(Field::flag);
        RetryTable {
            tries: fields.get("tries").and_then(|field| whole(field, 1..=RetryPlan::TRIES_MAX)),
            stale: fields.get("stale").and_then(flag),
            unanswered: fields.get("unanswered").and_then(flag),
            on: fields.get("on").and_then(read_on),
            timeout: fields.get("timeout").and_then(read_timeout),
            buffer: fields
                .get("buffer")
                .and_then(|field| field.placed(|field| field.size(0..=BUFFER_MAX))),
            non_idempotent: fields.get("non_idempotent").and_then(flag),
            ..RetryTable::default()
        }
    }

    /// What is set here, else what `base` says.
    pub fn over(&self, base: &RetryPlan) -> RetryPlan {
        let flag = |set: &Option<Located<bool>>, base| set.as_ref().map_or(base, |set| set.value);
        RetryPlan {
            tries: self.tries.as_ref().map_or(base.tries, |set| set.value),
            stale: flag(&self.stale, base.stale),
            unanswered: flag(&self.unanswered, base.unanswered),
            on: self.on.as_ref().map_or_else(|| base.on.clone(), |set| set.value.clone()),
            timeout: self.timeout.as_ref().map_or(base.timeout, |set| set.value),
            buffer: self.buffer.as_ref().map_or(base.buffer, |set| set.value),
            non_idempotent: flag(&self.non_idempotent, base.non_idempotent),
        }
    }

    /// The budget: what is not set is as by default.
    pub fn budget(&self) -> BudgetPlan {
        let default = BudgetPlan::default();
        BudgetPlan {
            percent: self.budget_percent.as_ref().map_or(default.percent, |set| set.value),
            min: self.budget_min.as_ref().map_or(default.min, |set| set.value),
        }
    }

    /// Where the first of its keys is set.
    pub fn first(&self) -> Option<Spot> {
        let spots = [
            self.tries.as_ref().map(|set| set.spot),
            self.stale.as_ref().map(|set| set.spot),
            self.unanswered.as_ref().map(|set| set.spot),
            self.on.as_ref().map(|set| set.spot),
            self.timeout.as_ref().map(|set| set.spot),
            self.buffer.as_ref().map(|set| set.spot),
            self.non_idempotent.as_ref().map(|set| set.spot),
        ];
        spots.into_iter().flatten().min()
    }
}

fn whole(field: Field<'_>, range: std::ops::RangeInclusive<u32>) -> Option<Located<u32>> {
    field.placed(|field| field.whole32(range))
}

/// A time, or "none".
fn read_timeout(field: Field<'_>) -> Option<Located<Option<Duration>>> {
    let time = |field: Field<'_>| field.duration(Duration::from_millis(1)..=YEAR);
    field.placed(|field| field.or_none(time))
}

/// Statuses, "timeout" and "closed"; an empty list takes back what the upstream says.
fn read_on(field: Field<'_>) -> Option<Located<RetryOn>> {
    let mut on = RetryOn::default();
    for item in field.one_or_list() {
        if item.is_whole() {
            let Some(status) = read_status(item) else { continue };
            if on.statuses.contains(&status) {
                item.complain(format!("{status} is listed twice"), "remove one");
            }
            on.statuses.push(status);
        } else if item.as_text().is_some_and(is_status) {
            let text = item.as_text().unwrap_or_default();
            item.complain(format!("\"{text}\" is a string"), format!("write {text}"));
        } else {
            match item.one_of(&[("timeout", true), ("closed", false)]) {
                Some(true) => on.timeout = true,
                Some(false) => on.closed = true,
                None => {}
            }
        }
    }
    Some(field.located(on))
}

fn is_status(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

fn read_status(item: Field<'_>) -> Option<u16> {
    let status = item.whole32(200..=599)?;
    if status < 400 {
        let what = format!("status {status} is no failure");
        return item.refuse(what, "write a status from 400 to 599, such as 503");
    }
    u16::try_from(status).ok()
}
