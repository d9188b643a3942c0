//! How a body is delimited (RFC 9112 §6).

use super::{Fault, Version};

/// How a request's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFraming {
    /// No body, or one of no bytes.
    None,
    /// So many bytes; more than none.
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
}

/// How a response's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFraming {
    /// No body, or one of no bytes.
    None,
    /// So many bytes; more than none.
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
    /// Everything until the server closes.
    UntilClose,
}

/// What a head says about its body, whichever kind of message it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Declared {
    /// Content-Length.
    pub length: Option<u64>,
    /// `Transfer-Encoding: chunked`.
    pub chunked: bool,
}

impl Declared {
    /// Takes in one Content-Length.
    pub(super) fn content_length(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.length.is_some() {
            return Err(Fault::ContentLengthRepeated);
        }
        self.length = Some(decimal(value).ok_or(Fault::ContentLength)?);
        Ok(())
    }

    /// Takes in one Transfer-Encoding. A second one makes a list of codings, whatever it holds.
    pub(super) fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Fault::TransferEncoding);
        }
        self.chunked = true;
        Ok(())
    }

    /// Refuses what leaves more than one reading of where the body ends.
    #[inline]
    pub(super) fn check(self, version: Version) -> Result<Self, Fault> {
        if self.chunked && self.length.is_some() {
            return Err(Fault::LengthAndEncoding);
        }
        if self.chunked && version == Version::Http10 {
            return Err(Fault::EncodingOn10);
        }
        Ok(self)
    }

    /// RFC 9112 §6.3, rules 4, 6 and 7 for requests.
    #[inline]
    pub(super) fn of_request(self) -> RequestFraming {
        match self {
            Declared { chunked: true, .. } => RequestFraming::Chunked,
            Declared { length: None | Some(0), .. } => RequestFraming::None,
            Declared { length: Some(length), .. } => RequestFraming::Length(length),
        }
    }

    /// RFC 9112 §6.3, rules 1, 2, 4, 6 and 8 for responses.
    #[inline]
    pub(super) fn of_response(self, status: u16, to_head: bool) -> ResponseFraming {
        if to_head || matches!(status, 100..=199 | 204 | 304) {
            return ResponseFraming::None;
        }
        match self {
            Declared { chunked: true, .. } => ResponseFraming::Chunked,
            Declared { length: Some(0), .. } => ResponseFraming::None,
            Declared { length: Some(length), .. } => ResponseFraming::Length(length),
            Declared { length: None, .. } => ResponseFraming::UntilClose,
        }
    }
}

/// `1*DIGIT`; no sign, no white space, no list.
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |number, byte| match byte {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}
