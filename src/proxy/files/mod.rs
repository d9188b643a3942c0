//! Files: found, judged against the request's conditions, and sent.

mod coded;
mod find;
mod listing;
mod response;
mod send;
mod store;

use std::borrow::Cow;

use super::answer;
use super::client::Client;
use super::connection::Next;
use super::content::{self, Stop};
use super::kept::Kept;
use super::passage::Passage;
use super::reply::{self, Failure, Manner, Reply};
use super::response::Failed;
use super::scope::Asked;
use super::trail::Trail;
use crate::http1::{Accepted, Conditions, FieldEdits, RequestHead};
use crate::plan::{Action, FileCachePlan, FilesPlan, LastResort, Plan, RoutePlan};
use crate::route::{encode_file_path, normalise, put_escaped, put_target};

use find::{Found, Search};
pub use store::FileStore;

/// What may be asked of files.
pub const ALLOW: (&str, &str) = ("Allow", "GET, HEAD, OPTIONS");

/// How often `try` may lead on.
const DETOURS_MAX: usize = 10;

/// Why a request for a file is not answered with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// The path holds a NUL.
    BadPath,
    /// There is none.
    NotFound,
    /// It may not be opened, or shown.
    Forbidden,
    /// Files can be asked for with GET, HEAD and OPTIONS.
    Method,
    /// It is not what the client takes it for.
    Precondition,
    /// It has not the ranges that are asked for, but this size.
    Range(u64),
    /// We are short of descriptors or memory.
    Short,
    /// It cannot be read.
    Broken,
    /// `try` leads to a route without files, or in a circle.
    Astray,
    /// `try` says this status.
    Said(u16),
}

impl FileFault {
    /// The status of the answer.
    pub fn status(self) -> u16 {
        match self {
            FileFault::BadPath => 400,
            FileFault::NotFound => 404,
            FileFault::Forbidden => 403,
            FileFault::Method => 405,
            FileFault::Precondition => 412,
            FileFault::Range(_) => 416,
            FileFault::Short => 503,
            FileFault::Broken | FileFault::Astray => 500,
            FileFault::Said(status) => status,
        }
    }

    /// One sentence, for the page and the log.
    pub fn reason(self) -> &'static str {
        match self {
            FileFault::BadPath => "The path holds a NUL.",
            FileFault::NotFound | FileFault::Said(404) => "There is no such file.",
            FileFault::Forbidden => "This is not for everybody to see.",
            FileFault::Method => "A file can be asked for with GET and HEAD.",
            FileFault::Precondition => "The file is not in the state that the request is for.",
            FileFault::Range(_) => "The file has no such part.",
            FileFault::Short => "The proxy is short of descriptors, ports or memory.",
            FileFault::Broken => "The file cannot be read.",
            FileFault::Astray => "`try` of this route leads to no file.",
            FileFault::Said(_) => "Nothing of what `try` of this route lists is there.",
        }
    }
}

/// A request for a file: what its answer depends on.
pub struct FileRequest {
    /// Index into the plan's routes.
    route: usize,
    /// Normalised.
    path: String,
    query: Option<String>,
    /// For `try`, which may lead to another route.
    host: Option<String>,
    accepted: Accepted,
    conditions: Option<Box<Conditions>>,
    /// The status of the answer, if it is the page of an error.
    status: Option<u16>,
    /// Listings as JSON rather than as pages.
    wants_json: bool,
    /// The head, if fields of the response are made of it, or the page of an error found.
    kept: Option<Kept>,
}

