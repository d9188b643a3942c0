//! Response heads.

use super::framing::ResponseFraming;
use super::head::{self, Field, FieldLines, FieldStorage, Version};
use super::name::Names;
use super::survey::Survey;
use super::{Fault, HeadLimits, Refusal, diagnosis};

/// A response head that may be forwarded; borrows from the bytes it was parsed from.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'b, 's> {
    /// 100 to 599.
    pub status: u16,
    /// Empty if the server sent none, or one that is not ASCII. Means nothing (RFC 9112 §4).
    pub reason: &'b str,
    /// The server's version.
    pub version: Version,
    /// Fields as received.
    pub fields: &'s [Field<'b>],
    /// What decides about the exchange.
    pub facts: ResponseFacts,
    /// Bytes of the head, with its empty line.
    pub len: usize,
    head: &'b [u8],
    pub(super) survey: Survey<'b>,
}

/// What a response head says about its exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseFacts {
    /// 100 to 599.
    pub status: u16,
    /// How the body is delimited.
    pub framing: ResponseFraming,
    /// The server would keep its connection (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// Content-Length as declared, also where there is no body (RFC 9110 §8.6: HEAD, 304).
    pub content_length: Option<u64>,
    /// Has Upgrade, and Connection says so.
    pub upgrade: bool,
}

/// Parses a head that [`HeadScanner`](super::HeadScanner) delimited. `to_head`: the request was
/// HEAD.
pub fn parse_response<'b, 's>(
    head: &'b [u8],
    storage: &'s mut FieldStorage<'b>,
    to_head: bool,
    limits: &HeadLimits,
) -> Result<ResponseHead<'b, 's>, Refusal> {
    // RFC 9112 §2.2 tolerates empty lines before requests only; httparse skips them here too.
    if !head.starts_with(b"HTTP/") {
        return Err(Fault::StatusLine.into());
    }
    let mut parsed = httparse::Response::new(&mut []);
    let slots = storage.slots(limits);
    let end = head::parser()
        .parse_response_with_uninit_headers(&mut parsed, head, slots)
        .map_err(|error| diagnosis::of_response(error, head))?;
    head::check_end(head, end)?;

    let status = parsed.code.ok_or(Fault::Incomplete)?;
    if !(100..=599).contains(&status) {
        return Err(Fault::Status.into());
    }
    let version = Version::from_minor(parsed.version);
    let fields: &'s [Field<'b>] = parsed.headers;
    let reason = parsed.reason.unwrap_or_default();
    let mut survey = Survey::default();
    survey.read(head, fields, Names::OF_RESPONSES)?;
    let declared = survey.declared.check(version)?;
    let facts = ResponseFacts {
        status,
        framing: declared.of_response(status, to_head),
        keep_alive: !survey.close && (version == Version::Http11 || survey.keep_alive),
        content_length: declared.length,
        upgrade: survey.upgrade && survey.upgrade_option,
    };
    Ok(ResponseHead { status, reason, version, fields, facts, len: head.len(), head, survey })
}

impl<'b, 's> ResponseHead<'b, 's> {
    /// The same head with another status; the reason is left out.
    pub fn with_status(&self, status: u16) -> ResponseHead<'b, 's> {
        ResponseHead { status, reason: "", ..*self }
    }

    /// The first field with this name; any case.
    pub fn field(&self, lower_name: &str) -> Option<&'b [u8]> {
        head::find(self.fields, lower_name)
    }

    /// Names of trailers that are not to be forwarded, because Connection names them
    /// (RFC 9110 §7.6.1).
    pub fn hop_trailers(&self) -> Vec<Box<str>> {
        self.survey.hop_trailers(self.fields)
    }

    pub(super) fn lines(&self) -> FieldLines<'b, 's> {
        FieldLines { head: self.head, fields: self.fields }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(head: &str, to_head: bool) -> ResponseFacts {
        let limits = HeadLimits { bytes: 4096, fields: 64 };
        let mut storage = FieldStorage::new();
        parse_response(head.as_bytes(), &mut storage, to_head, &limits).unwrap().facts
    }

    /// What a HEAD is answered with tells of a body and has none (RFC 9112 §6.3).
    #[test]
    fn to_head() {
        let length = facts("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true);
        assert_eq!((length.framing, length.content_length), (ResponseFraming::None, Some(5)));
        let chunked = facts("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true);
        assert_eq!((chunked.framing, chunked.content_length), (ResponseFraming::None, None));
        assert_eq!(facts("HTTP/1.1 200 OK\r\n\r\n", true).framing, ResponseFraming::None);
    }

    #[test]
    fn keep_alive() {
        for (head, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", true),
        ] {
            assert_eq!(facts(head, false).keep_alive, expected, "{head}");
        }
    }

    #[test]
    fn upgrade() {
        let start = "HTTP/1.1 101 Switching Protocols\r\n";
        let both = format!("{start}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        assert!(facts(&both, false).upgrade);
        assert!(!facts(&format!("{start}Upgrade: websocket\r\n\r\n"), false).upgrade);
        assert!(!facts(&format!("{start}Connection: upgrade\r\n\r\n"), false).upgrade);
    }
}
