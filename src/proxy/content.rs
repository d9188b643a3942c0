//! What a route does about those who ask and about what they get: maintenance, CORS, passwords,
//! compression. A request whose route has any of it makes a [`Visit`], kept in its trail.

use std::cell::Cell;
use std::io;
use std::sync::Arc;

use super::client::{Client, Gone};
use super::compress::{self, Encoder, is_worth_it};
use super::credentials::{self, Waiting};
use super::reply::{Failure, OwnResponse};
use super::response::Failed;
use super::trail::Trail;
use crate::http1::{
    BodyOut, Coding, FieldEdits, FieldStorage, HeadLimits, MAX_FIELDS, RequestHead, ResponseHead,
    ResponseRewrite, Version, parse_response, write_response,
};
use crate::plan::{Asked, CompressPlan, ContentPlan, Page, RoutePlan};

/// Of our own answers, those up to so many bytes are compressed, in one go: as much as a shard
/// compresses in a turn.
const OWN_MAX: usize = 32 << 10;

/// A request to a route with some of this.
#[derive(Default)]
pub struct Visit {
    /// For the answer, whoever gives it.
    edits: FieldEdits,
    /// The password is being checked; and what a wrong one is answered with.
    check: Option<(Waiting, Arc<str>)>,
    compress: Option<Compress>,
    /// What the answer of a server turned out to be compressed by, and its length as announced.
    coding: Cell<Option<(Coding, Option<u64>)>>,
}

struct Compress {
    plan: Arc<CompressPlan>,
    /// What the client wants most of what there is.
    wanted: Option<Coding>,
}

/// Why a request goes no further.
pub enum Stop<'p> {
    /// It failed.
    Failure(Failure),
    /// This is the answer.
    Page { status: u16, page: &'p Page },
}

impl From<Failure> for Stop<'_> {
    fn from(failure: Failure) -> Self {
        Stop::Failure(failure)
    }
}

static EMPTY: Page = Page { content_type: String::new(), bytes: Vec::new() };

/// Begins the visit of a request at a route, ahead of all else: pages of other sites must be able
/// to read whatever the answer turns out to be. `in_error_page`: what is shown there in place of a
/// failure is still the answer of the route that has failed.
///
/// # Errors
/// [`Stop`]
pub fn greet<'p>(
    trail: &Trail,
    plan: Option<&'p ContentPlan>,
    head: &RequestHead<'_, '_>,
    in_error_page: bool,
) -> Result<(), Stop<'p>> {
    let before = trail.visit.take().filter(|_| in_error_page).unwrap_or_default();
    let mut visit = Visit { edits: before.edits, ..Visit::default() };
    let mut preflight = false;
    if let Some(plan) = plan {
        visit.compress = compress(plan, head);
        if let Some(cors) = plan.cors.as_ref().filter(|_| !visit.has_cors()) {
            let origin = head.field("origin");
            let requested = head.field("access-control-request-method");
            // Browsers send it without passwords, and would not understand a refusal.
            preflight = head.method == "OPTIONS" && requested.is_some() && !in_error_page;
            visit.edits = match (origin, preflight) {
                (Some(origin), true) => {
                    let asked = Asked { headers: head.field("access-control-request-headers") };
                    cors.preflight(origin, asked)
                }
                _ => {
                    preflight = false;
                    cors.edits(origin)
                }
            };
        }
    } else if !visit.has_cors() {
        return Ok(());
    }
    trail.visit.replace(Some(Box::new(visit)));
    if preflight { Err(Stop::Page { status: 204, page: &EMPTY }) } else { Ok(()) }
}

/// Lets a request that was greeted in, or not. It goes no further before [`settle`].
///
/// # Errors
/// [`Stop`]
pub fn enter<'p>(
    client: &Client,
    trail: &Trail,
    route: &'p RoutePlan,
    head: &RequestHead<'_, '_>,
) -> Result<(), Stop<'p>> {
    let mut visit = trail.visit.borrow_mut();
    admit(client, route, head, visit.get_or_insert_default())
}

fn admit<'p>(
    client: &Client,
    route: &'p RoutePlan,
    head: &RequestHead<'_, '_>,
    visit: &mut Visit,
) -> Result<(), Stop<'p>> {
    if let Some(maintenance) = route.closed()
        && !maintenance.allow.as_ref().is_some_and(|allow| allow.allows(client.ip()))
    {
        let mut add = |name: &str, value| visit.edits.add.push((name.to_owned(), value));
        if let Some(seconds) = maintenance.retry_after {
            add("retry-after", seconds.to_string());
        }
        add("cache-control", "no-store".to_owned());
        return Err(Stop::Page { status: 503, page: &maintenance.page });
    }
    if let Some(auth) = route.content.as_ref().and_then(|plan| plan.basic_auth.as_ref()) {
        let check = credentials::ask(client, auth, head)?;
        visit.check = check.map(|check| (check, auth.challenge.clone()));
    }
    Ok(())
}

