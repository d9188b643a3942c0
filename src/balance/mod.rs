//! Choosing a server: states in, choice out.

/// `balance` in an `[[upstream]]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// Smooth weighted round robin.
    RoundRobin,
    /// The fewest active requests for its weight.
    LeastConn,
    /// At random by weight.
    Random,
    /// The better of two at random.
    P2c,
    /// By the client's address.
    IpHash,
    /// By a key, so that a server's leaving moves only its own share.
    ConsistentHash,
}
