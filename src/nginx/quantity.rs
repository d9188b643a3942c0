//! Times and sizes, as nginx writes them and as Corelane does.

/// Units of time in milliseconds, in the order in which nginx takes them: `1d 12h` is `1d12h`.
const TIMES: [(&str, u64); 8] = [
    ("y", 365 * 24 * 3_600_000),
    ("M", 30 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Milliseconds of `60`, `60s`, `1m30s` or `500ms`; a number without a unit is in seconds.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum = 0_u64;
    // Each unit must be smaller than the one before.
    let mut smallest = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let name = if unit == 0 { "s" } else { &rest[..unit] };
        rest = rest[unit..].trim_start();
        let at = TIMES.iter().position(|(known, _)| *known == name)?;
        if at < smallest || (unit == 0 && !rest.is_empty()) {
            return None;
        }
        smallest = at + 1;
        sum = sum.checked_add(number.checked_mul(TIMES[at].1)?)?;
    }
    (!text.is_empty()).then_some(sum)
}

/// Bytes of `512`, `8k`, `1m` or `1g`.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let (number, factor) = match text.char_indices().last()? {
        (at, 'k' | 'K') => (&text[..at], 1 << 10),
        (at, 'm' | 'M') => (&text[..at], 1 << 20),
        (at, 'g' | 'G') => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// `90s`, in the largest unit that fits.
pub(super) fn time_text(milliseconds: u64) -> String {
    let units = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let fits =
        |(factor, _): &&(u64, &str)| milliseconds > 0 && milliseconds.is_multiple_of(*factor);
    match units.iter().find(fits) {
        Some((60_000, unit)) if milliseconds > 60_000 => format!("{}{unit}", milliseconds / 60_000),
        Some((60_000, _)) => "60s".to_owned(),
        Some((factor, unit)) => format!("{}{unit}", milliseconds / factor),
        None => format!("{milliseconds}ms"),
    }
}

/// `1MiB`, in the largest unit that fits.
pub(super) fn size_text(bytes: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let fits = |(factor, _): &&(u64, &str)| bytes > 0 && bytes.is_multiple_of(*factor);
    match units.iter().find(fits) {
        Some((factor, unit)) => format!("{}{unit}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let table = [
            ("60", Some(60_000)),
            ("60s", Some(60_000)),
            ("1m30s", Some(90_000)),
            ("1h 30m", Some(5_400_000)),
            ("500ms", Some(500)),
            ("1d", Some(86_400_000)),
            ("1M", Some(2_592_000_000)),
            ("30s1m", None),
            ("1 1", None),
            ("s", None),
            ("", None),
            ("1x", None),
            ("-1", None),
        ];
        for (text, expected) in table {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
        for (milliseconds, expected) in [
            (60_000, "60s"),
            (90_000, "90s"),
            (120_000, "2m"),
            (3_600_000, "1h"),
            (1_500, "1500ms"),
            (0, "0ms"),
        ] {
            assert_eq!(time_text(milliseconds), expected);
        }
    }

    #[test]
    fn sizes() {
        let table =
            [("0", Some(0)), ("8k", Some(8192)), ("1m", Some(1 << 20)), ("1g", Some(1 << 30))];
        for (text, expected) in table {
            assert_eq!(bytes(text), expected, "{text}");
        }
        for text in ["", "k", "1kb", "-1", "1.5m"] {
            assert_eq!(bytes(text), None, "{text}");
        }
        assert_eq!(
            [0, 1, 1024, 1 << 20, 1536].map(size_text),
            ["0B", "1B", "1KiB", "1MiB", "1536B"]
        );
    }
}
