//! What requests go through at a route.

use crate::config::file::{
    ActionWritten, ErrorPageTable, File, PageWritten, RedirectWritten, RouteTable,
};
use crate::config::names::Names;
use crate::plan::{
    ErrorPage, PageAt, Program, RedirectFrom, RedirectRule, Step, TargetPlan, Template,
};
use crate::route::{HostPattern, PathPattern, decoded};

/// The program of a route, if it needs one.
pub(super) fn program(table: &RouteTable, file: &File, names: &Names) -> Option<Box<Program>> {
    let written = &table.program;
    let hosts = table.hosts.iter().filter_map(|host| match &host.value {
        HostPattern::Regex(expression) => names.asked_for(expression),
        _ => None,
    });
    let path = match &table.path.pattern {
        Some(PathPattern::Regex(expression)) => names.asked_for(expression),
        _ => None,
    };
    let program = Program {
        before: written.before.as_ref().and_then(|name| internal_route(&name.value, file)),
        hosts: hosts.collect(),
        path,
        target: target(table),
        redirects: written
            .redirects
            .iter()
            .map(|rule| match &rule.value {
                RedirectWritten::Default => default_rule(table),
                RedirectWritten::Rule(rule) => rule.clone(),
            })
            .collect(),
        steps: numbered(&written.steps, file),
        error_pages: written.error_pages.iter().filter_map(|page| error_page(page, file)).collect(),
    };
    let idle = program.before.is_none()
        && program.hosts.is_empty()
        && program.path.is_none()
        && matches!(program.target, TargetPlan::AsSent)
        && program.redirects.is_empty()
        && program.steps.is_empty()
        && program.error_pages.is_empty();
    (!idle).then(|| Box::new(program))
}

/// Steps that know the numbers of the routes that they name.
fn numbered(steps: &[Step], file: &File) -> Vec<Step> {
    let numbered = |step: &Step| match step {
        Step::AnswerBy { name, .. } => {
            let route = internal_route(name, file)?;
            Some(Step::AnswerBy { name: name.clone(), route })
        }
        Step::If { condition, then } => {
            Some(Step::If { condition: condition.clone(), then: self::numbered(then, file) })
        }
        step => Some(step.clone()),
    };
    steps.iter().filter_map(numbered).collect()
}

/// The number of the internal route that has this name.
pub(super) fn internal_route(name: &str, file: &File) -> Option<usize> {
    file.routes.iter().position(|route| route.internal && route.name.as_deref() == Some(name))
}

fn error_page(page: &ErrorPageTable, file: &File) -> Option<ErrorPage> {
    let to = match page.to.as_ref()? {
        PageWritten::Path(path) => PageAt::Path(path.clone()),
        PageWritten::Uri(uri) => PageAt::Uri(uri.clone()),
        PageWritten::Route(name) => PageAt::Route(internal_route(&name.value, file)?),
    };
    Some(ErrorPage { on: page.on.clone(), to, status: page.status, servers: page.servers })
}

fn target(table: &RouteTable) -> TargetPlan {
    if let Some(made) = &table.program.send_path {
        return TargetPlan::Made(made.value.clone());
    }
    match &table.program.replace_path {
        Some(by) => TargetPlan::Replaced { cut: matched(table), by: by.value.clone() },
        None => TargetPlan::AsSent,
    }
}

/// What the route's path matches, decoded.
fn matched(table: &RouteTable) -> Vec<u8> {
    match &table.path.pattern {
        Some(PathPattern::Exact(path) | PathPattern::Start { path, .. }) => path.clone(),
        Some(PathPattern::Prefix(path)) => decoded(path).into_owned(),
        Some(PathPattern::Regex(_)) | None => Vec::new(),
    }
}

/// As nginx makes it of `proxy_pass` and `location`.
fn default_rule(table: &RouteTable) -> RedirectRule {
    let upstream = match &table.action {
        Some(ActionWritten::Upstream(name)) => name.value.as_str(),
        _ => "",
    };
    let (from, to) = match &table.program.replace_path {
        Some(path) => (path.value.as_str(), table.path.text.as_str()),
        None => ("/", "/"),
    };
    let from = RedirectFrom::Start(Template::plain(format!("http://{upstream}{from}")));
    RedirectRule { from, to: Template::plain(to) }
}
