//! The response that a file makes: its status, its fields, and which parts of it follow.

use std::rc::Rc;

use super::find::Hit;
use super::send::SMALL;
use super::store::OpenFile;
use super::{FileFault, FileRequest};
use crate::http1::{ByteRange, Multipart, Ranges, Validators, Verdict};
use crate::plan::{FilesPlan, Plan, RoutePlan, is_ok};
use crate::proxy::client::Client;
use crate::proxy::content;
use crate::proxy::freshness::moment;
use crate::proxy::reply::{Manner, Reply};
use crate::proxy::scope::Sent;
use crate::proxy::trail::Trail;

/// A response, ready to be sent.
pub struct Ready {
    pub status: u16,
    pub head: Vec<u8>,
    pub body: Vec<Piece>,
    pub keep_alive: bool,
}

/// A part of a body.
pub enum Piece {
    Bytes(Vec<u8>),
    File(Rc<OpenFile>, ByteRange),
}

/// What a response depends on, besides its file.
pub struct Response<'a> {
    pub client: &'a Client,
    pub trail: &'a Trail,
    pub plan: &'a Plan,
    pub route: &'a RoutePlan,
    pub files: &'a FilesPlan,
    pub asked: &'a FileRequest,
    pub manner: Manner,
}

/// What of a file is sent.
enum Parts {
    Whole,
    One(ByteRange),
    Several(Vec<ByteRange>, Multipart),
}

impl Response<'_> {
    /// With this file.
    ///
    /// # Errors
    /// [`FileFault::Precondition`], [`FileFault::Range`].
    pub fn of_file(&self, hit: &Hit) -> Result<Ready, FileFault> {
        let file = &hit.file;
        let (mut status, mut parts) = (200, Parts::Whole);
        let content_type = self.files.types.of(&hit.path);
        if let Some(conditions) = &self.asked.conditions {
            let without_tag;
            let validators = match self.files.etag {
                true => &file.validators,
                false => {
                    without_tag = Validators { etag: None, ..file.validators.clone() };
                    &without_tag
                }
            };
            match conditions.judge(validators) {
                Verdict::Send => {}
                Verdict::NotModified => status = 304,
                Verdict::Failed => return Err(FileFault::Precondition),
            }
            // Ranges mean something to GET alone (RFC 9110 §14.2).
            let asked = conditions.range(validators).filter(|_| !self.manner.to_head);
            if let (200, Some(range), true) = (status, asked, self.files.max_ranges > 0) {
                parts = self.parts(range, file.size, &content_type)?;
            }
        }
        // What goes out whole is changed with its head; here it must say what that would say.
        let is_coded = match (status, &parts, hit.coding) {
            (200, Parts::Whole, _) | (_, _, Some(_)) => None,
            _ => {
                let control = self.files.cache_control.as_deref();
                content::is_compressed(self.trail, &content_type, file.size, control)
            }
        };
        let (length, content_range, content_type) = match &parts {
            Parts::Whole => (file.size, None, content_type),
            Parts::One(part) => (part.len(), Some(part.content_range(file.size)), content_type),
            Parts::Several(ranges, multipart) => {
                (multipart.len(ranges), None, multipart.content_type.as_str().into())
            }
        };
        if !matches!(parts, Parts::Whole) {
            status = 206;
        }
        if let (Some(instead), 200) = (self.asked.status, status) {
            status = instead;
        }
        let (_, date) = self.client.context.files.date(self.client.context.ring.now());
        // The page of an error is nothing to keep.
        let expires = match is_ok(status) {
            true => self.expires(file.validators.modified),
            false => Vec::new(),
        };
        let mut fields: Vec<(&str, &str)> = Vec::with_capacity(10);
        fields.push(("Date", &date));
        fields.push(("Last-Modified", &file.last_modified));
        let weakened;
        if let (true, Some(etag)) = (self.files.etag, &file.validators.etag) {
            fields.push((
                "ETag",
                match (status, is_coded) {
                    (304, Some(true)) => {
                        weakened = format!("W/{etag}");
                        &weakened
                    }
                    _ => etag,
                },
            ));
        }
        if let Some(coding) = hit.coding.filter(|_| status != 304) {
            fields.push(("Content-Encoding", coding.token()));
        }
        if !self.files.precompressed.is_empty() || is_coded.is_some() {
            fields.push(("Vary", "Accept-Encoding"));
        }
        if self.files.max_ranges > 0 && status != 304 {
            fields.push(("Accept-Ranges", "bytes"));
        }
        fields.extend(content_range.as_deref().map(|range| ("Content-Range", range)));
        fields.extend(expires.iter().map(|(name, value)| (*name, value.as_str())));
        let modified = Some(file.validators.modified);
        let sent = Sent::Own { content_type: &content_type, modified };
        let edits = self.asked.edits(self.client, self.plan, self.route, (status, sent));
        let reply = Reply {
            content_type: &content_type,
            fields: &fields,
            length: Some(length),
            ..Reply::new(status, &edits, self.manner)
        };
        let bodiless = status == 304 || self.manner.to_head;
        // What is small is read behind it.
        let behind = if bodiless || length > SMALL { 0 } else { length as usize };
        let mut head = Vec::with_capacity(512 + behind);
        reply.write(&mut head);
        let body = if bodiless { Vec::new() } else { pieces(parts, file) };
        Ok(Ready { status, head, body, keep_alive: self.manner.keep_alive })
    }

    fn parts(&self, range: &[u8], size: u64, content_type: &str) -> Result<Parts, FileFault> {
        Ok(match Ranges::read(range, size, self.files.max_ranges) {
            Ranges::Whole => Parts::Whole,
            Ranges::Unsatisfiable => return Err(FileFault::Range(size)),
            Ranges::Parts(parts) => match parts[..] {
                [part] => Parts::One(part),
                _ => {
                    let boundary = self.client.context.draw();
                    let multipart = Multipart::new(&parts, size, content_type, boundary);
                    Parts::Several(parts, multipart)
                }
            },
        })
    }

    /// Cache-Control and Expires.
    fn expires(&self, modified: i64) -> Vec<(&'static str, String)> {
        let fresh = self.files.expires;
        let values =
            fresh.map(|expires| expires.values(moment(self.client, expires, Some(modified))));
        let (date, control) = values.unzip();
        let control = self.files.cache_control.clone().or(control);
        let date = date.map(|date| ("Expires", date));
        date.into_iter().chain(control.map(|control| ("Cache-Control", control))).collect()
    }
}

fn pieces(parts: Parts, file: &Rc<OpenFile>) -> Vec<Piece> {
    let of_file = |part| Piece::File(file.clone(), part);
    match parts {
        Parts::Whole if file.size == 0 => Vec::new(),
        Parts::Whole => vec![of_file(ByteRange { start: 0, end: file.size })],
        Parts::One(part) => vec![of_file(part)],
        Parts::Several(ranges, multipart) => {
            let before = multipart.before.into_iter().map(|text| Piece::Bytes(text.into_bytes()));
            let both = before.zip(ranges).flat_map(|(text, part)| [text, of_file(part)]);
            both.chain([Piece::Bytes(multipart.end.into_bytes())]).collect()
        }
    }
}
