//! The time of day in log lines.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::ring::Tick;

const SECOND: u64 = 1_000_000_000;

/// Tells the time of day of ticks. It asks for it once a second at most.
pub struct WallClock {
    zone: TimeZone,
    /// What is known holds until then.
    until: Tick,
    /// What the wall clock said at this tick, nanoseconds since 1970.
    known: (Tick, u64),
    local: String,
    iso: String,
}

/// A moment as lines have it.
pub struct Moment<'a> {
    /// `21/Nov/2026:22:27:52 +0000`
    pub local: &'a str,
    /// `2026-11-21T22:27:52+00:00`
    pub iso: &'a str,
    /// Milliseconds since 1970.
    pub milliseconds: u64,
}

impl WallClock {
    /// A clock that shows the time of this zone.
    pub fn new(zone: TimeZone) -> WallClock {
        let (local, iso) = (String::new(), String::new());
        WallClock { zone, until: 0, known: (0, 0), local, iso }
    }

    /// The moment of `now`. `wall`: what the wall clock says, since 1970.
    pub fn moment(&mut self, now: Tick, wall: impl FnOnce() -> Duration) -> Moment<'_> {
        if now >= self.until {
            self.read(now, wall());
        }
        let (tick, nanoseconds) = self.known;
        let milliseconds = (nanoseconds + now.saturating_sub(tick)) / 1_000_000;
        Moment { local: &self.local, iso: &self.iso, milliseconds }
    }

    fn read(&mut self, now: Tick, wall: Duration) {
        let nanoseconds = u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX);
        self.known = (now, nanoseconds);
        // Until the next second begins.
        self.until = now + SECOND - nanoseconds % SECOND;
        self.local.clear();
        self.iso.clear();
        // A clock that is out of every calendar's range shows nothing.
        let seconds = i64::try_from(nanoseconds / SECOND).unwrap_or_default();
        if let Ok(timestamp) = Timestamp::from_second(seconds) {
            let zoned = timestamp.to_zoned(self.zone.clone());
            let _ = write!(self.local, "{}", zoned.strftime("%d/%b/%Y:%H:%M:%S %z"));
            let _ = write!(self.iso, "{}", zoned.strftime("%Y-%m-%dT%H:%M:%S%:z"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn the_clock_is_read_once_a_second() {
        let zone = TimeZone::fixed(jiff::tz::Offset::from_hours(-3).unwrap());
        let mut clock = WallClock::new(zone);
        let read = Cell::new(0);
        let begin = Duration::new(1_795_300_072, 750_000_000);
        let mut at = |tick: u64| {
            let moment = clock.moment(tick, || {
                read.set(read.get() + 1);
                begin + Duration::from_nanos(tick - 5)
            });
            (moment.local.to_owned(), moment.iso.to_owned(), moment.milliseconds)
        };
        let (local, iso, milliseconds) = at(5);
        assert_eq!(local, "21/Nov/2026:19:27:52 -0300");
        assert_eq!(iso, "2026-11-21T19:27:52-03:00");
        assert_eq!(milliseconds, 1_795_300_072_750);
        let (local, _, milliseconds) = at(5 + 249_000_000);
        assert_eq!((&*local, milliseconds), ("21/Nov/2026:19:27:52 -0300", 1_795_300_072_999));
        assert_eq!(read.get(), 1);
        let (local, _, milliseconds) = at(5 + 250_000_000);
        assert_eq!((&*local, milliseconds), ("21/Nov/2026:19:27:53 -0300", 1_795_300_073_000));
        assert_eq!(read.get(), 2);
    }
}
