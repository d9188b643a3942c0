use super::*;

/// A machine as a directory.
struct Made(tempfile::TempDir);

impl Made {
    fn new(files: &[(&str, &str)]) -> Made {
        let made = Made(tempfile::tempdir().unwrap());
        for (file, text) in files {
            made.write(file, text);
        }
        made
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    fn finding(&self, topic: &str) -> Finding {
        let findings = examine(self.0.path(), &[0, 1]);
        let found = findings.iter().find(|finding| finding.topic == topic);
        found.unwrap_or_else(|| panic!("nothing on {topic}: {findings:#?}")).clone()
    }
}

#[test]
fn settings_of_the_kernel_are_judged() {
    for (file, topic, bad, good, mend) in [
        (
            "proc/sys/net/core/somaxconn",
            "net.core.somaxconn",
            "128",
            "4096",
            "sysctl -w net.core.somaxconn=4096",
        ),
        (
            "proc/sys/net/ipv4/tcp_migrate_req",
            "net.ipv4.tcp_migrate_req",
            "0",
            "1",
            "sysctl -w net.ipv4.tcp_migrate_req=1",
        ),
        (
            "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor",
            "CPU governor",
            "powersave",
            "performance",
            "cpupower frequency-set -g performance",
        ),
    ] {
        let machine = Made::new(&[(file, bad)]);
        let finding = machine.finding(topic);
        assert_eq!((finding.level, finding.mend.as_deref()), (Level::Advice, Some(mend)));
        assert!(finding.state.contains(bad), "{finding}");
        machine.write(file, good);
        assert_eq!(machine.finding(topic).level, Level::Good);
    }
}

/// An interface with two queues and the interrupts 40 and 41, another one being its own.
fn interface() -> Made {
    Made::new(&[
        ("sys/class/net/eth9/device/msi_irqs/39", ""),
        ("sys/class/net/eth9/device/msi_irqs/40", ""),
        ("sys/class/net/eth9/device/msi_irqs/41", ""),
        ("sys/class/net/eth9/queues/rx-0/rps_cpus", "00000000"),
        ("sys/class/net/eth9/queues/rx-1/rps_cpus", "00000000"),
        ("sys/class/net/eth9/queues/tx-0/xps_cpus", "1"),
        ("sys/class/net/eth9/queues/tx-1/xps_cpus", "2"),
        ("sys/class/net/lo/queues/rx-0/rps_cpus", "0"),
        ("proc/interrupts", " 39: 1 PCI eth9\n 40: 1 PCI eth9-TxRx-0\n 41: 2 PCI eth9-TxRx-1"),
        ("proc/irq/39/smp_affinity_list", "0-1"),
        ("proc/irq/40/smp_affinity_list", "0"),
        ("proc/irq/41/smp_affinity_list", "1"),
        ("proc/77/comm", "bash"),
    ])
}

#[test]
fn a_pinned_interface_is_good() {
    let machine = interface();
    for topic in ["queues", "interrupts", "RPS", "XPS"] {
        let finding = machine.finding(&format!("eth9: {topic}"));
        assert_eq!(finding.level, Level::Good, "{finding}");
    }
    assert_eq!(machine.finding("irqbalance").level, Level::Good);
    let topics = examine(machine.0.path(), &[0, 1]);
    assert!(!topics.iter().any(|finding| finding.topic.starts_with("lo:")), "no device");
}

/// The names that drivers give to interrupts.
#[test]
fn the_script_pins_what_is_looked_at() {
    for (name, receives) in [
        ("eth9-TxRx-0", true),
        ("virtio0-input.0", true),
        ("virtio3-rx", true),
        ("mlx5_comp0@pci:0000:01:00.0", true),
        ("eth9-rx-1", true),
        ("eth9-0", true),
        ("eth9", false),
        ("eth9-tx-0", false),
        ("eth9-events", false),
        ("virtio0-output.0", false),
        ("virtio0-config", false),
        ("mlx5_async0@pci:0000:01:00.0", false),
    ] {
        let machine = Made::new(&[
            ("sys/class/net/eth9/device/msi_irqs/40", ""),
            ("sys/class/net/eth9/queues/rx-0/rps_cpus", "0"),
            ("sys/class/net/eth9/queues/rx-1/rps_cpus", "0"),
            ("proc/interrupts", &format!(" 40: 1 PCI {name}")),
            ("proc/irq/40/smp_affinity_list", "0-1"),
        ]);
        let below = |folder: &str| machine.0.path().join(folder);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/pin-nic-queues.sh");
        let output = std::process::Command::new("bash")
            .arg(script)
            .args(["--dry-run", "--cpus", "0", "eth9", "--sys"])
            .args([below("sys"), "--proc".into(), below("proc")])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(text.contains("interrupt 40, queue 0"), receives, "{name}: {output:?}");
        let findings = examine(machine.0.path(), &[0, 1]);
        let found = findings.iter().any(|finding| finding.topic == "eth9: interrupts");
        assert_eq!(found, receives, "{name}");
    }
}

#[test]
fn what_is_steered_elsewhere_is_found() {
    for (file, text, topic, mend) in [
        ("proc/irq/41/smp_affinity_list", "0-1", "eth9: interrupts", "pin-nic-queues.sh eth9"),
        ("sys/class/net/eth9/queues/rx-1/rps_cpus", "3", "eth9: RPS", "pin-nic-queues.sh eth9"),
        ("proc/78/comm", "irqbalance", "irqbalance", "systemctl disable --now irqbalance"),
    ] {
        let machine = interface();
        machine.write(file, text);
        let finding = machine.finding(topic);
        assert_eq!(finding.level, Level::Advice, "{finding}");
        assert!(finding.mend.is_some_and(|command| command.contains(mend)));
    }
    let machine = interface();
    machine.write("sys/class/net/eth9/queues/tx-0/xps_cpus", "0");
    machine.write("sys/class/net/eth9/queues/tx-1/xps_cpus", "0");
    assert_eq!(machine.finding("eth9: XPS").level, Level::Advice);
    let few = examine(machine.0.path(), &[0, 1, 2, 3]);
    let queues = few.iter().find(|finding| finding.topic == "eth9: queues").unwrap();
    assert_eq!(queues.level, Level::Advice);
    assert!(queues.mend.as_ref().unwrap().starts_with("ethtool -L eth9 combined 4"));
}

#[test]
fn a_finding_is_text_and_json() {
    let finding = Finding::advice("a", "b", "because", "do it");
    assert_eq!(finding.to_string(), "advice  a: b\n        because\n        mend: do it");
    assert_eq!(finding.to_json()["level"], "advice");
    assert_eq!(finding.to_json()["mend"], "do it");
    assert_eq!(Finding::good("a", "b").to_string(), "good    a: b");
}

#[test]
fn numbered_names_are_in_order() {
    let machine = Made::new(&[("a/rx-10", ""), ("a/rx-9", ""), ("a/rx-0", "")]);
    let machine = Machine { root: machine.0.path().to_owned() };
    assert_eq!(machine.names("a"), ["rx-0", "rx-9", "rx-10"]);
}
