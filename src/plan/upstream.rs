//! Where requests go.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Address, BreakerPlan, BudgetPlan, CheckPlan, Found, Member, PassivePlan, ServerAddress,
    ServerState, StickyPlan, ValueOf, members,
};
use crate::balance::PolicyKind;

/// One `[[upstream]]`.
#[derive(Clone, Debug)]
pub struct UpstreamPlan {
    /// Its name in the file.
    pub name: String,
    /// How a server is chosen.
    pub policy: PolicyKind,
    /// What `consistent_hash` hashes; `ip_hash` hashes [`HashKey::ClientIp`].
    pub hash_key: HashKey,
    /// What the configuration says of its servers, in that order.
    pub members: Vec<Member>,
    /// The file that says more of them.
    pub servers_file: Option<ServersFile>,
    /// The servers whose addresses are known, in the order of what names them. There may be none.
    pub servers: Vec<ServerPlan>,
    /// Requests that wait for a server below its `max_connections`.
    pub queue: QueuePlan,
    /// Idle connections to servers.
    pub pool: PoolPlan,
    /// What ordinary requests tell about servers.
    pub passive: PassivePlan,
    /// Active checks, if any.
    pub check: Option<CheckPlan>,
    /// How long a server that returns takes to get its whole weight; zero: it has it at once.
    pub slow_start: Duration,
    /// How many requests may be tried again at once.
    pub budget: BudgetPlan,
    /// The circuit breaker.
    pub breaker: BreakerPlan,
    /// The cookie that brings a client back to its server.
    pub sticky: Option<StickyPlan>,
    /// The PROXY header that connections to servers begin with.
    pub proxy_protocol: Option<ProxyVersion>,
}

/// A file of servers: `servers_file`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServersFile {
    /// Its path, as it can be opened from where the process runs.
    pub path: PathBuf,
    /// What it said when it was read last.
    pub members: Arc<[Member]>,
}

impl UpstreamPlan {
    /// All that says which servers it has.
    pub fn all_members(&self) -> impl Iterator<Item = &Member> {
        let of_file = self.servers_file.iter().flat_map(|file| file.members.iter());
        self.members.iter().chain(of_file)
    }

    /// Makes the servers what its members are with the addresses that were `found`, and all that
    /// follows from it.
    pub fn find<'f>(&mut self, found: impl Fn(&ServerAddress) -> &'f [Found]) {
        self.servers = members::servers(self.all_members(), found);
        if let Some(sticky) = &mut self.sticky {
            sticky.mark(&self.name, self.servers.iter().map(|server| &server.address));
        }
    }
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

impl ProxyVersion {
    /// Every version, in the order of the documentation.
    pub const ALL: [ProxyVersion; 2] = [ProxyVersion::V1, ProxyVersion::V2];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            ProxyVersion::V1 => "v1",
            ProxyVersion::V2 => "v2",
        }
    }

    /// The header of a connection of our own, such as an active check's: UNKNOWN, or LOCAL.
    pub fn own_header(self) -> &'static [u8] {
        match self {
            ProxyVersion::V1 => b"PROXY UNKNOWN\r\n",
            ProxyVersion::V2 => b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
        }
    }
}

/// Tells a server from all others, also those of earlier plans: it keeps its number for as long as
/// its upstream and its address keep theirs, and no other server gets that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u32);

/// One member of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerPlan {
    /// Its number.
    pub id: ServerId,
    /// Where it listens.
    pub address: Address,
    /// Its address as configured, or the name and port that led to it.
    pub host: String,
    /// Its share of requests relative to the others; from 1 to [`super::WEIGHT_MAX`].
    pub weight: u32,
    /// Used only when no other server can be.
    pub backup: bool,
    /// Most requests at once over all shards; `None`: no limit.
    pub max_connections: Option<u32>,
    /// Whether it takes requests.
    pub state: ServerState,
    /// What requests tell about it; `None`: as for its upstream.
    pub passive: Option<PassivePlan>,
}

/// What a hashing policy hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// The client's address.
    ClientIp,
    /// The path without its query.
    Path,
    /// This value; the client's address where it is absent.
    Value(ValueOf),
}

/// The waiting queue of an upstream, in each shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuePlan {
    /// Most requests waiting over all shards; one more is answered 503. 0: none waits.
    pub max: u32,
    /// Longest wait; then 503.
    pub timeout: Duration,
}

/// Idle connections kept to each server, in each shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolPlan {
    /// Most idle connections to one server in one shard.
    pub max_idle: usize,
    /// Closed after this long without a request.
    pub idle_timeout: Duration,
}
