//! `steering = "cpu"`: listeners whose connections go to the shard of the CPU that they came to.
//!
//! Only what comes through an interface that brings packets to several CPUs is steered so. From
//! any other all connections would go to one shard; they keep the kernel's hash, and so does what
//! comes over loopback, where the CPU is the client's.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use crate::plan::{Address, Steering};
use crate::shard;

/// How many layers of interfaces may lie on each other: a bridge on a VLAN on a bond, say.
const LAYERS_MAX: usize = 4;
/// What the kernel calls the type of a loopback interface (ARPHRD_LOOPBACK).
const LOOPBACK: &str = "772";

/// Who chooses the socket of a listener's group for a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chooser {
    /// The kernel's hash.
    Hash,
    /// A program of ours.
    Program,
    /// Another process had these sockets, and may have left a program.
    Unknown,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    index: u32,
    name: String,
}

/// The interfaces, as the kernel lists them in `net`, whose packets come to several CPUs: by
/// several receive queues or by RPS (Documentation/networking/scaling.rst), of their own or of what
/// lies below.
pub fn spreading_interfaces(net: &Path) -> Vec<Interface> {
    let interface = |name: String| {
        let index = read(&net.join(&name).join("ifindex"))?.parse().ok()?;
        spreads(net, &name, LAYERS_MAX).then_some(Interface { index, name })
    };
    let mut found: Vec<Interface> = names(net).filter_map(interface).collect();
    found.sort_by_key(|interface| interface.index);
    found
}

fn spreads(net: &Path, name: &str, layers: usize) -> bool {
    let folder = net.join(name);
    if layers == 0 || read(&folder.join("type")).as_deref() == Some(LOOPBACK) {
        return false;
    }
    let queues: Vec<String> =
        names(&folder.join("queues")).filter(|queue| queue.starts_with("rx-")).collect();
    let has_rps = |queue: &String| {
        let mask = read(&folder.join("queues").join(queue).join("rps_cpus"));
        mask.is_some_and(|mask| mask.bytes().any(|digit| !matches!(digit, b'0' | b',')))
    };
    queues.len() > 1
        || queues.iter().any(has_rps)
        || names(&folder).any(|entry| {
            entry.strip_prefix("lower_").is_some_and(|lower| spreads(net, lower, layers - 1))
        })
}

fn names(folder: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// Has a listener's connections chosen as `steering` says; `socket` is one of its sockets, which
/// are in the order of the shards, and `present` who chooses so far. Returns who does afterwards:
/// where it cannot be done, that is said, and the hash chooses.
pub fn apply(
    (address, socket): (&Address, &OwnedFd),
    steering: Steering,
    cpus: &[usize],
    interfaces: &[Interface],
    present: Chooser,
) -> Chooser {
    if steering == Steering::Cpu && cpus.len() > 1 {
        if interfaces.is_empty() {
            tracing::warn!(
                %address,
                "steering = \"cpu\" changes nothing yet: no interface has several receive queues, \
                 or RPS; the kernel's hash chooses. A reload looks again"
            );
        } else {
            let indices: Vec<u32> = interfaces.iter().map(|interface| interface.index).collect();
            match shard::steer(socket, cpus, &indices) {
                Ok(()) => {
                    let names: Vec<&str> =
                        interfaces.iter().map(|interface| interface.name.as_str()).collect();
                    let through = names.join(", ");
                    tracing::info!(%address, through, "connections go to the CPU they come to");
                    return Chooser::Program;
                }
                Err(error) => tracing::warn!(
                    %address, %error,
                    "cannot steer by CPU, the kernel's hash chooses; sockets of the service \
                     manager need ReusePort=yes"
                ),
            }
        }
    }
    if present == Chooser::Hash || !matches!(address, Address::Ip(_)) {
        return Chooser::Hash;
    }
    match shard::unsteer(socket) {
        Err(error) if present == Chooser::Program => {
            tracing::warn!(%address, %error, "connections still go to the CPU they come to");
            Chooser::Program
        }
        // A group of one, made without SO_REUSEPORT, has no program either.
        _ => Chooser::Hash,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(net: &Path, name: &str, index: u32, masks: &[&str]) {
        let folder = net.join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("ifindex"), format!("{index}\n")).unwrap();
        fs::write(folder.join("type"), if name == "lo" { "772\n" } else { "1\n" }).unwrap();
        for (queue, mask) in masks.iter().enumerate() {
            let queue = folder.join("queues").join(format!("rx-{queue}"));
            fs::create_dir_all(&queue).unwrap();
            fs::write(queue.join("rps_cpus"), format!("{mask}\n")).unwrap();
        }
    }

    #[test]
    fn interfaces_that_spread_are_found() {
        let net = tempfile::tempdir().unwrap();
        let net = net.path();
        assert_eq!(spreading_interfaces(&net.join("none")), []);
        interface(net, "lo", 1, &["3", "3"]);
        interface(net, "eth1", 7, &["00"]);
        interface(net, "eth0", 3, &["00", "00"]);
        interface(net, "veth0", 5, &["00000000,00000002"]);
        interface(net, "vlan7", 9, &["0"]);
        fs::create_dir(net.join("vlan7/lower_eth0")).unwrap();
        interface(net, "br1", 10, &["0"]);
        fs::create_dir(net.join("br1/lower_eth1")).unwrap();
        fs::create_dir(net.join("br1/lower_br1")).unwrap();
        let names: Vec<String> =
            spreading_interfaces(net).into_iter().map(|found| found.name).collect();
        assert_eq!(names, ["eth0", "veth0", "vlan7"]);
    }

    #[test]
    fn a_program_comes_and_goes() {
        let plan = |steering| crate::plan::ListenerPlan {
            name: None,
            address: Address::Ip("127.0.0.1:0".parse().unwrap()),
            backlog: 16,
            steering,
            proxy_protocol: false,
            trusted_proxies: crate::plan::TrustedProxies::default(),
            forwarded_for: true,
            access: None,
        };
        let bound = shard::bind(&plan(Steering::Cpu), 2, &[]).unwrap();
        let socket = (&bound.address, &bound.sockets[1]);
        let interfaces = [Interface { index: 1, name: "lo".to_owned() }];
        let now = |steering, present| apply(socket, steering, &[0, 1], &interfaces, present);
        assert_eq!(now(Steering::Hash, Chooser::Hash), Chooser::Hash);
        assert_eq!(now(Steering::Cpu, Chooser::Hash), Chooser::Program);
        assert_eq!(now(Steering::Cpu, Chooser::Program), Chooser::Program);
        assert_eq!(now(Steering::Balance, Chooser::Program), Chooser::Hash);
        assert_eq!(now(Steering::Hash, Chooser::Unknown), Chooser::Hash);
        let without = apply(socket, Steering::Cpu, &[0, 1], &[], Chooser::Unknown);
        assert_eq!(without, Chooser::Hash);
        let alone = apply(socket, Steering::Cpu, &[0], &interfaces, Chooser::Unknown);
        assert_eq!(alone, Chooser::Hash);
    }
}
