//! What upstreams and their routes say of trying again.

use crate::config::complaint::Complaints;
use crate::config::file::{File, RetryTable, RouteTable, UpstreamTable};
use crate::config::quantity::duration_text;
use crate::config::source::Spot;
use crate::plan::{RetryPlan, Timeouts};

/// Complains of settings without effect, and of times that leave nothing to do.
pub(super) fn all(file: &File, complaints: &Complaints) {
    let timeouts = file.timeouts.over(&Timeouts::default());
    for upstream in &file.upstreams {
        let own = upstream.retry.over(&RetryPlan::default());
        let leads_here =
            |route: &&RouteTable| upstream.name.as_ref().is_some_and(|name| route.leads_to(name));
        let routes: Vec<_> = file.routes.iter().filter(leads_here).collect();
        let plans: Vec<_> = routes.iter().map(|route| route.retry.over(&own)).collect();
        of_upstream(upstream, &own, &plans, complaints);
        for (route, plan) in routes.iter().zip(&plans) {
            without_effect(&route.retry, plan, plan.on.is_empty(), complaints);
        }
        let timeouts = upstream.timeouts.over(&timeouts);
        let tables = routes.iter().map(|route| (*route, [&route.retry, &upstream.retry]));
        let mut known = Vec::new();
        for ((route, tables), plan) in tables.zip(&plans) {
            let spot =
                too_short(&tables, plan, &route.timeouts.over(&timeouts), &known, complaints);
            known.extend(spot);
        }
    }
    for route in &file.routes {
        if let (false, Some(spot)) =
            (route.action.is_none() || route.upstream().is_some(), route.retry.first())
        {
            let what = "`retry` has no effect: the route has no upstream";
            complaints.error(spot, what, "remove it");
        }
    }
}

/// A budget or limit for retries must let some through, and there must be some to limit.
fn of_upstream(
    upstream: &UpstreamTable,
    own: &RetryPlan,
    routes: &[RetryPlan],
    complaints: &Complaints,
) {
    let table = &upstream.retry;
    let never = [own].into_iter().chain(routes).all(|plan| plan.tries == 1 && !plan.stale);
    let set = [&table.budget_percent, &table.budget_min];
    let budget = table.budget();
    if !never
        && (budget.percent, budget.min) == (0, 0)
        && let Some(spot) = set.into_iter().flatten().map(|set| set.spot).max()
    {
        let remedy = "raise `budget_min`, or write tries = 1 and stale = false";
        complaints.error(spot, "a budget of nothing allows no retry", remedy);
    }
    let limits = set.into_iter().flatten().map(|set| set.spot);
    let limits = limits.chain(upstream.limits.max_retries.as_ref().map(|set| set.spot));
    for spot in limits.filter(|_| never) {
        let what = "this has no effect: with tries = 1 and stale = false nothing is tried again";
        complaints.error(spot, what, "remove it");
    }
    let nowhere_on = own.on.is_empty() && routes.iter().all(|plan| plan.on.is_empty());
    without_effect(table, own, nowhere_on, complaints);
}

/// `nowhere_on`: nothing is tried again for what a server answered, or did not.
fn without_effect(table: &RetryTable, plan: &RetryPlan, nowhere_on: bool, complaints: &Complaints) {
    if let Some(on) = &table.on
        && !on.value.is_empty()
        && plan.tries == 1
    {
        let remedy = "raise `tries`, or remove `on`";
        complaints.error(on.spot, "`on` has no effect with tries = 1", remedy);
    }
    let needs_on = [
        ("buffer", table.buffer.as_ref().map(|set| set.spot)),
        ("non_idempotent", table.non_idempotent.as_ref().map(|set| set.spot)),
    ];
    for (key, spot) in needs_on {
        if let (true, Some(spot)) = (nowhere_on, spot) {
            let what = format!("`{key}` has no effect without `on`");
            complaints.error(spot, what, "add such as on = [502, 503], or remove it");
        }
    }
}

/// Once a server has had all the time it may take, some must be left for another. Says where it
/// complained; what was complained of at one of the `known` places is not repeated.
fn too_short(
    tables: &[&RetryTable],
    plan: &RetryPlan,
    timeouts: &Timeouts,
    known: &[Spot],
    complaints: &Complaints,
) -> Option<Spot> {
    let most = plan.timeout.filter(|most| plan.on.timeout && *most <= timeouts.response)?;
    let timeout = tables.iter().find_map(|table| table.timeout.as_ref())?;
    if known.contains(&timeout.spot) {
        return None;
    }
    let [most, response] = [most, timeouts.response].map(duration_text);
    let what = format!(
        "`timeout` of `retry` is \"{most}\", but a server has {response} to answer, so that no \
         time is left when it does not"
    );
    let remedy = format!("write more than \"{response}\", or lower `response` in `timeouts`");
    complaints.error(timeout.spot, what, remedy);
    Some(timeout.spot)
}
