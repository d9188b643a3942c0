//! Resource limits of the process: raised where allowed, refused where too low; and its pages.

use crate::plan::ShardPlan;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that a shard needs before its first connection: rings, event descriptors, pipes.
const FILES_PER_SHARD: u64 = 64;
/// Descriptors of the process: standard streams, log, control.
const FILES_FOR_PROCESS: u64 = 64;
/// Locked memory that glommio asks for in each executor, bytes.
const MEMLOCK_PER_SHARD: u64 = 512 << 10;

/// Raises the limits on open files and locked memory as far as allowed.
///
/// # Errors
/// A sentence with the remedy when `shards` shards cannot even start.
pub fn raise(shards: usize) -> Result<(), String> {
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
    let counted = if rustix::process::geteuid().is_root() { 1 } else { shards };
    let needed = MEMLOCK_PER_SHARD * counted as u64;
    let memlock = raise_one(Resource::Memlock, needed);
    if memlock < needed {
        // Some kernels count the data rings too, about as much again for each shard.
        let mebibytes = ((3 * needed) >> 20).max(8);
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

/// Says so if open files may run out before there are as many clients as the plan allows.
pub fn advise(plan: &ShardPlan) {
    let shards = plan.cpus.len();
    let connections = plan.max_connections.saturating_mul(shards as u32);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // A request needs the client's descriptor and a server's.
    let wanted = files_to_start(shards) + 2 * u64::from(connections);
    if files < wanted {
        tracing::info!(
            "open files are limited to {files}; {connections} connections may need {wanted} \
             (ulimit -n, or LimitNOFILE in the service unit)"
        );
    }
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
