//! How often requests may come, in this shard, and what the others are told of it.
//!
//! The kernel hands a client's connections to any of the shards. So each shard lets through what
//! the rate allows as if it were alone, and soon after tells the others, whose buckets then pay for
//! it. Somebody on one connection gets exactly the rate; somebody on many may at once take a burst
//! from each shard, but over time all of them together give no more than the rate.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::guard::{Buckets, TooMany, client_bits};
use crate::http1::RequestHead;
use crate::plan::{RateKey, RatePlan};
use crate::ring::Tick;

/// Requests that a shard has let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Index into the plan's rates.
    pub rate: u32,
    /// How many.
    pub count: u32,
    /// What they have in common.
    pub key: u64,
}

/// A rate that lets no more requests through just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// When there may be the next one.
    pub wait: Duration,
    /// What others are answered with.
    pub status: u16,
}

/// The buckets of one shard, for each of the plan's rates.
pub struct Rates {
    buckets: Vec<Rc<RefCell<Buckets>>>,
    hasher: RandomState,
    /// Keys of all rates together that it may note for the others.
    news_max: usize,
    bell: Rc<Bell>,
}

/// Rings when there is something to tell. All plans of a shard have the same.
#[derive(Default)]
struct Bell {
    has_news: Cell<bool>,
    teller: Cell<Option<Waker>>,
}

impl Rates {
    /// Full buckets. `hasher` must be the same in all shards; each notes up to `news_max` keys for
    /// the others.
    pub fn new(plans: &[RatePlan], hasher: RandomState, news_max: usize) -> Rates {
        let none = Rates { buckets: Vec::new(), hasher, news_max, bell: Rc::default() };
        none.succeed(&[], plans)
    }

    /// The buckets of another plan: those of rates that have not changed from `old` to `new` are as
    /// full as they are now.
    pub fn succeed(&self, old: &[RatePlan], new: &[RatePlan]) -> Rates {
        let news = if self.news_max == 0 { 0 } else { (self.news_max / new.len().max(1)).max(1) };
        let buckets = |plan: &RatePlan| {
            let same = old.iter().position(|old| old == plan);
            same.and_then(|index| self.buckets.get(index).cloned()).unwrap_or_else(|| {
                let keys = if plan.key == RateKey::All { 1 } else { plan.keys };
                Rc::new(RefCell::new(Buckets::new(plan.rate, keys, news)))
            })
        };
        let buckets = new.iter().map(buckets).collect();
        let (hasher, bell) = (self.hasher.clone(), self.bell.clone());
        Rates { buckets, hasher, news_max: self.news_max, bell }
    }

    /// Lets a request through that counts for each of these rates, given by their indices into
    /// `plans`, or not.
    ///
    /// # Errors
    /// [`Exhausted`], the first that refuses it; then it counts for none.
    pub fn take(
        &self,
        rates: &[usize],
        plans: &[RatePlan],
        client: Option<IpAddr>,
        head: &RequestHead<'_, '_>,
        now: Tick,
    ) -> Result<(), Exhausted> {
        let keyed = |&index: &usize| {
            let (buckets, plan) = (self.buckets.get(index)?, plans.get(index)?);
            let exhausted = |TooMany { wait }| Exhausted { wait, status: plan.status };
            Some((&**buckets, self.key(&plan.key, client, head), exhausted))
        };
        if let [only] = rates {
            let Some((buckets, key, exhausted)) = keyed(only) else { return Ok(()) };
            return self.take_one(buckets, key, now).map_err(exhausted);
        }
        let all: Vec<_> = rates.iter().filter_map(keyed).collect();
        for (buckets, key, exhausted) in &all {
            buckets.borrow().check(*key, now).map_err(exhausted)?;
        }
        all.into_iter().try_for_each(|(buckets, key, exhausted)| {
            self.take_one(buckets, key, now).map_err(exhausted)
        })
    }

    fn take_one(&self, buckets: &RefCell<Buckets>, key: u64, now: Tick) -> Result<(), TooMany> {
        let mut buckets = buckets.borrow_mut();
        buckets.take(key, now)?;
        if buckets.has_news() && !self.bell.has_news.replace(true) {
            self.bell.teller.take().into_iter().for_each(Waker::wake);
        }
        Ok(())
    }

    /// Nobody can choose values that fall together: the hash is keyed.
    fn key(&self, key: &RateKey, client: Option<IpAddr>, head: &RequestHead<'_, '_>) -> u64 {
        let value = match key {
            RateKey::Client | RateKey::All => None,
            RateKey::Value(value) => value.find(head),
        };
        let mut hasher = self.hasher.build_hasher();
        match (value, key) {
            (Some(value), _) => {
                hasher.write_u8(1);
                hasher.write(value);
            }
            (None, RateKey::All) => hasher.write_u8(2),
            (None, _) => hasher.write_u128(client_bits(client)),
        }
        hasher.finish()
    }

    /// Waits until there is something to tell.
    pub async fn news(&self) {
        poll_fn(|context| {
            if self.bell.has_news.get() {
                return Poll::Ready(());
            }
            self.bell.teller.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// What was let through since the last time.
    pub fn tell(&self) -> Vec<Taken> {
        self.bell.has_news.set(false);
        let mut all = Vec::new();
        for (rate, buckets) in self.buckets.iter().enumerate() {
            let rate = rate as u32;
            buckets.borrow_mut().tell(|key, count| all.push(Taken { rate, count, key }));
        }
        all
    }

    /// Takes in what another shard let through.
    pub fn charge(&self, taken: &[Taken], now: Tick) {
        for Taken { rate, count, key } in taken {
            if let Some(buckets) = self.buckets.get(*rate as usize) {
                buckets.borrow_mut().charge(*key, *count, now);
            }
        }
    }
}
