//! Checks one server after each interval, for as long as its plan says so.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::Desk;
use super::check::{self, Fault};
use crate::control::clock::now;
use crate::plan::{CheckPlan, Plan, ProxyVersion, ServerId};

/// The checks that run, each a task of the present thread.
#[derive(Default)]
pub struct Watches {
    running: BTreeMap<ServerId, Watch>,
}

struct Watch {
    host: String,
    plan: CheckPlan,
    announces: Option<ProxyVersion>,
    task: JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watches {
    /// Checks what `plan` wants checked. Checks that are to stay as they are go on undisturbed.
    pub fn adopt(&mut self, plan: &Plan, desk: &Rc<RefCell<Desk>>) {
        let mut before = std::mem::take(&mut self.running);
        for watched in watched(plan) {
            let (server, plan) = (watched.server, watched.plan.clone());
            let announces = watched.announces;
            let host = watched.host.clone();
            let alike = |watch: &Watch| {
                watch.plan == plan && watch.announces == announces && watch.host == host
            };
            let same = before.remove(&server).filter(alike);
            let begin = || {
                let task = tokio::task::spawn_local(watched.watch(desk.clone()));
                Watch { host: host.clone(), plan: plan.clone(), announces, task }
            };
            self.running.insert(server, same.unwrap_or_else(begin));
        }
    }
}

/// A server to check.
struct Watched {
    server: ServerId,
    /// For logs.
    upstream: String,
    name: String,
    /// What to call it towards itself.
    host: String,
    plan: CheckPlan,
    /// What its connections begin with.
    announces: Option<ProxyVersion>,
}

/// All servers of upstreams with checks.
fn watched(plan: &Plan) -> Vec<Watched> {
    let mut watched = Vec::new();
    for group in &plan.upstreams {
        let Some(check) = &group.check else { continue };
        watched.extend(group.servers.iter().map(|plan| Watched {
            server: plan.id,
            upstream: group.name.clone(),
            name: plan.address.to_string(),
            host: plan.host.clone(),
            plan: check.clone(),
            announces: group.proxy_protocol,
        }));
    }
    watched
}

impl Watched {
    /// Checks it without end.
    async fn watch(self, desk: Rc<RefCell<Desk>>) {
        let CheckPlan { interval, jitter_percent, .. } = self.plan;
        // All begin at the same moment; their checks shall not.
        tokio::time::sleep(interval.mul_f64(random())).await;
        loop {
            let next = now() + jittered(interval, jitter_percent, random());
            let target = desk.borrow().board.target(self.server);
            if let Some(address) = target {
                match check::run(&self.plan, self.announces, &address, &self.host).await {
                    Ok(()) => desk.borrow_mut().checked(self.server, Ok(())),
                    Err(Fault::Theirs(why)) => {
                        self.log("check failed", &why);
                        desk.borrow_mut().checked(self.server, Err(why));
                    }
                    Err(Fault::Ours(why)) => self.log("check not possible", &why),
                }
            }
            tokio::time::sleep_until(next.into()).await;
        }
    }

    fn log(&self, what: &str, why: &str) {
        tracing::debug!(upstream = self.upstream, server = self.name, why, "{what}");
    }
}

/// The interval, longer or shorter by up to so many percent; `chance` is from 0 to 1.
fn jittered(interval: Duration, percent: u32, chance: f64) -> Duration {
    let most = f64::from(percent) / 100.0;
    interval.mul_f64(1.0 + most * (2.0 * chance - 1.0))
}

/// From 0 to 1. Each hasher has keys of its own.
fn random() -> f64 {
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn intervals_keep_within_their_jitter(
            ms in 10u64..100_000,
            percent in 0u32..100,
            chance in 0f64..=1.0,
        ) {
            let interval = Duration::from_millis(ms);
            let jittered = jittered(interval, percent, chance).as_secs_f64();
            let off = jittered / interval.as_secs_f64() - 1.0;
            prop_assert!(off.abs() <= f64::from(percent) / 100.0 + 1e-6, "{off}");
        }
    }

    #[test]
    fn checks_are_spread() {
        let interval = Duration::from_secs(2);
        let mut tenths = [0u32; 10];
        for _ in 0..10_000 {
            let off = jittered(interval, 50, random()).as_secs_f64() - 1.0;
            tenths[((off * 5.0) as usize).min(9)] += 1;
        }
        assert!(tenths.iter().all(|count| (800..1_200).contains(count)), "{tenths:?}");
    }
}
