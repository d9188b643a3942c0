//! Resource limits of the process: raised where allowed, refused where too low; and its pages.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::plan::Plan;

/// Descriptors that a shard needs before its first connection: rings, event descriptors.
const FILES_PER_SHARD: u64 = 64;
/// Descriptors of the process: standard streams, log, control.
const FILES_FOR_PROCESS: u64 = 64;
/// Pipes get one part in so many of the descriptors left, where there are too few.
const PIPES_PART: u64 = 8;
/// Open files are kept in at most one part in so many of a shard's descriptors.
const KEPT_PART: u64 = 4;
/// Descriptors of a listener in a shard: the shard's own, that of the control side, and during an
/// upgrade one on its way to the new process.
const FILES_PER_SOCKET: u64 = 3;

/// Locked memory that a start takes.
pub struct LockedMemory {
    /// That much is needed, bytes.
    pub needed: u64,
    /// What to set the limit to, MiB.
    pub advised_mebibytes: u64,
}

impl LockedMemory {
    /// What glommio asks for in each executor, bytes.
    const PER_SHARD: u64 = 512 << 10;

    /// For so many shards.
    pub fn of(shards: usize) -> LockedMemory {
        let needed = LockedMemory::PER_SHARD * shards as u64;
        // Some kernels count the data rings too, about as much again for each shard.
        LockedMemory { needed, advised_mebibytes: ((3 * needed) >> 20).max(8) }
    }
}

/// Raises the limits on open files and locked memory as far as allowed.
///
/// # Errors
/// A sentence with the remedy when `shards` shards cannot even start.
pub fn raise(shards: usize, stays_root: bool) -> Result<(), String> {
    let needed = files_to_start(shards);
    let files = raise_one(Resource::Nofile, 0);
    if files < needed {
        return Err(format!(
            "the limit on open files ({files}) is too low for {shards} shard(s), which need \
             {needed} before the first connection; raise it: ulimit -n 65536, or \
             LimitNOFILE=65536 in the service unit"
        ));
    }
    // Root's locked memory is not counted (CAP_IPC_LOCK), but each executor looks at the limit.
    let counted = if stays_root { 1 } else { shards };
    let LockedMemory { needed, advised_mebibytes: mebibytes } = LockedMemory::of(counted);
    let memlock = raise_one(Resource::Memlock, needed);
    if memlock < needed {
        return Err(format!(
            "the limit on locked memory ({} KiB) is too low for {shards} shard(s), which need \
             {} KiB; raise it: ulimit -l {}, or LimitMEMLOCK={mebibytes}M in the service unit",
            memlock >> 10,
            needed >> 10,
            mebibytes << 10
        ));
    }
    Ok(())
}

