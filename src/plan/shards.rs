//! Where and how shards run. A reload changes the number of connections; the rest stays for the
//! life of the process.

/// The shards and what each may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardPlan {
    /// The CPU of each shard; as many shards as entries.
    pub cpus: Vec<usize>,
    /// Most client connections a shard serves at once; more wait in the accept queue.
    pub max_connections: u32,
    /// Most connections of one client at once, over all shards; one more is closed at once.
    /// `None`: no limit.
    pub connections_per_client: Option<u32>,
    /// The data ring.
    pub ring: RingPlan,
    /// Forwarding bodies in the kernel.
    pub splice: SplicePlan,
}

impl ShardPlan {
    /// Client connections of the whole process, where nothing else is said.
    pub const CONNECTIONS: u32 = 100_000;
}

/// The data ring of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingPlan {
    /// Which tier to use.
    pub tier: TierChoice,
    /// Submission queue entries, a power of two from 16 to 32768.
    pub entries: u32,
    /// Most receive buffers (32 KiB each) a shard may hold at once.
    pub buffers: u32,
}

/// `ring.tier`: probe, or force a tier down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TierChoice {
    /// The best tier that the running kernel has.
    Auto,
    /// Linux 6.1: DEFER_TASKRUN, multishot accept and receive.
    V6_1,
    /// Linux 5.19: COOP_TASKRUN, buffer rings.
    V5_19,
    /// Linux 5.8: one-shot operations only.
    V5_8,
}

/// Forwarding bodies by splice(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplicePlan {
    /// Whether bodies are spliced at all.
    pub enabled: bool,
    /// Bodies (or chunks) with at least this many bytes still to come are spliced, bytes.
    pub threshold: u64,
    /// Capacity asked for each pipe, bytes; the kernel may grant less.
    pub pipe_size: usize,
    /// Most pipes a shard holds at once.
    pub pipes: usize,
}

impl SplicePlan {
    /// Capacity asked for each pipe where nothing else is said, bytes.
    pub const PIPE_SIZE: usize = 1 << 20;
    /// Most pipes of a shard where nothing else is said.
    pub const PIPES: usize = 256;
}
