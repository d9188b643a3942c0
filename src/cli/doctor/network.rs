//! Network interfaces: their queues, the interrupts of those, and where packets are steered.

use super::{Finding, Machine};

/// A receive queue's interrupt, and the CPUs that it may come to.
struct Interrupt {
    number: u64,
    cpus: String,
}

/// All findings of this kind.
pub fn examine(machine: &Machine, cpus: &[usize]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut multi_queue = false;
    for interface in machine.names("sys/class/net") {
        // Without a device it is virtual, and has no queues of hardware.
        if !machine.path(&format!("sys/class/net/{interface}/device")).exists() {
            continue;
        }
        let queues = machine.names(&format!("sys/class/net/{interface}/queues"));
        let receive = queues.iter().filter(|queue| queue.starts_with("rx-")).count();
        multi_queue |= receive > 1;
        findings.push(queue_count(&interface, receive, cpus.len()));
        findings.extend(affinity(machine, &interface, receive, cpus));
        findings.extend(receive_steering(machine, &interface, &queues, receive));
        findings.extend(transmit_steering(machine, &interface, &queues));
    }
    findings.extend(balancer(machine, multi_queue));
    findings
}

fn queue_count(interface: &str, queues: usize, shards: usize) -> Finding {
    let topic = format!("{interface}: queues");
    let state = format!("{queues} for {shards} shards");
    if queues >= shards {
        return Finding::good(topic, state);
    }
    Finding::advice(
        topic,
        state,
        "with a queue for each shard, each can serve what its own CPU receives (`steering`)",
        format!("ethtool -L {interface} combined {shards} (where the device has so many)"),
    )
}

/// The interrupts of the receive queues, as the driver has named them.
fn interrupts(machine: &Machine, interface: &str) -> Vec<Interrupt> {
    let device = format!("sys/class/net/{interface}/device");
    let mut numbers = machine.names(&format!("{device}/msi_irqs"));
    if numbers.is_empty() {
        // A virtio device has those of the PCI device above it.
        numbers = machine.names(&format!("{device}/../msi_irqs"));
    }
    let table = machine.read("proc/interrupts").unwrap_or_default();
    let name_of = |number: &str| {
        let mine = |line: &&str| line.trim_start().split(':').next() == Some(number);
        table.lines().find(mine).and_then(|line| line.split_whitespace().last())
    };
    let interrupt = |number: &String| {
        let name = name_of(number)?;
        if !is_receive_queue(name, interface) {
            return None;
        }
        let cpus = machine.read(&format!("proc/irq/{number}/smp_affinity_list"))?;
        Some(Interrupt { number: number.parse().ok()?, cpus })
    };
    numbers.iter().filter_map(interrupt).collect()
}

/// `eth0-TxRx-0`, `virtio0-input.0`, `virtio3-rx`, `mlx5_comp0@pci:…`, `eth0-rx-1`, `eth0-0`.
/// `scripts/pin-nic-queues.sh` goes by the same names.
fn is_receive_queue(name: &str, interface: &str) -> bool {
    let (name, interface) = (name.to_ascii_lowercase(), interface.to_ascii_lowercase());
    let numbered = name.strip_prefix(&interface).and_then(|rest| rest.strip_prefix('-'));
    name.contains("rx")
        || name.contains("-input.")
        || name.contains("_comp")
        || numbered.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn affinity(machine: &Machine, interface: &str, queues: usize, cpus: &[usize]) -> Option<Finding> {
    let interrupts = interrupts(machine, interface);
    if interrupts.is_empty() || queues < 2 {
        return None;
    }
    let topic = format!("{interface}: interrupts");
    let places: Vec<String> = interrupts
        .iter()
        .map(|Interrupt { number, cpus }| format!("{number} to CPU {cpus}"))
        .collect();
    let wanted = |index: usize| cpus.iter().cycle().nth(index).map(ToString::to_string);
    let pinned = interrupts
        .iter()
        .enumerate()
        .all(|(index, interrupt)| wanted(index).is_some_and(|cpu| cpu == interrupt.cpus));
    Some(if pinned {
        Finding::good(topic, places.join(", "))
    } else {
        Finding::advice(
            topic,
            places.join(", "),
            "where queues share a CPU, or use one without a shard, shards have unequal work, and \
             `steering = \"cpu\"` leaves those to the hash",
            format!("scripts/pin-nic-queues.sh {interface}"),
        )
    })
}

/// RPS helps an interface with one queue, and undoes what several queues are for.
fn receive_steering(
    machine: &Machine,
    interface: &str,
    queues: &[String],
    count: usize,
) -> Option<Finding> {
    let masks = queues.iter().filter(|queue| queue.starts_with("rx-")).filter_map(|queue| {
        machine.read(&format!("sys/class/net/{interface}/queues/{queue}/rps_cpus"))
    });
    let on = masks.into_iter().any(|mask| mask.chars().any(|c| !matches!(c, '0' | ',')));
    let topic = format!("{interface}: RPS");
    Some(match (on, count > 1) {
        (true, true) => Finding::advice(
            topic,
            "on",
            "it moves packets away from the CPU of their queue",
            format!("scripts/pin-nic-queues.sh {interface}"),
        ),
        (true, false) => Finding::good(topic, "on: it spreads the work of the only queue"),
        (false, _) => Finding::good(topic, "off"),
    })
}

fn transmit_steering(machine: &Machine, interface: &str, queues: &[String]) -> Option<Finding> {
    let transmit: Vec<&String> = queues.iter().filter(|queue| queue.starts_with("tx-")).collect();
    if transmit.len() < 2 {
        return None;
    }
    let mask = |queue: &&String| {
        machine.read(&format!("sys/class/net/{interface}/queues/{queue}/xps_cpus"))
    };
    let masks: Vec<String> = transmit.iter().filter_map(mask).collect();
    let unset = masks.iter().all(|mask| mask.chars().all(|c| matches!(c, '0' | ',')));
    let topic = format!("{interface}: XPS");
    Some(if unset {
        Finding::advice(
            topic,
            "off",
            "CPUs share transmit queues, and their locks",
            format!("scripts/pin-nic-queues.sh {interface}"),
        )
    } else {
        Finding::good(topic, "on")
    })
}

/// irqbalance moves pinned interrupts back after a while.
fn balancer(machine: &Machine, multi_queue: bool) -> Option<Finding> {
    let processes = machine.names("proc");
    let numbered = processes.iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
    let mut names = numbered.filter_map(|process| machine.read(&format!("proc/{process}/comm")));
    let runs = names.any(|name| name == "irqbalance");
    match (runs, multi_queue) {
        (true, true) => Some(Finding::advice(
            "irqbalance",
            "runs",
            "it moves interrupts that were pinned",
            "systemctl disable --now irqbalance",
        )),
        (true, false) => Some(Finding::good("irqbalance", "runs; there is nothing to pin")),
        (false, _) => Some(Finding::good("irqbalance", "does not run")),
    }
}
