//! Responses as the reference reads and forwards them.

use super::{HOP_BY_HOP, Head, passing, too_many_named};
use crate::http1::{BodyOut, MAX_FIELDS, ResponseFacts, ResponseFraming, Version};

/// A response as the reference reads it.
#[derive(Debug, PartialEq)]
pub(in crate::http1) struct Response {
    pub head: Head,
    pub minor: u8,
    pub facts: ResponseFacts,
}

impl Response {
    pub(in crate::http1) fn of(data: &[u8], to_head: bool) -> Option<Response> {
        let head = super::head(data, 0).filter(|head| head.fields.len() <= MAX_FIELDS)?;
        let minor = match &*head.start[0] {
            b"HTTP/1.0" => 0,
            b"HTTP/1.1" => 1,
            _ => return None,
        };
        let [_, status, reason] = &head.start;
        let clean = |byte: &u8| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f);
        if status.len() != 3 || !status.iter().all(u8::is_ascii_digit) || !reason.iter().all(clean)
        {
            return None;
        }
        let status: u16 = String::from_utf8_lossy(status).parse().ok()?;
        let (length, chunked) = head.declared(minor)?;
        if !(100..600).contains(&status) || too_many_named(&head) {
            return None;
        }
        let framing = match (length, chunked) {
            _ if to_head || status < 200 || status == 204 || status == 304 => ResponseFraming::None,
            (_, true) => ResponseFraming::Chunked,
            (Some(0), _) => ResponseFraming::None,
            (Some(length), _) => ResponseFraming::Length(length),
            (None, false) => ResponseFraming::UntilClose,
        };
        let connection = head.list("connection");
        let has = |option: &str| connection.iter().any(|o| o == option);
        let facts = ResponseFacts {
            status,
            framing,
            keep_alive: !has("close") && (minor == 1 || has("keep-alive")),
            content_length: length,
            upgrade: has("upgrade") && !head.list("upgrade").is_empty(),
        };
        Some(Response { head, minor, facts })
    }

    pub(in crate::http1) fn forwarded_fields(
        &self,
        client: Version,
        body: BodyOut,
    ) -> Vec<(String, Vec<u8>)> {
        let mut dropped = HOP_BY_HOP.to_vec();
        let upgrade = self.facts.status == 426 && !self.head.list("upgrade").is_empty();
        if !upgrade {
            dropped.push("upgrade");
        }
        let mut fields = passing(&self.head, &dropped);
        let mut add = |name: &str, value: &str| fields.push((name.into(), value.into()));
        match (body, self.facts.content_length) {
            (BodyOut::Chunked, _) => add("Transfer-Encoding", "chunked"),
            (BodyOut::AsDeclared | BodyOut::None, Some(length)) if self.facts.status != 204 => {
                add("Content-Length", &length.to_string());
            }
            _ => {}
        }
        if upgrade {
            add("Connection", "upgrade");
        }
        match (client, body) {
            (_, BodyOut::UntilClose) => add("Connection", "close"),
            (Version::Http10, _) => add("Connection", "keep-alive"),
            (Version::Http11, _) => {}
        }
        add("Via", &format!("1.{} corelane", self.minor));
        fields
    }
}