impl FileRequest {
    /// By a request with this head, of this route, to which it came by this passage.
    ///
    /// # Errors
    /// [`FileFault::Method`].
    pub fn new(
        head: &RequestHead<'_, '_>,
        (route, files): (usize, &FilesPlan),
        passage: Option<&Passage>,
    ) -> Result<Box<FileRequest>, FileFault> {
        let to_get = passage.is_some_and(|passage| passage.to_get);
        if !to_get && !matches!(head.method, "GET" | "HEAD") {
            return Err(FileFault::Method);
        }
        let status = passage.and_then(|passage| passage.status);
        let path = match passage.and_then(|passage| passage.uri.as_deref()) {
            Some(uri) => {
                let mut path = Vec::new();
                put_escaped(uri, &mut path);
                // It is ASCII.
                normalise(&String::from_utf8_lossy(&path)).into_owned()
            }
            None => normalise(head.path()).into_owned(),
        };
        let mut query = Vec::new();
        put_target(Passage::args(passage, head), &mut query);
        let query = String::from_utf8_lossy(&query).into_owned();
        Ok(Box::new(FileRequest {
            route,
            path,
            query: (!query.is_empty()).then_some(query),
            host: leads_on(files).then(|| head.host.map(str::to_owned)).flatten(),
            accepted: head.accepted_codings(),
            // The page of an error is whole, whatever the client has of it.
            conditions: Conditions::of(head).filter(|_| status.is_none()),
            status,
            wants_json: head.field("accept").is_some_and(prefers_json),
            kept: None,
        }))
    }

    /// Keeps the head if fields of the response may be made of it, or a page for an error found.
    pub fn keep(&mut self, plan: &Plan, head: &[u8], passage: Option<&Passage>) {
        let Some(route) = plan.routes.get(self.route) else { return };
        let leads_on = match &route.action {
            Action::Files(files) => leads_on(files),
            _ => false,
        };
        if leads_on || route.has_error_pages() || route.response_fields.fixed().is_none() {
            self.kept = Some(Kept::new(head, passage.cloned().map(Box::new)));
        }
    }

    /// The route's changes to a response with this status.
    fn edits<'p>(
        &self,
        client: &Client,
        plan: &Plan,
        route: &'p RoutePlan,
        status: u16,
    ) -> Cow<'p, FieldEdits> {
        if let Some(edits) = route.response_fields.fixed() {
            return Cow::Borrowed(edits);
        }
        let make = |head: &RequestHead<'_, '_>| {
            let (at, status) = (Some(route), Some(status));
            let passage = self.kept.as_ref().and_then(|kept| kept.passage.as_deref());
            let asked = Asked { client, plan, head, route: at, passage, status };
            route.response_fields.make(&asked)
        };
        Cow::Owned(self.kept.as_ref().and_then(|kept| kept.look(make)).unwrap_or_default())
    }
}

/// Whether another route may answer in the end.
fn leads_on(files: &FilesPlan) -> bool {
    files.tries.as_ref().is_some_and(|tries| matches!(tries.last, LastResort::Path(_)))
}

/// Whether JSON is named in an Accept field, and a page is not.
fn prefers_json(accept: &[u8]) -> bool {
    let named = |kind: &[u8]| accept.windows(kind.len()).any(|at| at.eq_ignore_ascii_case(kind));
    named(b"application/json") && !named(b"text/html")
}

/// Answers a request for a file.
pub async fn serve(client: &Client, trail: &Trail, mut asked: FileRequest, manner: Manner) -> Next {
    match respond(client, trail, &mut asked, manner).await {
        Ok(next) => next,
        // Nothing was sent so far.
        Err(Failed::Answer(failure)) => match (trail.route(), asked.kept.take()) {
            // Boxed: it may be a file as well.
            (Some(route), Some(kept)) => {
                let kept = (route, Box::new(kept));
                Box::pin(answer::send_page(client, trail, kept, failure, manner)).await
            }
            _ => reply::fail(client, trail, &failure, manner).await,
        },
        Err(_) => {
            trail.client_left();
            Next::Close
        }
    }
}

impl From<FileFault> for Failed {
    fn from(fault: FileFault) -> Failed {
        Failed::Answer(Failure::File(fault))
    }
}

