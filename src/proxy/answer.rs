//! Answers of our own to a request whose head is here.

use std::borrow::Cow;

use super::client::Client;
use super::connection::Next;
use super::content;
use super::files::{self, FileRequest, Strayed};
use super::freshness;
use super::kept::Kept;
use super::passage::Passage;
use super::reply::{self, Failure, Manner, OwnResponse, Reply};
use super::response::Failed;
use super::routing::Onward;
use super::scope::{Asked, Sent};
use super::trail::Trail;
use crate::http1::{RequestFacts, RequestFraming};
use crate::plan::{BodyText, Page, Plan, Redirect, RoutePlan, Template};
use crate::ring::Buf;
use crate::route::{normalise, put_escaped, put_location, put_target};

/// What the log says where a connection is closed without an answer, as nginx does.
const CLOSED: u16 = 444;

/// What answers a request in place of a server.
pub enum Own<'p> {
    Failure(Failure),
    Fixed {
        route: &'p RoutePlan,
        status: u16,
        body: &'p BodyText,
    },
    /// Of a route that does not answer just now.
    Page {
        route: &'p RoutePlan,
        status: u16,
        page: &'p Page,
    },
    Redirect {
        route: &'p RoutePlan,
        redirect: &'p Redirect,
    },
    /// A status without a body.
    Bare {
        route: &'p RoutePlan,
        status: u16,
    },
    /// The client is sent there.
    Moved {
        route: &'p RoutePlan,
        status: u16,
        /// ASCII, escaped.
        location: Vec<u8>,
    },
    /// Nothing: the connection is closed.
    Close,
    /// To a path that lacks the slash that its route's ends in.
    Slash {
        route: &'p RoutePlan,
    },
    /// To an OPTIONS that goes no further, with what may be asked.
    Options {
        route: &'p RoutePlan,
        allow: (&'static str, &'static str),
    },
    /// A file.
    File(Box<FileRequest>),
}

/// An answer of our own, ready to go.
pub struct Answer {
    content: Content,
    manner: Manner,
    /// Bytes of the request's body in the buffer, to be left out before the next request.
    body_len: usize,
    /// The request has a body, or had one.
    has_body: bool,
    /// The request, and the number of the route that has a page for it, should it not be let in.
    kept: Option<(usize, Box<Kept>)>,
}

enum Content {
    /// A page that says why.
    Failure(Failure),
    /// The whole response.
    Response(OwnResponse),
    /// None at all.
    Close,
    /// A file.
    File(Box<FileRequest>),
}

impl<'p> Own<'p> {
    /// The route that it is the answer of.
    pub fn route(&self) -> Option<&'p RoutePlan> {
        match self {
            Own::Failure(_) | Own::Close | Own::File(_) => None,
            Own::Bare { route, .. }
            | Own::Moved { route, .. }
            | Own::Fixed { route, .. }
            | Own::Page { route, .. }
            | Own::Redirect { route, .. }
            | Own::Slash { route }
            | Own::Options { route, .. } => Some(route),
        }
    }

    /// Keeps of the request what the answer may ask for later: `head`, and what became of it.
    pub fn keep(&mut self, plan: &Plan, head: &[u8], passage: Option<&Passage>) {
        if let Own::File(request) = self {
            request.keep(plan, head, passage);
        }
    }

    /// The response, and its status; a failure has a page of its own.
    fn respond(self, asked: &Asked<'_>, manner: Manner) -> Content {
        let content_type = match &self {
            Own::Fixed { body, .. } => body.content_type.as_str(),
            _ => "",
        };
        let answering = |route: &'p RoutePlan,
                         status: u16,
                         fill: &dyn Fn(Reply<'_>) -> OwnResponse| {
            let sent = Some(Sent::Own { content_type, modified: None });
            let asked = Asked { status: Some(status), sent, ..*asked };
            let edits = route.response_fields.fixed(Some(status)).map(Cow::Borrowed);
            let mut edits = edits
                .unwrap_or_else(|| Cow::Owned(route.response_fields.make(&asked, asked.status)));
            freshness::add_to(&mut edits, &asked);
            Passage::add_to(asked.passage, &mut edits, status, None);
            Content::Response(fill(Reply::new(status, &edits, manner)))
        };
        // An error page is answered with the status of the error.
        let instead = asked.passage.and_then(|passage| passage.status);
        match self {
            Own::Failure(failure) => Content::Failure(failure),
            Own::File(request) => Content::File(request),
            Own::Close => Content::Close,
            Own::Bare { route, status } => {
                answering(route, instead.unwrap_or(status), &|reply| reply.to_response())
            }
            Own::Moved { route, status, location } => answering(route, status, &|reply| {
                let location = String::from_utf8_lossy(&location);
                Reply { fields: &[("Location", &location)], ..reply }.to_response()
            }),
            Own::Page { route, status, page } => answering(route, status, &|reply| {
                let Page { content_type, bytes: body } = page;
                Reply { content_type, body, ..reply }.to_response()
            }),
            Own::Fixed { route, status, body } => {
                answering(route, instead.unwrap_or(status), &|reply| {
                    let text = body.text.fill(asked);
                    Reply { content_type: &body.content_type, body: &text, ..reply }.to_response()
                })
            }
            Own::Redirect { route, redirect } => answering(route, redirect.status, &|reply| {
                let location = location(&redirect.to, asked);
                Reply { fields: &[("Location", &location)], ..reply }.to_response()
            }),
            Own::Slash { route } => answering(route, 301, &|reply| {
                let location = with_slash(asked);
                Reply { fields: &[("Location", &location)], ..reply }.to_response()
            }),
            // RFC 9110 §9.3.7
            Own::Options { route, allow } => {
                answering(route, 200, &|reply| Reply { fields: &[allow], ..reply }.to_response())
            }
        }
    }
}

