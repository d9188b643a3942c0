//! What the shards recorded, put together when somebody asks.

use crate::telemetry::Report;

/// Every shard's newest report, and whose is awaited. A report holds all that its shard recorded
/// so far, so the newest takes the place of those before it.
pub struct Reports {
    shards: Vec<(State, Report)>,
    /// A round of reports is under way.
    asked: bool,
    /// Which shards have answered the last ping.
    alive: Vec<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// Running, and has yet to report in this round.
    Owing,
    Ended,
}

impl Reports {
    /// Of `shards` shards that have just begun.
    pub fn new(shards: usize) -> Reports {
        let reports = vec![(State::Running, Report::default()); shards];
        Reports { shards: reports, asked: false, alive: vec![true; shards] }
    }

    /// Whether any shard runs.
    pub fn any_running(&self) -> bool {
        self.shards.iter().any(|(state, _)| *state != State::Ended)
    }

    /// A shard has answered a ping.
    pub fn alive(&mut self, shard: usize) {
        self.alive[shard] = true;
    }

    /// Whether all running shards have answered since this was asked last.
    pub fn all_alive(&mut self) -> bool {
        let running = self.shards.iter().map(|(state, _)| *state != State::Ended);
        let all = running.zip(&self.alive).all(|(running, alive)| *alive || !running);
        self.alive.fill(false);
        all
    }

    /// Begins a round, in which every running shard is to be asked for a report; not while there
    /// is one, whose reports may lack what whoever asks now has seen happen.
    pub fn begin(&mut self) -> bool {
        if self.asked {
            return false;
        }
        self.asked = true;
        for (state, _) in &mut self.shards {
            if *state == State::Running {
                *state = State::Owing;
            }
        }
        true
    }

    /// Whether there is a round.
    pub fn are_under_way(&self) -> bool {
        self.asked
    }

    /// A shard reports. Returns the sum if that is the last of the round, which is over then.
    pub fn take(&mut self, shard: usize, report: Report) -> Option<Report> {
        let (state, newest) = &mut self.shards[shard];
        if *state == State::Owing {
            *state = State::Running;
        }
        *newest = report;
        self.complete()
    }

    /// A shard has ended, with a last report unless it failed. Returns the sum as
    /// [`Reports::take`] does; not when no shard is left, since all is reported at the end anyway.
    pub fn end(&mut self, shard: usize, last: Option<Report>) -> Option<Report> {
        let (state, newest) = &mut self.shards[shard];
        *state = State::Ended;
        if let Some(last) = last {
            *newest = last;
        }
        if self.any_running() { self.complete() } else { None }
    }

    /// All that is known now.
    pub fn sum(&self) -> Report {
        let mut sum = Report::default();
        self.shards.iter().for_each(|(_, report)| sum.merge(report));
        sum
    }

    /// That of each shard.
    pub fn each(&self) -> impl Iterator<Item = &Report> {
        self.shards.iter().map(|(_, report)| report)
    }

    fn complete(&mut self) -> Option<Report> {
        let owing = self.shards.iter().any(|(state, _)| *state == State::Owing);
        (!owing && std::mem::take(&mut self.asked)).then(|| self.sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(requests: u64) -> Report {
        let mut report = Report::default();
        report.counters.requests = requests;
        report
    }

    fn requests(sum: Option<Report>) -> Option<u64> {
        sum.map(|sum| sum.counters.requests)
    }

    #[test]
    fn a_sum_comes_with_the_last_of_those_asked() {
        let mut reports = Reports::new(3);
        for round in 1..3 {
            assert!(reports.begin());
            assert_eq!(requests(reports.take(2, report(round))), None);
            assert_eq!(requests(reports.take(0, report(10 * round))), None);
            assert_eq!(requests(reports.take(1, report(100 * round))), Some(111 * round));
        }
        assert_eq!(requests(reports.take(0, report(7))), None, "nobody asked");
    }

    #[test]
    fn one_round_is_under_way_at_most() {
        let mut reports = Reports::new(2);
        assert!(reports.begin());
        assert_eq!(requests(reports.take(0, report(1))), None);
        assert!(!reports.begin());
        assert_eq!(requests(reports.take(1, report(1))), Some(2));
        assert!(reports.begin());
        assert_eq!(requests(reports.take(0, report(2))), None);
        assert_eq!(requests(reports.take(1, report(2))), Some(4));
    }

    /// The others' reports are on their way, and whoever asked still waits for them.
    #[test]
    fn a_shard_that_ends_is_not_waited_for() {
        let mut reports = Reports::new(3);
        assert!(reports.begin());
        assert_eq!(requests(reports.take(0, report(1))), None);
        assert_eq!(requests(reports.end(1, Some(report(10)))), None);
        assert_eq!(requests(reports.end(0, Some(report(2)))), None);
        assert_eq!(requests(reports.take(2, report(100))), Some(112));

        assert!(reports.begin());
        assert!(reports.any_running());
        assert_eq!(requests(reports.end(2, None)), None, "the end is reported anyway");
        assert!(!reports.any_running());
        assert_eq!(requests(Some(reports.sum())), Some(112), "what a failed shard said before");
    }

    #[test]
    fn the_last_to_be_waited_for_may_end() {
        let mut reports = Reports::new(2);
        assert!(reports.begin());
        assert_eq!(requests(reports.take(0, report(1))), None);
        assert_eq!(requests(reports.end(1, None)), Some(1));
    }
}
