//! The thread that looks names up and watches servers files. It tells what it finds, and decides
//! nothing.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use super::lookup::{Client, SystemFiles};
use super::record::{Change, Record};
use super::watch::Watch;
use super::{Names, News, Tell};
use crate::plan::{Found, Member, ResolverPlan, ServerAddress};

/// How long after a change of a directory its files are looked at: programs write more than one.
const SETTLED: Duration = Duration::from_millis(50);
/// How often files are looked at that nobody has told to have changed.
const LOOK: Duration = Duration::from_secs(5);

/// What is wanted from now on.
pub struct Order {
    /// Its number; what is told of files bears that of the last order.
    pub number: u64,
    /// Names to keep looked up, and what is known of each.
    pub names: Names,
    /// Files to watch, and what each said when it was read last.
    pub files: BTreeMap<PathBuf, Arc<[Member]>>,
    /// How to look up.
    pub resolver: ResolverPlan,
}

/// Starts the thread. It ends when nobody can give orders any more.
///
/// # Errors
/// When no thread or no event loop can be started.
pub fn start(tell: Tell) -> io::Result<mpsc::UnboundedSender<Order>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (orders, orders_out) = mpsc::unbounded_channel();
    let thread = std::thread::Builder::new().name("discovery".into());
    thread.spawn(move || runtime.block_on(work(orders_out, tell)))?;
    Ok(orders)
}

async fn work(mut orders: mpsc::UnboundedReceiver<Order>, tell: Tell) {
    let Some(mut order) = orders.recv().await else { return };
    let mut system = SystemFiles::look();
    let (client, _) = watch::channel(Arc::new(Client::new(&order.resolver)));
    let mut names = Keepers { running: HashMap::new(), client, tell: tell.clone() };
    let mut files = Watch::new();
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // An order has come.
        let number = order.number;
        names.adopt(order.names, &order.resolver);
        files.adopt(order.files);
        let mut look_at = Some(Instant::now());
        order = loop {
            let due = async {
                match look_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                next = orders.recv() => match next {
                    Some(order) => break order,
                    None => return,
                },
                () = files.changed() => {
                    look_at.get_or_insert(Instant::now() + SETTLED);
                    continue;
                }
                () = due => {}
                _ = ticks.tick() => {
                    let now = SystemFiles::look();
                    if now != system {
                        system = now;
                        names.ask_anew();
                    }
                }
            }
            look_at = None;
            for (path, members) in files.look() {
                tell(News::File(number, path, members));
            }
        };
    }
}

/// The names that are kept looked up, each by a task of its own.
struct Keepers {
    running: HashMap<ServerAddress, Keeper>,
    client: watch::Sender<Arc<Client>>,
    tell: Tell,
}

/// Ends the task when it is dropped.
struct Keeper(JoinHandle<()>);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Keepers {
    fn adopt(&mut self, names: Names, plan: &ResolverPlan) {
        if self.client.borrow().plan() != plan {
            self.client.send_replace(Arc::new(Client::new(plan)));
        }
        let mut before = std::mem::take(&mut self.running);
        for (name, known) in names {
            let keeper = before.remove(&name).unwrap_or_else(|| {
                let client = self.client.subscribe();
                Keeper(tokio::spawn(keep(name.clone(), known, client, self.tell.clone())))
            });
            self.running.insert(name, keeper);
        }
    }

    /// The system's files have changed: all names are looked up again now.
    fn ask_anew(&self) {
        let plan = self.client.borrow().plan().clone();
        self.client.send_replace(Arc::new(Client::new(&plan)));
    }
}

/// Keeps a name looked up, without end; `known` are its servers so far.
async fn keep(
    name: ServerAddress,
    known: Arc<[Found]>,
    mut clients: watch::Receiver<Arc<Client>>,
    tell: Tell,
) {
    let mut record = Record::new(&known);
    let mut told = false;
    loop {
        let client = clients.borrow_and_update().clone();
        let answer = client.look_up(&name, record.found()).await;
        let error = answer.as_ref().err().cloned().unwrap_or_default();
        let (change, pause) = record.learn(answer, client.plan());
        log(&name, change, &record, &error);
        if change == Change::Servers || !told {
            told = true;
            tell(News::Name(name.clone(), record.found().into()));
        }
        tokio::select! {
            () = sleep(pause) => {}
            changed = clients.changed() => if changed.is_err() { return },
        }
    }
}

fn log(name: &ServerAddress, change: Change, record: &Record, error: &str) {
    let addresses: Vec<String> = record.found().iter().map(|f| f.address.to_string()).collect();
    let addresses = addresses.join(" ");
    match change {
        Change::Fails if addresses.is_empty() => {
            tracing::warn!(%name, error, "server name does not resolve; it has no server");
        }
        Change::Fails => {
            tracing::warn!(%name, error, addresses, "server name no longer resolves; its last \
                           addresses stay");
        }
        Change::None if !error.is_empty() => {
            tracing::debug!(%name, error, "server name does not resolve");
        }
        Change::None => tracing::debug!(%name, "server name resolves as before"),
        Change::Recovered => tracing::info!(%name, "server name resolves again"),
        Change::Servers => tracing::info!(%name, addresses, "server name resolved"),
    }
}
