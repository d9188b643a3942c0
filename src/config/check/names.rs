//! Names that texts and error pages use: maps, and routes that are found by name.

use std::collections::HashMap;

use super::{duplicates, nearest};
use crate::config::complaint::Complaints;
use crate::config::file::{ActionWritten, File, LastWritten, MapTable, PageWritten, RouteTable};
use crate::config::source::Located;
use crate::plan::{Step, Term};

/// Complains of names that are there twice or not at all, and of maps that need themselves.
pub(super) fn check(file: &File, complaints: &Complaints) {
    complaints.names.check(complaints);
    let names = file.maps.iter().filter_map(|map| map.name.as_ref());
    duplicates(names.map(|(name, _)| (name.value.clone(), name.spot)), |name, spot| {
        complaints.error(spot, format!("there is already a map `{name}`"), "rename one");
    });
    circles(&file.maps, complaints);
    pages(file, complaints);
}

/// A map whose value needs that value.
fn circles(maps: &[MapTable], complaints: &Complaints) {
    let needs: HashMap<u32, Vec<u32>> = maps
        .iter()
        .filter_map(|map| {
            let plan = &map.plan;
            let texts = plan.texts.iter().chain([&plan.from, &plan.default]);
            let numbers = texts.flat_map(|text| text.terms()).filter_map(|term| match term {
                Term::Named(number) => Some(*number),
                _ => None,
            });
            Some((map.name.as_ref()?.1, numbers.collect()))
        })
        .collect();
    for (name, number) in maps.iter().filter_map(|map| map.name.as_ref()) {
        let mut seen = vec![*number];
        let mut next = 0;
        while let Some(at) = seen.get(next).copied() {
            next += 1;
            let further = needs.get(&at).into_iter().flatten();
            if further.clone().any(|needed| needed == number) {
                let what = format!("the map `{}` needs its own value", name.value);
                complaints.error(name.spot, what, "look it up by something else");
                break;
            }
            let new: Vec<u32> = further.filter(|needed| !seen.contains(needed)).copied().collect();
            seen.extend(new);
        }
    }
}

/// The internal route that the files of a route name as their last resort.
fn last_resort(route: &RouteTable) -> Option<&Located<String>> {
    let Some(ActionWritten::Files(files)) = &route.action else { return None };
    match &files.tries.as_ref()?.last {
        LastWritten::Route(name) => Some(name),
        LastWritten::Status(_) | LastWritten::Path(_) => None,
    }
}

/// The names of routes in steps.
fn named_in<'s>(steps: &'s [Step]) -> Vec<&'s str> {
    let named = |step: &'s Step| match step {
        Step::AnswerBy { name, .. } => vec![name.as_str()],
        Step::If { then, .. } => named_in(then),
        _ => Vec::new(),
    };
    steps.iter().flat_map(named).collect()
}

/// Error pages, `try`, `before` and steps name internal routes.
fn pages(file: &File, complaints: &Complaints) {
    let internal = file.routes.iter().filter(|route| route.internal);
    let names: Vec<&str> = internal.filter_map(|route| route.name.as_deref()).collect();
    let pages = file.routes.iter().flat_map(|route| &route.program.error_pages);
    let of_pages = pages.filter_map(|page| match &page.to {
        Some(PageWritten::Route(name)) => Some(name),
        _ => None,
    });
    let of_files = file.routes.iter().filter_map(last_resort);
    let before = file.routes.iter().filter_map(|route| route.program.before.as_ref());
    let located =
        of_pages.chain(of_files).chain(before).map(|name| (name.value.as_str(), name.spot));
    let of_steps = file.routes.iter().flat_map(|route| {
        let program = &route.program;
        let spot = program.steps_at.unwrap_or(route.path.spot);
        named_in(&program.steps).into_iter().map(move |name| (name, spot))
    });
    for (name, spot) in located.chain(of_steps) {
        if names.contains(&name) {
            continue;
        }
        let remedy = match nearest(name, &names) {
            Some(near) => format!("did you mean `@{near}`?"),
            None => format!("add a [[route]] with name = \"{name}\" and internal = true"),
        };
        complaints.error(spot, format!("there is no internal route `{name}`"), remedy);
    }
    for route in file.routes.iter().filter(|route| !route.is_found_by_path()) {
        if let Some(before) = &route.program.before {
            let what = "`before` is of routes that are found by their path";
            complaints.error(before.spot, what, "remove it");
        }
    }
}
