//! Server names to addresses, apart from every request: a name that does not resolve keeps its
//! server down (or at its last address) and blocks nothing.
//!
//! The system's resolver blocks, and gives up only after many seconds on a name server that does
//! not answer. So names are looked up side by side, each in its own time.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "control waits by the clock, and its threads may share"
)]

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::plan::{Plan, ServerAddress, ServerId, ServerPlan};

/// How often a name is looked up again: soon while it has no address, else now and then.
const RETRY: Duration = Duration::from_secs(2);
const REFRESH: Duration = Duration::from_secs(30);
/// The most lookups at a time.
const LOOKUPS_MAX: usize = 8;

/// Keeps the named servers of a plan resolved, until it is dropped.
pub struct Resolver(Arc<Names>);

/// What the threads of a resolver share.
struct Names {
    waiting: Mutex<Vec<Name>>,
    /// Nobody wants to know any more.
    over: AtomicBool,
    /// Wakes those who wait for a name's time.
    ended: Condvar,
}

impl Resolver {
    /// Starts to look up the names of `plan`; what an earlier resolver found out about them is
    /// known already. `tell` passes on what a server's address is, and says whether anybody wants
    /// to know.
    ///
    /// # Errors
    /// When no thread can be started; then none runs.
    pub fn start(
        plan: &Plan,
        before: Option<Resolver>,
        tell: impl Fn(ServerId, SocketAddr) -> bool + Clone + Send + 'static,
    ) -> io::Result<Resolver> {
        let known = before.map(|before| std::mem::take(&mut *before.0.lock())).unwrap_or_default();
        let waiting = names(plan, known, Instant::now());
        let lookups = waiting.len().min(LOOKUPS_MAX);
        let names = Arc::new(Names::new(waiting));
        for number in 0..lookups {
            let (shared, tell) = (names.clone(), tell.clone());
            let thread = thread::Builder::new().name(format!("resolve-{number}"));
            match thread.spawn(move || look_after(&shared, look_up, |name, at| tell(name.id, at))) {
                Ok(_) => {}
                Err(error) if number == 0 => return Err(error),
                Err(error) => tracing::warn!(%error, "only {number} names are looked up at a time"),
            }
        }
        Ok(Resolver(names))
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
        self.0.lock().clear();
        self.0.ended.notify_all();
    }
}

impl Names {
    fn new(waiting: Vec<Name>) -> Names {
        let (over, ended) = (AtomicBool::new(false), Condvar::new());
        Names { waiting: Mutex::new(waiting), over, ended }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Name>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Waits until a name is due; `None` when all is over.
    fn take_due(&self) -> Option<Name> {
        let mut names = self.lock();
        while !self.is_over() {
            let now = Instant::now();
            let first = (0..names.len()).min_by_key(|&at| names[at].due);
            let left = match first {
                Some(first) if names[first].due <= now => return Some(names.swap_remove(first)),
                Some(first) => names[first].due - now,
                // Others look them up, and will put them back.
                None => REFRESH,
            };
            let waited = self.ended.wait_timeout(names, left);
            (names, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        None
    }
}

/// A server's name.
#[derive(Debug)]
struct Name {
    id: ServerId,
    host: String,
    port: u16,
    /// The address that the shards were told.
    last: Option<SocketAddr>,
    /// The last lookup found none.
    failing: bool,
    /// When to look it up.
    due: Instant,
}

/// What a lookup changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    /// It fails from now on.
    Fails,
    /// It succeeds again, with the address it had.
    Recovered,
    /// A new address.
    Address(SocketAddr),
}

/// The names of a plan: those that are `known` go on as they are, new ones are due now.
fn names(plan: &Plan, known: Vec<Name>, due: Instant) -> Vec<Name> {
    let mut known: HashMap<ServerId, Name> =
        known.into_iter().map(|name| (name.id, name)).collect();
    let servers = plan.upstreams.iter().flat_map(|upstream| &upstream.servers);
    let name = |server: &ServerPlan| match &server.address {
        ServerAddress::Fixed(_) => None,
        ServerAddress::Name { host, port } => Some(known.remove(&server.id).unwrap_or_else(|| {
            let (id, host, port) = (server.id, host.clone(), *port);
            Name { id, host, port, last: None, failing: false, due }
        })),
    };
    servers.filter_map(name).collect()
}

/// Takes the name that is due first, when it is, looks it up, puts it back, and so on, while `tell`
/// says that somebody wants to know.
fn look_after(
    names: &Names,
    look_up: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>>,
    tell: impl Fn(&Name, SocketAddr) -> bool,
) {
    while let Some(mut name) = names.take_due() {
        let found = look_up(&name.host, name.port);
        if names.is_over() {
            return;
        }
        let error = found.as_ref().err().map(ToString::to_string);
        let change = name.learn(found.unwrap_or_default(), Instant::now());
        name.log(change, error.as_deref().unwrap_or("it has no address"));
        if let Change::Address(address) = change
            && !tell(&name, address)
        {
            return;
        }
        names.lock().push(name);
    }
}

fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok((host, port).to_socket_addrs()?.collect())
}

impl Name {
    /// Takes in what a lookup found; nothing, if it failed.
    fn learn(&mut self, found: Vec<SocketAddr>, now: Instant) -> Change {
        let was_failing = std::mem::replace(&mut self.failing, found.is_empty());
        let change = match (found.iter().find(|address| address.is_ipv4()), self.last) {
            _ if found.is_empty() => {
                if was_failing {
                    Change::None
                } else {
                    Change::Fails
                }
            }
            // An address that is still in the answer stays: answers come in random order.
            (_, Some(last)) if found.contains(&last) => {
                if was_failing {
                    Change::Recovered
                } else {
                    Change::None
                }
            }
            (v4, _) => Change::Address(*v4.unwrap_or(&found[0])),
        };
        if let Change::Address(address) = change {
            self.last = Some(address);
        }
        self.due = now + if self.last.is_some() { REFRESH } else { RETRY };
        change
    }

