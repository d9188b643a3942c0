//! From a request's head to the route that answers it, by way of all that may stand between.

use super::answer::Own;
use super::client::Client;
use super::content::{self, Stop};
use super::files::{self, FileRequest};
use super::passage::Passage;
use super::reply::{self, Failure};
use super::scope::Asked;
use super::steps;
use super::trail::Trail;
use super::{Service, admission};
use crate::http1::{RequestFraming, RequestHead};
use crate::plan::{Action, ErrorPage, PageAt, PageStatus, Program, RoutePlan};
use crate::route::{Found, put_escaped, put_location};

/// How often the path of one request may change, as in nginx.
const CHANGES_MAX: u8 = 10;

/// A request to forward.
#[derive(Clone, Copy)]
pub struct Way {
    /// The route's number.
    pub route: usize,
    /// That of its upstream.
    pub group: usize,
}

/// Where a request goes that its route does not answer.
#[derive(Debug)]
pub enum Onward {
    /// To what the route answers this failure with.
    Failure(Failure),
    /// To the route with this number.
    Route(usize),
    /// To the route for another path, decoded. `args`: its query, if that is another one too.
    Path { uri: Vec<u8>, args: Option<Vec<u8>> },
}

impl Onward {
    /// To a path and the query behind it; without one there is none.
    pub fn path(text: &[u8]) -> Onward {
        let (uri, args) = match memchr::memchr(b'?', text) {
            Some(at) => (&text[..at], &text[at + 1..]),
            None => (text, &b""[..]),
        };
        let mut uri = uri.to_vec();
        if !uri.starts_with(b"/") {
            uri.insert(0, b'/');
        }
        Onward::Path { uri, args: Some(args.to_vec()) }
    }
}

/// A request that looks for its route.
#[derive(Clone, Copy)]
pub struct Traveller<'p, 'a> {
    pub client: &'a Client,
    pub trail: &'p Trail,
    pub head: &'a RequestHead<'a, 'a>,
}

