//! The scripts that administrators run, on directories that stand for their machines.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::binary;

fn script(name: &str, arguments: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name);
    Command::new("bash").arg(script).args(arguments).output().expect("bash")
}

#[track_caller]
fn succeeds(name: &str, arguments: &[&str]) -> String {
    let output = script(name, arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{error}");
    text
}

/// All files below a directory, without that.
fn files(below: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![below.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(below).expect("below");
                found.push(name.display().to_string());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn an_installation_may_be_repeated_and_removed() {
    let machine = tempfile::tempdir().expect("a directory");
    let root = machine.path().to_str().expect("UTF-8");
    let program = machine.path().join("built");
    fs::write(&program, "#!/bin/sh\n").expect("a file");
    fs::set_permissions(&program, fs::metadata(binary()).expect("ours").permissions())
        .expect("a mode");
    let (root, program) = (format!("{root}/root"), program.to_str().expect("UTF-8"));
    let arguments = ["--root", &root, "--prefix", "/opt/corelane", "--binary", program];
    let dry: Vec<&str> = arguments.into_iter().chain(["--dry-run"]).collect();
    assert!(succeeds("install.sh", &dry).contains("would run"));
    assert!(!Path::new(&root).exists(), "a dry run changes nothing");
    succeeds("install.sh", &arguments);
    let installed = [
        "etc/corelane/config.toml",
        "etc/systemd/system/corelane.service",
        "etc/systemd/system/corelane.socket",
        "opt/corelane/bin/corelane",
    ];
    let root = PathBuf::from(&root);
    assert_eq!(files(&root), installed);
    let unit = fs::read_to_string(root.join(installed[1])).expect("the unit");
    assert!(unit.contains("ExecStart=/opt/corelane/bin/corelane run -c /etc/corelane/config.toml"));
    assert!(!unit.contains("/usr/bin"), "{unit}");
    // What an administrator wrote stays, whatever else is brought up to date.
    fs::write(root.join(installed[0]), "# mine").expect("the configuration");
    fs::write(root.join(installed[1]), "# old").expect("the unit");
    let again = succeeds("install.sh", &arguments);
    assert_eq!(again.matches("unchanged: ").count(), 2, "{again}");
    assert_eq!(fs::read_to_string(root.join(installed[0])).expect("the configuration"), "# mine");
    assert_eq!(fs::read_to_string(root.join(installed[1])).expect("the unit"), unit);
    let root_argument = root.to_str().expect("UTF-8");
    let removal = ["--root", root_argument, "--prefix", "/opt/corelane", "--uninstall"];
    for _ in 0..2 {
        succeeds("install.sh", &removal);
        assert_eq!(files(&root), [installed[0]]);
    }
}

/// Builds the Debian package around the binary at hand, where cargo-deb is installed.
#[test]
fn the_debian_package_holds_what_the_unit_needs() {
    if Command::new("cargo-deb").arg("--version").output().is_err() {
        println!("skipped: cargo-deb is not installed (cargo install cargo-deb)");
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let target = folder.path().join("target");
    fs::create_dir_all(target.join("release")).expect("a folder");
    fs::copy(binary(), target.join("release/corelane")).expect("a copy of the binary");
    let package = folder.path().join("corelane.deb");
    let made = Command::new("cargo-deb")
        .args(["--no-build", "--no-strip", "--fast", "--output"])
        .arg(&package)
        .env("CARGO_TARGET_DIR", &target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo-deb");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let unpacked = folder.path().join("unpacked");
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("--raw-extract").arg(&package).arg(&unpacked);
    assert!(unpack.status().expect("dpkg-deb").success());
    let held = files(&unpacked);
    for file in [
        "DEBIAN/conffiles",
        "DEBIAN/postinst",
        "DEBIAN/postrm",
        "DEBIAN/prerm",
        "etc/corelane/config.toml",
        "usr/bin/corelane",
        "usr/lib/systemd/system/corelane.service",
        "usr/lib/systemd/system/corelane.socket",
    ] {
        assert!(held.iter().any(|held| held == file), "no {file} in {held:?}");
    }
    let unit = fs::read_to_string(unpacked.join("usr/lib/systemd/system/corelane.service"));
    let unit = unit.expect("the unit");
    assert!(unit.contains("ExecStart=/usr/bin/corelane run -c /etc/corelane/config.toml"));
}

#[test]
fn wrong_usage_is_exit_2() {
    for (name, arguments) in [
        ("install.sh", &["--nonsense"][..]),
        ("install.sh", &["--prefix", "relative"]),
        ("install.sh", &["--prefix"]),
        ("pin-nic-queues.sh", &[]),
        ("pin-nic-queues.sh", &["lo", "eth0"]),
        ("pin-nic-queues.sh", &["--cpus", "all", "lo"]),
        ("pin-nic-queues.sh", &["--cpus", "0,2,x", "lo"]),
        ("pin-nic-queues.sh", &["--cpus", "0,,2", "lo"]),
        ("pin-nic-queues.sh", &["--cpus", "3-1", "lo"]),
    ] {
        let output = script(name, arguments);
        assert_eq!(output.status.code(), Some(2), "{name} {arguments:?}");
        assert!(output.stdout.is_empty(), "{name} {arguments:?} went on: {output:?}");
    }
}

/// A machine with an interface of two queue pairs.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Machine {
        let machine = Machine(tempfile::tempdir().expect("a directory"));
        for (file, text) in [
            ("sys/devices/system/cpu/online", "0-35\n"),
            ("sys/class/net/eth9/device/msi_irqs/40", ""),
            ("sys/class/net/eth9/device/msi_irqs/41", ""),
            ("sys/class/net/eth9/device/msi_irqs/39", ""),
            ("sys/class/net/eth9/queues/rx-0/rps_cpus", "f\n"),
            ("sys/class/net/eth9/queues/rx-1/rps_cpus", "0\n"),
            ("sys/class/net/eth9/queues/tx-0/xps_cpus", "f\n"),
            ("sys/class/net/eth9/queues/tx-1/xps_cpus", "f\n"),
            (
                "proc/interrupts",
                "      CPU0\n 39: 1 PCI eth9\n 40: 1 PCI eth9-TxRx-0\n 41: 2 PCI eth9-TxRx-1\n",
            ),
            ("proc/irq/39/smp_affinity_list", "0-35\n"),
            ("proc/irq/40/smp_affinity_list", "0-35\n"),
            ("proc/irq/41/smp_affinity_list", "0-35\n"),
        ] {
            let path = machine.0.path().join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        machine
    }

    fn pin(&self, more: &[&str]) -> String {
        let below = |name: &str| self.0.path().join(name).display().to_string();
        let (sys, proc, state) = (below("sys"), below("proc"), below("state"));
        let mut arguments = vec!["--sys", &sys, "--proc", &proc, "--state", &state, "eth9"];
        arguments.extend(more);
        succeeds("pin-nic-queues.sh", &arguments)
    }

    fn read(&self, file: &str) -> String {
        let text = fs::read_to_string(self.0.path().join(file)).expect("a file");
        text.trim_end().to_owned()
    }

    /// The affinity of the three interrupts, RPS of both queues, XPS of both.
    fn state(&self) -> [String; 7] {
        [
            "proc/irq/39/smp_affinity_list",
            "proc/irq/40/smp_affinity_list",
            "proc/irq/41/smp_affinity_list",
            "sys/class/net/eth9/queues/rx-0/rps_cpus",
            "sys/class/net/eth9/queues/rx-1/rps_cpus",
            "sys/class/net/eth9/queues/tx-0/xps_cpus",
            "sys/class/net/eth9/queues/tx-1/xps_cpus",
        ]
        .map(|file| self.read(file))
    }
}

#[test]
fn queues_are_pinned_and_given_back() {
    let machine = Machine::new();
    let before = machine.state();
    assert!(machine.pin(&["--dry-run"]).contains("interrupt 40, queue 0 to CPU 0"));
    assert_eq!(machine.state(), before);
    machine.pin(&[]);
    assert_eq!(machine.state(), ["0-35", "0", "1", "0", "0", "1", "2"]);
    // CPU 33 is in the second word of a mask.
    machine.pin(&["--cpus", "2,33"]);
    assert_eq!(machine.state(), ["0-35", "2", "33", "0", "0", "4", "2,00000000"]);
    machine.pin(&["--undo"]);
    assert_eq!(machine.state(), before, "as it was before the first run");
}
