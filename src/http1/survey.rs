//! One pass over the fields of a head: what they say about the message, and which of them a
//! forwarding proxy cannot pass on as they are.

use super::framing::Declared;
use super::name::{Known, Names, may_be_nominated};
use super::{Fault, Field, MAX_FIELDS};

/// How many names Connection may nominate; comparing each with each field must stay cheap.
const NOMINATIONS_MAX: usize = 32;

/// A set of fields, by their place in the head.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks([u64; MAX_FIELDS / 64]);

impl Marks {
    #[inline]
    pub(super) fn set(&mut self, i: usize) {
        self.0[i / 64] |= 1 << (i % 64);
    }

    pub(super) fn has(&self, i: usize) -> bool {
        self.0[i / 64] >> (i % 64) & 1 == 1
    }

    pub(super) fn union(mut self, other: Marks) -> Marks {
        for (word, others) in self.0.iter_mut().zip(other.0) {
            *word |= others;
        }
        self
    }

    /// The marked places below `count`, ascending.
    #[inline]
    pub(super) fn below(self, count: usize) -> impl Iterator<Item = usize> {
        let words = self.0.into_iter().take(count.div_ceil(64)).enumerate();
        words.flat_map(|(word, mut bits)| {
            std::iter::from_fn(move || {
                let i = (bits != 0).then(|| word * 64 + bits.trailing_zeros() as usize);
                bits &= bits.wrapping_sub(1);
                i
            })
        })
    }
}

/// What the fields of one head say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Survey<'b> {
    /// Fields that the forwarded head has otherwise or not at all.
    pub marks: Marks,
    pub declared: Declared,
    pub host: Option<&'b [u8]>,
    pub close: bool,
    pub keep_alive: bool,
    /// Connection has `upgrade`.
    pub upgrade_option: bool,
    /// Upgrade names a protocol.
    pub upgrade: bool,
    /// Upgrade names `h2c`, in whatever version: HTTP/2 in a tunnel would pass every rule by, and
    /// RFC 9113 §3.1 has retired this way to ask for it.
    pub h2c: bool,
    /// `Expect: 100-continue`
    pub expect_continue: bool,
    /// `TE: trailers`
    pub te_trailers: bool,
    pub forwarded_for: bool,
    /// X-Forwarded-Host says something, and so do the next two.
    pub forwarded_host: bool,
    pub forwarded_proto: bool,
    pub forwarded: bool,
    pub request_id: bool,
    /// A Traceparent.
    pub traceparent: Option<&'b [u8]>,
    /// There are several, which is as good as none.
    pub traceparent_repeated: bool,
    /// Connection names fields.
    nominates: bool,
}

