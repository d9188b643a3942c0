//! Byte ranges (RFC 9110 §14).

use std::fmt::Write as _;

/// A part of a content: from its first byte to behind its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte's place.
    pub start: u64,
    /// The place behind the last byte; after `start`.
    pub end: u64,
}

/// What a Range field asks of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// All of it: the field does not count.
    Whole,
    /// These parts, in the order in which they are asked for; at least one.
    Parts(Vec<ByteRange>),
    /// Nothing that there is (416).
    Unsatisfiable,
}

impl ByteRange {
    /// How many bytes; never 0.
    #[allow(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(self) -> u64 {
        self.end - self.start
    }

    /// `bytes 0-99/1000`, for Content-Range.
    pub fn content_range(self, size: u64) -> String {
        format!("bytes {}-{}/{size}", self.start, self.end - 1)
    }
}

impl Ranges {
    /// Reads a Range field for a content of `size` bytes.
    ///
    /// What could make a small request dear is ignored as a whole (RFC 9110 §14.2): more than
    /// `most` ranges, or ranges that are longer together than the content, which they are only if
    /// they overlap. What is malformed asks for nothing that there is, as for nginx.
    pub fn read(value: &[u8], size: u64, most: usize) -> Ranges {
        let Some(specs) = of_bytes(value) else { return Ranges::Whole };
        let mut parts = Vec::new();
        let mut count = 0;
        for spec in super::survey::elements(specs) {
            count += 1;
            if count > most {
                return Ranges::Whole;
            }
            match read_one(spec, size) {
                Err(Malformed) => return Ranges::Unsatisfiable,
                Ok(part) => parts.extend(part),
            }
        }
        let total = parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.len()));
        match parts.is_empty() {
            true => Ranges::Unsatisfiable,
            false if total > size => Ranges::Whole,
            false => Ranges::Parts(parts),
        }
    }
}

/// What follows `bytes=`; other units count as not said (RFC 9110 §14.2).
fn of_bytes(value: &[u8]) -> Option<&[u8]> {
    let (unit, specs) = value.split_at_checked(6)?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(specs)
}

struct Malformed;

/// A range of the content; `None`: it begins behind the end.
fn read_one(spec: &[u8], size: u64) -> Result<Option<ByteRange>, Malformed> {
    let dash = spec.iter().position(|byte| *byte == b'-').ok_or(Malformed)?;
    let first = number(spec[..dash].trim_ascii())?;
    let last = number(spec[dash + 1..].trim_ascii())?;
    let range = match (first, last) {
        (None, None) => return Err(Malformed),
        (Some(first), Some(last)) if first > last => return Err(Malformed),
        (Some(start), last) => {
            let end = last.map_or(size, |last| last.saturating_add(1).min(size));
            ByteRange { start, end }
        }
        (None, Some(length)) => ByteRange { start: size.saturating_sub(length), end: size },
    };
    Ok((range.start < range.end).then_some(range))
}

/// Digits; `None`: there are none. A number beyond any file counts as the largest.
fn number(digits: &[u8]) -> Result<Option<u64>, Malformed> {
    if digits.is_empty() {
        return Ok(None);
    }
    let add = |number: u64, byte: &u8| match byte {
        b'0'..=b'9' => Ok(number.saturating_mul(10).saturating_add(u64::from(byte - b'0'))),
        _ => Err(Malformed),
    };
    digits.iter().try_fold(0, add).map(Some)
}

/// A response in several parts (RFC 9110 §14.6): what stands before each, and behind the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multipart {
    /// For Content-Type.
    pub content_type: String,
    /// What stands before each part, in their order.
    pub before: Vec<String>,
    /// What stands behind the last.
    pub end: String,
}

impl Multipart {
    /// Of these parts of a content of this type and size. `boundary` must not be in it, which a
    /// number that nobody could foresee hardly is.
    pub fn new(parts: &[ByteRange], size: u64, content_type: &str, boundary: u64) -> Multipart {
        let before = |part: &ByteRange| {
            let mut text = format!("\r\n--{boundary:020}\r\n");
            if !content_type.is_empty() {
                let _ = write!(text, "Content-Type: {content_type}\r\n");
            }
            let _ = write!(text, "Content-Range: {}\r\n\r\n", part.content_range(size));
            text
        };
        Multipart {
            content_type: format!("multipart/byteranges; boundary={boundary:020}"),
            before: parts.iter().map(before).collect(),
            end: format!("\r\n--{boundary:020}--\r\n"),
        }
    }

