//! Which shard serves a connection (`steering` of a listener).
//!
//! The log at level debug says of each connection who accepted it, who serves it, and which CPU its
//! packets come to. For `cpu`, the tests make network namespaces with veth pairs between them, and
//! RPS brings the packets of each pair to a CPU of their choice; that takes root and iproute2.

#[macro_use]
mod support;

use std::collections::HashMap;
use std::fmt::Display;
use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use support::*;

tiered! {
    connections_of_one_shard_are_shared_out,
    a_reload_changes_who_serves,
    a_drain_serves_what_is_handed_over,
    whom_a_proxy_announces_is_known_to_who_serves,
    no_request_fails_while_shards_share_and_change,
    a_single_queue_keeps_the_hash,
    connections_go_to_the_cpu_they_come_to,
}

const SHARDS: usize = 2;
const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/// Two shards with this `steering` that answer by themselves.
fn steering(tier: Tier, steering: &str) -> Config {
    listening(tier, &format!("address = \"127.0.0.1:0\"\nsteering = {steering:?}"))
}

fn listening(tier: Tier, listener: &str) -> Config {
    let route = "path = \"/\"\nrespond = { status = 200, body = \"here\" }";
    let config = Config::new(tier).shards(SHARDS).route(route);
    config.toml(&format!("[[listener]]\n{listener}\n[log]\nlevel = \"debug\""))
}

/// What the log says of a connection.
#[derive(Clone, Copy, Debug)]
struct Served {
    shard: usize,
    cpu: usize,
    came_to: usize,
    accepted_by: usize,
}

/// By the client's address.
fn served(log: &str) -> HashMap<SocketAddr, Served> {
    let field = |line: &str, name: &str| {
        let (_, value) = line.split_once(&format!(" {name}="))?;
        Some(value.split_whitespace().next()?.to_owned())
    };
    let connection = |line: &str| {
        let number = |name: &str| field(line, name)?.parse::<usize>().ok();
        let peer = field(line, "peer")?;
        let peer = peer.strip_prefix("Some(")?.strip_suffix(')')?.parse().ok()?;
        let (shard, cpu) = (number("shard")?, number("cpu")?);
        let (came_to, accepted_by) = (number("came_to")?, number("accepted_by")?);
        Some((peer, Served { shard, cpu, came_to, accepted_by }))
    };
    log.lines()
        .filter(|line| line.contains("serving a connection"))
        .filter_map(connection)
        .collect()
}

/// How each of these clients is served.
#[track_caller]
fn who_serves(proxy: &Proxy, clients: &[SocketAddr]) -> Vec<Served> {
    let mut found = Vec::new();
    wait_until("the log tells of all", || {
        let served = served(&proxy.stderr());
        found = clients.iter().filter_map(|client| served.get(client).copied()).collect();
        found.len() == clients.len()
    });
    found
}

fn per_shard(served: &[Served], shard: impl Fn(&Served) -> usize) -> [usize; SHARDS] {
    let mut counts = [0; SHARDS];
    served.iter().for_each(|one| counts[shard(one)] += 1);
    counts
}

fn local(client: &Client) -> SocketAddr {
    Address::bound(client.socket()).tcp()
}

