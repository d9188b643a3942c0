//! What happens to a request between its head and its answer. Most requests have none of it.

use std::borrow::Cow;

use super::reply::Failure;
use super::scope::Asked;
use crate::http1::{FieldEdits, RequestHead, ResponseHead};
use crate::plan::{Matcher, Program, TargetPlan};
use crate::route::{bare_host, decoded, put_escaped, put_target};

/// What has become of a request.
#[derive(Clone, Debug, Default)]
pub struct Passage {
    /// Its path, if that was rewritten: decoded.
    pub uri: Option<Vec<u8>>,
    /// Its query, if that was rewritten.
    pub args: Option<Vec<u8>>,
    /// What the groups of the last expression found, from the first.
    pub groups: Vec<Vec<u8>>,
    /// Values by the numbers of their names.
    named: Vec<(u32, Vec<u8>)>,
    /// The steps that come before all routes have been taken.
    pub begun: bool,
    /// Its host has been looked at, for what the groups of its expression found.
    host_seen: bool,
    /// A route for the new path is still to be found.
    pub look_again: bool,
    /// The path was changed at the route that answers.
    pub detached: bool,
    /// The number of the route that answers in place of the one that was found.
    pub answered_by: Option<usize>,
    /// How often a route was looked for again.
    pub changes: u8,
    /// It was led here from inside.
    pub internal: bool,
    /// What it comes to now is the page for an error.
    pub in_error_page: bool,
    /// It has been counted against the rates of a route, and is not counted again.
    pub counted: bool,
    /// It is asked for by GET, without its body.
    pub to_get: bool,
    /// Its body has gone to a server: it cannot go to another.
    pub body_gone: bool,
    /// The status of the answer, in place of the answer's own.
    pub status: Option<u16>,
    /// A field of the answer that helps whoever asked.
    pub remedy: Option<(&'static str, Cow<'static, str>)>,
}