    /// The length of the whole body.
    pub fn len(&self, parts: &[ByteRange]) -> u64 {
        let text: usize = self.before.iter().map(String::len).sum();
        let content: u64 = parts.iter().map(|part| part.len()).sum();
        content + (text + self.end.len()) as u64
    }

    /// Whether there are no parts.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(value: &str, size: u64) -> Option<Vec<(u64, u64)>> {
        match Ranges::read(value.as_bytes(), size, 8) {
            Ranges::Whole => None,
            Ranges::Unsatisfiable => Some(Vec::new()),
            Ranges::Parts(parts) => Some(parts.iter().map(|part| (part.start, part.end)).collect()),
        }
    }

    #[test]
    fn ranges_of_a_thousand_bytes() {
        for (value, expected) in [
            ("bytes=0-0", Some(vec![(0, 1)])),
            ("Bytes=0-499", Some(vec![(0, 500)])),
            ("bytes=500-", Some(vec![(500, 1000)])),
            ("bytes=-200", Some(vec![(800, 1000)])),
            ("bytes=-2000", Some(vec![(0, 1000)])),
            ("bytes=999-5000", Some(vec![(999, 1000)])),
            ("bytes=0-18446744073709551615", Some(vec![(0, 1000)])),
            ("bytes=0-99999999999999999999999", Some(vec![(0, 1000)])),
            ("bytes=0-0, 5-9 ,-1", Some(vec![(0, 1), (5, 10), (999, 1000)])),
            ("bytes=,0-0,", Some(vec![(0, 1)])),
            ("bytes=0-0,2000-", Some(vec![(0, 1)])),
            ("bytes=1000-", Some(vec![])),
            ("bytes=2000-3000", Some(vec![])),
            ("bytes=-0", Some(vec![])),
            ("bytes=", Some(vec![])),
            ("bytes=-", Some(vec![])),
            ("bytes=5-4", Some(vec![])),
            ("bytes=a-b", Some(vec![])),
            ("bytes=0-0,x", Some(vec![])),
            ("bytes=1", Some(vec![])),
            // Too many, or more together than there is.
            ("bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7", Some((0..8).map(|n| (n, n + 1)).collect())),
            ("bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8", None),
            ("bytes=0-,0-,0-", None),
            ("bytes=0-,-1", None),
            ("lines=0-0", None),
            ("bytes 0-0", None),
            ("", None),
        ] {
            assert_eq!(parts(value, 1000), expected, "{value}");
        }
        assert_eq!(parts("bytes=0-", 0), Some(vec![]));
        assert_eq!(parts("bytes=-5", 0), Some(vec![]));
    }

    #[test]
    fn several_parts_are_framed() {
        let two = [ByteRange { start: 0, end: 5 }, ByteRange { start: 9, end: 10 }];
        let multipart = Multipart::new(&two, 10, "text/plain", 7);
        assert_eq!(multipart.content_type, "multipart/byteranges; boundary=00000000000000000007");
        assert_eq!(
            multipart.before[1],
            "\r\n--00000000000000000007\r\nContent-Type: text/plain\r\n\
             Content-Range: bytes 9-9/10\r\n\r\n"
        );
        assert_eq!(multipart.end, "\r\n--00000000000000000007--\r\n");
        let text: usize = multipart.before.iter().map(String::len).sum::<usize>();
        assert_eq!(multipart.len(&two), (text + multipart.end.len()) as u64 + 6);
        assert!(!multipart.is_empty());
    }

    proptest! {
        /// Whatever is asked for, no more is sent than there is, and nothing from outside of it.
        #[test]
        fn ranges_lie_within_the_content(
            specs in proptest::collection::vec("[0-9]{0,3}-[0-9]{0,3}", 0..6),
            size in 0_u64..500,
            most in 0_usize..5,
        ) {
            let value = format!("bytes={}", specs.join(","));
            if let Ranges::Parts(parts) = Ranges::read(value.as_bytes(), size, most) {
                prop_assert!(!parts.is_empty() && parts.len() <= most);
                prop_assert!(parts.iter().all(|part| part.start < part.end && part.end <= size));
                prop_assert!(parts.iter().map(|part| part.len()).sum::<u64>() <= size);
            }
        }

        #[test]
        fn any_bytes_are_taken(value: Vec<u8>, size: u64, most: usize) {
            Ranges::read(&value, size, most);
        }
    }
}