/// HTTP/1.0 knows no chunks, and proxies that speak it are not to be trusted with Vary.
fn compress(plan: &ContentPlan, head: &RequestHead<'_, '_>) -> Option<Compress> {
    let plan = plan.compress.as_ref().filter(|_| head.version == Version::Http11)?;
    let wanted = head.accepted_codings().best(&plan.codings);
    Some(Compress { plan: plan.clone(), wanted })
}

/// Whether that may take time.
pub fn is_unsettled(trail: &Trail) -> bool {
    trail.visit.borrow().as_ref().is_some_and(|visit| visit.check.is_some())
}

/// Waits until it is known whether the request may go on, where that takes time.
///
/// # Errors
/// [`Failed`]: the answer to it, or its client has left.
pub async fn settle(client: &Client, trail: &Trail) -> Result<(), Failed> {
    let check = trail.visit.borrow_mut().as_mut().and_then(|visit| visit.check.take());
    let Some((check, challenge)) = check else { return Ok(()) };
    match Box::pin(credentials::settle(client, &check)).await {
        Ok(Some(true)) => Ok(()),
        Ok(Some(false)) => Err(Failed::Answer(Failure::Unauthorized(challenge))),
        Ok(None) => Err(Failed::Answer(Failure::Unverified)),
        Err(Gone) => Err(Failed::ClientGone),
    }
}

/// What becomes of an answer.
pub struct Shape {
    /// Changes to its head.
    pub edits: FieldEdits,
    /// Whether its body, if the client gets one, is compressed.
    pub compressed: bool,
}

impl Shape {
    /// How the head announces the body that would go out like this.
    pub fn announced(&self, otherwise: BodyOut) -> BodyOut {
        if self.compressed { BodyOut::Chunked } else { otherwise }
    }
}

/// What becomes of a server's answer with this head, which `edits` of its route change too. `None`:
/// nothing else.
pub fn shape(
    client: &Client,
    trail: &Trail,
    head: &ResponseHead<'_, '_>,
    to_head: bool,
    edits: &FieldEdits,
) -> Option<Shape> {
    let visit = trail.visit.borrow();
    let visit = visit.as_ref()?;
    let (shape, coding) = visit.shape(head, to_head, edits, client.context.compression.room());
    let coding = coding.filter(|_| !to_head);
    visit.coding.set(coding.map(|coding| (coding, head.facts.content_length)));
    Some(shape)
}

impl Visit {
    /// A plan for that replaces fields, whoever asks.
    fn has_cors(&self) -> bool {
        !self.edits.remove.is_empty()
    }

    /// `room`: what an encoder may hold, bytes.
    fn shape(
        &self,
        head: &ResponseHead<'_, '_>,
        to_head: bool,
        edits: &FieldEdits,
        room: usize,
    ) -> (Shape, Option<Coding>) {
        let mut edits = edits.clone();
        let ours = |name: &String| self.edits.remove.contains(name);
        edits.set.retain(|(name, _)| !ours(name));
        edits.add.retain(|(name, _)| !ours(name));
        edits.remove.extend_from_slice(&self.edits.remove);
        edits.add.extend_from_slice(&self.edits.add);
        let mut coding = None;
        if let Some(compress) = &self.compress
            && is_worth_it(&compress.plan, head, to_head)
        {
            // Also where the content stays as it is: another client would get it otherwise.
            if !lists(head, "vary", "accept-encoding") {
                edits.add.push(("vary".to_owned(), "Accept-Encoding".to_owned()));
            }
            let fits = |coding: &Coding| compress::memory(*coding, &compress.plan) <= room;
            coding = compress.wanted.filter(fits);
        }
        if let Some(coding) = coding {
            edits.set.push(("content-encoding".to_owned(), coding.token().to_owned()));
            // Ranges would be of the content as the server has it.
            edits.remove.push("accept-ranges".to_owned());
            weaken(&mut edits, head.field("etag"));
        }
        (Shape { edits, compressed: coding.is_some() }, coding)
    }
}

/// The same content in other bytes has no strong validator in common (RFC 9110 §8.8.1).
fn weaken(edits: &mut FieldEdits, etag: Option<&[u8]>) {
    let is_edited = edits.set.iter().any(|(name, _)| name == "etag")
        || edits.remove.iter().any(|name| name == "etag");
    if let Some(Ok(etag)) = etag.map(std::str::from_utf8)
        && !is_edited
        && !etag.starts_with("W/")
    {
        edits.set.push(("etag".to_owned(), format!("W/{etag}")));
    }
}

/// Whether a field of this name lists `token`, or everything.
pub(super) fn lists(head: &ResponseHead<'_, '_>, name: &str, token: &str) -> bool {
    let fields = head.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
    let mut elements = fields.flat_map(|field| field.value.split(|byte| *byte == b','));
    elements.any(|element| {
        let element = element.trim_ascii();
        element == b"*" || element.eq_ignore_ascii_case(token.as_bytes())
    })
}

