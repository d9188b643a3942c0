//! The trace that a request is part of (W3C Trace Context, version 00).

use std::fmt;

/// A valid `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Which trace; not zero.
    pub trace_id: u128,
    /// The span that the request was sent in: the parent of the server's; not zero.
    pub span_id: u64,
    /// Bit 0: the trace is asked to be recorded.
    pub flags: u8,
}

/// Bytes of a `traceparent` of version 00; later ones may be longer.
const LENGTH: usize = 55;

impl TraceContext {
    /// Bit of `flags`: the trace is asked to be recorded.
    pub const SAMPLED: u8 = 1;

    /// Reads the value of a `traceparent`; `None` if it is not valid (section 3.2.2).
    pub fn parse(value: &[u8]) -> Option<TraceContext> {
        let (known, rest) = value.split_at_checked(LENGTH)?;
        let separated = [2, 35, 52].into_iter().all(|at| known[at] == b'-');
        let version = hex(&known[..2])?;
        let follows = rest.is_empty() || (version > 0 && rest[0] == b'-');
        if !separated || version == 0xff || !follows {
            return None;
        }
        let trace_id = hex(&known[3..35]).filter(|id| *id != 0)?;
        let span_id = u64::try_from(hex(&known[36..52])?).ok().filter(|id| *id != 0)?;
        let flags = u8::try_from(hex(&known[53..])?).ok()?;
        Some(TraceContext { trace_id, span_id, flags })
    }
}

/// The value of a `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TraceContext { trace_id, span_id, flags } = self;
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{flags:02x}")
    }
}

/// Lower case only; 32 digits at most.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_valid() {
        let context = TraceContext::parse(EXAMPLE.as_bytes()).expect("the standard's example");
        assert_eq!(context.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((context.span_id, context.flags), (0x00f0_67aa_0ba9_02b7, 1));
        assert_eq!(context.to_string(), EXAMPLE);
        // Later versions may say more.
        for later in [EXAMPLE.replacen("00", "cc", 1), EXAMPLE.replacen("00", "01", 1) + "-what"] {
            assert_eq!(TraceContext::parse(later.as_bytes()), Some(context), "{later}");
        }
    }

    #[test]
    fn what_is_not() {
        let longer = format!("{EXAMPLE}-00");
        let zero_trace = format!("00-{:032x}-00f067aa0ba902b7-01", 0);
        let zero_span = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01";
        for value in [
            "",
            "00",
            &EXAMPLE[..54],
            &longer,
            &format!("{EXAMPLE}0"),
            &EXAMPLE.replacen("00", "ff", 1),
            &EXAMPLE.replacen("00", "0x", 1),
            &EXAMPLE.replacen("00", "01", 1).replace("-01", "-01.what"),
            &EXAMPLE.to_uppercase(),
            &EXAMPLE.replace('-', "_"),
            &zero_trace,
            zero_span,
        ] {
            assert_eq!(TraceContext::parse(value.as_bytes()), None, "{value}");
        }
    }
}
