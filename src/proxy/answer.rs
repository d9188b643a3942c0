//! Answers of our own to a request whose head is here.

use super::client::Client;
use super::connection::Next;
use super::content;
use super::files::{self, FileRequest};
use super::reply::{self, Failure, Manner, OwnResponse, Reply};
use super::response::Failed;
use super::scope::Asked;
use super::trail::Trail;
use crate::http1::{FieldEdits, RequestFraming};
use crate::plan::{BodyText, Page, Redirect, RoutePlan, Template};
use crate::ring::Buf;
use crate::route::put_target;

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
}

enum Content {
    /// A page that says why.
    Failure(Failure),
    /// The whole response.
    Response(OwnResponse),
    /// A file.
    File(Box<FileRequest>),
}

impl<'p> Own<'p> {
    /// The route that it is the answer of.
    pub fn route(&self) -> Option<&'p RoutePlan> {
        match self {
            Own::Failure(_) | Own::File(_) => None,
            Own::Fixed { route, .. }
            | Own::Page { route, .. }
            | Own::Redirect { route, .. }
            | Own::Options { route, .. } => Some(route),
        }
    }

    /// The response, and its status; a failure has a page of its own.
    fn respond(self, asked: &Asked<'_>, manner: Manner) -> Content {
        let answering = |route: &'p RoutePlan,
                         status: u16,
                         fill: &dyn Fn(Reply<'_>) -> OwnResponse| {
            let made;
            let edits: &FieldEdits = match route.response_fields.fixed() {
                Some(edits) => edits,
                None => {
                    made = route.response_fields.make(&Asked { status: Some(status), ..*asked });
                    &made
                }
            };
            Content::Response(fill(Reply::new(status, edits, manner)))
        };
        match self {
            Own::Failure(failure) => Content::Failure(failure),
            Own::File(request) => Content::File(request),
            Own::Fixed { route, status, body } => answering(route, status, &|reply| {
                let text = body.text.fill(asked);
                Reply { content_type: &body.content_type, body: &text, ..reply }.to_response()
            }),
            Own::Page { route, status, page } => answering(route, status, &|reply| {
                let Page { content_type, bytes: body } = page;
                Reply { content_type, body, ..reply }.to_response()
            }),
            Own::Redirect { route, redirect } => answering(route, redirect.status, &|reply| {
                let location = location(&redirect.to, asked);
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
    put_target(&to.fill(asked), &mut location);
    // It is ASCII.
    String::from_utf8_lossy(&location).into_owned()
}

impl Answer {
    /// To this request. The connection stays if the client wishes so, and if it is known where the
    /// request's body ends, of which at most `body_here` bytes are here; but not after the last
    /// request.
    pub fn new(own: Own<'_>, asked: &Asked<'_>, body_here: usize) -> Answer {
        let facts = &asked.head.facts;
        let body_len = match facts.framing {
            RequestFraming::None => Some(0),
            RequestFraming::Length(n) => usize::try_from(n).ok().filter(|&n| n <= body_here),
            RequestFraming::Chunked => None,
        };
        let keep_alive = facts.keep_alive && body_len.is_some() && !asked.client.is_last_request();
        let version = asked.head.version;
        let mut manner = Manner { version, to_head: facts.is_head, keep_alive };
        if let Own::Failure(failure) = &own {
            manner.keep_alive &= !failure.is_in_body();
        }
        let content = own.respond(asked, manner);
        Answer { content, manner, body_len: body_len.unwrap_or(body_here) }
    }
}

/// Gives an answer to the request whose body begins in `buf`.
pub async fn give(client: &Client, trail: &Trail, answer: Answer, mut buf: Buf) -> Next {
    let Answer { content, manner, body_len } = answer;
    let body_len = body_len.min(buf.len());
    trail.note(|record| record.from_client = body_len as u64);
    buf.advance(body_len);
    if manner.keep_alive && !buf.is_empty() {
        client.stream.put_back(buf);
    } else {
        drop(buf);
    }
    let content = match content::settle(client, trail).await {
        Ok(()) => content,
        Err(Failed::Answer(failure)) => Content::Failure(failure),
        Err(_) => {
            trail.client_left();
            return Next::Close;
        }
    };
    match content {
        Content::Response(response) => {
            reply::send(client, trail, response, manner.keep_alive).await
        }
        Content::Failure(failure) => reply::fail(client, trail, &failure, manner).await,
        // Boxed: few requests need room for this.
        Content::File(request) => Box::pin(files::serve(client, trail, *request, manner)).await,
    }
}