    /// Says what has changed; `error`: why it fails.
    fn log(&self, change: Change, error: &str) {
        let name = &self.host;
        match (change, self.last) {
            (Change::Fails, None) => {
                tracing::warn!(name, error, "server name does not resolve; its server is down");
            }
            (Change::Fails, Some(address)) => {
                tracing::warn!(name, error, %address, "server name no longer resolves; its last \
                               address stays");
            }
            (Change::None, _) if self.failing => {
                tracing::debug!(name, error, "server name does not resolve");
            }
            (Change::None, _) => tracing::debug!(name, "server name resolves as before"),
            (Change::Recovered, _) => tracing::info!(name, "server name resolves again"),
            (Change::Address(address), _) => {
                tracing::info!(name, %address, "server name resolved");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn name(host: &str, now: Instant) -> Name {
        let host = host.to_owned();
        Name { id: ServerId(0), host, port: 80, last: None, failing: false, due: now }
    }

    fn shared(names: impl IntoIterator<Item = Name>) -> Names {
        Names::new(names.into_iter().collect())
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_changes_are_news() {
        let [a, b, six] = ["192.0.2.1:80", "192.0.2.2:80", "[2001:db8::1]:80"].map(address);
        let now = Instant::now();
        let mut name = name("a", now);
        for (found, change, again) in [
            (vec![], Change::Fails, RETRY),
            (vec![], Change::None, RETRY),
            (vec![six, a], Change::Address(a), REFRESH),
            (vec![b, a], Change::None, REFRESH),
            (vec![], Change::Fails, REFRESH),
            (vec![], Change::None, REFRESH),
            (vec![a], Change::Recovered, REFRESH),
            (vec![a], Change::None, REFRESH),
            (vec![six], Change::Address(six), REFRESH),
        ] {
            assert_eq!(name.learn(found.clone(), now), change, "{found:?}");
            assert_eq!(name.due, now + again, "{found:?}");
        }
    }

    #[test]
    fn names_that_hang_hold_up_no_other() {
        const GOOD: usize = 20;
        let hanging = (1..LOOKUPS_MAX).map(|_| name("hangs", Instant::now()));
        let good = (0..GOOD).map(|_| name("good", Instant::now()));
        let names = Arc::new(shared(hanging.chain(good)));
        let (told, heard) = mpsc::channel();
        // These threads wait until the test process ends.
        for _ in 0..LOOKUPS_MAX {
            let (names, told) = (names.clone(), told.clone());
            let look_up = |host: &str, _| {
                if host == "hangs" {
                    loop {
                        thread::park();
                    }
                }
                Ok(vec![address("192.0.2.1:80")])
            };
            let tell = move |name: &Name, _| told.send(name.host.clone()).is_ok();
            thread::spawn(move || look_after(&names, look_up, tell));
        }
        for _ in 0..GOOD {
            let name = heard.recv_timeout(Duration::from_secs(10));
            assert_eq!(name.expect("a name, soon"), "good");
        }
    }

    #[test]
    fn nobody_is_told_who_does_not_want_to_know() {
        let names = shared([name("a", Instant::now())]);
        let look_up = |_: &str, _| Ok(vec![address("192.0.2.1:80")]);
        look_after(&names, look_up, |_, _| false);
        assert!(names.lock().is_empty());
    }
}
