//! Which trailer fields go on (RFC 9110 §6.5.1).

use super::Fault;
use super::diagnosis;
use super::name::{Known, Names};

/// Names that say how to frame, route, authenticate or process the message, or that belong to one
/// connection. At the end of a body they come too late, or contradict what was already decided.
const HEAD_ONLY: Names = Names::new(&[
    Known::Connection,
    Known::ContentLength,
    Known::Expect,
    Known::Host,
    Known::KeepAlive,
    Known::Lookalike,
    Known::ProxyAuthenticate,
    Known::ProxyAuthorization,
    Known::ProxyConnection,
    Known::Te,
    Known::TransferEncoding,
    Known::Upgrade,
    Known::XForwardedFor,
    Known::XForwardedHost,
    Known::XForwardedProto,
    Known::XRequestId,
]);

/// More such names, which the head does not need to tell apart.
const HEAD_ONLY_TOO: &[&str] = &[
    "age",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expires",
    "forwarded",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "location",
    "max-forwards",
    "pragma",
    "range",
    "retry-after",
    "set-cookie",
    "trailer",
    "vary",
    "via",
    "www-authenticate",
    "x-real-ip",
];

/// Checks one trailer line, without its CRLF: whether it goes on.
pub(super) fn passes(line: &[u8]) -> Result<bool, Fault> {
    if let Some(fault) = diagnosis::of_field_line(line) {
        return Err(fault);
    }
    let colon = memchr::memchr(b':', line).ok_or(Fault::FieldName)?;
    let name = std::str::from_utf8(&line[..colon]).map_err(|_| Fault::FieldName)?;
    Ok(!HEAD_ONLY.has(Known::of(name))
        && !HEAD_ONLY_TOO.iter().any(|head_only| head_only.eq_ignore_ascii_case(name)))
}
