//! Server names to addresses, apart from every request: a name that does not resolve keeps its
//! server down (or at its last address) and blocks nothing.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use crate::plan::{Address, Plan, ServerAddress};
use crate::shard::{Command, Sender};

/// How often names are looked up again: soon while one has failed, else now and then.
const RETRY: Duration = Duration::from_secs(2);
const REFRESH: Duration = Duration::from_secs(30);

struct Name {
    upstream: usize,
    server: usize,
    host: String,
    port: u16,
    last: Option<SocketAddr>,
}

/// Keeps the plan's named servers resolved for as long as the process runs.
///
/// # Errors
/// When no thread can be started.
pub fn start(plan: &Arc<Plan>, shards: Vec<Sender<Command>>) -> std::io::Result<()> {
    let mut names = names(plan);
    if names.is_empty() {
        return Ok(());
    }
    std::thread::Builder::new().name("resolve".into()).spawn(move || {
        loop {
            let mut all_known = true;
            for name in &mut names {
                all_known &= resolve(name, &shards);
            }
            std::thread::sleep(if all_known { REFRESH } else { RETRY });
        }
    })?;
    Ok(())
}

fn names(plan: &Plan) -> Vec<Name> {
    let mut names = Vec::new();
    for (upstream, group) in plan.upstreams.iter().enumerate() {
        for (server, plan) in group.servers.iter().enumerate() {
            if let ServerAddress::Name { host, port } = &plan.address {
                let (host, port) = (host.clone(), *port);
                names.push(Name { upstream, server, host, port, last: None });
            }
        }
    }
    names
}

/// Looks one name up and tells the shards if its address is new; `false` if it has none.
fn resolve(name: &mut Name, shards: &[Sender<Command>]) -> bool {
    let found = (name.host.as_str(), name.port).to_socket_addrs().map(Vec::from_iter);
    let addresses = match found {
        Ok(addresses) if !addresses.is_empty() => addresses,
        Ok(_) | Err(_) if name.last.is_some() => return true,
        Ok(_) => return false,
        Err(error) => {
            tracing::warn!(name = name.host, %error, "server name does not resolve; it is down");
            return false;
        }
    };
    // An address that is still in the answer stays: answers come in random order.
    if name.last.is_some_and(|last| addresses.contains(&last)) {
        return true;
    }
    let address = addresses.iter().find(|a| a.is_ipv4()).unwrap_or(&addresses[0]);
    name.last = Some(*address);
    tracing::info!(name = name.host, %address, "server name resolved");
    for shard in shards {
        let (upstream, server) = (name.upstream, name.server);
        shard.send(Command::Resolved { upstream, server, address: Address::Ip(*address) });
    }
    true
}
