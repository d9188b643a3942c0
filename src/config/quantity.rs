//! Times and sizes: a number and a unit.

use std::time::Duration;

/// Units of time and their milliseconds. One unit a value: `90s`, not `1m30s`.
const TIMES: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// The same and a smaller one, in microseconds, for what is measured and not waited for.
const SHORT_TIMES: [(&str, u64); 5] =
    [("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000)];

/// Units of size and their bytes. Only the binary ones, whose names leave no doubt: `64k` means
/// 64,000 to some programs and 65,536 to others.
const SIZES: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// A kind of quantity: how it is read, and spoken of.
pub(super) struct Kind<T> {
    pub name: &'static str,
    pub units: &'static str,
    pub example: &'static str,
    pub read: fn(&str) -> Option<T>,
    /// What someone who wrote an unknown unit probably meant.
    pub meant: fn(&str) -> Option<String>,
    /// How it would be written, in the largest unit that fits.
    pub text: fn(T) -> String,
}

pub(super) const TIME: Kind<Duration> = Kind {
    name: "time",
    units: "ms, s, m or h",
    example: "10s",
    read: duration,
    meant: duration_meant,
    text: duration_text,
};

pub(super) const SHORT_TIME: Kind<Duration> = Kind {
    name: "time",
    units: "us, ms, s, m or h",
    example: "10ms",
    read: short_duration,
    meant: duration_meant,
    text: short_duration_text,
};

pub(super) const SIZE: Kind<u64> = Kind {
    name: "size",
    units: "B, KiB, MiB or GiB",
    example: "16KiB",
    read: size,
    meant: size_meant,
    text: size_text,
};

/// Reads `500ms`, `10s`, `1m` or `1h`.
fn duration(text: &str) -> Option<Duration> {
    scaled(text, &TIMES).map(Duration::from_millis)
}

/// Reads `250us` besides.
fn short_duration(text: &str) -> Option<Duration> {
    scaled(text, &SHORT_TIMES).map(Duration::from_micros)
}

/// Reads `512B`, `16KiB`, `1MiB` or `2GiB`.
fn size(text: &str) -> Option<u64> {
    scaled(text, &SIZES)
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

pub fn duration_text(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    text(ms, &TIMES)
}

pub fn short_duration_text(duration: Duration) -> String {
    text(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX), &SHORT_TIMES)
}

pub fn size_text(bytes: u64) -> String {
    text(bytes, &SIZES)
}

fn text(value: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, factor): &&(&str, u64)| value > 0 && value.is_multiple_of(*factor);
    let (name, factor) = units.iter().rev().find(fits).unwrap_or(&units[0]);
    format!("{}{name}", value / factor)
}

fn size_meant(text: &str) -> Option<String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "k" | "kb" | "kib" => "KiB",
        "m" | "mb" | "mib" => "MiB",
        "g" | "gb" | "gib" => "GiB",
        "b" | "bytes" => "B",
        _ => return None,
    };
    (!number.is_empty()).then(|| format!("{number}{unit}"))
}

fn duration_meant(text: &str) -> Option<String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (number, unit) = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "s" | "sec" | "secs" | "second" | "seconds" => (number.to_owned(), "s"),
        "ms" | "msec" | "millis" | "milliseconds" => (number.to_owned(), "ms"),
        "m" | "min" | "mins" | "minute" | "minutes" => (number.to_owned(), "m"),
        "h" | "hour" | "hours" => (number.to_owned(), "h"),
        "d" | "day" | "days" => (number.parse::<u64>().ok()?.checked_mul(24)?.to_string(), "h"),
        _ => return None,
    };
    (!number.is_empty()).then(|| format!("{number}{unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let ms = Duration::from_millis;
        assert_eq!(duration("500ms"), Some(ms(500)));
        assert_eq!(duration("10s"), Some(ms(10_000)));
        assert_eq!(duration("1m"), Some(ms(60_000)));
        assert_eq!(duration("1h"), Some(ms(3_600_000)));
        assert_eq!(duration("0s"), Some(ms(0)));
        for wrong in ["", "10", "s", "10 s", "-1s", "1.5s", "1m30s", "10S", "99999999999999999h"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("512B"), Some(512));
        assert_eq!(size("16KiB"), Some(16 << 10));
        assert_eq!(size("1MiB"), Some(1 << 20));
        assert_eq!(size("2GiB"), Some(2 << 30));
        for wrong in ["", "16", "16k", "16KB", "KiB", "1.5MiB", "99999999999999999GiB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn quantities_print_as_they_are_written() {
        for text in ["1ms", "1500ms", "90s", "5m", "1h"] {
            assert_eq!(duration(text).map(duration_text).as_deref(), Some(text));
        }
        for text in ["1B", "31KiB", "1MiB", "3GiB"] {
            assert_eq!(size(text).map(size_text).as_deref(), Some(text));
        }
        assert_eq!(duration_text(Duration::ZERO), "0ms");
    }

    #[test]
    fn other_spellings_are_understood_well_enough_to_answer() {
        let table = [("64k", "64KiB"), ("1 MB", "1MiB"), ("2g", "2GiB"), ("10bytes", "10B")];
        for (text, meant) in table {
            assert_eq!(size_meant(text).as_deref(), Some(meant));
        }
        let table = [("10", "10s"), ("5 min", "5m"), ("2d", "48h"), ("3S", "3s"), ("1 hour", "1h")];
        for (text, meant) in table {
            assert_eq!(duration_meant(text).as_deref(), Some(meant));
        }
        assert_eq!(size_meant("big"), None);
        assert_eq!(duration_meant("soon"), None);
    }
}
