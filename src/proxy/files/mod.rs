//! Files: found, judged against the request's conditions, and sent.

mod coded;
mod find;
mod listing;
mod response;
mod send;
mod store;

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::client::Client;
use super::connection::Next;
use super::content;
use super::freshness;
use super::kept::Kept;
use super::passage::Passage;
use super::reply::{self, Failure, Manner, Reply};
use super::response::Failed;
use super::routing::Onward;
use super::scope::{Asked, Sent};
use super::trail::Trail;
use crate::http1::{Accepted, Conditions, FieldEdits, RequestHead};
use crate::plan::{Action, FileCachePlan, FilesPlan, Place, Plan, RoutePlan, Template};
use crate::route::{encode_file_path, normalise, put_escaped, put_target};

use find::{Found, Search};
pub use store::FileStore;

/// What may be asked of files.
pub const ALLOW: (&str, &str) = ("Allow", "GET, HEAD, OPTIONS");

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
            FileFault::Broken => 500,
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
            FileFault::Said(_) => "Nothing of what `try` of this route lists is there.",
        }
    }
}

/// A request for a file: what its answer depends on.
pub struct FileRequest {
    /// Index into the plan's routes.
    pub route: usize,
    /// Normalised.
    path: String,
    query: Option<String>,
    /// For index files, which may be another route's.
    host: Option<String>,
    method: Asking,
    accepted: Accepted,
    conditions: Option<Box<Conditions>>,
    /// The status of the answer, if it is the page of an error.
    status: Option<u16>,
    /// Listings as JSON rather than as pages.
    wants_json: bool,
    /// The head, if fields of the response are made of it, or the request may go another way.
    kept: Option<Kept>,
}

/// By which method a file is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    /// One that files answer.
    Reads,
    Posts,
    Otherwise,
}

impl FileRequest {
    /// By a request with this head, of this route, to which it came by this passage.
    pub fn new(
        head: &RequestHead<'_, '_>,
        (route, files): (usize, &FilesPlan),
        passage: Option<&Passage>,
    ) -> Box<FileRequest> {
        let method = match head.method {
            _ if passage.is_some_and(|passage| passage.to_get) => Asking::Reads,
            "GET" | "HEAD" => Asking::Reads,
            "POST" => Asking::Posts,
            _ => Asking::Otherwise,
        };
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
        Box::new(FileRequest {
            route,
            path,
            query: (!query.is_empty()).then_some(query),
            host: head.host.filter(|_| files.index_leads_on).map(str::to_owned),
            method,
            accepted: head.accepted_codings(),
            // The page of an error is whole, whatever the client has of it.
            conditions: Conditions::of(head).filter(|_| status.is_none()),
            status,
            wants_json: head.field("accept").is_some_and(prefers_json),
            kept: None,
        })
    }

    /// Keeps the head if anything may be asked about the request later.
    pub fn keep(&mut self, plan: &Plan, head: &[u8], passage: Option<&Passage>) {
        let Some(route) = plan.routes.get(self.route) else { return };
        let leads_on = match &route.action {
            Action::Files(files) => {
                let may_have_index = files.index_leads_on && self.path.ends_with('/');
                files.leads_on() || files.place.varies() || may_have_index
            }
            _ => false,
        };
        if leads_on || Passage::owes(passage) || route.asks_later() {
            self.kept = Some(Kept::new(head, passage.cloned().map(Box::new)));
        }
    }

    /// Whether something else than a file may answer it.
    pub fn may_stray(&self) -> bool {
        self.kept.is_some()
    }

    /// A text about the request, filled in.
    fn fill(&self, client: &Client, plan: &Plan, route: &RoutePlan, text: &Template) -> Vec<u8> {
        if let Some(text) = text.fixed() {
            return text.as_bytes().to_vec();
        }
        let fill = |head: &RequestHead<'_, '_>| {
            let passage = self.kept.as_ref().and_then(|kept| kept.passage.as_deref());
            let asked =
                Asked { client, plan, head, route: Some(route), passage, status: None, sent: None };
            text.fill(&asked).into_owned()
        };
        self.kept.as_ref().and_then(|kept| kept.look(fill)).unwrap_or_default()
    }

