//! As a service: what the manager is told (sd_notify(3)), and sockets that it opened
//! (systemd.socket(5)).

#![allow(clippy::disallowed_types, reason = "the house rules on locks are for shards")]

mod support;

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::Signal;
use socket2::{Domain, Socket, Type};
use support::*;

/// A service manager, as far as it listens.
struct Manager {
    dir: tempfile::TempDir,
    said: Arc<Mutex<Vec<String>>>,
}

impl Manager {
    fn new() -> Manager {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = UnixDatagram::bind(dir.path().join("notify")).expect("a socket");
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = said.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            let mut message = [0; 1024];
            while let Ok(length) = socket.recv(&mut message) {
                let text = String::from_utf8_lossy(&message[..length]).into_owned();
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.extend(text.lines().map(str::to_owned));
            }
        });
        Manager { dir, said }
    }

    /// Starts a proxy with these variables.
    fn start(&self, config: &Config, variables: &[(&str, String)]) -> Proxy {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("config.toml");
        std::fs::write(&file, config.render()).expect("a configuration file");
        let mut command = Command::new(binary());
        command.arg("run").arg("-c").arg(&file).envs(variables.iter().cloned());
        command.env("NOTIFY_SOCKET", self.dir.path().join("notify"));
        let proxy = Proxy::spawn(command, Some(dir), config.render());
        proxy.await_stderr("ready");
        proxy
    }

    fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, line: &str) -> usize {
        self.said().iter().filter(|said| said.starts_with(line)).count()
    }

    fn await_count(&self, line: &str, count: usize) {
        wait_until(line, || self.count(line) >= count);
    }
}

fn saying(text: &str) -> Config {
    Config::new(tiers()[0]).saying(text)
}

#[test]
fn the_manager_hears_of_start_reload_and_end() {
    let manager = Manager::new();
    let proxy = manager.start(&saying("one"), &[]);
    manager.await_count("READY=1", 1);
    assert_eq!(manager.count("WATCHDOG=1"), 0, "nobody asked for it");
    proxy.reload(&saying("two"));
    manager.await_count("RELOADING=1", 1);
    manager.await_count("MONOTONIC_USEC=", 1);
    manager.await_count("READY=1", 2);
    proxy.rewrite(&saying("three").toml("[nonsense]\na = 1"));
    proxy.signal(Signal::HUP);
    manager.await_count("RELOADING=1", 2);
    manager.await_count("STATUS=serving; the last reload was refused", 1);
    manager.await_count("READY=1", 3);
    proxy.terminate();
    manager.await_count("STOPPING=1", 1);
}

#[test]
fn a_watchdog_is_fed_by_living_shards() {
    let manager = Manager::new();
    let interval = [("WATCHDOG_USEC", "300000".to_owned())];
    let proxy = manager.start(&saying("one").shards(2), &interval);
    manager.await_count("WATCHDOG=1", 5);
    proxy.terminate();
}

#[test]
fn after_an_upgrade_the_new_process_is_the_service() {
    let manager = Manager::new();
    let proxy = manager.start(&saying("one"), &[("WATCHDOG_USEC", "300000".to_owned())]);
    let successor = proxy.upgrade();
    manager.await_count("MAINPID=", 1);
    manager.await_count("READY=1", 2);
    let process = successor.number();
    // What anybody but the main process says is not heard.
    let said = manager.said();
    let told = said.iter().position(|said| *said == format!("MAINPID={process}"));
    let ready = said.iter().rposition(|said| said == "READY=1");
    assert!(told.is_some() && told < ready, "{said:?}");
    assert!(proxy.wait_without_output().success());
    let fed = manager.count("WATCHDOG=1");
    manager.await_count("WATCHDOG=1", fed + 3);
    successor.terminate();
}

/// Lets the next process inherit it, and says under which number.
fn passed_on(socket: &OwnedFd) -> i32 {
    fcntl_setfd(socket.as_fd(), FdFlags::empty()).expect("a flag");
    socket.as_raw_fd()
}

#[test]
fn sockets_of_the_manager_are_used() {
    let manager = Manager::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("an address").to_string();
    // Who comes before the proxy runs is served by it.
    let mut early = Client::connect(&address.parse().expect("an address"));
    early.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    let socket = OwnedFd::from(listener);
    let variables =
        [("LISTEN_FDS", "1".to_owned()), ("LISTEN_FDS_FIRST_FD", passed_on(&socket).to_string())];
    let proxy = manager.start(&saying("one").shards(2).listener(&address), &variables);
    assert_eq!(early.response().text(), "one");
    for _ in 0..20 {
        assert_eq!(proxy.get("/").text(), "one");
    }
    proxy.terminate();
    // The manager still has it.
    let address = address.parse().expect("an address");
    let mut late = Client::connect(&address);
    late.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    let proxy = manager.start(&saying("two").listener(&address.to_string()), &variables);
    assert_eq!(late.response().text(), "two");
    proxy.terminate();
}

/// Our own listeners of IPv6 take no IPv4; one of the manager's may take both.
#[test]
fn lists_know_ipv4_clients_of_a_socket_for_both() {
    let manager = Manager::new();
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None).expect("a socket");
    socket.set_only_v6(false).expect("a socket for both");
    let mapped: SocketAddr = "[::ffff:127.0.0.1]:0".parse().expect("an address");
    socket.bind(&mapped.into()).expect("a local address");
    socket.listen(16).expect("a listener");
    let local = socket.local_addr().expect("an address").as_socket().expect("TCP");
    let socket = OwnedFd::from(socket);
    let variables =
        [("LISTEN_FDS", "1".to_owned()), ("LISTEN_FDS_FIRST_FD", passed_on(&socket).to_string())];
    let v4 = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], local.port())));
    for (lists, expected) in [
        ("deny = \"127.0.0.2\"", [200, 403]),
        ("allow = \"127.0.0.2\"", [403, 200]),
        ("allow = \"127.0.0.0/8\"\ndeny = \"::/0\"", [200, 200]),
    ] {
        let listener = format!("[[listener]]\naddress = \"{local}\"\n{lists}");
        let proxy = manager.start(&saying("one").toml(&listener), &variables);
        let status = |source: &str| Client::connect_from(source, &v4).get("/").status;
        assert_eq!([status("127.0.0.1"), status("127.0.0.2")], expected, "{lists}");
        proxy.terminate();
    }
}

#[test]
fn a_file_of_the_manager_is_left_to_it() {
    let manager = Manager::new();
    let path = manager.dir.path().join("proxy.sock");
    let socket = OwnedFd::from(UnixListener::bind(&path).expect("a listener"));
    let variables =
        [("LISTEN_FDS", "1".to_owned()), ("LISTEN_FDS_FIRST_FD", passed_on(&socket).to_string())];
    let address = format!("unix:{}", path.display());
    let proxy = manager.start(&saying("one").listener(&address), &variables);
    assert_eq!(proxy.get("/").text(), "one");
    proxy.terminate();
    assert!(path.exists());
}