impl<'p> Traveller<'p, '_> {
    /// The route of a request to forward and its upstream, or what answers it here.
    ///
    /// # Errors
    /// The answer.
    pub fn find(self, passage: &mut Option<Box<Passage>>) -> Result<Way, Own<'p>> {
        admission::to_listener(self.client).map_err(Own::Failure)?;
        let table = self.service().table(&self.client.listener);
        let found = table.find(self.head.host, self.head.path());
        let found = found.ok_or(Own::Failure(Failure::NoRoute))?;
        let mut at = found.route;
        match self.visit(found, &mut at, passage) {
            Err(Own::Failure(failure)) => self.answer_error(failure, at, passage),
            outcome => outcome,
        }
    }

    /// What answers in place of a failure at the route with this number.
    ///
    /// # Errors
    /// The answer: that failure, if the route has no page for it.
    pub fn answer_error(
        self,
        failure: Failure,
        at: usize,
        passage: &mut Option<Box<Passage>>,
    ) -> Result<Way, Own<'p>> {
        let route = &self.service().plan.routes[at];
        let again = passage.as_ref().is_some_and(|passage| passage.in_error_page);
        let Some(page) = route.error_page(&failure).filter(|_| !again) else {
            return Err(Own::Failure(failure));
        };
        if passage.as_ref().is_some_and(|passage| passage.body_gone) && self.wants_body(page) {
            return Err(Own::Failure(failure));
        }
        reply::take_note(self.client, self.trail, &failure);
        let state = passage.get_or_insert_default();
        state.counted |= failure.comes_late() && !route.rates.is_empty();
        state.remedy = failure.remedy();
        (state.in_error_page, state.internal) = (true, true);
        state.status = match page.status {
            PageStatus::OfError => Some(failure.status()),
            PageStatus::Is(status) => Some(status),
            PageStatus::OfPage => None,
        };
        let found = self.page(route, page, passage)?;
        let mut at = at;
        self.visit(found, &mut at, passage)
    }

    /// Whether what an error leads to is a server that gets the request as it is.
    fn wants_body(self, page: &ErrorPage) -> bool {
        match &page.to {
            PageAt::Route(number) => {
                matches!(self.service().plan.routes[*number].action, Action::Upstream(_))
            }
            PageAt::Path(_) | PageAt::Uri(_) => false,
        }
    }

    /// Where a request goes that came to the route with this number, which does not answer it.
    ///
    /// # Errors
    /// The answer.
    pub fn go_on(
        self,
        onward: Onward,
        from: usize,
        passage: &mut Option<Box<Passage>>,
    ) -> Result<Way, Own<'p>> {
        let mut at = from;
        // Once is enough.
        let counted = !self.service().plan.routes[from].rates.is_empty();
        let gone = match onward {
            Onward::Failure(failure) => return self.answer_error(failure, from, passage),
            Onward::Route(route) => {
                let state = passage.get_or_insert_default();
                state.internal = true;
                state.counted |= counted;
                let found = count_change(state).map(|()| Found { route, slash: false });
                found.and_then(|found| self.visit(found, &mut at, passage))
            }
            Onward::Path { uri, args } => {
                let state = passage.get_or_insert_default();
                state.uri = Some(uri);
                state.args = args.or(state.args.take());
                state.begun = false;
                state.counted |= counted;
                let found = self.look_again(state);
                found.and_then(|found| self.visit(found, &mut at, passage))
            }
        };
        match gone {
            Err(Own::Failure(failure)) => self.answer_error(failure, at, passage),
            gone => gone,
        }
    }

    /// Where an error page is.
    fn page(
        self,
        route: &'p RoutePlan,
        page: &'p ErrorPage,
        passage: &mut Option<Box<Passage>>,
    ) -> Result<Found, Own<'p>> {
        let asked = Asked { route: Some(route), passage: passage.as_deref(), ..self.asked() };
        match &page.to {
            PageAt::Route(route) => Ok(Found { route: *route, slash: false }),
            PageAt::Uri(uri) => {
                let mut location = Vec::new();
                put_location(&uri.fill(&asked), &mut location);
                let status = match page.status {
                    PageStatus::Is(status @ (301 | 302 | 303 | 307 | 308)) => status,
                    _ => 302,
                };
                Err(Own::Moved { route, status, location })
            }
            PageAt::Path(path) => {
                let onward = Onward::path(&path.fill(&asked));
                let state = passage.get_or_insert_default();
                if let Onward::Path { uri, args } = onward {
                    (state.uri, state.args) = (Some(uri), args);
                }
                (state.to_get, state.begun) = (true, false);
                self.look_again(state)
            }
        }
    }

    /// Goes from route to route as their steps lead. `at`: the last one.
    fn visit(
        self,
        mut found: Found,
        at: &mut usize,
        passage: &mut Option<Box<Passage>>,
    ) -> Result<Way, Own<'p>> {
        loop {
            if let Some(passage) = passage.as_mut() {
                passage.answered_by = None;
            }
            self.reach(found.route, at);
            let route = &self.service().plan.routes[found.route];
            if let Some(program) = &route.program {
                Passage::arrive(passage, program, self.head);
                if let Some(elsewhere) = self.begin(route, program, at, passage)? {
                    found = elsewhere;
                    continue;
                }
            }
            let inside = passage.as_ref().is_some_and(|passage| passage.internal);
            if route.internal && !inside {
                return Err(Own::Failure(Failure::NoRoute));
            }
            // Also what its steps answer is for pages of other sites to read.
            let preflight = match route.content.is_some() || passage.is_some() {
                true => self.greet(route, passage.as_deref()),
                false => Ok(()),
            };
            if found.slash {
                return Err(preflight.err().unwrap_or(Own::Slash { route }));
            }
            if let Some(program) = &route.program {
                Passage::enter(passage, program, self.head);
                let asked = Asked { route: Some(route), ..self.asked() };
                let plan = &*self.service().plan;
                let taken = steps::take(plan, (found.route, &program.steps), &asked, passage);
                self.reach(steps::answering(found.route, passage.as_deref()), at);
                if let Err(own) = taken {
                    return Err(preflight.err().unwrap_or(own));
                }
                if let Some(passage) = passage.as_mut().filter(|passage| passage.look_again) {
                    found = self.look_again(passage)?;
                    continue;
                }
            }
            preflight?;
            let index = steps::answering(found.route, passage.as_deref());
            if index != found.route {
                self.greet(&self.service().plan.routes[index], passage.as_deref())?;
            }
            return self.settle(index, passage.as_deref());
        }
    }

    /// Has the route's content look at a request before anything else does.
    ///
    /// # Errors
    /// The answer, if it is a preflight.
    fn greet(self, route: &'p RoutePlan, passage: Option<&Passage>) -> Result<(), Own<'p>> {
        let in_error_page = passage.is_some_and(|passage| passage.in_error_page);
        content::greet(self.trail, route.content.as_deref(), self.head, in_error_page)
            .map_err(|stop| stopped(route, stop))
    }

    /// Takes note that a request has come to the route with this number.
    fn reach(self, route: usize, at: &mut usize) {
        *at = route;
        self.trail.note(|record| record.route = Some(route as u32));
    }

    /// Takes the steps that come before those of any route, if they are still to be taken. The
    /// route for the path that they lead to, if they do.
    fn begin(
        self,
        route: &RoutePlan,
        program: &Program,
        at: &mut usize,
        passage: &mut Option<Box<Passage>>,
    ) -> Result<Option<Found>, Own<'p>> {
        let begun = passage.as_ref().is_some_and(|passage| passage.begun);
        let Some(number) = program.before.filter(|_| !begun) else { return Ok(None) };
        let before = &self.service().plan.routes[number];
        passage.get_or_insert_default().begun = true;
        let steps = before.program.as_ref().map_or(&[][..], |program| &program.steps);
        let asked = Asked { route: Some(route), ..self.asked() };
        let taken = steps::take(&self.service().plan, (number, steps), &asked, passage);
        taken.inspect_err(|_| self.reach(steps::answering(number, passage.as_deref()), at))?;
        // Whatever ended them: it is at no route yet.
        match passage.as_mut().filter(|passage| passage.look_again || passage.detached) {
            Some(passage) => self.look_up(passage).map(Some),
            None => {
                // Who was to answer what these steps return is not to answer the rest.
                if let Some(passage) = passage {
                    passage.answered_by = None;
                }
                Ok(None)
            }
        }
    }

    /// The route for the path as it is now, which counts as a change.
    fn look_again(self, passage: &mut Passage) -> Result<Found, Own<'p>> {
        count_change(passage)?;
        self.look_up(passage)
    }

    fn look_up(self, passage: &mut Passage) -> Result<Found, Own<'p>> {
        (passage.internal, passage.look_again, passage.detached) = (true, false, false);
        let mut path = Vec::new();
        put_escaped(&Passage::uri(Some(passage), self.head), &mut path);
        // It is ASCII.
        let path = String::from_utf8_lossy(&path);
        let table = self.service().table(&self.client.listener);
        table.find(self.head.host, &path).ok_or(Own::Failure(Failure::NoRoute))
    }

    /// What the route with this number does with the request.
    fn settle(self, index: usize, passage: Option<&Passage>) -> Result<Way, Own<'p>> {
        let service = self.service();
        let (head, route) = (self.head, &service.plan.routes[index]);
        admission::to_route(self.client, route).map_err(Own::Failure)?;
        if !passage.is_some_and(|passage| passage.counted) {
            admission::to_rates(self.client, service, route, head).map_err(Own::Failure)?;
        }
        if route.content.is_some() || route.by_hand.said() == Some(true) {
            content::enter(self.client, self.trail, route, head)
                .map_err(|stop| stopped(route, stop))?;
        }
        let to_get = passage.is_some_and(|passage| passage.to_get);
        let in_page = passage.is_some_and(|passage| passage.in_error_page);
        if let (RequestFraming::Length(n), Some(limit)) =
            (head.facts.framing, route.limits.body_bytes)
            && n > limit
            && !in_page
        {
            return Err(Own::Failure(Failure::BodyTooLarge));
        }
        match &route.action {
            // As nginx does: a server's answer would show what proxies have added to the request.
            Action::Upstream(_) if head.method == "TRACE" && !to_get => {
                Err(Own::Failure(Failure::Trace))
            }
            Action::Upstream(_) if head.max_forwards() == Some(0) && !to_get => {
                Err(Own::Options { route, allow: reply::ALLOW })
            }
            Action::Upstream(_) if passage.is_some_and(|p| p.body_gone) && !to_get => {
                Err(Own::Failure(Failure::BodyGone))
            }
            Action::Upstream(group) => Ok(Way { route: index, group: *group }),
            Action::Respond { status, body } => Err(Own::Fixed { route, status: *status, body }),
            Action::Redirect(redirect) => Err(Own::Redirect { route, redirect }),
            // Where others may answer, they may know more methods.
            Action::Files(files) if head.method == "OPTIONS" && !to_get && !files.leads_on() => {
                Err(Own::Options { route, allow: files::ALLOW })
            }
            Action::Files(files) => Err(Own::File(FileRequest::new(head, (index, files), passage))),
        }
    }

    fn service(&self) -> &'p Service {
        &self.trail.service
    }

    fn asked(&self) -> Asked<'_> {
        let plan = &self.trail.service.plan;
        let (client, head) = (self.client, self.head);
        Asked { client, plan, head, route: None, passage: None, status: None, sent: None }
    }
}

/// Counts that a request is led on from inside, which must end.
///
/// # Errors
/// It goes in a circle.
fn count_change<'p>(passage: &mut Passage) -> Result<(), Own<'p>> {
    passage.changes += 1;
    match passage.changes > CHANGES_MAX {
        true => Err(Own::Failure(Failure::Circle)),
        false => Ok(()),
    }
}

/// What a route's content has against a request.
fn stopped<'p>(route: &'p RoutePlan, stop: Stop<'p>) -> Own<'p> {
    match stop {
        Stop::Failure(failure) => Own::Failure(failure),
        Stop::Page { status, page } => Own::Page { route, status, page },
    }
}

impl RoutePlan {
    /// The page for a failure here.
    fn error_page(&self, failure: &Failure) -> Option<&ErrorPage> {
        let of_server = matches!(failure, Failure::Intercepted(_));
        self.program.as_ref()?.error_page(failure.status(), of_server)
    }
}
