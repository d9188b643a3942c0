//! Which servers there are beyond those with fixed addresses: names are looked up, and servers
//! files watched, apart from every request. Neither can fail a start or a reload, and what fails
//! later leaves things as they are.
//!
//! What is known is kept here, and makes, with what is configured, the plan that shards run.

mod legacy;
mod lookup;
mod record;
mod watch;
mod worker;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use self::worker::Order;
use super::clock::now;
use crate::plan::{Found, Member, Plan, ServerAddress, ServerPlan, UpstreamPlan};

/// How long a start or a reload waits for names that are new: most answers are there much sooner,
/// and a server that is not known yet answers nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was found out.
enum News {
    /// The servers that a name stands for; of one that does not resolve, those that are left.
    Name(ServerAddress, Arc<[Found]>),
    /// What a file says, after the order with this number.
    File(u64, PathBuf, Arc<[Member]>),
}

/// What news change, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// Nothing.
    None,
    /// The servers of a name.
    Servers,
    /// What a file says, and so perhaps the names to look up.
    Names,
}

/// Passes on news.
type Tell = Arc<dyn Fn(News) + Send + Sync>;

/// The servers that names stand for, as far as is known.
type Names = HashMap<ServerAddress, Arc<[Found]>>;

/// What is known of names and files, and whoever finds out more.
pub struct Discovery {
    names: Names,
    files: BTreeMap<PathBuf, Arc<[Member]>>,
    news: mpsc::Receiver<News>,
    tell: Tell,
    /// Started when there is something to find out.
    worker: Option<tokio::sync::mpsc::UnboundedSender<Order>>,
    /// The number of the last order.
    orders: u64,
}

impl Discovery {
    /// Nothing is wanted, and known what another process left as its [`Discovery::legacy`]. `wake`
    /// is called when there is news.
    pub fn new(legacy: &str, wake: impl Fn() + Send + Sync + 'static) -> Discovery {
        let (news_in, news) = mpsc::channel();
        let tell = move |piece| {
            // Without a receiver all is over.
            if news_in.send(piece).is_ok() {
                wake();
            }
        };
        Discovery {
            names: legacy::read(legacy),
            files: BTreeMap::new(),
            news,
            tell: Arc::new(tell),
            worker: None,
            orders: 0,
        }
    }

    /// For another process: what is known of names.
    pub fn legacy(&self) -> String {
        legacy::write(&self.names)
    }

    /// Keeps informed of the names and files of `plan`, which were just read, instead of others.
    /// Waits, but not for long, until the names that are new were looked up once.
    ///
    /// # Errors
    /// When no thread can be started; then nothing is looked up.
    pub fn adopt(&mut self, plan: &Plan) -> io::Result<()> {
        let upstreams = plan.upstreams.iter();
        let files = upstreams.filter_map(|upstream| upstream.servers_file.as_ref());
        self.files = files.map(|file| (file.path.clone(), file.members.clone())).collect();
        let mut new = self.order(plan)?;
        let deadline = now() + PATIENCE;
        let mut change = Change::None;
        while !new.is_empty() {
            let left = deadline.saturating_duration_since(now());
            let Ok(piece) = self.news.recv_timeout(left) else { break };
            if let News::Name(name, _) = &piece {
                new.remove(name);
            }
            change = change.max(self.learn(piece));
        }
        if change == Change::Names {
            self.order(plan)?;
        }
        Ok(())
    }

    /// Takes in all news; `plan` is what was adopted last. Says whether there was any.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn catch_up(&mut self, plan: &Plan) -> io::Result<bool> {
        let mut change = Change::None;
        while let Ok(piece) = self.news.try_recv() {
            change = change.max(self.learn(piece));
        }
        if change == Change::Names {
            self.order(plan)?;
        }
        Ok(change != Change::None)
    }

    /// The plan that `configured` makes with what is known. Upstreams that are the same in
    /// `present`, a plan that came from the same configuration, are that plan's.
    pub fn compose(&self, configured: &Plan, present: Option<&Plan>) -> Plan {
        let mut plan = configured.clone();
        for (index, upstream) in plan.upstreams.iter_mut().enumerate() {
            let present = present.and_then(|present| present.upstreams.get(index));
            let is_fixed = |member: &Member| matches!(member.address, ServerAddress::Fixed(_));
            if upstream.servers_file.is_some() || !upstream.members.iter().all(is_fixed) {
                self.complete(Arc::make_mut(upstream));
            }
            if let Some(present) = present
                && are_the_same(&present.servers, &upstream.servers)
            {
                *upstream = present.clone();
            }
        }
        plan
    }

    fn complete(&self, upstream: &mut UpstreamPlan) {
        if let Some(file) = &mut upstream.servers_file
            && let Some(members) = self.files.get(&file.path)
        {
            file.members = members.clone();
        }
        upstream.find(|name| self.names.get(name).map(|found| &**found).unwrap_or_default());
    }

    /// Wants to know what `plan` and the files name; returns the names that are new.
    fn order(&mut self, plan: &Plan) -> io::Result<BTreeSet<ServerAddress>> {
        let members = plan.upstreams.iter().flat_map(|upstream| &upstream.members);
        let members = members.chain(self.files.values().flat_map(|members| members.iter()));
        let names: BTreeSet<ServerAddress> = members
            .filter(|member| !matches!(member.address, ServerAddress::Fixed(_)))
            .map(|member| member.address.clone())
            .collect();
        self.names.retain(|name, _| names.contains(name));
        let new = names.iter().filter(|name| !self.names.contains_key(name)).cloned().collect();
        if names.is_empty() && self.files.is_empty() && self.worker.is_none() {
            return Ok(new);
        }
        for name in &names {
            self.names.entry(name.clone()).or_default();
        }
        self.orders += 1;
        let (number, resolver) = (self.orders, plan.resolver.clone());
        let (names, files) = (self.names.clone(), self.files.clone());
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => worker::start(self.tell.clone())?,
        };
        // It lives for as long as it may get orders.
        let _ = worker.send(Order { number, names, files, resolver });
        self.worker = Some(worker);
        Ok(new)
    }

    /// Says what that changes.
    fn learn(&mut self, piece: News) -> Change {
        match piece {
            News::Name(name, found) => match self.names.get_mut(&name) {
                Some(known) if *known != found => {
                    *known = found;
                    Change::Servers
                }
                _ => Change::None,
            },
            News::File(number, path, members) => match self.files.get_mut(&path) {
                // What was read before the last order was known when that was given.
                Some(known) if number == self.orders && *known != members => {
                    *known = members;
                    Change::Names
                }
                _ => Change::None,
            },
        }
    }
}

/// Whether shards need not hear of the difference.
fn are_the_same(present: &[ServerPlan], new: &[ServerPlan]) -> bool {
    let same = |(one, other): (&ServerPlan, &ServerPlan)| {
        *one == ServerPlan { id: one.id, ..other.clone() }
    };
    present.len() == new.len() && present.iter().zip(new).all(same)
}

#[cfg(test)]
mod tests;
