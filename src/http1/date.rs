//! HTTP dates (RFC 9110 §5.6.7), in seconds since 1970.

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY: i64 = 86_400;
/// The last second of the year 9999: later ones have no such form.
const LAST: i64 = 253_402_300_799;

/// `Sun, 06 Nov 1994 08:49:37 GMT`. What is before 1970 or after 9999 is shown as the nearest that
/// is not.
pub fn http_date(seconds: i64) -> String {
    let seconds = seconds.clamp(0, LAST);
    let (day, time) = (seconds / DAY, seconds % DAY);
    let (year, month, date) = civil(day);
    format!(
        "{}, {date:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        DAYS[(day % 7) as usize],
        MONTHS[month as usize - 1],
        time / 3600,
        time / 60 % 60,
        time % 60,
    )
}

/// Reads any of the three forms; `None` if it is none of them.
pub fn parse_http_date(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    match text.split_once(", ") {
        // Sun, 06 Nov 1994 08:49:37 GMT
        Some((day, rest)) if DAYS.contains(&day) => {
            let mut words = rest.strip_suffix(" GMT")?.split(' ');
            let (date, month) = (number(words.next()?, 2)?, month(words.next()?)?);
            let year = number(words.next()?, 4)?;
            let time = time(words.next()?)?;
            finished(words, year, month, date, time)
        }
        // Sunday, 06-Nov-94 08:49:37 GMT
        Some((day, rest)) if day.get(..3).is_some_and(|short| DAYS.contains(&short)) => {
            let mut words = rest.strip_suffix(" GMT")?.split([' ', '-']);
            let (date, month) = (number(words.next()?, 2)?, month(words.next()?)?);
            let year = number(words.next()?, 2)?;
            let year = if year < 70 { 2000 + year } else { 1900 + year };
            let time = time(words.next()?)?;
            finished(words, year, month, date, time)
        }
        Some(_) => None,
        // Sun Nov  6 08:49:37 1994
        None => {
            let mut words = text.split(' ').filter(|word| !word.is_empty());
            words.next().filter(|day| DAYS.contains(day))?;
            let month = month(words.next()?)?;
            let date = words.next()?;
            let (date, time) = (number(date, date.len().min(2))?, time(words.next()?)?);
            let year = number(words.next()?, 4)?;
            finished(words, year, month, date, time)
        }
    }
}

/// The date, if nothing follows and there is such a day.
fn finished<'t>(
    mut rest: impl Iterator<Item = &'t str>,
    year: i64,
    month: i64,
    date: i64,
    time: i64,
) -> Option<i64> {
    let day = day_number(year, month, date);
    let real = civil(day) == (year, month, date);
    (rest.next().is_none() && real && year >= 1970).then_some(day * DAY + time)
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let all = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

fn month(name: &str) -> Option<i64> {
    MONTHS.iter().position(|month| *month == name).map(|index| index as i64 + 1)
}

fn time(text: &str) -> Option<i64> {
    let mut parts = text.split(':').map(|part| number(part, 2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    // 60 is a leap second.
    let real = hour < 24 && minute < 60 && second <= 60 && parts.next().is_none();
    real.then_some(hour * 3600 + minute * 60 + second)
}

/// Year, month and day of the month of a day since 1970, by the proleptic Gregorian calendar: the
/// year is taken to begin in March, so that the leap day is its last.
fn civil(day: i64) -> (i64, i64, i64) {
    // Days since the first of March of the year 0.
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let date = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + i64::from(month <= 2), month, date)
}

/// The reverse of [`civil`].
fn day_number(year: i64, month: i64, date: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + date - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_are_written_and_read() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_704_067_199, "Sun, 31 Dec 2023 23:59:59 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (LAST, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(http_date(seconds), text);
            assert_eq!(parse_http_date(text.as_bytes()), Some(seconds), "{text}");
        }
        assert_eq!(http_date(-1), http_date(0));
        assert_eq!(http_date(i64::MAX), http_date(LAST));
    }

    #[test]
    fn the_obsolete_forms_are_read() {
        for text in ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse_http_date(text.as_bytes()), Some(784_111_777), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "0",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT GMT",
            "Son, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1914 08:49:37 GMT",
            "Sun Nov  6 08:49:37 94",
            "\u{e9}",
        ] {
            assert_eq!(parse_http_date(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in 0..=LAST) {
            let text = http_date(seconds);
            prop_assert_eq!(text.len(), 29);
            prop_assert_eq!(parse_http_date(text.as_bytes()), Some(seconds));
        }

        #[test]
        fn any_text_is_taken(text: String) {
            parse_http_date(text.as_bytes());
        }
    }
}
