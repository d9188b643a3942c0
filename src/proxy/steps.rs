//! The steps of a route, taken for one request (nginx's rewrite module).

use std::borrow::Cow;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use super::answer::Own;
use super::passage::Passage;
use super::reply::Failure;
use super::scope::Asked;
use crate::plan::{
    Condition, Plan, Return, Rewrite, RoutePlan, Scope, Step, Template, Term, Test, Then,
};
use crate::route::{put_argument, put_escaped, put_location};

/// How steps end that answer nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The next one follows.
    GoOn,
    /// None follows.
    Stop,
}

/// Takes these steps of a route. `at` need not know the passage.
///
/// # Errors
/// The answer, if one of them answers.
pub fn take<'p>(
    plan: &'p Plan,
    (found, steps): (usize, &'p [Step]),
    at: &Asked<'_>,
    passage: &mut Option<Box<Passage>>,
) -> Result<Flow, Own<'p>> {
    for step in steps {
        let route = &plan.routes[answering(found, passage.as_deref())];
        let asked = Asked { passage: passage.as_deref(), ..*at };
        match step {
            Step::Set { name, to } => {
                let value = to.fill(&asked).into_owned();
                passage.get_or_insert_default().name(*name, value);
            }
            Step::SetArgs(to) => {
                let args = to.fill(&asked).into_owned();
                passage.get_or_insert_default().args = Some(args);
            }
            Step::If { condition, then } => {
                if holds(condition, at, passage)
                    && take(plan, (found, then), at, passage)? == Flow::Stop
                {
                    return Ok(Flow::Stop);
                }
            }
            Step::Rewrite(rewrite) => {
                if self::rewrite(route, rewrite, at, passage)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            }
            Step::AnswerBy { route, .. } => {
                passage.get_or_insert_default().answered_by = Some(*route);
            }
            Step::Return(answer) => return Err(own(route, answer)),
            Step::Break => {
                if let Some(passage) = passage {
                    passage.detached |= std::mem::take(&mut passage.look_again);
                }
                return Ok(Flow::Stop);
            }
        }
    }
    Ok(Flow::GoOn)
}

/// The number of the route that answers where the one with this number was found.
pub fn answering(found: usize, passage: Option<&Passage>) -> usize {
    passage.and_then(|passage| passage.answered_by).unwrap_or(found)
}

fn own<'p>(route: &'p RoutePlan, answer: &'p Return) -> Own<'p> {
    match answer {
        Return::Close => Own::Close,
        Return::Status(status @ 400..) => Own::Failure(Failure::Returned(*status)),
        Return::Status(status) => Own::Bare { route, status: *status },
        Return::Body { status, body } => Own::Fixed { route, status: *status, body },
        Return::To(redirect) => Own::Redirect { route, redirect },
    }
}

fn rewrite<'p>(
    route: &'p RoutePlan,
    rewrite: &'p Rewrite,
    at: &Asked<'_>,
    passage: &mut Option<Box<Passage>>,
) -> Result<Flow, Own<'p>> {
    let uri = Passage::uri(passage.as_deref(), at.head).into_owned();
    let passage = passage.get_or_insert_default();
    if !passage.capture(&rewrite.matcher, &uri) {
        return Ok(Flow::GoOn);
    }
    if let Then::Redirect(status) = rewrite.then {
        let location = redirection(rewrite, at, passage);
        return Err(Own::Moved { route, status, location });
    }
    let asked = Asked { passage: Some(passage), ..*at };
    let mut uri = rewrite.to.fill(&asked).into_owned();
    let args = new_args(rewrite, &asked);
    if uri.is_empty() {
        return Err(Own::Failure(Failure::EmptyPath));
    }
    if !uri.starts_with(b"/") {
        uri.insert(0, b'/');
    }
    passage.uri = Some(uri);
    if let Some(args) = args {
        passage.args = Some(args);
    }
    passage.look_again = rewrite.then != Then::Break;
    // What the path of the route matched is not in it any more.
    passage.detached |= rewrite.then == Then::Break;
    Ok(if rewrite.then == Then::GoOn { Flow::GoOn } else { Flow::Stop })
}

