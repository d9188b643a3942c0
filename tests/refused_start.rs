//! Starts that cannot succeed: exit code 1, and one sentence on standard error that says what is
//! wrong and how to mend it.
//!
//! What happens before a ring exists is the same in each tier.

#[macro_use]
mod support;

use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::Path;

use rustix::thread::CapabilitySet;
use support::*;

tiered! {
    too_little_locked_memory_for_a_big_ring_is_said,
}

/// A configuration that needs no server.
fn simple() -> Config {
    in_tier_of(tiers()[0])
}

fn in_tier_of(tier: Tier) -> Config {
    Config::new(tier).route("path = \"/\"\nrespond = { status = 200, body = \"hi\" }")
}

/// Fails unless the process ended with code 1 after one sentence with all of `words`.
#[track_caller]
fn assert_refused(exit: &Exit, words: &[&str]) {
    assert_eq!(exit.status.code(), Some(1), "{}", exit.stderr);
    let sentence = exit.stderr.strip_prefix("corelane: ").unwrap_or_default();
    let fits = (20..400).contains(&sentence.len()) && sentence.lines().count() == 1;
    assert!(fits, "not one sentence: {:?}", exit.stderr);
    for word in words {
        assert!(sentence.contains(word), "no {word:?} in: {sentence}");
    }
    assert_eq!(exit.stdout, "");
}

/// The same for the attempt to start with this confinement.
#[track_caller]
fn assert_refused_when(confinement: Confinement, words: &[&str]) {
    assert_refused(&simple().confined(confinement).run_to_end(&["run"]), words);
}

#[test]
fn a_port_in_use() {
    let other = Origin::named("other");
    let address = other.address().to_string();
    let exit = simple().listener(&address).run_to_end(&["run"]);
    let remedy = format!("ss -ltnp 'sport = :{}'", other.address().port());
    assert_refused(&exit, &[&address, "in use", &remedy]);
}

#[test]
fn a_port_of_another_corelane_is_in_use_too() {
    let first = simple().start();
    let exit = simple().listener(&first.address().to_string()).run_to_end(&["run"]);
    assert_refused(&exit, &[&first.address().to_string(), "in use", "ss -ltnp"]);
}

#[test]
fn a_foreign_address() {
    let exit = simple().listener("192.0.2.1:8080").run_to_end(&["run"]);
    assert_refused(&exit, &["192.0.2.1:8080", "ip address"]);
}

#[test]
fn too_few_open_files() {
    let few = Confinement { open_files: Some(127), ..Confinement::default() };
    assert_refused_when(few, &["open files", "127", "128", "ulimit -n 65536"]);
}

#[test]
fn enough_open_files_are_enough() {
    let enough = Confinement { open_files: Some(128), ..Confinement::default() };
    assert_eq!(simple().confined(enough).start().get("/").text(), "hi");
}

#[test]
fn io_uring_that_a_seccomp_filter_denies() {
    let table = [
        // As Docker's profile does.
        (libc::EPERM, &["seccomp", "io_uring_setup", "profile"][..]),
        // As filters do that know nothing of io_uring, and kernels without it.
        (libc::ENOSYS, &["Linux 5.8", "seccomp", "io_uring_setup"]),
        // As kernels do that count a ring's memory against the limit.
        (libc::ENOMEM, &["locked memory", "ulimit -l"]),
        (libc::EMFILE, &["open files", "ulimit -n"]),
        (libc::EIO, &["io_uring", "dmesg"]),
    ];
    for (errno, words) in table {
        let denied = vec![(libc::SYS_io_uring_setup, errno)];
        assert_refused_when(Confinement { denied, ..Confinement::default() }, words);
    }
}

/// A filter that lets rings be made, and nothing be registered with them.
#[test]
fn io_uring_of_which_a_part_is_denied() {
    let denied = vec![(libc::SYS_io_uring_register, libc::EPERM)];
    let words = ["seccomp", "io_uring_register"];
    assert_refused_when(Confinement { denied, ..Confinement::default() }, &words);
}

/// KiB that glommio asks for in each executor.
const EXECUTOR: u64 = 512;
const MEMORY_REMEDY: &[&str] = &["locked memory", "KiB", "ulimit -l 8192", "LimitMEMLOCK"];

#[test]
fn too_little_locked_memory() {
    let little = Some(EXECUTOR - 1);
    let user = Confinement { locked_memory: little, unprivileged: true, ..Confinement::default() };
    assert_refused_when(user, MEMORY_REMEDY);
}

/// Root may raise the limit, unless it lacks the capability, as in most containers.
#[test]
fn too_little_locked_memory_for_root() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root is root");
        return;
    }
    let root = Confinement { locked_memory: Some(0), ..Confinement::default() };
    let without = Some(CapabilitySet::SYS_RESOURCE);
    let own = rustix::thread::capabilities(None).expect("our capabilities").effective;
    if own.contains(CapabilitySet::SYS_RESOURCE) {
        assert_eq!(simple().confined(root.clone()).start().get("/").text(), "hi");
    } else {
        println!("skipped in part: this root may not raise limits (CAP_SYS_RESOURCE)");
    }
    assert_refused_when(Confinement { without, ..root }, MEMORY_REMEDY);
}

