//! The commands that take an nginx.conf.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use support::*;

/// An nginx.conf with one server that says `text`.
fn saying(text: &str) -> String {
    format!(
        "worker_processes 4;\nevents {{ }}\nhttp {{\n    include sites/*;\n    server {{\n        \
         listen 127.0.0.1:0;\n        server_name site.test;\n        return 200 \"{text}\";\n    \
         }}\n}}\n"
    )
}

/// Runs the binary in `dir` until it ends.
fn run(dir: &Path, arguments: &[&str]) -> Exit {
    let mut command = Command::new(binary());
    command.args(arguments).current_dir(dir);
    Proxy::spawn(command, None, arguments.join(" ")).wait()
}

fn folder(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("nginx.conf");
    fs::write(&file, text.replace(":0;", ":20443;")).expect("a configuration");
    (dir, file)
}

#[test]
fn check_stands_for_nginx_t() {
    let (dir, _) = folder(&saying("hello"));
    let exit = run(dir.path(), &["check", "--nginx", "nginx.conf"]);
    assert!(exit.status.success(), "{exit:?}");
    let summary = "configuration file nginx.conf is ok: 1 listener, 0 upstreams";
    assert!(exit.stdout.starts_with(summary), "{exit:?}");
    let note = "nginx.conf:1:1: note: `worker_processes` is not needed; each CPU has a shard";
    assert!(exit.stderr.contains(note), "{exit:?}");
}

#[test]
fn check_names_every_mistake() {
    let (dir, file) = folder("events { }\nhttp {\n  server { lisen 80; root; }\n}\n");
    let exit = run(dir.path(), &["check", "--nginx", &file.display().to_string()]);
    assert_eq!(exit.status.code(), Some(1), "{exit:?}");
    for place in [":3:12: unknown directive `lisen`; did you mean `listen`?", ":3:22: `root` has"] {
        assert!(exit.stderr.contains(&format!("nginx.conf{place}")), "{place}\n{}", exit.stderr);
    }
    assert!(exit.stderr.contains("is refused: 2 errors"), "{exit:?}");
}

#[test]
fn import_writes_what_check_accepts() {
    let (dir, _) = folder(&saying("hello"));
    let printed = run(dir.path(), &["import", "nginx.conf"]);
    assert!(printed.status.success(), "{printed:?}");
    assert!(printed.stdout.contains("# nginx.conf:5\n[[route]]"), "{}", printed.stdout);
    let written = run(dir.path(), &["import", "nginx.conf", "-o", "own.toml"]);
    assert!(written.status.success(), "{written:?}");
    let text = fs::read_to_string(dir.path().join("own.toml")).expect("a file");
    assert_eq!(text.trim(), printed.stdout.trim());
    let checked = run(dir.path(), &["check", "-c", "own.toml"]);
    assert!(checked.status.success(), "{checked:?}");
    let again = run(dir.path(), &["import", "nginx.conf", "-o", "own.toml"]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(again.stderr.contains("remove it first, or choose another name"), "{again:?}");
}

#[test]
fn a_reload_reads_nginx_conf_again() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("nginx.conf");
    let port = Origin::named("placeholder").gone().port();
    let write = |text: &str| {
        fs::write(&file, text.replace(":0;", &format!(":{port};"))).expect("a configuration");
    };
    write(&saying("first"));
    let mut command = Command::new(binary());
    command.args(["run", "--nginx"]).arg(&file);
    let proxy = Proxy::spawn(command, None, String::new());
    proxy.await_stderr("ready");
    assert_eq!(proxy.get("/").text(), "first");
    write(&saying("second"));
    proxy.signal(Signal::HUP);
    proxy.await_stderr("reloaded");
    assert_eq!(proxy.get("/").text(), "second");
    write("http { nonsense; }");
    proxy.signal(Signal::HUP);
    proxy.await_stderr("unknown directive `nonsense`");
    assert_eq!(proxy.get("/").text(), "second", "what runs stays");
}

/// SIGUSR2: a new process takes over the socket and reads the file anew, also what it includes.
#[test]
fn an_upgrade_reads_nginx_conf_again() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (file, site) = (dir.path().join("nginx.conf"), dir.path().join("site.conf"));
    let port = Origin::named("placeholder").gone().port();
    let gate = Gate::shut();
    let held = gate.clone();
    let origin = Origin::answering(move |_| {
        held.wait();
        ok("held")
    });
    let main = "events { }\nhttp { include site.conf; }\n";
    fs::write(&file, main).expect("a configuration");
    let write = |text: &str| {
        let site_text = format!(
            "server {{ listen 127.0.0.1:{port}; location / {{ return 200 {text}; }}\n\
             location /held {{ proxy_pass http://{}; }} }}\n",
            origin.address()
        );
        fs::write(&site, site_text).expect("a site");
    };
    write("first");
    let mut command = Command::new(binary());
    command.args(["run", "--nginx"]).arg(&file);
    let proxy = Proxy::spawn(command, None, String::new());
    proxy.await_stderr("ready");
    let address = proxy.address();
    let mut client = proxy.client();
    client.send("GET /held HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.await_requests(1);
    // What cannot be read takes nothing over.
    fs::write(&site, "server { nonsense; }").expect("a site");
    proxy.signal(Signal::USR2);
    proxy.await_stderr("no upgrade: the new process ended before it served");
    assert_eq!(proxy.get("/").text(), "first");
    write("second");
    let successor = proxy.upgrade();
    let ask = || Client::connect(&address).get("/").text().to_owned();
    wait_until("the new process serves alone", || ask() == "second");
    gate.open();
    assert_eq!(client.response().text(), "held");
    assert!(proxy.wait_without_output().success());
    write("third");
    successor.signal(Signal::HUP);
    wait_until("the new process has reloaded", || ask() == "third");
    successor.terminate();
}
