//! How long an answer stays fresh: nginx's `expires`.

use std::time::Duration;

use super::template::Template;
use crate::http1::http_date;

/// How long an answer stays fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expires {
    /// So long after it was sent.
    After(Duration),
    /// So long after what it holds was changed; where that is not known, after it was sent.
    AfterChange(Duration),
    /// Until this second of the day, by local time.
    Daily(u32),
    /// It never was (1970).
    Epoch,
    /// As long as nginx's `expires max` says: ten years for Cache-Control, until the end of 2037
    /// for Expires.
    Max,
}

/// `expires` of a route.
#[derive(Clone, Debug)]
pub enum ExpiresPlan {
    /// For all answers.
    Always(Expires),
    /// What this says, in the words of [`Expires::read`].
    Said(Template),
}

/// When an answer is looked at, seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// When it is sent.
    pub now: i64,
    /// When what it holds was changed.
    pub modified: Option<i64>,
    /// Seconds that local time is ahead of UTC.
    pub offset: i64,
}

const DAY: i64 = 24 * 3600;

/// nginx's units of time, the larger ones first.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3600),
    ("M", 30 * 24 * 3600),
    ("w", 7 * 24 * 3600),
    ("d", 24 * 3600),
    ("h", 3600),
    ("m", 60),
    ("s", 1),
];

impl Expires {
    /// Thu, 31 Dec 2037 23:55:55 GMT, for nginx's `expires max`.
    const MAX: i64 = 2_145_916_555;

    /// What nginx takes from a variable: `epoch`, `max`, `30d`, `-1`, `@15h30m`; `None` for `off`,
    /// nothing, and what makes no sense, as there.
    pub fn read(text: &str) -> Option<Expires> {
        match text {
            "epoch" => Some(Expires::Epoch),
            "max" => Some(Expires::Max),
            _ => match (text.strip_prefix('@'), text.strip_prefix('-')) {
                (Some(time), _) => {
                    let seconds = seconds(time).filter(|seconds| *seconds < DAY as u64)?;
                    u32::try_from(seconds).ok().map(Expires::Daily)
                }
                // What was fresh in the past is not.
                (None, Some(time)) => seconds(time).map(|_| Expires::Epoch),
                (None, None) => {
                    let time = seconds(text.strip_prefix('+').unwrap_or(text))?;
                    Some(Expires::After(Duration::from_secs(time)))
                }
            },
        }
    }

    /// The values of Expires and Cache-Control.
    pub fn values(self, at: Moment) -> (String, String) {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(Self::MAX);
        let until = |moment: i64| {
            let control = match moment.saturating_sub(at.now) {
                seconds @ 0.. => format!("max-age={seconds}"),
                _ => "no-cache".to_owned(),
            };
            (http_date(moment), control)
        };
        match self {
            Expires::After(time) => until(at.now.saturating_add(seconds(time))),
            Expires::AfterChange(time) => {
                until(at.modified.unwrap_or(at.now).saturating_add(seconds(time)))
            }
            Expires::Daily(second) => {
                let begun = (at.now + at.offset).rem_euclid(DAY);
                let ahead = (i64::from(second) - begun - 1).rem_euclid(DAY) + 1;
                until(at.now + ahead)
            }
            Expires::Epoch => (http_date(1), "no-cache".to_owned()),
            Expires::Max => (http_date(Self::MAX), "max-age=315360000".to_owned()),
        }
    }
}

/// Seconds of `60`, `1h30m` or `7d`; a number without a unit is in seconds.
fn seconds(text: &str) -> Option<u64> {
    let (mut rest, mut sum, mut smallest) = (text, 0_u64, 0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let at = match behind.chars().next() {
            None => UNITS.len() - 1,
            Some(unit) => UNITS.iter().position(|(known, _)| known.starts_with(unit))?,
        };
        if at < smallest {
            return None;
        }
        smallest = at + 1;
        sum = sum.checked_add(number.checked_mul(UNITS[at].1)?)?;
        rest = behind.get(1..).unwrap_or_default().trim_start();
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_nginx() {
        let after = |seconds| Some(Expires::After(Duration::from_secs(seconds)));
        for (text, expected) in [
            ("epoch", Some(Expires::Epoch)),
            ("max", Some(Expires::Max)),
            ("off", None),
            ("", None),
            ("30d", after(30 * 86_400)),
            ("1h 30m", after(5400)),
            ("+60", after(60)),
            ("0", after(0)),
            ("-1", Some(Expires::Epoch)),
            ("@15h30m", Some(Expires::Daily(55_800))),
            ("@25h", None),
            ("1m1h", None),
            ("1x", None),
            ("é", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(Expires::read(text), expected, "{text}");
        }
    }

    /// Cache-Control says how long it is until Expires.
    #[test]
    fn both_fields_agree() {
        let at = Moment { now: 1_795_300_000, modified: Some(1_795_299_000), offset: 3600 };
        let hour = Duration::from_secs(3600);
        for (expires, control) in [
            (Expires::After(hour), "max-age=3600"),
            (Expires::AfterChange(hour), "max-age=2600"),
            (Expires::AfterChange(Duration::from_secs(1)), "no-cache"),
            (Expires::Epoch, "no-cache"),
            (Expires::Max, "max-age=315360000"),
        ] {
            assert_eq!(expires.values(at).1, control, "{expires:?}");
        }
        assert_eq!(Expires::Max.values(at).0, "Thu, 31 Dec 2037 23:55:55 GMT");
        let unknown = Moment { modified: None, ..at };
        assert_eq!(Expires::AfterChange(hour).values(unknown).1, "max-age=3600");
        // It is 22:26:40 in UTC then, and 23:26:40 here.
        let daily = |second| Expires::Daily(second).values(at);
        assert_eq!(daily(23 * 3600 + 26 * 60 + 41).1, "max-age=1");
        assert_eq!(daily(23 * 3600 + 26 * 60 + 40).1, "max-age=86400");
        assert_eq!(daily(0).0, "Sat, 21 Nov 2026 23:00:00 GMT");
    }
}
