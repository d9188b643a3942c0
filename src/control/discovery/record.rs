//! What is known of one name, and when to look it up again. Time is an argument.

use std::net::IpAddr;
use std::time::Duration;

use crate::plan::{Found, ResolverPlan};

/// How soon a name that failed is looked up again at first; twice as long after each failure.
const RETRY: Duration = Duration::from_secs(1);
/// And at the longest.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// What a lookup found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// At least one server.
    pub found: Vec<Found>,
    /// How long that holds.
    pub ttl: Duration,
}

/// What a lookup changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// It fails from now on; what was found before stays.
    Fails,
    /// It succeeds again, with what was found before.
    Recovered,
    /// There are other servers.
    Servers,
}

/// A name's history.
#[derive(Debug)]
pub struct Record {
    found: Vec<Found>,
    /// Lookups that failed in a row.
    failures: u32,
}

impl Record {
    /// A name whose servers are these so far.
    pub fn new(known: &[Found]) -> Record {
        Record { found: known.to_vec(), failures: 0 }
    }

    /// The servers that the name stands for, in an order that depends on nothing else.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// Takes in how a lookup went; says what that changed, and when the next one is due.
    pub fn learn(
        &mut self,
        answer: Result<Answer, String>,
        plan: &ResolverPlan,
    ) -> (Change, Duration) {
        let Ok(Answer { mut found, ttl }) = answer else {
            self.failures = self.failures.saturating_add(1);
            let pause = RETRY.saturating_mul(1 << (self.failures - 1).min(16)).min(RETRY_MAX);
            let change = if self.failures == 1 { Change::Fails } else { Change::None };
            return (change, pause);
        };
        let failed = std::mem::take(&mut self.failures) > 0;
        // Answers come in random order.
        found.sort_unstable();
        found.dedup_by(|one, other| one.address == other.address);
        let change = match (found == self.found, failed) {
            (true, false) => Change::None,
            (true, true) => Change::Recovered,
            (false, _) => Change::Servers,
        };
        self.found = found;
        (change, ttl.max(plan.min_ttl).min(plan.max_ttl))
    }
}

/// What the addresses of one family of a host are, by a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Family {
    /// These, for so long.
    Found(Vec<IpAddr>, Duration),
    /// It has none, for this reason.
    None(String),
    /// Nobody knows, for this reason.
    Unknown(String),
}

/// An SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Records with the lowest are used first.
    pub priority: u16,
    /// The share among records of the same priority; 0: the least.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host, without the dot at its end.
    pub host: String,
}

/// The weights of such records as those of servers, at least 1; and whether each is a backup: its
/// priority is not the best.
pub fn weigh(records: &[Service]) -> Vec<(u32, bool)> {
    let best = records.iter().map(|record| record.priority).min();
    let weigh = |record: &Service| (record.weight.max(1).into(), Some(record.priority) != best);
    records.iter().map(weigh).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(address: &str) -> Found {
        let address = address.parse().unwrap();
        Found { backup: false, address, host: "a:80".to_owned(), weight: 1 }
    }

    fn answer(addresses: &[&str], ttl: u64) -> Result<Answer, String> {
        let found = addresses.iter().map(|address| found(address)).collect();
        Ok(Answer { found, ttl: Duration::from_secs(ttl) })
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn only_changes_are_news() {
        let plan = ResolverPlan::default();
        let [a, b] = ["192.0.2.1:80", "192.0.2.2:80"];
        let mut record = Record::new(&[]);
        for (answer, change) in [
            (Err(String::new()), Change::Fails),
            (Err(String::new()), Change::None),
            (answer(&[b, a], 9), Change::Servers),
            (answer(&[a, b], 9), Change::None),
            (answer(&[a, b, a], 9), Change::None),
            (Err(String::new()), Change::Fails),
            (answer(&[b, a], 9), Change::Recovered),
            (answer(&[b], 9), Change::Servers),
        ] {
            assert_eq!(record.learn(answer.clone(), &plan).0, change, "{answer:?}");
        }
        assert_eq!(record.found(), [found(b)]);
    }

    #[test]
    fn a_name_that_fails_keeps_what_it_had_and_is_asked_for_less_and_less_often() {
        let mut record = Record::new(&[]);
        let plan = ResolverPlan::default();
        record.learn(answer(&["192.0.2.1:80"], 1), &plan);
        let pauses: Vec<u64> =
            (0..8).map(|_| record.learn(Err(String::new()), &plan).1.as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(record.found(), [found("192.0.2.1:80")]);
        record.learn(answer(&["192.0.2.1:80"], 1), &plan);
        assert_eq!(record.learn(Err(String::new()), &plan).1, RETRY, "from the beginning");
    }

    #[test]
    fn a_time_to_live_has_a_floor_and_a_ceiling() {
        let [min_ttl, max_ttl] = [2, 100].map(seconds);
        let plan = ResolverPlan { min_ttl, max_ttl, ..ResolverPlan::default() };
        let mut record = Record::new(&[]);
        for (ttl, due) in [(0, 2), (2, 2), (50, 50), (100, 100), (86_400, 100)] {
            assert_eq!(record.learn(answer(&["192.0.2.1:80"], ttl), &plan).1, seconds(due));
        }
    }

    #[test]
    fn the_best_priority_is_for_every_day() {
        let record = |priority, weight| Service { priority, weight, port: 1, host: String::new() };
        let records = [record(20, 100), record(10, 50), record(10, 0), record(10, 25)];
        let expected = [(100, true), (50, false), (1, false), (25, false)];
        assert_eq!(weigh(&records), expected);
        assert_eq!(weigh(&[record(7, 0), record(7, 0)]), [(1, false), (1, false)]);
        assert_eq!(weigh(&[]), []);
    }
}
