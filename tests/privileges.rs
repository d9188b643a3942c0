//! `user`: what is left of root's might. Says so and does nothing where the tests are not run as
//! root.

#[macro_use]
mod support;

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use rustix::process::Signal;
use support::*;

tiered! {
    a_process_of_root_becomes_the_user,
    it_opens_low_ports_still,
    files_of_sockets_become_the_users,
    the_access_log_becomes_the_users,
    a_new_process_that_takes_over_is_no_root_either,
    another_user_takes_effect_at_the_next_start,
    an_unknown_account_is_refused,
}

/// Exist everywhere.
const USER: &str = "user = \"nobody\"";
const NOBODY: &str = "65534";
/// CAP_NET_BIND_SERVICE and nothing else, as in /proc.
const KEPT: &str = "0000000000000400";

fn may_change() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: only root can become another user");
    }
    is_root
}

fn saying(tier: Tier, text: &str) -> Config {
    let for_all = Confinement { for_all: true, ..Confinement::default() };
    Config::new(tier).saying(text).top(USER).confined(for_all)
}

/// Fails unless each thread of the process is nobody's and has nothing but what is kept.
#[track_caller]
fn assert_is_nobody(pid: u32) {
    let threads = PathBuf::from(format!("/proc/{pid}/task"));
    let threads: Vec<_> = threads.read_dir().expect("its threads").map(Result::unwrap).collect();
    assert!(threads.len() > 2, "shards and control are threads: {}", threads.len());
    for thread in threads {
        let status = std::fs::read_to_string(thread.path().join("status")).expect("a thread");
        let field = |name: &str| {
            let line = status.lines().find(|line| line.split(':').next() == Some(name));
            let words = line.unwrap_or_else(|| panic!("{name} in {status}")).split_whitespace();
            words.skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        for ids in ["Uid", "Gid"] {
            assert_eq!(field(ids), [NOBODY; 4], "{ids}");
        }
        assert!(!field("Groups").contains(&"0".to_owned()), "{:?}", field("Groups"));
        for set in ["CapEff", "CapPrm"] {
            assert_eq!(field(set), [KEPT], "{set}");
        }
        assert_eq!(field("NoNewPrivs"), ["1"]);
    }
}

fn a_process_of_root_becomes_the_user(tier: Tier) {
    if !may_change() {
        return;
    }
    let proxy = saying(tier, "served").shards(2).start();
    assert_eq!(proxy.get("/").text(), "served");
    assert_is_nobody(proxy.pid());
    assert!(proxy.terminate().status.success());
}

/// An address with a port below 1024 that is free.
fn low_address() -> String {
    let free = |port: &u16| TcpListener::bind(("127.0.0.9", *port)).is_ok();
    let port = (600..1_000).find(free).expect("a free port");
    format!("127.0.0.9:{port}")
}

fn it_opens_low_ports_still(tier: Tier) {
    if !may_change() {
        return;
    }
    // No two of the tiers at once.
    let _alone = alone();
    let address = low_address();
    let proxy = saying(tier, "one").listener("127.0.0.1:0").start();
    proxy.reload(&saying(tier, "two").listener("127.0.0.1:0").listener(&address));
    let low = address.parse().expect("an address");
    assert_eq!(Client::connect(&low).get("/").text(), "two");
    assert_is_nobody(proxy.pid());
}

/// Opened by root, so that it may lie where only root could make it; rotated by the user.
fn the_access_log_becomes_the_users(tier: Tier) {
    if !may_change() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let [log, old] = ["access.log", "access.log.1"].map(|name| dir.path().join(name));
    let table = format!("[access_log]\nto = {log:?}\nformat = '$uri'");
    let proxy = saying(tier, "one").toml(&table).start();
    assert_is_nobody(proxy.pid());
    let owner = |file: &PathBuf| file.metadata().expect("a log").uid().to_string();
    assert_eq!(owner(&log), NOBODY);
    // Without the right to make a file, the old one stays in use.
    std::fs::rename(&log, &old).expect("a log to rotate");
    proxy.signal(Signal::USR1);
    proxy.await_stderr("the old file is kept");
    proxy.get("/a");
    let text = |file: &PathBuf| std::fs::read_to_string(file).unwrap_or_default();
    wait_until("the line is there", || text(&old) == "/a\n");
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).expect("its mode");
    proxy.signal(Signal::USR1);
    wait_until("there is a new file", || log.exists());
    proxy.get("/b");
    wait_until("the line is there", || text(&log) == "/b\n");
    assert_eq!((owner(&log), text(&old)), (NOBODY.to_owned(), "/a\n".to_owned()));
}

fn files_of_sockets_become_the_users(tier: Tier) {
    if !may_change() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let [listener, admin] = ["listener.sock", "admin.sock"].map(|name| dir.path().join(name));
    let proxy = saying(tier, "one")
        .listener(&format!("unix:{}", listener.display()))
        .toml(&format!("[admin]\naddress = \"unix:{}\"\nmode = \"0660\"", admin.display()))
        .start();
    for file in [&listener, &admin] {
        let metadata = std::fs::metadata(file).expect("a socket");
        assert_eq!(metadata.uid().to_string(), NOBODY, "{}", file.display());
        assert_eq!(metadata.gid().to_string(), NOBODY, "{}", file.display());
    }
    assert_is_nobody(proxy.pid());
}

fn a_new_process_that_takes_over_is_no_root_either(tier: Tier) {
    if !may_change() {
        return;
    }
    let proxy = saying(tier, "one").start();
    let address = proxy.address();
    proxy.rewrite(&saying(tier, "two"));
    let successor = proxy.upgrade();
    wait_until("it serves", || Client::connect(&address).get("/").text() == "two");
    assert_is_nobody(successor.number().cast_unsigned());
    successor.terminate();
    assert!(proxy.wait_without_output().success());
}

fn another_user_takes_effect_at_the_next_start(tier: Tier) {
    if !may_change() {
        return;
    }
    let proxy = saying(tier, "one").start();
    let other = saying(tier, "two").render().replace("nobody", "daemon");
    proxy.rewrite_text(&other);
    proxy.signal(Signal::HUP);
    proxy.await_stderr("`user` or `group` changed; that takes effect at the next start");
    wait_until("the rest holds", || proxy.get("/").text() == "two");
    assert_is_nobody(proxy.pid());
}

fn an_unknown_account_is_refused(tier: Tier) {
    if !may_change() {
        return;
    }
    for (named, sentence) in [
        ("user = \"nobody-at-all\"", "there is no user `nobody-at-all`"),
        ("user = \"nobody\"\ngroup = \"no-such-group\"", "there is no group `no-such-group`"),
    ] {
        let exit = Config::new(tier).top(named).origin("app", &Origin::named("a")).try_start();
        let exit = exit.err().unwrap_or_else(|| panic!("it started in spite of {named}"));
        assert_eq!(exit.status.code(), Some(1), "{}", exit.stderr);
        assert!(exit.stderr.contains(sentence), "{}", exit.stderr);
    }
}
