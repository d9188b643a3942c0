//! The CPUs that this process may use.

use crate::config::Machine;

/// Looks at the process's CPU mask and its cgroup's quota.
pub fn machine() -> Machine {
    // core_affinity reads the mask that the process was started with (sched_getaffinity(2)).
    let mut cpus: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect();
    cpus.sort_unstable();
    if cpus.is_empty() {
        cpus.push(0);
    }
    Machine { cpus, cpu_quota: cgroup_quota() }
}

/// The tightest CPU quota of the cgroups that hold this process (cgroup v2 `cpu.max`, else v1), in
/// CPUs.
fn cgroup_quota() -> Option<f64> {
    let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"));
    let v2 = path.and_then(|path| {
        let path = std::path::Path::new(path);
        path.ancestors()
            .filter_map(|group| {
                let group = group.strip_prefix("/").ok()?;
                let file = std::path::Path::new("/sys/fs/cgroup").join(group).join("cpu.max");
                parse_cpu_max(&std::fs::read_to_string(file).ok()?)
            })
            .reduce(f64::min)
    });
    v2.or_else(|| {
        let read = |name| std::fs::read_to_string(format!("/sys/fs/cgroup/cpu/{name}")).ok();
        parse_cfs(&read("cpu.cfs_quota_us")?, &read("cpu.cfs_period_us")?)
    })
}

/// `"150000 100000"` is 1.5 CPUs, `"max 100000"` no limit.
fn parse_cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    parse_cfs(quota, period)
}

fn parse_cfs(quota: &str, period: &str) -> Option<f64> {
    let quota: f64 = quota.trim().parse().ok()?;
    let period: f64 = period.trim().parse().ok()?;
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_read_in_cpus() {
        assert_eq!(parse_cpu_max("150000 100000\n"), Some(1.5));
        assert_eq!(parse_cpu_max("max 100000\n"), None);
        assert_eq!(parse_cpu_max("garbage"), None);
        assert_eq!(parse_cfs("-1\n", "100000\n"), None);
        assert_eq!(parse_cfs("200000\n", "100000\n"), Some(2.0));
    }

    #[test]
    fn there_is_at_least_one_cpu() {
        assert!(!machine().cpus.is_empty());
    }
}
