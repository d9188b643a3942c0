//! What rates say, and what routes say of them.

use super::{Complaints, all_named, duplicates};
use crate::config::file::{File, RateTable};
use crate::plan::RateKey;

/// Complains of rates and of references to them.
pub(super) fn check(file: &File, complaints: &Complaints) {
    let names = file.rates.iter().filter_map(|rate| rate.name.as_ref());
    duplicates(names.map(|name| (name.value.clone(), name.spot)), |name, spot| {
        complaints.error(spot, format!("there is already a rate `{name}`"), "rename one");
    });
    for rate in &file.rates {
        numbers(rate, complaints);
    }
    references(file, complaints);
}

fn numbers(rate: &RateTable, complaints: &Complaints) {
    if let Some(requests) = &rate.requests
        && rate.rate().is_none()
    {
        let spot = rate.burst.as_ref().map_or(requests.spot, |burst| burst.spot);
        let what = match &rate.burst {
            Some(burst) => format!("a burst of {} would take over a year to return", burst.value),
            None => "so few requests would take over a year to return".to_owned(),
        };
        complaints.error(spot, what, "lower `burst`, raise `requests` or shorten `per`");
    }
    if let (Some(keys), Some(RateKey::All)) = (&rate.keys, &rate.key) {
        let what = "`keys` has no effect where all requests count together";
        complaints.warning(keys.spot, what, "remove it, or write another `key`");
    }
}

/// Routes name rates, each once, and each rate should be named.
fn references(file: &File, complaints: &Complaints) {
    for route in &file.routes {
        duplicates(route.rates.iter().map(|name| (name.value.clone(), name.spot)), |name, spot| {
            complaints.error(spot, format!("the rate `{name}` is named twice"), "remove one");
        });
    }
    let rates = file.rates.iter().filter_map(|rate| rate.name.as_ref());
    let named = file.routes.iter().flat_map(|route| &route.rates);
    let remedy = "name it as the `rate` of a route, or remove it";
    all_named("rate", rates, named, remedy, complaints);
}