impl Passage {
    /// The path, decoded and as far as it was rewritten.
    pub fn uri<'a>(passage: Option<&'a Passage>, head: &RequestHead<'a, '_>) -> Cow<'a, [u8]> {
        match passage.and_then(|passage| passage.uri.as_deref()) {
            Some(uri) => Cow::Borrowed(uri),
            None => decoded(head.path()),
        }
    }

    /// Whether an answer owes anything to what the request went through.
    pub fn owes(passage: Option<&Passage>) -> bool {
        passage.is_some_and(|passage| passage.remedy.is_some())
    }

    /// Adds that to the edits of an answer with this status, which may be a server's `response`;
    /// what that or the route says itself stays. Where all is well again, only a password is asked
    /// for, as in nginx.
    pub fn add_to(
        passage: Option<&Passage>,
        edits: &mut Cow<'_, FieldEdits>,
        status: u16,
        response: Option<&ResponseHead<'_, '_>>,
    ) {
        let Some((name, value)) = passage.and_then(|passage| passage.remedy.as_ref()) else {
            return;
        };
        let name = name.to_ascii_lowercase();
        if status < 400 && name != "www-authenticate" {
            return;
        }
        let is_set = edits.set.iter().chain(&edits.add).any(|(known, _)| *known == name);
        if !is_set && response.is_none_or(|response| response.field(&name).is_none()) {
            edits.to_mut().add.push((name, value.clone().into_owned()));
        }
    }

    /// The query, as far as it was rewritten; empty if there is none.
    pub fn args<'a>(passage: Option<&'a Passage>, head: &RequestHead<'a, '_>) -> &'a [u8] {
        match passage.and_then(|passage| passage.args.as_deref()) {
            Some(args) => args,
            None => head.query().unwrap_or_default().as_bytes(),
        }
    }

    /// What this group of the last expression found, from 1.
    pub fn group(&self, number: u8) -> &[u8] {
        let index = usize::from(number).checked_sub(1);
        index.and_then(|index| self.groups.get(index)).map_or(b"", Vec::as_slice)
    }

    /// The value of the name with this number, if it has one.
    pub fn named(&self, number: u32) -> Option<&[u8]> {
        let found = self.named.iter().find(|(known, _)| *known == number);
        found.map(|(_, value)| value.as_slice())
    }

    /// Gives the name with this number a value.
    pub fn name(&mut self, number: u32, value: Vec<u8>) {
        match self.named.iter_mut().find(|(known, _)| *known == number) {
            Some((_, old)) => *old = value,
            None => self.named.push((number, value)),
        }
    }

    /// Says whether an expression is found in a text; if so, its groups are the last.
    pub fn capture(&mut self, matcher: &Matcher, text: &[u8]) -> bool {
        let Some(captures) = matcher.expression.captures(text) else { return false };
        let found = |group: usize| captures.get(group).map_or(&b""[..], |found| found.as_bytes());
        self.groups = (1..captures.len()).map(|group| found(group).to_vec()).collect();
        for &(group, number) in &matcher.names {
            self.name(number, found(group).to_vec());
        }
        true
    }

    /// A request has a route with this program. What its host's groups found is known from the
    /// first one on: what rewrites find later stays.
    pub fn arrive(
        passage: &mut Option<Box<Passage>>,
        program: &Program,
        head: &RequestHead<'_, '_>,
    ) {
        if program.hosts.is_empty() || passage.as_ref().is_some_and(|passage| passage.host_seen) {
            return;
        }
        let passage = passage.get_or_insert_default();
        passage.host_seen = true;
        if let Some(host) = head.host {
            let host = bare_host(host).to_ascii_lowercase();
            program.hosts.iter().any(|matcher| passage.capture(matcher, host.as_bytes()));
        }
    }

    /// A request stays at a route with this program: its path is found once more, for what its
    /// groups found.
    pub fn enter(
        passage: &mut Option<Box<Passage>>,
        program: &Program,
        head: &RequestHead<'_, '_>,
    ) {
        if let Some(passage) = passage {
            passage.detached = false;
        }
        if let Some(path) = &program.path {
            let uri = Passage::uri(passage.as_deref(), head).into_owned();
            passage.get_or_insert_default().capture(path, &uri);
        }
    }
}

/// What the server is asked for, where that is not what the client asked for.
///
/// # Errors
/// The answer to a path that means another one than its route was found by.
pub fn target(asked: &Asked<'_>) -> Result<Option<Vec<u8>>, Failure> {
    let program = asked.route.and_then(|route| route.program.as_deref());
    let passage = asked.passage;
    let rewritten = passage.is_some_and(|passage| passage.uri.is_some() || passage.args.is_some());
    let mut target = Vec::new();
    match program.map(|program| &program.target) {
        None | Some(TargetPlan::AsSent) if !rewritten => return Ok(None),
        None | Some(TargetPlan::AsSent) => {
            put_escaped(&Passage::uri(passage, asked.head), &mut target);
        }
        Some(TargetPlan::Replaced { cut, by }) => {
            let uri = Passage::uri(passage, asked.head);
            // As in nginx: what the path matched is not in it any more.
            if passage.is_some_and(|passage| passage.detached) {
                put_escaped(&uri, &mut target);
            } else {
                let rest = uri.strip_prefix(cut.as_slice()).ok_or(Failure::OtherPath)?;
                target.extend_from_slice(by.as_bytes());
                put_escaped(rest, &mut target);
            }
        }
        Some(TargetPlan::Made(template)) => {
            let made = template.fill(asked);
            if !made.starts_with(b"/") {
                target.push(b'/');
            }
            put_target(&made, &mut target);
            return Ok(Some(target));
        }
    }
    let args = Passage::args(passage, asked.head);
    if !args.is_empty() {
        target.push(b'?');
        put_target(args, &mut target);
    }
    Ok(Some(target))
}