/// Kernels differ in what they count: rings up to 5.11 and again from 6.14 on.
fn too_little_locked_memory_for_a_big_ring_is_said(tier: Tier) {
    let ring = format!("[ring]\ntier = \"{tier}\"\nentries = 32768");
    let user =
        Confinement { locked_memory: Some(1024), unprivileged: true, ..Confinement::default() };
    let started = in_tier_of(tier).toml(&ring).confined(user).try_start();
    match started {
        Ok(proxy) => assert_eq!(proxy.get("/").text(), "hi"),
        Err(exit) => assert_refused(&exit, &["locked memory", "ulimit -l"]),
    }
}

#[test]
fn a_missing_configuration() {
    for command in ["run", "check"] {
        let mut process = std::process::Command::new(binary());
        process.args([command, "-c", "/nowhere/corelane.toml"]);
        let exit = Proxy::spawn(process, None, String::new()).wait();
        assert_eq!(exit.status.code(), Some(1));
        assert!(exit.stderr.contains("/nowhere/corelane.toml"), "{}", exit.stderr);
        assert!(exit.stderr.contains("refused"), "{}", exit.stderr);
    }
}

#[test]
fn a_good_configuration_is_checked_in_one_line() {
    let exit = simple().run_to_end(&["check"]);
    assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
    assert_eq!(exit.stdout.lines().count(), 1, "{}", exit.stdout);
    assert!(exit.stdout.contains("ok"), "{}", exit.stdout);
}

#[test]
fn every_mistake_is_named_with_its_place() {
    let bad = simple()
        .toml("[[upstream]]\nname = \"app\"\nbalanse = \"random\"\nservers = [\"127.0.0.1:99999\"]")
        .route("path = \"/x\"\nupstream = \"ap\"");
    let text = bad.render();
    for command in ["check", "run"] {
        let exit = bad.run_to_end(&[command]);
        assert_eq!(exit.status.code(), Some(1), "{}", exit.stderr);
        for needle in ["balanse", "99999", "\"ap\""] {
            let index = text.lines().position(|line| line.contains(needle)).expect("a line");
            let place = format!("config.toml:{}:", index + 1);
            assert!(exit.stderr.contains(&place), "no {place} in: {}", exit.stderr);
        }
        assert!(exit.stderr.contains("balance"), "the nearest key is named: {}", exit.stderr);
        assert_eq!(exit.stderr.lines().count(), 4, "{}", exit.stderr);
    }
}

/// The attempt to listen on a Unix socket at this path, which is somebody else's.
#[track_caller]
fn assert_path_refused(path: &Path) {
    let place = |path: &Path| {
        let file = std::fs::symlink_metadata(path).expect("still there");
        (file.ino(), file.mode(), file.len(), file.mtime_nsec())
    };
    let before = place(path);
    let address = format!("unix:{}", path.display());
    let exit = simple().listener(&address).run_to_end(&["run"]);
    assert_refused(&exit, &[&address, "choose another path"]);
    assert_eq!(place(path), before);
}

#[test]
fn a_unix_listener_replaces_no_file() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("file"), "precious").expect("a file");
    std::fs::create_dir(at("directory")).expect("a directory");
    symlink(at("file"), at("link")).expect("a link");
    symlink(at("nowhere"), at("dangling")).expect("a link");
    for name in ["file", "directory", "link", "dangling"] {
        assert_path_refused(&at(name));
    }
    assert_eq!(std::fs::read(at("file")).expect("the file"), b"precious");
}

#[test]
fn a_unix_listener_takes_no_live_socket() {
    let origin = Origin::unix(|conn| {
        conn.request()?;
        conn.send(ok("alive"))
    });
    let Address::Unix(path) = origin.address().clone() else { panic!("a path") };
    assert_path_refused(&path);
    assert_eq!(Client::connect(origin.address()).get("/").text(), "alive");
    // Nor through a link to it.
    let dir = tempfile::tempdir().expect("a temporary directory");
    let link = dir.path().join("link");
    symlink(&path, &link).expect("a link");
    assert_path_refused(&link);
    assert!(std::fs::metadata(&path).expect("the socket").file_type().is_socket());
}

/// A socket whose accept queue is full answers nobody just now, and is alive.
#[test]
fn a_unix_listener_takes_no_busy_socket() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let address = Address::Unix(dir.path().join("busy"));
    let (busy, path) = address.socket();
    busy.bind(&path).and_then(|()| busy.listen(0)).expect("a listening socket");
    let queued = || {
        let (socket, path) = address.socket();
        socket.set_nonblocking(true).expect("O_NONBLOCK");
        socket.connect(&path).map(|()| socket)
    };
    let waiting: Vec<_> = std::iter::from_fn(|| queued().ok()).collect();
    assert!(!waiting.is_empty(), "none waits");
    assert_path_refused(&dir.path().join("busy"));
}

#[test]
fn a_unix_listener_of_another_corelane_goes_on() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("corelane.sock");
    let first = simple().listener(&format!("unix:{}", path.display())).start();
    assert_path_refused(&path);
    assert_eq!(first.get("/").text(), "hi");
}
