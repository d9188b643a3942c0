//! Which coding a client would have a response's content in (RFC 9110 §12.5.3).

use super::RequestHead;

/// A content coding (RFC 9110 §8.4.1) that responses may have here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Coding {
    /// Zstandard (RFC 8878).
    Zstd,
    /// Brotli (RFC 7932).
    Brotli,
    /// gzip (RFC 1952).
    Gzip,
}

impl Coding {
    /// All, and their tokens in Accept-Encoding and Content-Encoding.
    pub const ALL: [(&'static str, Coding); 3] =
        [("zstd", Coding::Zstd), ("br", Coding::Brotli), ("gzip", Coding::Gzip)];

    /// Its token in Accept-Encoding and Content-Encoding.
    pub fn token(self) -> &'static str {
        Coding::ALL[self as usize].0
    }

    /// What it is known by; any case. `x-gzip` is gzip (RFC 9110 §8.4.1.3).
    fn named(token: &[u8]) -> Option<Coding> {
        if token.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Coding::Gzip);
        }
        let known =
            Coding::ALL.iter().find(|(name, _)| token.eq_ignore_ascii_case(name.as_bytes()));
        known.map(|(_, coding)| *coding)
    }
}

/// How much a client wants each coding: thousandths, of which 0 means not at all. Small, so that a
/// request may carry it until its response is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    codings: [u16; Coding::ALL.len()],
    identity: u16,
}

impl Accepted {
    /// What somebody accepts who says nothing: content as it is.
    pub const NOTHING_SAID: Accepted = Accepted { codings: [0; Coding::ALL.len()], identity: 1000 };

    /// Reads the values of all Accept-Encoding fields. What is malformed in them counts as not
    /// said.
    pub fn read<'v>(values: impl Iterator<Item = &'v [u8]>) -> Accepted {
        let (mut said, mut identity, mut rest) = ([None; Coding::ALL.len()], None, None);
        for element in values.flat_map(super::survey::elements) {
            let mut parts = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let token = parts.next().unwrap_or_default();
            let Some(weight) = weight(parts.next()) else { continue };
            let place = match (token, Coding::named(token)) {
                (_, Some(coding)) => &mut said[coding as usize],
                (b"*", None) => &mut rest,
                _ if token.eq_ignore_ascii_case(b"identity") => &mut identity,
                _ => continue,
            };
            *place = Some(weight);
        }
        let codings = said.map(|said| said.or(rest).unwrap_or(0));
        // Acceptable unless it is ruled out, but wished for only where that is said.
        let identity = identity.or(rest.filter(|weight| *weight == 0)).unwrap_or(1);
        Accepted { codings, identity }
    }

    /// The coding that the client wants most, the first of several that it wants as much; `None`:
    /// content as it is, which is also what somebody gets who accepts nothing on offer.
    pub fn best(&self, offered: &[Coding]) -> Option<Coding> {
        let mut best = None;
        // Not said of identity means less wanted than any coding that is named.
        let mut most = self.identity.saturating_sub(1);
        for &coding in offered {
            let wanted = self.codings[coding as usize];
            if wanted > most {
                (best, most) = (Some(coding), wanted);
            }
        }
        best
    }

    /// Whether any coding at all may be sent.
    pub fn any(&self) -> bool {
        self.codings.iter().any(|weight| *weight > 0)
    }
}

impl RequestHead<'_, '_> {
    /// Which codings its client accepts in the response.
    pub fn accepted_codings(&self) -> Accepted {
        let named = |field: &&super::Field<'_>| field.name.eq_ignore_ascii_case("accept-encoding");
        let mut values = self.fields.iter().filter(named).map(|field| field.value).peekable();
        match values.peek() {
            None => Accepted::NOTHING_SAID,
            Some(_) => Accepted::read(values),
        }
    }
}

