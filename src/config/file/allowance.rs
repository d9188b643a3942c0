//! `limits` of an upstream as written.

use crate::config::fields::{Field, Fields};
use crate::config::source::Located;
use crate::plan::BreakerPlan;

/// `limits` of an upstream. The inner `None` is a written "none".
#[derive(Debug, Default)]
pub(in crate::config) struct BreakerTable {
    pub max_active: Option<Option<u32>>,
    pub max_pending: Option<Located<Option<u32>>>,
    pub max_retries: Option<Located<Option<u32>>>,
}

impl BreakerTable {
    pub(super) fn read(mut fields: Fields<'_>) -> BreakerTable {
        let mut most = |key| fields.get(key).and_then(|field| field.placed(read_most));
        let table = BreakerTable {
            max_active: most("max_active").map(|most| most.value),
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
            max_active: self.max_active.flatten(),
            max_pending: most(&self.max_pending),
            max_retries: most(&self.max_retries),
        }
    }
}

/// A count, or "none".
fn read_most(field: Field<'_>) -> Option<Option<u32>> {
    field.or_none(|field| match field.is_whole() {
        true => field.whole32(1..=10_000_000),
        false => {
            let what = format!("`{}` is not understood", field.key);
            field.refuse(what, "write a count, or \"none\"")
        }
    })
}
