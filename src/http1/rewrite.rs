//! Forwarded heads: hop-by-hop fields out, framing made canonical, forwarding fields in
//! (RFC 9110 §7.6).
//!
//! Fields that need no change are copied with their neighbours, as the bytes they came as: they
//! were checked byte by byte, and a usual head needs three copies. Framing fields are never copied
//! but written anew, so the next recipient sees them in one form only.

mod request;
mod response;
#[cfg(test)]
mod tests;

use super::FieldEdits;
use super::head::FieldLines;
use super::name::Known;
use super::survey::Marks;

pub use request::{RequestRewrite, put_address, write_request};
pub use response::{
    BodyOut, ResponseRewrite, connection_line, write_interim, write_response, write_switching,
};

/// Room for what a forwarded head has more than the received one; more only costs a reallocation.
const RESERVE: usize = 256;

/// A head being written.
struct Sheet<'o, 'e> {
    out: &'o mut Vec<u8>,
    edits: &'e FieldEdits,
    /// No edits: most routes, spared the comparisons.
    plain: bool,
    /// What is set or removed goes by other spellings too, which servers do not tell from it.
    alike: bool,
}

impl<'o, 'e> Sheet<'o, 'e> {
    #[inline]
    fn new(out: &'o mut Vec<u8>, edits: &'e FieldEdits) -> Self {
        Sheet { out, edits, plain: edits.is_empty(), alike: false }
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Whether a field of the proxy's own is written: not if the route replaces it.
    #[inline]
    fn owns(&self, lower_name: &str) -> bool {
        self.plain || !self.edits.replaces(lower_name)
    }

    /// Copies all fields but the marked ones; of those, the ones whose name `passes`.
    #[inline]
    fn copy(&mut self, lines: FieldLines<'_, '_>, marks: Marks, passes: impl Fn(Known) -> bool) {
        let edited = match self.plain {
            true => Marks::default(),
            false => self.edited(lines),
        };
        let count = lines.fields.len();
        let mut next = 0;
        for i in marks.union(edited).below(count) {
            if !edited.has(i) && passes(Known::of(lines.fields[i].name)) {
                continue;
            }
            self.put(lines.lines(next, i));
            next = i + 1;
        }
        self.put(lines.lines(next, count));
    }

    /// Fields that the route removes or replaces.
    #[cold]
    fn edited(&self, lines: FieldLines<'_, '_>) -> Marks {
        let mut marks = Marks::default();
        for (i, field) in lines.fields.iter().enumerate() {
            let replaces = match self.alike {
                true => self.edits.replaces_alike(field.name),
                false => self.edits.replaces(field.name),
            };
            if replaces {
                marks.set(i);
            }
        }
        marks
    }

    /// The received protocol and this proxy's name (RFC 9110 §7.6.3), behind what earlier proxies
    /// wrote: lines of one name read as one list (RFC 9110 §5.3).
    #[inline]
    fn via(&mut self, version: super::Version) {
        if self.owns("via") {
            self.put(match version {
                super::Version::Http10 => b"Via: 1.0 corelane\r\n",
                super::Version::Http11 => b"Via: 1.1 corelane\r\n",
            });
        }
    }

    #[inline]
    fn set_cookie(&mut self, value: Option<&str>) {
        if let Some(value) = value {
            self.put(b"Set-Cookie: ");
            self.put(value.as_bytes());
            self.put(b"\r\n");
        }
    }

    #[inline]
    fn content_length(&mut self, length: u64) {
        self.put(b"Content-Length: ");
        put_decimal(self.out, length);
        self.put(b"\r\n");
    }

    #[inline]
    fn chunked(&mut self) {
        self.put(b"Transfer-Encoding: chunked\r\n");
    }

    /// What the route sets and adds, and the empty line. `skip` names a field that was written
    /// where it belongs.
    #[inline]
    fn finish(&mut self, skip: &str) {
        if !self.plain {
            for (name, value) in self.edits.written().filter(|(name, _)| *name != skip) {
                self.put(name.as_bytes());
                self.put(b": ");
                self.put(value.as_bytes());
                self.put(b"\r\n");
            }
        }
        self.put(b"\r\n");
    }
}

/// Appends `number` in decimal; `write!` would cost several times as much.
#[inline]
pub fn put_decimal(out: &mut Vec<u8>, mut number: u64) {
    // u64::MAX has 20 digits.
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}
