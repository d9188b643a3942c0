//! What is held just now: all of it goes back to nothing when nothing is going on.

use super::counters::counters;

counters! {
    /// What one shard has to do with one server.
    ServerUse;
    /// Requests begun there.
    requests: "requests",
    /// Attempts that it refused, did not answer, or broke off.
    failures: "failed attempts",
    /// Requests in progress there.
    active: "requests in progress",
    /// Idle connections to it.
    idle: "idle connections",
}

counters! {
    /// What one shard holds at the moment of its report.
    Gauges;
    /// Client connections, those that are idle included.
    connections: "client connections open",
    /// Requests that an upstream was asked for and that have not ended; tunnels are among them.
    requests: "requests in progress",
    /// Of these, the ones that wait for a server or for a connection to it.
    waiting: "requests waiting for a server",
    /// Of these, the ones in a queue: all servers are as busy as they may be.
    queued: "requests in queues",
    /// Of the requests in progress, the ones that are being tried again.
    retrying: "requests being tried again",
    /// Requests as the balancers count them, all servers together.
    leases: "requests at servers",
    /// Connections in the pools, those included that a server has closed since the last sweep.
    idle: "idle connections to servers",
    /// Receive buffers lent out: neither free nor published to the kernel.
    buffers_lent: "receive buffers in use",
    /// Receive buffers that have memory.
    buffers: "receive buffers allocated",
    /// Pipes on loan to a body or tunnel.
    pipes_lent: "pipes in use",
    /// Pipes that exist.
    pipes: "pipes open",
    /// Ring operations that the kernel has not finished; an idle shard has a few.
    operations: "ring operations in flight",
}
