//! Which trailer fields go on (RFC 9110 §6.5.1).

use super::Fault;
use super::diagnosis;
use super::name::may_trail;

/// Checks one trailer line, without its CRLF: whether it goes on. `hop`: names that do not.
pub(super) fn passes(line: &[u8], hop: &[Box<str>]) -> Result<bool, Fault> {
    if let Some(fault) = diagnosis::of_field_line(line) {
        return Err(fault);
    }
    let colon = memchr::memchr(b':', line).ok_or(Fault::FieldName)?;
    let name = std::str::from_utf8(&line[..colon]).map_err(|_| Fault::FieldName)?;
    Ok(may_trail(name) && !hop.iter().any(|hop| hop.eq_ignore_ascii_case(name)))
}
