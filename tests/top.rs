//! `corelane top` in a terminal that tmux plays. Where tmux is not installed, a line says so.

#[macro_use]
mod support;

use std::process::{Command, Stdio};
use std::sync::atomic::AtomicU64;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use support::*;

/// A terminal with one program in it; ended when dropped.
struct Terminal {
    dir: tempfile::TempDir,
}

impl Terminal {
    /// Of this size, with `corelane` and these arguments; says so and gives `None` where there is
    /// no tmux.
    fn start(width: u16, height: u16, arguments: &str) -> Option<Terminal> {
        let mut version = Command::new("tmux");
        if version.arg("-V").stdout(Stdio::null()).status().is_err() {
            println!("skipped: tmux is not installed");
            return None;
        }
        let terminal = Terminal { dir: tempfile::tempdir().expect("a directory") };
        // What the terminal is like afterwards is a part of what is shown at the end.
        let line =
            format!("{} {arguments}; echo ended with $?; stty -a; exec cat", binary().display());
        let size = [width.to_string(), height.to_string()];
        let session = ["new-session", "-d", "-x", &size[0], "-y", &size[1], "sh", "-c", &line];
        terminal.tmux(&session);
        Some(terminal)
    }

    #[track_caller]
    fn tmux(&self, arguments: &[&str]) -> String {
        let socket = self.dir.path().join("tmux");
        let mut command = Command::new("tmux");
        command.arg("-S").arg(socket).args(["-f", "/dev/null"]).args(arguments);
        command.env("LC_ALL", "C.UTF-8").env_remove("TMUX");
        let output = command.output().expect("tmux");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("a text")
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    #[track_caller]
    fn await_text(&self, text: &str) -> String {
        let mut screen = String::new();
        let came = comes_true(ms(20_000), || {
            screen = self.screen();
            screen.contains(text)
        });
        assert!(came, "no {text:?} on\n{screen}");
        screen
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn about(&self, what: &str) -> String {
        self.tmux(&["display-message", "-p", what]).trim().to_owned()
    }

    /// The process of `corelane` in it.
    fn process(&self) -> Pid {
        let shell = self.about("#{pane_pid}");
        let children = format!("/proc/{shell}/task/{shell}/children");
        let children = std::fs::read_to_string(children).expect("a running shell");
        let first = children.split_whitespace().next().expect("a child");
        Pid::from_raw(first.parse().expect("a number")).expect("a process")
    }

    /// That it ended like this, and the terminal is as it was.
    #[track_caller]
    fn assert_given_back(&self, code: i32) {
        let screen = self.await_text("-echoprt");
        assert!(screen.contains(&format!("ended with {code}")), "{screen}");
        assert!(screen.contains(" icanon") && screen.contains(" echo "), "{screen}");
        assert_eq!(self.about("#{alternate_on} #{cursor_flag}"), "0 1");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut command = Command::new("tmux");
        let _ = command.arg("-S").arg(self.dir.path().join("tmux")).arg("kill-server").output();
    }
}

/// A proxy with servers, and where it can be asked.
fn proxy(admin: &Admin, servers: &[&Origin]) -> Proxy {
    let servers: Vec<String> = servers.iter().map(|origin| origin.server()).collect();
    Config::new(tiers()[0]).upstream("app", &servers, "").endless().toml(&admin.toml()).start()
}

#[test]
fn it_shows_sorts_and_filters_and_gives_the_terminal_back() {
    let admin = Admin::new();
    let [one, two] = ["one", "two"].map(Origin::named);
    let proxy = proxy(&admin, &[&one, &two]);
    let arguments = format!("top --admin {}", admin.address());
    let Some(terminal) = Terminal::start(80, 24, &arguments) else { return };
    let [first, second] = [&one, &two].map(|origin| origin.address().to_string());
    let (over, served) = (Over::default(), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| proxy.keep_asking("/", 0, &over, &served));
        let _end = over.at_the_end();
        let screen = terminal.await_text("p99");
        for part in ["corelane ", "req/s", "first byte", "SHARD", "WARNINGS", &first, &second] {
            assert!(screen.contains(part), "no {part:?} on\n{screen}");
        }
        assert_eq!(terminal.about("#{alternate_on}"), "1");
        terminal.press(&["4"]);
        terminal.await_text("REQ/S+");
        terminal.press(&["/"]);
        terminal.await_text("filter: _");
        terminal.press(&[&second, "Enter"]);
        terminal.await_text("1-1 of 1 servers (2 in all)");
        assert!(!terminal.screen().contains(&first), "{}", terminal.screen());
        terminal.press(&["Escape"]);
        terminal.await_text(&first);
        // A change by somebody else is seen.
        admin.ctl(&["set", &format!("app/{first}"), "drain"]);
        terminal.await_text(" drain ");
        terminal.tmux(&["resize-window", "-x", "60", "-y", "20"]);
        terminal.await_text("80x24 is the smallest");
        terminal.tmux(&["resize-window", "-x", "140", "-y", "50"]);
        terminal.await_text("REQ/S+");
        terminal.press(&["q"]);
        terminal.assert_given_back(0);
    });
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let admin = Admin::new();
    let _proxy = proxy(&admin, &[&Origin::named("one")]);
    let arguments = format!("top --admin {}", admin.address());
    for signal in [Signal::INT, Signal::TERM] {
        let Some(terminal) = Terminal::start(80, 24, &arguments) else { return };
        terminal.await_text("req/s");
        kill_process(terminal.process(), signal).expect("it runs");
        terminal.assert_given_back(0);
    }
}

#[test]
fn it_waits_for_a_proxy_that_restarts_and_not_for_one_that_is_gone() {
    let admin = Admin::new();
    let origin = Origin::named("one");
    let first = proxy(&admin, &[&origin]);
    let arguments = format!("top --admin {}", admin.address());
    let Some(terminal) = Terminal::start(120, 30, &arguments) else { return };
    terminal.await_text("req/s");
    first.terminate();
    let second = proxy(&admin, &[&origin]);
    wait_at_most(ms(20_000), "it shows the new one", || {
        let screen = terminal.screen();
        screen.contains("req/s") && !screen.contains("CONNECTION LOST")
    });
    second.terminate();
    terminal.await_text("cannot connect to");
    terminal.assert_given_back(3);
}

#[test]
fn once_is_a_plain_text() {
    let admin = Admin::new();
    let origin = Origin::named("one");
    let proxy = proxy(&admin, &[&origin]);
    assert_eq!(proxy.get("/").text(), "one");
    // Neither of these has a terminal.
    for arguments in [vec!["top", "--once"], vec!["top"]] {
        let exit = admin.run(&arguments);
        assert!(exit.status.success() && exit.stderr.is_empty(), "{exit:?}");
        let server = origin.address().to_string();
        for part in ["req/s", "PHASE", "SHARD", &server, "up", "WARNINGS AND ERRORS"] {
            assert!(exit.stdout.contains(part), "no {part:?} in\n{}", exit.stdout);
        }
        assert!(!exit.stdout.contains('\u{1b}'), "{:?}", exit.stdout);
    }
    proxy.terminate();
    let exit = admin.run(&["top", "--once"]);
    assert_eq!(exit.status.code(), Some(3));
    assert!(exit.stderr.starts_with("corelane: cannot connect to unix:"), "{}", exit.stderr);
}