/// Keeps the kernel from backing the process with huge pages (PR_SET_THP_DISABLE): the allocator
/// asks for them, and a few touched pages then cost 2 MiB each; see "Measured" in ARCHITECTURE.md.
pub fn use_small_pages() {
    // Refused only by kernels without huge pages.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Plans the use of descriptors: where the limit on open files is too low for what `plan` allows,
/// lowers that, lest connections be accepted for which there are no servers' then. Returns what to
/// say of it once the start has succeeded.
pub fn fit(plan: &mut Plan) -> Option<String> {
    fit_to(plan, open_files(), PIPES_PART)
}

/// As [`fit`], for shards that have their pipes already.
pub fn fit_again(plan: &mut Plan) -> Option<String> {
    fit_connections(plan, open_files())
}

fn fit_connections(plan: &mut Plan, files: u64) -> Option<String> {
    let splice = plan.shards.splice.clone();
    let warning = fit_to(plan, files, 1);
    plan.shards.splice = splice;
    warning
}

fn open_files() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Makes it fit this many files. Pipes get one part in `pipes_part` of those that are left.
fn fit_to(plan: &mut Plan, files: u64, pipes_part: u64) -> Option<String> {
    let listeners = plan.listeners.len() as u64;
    let shard = &mut plan.shards;
    let shards = (shard.cpus.len() as u64).max(1);
    let kept = plan.file_cache.as_mut().map_or(0, |cache| {
        let most = usize::try_from(files / shards / KEPT_PART).unwrap_or(usize::MAX);
        cache.max = cache.max.min(most);
        cache.max as u64
    });
    let fixed = files_to_start(shards as usize) + shards * (listeners * FILES_PER_SOCKET + kept);
    let pipes = if shard.splice.enabled { shard.splice.pipes as u64 } else { 0 };
    let wanted = fixed + shards * 2 * (u64::from(shard.max_connections) + pipes);
    if files >= wanted {
        return None;
    }
    // Without a pipe a body is copied; without a descriptor for its server a request is refused.
    let left = files.saturating_sub(fixed) / shards;
    let pipes = pipes.min(left / pipes_part / 2);
    let connections = (left.saturating_sub(2 * pipes) / 2).clamp(1, shard.max_connections.into());
    let asked = u64::from(shard.max_connections) * shards;
    shard.splice.pipes = pipes as usize;
    shard.max_connections = connections as u32;
    Some(format!(
        "open files are limited to {files}, and {asked} connections may need {wanted}: two each, \
         two for each pipe, {fixed} for the rest; serving {} at once, with {} pipes; raise the \
         limit (ulimit -n {wanted}, or LimitNOFILE={wanted} in the service unit), or lower \
         limits.connections",
        connections * shards,
        pipes * shards,
    ))
}

fn files_to_start(shards: usize) -> u64 {
    FILES_FOR_PROCESS + FILES_PER_SHARD * shards as u64
}

/// Raises the soft limit to the hard one, and both to `least` where that is allowed; returns what
/// is in force, `u64::MAX`: none.
fn raise_one(resource: Resource, least: u64) -> u64 {
    let limit = getrlimit(resource);
    for maximum in [limit.maximum.map(|hard| hard.max(least)), limit.maximum] {
        if setrlimit(resource, Rlimit { current: maximum, maximum }).is_ok() {
            return maximum.unwrap_or(u64::MAX);
        }
    }
    limit.current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::control::machine;

    /// A plan with one listener, as many shards as that, and so many connections in each.
    fn plan(shards: usize, connections: u32, pipes: usize) -> Plan {
        let text = "[[listener]]\naddress = \"127.0.0.1:0\"\n\
                    [[route]]\npath = \"/\"\nrespond = { status = 200 }\n";
        let loaded = config::from_text(text, "config.toml", &machine());
        let mut plan = loaded.unwrap_or_else(|errors| panic!("{}", errors[0])).plan;
        plan.shards.cpus = (0..shards).collect();
        plan.shards.max_connections = connections;
        plan.shards.splice.pipes = pipes;
        plan
    }

    fn fitted(mut plan: Plan, files: u64) -> (u32, usize, Option<String>) {
        let warning = fit_to(&mut plan, files, PIPES_PART);
        (plan.shards.max_connections, plan.shards.splice.pipes, warning)
    }

    #[test]
    fn a_plan_that_fits_stays_as_it_is() {
        // 64 + 2 * (64 + 3), and 2 * 2 * (100 + 10).
        assert_eq!(fitted(plan(2, 100, 10), 638), (100, 10, None));
        let (connections, pipes, warning) = fitted(plan(2, 100, 10), 637);
        assert_eq!((connections, pipes), (99, 10));
        let warning = warning.unwrap();
        for words in [
            "limited to 637",
            "200 connections may need 638",
            "198 for the rest",
            "serving 198 at once",
            "ulimit -n 638",
            "LimitNOFILE=638",
        ] {
            assert!(warning.contains(words), "no {words:?} in: {warning}");
        }
    }

    #[test]
    fn what_is_planned_fits_and_pipes_come_last() {
        for files in 131..3_000 {
            let (connections, pipes, _) = fitted(plan(1, 1_000, 256), files);
            let used = 131 + 2 * (u64::from(connections) + pipes as u64);
            assert!(used <= files.max(133), "{connections} and {pipes} in {files}");
            assert!(connections >= 1 && pipes as u64 <= (files - 131) / 8);
        }
        let mut copying = plan(1, 1_000, 256);
        copying.shards.splice.enabled = false;
        assert_eq!(fitted(copying, 2_131), (1_000, 256, None));
    }

    /// What is kept of files counts, and is the first to give way.
    #[test]
    fn files_that_are_kept_leave_room() {
        use crate::plan::FileCachePlan;
        let mut serving = plan(2, 100, 10);
        serving.file_cache = Some(FileCachePlan { max: 50, ..FileCachePlan::default() });
        assert_eq!(fitted(serving.clone(), 738), (100, 10, None));
        assert_eq!(fitted(serving.clone(), 737).0, 99);
        assert!(fit_to(&mut serving, 300, PIPES_PART).is_some());
        assert_eq!(serving.file_cache.expect("a cache").max, 37);
    }

    #[test]
    fn shards_that_run_keep_their_pipes() {
        for files in 131..3_000 {
            let (_, pipes, _) = fitted(plan(1, 1_000, 256), files);
            let mut next = plan(1, 1_000, pipes);
            let warning = fit_connections(&mut next, files);
            let connections = next.shards.max_connections;
            assert_eq!(next.shards.splice.pipes, pipes);
            let used = 131 + 2 * (u64::from(connections) + pipes as u64);
            assert!(used <= files.max(133), "{connections} and {pipes} in {files}");
            assert_eq!(warning.is_some(), connections < 1_000);
        }
    }
}