/// Client addresses, at least `count`, that the kernel's hash gives to the first shard. It does so
/// again when they come again: the proxy must listen at one address all the while.
#[track_caller]
fn sources_of_one_shard(proxy: &Proxy, count: usize) -> Vec<SocketAddr> {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    // One of its own: no other test takes the ports meanwhile.
    let source = format!("127.9.0.{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let address = proxy.address();
    let (mut sources, mut kept) = (Vec::new(), Vec::new());
    while sources.len() < count {
        let clients: Vec<_> = (0..50)
            .map(|_| {
                let mut client = Client::connect_from(&source, &address);
                client.reset_on_close();
                assert_eq!(client.get("/").status, 200);
                client
            })
            .collect();
        let addresses: Vec<SocketAddr> = clients.iter().map(local).collect();
        let served = who_serves(proxy, &addresses);
        let first = addresses.into_iter().zip(served).filter(|(_, one)| one.accepted_by == 0);
        sources.extend(first.map(|(address, _)| address));
        // Else the next ones would have the same ports.
        kept.extend(clients);
    }
    drop(kept);
    wait_until("they have left", || proxy.usage().of("client connections open") == 0);
    sources.truncate(count);
    sources
}

/// A proxy that steers by hash, and such addresses; then it goes on with `config`.
#[track_caller]
fn uneven(tier: Tier, config: &Config, count: usize) -> (Proxy, Vec<SocketAddr>) {
    let proxy = steering(tier, "hash").start();
    let sources = sources_of_one_shard(&proxy, count);
    // The same listener for it, by its address as configured, and so the same socket.
    proxy.reload(config);
    (proxy, sources)
}

/// Clients from these addresses, who have all connected when the proxy looks.
#[track_caller]
fn burst(proxy: &Proxy, sources: &[SocketAddr], greeting: &str) -> Vec<Client> {
    proxy.signal(Signal::STOP);
    let address = proxy.address();
    let connect = |source: &SocketAddr| {
        let mut client = Client::connect_bound(*source, &address);
        client.reset_on_close();
        client.send(greeting);
        client
    };
    let clients = sources.iter().map(connect).collect();
    proxy.signal(Signal::CONT);
    clients
}

/// How many lines of the log tell of a connection.
fn lines(proxy: &Proxy) -> usize {
    proxy.stderr().matches("serving a connection").count()
}

fn connections_of_one_shard_are_shared_out(tier: Tier) {
    for count in [8, 64, 300] {
        let (proxy, sources) = uneven(tier, &steering(tier, "balance"), count);
        let before = lines(&proxy);
        let mut clients = burst(&proxy, &sources, GET);
        for client in &mut clients {
            assert_eq!(client.response().text(), "here");
            assert_eq!(client.get("/").text(), "here", "and once more");
        }
        // These addresses were there before: their latest lines count.
        wait_until("the log is complete", || lines(&proxy) >= before + count);
        let served = who_serves(&proxy, &sources);
        let accepted = per_shard(&served, |one| one.accepted_by);
        assert_eq!(accepted, [count, 0], "one shard accepts all");
        let [one, other] = per_shard(&served, |one| one.shard);
        let most = one.max(other);
        // One that is being taken at that moment may be seen twice: published, and under way.
        assert!(one.abs_diff(other) <= 2.max(most / 16) + 1, "{one} and {other} of {count}");
        let usage = proxy.usage();
        assert_eq!(usage.of("client connections open"), count as u64);
        assert_eq!(usage.of("connections handed to a less loaded shard"), other as u64);
        drop(clients);
        wait_until("all have left", || proxy.usage().of("client connections open") == 0);
        assert!(proxy.terminate().status.success());
    }
}

fn a_reload_changes_who_serves(tier: Tier) {
    const COUNT: usize = 16;
    let (proxy, sources) = uneven(tier, &steering(tier, "balance"), COUNT);
    let handed = || proxy.usage().of("connections handed to a less loaded shard");
    for balanced in [true, false, true] {
        proxy.reload(&steering(tier, if balanced { "balance" } else { "hash" }));
        let before = handed();
        let mut clients = burst(&proxy, &sources, GET);
        clients.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
        assert_eq!(handed() > before, balanced);
        drop(clients);
        wait_until("all have left", || proxy.usage().of("client connections open") == 0);
    }
}

/// The signal comes before, among and after what is handed over.
fn a_drain_serves_what_is_handed_over(tier: Tier) {
    const COUNT: usize = 100;
    for answered_before in [0, 1, 10, COUNT] {
        let (proxy, sources) = uneven(tier, &steering(tier, "balance"), COUNT);
        let accepted = proxy.usage().of("connections accepted");
        let mut clients = burst(&proxy, &sources, GET);
        for client in clients.iter_mut().take(answered_before) {
            assert_eq!(client.response().text(), "here");
        }
        proxy.signal(Signal::TERM);
        for client in clients.iter_mut().skip(answered_before) {
            assert_eq!(client.response().text(), "here");
        }
        drop(clients);
        let exit = proxy.wait();
        assert!(exit.status.success());
        assert!(!exit.stderr.contains("drain timeout"), "{}", exit.stderr);
        let line = format!("connections accepted: {}", accepted + COUNT as u64);
        assert!(exit.stderr.contains(&line), "{line}:\n{}", exit.stderr);
    }
}

fn whom_a_proxy_announces_is_known_to_who_serves(tier: Tier) {
    const COUNT: usize = 40;
    let listener = "address = \"127.0.0.1:0\"\nsteering = \"balance\"\nproxy_protocol = true\n\
                    trusted_proxies = \"127.9.0.0/16\"\nallow = \"192.0.2.7\"";
    let (proxy, sources) = uneven(tier, &listening(tier, listener), COUNT);
    let greeting = |client: &str| format!("PROXY TCP4 {client} 192.0.2.1 1000 80\r\n{GET}");
    for (client, status) in [("192.0.2.7", 200), ("192.0.2.8", 403)] {
        let mut clients = burst(&proxy, &sources, &greeting(client));
        for client in &mut clients {
            assert_eq!(client.response().status, status);
        }
        drop(clients);
        wait_until("all have left", || proxy.usage().of("client connections open") == 0);
    }
    let handed = proxy.usage().of("connections handed to a less loaded shard");
    assert!(handed >= COUNT as u64 * 2 / 3, "{handed}");
}

/// Reloads that turn it on and off, and an upgrade, under clients on new connections.
fn no_request_fails_while_shards_share_and_change(tier: Tier) {
    let proxy = steering(tier, "balance").toml("[limits]\nconnections = 40").start();
    let address = proxy.address();
    let (over, answered) = (Over::default(), AtomicU64::new(0));
    let successor = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.is_so() {
                    let mut clients: Vec<_> = (0..8).map(|_| Client::connect(&address)).collect();
                    clients.iter_mut().for_each(|client| client.send(GET));
                    for client in &mut clients {
                        assert_eq!(client.response().status, 200);
                        client.reset_on_close();
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let _end = over.at_the_end();
        let more = || {
            let count = answered.load(Ordering::Relaxed);
            wait_until("requests go on", || answered.load(Ordering::Relaxed) > count + 200);
        };
        for how in ["hash", "balance", "cpu", "balance"] {
            more();
            proxy.reload(&steering(tier, how).toml("[limits]\nconnections = 40"));
        }
        more();
        assert_ne!(proxy.usage().of("connections handed to a less loaded shard"), 0);
        let successor = proxy.upgrade();
        more();
        successor
    });
    assert!(proxy.wait_without_output().success());
    successor.terminate();
}

fn cpus() -> Vec<core_affinity::CoreId> {
    core_affinity::get_core_ids().expect("the CPUs of this process")
}

/// The kernel's hash lets neither shard go without.
#[track_caller]
fn assert_spread(proxy: &Proxy, address: &Address) {
    let clients: Vec<Client> = (0..64).map(|_| visit(address)).collect();
    let clients: Vec<SocketAddr> = clients.iter().map(local).collect();
    let counts = per_shard(&who_serves(proxy, &clients), |one| one.shard);
    assert!(counts.iter().all(|count| *count >= 8), "{counts:?} of 64");
}

#[track_caller]
fn visit(address: &Address) -> Client {
    let mut client = Client::connect(address);
    client.reset_on_close();
    assert_eq!(client.get("/").text(), "here");
    client
}

/// Two network namespaces, one for the proxy and one for clients, with veth pairs between them.
/// They go when it is dropped.
struct Network {
    proxy: String,
    clients: String,
}

impl Network {
    /// `None`, and why, where that is not allowed. Pair N has 198.18.N.1 and .2; its packets come
    /// to the Nth of `cpus`, or where the client runs if that is `None`.
    fn new(cpus: &[Option<usize>]) -> Option<Network> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        if !rustix::process::geteuid().is_root() {
            println!("skipped: network namespaces take root");
            return None;
        }
        let name = format!("cl{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let network = Network { proxy: format!("{name}p"), clients: format!("{name}c") };
        for namespace in [&network.proxy, &network.clients] {
            if let Err(why) = run(&format!("ip netns add {namespace}")) {
                println!("skipped: no network namespaces: {why}");
                return None;
            }
        }
        for (pair, cpu) in cpus.iter().enumerate() {
            if let Err(why) = network.pair(pair, *cpu) {
                println!("skipped: no veth pair with RPS: {why}");
                return None;
            }
        }
        Some(network)
    }

    fn pair(&self, number: usize, cpu: Option<usize>) -> Result<(), String> {
        let Network { proxy, clients } = self;
        run(&format!(
            "ip link add v{number} netns {proxy} type veth peer name v{number} netns {clients}"
        ))?;
        for (namespace, host) in [(proxy, 1), (clients, 2)] {
            run(&format!("ip -n {namespace} address add 198.18.{number}.{host}/24 dev v{number}"))?;
            run(&format!("ip -n {namespace} link set v{number} up"))?;
            run(&format!("ip -n {namespace} link set lo up"))?;
        }
        let Some(cpu) = cpu else { return Ok(()) };
        let mask = format!("/sys/class/net/v{number}/queues/rx-0/rps_cpus");
        run(&format!("ip netns exec {proxy} sh -c 'echo {:x} > {mask}'", 1u64 << cpu))
    }

    /// Runs the proxy in its namespace.
    #[track_caller]
    fn start(&self, config: &str) -> Proxy {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("config.toml");
        std::fs::write(&file, config).expect("a configuration file");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.proxy]).arg(binary()).args(["run", "-c"]).arg(file);
        let proxy = Proxy::spawn(command, Some(dir), config.to_owned());
        proxy.await_stderr("ready");
        proxy
    }

    /// Does something in one of the namespaces, on this CPU.
    fn within<T: Send>(name: &str, cpu: usize, action: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{name}")).expect("a namespace");
        thread::scope(|scope| {
            let there = scope.spawn(|| {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), kind).expect("its own thread");
                assert!(core_affinity::set_for_current(core_affinity::CoreId { id: cpu }));
                action()
            });
            there.join().expect("no panic there")
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in [&self.proxy, &self.clients] {
            let _ = run(&format!("ip netns delete {namespace}"));
        }
    }
}

