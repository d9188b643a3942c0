//! `passive` of an upstream as written.

use std::time::Duration;

use super::YEAR;
use crate::config::fields::{Field, Fields};
use crate::config::source::Located;
use crate::plan::PassivePlan;

/// `passive` of an upstream.
#[derive(Debug, Default)]
pub(in crate::config) struct PassiveTable {
    pub failures: Option<u32>,
    pub window: Option<Duration>,
    pub ejection: Option<Located<Duration>>,
    pub max_ejection: Option<Located<Duration>>,
    pub eject_refused: Option<bool>,
}

impl PassiveTable {
    pub(super) fn read(mut fields: Fields<'_>) -> PassiveTable {
        let time = |field: Field<'_>| field.duration(Duration::from_millis(1)..=YEAR);
        let located = |field: Field<'_>| time(field).map(|time| field.located(time));
        let table = PassiveTable {
            failures: fields.get("failures").and_then(|field| field.whole32(1..=1_000)),
            window: fields.get("window").and_then(time),
            ejection: fields.get("ejection").and_then(located),
            max_ejection: fields.get("max_ejection").and_then(located),
            eject_refused: fields.get("eject_refused").and_then(Field::flag),
        };
        fields.finish();
        table
    }

    /// The plan: what is not set is as by default. An ejection that is set longer than the longest
    /// by default is the longest too.
    pub fn plan(&self) -> PassivePlan {
        let default = PassivePlan::default();
        let ejection = self.ejection.as_ref().map_or(default.ejection, |set| set.value);
        let longest = default.max_ejection.max(ejection);
        PassivePlan {
            failures: self.failures.unwrap_or(default.failures),
            window: self.window.unwrap_or(default.window),
            ejection,
            max_ejection: self.max_ejection.as_ref().map_or(longest, |set| set.value),
            eject_refused: self.eject_refused.unwrap_or(default.eject_refused),
        }
    }
}
