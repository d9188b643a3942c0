//! What was wrong with a message, and which status says so.

use std::error::Error;
use std::fmt;

/// A message that must not be forwarded. Whoever sent it gets `status` (a client) or loses its
/// connection (a server, whose client gets a 502); nothing of the message goes further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status to answer a client with.
    pub status: u16,
    /// One short sentence for logs and answers; holds nothing that the peer sent.
    pub reason: &'static str,
    /// The rule that was broken.
    pub fault: Fault,
}

impl Refusal {
    /// The status to answer a client with.
    pub fn status(&self) -> u16 {
        self.status
    }
}

impl From<Fault> for Refusal {
    #[cold]
    fn from(fault: Fault) -> Self {
        let (status, reason) = fault.verdict();
        Refusal { status, reason, fault }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

impl Error for Refusal {}

/// The rules a message can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A line of the head ends with LF alone. Allowed by RFC 9112 §2.2 for a lenient recipient,
    /// and the start of many smuggling attacks: two recipients see different lines.
    BareLf,
    /// A CR that no LF follows (RFC 9112 §2.2).
    BareCr,
    /// A NUL byte in the head (RFC 9110 §5.5). Usual cause: TLS spoken to a plain port.
    Nul,
    /// More empty lines before the request line than RFC 9112 §2.2 asks to ignore.
    EmptyLines,
    /// The bytes handed in are not one whole head; misuse by the caller.
    Incomplete,
    /// The request line alone exceeds the limit for heads (RFC 9112 §3).
    TargetTooLong,
    /// The head exceeds its limit in bytes (RFC 6585 §5).
    HeadTooLarge,
    /// The head has more fields than its limit allows (RFC 6585 §5).
    TooManyFields,
    /// Not `method SP target SP version` (RFC 9112 §3).
    RequestLine,
    /// The method is no token (RFC 9110 §9.1).
    Method,
    /// CONNECT: this is a gateway, it opens no tunnels to places that the client names
    /// (RFC 9110 §9.3.6). 501 is what a server says of a method it has for no resource at all
    /// (RFC 9110 §15.6.2); 405 would have to name the methods that the resource does allow.
    Connect,
    /// A version other than HTTP/1.0 and HTTP/1.1 (RFC 9110 §15.6.6). Usual cause: HTTP/2 with
    /// prior knowledge.
    Version,
    /// A target with forbidden bytes, or of a form its method does not have (RFC 9112 §3.2).
    Target,
    /// An absolute target whose scheme is neither http nor https (RFC 9110 §4.2).
    Scheme,
    /// User information before the host of an absolute target (RFC 9110 §4.2.4).
    UserInfo,
    /// HTTP/1.1 without Host (RFC 9112 §3.2).
    HostMissing,
    /// More than one Host (RFC 9112 §3.2).
    HostRepeated,
    /// Not `uri-host [":" port]` (RFC 9110 §7.2).
    Host,
    /// A line without a name that is a token and a colon (RFC 9112 §5).
    FieldName,
    /// White space between a field's name and its colon (RFC 9112 §5.1).
    SpaceBeforeColon,
    /// A field continued on the next line, or white space before the first field
    /// (RFC 9112 §2.2, §5.2).
    Folded,
    /// A control byte in a field's value (RFC 9110 §5.5).
    FieldValue,
    /// Content-Length is not one decimal number that fits 64 bits (RFC 9110 §8.6).
    ContentLength,
    /// Content-Length more than once, even if the values agree (RFC 9112 §6.3 lets a recipient
    /// reject that).
    ContentLengthRepeated,
    /// Content-Length and Transfer-Encoding in one message (RFC 9112 §6.3).
    LengthAndEncoding,
    /// A Transfer-Encoding other than exactly `chunked` (RFC 9112 §6.1).
    TransferEncoding,
    /// A Transfer-Encoding on HTTP/1.0 (RFC 9112 §6.1).
    EncodingOn10,
    /// More names in Connection than any sender needs (RFC 9110 §7.6.1).
    ConnectionOptions,
    /// An expectation other than `100-continue` (RFC 9110 §10.1.1).
    Expectation,
    /// Not `version SP status [SP reason]` (RFC 9112 §4).
    StatusLine,
    /// A status outside of 100 to 599 (RFC 9110 §15).
    Status,
    /// A chunk's size is missing or no hexadecimal number (RFC 9112 §7.1).
    ChunkSize,
    /// A chunk's size does not fit 64 bits (RFC 9112 §7.1).
    ChunkTooLarge,
    /// A forbidden byte in a chunk extension (RFC 9112 §7.1.1).
    ChunkExtension,
    /// More chunk extensions in one body than any sender needs (RFC 9112 §7.1.1).
    ChunkExtensionsTooLong,
    /// A chunk's size line or payload is not followed by CRLF (RFC 9112 §7.1).
    ChunkEnd,
    /// The trailer section exceeds its limit (RFC 9112 §7.1.2).
    TrailersTooLarge,
    /// 101 although the request did not ask for another protocol, or without saying for which
    /// (RFC 9110 §15.2.2).
    SwitchingUnasked,
    /// A second final response to one request (RFC 9112 §9.2).
    ResponseUnasked,
}

impl Fault {
    /// Status and sentence for each fault.
    fn verdict(self) -> (u16, &'static str) {
        match self {
            Fault::BareLf => (400, "line ended by LF without CR"),
            Fault::BareCr => (400, "CR without LF"),
            Fault::Nul => (400, "NUL byte in head"),
            Fault::EmptyLines => (400, "too many empty lines before the request"),
            Fault::Incomplete => (400, "head is not complete"),
            Fault::TargetTooLong => (414, "request line too long"),
            Fault::HeadTooLarge => (431, "head too large"),
            Fault::TooManyFields => (431, "too many fields"),
            Fault::RequestLine => (400, "malformed request line"),
            Fault::Method => (400, "malformed method"),
            Fault::Connect => (501, "CONNECT is not implemented"),
            Fault::Version => (505, "HTTP version is not supported"),
            Fault::Target => (400, "malformed request target"),
            Fault::Scheme => (400, "target's scheme is neither http nor https"),
            Fault::UserInfo => (400, "user information in request target"),
            Fault::HostMissing => (400, "Host is missing"),
            Fault::HostRepeated => (400, "Host is repeated"),
            Fault::Host => (400, "malformed Host"),
            Fault::FieldName => (400, "malformed field name"),
            Fault::SpaceBeforeColon => (400, "white space between field name and colon"),
            Fault::Folded => (400, "folded field line"),
            Fault::FieldValue => (400, "control byte in field value"),
            Fault::ContentLength => (400, "malformed Content-Length"),
            Fault::ContentLengthRepeated => (400, "Content-Length is repeated"),
            Fault::LengthAndEncoding => (400, "Content-Length together with Transfer-Encoding"),
            Fault::TransferEncoding => (400, "Transfer-Encoding is not exactly chunked"),
            Fault::EncodingOn10 => (400, "Transfer-Encoding on HTTP/1.0"),
            Fault::ConnectionOptions => (400, "too many names in Connection"),
            Fault::Expectation => (417, "unknown expectation"),
            Fault::StatusLine => (502, "malformed status line"),
            Fault::Status => (502, "status outside of 100 to 599"),
            Fault::ChunkSize => (400, "malformed chunk size"),
            Fault::ChunkTooLarge => (400, "chunk size does not fit 64 bits"),
            Fault::ChunkExtension => (400, "forbidden byte in chunk extension"),
            Fault::ChunkExtensionsTooLong => (400, "chunk extensions too long"),
            Fault::ChunkEnd => (400, "chunk line not ended by CRLF"),
            Fault::TrailersTooLarge => (431, "trailer section too large"),
            Fault::SwitchingUnasked => (502, "101 that nobody asked for"),
            Fault::ResponseUnasked => (502, "response that nobody asked for"),
        }
    }
}