    /// The route's changes to a response with this status.
    fn edits<'p>(
        &self,
        client: &Client,
        plan: &Plan,
        route: &'p RoutePlan,
        (status, sent): (u16, Sent<'_>),
    ) -> Cow<'p, FieldEdits> {
        let fixed = route.response_fields.fixed(Some(status)).map(Cow::Borrowed);
        let passage = self.kept.as_ref().and_then(|kept| kept.passage.as_deref());
        if fixed.is_some() && route.expires.is_none() && !Passage::owes(passage) {
            return fixed.unwrap_or_default();
        }
        let make = |head: &RequestHead<'_, '_>| {
            let at = Some(route);
            let sent = Some(sent);
            let asked =
                Asked { client, plan, head, route: at, passage, status: Some(status), sent };
            let made = || Cow::Owned(route.response_fields.make(&asked, asked.status));
            let mut edits = fixed.unwrap_or_else(made);
            freshness::add_to(&mut edits, &asked);
            Passage::add_to(passage, &mut edits, status, None);
            edits
        };
        self.kept.as_ref().and_then(|kept| kept.look(make)).unwrap_or_default()
    }
}

/// Whether JSON is named in an Accept field, and a page is not.
fn prefers_json(accept: &[u8]) -> bool {
    let named = |kind: &[u8]| accept.windows(kind.len()).any(|at| at.eq_ignore_ascii_case(kind));
    named(b"application/json") && !named(b"text/html")
}

/// A request that goes another way than its route has it; nothing went to the client.
pub struct Strayed {
    /// The number of its route.
    pub route: usize,
    pub kept: Option<Kept>,
    pub manner: Manner,
    pub onward: Onward,
}

/// Answers a request for a file.
///
/// # Errors
/// [`Strayed`]: something else answers it.
pub async fn serve(
    client: &Client,
    trail: &Trail,
    request: Box<FileRequest>,
    manner: Manner,
) -> Result<Next, Box<Strayed>> {
    let ended = match content::settle(client, trail).await {
        Ok(()) => respond(client, trail, &request, manner).await,
        Err(failed) => Err(failed.into()),
    };
    match ended {
        Ok(next) => Ok(next),
        Err(Ended::Onward(onward)) => {
            let FileRequest { route, kept, .. } = *request;
            Err(Box::new(Strayed { route, kept, manner, onward }))
        }
        Err(Ended::ClientGone) => {
            trail.client_left();
            Ok(Next::Close)
        }
    }
}

/// Why no file answers.
enum Ended {
    Onward(Onward),
    ClientGone,
}

impl From<FileFault> for Ended {
    fn from(fault: FileFault) -> Ended {
        Ended::Onward(Onward::Failure(Failure::File(fault)))
    }
}

impl From<Failed> for Ended {
    fn from(failed: Failed) -> Ended {
        match failed {
            Failed::Answer(failure) => Ended::Onward(Onward::Failure(failure)),
            _ => Ended::ClientGone,
        }
    }
}

