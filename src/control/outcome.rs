//! How reloads went, and who waits to know.

use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;

/// How a reload went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// When it was over.
    pub at: SystemTime,
    /// How long it took, reading the file included.
    pub took: Duration,
    /// What changed, a line each; or why nothing did.
    pub result: Result<Vec<String>, Vec<String>>,
}

type Reply = oneshot::Sender<Result<Outcome, &'static str>>;

/// The reload under way, those asked for, and the last one.
#[derive(Default)]
pub struct Reloads {
    /// They asked while none was under way for them: the next is theirs.
    waiting: Vec<Reply>,
    under_way: Option<UnderWay>,
    last: Option<Outcome>,
    /// How many went well, and how many were refused.
    counts: (u64, u64),
}

struct UnderWay {
    since: SystemTime,
    changes: Vec<String>,
    /// They asked before the file was read.
    waiting: Vec<Reply>,
}

impl Reloads {
    /// `reply` wants to know how a reload went that reads the file from now on.
    pub fn wait(&mut self, reply: Reply) {
        self.waiting.push(reply);
    }

    /// Shards are given a plan that was read `since`.
    pub fn begin(&mut self, since: SystemTime, changes: Vec<String>) {
        let waiting = std::mem::take(&mut self.waiting);
        self.under_way = Some(UnderWay { since, changes, waiting });
    }

    /// All shards have it.
    pub fn done(&mut self, now: SystemTime) {
        if let Some(UnderWay { since, changes, waiting }) = self.under_way.take() {
            self.tell(since, now, Ok(changes), waiting);
        }
    }

    /// What was read `since` was refused.
    pub fn refused(&mut self, since: SystemTime, now: SystemTime, why: Vec<String>) {
        let waiting = std::mem::take(&mut self.waiting);
        self.tell(since, now, Err(why), waiting);
    }

    /// No reload will follow.
    pub fn give_up(&mut self, why: &'static str) {
        for reply in std::mem::take(&mut self.waiting) {
            let _ = reply.send(Err(why));
        }
    }

    /// How the last one went that is over.
    pub fn last(&self) -> Option<&Outcome> {
        self.last.as_ref()
    }

    /// How many went well, and how many were refused.
    pub fn counts(&self) -> (u64, u64) {
        self.counts
    }

    fn tell(
        &mut self,
        since: SystemTime,
        at: SystemTime,
        result: Result<Vec<String>, Vec<String>>,
        waiting: Vec<Reply>,
    ) {
        // Somebody may have set the clock.
        let took = at.duration_since(since).unwrap_or_default();
        match result {
            Ok(_) => self.counts.0 += 1,
            Err(_) => self.counts.1 += 1,
        }
        let outcome = Outcome { at, took, result };
        for reply in waiting {
            // Whoever asked may have gone.
            let _ = reply.send(Ok(outcome.clone()));
        }
        self.last = Some(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_during_a_reload_waits_for_the_next() {
        let mut reloads = Reloads::default();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let ask = |reloads: &mut Reloads| {
            let (reply, answer) = oneshot::channel();
            reloads.wait(reply);
            answer
        };
        let mut first = ask(&mut reloads);
        reloads.begin(at(1), vec!["one".into()]);
        let mut second = ask(&mut reloads);
        assert_eq!(reloads.last(), None);
        reloads.done(at(3));
        let outcome = first.try_recv().expect("an answer").expect("an outcome");
        assert_eq!(
            (outcome.took, &outcome.result),
            (at(3).duration_since(at(1)).unwrap(), &Ok(vec!["one".to_owned()]))
        );
        assert!(second.try_recv().is_err(), "its reload has not begun");
        reloads.refused(at(4), at(5), vec!["wrong".into()]);
        let outcome = second.try_recv().expect("an answer").expect("an outcome");
        assert_eq!(outcome.result, Err(vec!["wrong".to_owned()]));
        assert_eq!(reloads.last(), Some(&outcome));
        // Nobody's: SIGHUP.
        reloads.begin(at(6), Vec::new());
        reloads.done(at(7));
        assert_eq!(reloads.last().map(|last| last.at), Some(at(7)));
        assert_eq!(reloads.counts(), (2, 1));
    }
}