/// The weight in `q=0.5` (RFC 9110 §12.4.2), in thousandths.
fn weight(parameter: Option<&[u8]>) -> Option<u16> {
    let Some(parameter) = parameter else { return Some(1000) };
    let value = match parameter {
        [b'q' | b'Q', rest @ ..] => rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start(),
        _ => return None,
    };
    let (whole, digits) = match value {
        [whole @ (b'0' | b'1')] => (*whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', digits @ ..] if digits.len() <= 3 => (*whole, digits),
        _ => return None,
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let places = [100, 10, 1].into_iter().zip(digits);
    let part: u16 = places.map(|(place, digit)| place * u16::from(digit - b'0')).sum();
    match whole {
        b'0' => Some(part),
        _ if part == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OFFERED: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

    fn best(value: &str) -> Option<&'static str> {
        let accepted = Accepted::read([value.as_bytes()].into_iter());
        accepted.best(&OFFERED).map(Coding::token)
    }

    #[test]
    fn the_coding_that_is_wanted_most() {
        for (value, coding) in [
            ("gzip", Some("gzip")),
            ("GZip", Some("gzip")),
            ("x-gzip", Some("gzip")),
            ("gzip, deflate, br, zstd", Some("br")),
            ("gzip, zstd", Some("zstd")),
            ("gzip;q=1.0, br;q=0.5", Some("gzip")),
            ("gzip ; q=0.9 , br; q=0.901", Some("br")),
            ("br;q=0, gzip;q=0.001", Some("gzip")),
            ("gzip;q=0", None),
            ("*", Some("br")),
            ("*;q=0.5, gzip", Some("gzip")),
            ("br;q=0, *", Some("zstd")),
            ("*;q=0", None),
            ("identity", None),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip", Some("gzip")),
            ("identity;q=0", None),
            ("identity;q=0, gzip;q=0.1", Some("gzip")),
            ("identity, gzip", Some("gzip")),
            ("deflate", None),
            ("", None),
            (",,gzip,", Some("gzip")),
        ] {
            assert_eq!(best(value), coding, "{value}");
        }
    }

    #[test]
    fn malformed_weights_are_not_guessed_at() {
        for value in ["2", "1.001", "0.0001", "-1", "", "0.x", "1.", "q", "0,5", " "] {
            let value = format!("gzip;q={value}");
            let expected = if value.ends_with("1.") { Some("gzip") } else { None };
            assert_eq!(best(&value), expected, "{value}");
        }
        assert_eq!(best("gzip;level=9"), None);
    }

    #[test]
    fn several_fields_are_one_list() {
        let accepted = Accepted::read([&b"gzip;q=0.5"[..], b"zstd"].into_iter());
        assert_eq!(accepted.best(&OFFERED), Some(Coding::Zstd));
        assert_eq!(accepted.best(&[Coding::Gzip]), Some(Coding::Gzip));
        assert_eq!(accepted.best(&[]), None);
        assert!(accepted.any() && !Accepted::NOTHING_SAID.any());
        assert_eq!(Accepted::NOTHING_SAID.best(&OFFERED), None);
    }

    #[test]
    fn tokens_stand_in_their_place() {
        for (token, coding) in Coding::ALL {
            assert_eq!(coding.token(), token);
        }
    }

    proptest! {
        /// Only what was offered and is wanted; nothing else is wanted more.
        #[test]
        fn the_best_is_the_best(
            value in "((gzip|br|zstd|identity|\\*|x)(;q=(0|1|0\\.[0-9]{1,3}))?(, ?|,,)){0,6}"
        ) {
            let accepted = Accepted::read([value.as_bytes()].into_iter());
            match accepted.best(&OFFERED) {
                Some(best) => {
                    let wanted = accepted.codings[best as usize];
                    prop_assert!(wanted > 0);
                    prop_assert!(accepted.codings.iter().all(|other| *other <= wanted));
                    prop_assert!(wanted >= accepted.identity);
                }
                None => {
                    let most = accepted.codings.iter().copied().max().unwrap_or(0);
                    prop_assert!(most == 0 || most < accepted.identity);
                }
            }
        }

        #[test]
        fn any_bytes_are_taken(value: Vec<u8>) {
            Accepted::read([&value[..]].into_iter()).best(&OFFERED);
        }
    }
}