async fn respond(
    client: &Client,
    trail: &Trail,
    asked: &mut FileRequest,
    manner: Manner,
) -> Result<Next, Failed> {
    let (plan, context) = (&trail.service.plan, &client.context);
    let default = FileCachePlan::default();
    let cache = plan.file_cache.as_ref().unwrap_or(&default);
    for _ in 0..=DETOURS_MAX {
        let (route, files) = place(&plan.routes, asked.route)?;
        let search = Search { context, cache, files, accepted: asked.accepted };
        let limit = route.timeouts.body_idle;
        match search.run(&asked.path).await? {
            Found::File(hit) => {
                let asked = &*asked;
                let response =
                    response::Response { client, trail, plan, route, files, asked, manner };
                return Ok(send::run(client, trail, response.of_file(&hit)?, limit).await?);
            }
            Found::Listing(path) => {
                let listed = (route, files);
                return Ok(listing::answer(client, trail, asked, manner, listed, path).await?);
            }
            Found::Directory(path) => {
                return Ok(to_directory(client, trail, route, asked, (&path, manner)).await);
            }
            Found::Elsewhere(path) => follow(client, trail, asked, &path).await?,
        }
    }
    Err(FileFault::Astray.into())
}

fn place(routes: &[RoutePlan], route: usize) -> Result<(&RoutePlan, &FilesPlan), FileFault> {
    match routes.get(route).map(|route| (route, &route.action)) {
        Some((route, Action::Files(files))) => Ok((route, files)),
        _ => Err(FileFault::Astray),
    }
}

/// Goes on with another path, and the route for it, which may want a password of its own.
async fn follow(
    client: &Client,
    trail: &Trail,
    asked: &mut FileRequest,
    path: &str,
) -> Result<(), Failed> {
    let service = &trail.service;
    let table = service.table(&client.listener);
    let index = table.find(asked.host.as_deref(), path).ok_or(FileFault::NotFound)?.route;
    let route = service.plan.routes.get(index).ok_or(FileFault::NotFound)?;
    if route.access.as_ref().is_some_and(|access| !access.allows(client.ip())) {
        return Err(FileFault::Forbidden.into());
    }
    let by_hand = route.by_hand.said() == Some(true);
    if (route.content.is_some() || by_hand) && index != asked.route {
        let kept = asked.kept.as_ref().ok_or(FileFault::Astray)?;
        let in_error_page = kept.passage.as_ref().is_some_and(|passage| passage.in_error_page);
        let enter = |head: &RequestHead<'_, '_>| {
            content::greet(trail, route.content.as_deref(), head, in_error_page)?;
            content::enter(client, trail, route, head)
        };
        kept.look(|head| enter(head).map_err(stopped)).ok_or(FileFault::Astray)??;
        content::settle(client, trail).await?;
    }
    trail.note(|record| record.route = Some(index as u32));
    (asked.route, asked.path) = (index, normalise(path).into_owned());
    Ok(())
}

/// What a route that `try` leads to has against the request. It has no page of its own for it.
fn stopped(stop: Stop<'_>) -> Failed {
    match stop {
        Stop::Failure(failure) => Failed::Answer(failure),
        Stop::Page { status, .. } => FileFault::Said(status).into(),
    }
}

/// A directory was asked for without its slash: relative links in its page would lead astray.
async fn to_directory(
    client: &Client,
    trail: &Trail,
    route: &RoutePlan,
    asked: &FileRequest,
    (path, manner): (&[u8], Manner),
) -> Next {
    // Decoded and encoded, so that nothing in it means anything in a field or to a browser. It does
    // not begin with a slash, since two would name a host.
    let mut location = format!("/{}/", encode_file_path(path));
    if let Some(query) = &asked.query {
        location.push('?');
        location.push_str(query);
    }
    let edits = asked.edits(client, &trail.service.plan, route, 301);
    let reply = Reply::new(301, &edits, manner);
    let response = Reply { fields: &[("Location", &location)], ..reply }.to_response();
    reply::send(client, trail, response, manner.keep_alive).await
}
