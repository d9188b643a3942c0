//! The admin address of a proxy, as its operator uses it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::client::Client;
use super::message::Response;
use super::proxy::{Exit, Proxy, binary};
use super::wire::Address;

/// A Unix socket for the admin address of one proxy, or of several in turn.
pub struct Admin {
    dir: tempfile::TempDir,
}

impl Admin {
    /// A place for it; nobody listens there yet.
    pub fn new() -> Admin {
        Admin { dir: tempfile::tempdir().expect("a directory") }
    }

    /// Where its file is, or will be.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("admin.sock")
    }

    /// The address.
    pub fn address(&self) -> Address {
        Address::Unix(self.path())
    }

    /// `[admin]` for a configuration.
    pub fn toml(&self) -> String {
        format!("[admin]\naddress = \"{}\"", self.address())
    }

    /// Runs `corelane` with these arguments against it, and waits for the end.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Exit {
        let address = self.address().to_string();
        corelane(&[arguments, &["--admin", &address]].concat())
    }

    /// What `corelane ctl` prints, which must succeed.
    #[track_caller]
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let exit = self.run(&[&["ctl"], arguments].concat());
        assert!(exit.status.success() && exit.stderr.is_empty(), "{arguments:?}: {exit:?}");
        exit.stdout
    }

    /// The same as JSON.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ctl(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// What it says of a server, by the address as configured.
    #[track_caller]
    pub fn server(&self, name: &str) -> Value {
        let servers = self.json(&["servers"]);
        let all = servers["servers"].as_array().expect("a list");
        let found = all.iter().find(|server| server["server"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {servers}")).clone()
    }
}

/// Runs the binary with these arguments to its end.
#[track_caller]
pub fn corelane(arguments: &[&str]) -> Exit {
    let output = Command::new(binary()).args(arguments).output().expect("the binary");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("a text");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    Exit { status: output.status, stdout, stderr }
}

/// Where a proxy serves its admin address, as it says when it starts or reloads.
#[track_caller]
pub fn admin_address(proxy: &Proxy) -> Address {
    let said = proxy.stderr();
    let address = said.lines().rev().find_map(|line| line.split_once("admin on "));
    let (_, address) = address.unwrap_or_else(|| panic!("no \"admin on\" line:\n{said}"));
    address.trim().parse().expect("an address")
}

/// The answer to one request with these fields, on a connection of its own.
#[track_caller]
pub fn ask(address: &Address, method: &str, path: &str, fields: &[(&str, &str)]) -> Response {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if !fields.iter().any(|(name, _)| *name == "Host") {
        head += "Host: localhost\r\n";
    }
    for (name, value) in fields {
        head += &format!("{name}: {value}\r\n");
    }
    Client::connect(address).request(head + "\r\n")
}
