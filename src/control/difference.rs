//! What a reload changes, in words.

use std::fmt::Debug;
use std::sync::Arc;

use crate::plan::{Action, Address, Plan, RoutePlan, ServerPlan, UpstreamPlan};

/// One line for each thing that is added, removed or changed; none, if both are the same.
pub fn difference(before: &Plan, after: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    let listeners = |plan: &Plan| -> Vec<Named> {
        let listeners = plan.listeners.iter();
        listeners.map(|one| named(format!("listener {}", one.address), one)).collect()
    };
    compare(listeners(before), listeners(after), &mut lines);
    compare(upstreams(before, after), upstreams(after, before), &mut lines);
    compare(servers(before), servers(after), &mut lines);
    compare(routes(before), routes(after), &mut lines);
    let settings = |plan: &Plan| {
        vec![
            named("rates".to_owned(), &plan.rates),
            named("[timeouts]".to_owned(), &plan.timeouts),
            named("[limits]".to_owned(), &(&plan.limits, plan.shards.max_connections)),
            named("[resolver]".to_owned(), &plan.resolver),
            named("[access_log]".to_owned(), &plan.access_log),
            named("[tracing]".to_owned(), &plan.tracing),
            named("[telemetry]".to_owned(), &plan.telemetry),
        ]
    };
    compare(settings(before), settings(after), &mut lines);
    // Its text would not tell one token from another.
    if before.admin != after.admin {
        lines.push("[admin] changed".to_owned());
    }
    lines
}

/// A thing: what it is called, and all that is said of it.
struct Named {
    name: String,
    text: String,
}

fn named(name: String, value: &impl Debug) -> Named {
    Named { name, text: format!("{value:?}") }
}

/// Those that have one name are paired in their order.
fn compare(before: Vec<Named>, after: Vec<Named>, lines: &mut Vec<String>) {
    let mut before: Vec<Option<Named>> = before.into_iter().map(Some).collect();
    for Named { name, text } in after {
        let same = before
            .iter_mut()
            .find(|old| old.as_ref().is_some_and(|old| old.name == name))
            .and_then(Option::take);
        match same {
            None => lines.push(format!("{name} added")),
            Some(old) if old.text != text => lines.push(format!("{name} changed")),
            Some(_) => {}
        }
    }
    let removed = before.into_iter().flatten();
    lines.extend(removed.map(|old| format!("{} removed", old.name)));
}

/// Upstreams, but for their servers, as far as they can be compared with the `other` plan's.
fn upstreams(plan: &Plan, other: &Plan) -> Vec<Named> {
    let upstream = |one: &Arc<UpstreamPlan>| {
        let same = other.upstreams.iter().find(|other| other.name == one.name);
        // A sticky cookie's codes follow from the servers.
        let comparable = same.is_some_and(|same| addresses(same).eq(addresses(one)));
        let sticky = one.sticky.as_ref().filter(|_| comparable);
        let (members, servers) = (Vec::new(), Vec::new());
        let settings = UpstreamPlan { members, servers, sticky: None, ..UpstreamPlan::clone(one) };
        named(format!("upstream {}", one.name), &(settings, sticky))
    };
    plan.upstreams.iter().map(upstream).collect()
}

fn addresses(upstream: &UpstreamPlan) -> impl Iterator<Item = &Address> {
    upstream.servers.iter().map(|server| &server.address)
}

fn servers(plan: &Plan) -> Vec<Named> {
    let of_upstream = |one: &Arc<UpstreamPlan>| -> Vec<Named> {
        let name = &one.name;
        let server =
            |server: &ServerPlan| named(format!("server {name}/{}", server.address), server);
        one.servers.iter().map(server).collect()
    };
    plan.upstreams.iter().flat_map(of_upstream).collect()
}

/// Routes, with the names of what they refer to by index.
fn routes(plan: &Plan) -> Vec<Named> {
    let route = |one: &RoutePlan| {
        let upstream = match one.action {
            Action::Upstream(index) => plan.upstreams.get(index).map(|one| one.name.clone()),
            Action::Respond { .. } | Action::Redirect(_) | Action::Files(_) => None,
        };
        let rates: Vec<&str> = one
            .rates
            .iter()
            .filter_map(|index| plan.rates.get(*index).map(|rate| rate.name.as_str()))
            .collect();
        let mut plain = one.clone();
        plain.rates.clear();
        if upstream.is_some() {
            plain.action = Action::Upstream(0);
        }
        named(format!("route {}", one.name), &(plain, upstream, rates))
    };
    plan.routes.iter().map(route).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_text;
    use crate::control::identity::Identities;
    use crate::control::machine;

    fn plan(identities: &mut Identities, text: &str) -> Plan {
        let loaded = from_text(text, "config.toml", &machine());
        let mut plan = loaded.unwrap_or_else(|errors| panic!("{}", errors[0])).plan;
        identities.number(&mut plan);
        plan
    }

    #[test]
    fn only_what_differs_is_named() {
        let mut identities = Identities::default();
        let listener = "[[listener]]\naddress = \"127.0.0.1:1\"\n";
        let app = "[[upstream]]\nname = \"app\"\nsticky = { name = \"s\" }\n\
                   servers = [\"127.0.0.1:2\", \"127.0.0.1:3\"]\n[[route]]\nupstream = \"app\"\n";
        let one = plan(&mut identities, &format!("{listener}{app}"));
        let same = plan(&mut identities, &format!("{listener}{app}"));
        assert_eq!(difference(&one, &same), Vec::<String>::new());
        let other = "[[upstream]]\nname = \"new\"\nservers = [\"127.0.0.1:4\"]\n\
                     [[route]]\npath = \"/new\"\nupstream = \"new\"\n";
        let changed = app
            .replace("127.0.0.1:2\"", "127.0.0.1:5\"")
            .replace("\"127.0.0.1:3\"", "{ address = \"127.0.0.1:3\", weight = 2 }");
        let limits = "[limits]\nheader_fields = 50\n";
        let listeners = "[[listener]]\naddress = \"127.0.0.1:1\"\nbacklog = 5\n\
                         [[listener]]\naddress = \"127.0.0.1:9\"\n";
        let text = format!("{listeners}{other}{changed}{limits}");
        let next = plan(&mut identities, &text);
        assert_eq!(
            difference(&one, &next),
            [
                "listener 127.0.0.1:1 changed",
                "listener 127.0.0.1:9 added",
                "upstream new added",
                "server new/127.0.0.1:4 added",
                "server app/127.0.0.1:5 added",
                "server app/127.0.0.1:3 changed",
                "server app/127.0.0.1:2 removed",
                "route * /new added",
                "route * / changed",
                "[limits] changed",
            ]
        );
        assert!(difference(&next, &one).contains(&"upstream new removed".to_owned()));
    }
}
