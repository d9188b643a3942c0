//! The process, as proc(5) has it.

use std::fs;

use super::family::{Family, Kind};

/// What any process tells of itself; what cannot be read is left out.
pub fn families() -> Vec<Family> {
    use Kind::{Counter, Gauge};
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let mut families = Vec::new();
    let mut put = |name, kind, help, number: Option<f64>| {
        if let Some(number) = number {
            families.push(Family::new(name, kind, help).with(&[], number));
        }
    };
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let stat = Stat::read(&stat);
    let (cpu, start) = (stat.as_ref().map(|stat| stat.cpu), stat.as_ref().map(|stat| stat.start));
    let help = "User and system time of the process.";
    put("process_cpu_seconds_total", Counter, help, cpu.map(|cpu| cpu as f64 / ticks));
    let start = start.and_then(|start| Some(boot_time()? + start as f64 / ticks));
    put("process_start_time_seconds", Gauge, "When the process began, since 1970.", start);
    let memory = fs::read_to_string("/proc/self/statm").ok();
    let pages = |index: usize| -> Option<f64> {
        let pages: f64 = memory.as_ref()?.split_whitespace().nth(index)?.parse().ok()?;
        Some(pages * rustix::param::page_size() as f64)
    };
    put("process_virtual_memory_bytes", Gauge, "Memory that is mapped.", pages(0));
    put("process_resident_memory_bytes", Gauge, "Memory that is in use.", pages(1));
    // One of them is the folder that is read.
    let open = fs::read_dir("/proc/self/fd").ok().map(|all| all.count().saturating_sub(1) as f64);
    put("process_open_fds", Gauge, "Open descriptors.", open);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    put("process_max_fds", Gauge, "Most descriptors.", limit.map(|limit| limit as f64));
    families
}

/// Of /proc/PID/stat.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    /// Ticks of user and system time.
    cpu: u64,
    /// Ticks from the boot to the start.
    start: u64,
}

impl Stat {
    fn read(text: &str) -> Option<Stat> {
        // The name before it may hold anything.
        let (_, rest) = text.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        let user: u64 = fields.nth(11)?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(Stat { cpu: user + system, start: fields.nth(6)?.parse().ok()? })
    }
}

/// Seconds since 1970.
fn boot_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_stat_are_counted_behind_the_name() {
        let text = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 5 0 987 1000 200";
        assert_eq!(Stat::read(text), Some(Stat { cpu: 200, start: 987 }));
        assert_eq!(Stat::read("7 (a) S 1"), None);
    }

    #[test]
    fn all_figures_can_be_read_here() {
        let families = families();
        let names: Vec<_> = families.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), 6, "{names:?}");
    }
}
