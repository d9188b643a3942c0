//! Who waits for what the shards recorded, and what they count from.

use std::collections::BTreeMap;
use std::time::SystemTime;

use tokio::sync::oneshot;

use crate::telemetry::{Counters, Gauges, Report, ServerUse};

/// What the shards recorded since the last reset, and what they hold now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Since when.
    pub since: SystemTime,
    /// Totals.
    pub counters: Counters,
    /// What is held.
    pub gauges: Gauges,
    /// By server, by its number in the plan.
    pub servers: BTreeMap<u32, ServerUse>,
}

/// Who waits for a report. Whoever comes while the shards report already waits for the next one:
/// this one may lack what they have seen happen.
pub struct Audience {
    /// Those whom the next report is for, and those of the one after it.
    present: Waiting,
    coming: Waiting,
    /// What had been recorded at the last reset: shards go on counting.
    baseline: Report,
    since: SystemTime,
}

#[derive(Default)]
struct Waiting {
    print: bool,
    replies: Vec<Reply>,
}

struct Reply {
    reset: bool,
    to: oneshot::Sender<Totals>,
}

impl Audience {
    /// Nobody; what is recorded from `since` on counts.
    pub fn new(since: SystemTime) -> Audience {
        let (present, coming) = (Waiting::default(), Waiting::default());
        Audience { present, coming, baseline: Report::default(), since }
    }

    /// A report is to be printed.
    pub fn print(&mut self) {
        self.coming.print = true;
    }

    /// `to` gets a report; `reset`: what comes after it counts from there.
    pub fn wait(&mut self, reset: bool, to: oneshot::Sender<Totals>) {
        // Who has given up, since a shard does not answer, is forgotten.
        self.coming.replies.retain(|reply| !reply.to.is_closed());
        self.coming.replies.push(Reply { reset, to });
    }

    /// Whether somebody waits for a report that is not under way.
    pub fn wants_another(&self) -> bool {
        self.coming.print || !self.coming.replies.is_empty()
    }

    /// A report is under way that serves all who have come.
    pub fn gather(&mut self) {
        let Waiting { print, replies } = std::mem::take(&mut self.coming);
        self.present.print |= print;
        self.present.replies.extend(replies);
    }

    /// The report that was under way is there; says whether to print it.
    pub fn hear(&mut self, report: &Report, now: SystemTime) -> bool {
        let Waiting { print, replies } = std::mem::take(&mut self.present);
        for Reply { reset, to } in replies {
            let totals = self.totals(report);
            if reset {
                self.baseline = report.clone();
                self.since = now;
            }
            // Whoever asked may have gone.
            let _ = to.send(totals);
        }
        print
    }

    fn totals(&self, report: &Report) -> Totals {
        let servers = report.servers.iter().map(|(server, usage)| {
            let before = self.baseline.servers.get(server).copied().unwrap_or_default();
            let requests = usage.requests.saturating_sub(before.requests);
            let failures = usage.failures.saturating_sub(before.failures);
            (*server, ServerUse { requests, failures, ..*usage })
        });
        Totals {
            since: self.since,
            counters: report.counters.since(&self.baseline.counters),
            gauges: report.gauges,
            servers: servers.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn report(requests: u64) -> Report {
        let mut report = Report::default();
        report.counters.requests = requests;
        report.gauges.requests = 7;
        report.servers.insert(1, ServerUse { requests, active: 2, idle: 3, failures: 0 });
        report
    }

    #[test]
    fn a_reset_counts_anew_and_touches_nothing_that_is_held() {
        let start = SystemTime::UNIX_EPOCH;
        let later = start + Duration::from_secs(5);
        let mut audience = Audience::new(start);
        let mut ask = |reset, requests, now| {
            let (reply, mut answer) = oneshot::channel();
            audience.wait(reset, reply);
            audience.gather();
            assert!(!audience.hear(&report(requests), now), "nobody wants it printed");
            let totals = answer.try_recv().expect("an answer");
            assert_eq!(totals.gauges.requests, 7);
            assert_eq!((totals.servers[&1].active, totals.servers[&1].idle), (2, 3));
            assert_eq!(totals.counters.requests, totals.servers[&1].requests);
            (totals.counters.requests, totals.since)
        };
        assert_eq!(ask(false, 10, later), (10, start));
        assert_eq!(ask(true, 12, later), (12, start));
        assert_eq!(ask(false, 15, later), (3, later));
    }

    #[test]
    fn printing_is_asked_for_once() {
        let mut audience = Audience::new(SystemTime::UNIX_EPOCH);
        audience.print();
        audience.gather();
        assert!(audience.hear(&report(1), SystemTime::UNIX_EPOCH));
        assert!(!audience.hear(&report(1), SystemTime::UNIX_EPOCH));
    }

    /// What shards say to those who asked before may lack what the next want to see.
    #[test]
    fn who_comes_late_is_served_by_the_next_report() {
        let start = SystemTime::UNIX_EPOCH;
        let mut audience = Audience::new(start);
        let wait = |audience: &mut Audience| {
            let (reply, answer) = oneshot::channel();
            audience.wait(false, reply);
            answer
        };
        let mut early = wait(&mut audience);
        audience.gather();
        let mut late = [wait(&mut audience), wait(&mut audience)];
        audience.print();
        assert!(!audience.hear(&report(1), start));
        assert_eq!(early.try_recv().expect("an answer").counters.requests, 1);
        assert!(audience.wants_another());
        audience.gather();
        assert!(!audience.wants_another());
        assert!(audience.hear(&report(2), start));
        for late in &mut late {
            assert_eq!(late.try_recv().expect("an answer").counters.requests, 2);
        }
    }
}
