//! Rows for `smuggling_table.rs`: bytes on the wire, the section that decides about them, and what
//! must come of them. Each was decided by that section and the design before it was first run.
//!
//! Messages are shown as a reader understood them: the start line without its version, the fields
//! in lower case and in any order, and behind an empty line the payload, and behind another one the
//! trailers. Via and X-Forwarded-* are left out where they are what the proxy always writes.

mod chunks;
mod exchanges;
mod fields;
mod framing;
mod interim;
mod lines;
mod response_bodies;
mod response_heads;
mod targets;

/// One request, or several in a row.
pub struct RequestRow {
    /// The section that decides.
    pub section: &'static str,
    /// What is special about it.
    pub name: &'static str,
    /// The bytes.
    pub sent: Vec<u8>,
    /// What must come of them.
    pub fate: Fate,
}

/// What must come of requests.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// This status and a closed connection; not a byte reaches the origin.
    Refused(u16),
    /// The same, unless the body comes later than the head: then the origin may have seen a
    /// beginning, but no whole request, and loses its connection.
    RefusedInBody(u16),
    /// The proxy's own answer with this status; the connection goes on.
    Answered(u16),
    /// The origin sees exactly these requests; the connection goes on.
    Seen(&'static [&'static str]),
    /// The origin sees exactly these requests, then the connection ends.
    Last(&'static [&'static str]),
}

/// All requests.
pub fn requests() -> Vec<RequestRow> {
    [
        framing::rows(),
        chunks::rows(),
        lines::rows(),
        fields::rows(),
        targets::rows(),
        exchanges::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// One response, and what may come before and after it.
pub struct ResponseRow {
    /// The section that decides.
    pub section: &'static str,
    /// What is special about it.
    pub name: &'static str,
    /// What it answers.
    pub to: Asked,
    /// The bytes that the origin sends.
    pub sent: Vec<u8>,
    /// The origin closes behind them.
    pub closes: bool,
    /// What must come of them.
    pub outcome: Outcome,
}

/// A request to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// GET of an HTTP/1.0 client, which keeps its connection.
    Old,
    /// GET that asks for a WebSocket.
    Upgrade,
    /// POST with a body.
    Post,
}

/// What must come of a response.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// 502, and the origin's connection is not used again.
    Bad,
    /// The same, unless the fault comes later than the head: then what had begun breaks off.
    BadInBody,
    /// It begins with the origin's status, then both connections end in the middle of it.
    BrokenOff,
    /// The client gets exactly this, interim responses first; the origin's connection goes on.
    Got(&'static [&'static str]),
    /// The client gets exactly this; the origin's connection is not used again.
    GotLast(&'static [&'static str]),
}

/// All responses.
pub fn responses() -> Vec<ResponseRow> {
    [response_heads::rows(), response_bodies::rows(), interim::rows()]
        .into_iter()
        .flatten()
        .collect()
}

type Text = &'static str;
/// Section, what is special, and the bytes that are.
type Refused = (Text, Text, &'static [u8]);
/// The same, and what is seen of them.
type Seen = (Text, Text, &'static [u8], &'static [Text]);

fn row(section: Text, name: Text, sent: impl Into<Vec<u8>>, fate: Fate) -> RequestRow {
    RequestRow { section, name, sent: sent.into(), fate }
}

fn refused(section: Text, name: Text, sent: impl Into<Vec<u8>>) -> RequestRow {
    row(section, name, sent, Fate::Refused(400))
}

fn seen(section: Text, name: Text, sent: impl Into<Vec<u8>>, views: &'static [Text]) -> RequestRow {
    row(section, name, sent, Fate::Seen(views))
}

fn last(section: Text, name: Text, sent: impl Into<Vec<u8>>, views: &'static [Text]) -> RequestRow {
    row(section, name, sent, Fate::Last(views))
}

/// A body that is whole under either framing: 15 bytes, or one chunk of five. A request whose
/// ambiguity goes unnoticed reaches the origin with it.
const BODY: &[u8] = b"5\r\nhello\r\n0\r\n\r\n";

/// POST with these field lines and [`BODY`].
fn post(fields: &[u8]) -> Vec<u8> {
    [b"POST / HTTP/1.1\r\nHost: t\r\n", fields, b"\r\n\r\n", BODY].concat()
}

/// GET with these field lines.
fn get(fields: &[u8]) -> Vec<u8> {
    [b"GET / HTTP/1.1\r\nHost: t\r\n", fields, b"\r\n\r\n"].concat()
}

fn answer(section: Text, name: Text, sent: impl Into<Vec<u8>>, outcome: Outcome) -> ResponseRow {
    ResponseRow { section, name, to: Asked::Get, sent: sent.into(), closes: false, outcome }
}

impl ResponseRow {
    fn to(mut self, to: Asked) -> ResponseRow {
        self.to = to;
        self
    }

    fn closing(mut self) -> ResponseRow {
        self.closes = true;
        self
    }
}