/// The query after a rewrite; `None`: as it was.
fn new_args(rewrite: &Rewrite, asked: &Asked<'_>) -> Option<Vec<u8>> {
    match &rewrite.args {
        Some(new) => {
            let mut args = with_groups(new, asked, put_argument).into_owned();
            if rewrite.keeps_args && !asked.args().is_empty() {
                args.push(b'&');
                args.extend_from_slice(asked.args());
            }
            Some(args)
        }
        None if rewrite.keeps_args => None,
        None => Some(Vec::new()),
    }
}

/// A text filled in, what groups found being written by `put`: that is decoded, and must not mean
/// more where it comes to stand than where it came from.
fn with_groups<'t>(
    text: &'t Template,
    at: &Asked<'_>,
    put: fn(&[u8], &mut Vec<u8>),
) -> Cow<'t, [u8]> {
    let groups = text.terms().any(|term| matches!(term, Term::Group(_)));
    let Some(mut passage) = at.passage.filter(|_| groups).cloned() else { return text.fill(at) };
    for group in &mut passage.groups {
        let found = std::mem::take(group);
        put(&found, group);
    }
    text.fill(&Asked { passage: Some(&passage), ..*at })
}

/// Where a rewrite sends the client.
fn redirection(rewrite: &Rewrite, at: &Asked<'_>, passage: &Passage) -> Vec<u8> {
    let asked = Asked { passage: Some(passage), ..*at };
    let mut location = Vec::new();
    put_location(&with_groups(&rewrite.to, &asked, put_escaped), &mut location);
    let old = rewrite.keeps_args.then(|| asked.args()).filter(|args| !args.is_empty());
    let new = rewrite.args.as_ref().map(|args| with_groups(args, &asked, put_argument));
    for (args, separator) in
        [(new.as_deref(), b'?'), (old, if new.is_some() { b'&' } else { b'?' })]
    {
        if let Some(args) = args {
            location.push(separator);
            put_location(args, &mut location);
        }
    }
    location
}

fn holds(condition: &Condition, at: &Asked<'_>, passage: &mut Option<Box<Passage>>) -> bool {
    let asked = Asked { passage: passage.as_deref(), ..*at };
    let text = condition.text.fill(&asked);
    let is = match &condition.test {
        Test::Set => !text.is_empty() && *text != *b"0",
        Test::Among(texts) => texts.iter().any(|other| *text == *other.as_bytes()),
        Test::Is(other) => text == other.fill(&asked),
        Test::Matches(matcher) => {
            let text = text.into_owned();
            passage.get_or_insert_default().capture(matcher, &text)
        }
        Test::File => metadata(&text).is_some_and(|found| found.is_file()),
        Test::Directory => metadata(&text).is_some_and(|found| found.is_dir()),
        Test::Exists => metadata(&text).is_some(),
        Test::Executable => {
            metadata(&text).is_some_and(|found| found.permissions().mode() & 0o100 != 0)
        }
    };
    is != condition.not
}

/// What is at a path. As in nginx the shard waits for it: what is asked for on each request is in
/// the kernel's cache of names.
fn metadata(path: &[u8]) -> Option<Metadata> {
    std::fs::metadata(std::ffi::OsStr::from_bytes(path)).ok()
}

impl Asked<'_> {
    /// Appends the value of the name with this number: a map's, or what was set.
    pub fn put_named(&self, number: u32, out: &mut Vec<u8>) {
        let Some(map) = self.plan.map(number) else {
            let named = self.passage.and_then(|passage| passage.named(number));
            return out.extend_from_slice(named.unwrap_or_default());
        };
        let text = map.from.fill(self);
        match map.find(&text) {
            (value, None) => value.put(self, out),
            (value, Some(matcher)) => {
                let mut passage = self.passage.cloned().unwrap_or_default();
                passage.capture(matcher, &text);
                value.put(&Asked { passage: Some(&passage), ..*self } as &dyn Scope, out);
            }
        }
    }
}