fn run(line: &str) -> Result<(), String> {
    let output = Command::new("sh").args(["-c", line]).output();
    let output = output.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{line}: {said}")) }
}

/// The address of the proxy on a pair.
fn on_pair(number: usize) -> Address {
    Address::Tcp(SocketAddr::from(([198, 18, number as u8, 1], 8080)))
}

/// Fails unless 19 of 20 connections through this pair are served where they come to, on `cpu`.
#[track_caller]
fn assert_steered(proxy: &Proxy, pair: usize, cpu: usize, when: impl Display) {
    const COUNT: usize = 40;
    let clients: Vec<Client> = (0..COUNT).map(|_| visit(&on_pair(pair))).collect();
    let clients: Vec<SocketAddr> = clients.iter().map(local).collect();
    let served = who_serves(proxy, &clients);
    assert!(served.iter().all(|one| one.came_to == cpu), "{when}: RPS: {served:?}");
    let at_home = served.iter().filter(|one| one.cpu == one.came_to).count();
    assert!(at_home * 100 >= COUNT * 95, "{when}: {at_home} of {COUNT} for CPU {cpu}");
}

/// A configuration with shards on these CPUs, for a namespace of its own.
fn everywhere(tier: Tier, steering: &str, cpus: &[usize]) -> String {
    format!(
        "shards = {cpus:?}\nlog.level = \"debug\"\nring.tier = \"{tier}\"\n\
         [[listener]]\naddress = \"0.0.0.0:8080\"\nsteering = {steering:?}\n\
         [[route]]\npath = \"/\"\nrespond = {{ status = 200, body = \"here\" }}\n"
    )
}