async fn respond(
    client: &Client,
    trail: &Trail,
    asked: &FileRequest,
    manner: Manner,
) -> Result<Next, Ended> {
    let (plan, context) = (&trail.service.plan, &client.context);
    let default = FileCachePlan::default();
    let cache = plan.file_cache.as_ref().unwrap_or(&default);
    let (route, files) = place(&plan.routes, asked.route)?;
    let fill = |text: &Template| asked.fill(client, plan, route, text);
    let (folder, whole) = whereabouts(files, &fill)?;
    let (folder, accepted) = (&*folder, asked.accepted);
    let whole = whole.as_deref();
    let search = Search { context, cache, files, accepted, folder, whole, fill: &fill };
    let found = match search.run(&asked.path).await {
        // As in nginx, only a POST learns that there is nothing.
        Err(FileFault::NotFound) if asked.method == Asking::Otherwise => {
            return Err(FileFault::Method.into());
        }
        found => found?,
    };
    if let Found::Index(_, path) = &found
        && files.index_leads_on
        && leads_elsewhere(client, trail, asked, path)
    {
        return Err(Ended::Onward(Onward::Path { uri: path.clone(), args: None }));
    }
    let is_here = matches!(
        &found,
        Found::File(_) | Found::Index(..) | Found::Listing(_) | Found::Directory(_)
    );
    if is_here && asked.method != Asking::Reads {
        return Err(FileFault::Method.into());
    }
    match found {
        Found::File(hit) | Found::Index(hit, _) => {
            let response = response::Response { client, trail, plan, route, files, asked, manner };
            let limit = route.timeouts.body_idle;
            Ok(send::run(client, trail, response.of_file(&hit)?, limit).await?)
        }
        Found::Listing(path) => {
            Ok(listing::answer(client, trail, asked, manner, (route, files), (folder, path))
                .await?)
        }
        Found::Directory(path) => {
            Ok(to_directory(client, trail, route, (asked, &path), manner).await)
        }
        Found::Elsewhere(path) => Err(Ended::Onward(Onward::path(&path))),
        Found::Route(route) => Err(Ended::Onward(Onward::Route(route))),
    }
}

fn place(routes: &[RoutePlan], route: usize) -> Result<(&RoutePlan, &FilesPlan), FileFault> {
    match routes.get(route).map(|route| (route, &route.action)) {
        Some((route, Action::Files(files))) => Ok((route, files)),
        _ => Err(FileFault::NotFound),
    }
}

/// The directory of a route's files for one request, and the path there if that is said too.
fn whereabouts<'p>(
    files: &'p FilesPlan,
    fill: &dyn Fn(&Template) -> Vec<u8>,
) -> Result<(Cow<'p, Path>, Option<Vec<u8>>), FileFault> {
    let made = |text: &Template| {
        let path = fill(text);
        // What a request says must not lead anywhere else.
        let fits = path.starts_with(b"/") && !find::leads_astray(&path);
        fits.then_some(path).ok_or(FileFault::NotFound)
    };
    Ok(match &files.place {
        Place::Made { folder, .. } => {
            (PathBuf::from(OsString::from_vec(made(folder)?)).into(), None)
        }
        Place::Whole { path, .. } => (Path::new("/").into(), Some(made(path)?[1..].to_vec())),
        place => (place.folder().into(), None),
    })
}

/// Whether another route than the request's is for this path.
fn leads_elsewhere(client: &Client, trail: &Trail, asked: &FileRequest, path: &[u8]) -> bool {
    let mut escaped = Vec::new();
    put_escaped(path, &mut escaped);
    // It is ASCII.
    let path = String::from_utf8_lossy(&escaped);
    let table = trail.service.table(&client.listener);
    let found = table.find(asked.host.as_deref(), &path);
    found.is_some_and(|found| found.route != asked.route)
}

/// A directory was asked for without its slash: relative links in its page would lead astray.
async fn to_directory(
    client: &Client,
    trail: &Trail,
    route: &RoutePlan,
    (asked, path): (&FileRequest, &[u8]),
    manner: Manner,
) -> Next {
    // Encoded, so that nothing in it means anything in a field or to a browser. The path does not
    // begin with two slashes, which would name a host.
    let mut location = format!("/{}/", encode_file_path(path));
    if let Some(query) = &asked.query {
        location.push('?');
        location.push_str(query);
    }
    let sent = Sent::Own { content_type: "", modified: None };
    let edits = asked.edits(client, &trail.service.plan, route, (301, sent));
    let reply = Reply::new(301, &edits, manner);
    let response = Reply { fields: &[("Location", &location)], ..reply }.to_response();
    reply::send(client, trail, response, manner.keep_alive).await
}
