//! A new process takes over the listening sockets: SIGUSR2. Nobody outside notices.

#[macro_use]
mod support;

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rustix::process::Signal;
use support::*;

tiered! {
    a_new_process_takes_over_and_the_old_one_finishes,
    a_new_process_that_fails_changes_nothing,
    a_unix_sockets_file_stays_with_who_listens,
    a_process_that_took_over_can_be_taken_over,
    a_new_process_is_no_child_of_the_old_one_and_ends_after_it,
    more_or_fewer_shards_inherit_all_sockets,
    no_request_fails_while_processes_change,
}

fn saying(tier: Tier, text: &str) -> Config {
    Config::new(tier).saying(text)
}

fn a_new_process_takes_over_and_the_old_one_finishes(tier: Tier) {
    let gate = Gate::shut();
    let held = gate.clone();
    let origin = Origin::answering(move |request| {
        if request.target == "/held" {
            held.wait();
        }
        ok("old")
    });
    let proxy = Proxy::before(tier, &origin);
    let address = proxy.address();
    let mut client = proxy.client();
    client.send("GET /held HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.await_requests(1);
    proxy.rewrite(&saying(tier, "new"));
    let successor = proxy.upgrade();
    let ask = || Client::connect(&address).get("/").text().to_owned();
    wait_until("the new process serves alone", || ask() == "new");
    for _ in 0..5 {
        assert_eq!(ask(), "new");
    }
    gate.open();
    let response = client.response();
    assert_eq!(response.status, 200);
    assert!(response.fields.lists("connection", "close"));
    assert!(proxy.wait_without_output().success());
    assert_eq!(Client::connect(&address).get("/").text(), "new");
    successor.terminate();
}

fn a_new_process_that_fails_changes_nothing(tier: Tier) {
    let proxy = saying(tier, "one").start();
    let mut client = proxy.client();
    proxy.rewrite(&saying(tier, "two").toml("[nonsense]\na = 1"));
    proxy.signal(Signal::USR2);
    let line = proxy.await_stderr("no upgrade: the new process ended before it served");
    assert!(line.contains("exit status: 1"), "{line}");
    assert_eq!(client.get("/").text(), "one");
    assert_eq!(proxy.get("/").text(), "one");
    // Once mended, it works.
    proxy.rewrite(&saying(tier, "two"));
    let address = proxy.address();
    let successor = proxy.upgrade();
    assert!(proxy.wait_without_output().success());
    assert_eq!(Client::connect(&address).get("/").text(), "two");
    successor.terminate();
}

fn a_unix_sockets_file_stays_with_who_listens(tier: Tier) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("proxy.sock");
    let address: Address = format!("unix:{}", path.display()).parse().expect("an address");
    let config = |text: &str| saying(tier, text).listener(&address.to_string());
    let proxy = config("one").start();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("its file");
    proxy.rewrite(&config("bad").toml("[nonsense]\na = 1"));
    proxy.signal(Signal::USR2);
    proxy.await_stderr("no upgrade");
    assert_eq!(Client::connect(&address).get("/").text(), "one");
    proxy.rewrite(&config("two"));
    let successor = proxy.upgrade();
    assert!(proxy.wait_without_output().success());
    assert_eq!(Client::connect(&address).get("/").text(), "two");
    successor.terminate();
    wait_until("the file goes with the last process", || !path.exists());
}

fn a_process_that_took_over_can_be_taken_over(tier: Tier) {
    let proxy = saying(tier, "one").start();
    let address = proxy.address();
    proxy.rewrite(&saying(tier, "two"));
    let second = proxy.upgrade();
    proxy.rewrite(&saying(tier, "three"));
    let third = proxy.succession(|| second.signal(Signal::USR2));
    wait_until("the third serves", || Client::connect(&address).get("/").text() == "three");
    wait_until("the second has gone", || !second.is_running());
    third.terminate();
    assert!(proxy.wait_without_output().success());
}

/// A service manager waits for its own children only, and when the main process has ended it ends
/// what is left of the service.
fn a_new_process_is_no_child_of_the_old_one_and_ends_after_it(tier: Tier) {
    let gate = Gate::shut();
    let held = gate.clone();
    let origin = Origin::answering(move |_| {
        held.wait();
        ok("held")
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.await_requests(1);
    let successor = proxy.upgrade();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", successor.number()));
    let stat = stat.expect("a process");
    let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
    assert_ne!(parent, Some(proxy.pid().to_string().as_str()), "{stat}");
    successor.signal(Signal::TERM);
    proxy.await_stderr("draining; a second signal ends at once");
    assert!(!comes_true(ms(300), || !successor.is_running()), "the old one serves still");
    gate.open();
    assert_eq!(client.response().text(), "held");
    drop(client);
    assert!(proxy.wait_without_output().success());
    wait_until("the new one has ended", || !successor.is_running());
}

fn more_or_fewer_shards_inherit_all_sockets(tier: Tier) {
    let config =
        |shards: usize| saying(tier, "served").shards(shards).toml("[limits]\nconnections = 100");
    for (before, after) in [(1, 2), (2, 1)] {
        let proxy = config(before).start();
        let address = proxy.address();
        proxy.rewrite(&config(after));
        let successor = proxy.upgrade();
        // With a socket that nobody accepts from, one of these would wait in vain.
        for _ in 0..40 {
            assert_eq!(Client::connect(&address).get("/").text(), "served");
        }
        assert!(proxy.wait_without_output().success());
        successor.terminate();
    }
}

fn no_request_fails_while_processes_change(tier: Tier) {
    const UPGRADES: usize = 3;
    let origin = Origin::named("app");
    let config = Config::new(tier).shards(2).origin("app", &origin);
    let proxy = config.start();
    let address = proxy.address();
    let (over, served) = (Over::default(), AtomicU64::new(0));
    let last = thread::scope(|scope| {
        for number in 0..4 {
            let (over, served, address) = (&over, &served, &address);
            scope.spawn(move || {
                let mut client = Client::connect(address);
                while !over.is_so() {
                    let response = client.get("/");
                    assert_eq!(response.status, 200);
                    served.fetch_add(1, Ordering::Relaxed);
                    // Some on one connection for as long as they may, some always on a new one.
                    if number % 2 == 1 || response.fields.lists("connection", "close") {
                        client = Client::connect(address);
                    }
                }
            });
        }
        let _end = over.at_the_end();
        let mut latest = proxy.upgrade();
        for _ in 1..UPGRADES {
            let next = proxy.succession(|| latest.signal(Signal::USR2));
            wait_until("the one before has gone", || !latest.is_running());
            latest = next;
        }
        let count = served.load(Ordering::Relaxed);
        wait_until("requests go on", || served.load(Ordering::Relaxed) > count + 50);
        latest
    });
    last.terminate();
    assert!(proxy.wait_without_output().success());
}
