//! Kernel, limits, CPUs.

use rustix::process::{Resource, getrlimit};

use super::{Finding, Machine};
use crate::control::LockedMemory;
use crate::plan::{ListenerPlan, SplicePlan};
use crate::ring::Tier;

/// Descriptors below which a busy proxy runs short: two for each request, two for each pipe.
const FILES_WANTED: u64 = 65_536;
/// The length of accept queues that listeners ask for unless configured otherwise.
const BACKLOG: u64 = ListenerPlan::BACKLOG as u64;

/// All findings of this kind.
pub fn examine(machine: &Machine, cpus: &[usize]) -> Vec<Finding> {
    let mut findings = vec![ring(), files(), memlock(cpus.len())];
    findings.extend(backlog(machine));
    findings.extend(migration(machine));
    findings.extend(pipes(machine, cpus.len() as u64));
    findings.extend(governor(machine, cpus));
    findings
}

fn ring() -> Finding {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let newer = "each tier saves system calls: 6.1 needs about half of what 5.8 does";
    match Tier::probe(None) {
        Ok(Tier::V6_1) => Finding::good("io_uring", format!("tier 6.1, Linux {release}")),
        Ok(tier) => Finding::advice(
            "io_uring",
            format!("tier {tier}, Linux {release}"),
            newer,
            "run Linux 6.1 or newer",
        ),
        Err(error) => {
            let text = error.to_string();
            // The sentence ends with its remedy.
            let (state, mend) = text.split_once("; ").unwrap_or((&text, "see the kernel log"));
            Finding::problem("io_uring", state, "without it there is no proxy", mend)
        }
    }
}

fn files() -> Finding {
    let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    if hard >= FILES_WANTED {
        return Finding::good("open files", amount(hard));
    }
    Finding::advice(
        "open files",
        format!("at most {hard}"),
        "a request holds two descriptors, a spliced body two more; the limit is raised to the \
         hard one at the start",
        format!("LimitNOFILE={FILES_WANTED} in the service unit, or ulimit -Hn {FILES_WANTED}"),
    )
}

fn memlock(shards: usize) -> Finding {
    let hard = getrlimit(Resource::Memlock).maximum.unwrap_or(u64::MAX);
    let LockedMemory { needed, advised_mebibytes: mebibytes } = LockedMemory::of(shards);
    if hard >= needed || rustix::process::geteuid().is_root() {
        let state =
            if hard == u64::MAX { "no limit".into() } else { format!("{} KiB", hard >> 10) };
        return Finding::good("locked memory", state);
    }
    Finding::problem(
        "locked memory",
        format!("{} KiB for {shards} shards, which need {} KiB", hard >> 10, needed >> 10),
        "each executor locks some for its rings",
        format!("LimitMEMLOCK={mebibytes}M in the service unit, or ulimit -l {}", mebibytes << 10),
    )
}

fn backlog(machine: &Machine) -> Option<Finding> {
    let most = machine.number("proc/sys/net/core/somaxconn")?;
    Some(if most >= BACKLOG {
        Finding::good("net.core.somaxconn", most.to_string())
    } else {
        Finding::advice(
            "net.core.somaxconn",
            most.to_string(),
            "it cuts every listener's `backlog` (4096): a burst of new connections is dropped",
            format!("sysctl -w net.core.somaxconn={BACKLOG}"),
        )
    })
}

/// Since Linux 5.14.
fn migration(machine: &Machine) -> Option<Finding> {
    let on = machine.number("proc/sys/net/ipv4/tcp_migrate_req")?;
    Some(if on == 1 {
        Finding::good("net.ipv4.tcp_migrate_req", "1")
    } else {
        Finding::advice(
            "net.ipv4.tcp_migrate_req",
            on.to_string(),
            "when a process dies, connections in the queues of its sockets move to those of \
             another only with 1",
            "sysctl -w net.ipv4.tcp_migrate_req=1",
        )
    })
}

/// The limit is for each user without privileges; 0: none.
fn pipes(machine: &Machine, shards: u64) -> Option<Finding> {
    let pages = machine.number("proc/sys/fs/pipe-user-pages-soft")?;
    let pages_of_pipe = SplicePlan::PIPE_SIZE / rustix::param::page_size();
    let wanted = (pages_of_pipe * SplicePlan::PIPES) as u64 * shards;
    Some(if pages == 0 || pages >= wanted || rustix::process::geteuid().is_root() {
        Finding::good("fs.pipe-user-pages-soft", pages.to_string())
    } else {
        Finding::advice(
            "fs.pipe-user-pages-soft",
            pages.to_string(),
            "with many large bodies at a time, further pipes hold 4 KiB in place of 1 MiB",
            format!("sysctl -w fs.pipe-user-pages-soft={wanted}"),
        )
    })
}

fn governor(machine: &Machine, cpus: &[usize]) -> Option<Finding> {
    let file = |cpu: &usize| format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor");
    let governors: Vec<(usize, String)> =
        cpus.iter().filter_map(|cpu| Some((*cpu, machine.read(&file(cpu))?))).collect();
    let (cpu, other) = match governors.iter().find(|(_, name)| name != "performance") {
        Some((cpu, name)) => (cpu, name),
        None if governors.is_empty() => return None,
        None => return Some(Finding::good("CPU governor", "performance")),
    };
    Some(Finding::advice(
        "CPU governor",
        format!("{other} on CPU {cpu}"),
        "a CPU that slows down when idle answers the first request after a pause late",
        "cpupower frequency-set -g performance",
    ))
}

fn amount(limit: u64) -> String {
    if limit == u64::MAX { "no limit".to_owned() } else { limit.to_string() }
}