impl<'b> Survey<'b> {
    /// Reads the fields of `head` whose names are among `names`. The fields must lie in `head`,
    /// one a line. In place: returned by value, so wide a result would be copied twice.
    #[inline]
    pub(super) fn read(
        &mut self,
        head: &'b [u8],
        fields: &[Field<'b>],
        names: Names,
    ) -> Result<(), Fault> {
        for (i, field) in fields.iter().enumerate() {
            if !begins_after_crlf(head, field) {
                return Err(Fault::BareLf);
            }
            let name = Known::of(field.name);
            if name != Known::Other && names.has(name) {
                self.marks.set(i);
                self.note(name, field.value)?;
            }
        }
        if self.nominates {
            self.mark_nominated(fields)?;
        }
        Ok(())
    }

    /// Takes in one field.
    fn note(&mut self, name: Known, value: &'b [u8]) -> Result<(), Fault> {
        match name {
            Known::Connection => self.connection(value),
            Known::ContentLength => self.declared.content_length(value)?,
            Known::Expect if value.eq_ignore_ascii_case(b"100-continue") => {
                self.expect_continue = true;
            }
            Known::Expect => return Err(Fault::Expectation),
            Known::Host if self.host.is_some() => return Err(Fault::HostRepeated),
            Known::Host => self.host = Some(value),
            Known::Te => {
                self.te_trailers |= elements(value).any(|e| e.eq_ignore_ascii_case(b"trailers"));
            }
            Known::TransferEncoding => self.declared.transfer_encoding(value)?,
            Known::Upgrade => {
                self.upgrade |= elements(value).next().is_some();
                self.h2c |= elements(value).any(|e| protocol_name(e).eq_ignore_ascii_case(b"h2c"));
            }
            Known::XForwardedFor => self.forwarded_for = true,
            Known::XForwardedHost => self.forwarded_host |= !value.is_empty(),
            Known::XForwardedProto => self.forwarded_proto |= !value.is_empty(),
            Known::Forwarded => self.forwarded |= !value.is_empty(),
            Known::XRequestId => self.request_id = true,
            Known::Traceparent => {
                self.traceparent_repeated |= self.traceparent.replace(value).is_some();
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes in one Connection (RFC 9110 §7.6.1).
    fn connection(&mut self, value: &[u8]) {
        for option in elements(value) {
            match option.len() {
                5 if option.eq_ignore_ascii_case(b"close") => self.close = true,
                7 if option.eq_ignore_ascii_case(b"upgrade") => self.upgrade_option = true,
                10 if option.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                _ => self.nominates = true,
            }
        }
    }

    /// Names of trailers that belong to this hop, because Connection names them (RFC 9110 §7.6.1).
    /// None where there can be no trailers.
    pub(super) fn hop_trailers(&self, fields: &[Field<'b>]) -> Vec<Box<str>> {
        match self.nominates && self.declared.chunked {
            true => nominated(fields),
            false => Vec::new(),
        }
    }

    /// Marks the fields that Connection names, except those it has no say over.
    #[cold]
    fn mark_nominated(&mut self, fields: &[Field<'b>]) -> Result<(), Fault> {
        for (count, option) in connection_options(fields).enumerate() {
            if count >= NOMINATIONS_MAX {
                return Err(Fault::ConnectionOptions);
            }
            for (i, field) in fields.iter().enumerate() {
                if field.name.as_bytes().eq_ignore_ascii_case(option)
                    && may_be_nominated(field.name)
                {
                    self.marks.set(i);
                }
            }
        }
        Ok(())
    }
}

/// What Connection names, except what it has no say over.
#[cold]
fn nominated(fields: &[Field<'_>]) -> Vec<Box<str>> {
    connection_options(fields)
        .filter_map(|option| std::str::from_utf8(option).ok())
        .filter(|option| may_be_nominated(option))
        .map(Into::into)
        .collect()
}

/// What Connection names (RFC 9110 §7.6.1).
fn connection_options<'b>(fields: &[Field<'b>]) -> impl Iterator<Item = &'b [u8]> {
    let connection = fields.iter().filter(|field| Known::of(field.name) == Known::Connection);
    connection.flat_map(|field| elements(field.value))
}

/// `protocol-name` of `protocol-name ["/" protocol-version]` (RFC 9110 §7.8).
fn protocol_name(protocol: &[u8]) -> &[u8] {
    protocol.split(|byte| *byte == b'/').next().unwrap_or_default()
}

/// The elements of a comma-separated list (RFC 9110 §5.6.1), without empty ones.
pub(super) fn elements(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|e| !e.is_empty())
}

/// Where the line of `field` begins in `head`.
#[inline]
pub(super) fn line_start(head: &[u8], field: &Field<'_>) -> usize {
    field.name.as_ptr().addr().wrapping_sub(head.as_ptr().addr())
}

/// Whether the line before this field ends with CRLF. httparse takes a bare LF for a line's end.
#[inline]
fn begins_after_crlf(head: &[u8], field: &Field<'_>) -> bool {
    let start = line_start(head, field);
    start >= 2 && head.get(start - 2..start) == Some(b"\r\n")
}