fn a_single_queue_keeps_the_hash(tier: Tier) {
    let all: Vec<usize> = cpus().into_iter().map(|cpu| cpu.id).collect();
    let &[first, second, ..] = &all[..] else {
        println!("skipped: one CPU");
        return;
    };
    let Some(network) = Network::new(&[None]) else { return };
    let proxy = network.start(&everywhere(tier, "cpu", &[first, second]));
    proxy.await_stderr("steering = \"cpu\" changes nothing yet");
    Network::within(&network.clients, second, || assert_spread(&proxy, &on_pair(0)));
}

fn connections_go_to_the_cpu_they_come_to(tier: Tier) {
    let all: Vec<usize> = cpus().into_iter().map(|cpu| cpu.id).collect();
    let &[first, second, ..] = &all[..] else {
        println!("skipped: one CPU");
        return;
    };
    if first.max(second) >= 32 {
        println!("skipped: CPUs {first} and {second}, beyond the first word of a mask");
        return;
    }
    let Some(network) = Network::new(&[Some(first), Some(second), None]) else { return };
    // The order of the shards is not that of the CPUs.
    let config = |steering: &str, cpus: &[usize]| everywhere(tier, steering, cpus);
    let proxy = network.start(&config("cpu", &[second, first]));
    let through = proxy.await_stderr("connections go to the CPU they come to");
    assert!(through.contains("v0, v1") && !through.contains("v2"), "{through}");
    Network::within(&network.clients, first, || {
        let check = |when: &str| {
            assert_steered(&proxy, 0, first, when);
            assert_steered(&proxy, 1, second, when);
            // No RPS: the packets come to the client's CPU, and all would go to one shard.
            assert_spread(&proxy, &on_pair(2));
            let loopback = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 8080)));
            Network::within(&network.proxy, first, || assert_spread(&proxy, &loopback));
        };
        check("at first");
        let at_home = proxy.usage().of("connections served on the CPU they came to");
        assert!(at_home >= 76, "{at_home}");
        proxy.reload_text(&config("hash", &[second, first]));
        assert_spread(&proxy, &on_pair(0));
        proxy.reload_text(&config("cpu", &[second, first]));
        check("after a reload");
        // Other shards, with the same sockets: the new process must say anew which is whose.
        proxy.rewrite_text(&config("cpu", &[first, second]));
        let successor = proxy.upgrade();
        wait_until("the new one steers", || {
            proxy.stderr().matches("connections go to the CPU they come to").count() == 3
        });
        check("after an upgrade");
        successor.terminate();
    });
    assert!(proxy.wait_without_output().success());
}