/// The `Location` of a redirect. What no URI may hold is escaped.
fn location(to: &Template, asked: &Asked<'_>) -> String {
    let mut location = Vec::new();
    put_location(&to.fill(asked), &mut location);
    // It is ASCII.
    String::from_utf8_lossy(&location).into_owned()
}

/// The path with a slash behind it, and the query.
fn with_slash(asked: &Asked<'_>) -> String {
    let mut path = Vec::new();
    put_escaped(&asked.uri(), &mut path);
    // As it was found: steps may have made a path that begins with two slashes, which would name a
    // host.
    let mut location = normalise(&String::from_utf8_lossy(&path)).into_owned().into_bytes();
    location.push(b'/');
    if !asked.args().is_empty() {
        location.push(b'?');
        put_target(asked.args(), &mut location);
    }
    String::from_utf8_lossy(&location).into_owned()
}

impl Answer {
    /// To this request, whose body may be there still; then the connection stays only if it is
    /// known where that ends, of which at most `body_here` bytes are here.
    pub fn new(own: Own<'_>, trail: &Trail, asked: &Asked<'_>, body_here: usize) -> Answer {
        let facts = &asked.head.facts;
        let body_len = body_left(facts, body_here);
        let keep_alive = facts.keep_alive && body_len.is_some();
        let has_body = facts.framing != RequestFraming::None;
        let late = Answer::late(own, trail, asked, keep_alive);
        Answer { body_len: body_len.unwrap_or(body_here), has_body, ..late }
    }

    /// To a request of which nothing is left. The connection does not stay after the last one.
    pub fn late(own: Own<'_>, trail: &Trail, asked: &Asked<'_>, keep_alive: bool) -> Answer {
        let (version, to_head) = (asked.head.version, asked.head.facts.is_head);
        let keep_alive = keep_alive && !asked.client.is_last_request();
        let mut manner = Manner { version, to_head, keep_alive };
        if let Own::Failure(failure) = &own {
            manner.keep_alive &= !failure.is_in_body();
            reply::prepare(trail, asked, failure);
        }
        let content = own.respond(asked, manner);
        Answer { content, manner, body_len: 0, has_body: false, kept: None }
    }

    /// Keeps the request, with this head and passage, for the page of its route where that still
    /// waits for a verdict on its password.
    pub fn unless_refused(self, trail: &Trail, head: &[u8], passage: Option<&Passage>) -> Answer {
        if !content::is_unsettled(trail) || !trail.route().is_some_and(RoutePlan::has_error_pages) {
            return self;
        }
        let keep = |route| (route, Box::new(Kept::new(head, passage.cloned().map(Box::new))));
        Answer { kept: trail.route_number().map(keep), ..self }
    }

    /// Whether another answer may come in its place, which wants the body of the request.
    pub fn may_want_body(&self) -> bool {
        self.has_body && matches!(&self.content, Content::File(file) if file.may_stray())
    }

    /// What becomes of the body.
    pub fn leftover(&self) -> Leftover {
        Leftover { body_len: self.body_len, keep_alive: self.manner.keep_alive }
    }

    /// Gives it to the client.
    ///
    /// # Errors
    /// [`Strayed`]: there is no such file, or the request is not let in; nothing went to the
    /// client.
    pub async fn send(self, client: &Client, trail: &Trail) -> Result<Next, Box<Strayed>> {
        let Answer { content, manner, kept, .. } = self;
        // A file's request waits for that by itself: it may go elsewhere then.
        let settled = match &content {
            Content::File(_) => Ok(()),
            _ => content::settle(client, trail).await,
        };
        let content = match settled {
            Ok(()) => content,
            Err(Failed::Answer(failure)) => match kept {
                Some((route, kept)) => {
                    let onward = Onward::Failure(failure);
                    return Err(Box::new(Strayed { route, kept: Some(*kept), manner, onward }));
                }
                None => Content::Failure(failure),
            },
            Err(_) => {
                trail.client_left();
                return Ok(Next::Close);
            }
        };
        Ok(match content {
            Content::Response(response) => {
                reply::send(client, trail, response, manner.keep_alive).await
            }
            Content::Failure(failure) => reply::fail(client, trail, &failure, manner).await,
            // Boxed: few requests need room for this.
            Content::File(request) => {
                return Box::pin(files::serve(client, trail, request, manner)).await;
            }
            Content::Close => {
                trail.note(|record| {
                    record.own = true;
                    record.status = CLOSED;
                });
                Next::Close
            }
        })
    }
}

/// The body of a request that is answered without it.
#[derive(Clone, Copy)]
pub struct Leftover {
    /// How many bytes of it are in the buffer.
    body_len: usize,
    keep_alive: bool,
}

impl Leftover {
    /// Leaves out what is in `buf` of it; what follows is the next request.
    pub fn leave_out(self, client: &Client, trail: &Trail, mut buf: Buf) {
        let body_len = self.body_len.min(buf.len());
        trail.note(|record| record.from_client = body_len as u64);
        buf.advance(body_len);
        if self.keep_alive && !buf.is_empty() {
            client.stream.put_back(buf);
        }
    }
}

/// How many bytes of a request's body are here, if that is all of it.
pub fn body_left(facts: &RequestFacts, body_here: usize) -> Option<usize> {
    match facts.framing {
        RequestFraming::None => Some(0),
        RequestFraming::Length(n) => usize::try_from(n).ok().filter(|&n| n <= body_here),
        RequestFraming::Chunked => None,
    }
}
