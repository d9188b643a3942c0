//! Whether there is anything to steer.

use super::shard_cpus;
use crate::config::Machine;
use crate::config::complaint::Complaints;
use crate::config::file::File;
use crate::config::source::Located;
use crate::plan::{Address, Steering, is_loopback};

/// Complains of, or warns of, a `steering` that could do nothing.
pub(super) fn check(file: &File, machine: &Machine, complaints: &Complaints) {
    let shards = shard_cpus(file.shards.as_ref(), machine).len();
    for listener in &file.listeners {
        let Some(steering) = &listener.steering else { continue };
        if steering.value == Steering::Hash {
            continue;
        }
        let address = listener.address.as_ref().filter(|_| steering.value == Steering::Cpu);
        if address.is_some_and(|address| !has_packets(address, steering, complaints)) {
            continue;
        }
        if shards == 1 {
            let what = "`steering` changes nothing with one shard";
            complaints.warning(steering.spot, what, "remove it, or run more `shards`");
        }
    }
}

/// Whether packets that come to this address may come to several CPUs.
fn has_packets(
    address: &Located<Address>,
    steering: &Located<Steering>,
    complaints: &Complaints,
) -> bool {
    match &address.value {
        Address::Unix(_) => {
            let what = "a Unix socket has no packets that would come to a CPU";
            complaints.error(steering.spot, what, "write \"balance\", or remove `steering`");
            false
        }
        Address::Ip(address) if is_loopback(address.ip()) => {
            let what = "what comes over loopback is not steered by CPU";
            let remedy = "the kernel's hash stays; write \"balance\", or remove `steering`";
            complaints.warning(steering.spot, what, remedy);
            false
        }
        Address::Ip(_) => true,
    }
}
