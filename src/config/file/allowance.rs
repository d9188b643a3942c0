//! `limits` and `retry` of an upstream as written.

use crate::config::fields::{Field, Fields};
use crate::config::source::Located;
use crate::plan::{BreakerPlan, RetryPlan};

/// `retry` of an upstream.
#[derive(Debug, Default)]
pub(in crate::config) struct RetryTable {
    pub tries: Option<u32>,
    pub stale: Option<bool>,
    pub budget_percent: Option<Located<u32>>,
    pub budget_min: Option<Located<u32>>,
}

impl RetryTable {
    pub(super) fn read(mut fields: Fields<'_>) -> RetryTable {
        let located =
            |field: Field<'_>, most| field.whole32(0..=most).map(|number| field.located(number));
        let table = RetryTable {
            tries: fields.get("tries").and_then(|field| field.whole32(1..=RetryPlan::TRIES_MAX)),
            stale: fields.get("stale").and_then(Field::flag),
            budget_percent: fields.get("budget_percent").and_then(|field| located(field, 100)),
            budget_min: fields.get("budget_min").and_then(|field| located(field, 10_000_000)),
        };
        fields.finish();
        table
    }

    /// The plan: what is not set is as by default.
    pub fn plan(&self) -> RetryPlan {
        let default = RetryPlan::default();
        let or =
            |set: &Option<Located<u32>>, default| set.as_ref().map_or(default, |set| set.value);
        RetryPlan {
            tries: self.tries.unwrap_or(default.tries),
            stale: self.stale.unwrap_or(default.stale),
            budget_percent: or(&self.budget_percent, default.budget_percent),
            budget_min: or(&self.budget_min, default.budget_min),
        }
    }
}

/// `limits` of an upstream. The inner `None` is a written "none".
#[derive(Debug, Default)]
pub(in crate::config) struct BreakerTable {
    pub max_active: Option<Located<Option<u32>>>,
    pub max_pending: Option<Located<Option<u32>>>,
    pub max_retries: Option<Located<Option<u32>>>,
}

impl BreakerTable {
    pub(super) fn read(mut fields: Fields<'_>) -> BreakerTable {
        let mut most = |key| fields.get(key).and_then(read_most);
        let table = BreakerTable {
            max_active: most("max_active"),
            max_pending: most("max_pending"),
            max_retries: most("max_retries"),
        };
        fields.finish();
        table
    }

    /// The plan: what is not set has no limit.
    pub fn plan(&self) -> BreakerPlan {
        let most = |set: &Option<Located<Option<u32>>>| set.as_ref().and_then(|most| most.value);
        BreakerPlan {
            max_active: most(&self.max_active),
            max_pending: most(&self.max_pending),
            max_retries: most(&self.max_retries),
        }
    }
}

/// A count, or "none".
fn read_most(field: Field<'_>) -> Option<Located<Option<u32>>> {
    if field.as_text() == Some("none") {
        return Some(field.located(None));
    }
    if !field.is_whole() {
        let what = format!("`{}` is not understood", field.key);
        return field.refuse(what, "write a count, or \"none\"");
    }
    field.whole32(1..=10_000_000).map(|most| field.located(Some(most)))
}