/// What compresses the answer whose head was shaped last, if that is to be.
pub fn encoder(client: &Client, trail: &Trail) -> Option<io::Result<Encoder>> {
    let visit = trail.visit.borrow();
    let visit = visit.as_ref()?;
    let ((coding, length), compress) = (visit.coding.take()?, visit.compress.as_ref()?);
    Some(Encoder::new(coding, &compress.plan, length, Some(&client.context)))
}

/// Does to an answer of our own what is done to servers' answers.
pub fn dress(trail: &Trail, response: OwnResponse, keep: bool) -> OwnResponse {
    match &*trail.visit.borrow() {
        Some(visit) => visit.dress(&response, keep).unwrap_or(response),
        None => response,
    }
}

/// Does to the head of an answer of our own, whose body follows by itself, what is done to servers'
/// answers; with what compresses that body, if it is to be. `to_head`: there is none.
pub fn dress_head(
    client: &Client,
    trail: &Trail,
    head: Vec<u8>,
    keep: bool,
    to_head: bool,
) -> (Vec<u8>, Option<Encoder>) {
    let visit = trail.visit.borrow();
    let Some(visit) = visit.as_ref() else { return (head, None) };
    let room = client.context.compression.room();
    for room in [room, 0] {
        let Some(dressed) = visit.reshape(&head, keep, |_| (to_head, room)) else { break };
        let (Some((coding, length)), false, Some(compress)) =
            (dressed.coding, to_head, &visit.compress)
        else {
            return (dressed.bytes, None);
        };
        // Without one, as memory is short, it goes out as it is.
        if let Ok(encoder) = Encoder::new(coding, &compress.plan, length, Some(&client.context)) {
            return (dressed.bytes, Some(encoder));
        }
    }
    (head, None)
}

/// Of content of this type and length, which goes out with this Cache-Control: whether it is
/// compressed for some, and if so, whether for this client.
pub fn is_compressed(
    trail: &Trail,
    content_type: &str,
    length: u64,
    cache_control: Option<&str>,
) -> Option<bool> {
    let visit = trail.visit.borrow();
    let compress = visit.as_ref()?.compress.as_ref()?;
    let kept = cache_control.is_some_and(|text| text.to_ascii_lowercase().contains("no-transform"));
    let is_worth_it = length >= compress.plan.min_bytes.max(1)
        && compress.plan.has_type(content_type.as_bytes())
        && !kept;
    is_worth_it.then_some(compress.wanted.is_some())
}

/// A head that was dressed.
struct Dressed {
    bytes: Vec<u8>,
    /// What its body is compressed by, and how long it is before.
    coding: Option<(Coding, Option<u64>)>,
}

impl Visit {
    /// `terms`: by the length that is announced, whether no body follows, and what an encoder may
    /// hold. `None`: it stays as it is.
    fn reshape(
        &self,
        head: &[u8],
        keep: bool,
        terms: impl Fn(Option<u64>) -> (bool, usize),
    ) -> Option<Dressed> {
        let (mut storage, mut out) = (FieldStorage::new(), Vec::with_capacity(head.len() + 256));
        let limits = HeadLimits { bytes: usize::MAX, fields: MAX_FIELDS };
        let head = parse_response(head, &mut storage, false, &limits).ok()?;
        let length = head.facts.content_length;
        let (to_head, room) = terms(length);
        let (mut shape, coding) = self.shape(&head, to_head, &FieldEdits::default(), room);
        // It did not come through here.
        shape.edits.remove.push("via".to_owned());
        let says_so = lists(&head, "connection", "keep-alive");
        let how = ResponseRewrite {
            client_version: if says_so { Version::Http10 } else { Version::Http11 },
            keep_alive: keep,
            body: shape.announced(BodyOut::AsDeclared),
            edits: &shape.edits,
            set_cookie: None,
        };
        write_response(&mut out, &head, &how);
        let coding = coding.filter(|_| !to_head).map(|coding| (coding, length));
        Some(Dressed { bytes: out, coding })
    }

    /// `None`: as it is.
    fn dress(&self, response: &OwnResponse, keep: bool) -> Option<OwnResponse> {
        let OwnResponse { status, bytes, body_len } = response;
        let end = bytes.len().checked_sub(usize::try_from(*body_len).ok()?)?;
        let (head, body) = bytes.split_at(end);
        let Dressed { bytes: mut out, coding } = self.reshape(head, keep, |length| {
            let length = length.unwrap_or(0);
            // Announced, and not there.
            let to_head = body.is_empty() && length > 0;
            (to_head, if length <= OWN_MAX as u64 { usize::MAX } else { 0 })
        })?;
        let body_len = match coding.zip(self.compress.as_ref()) {
            None => {
                out.extend_from_slice(body);
                *body_len
            }
            Some(((coding, length), compress)) => {
                let mut encoder = Encoder::new(coding, &compress.plan, length, None).ok()?;
                encoder.write(body).ok()?;
                let body = encoder.finish().ok()?;
                compress::enclose(&mut out, &body);
                out.extend_from_slice(b"0\r\n\r\n");
                body.len() as u64
            }
        };
        Some(OwnResponse { status: *status, bytes: out, body_len })
    }
}
