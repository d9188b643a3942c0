//! The response as the client gets it.

use super::{RESERVE, Sheet, put_decimal};
use crate::http1::name::Known;
use crate::http1::{FieldEdits, ResponseHead, Version};

/// A 426 must say in Upgrade to what (RFC 9110 §15.5.22). That is the server's word, and the
/// client's next request may ask it for that through here. In any other final response Upgrade
/// only advertises what the server's hop could speak (RFC 9110 §7.8), and stays here.
const UPGRADE_REQUIRED: u16 = 426;

/// How the body goes to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyOut {
    /// So many bytes as Content-Length, which passes, says.
    AsDeclared,
    /// In chunks.
    Chunked,
    /// Until the connection closes.
    UntilClose,
    /// Not at all. Content-Length passes where it tells of another response (HEAD, 304).
    None,
}

/// What a forwarded response gets besides its own fields.
#[derive(Clone, Copy, Debug)]
pub struct ResponseRewrite<'a> {
    /// What the client spoke.
    pub client_version: Version,
    /// Whether the client's connection stays open.
    pub keep_alive: bool,
    /// How the body goes.
    pub body: BodyOut,
    /// The route's changes; they win over everything but framing.
    pub edits: &'a FieldEdits,
}

/// Appends the head to forward to `out`. Always HTTP/1.1: the version is this hop's own, also
/// towards an HTTP/1.0 client (RFC 9110 §2.5, §6.2).
pub fn write_response(out: &mut Vec<u8>, head: &ResponseHead<'_, '_>, how: &ResponseRewrite<'_>) {
    out.reserve(head.len + RESERVE);
    let mut sheet = Sheet::new(out, how.edits);
    status_line(&mut sheet, head);
    let upgrade = head.status == UPGRADE_REQUIRED && head.survey.upgrade;
    sheet.copy(head.lines(), head.survey.marks, |name| upgrade && name == Known::Upgrade);
    framing(&mut sheet, head, how.body);
    if upgrade {
        sheet.put(b"Connection: upgrade\r\n");
    }
    sheet.put(connection_line(how.keep_alive, how.client_version));
    sheet.via(head.version);
    sheet.finish("");
}

/// The line that tells a client whether its connection stays. HTTP/1.1 takes staying for granted,
/// HTTP/1.0 closing, unless the answer says otherwise too (RFC 9112 §9.3, appendix C.2.2).
#[inline]
pub fn connection_line(keep_alive: bool, client_version: Version) -> &'static [u8] {
    match (keep_alive, client_version) {
        (true, Version::Http11) => b"",
        (true, Version::Http10) => b"Connection: keep-alive\r\n",
        (false, _) => b"Connection: close\r\n",
    }
}

/// Appends an interim response: the fields that are not this hop's own, nothing added.
pub fn write_interim(out: &mut Vec<u8>, head: &ResponseHead<'_, '_>) {
    const NO_EDITS: &FieldEdits =
        &FieldEdits { remove: Vec::new(), set: Vec::new(), add: Vec::new() };
    out.reserve(head.len + RESERVE);
    let mut sheet = Sheet::new(out, NO_EDITS);
    status_line(&mut sheet, head);
    sheet.copy(head.lines(), head.survey.marks, |_| false);
    sheet.finish("");
}

/// Appends a 101, with the protocol that the server switches to (RFC 9110 §15.2.2).
pub fn write_switching(out: &mut Vec<u8>, head: &ResponseHead<'_, '_>, edits: &FieldEdits) {
    out.reserve(head.len + RESERVE);
    let mut sheet = Sheet::new(out, edits);
    status_line(&mut sheet, head);
    sheet.copy(head.lines(), head.survey.marks, |name| name == Known::Upgrade);
    sheet.put(b"Connection: upgrade\r\n");
    sheet.via(head.version);
    sheet.finish("");
}

#[inline]
fn status_line(sheet: &mut Sheet<'_, '_>, head: &ResponseHead<'_, '_>) {
    sheet.put(b"HTTP/1.1 ");
    put_decimal(sheet.out, u64::from(head.status));
    sheet.put(b" ");
    sheet.put(head.reason.as_bytes());
    sheet.put(b"\r\n");
}

/// RFC 9112 §6.1, §6.2. A 1xx or 204 must not have a Content-Length (RFC 9110 §8.6).
#[inline]
fn framing(sheet: &mut Sheet<'_, '_>, head: &ResponseHead<'_, '_>, body: BodyOut) {
    match (body, head.facts.content_length) {
        (BodyOut::Chunked, _) => sheet.chunked(),
        (BodyOut::AsDeclared | BodyOut::None, Some(length))
            if !matches!(head.status, 100..=199 | 204) =>
        {
            sheet.content_length(length);
        }
        _ => {}
    }
}
