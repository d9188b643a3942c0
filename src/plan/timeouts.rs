//! Time and size limits.

use std::time::Duration;

/// How long to wait for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From a request's first byte to the end of its head; 408 and close.
    pub header: Duration,
    /// A client connection without a request; close.
    pub keepalive: Duration,
    /// To connect to a server; the next server, at last 504.
    pub connect: Duration,
    /// From the end of the request to the head of the upstream's final response; 504.
    pub response: Duration,
    /// Between two reads or writes of a body; close.
    pub body_idle: Duration,
    /// How long a request's body may come more slowly than `Limits::body_rate`.
    pub body_grace: Duration,
    /// A tunnel in which neither side sends.
    pub tunnel_idle: Duration,
    /// How long a client that has closed its sending side is still owed the head of a response.
    pub half_closed: Duration,
    /// How long requests in progress may go on after a stop was asked for.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            header: Duration::from_secs(10),
            keepalive: Duration::from_secs(60),
            connect: Duration::from_secs(3),
            response: Duration::from_secs(60),
            body_idle: Duration::from_secs(30),
            body_grace: Duration::from_secs(20),
            tunnel_idle: Duration::from_secs(3600),
            half_closed: Duration::from_secs(1),
            drain: Duration::from_secs(30),
        }
    }
}

/// How much of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes in a head, its start line included; 431 (or 414 for the target), 502 upstream.
    pub head_bytes: usize,
    /// Most fields in a head; 431, or 502 upstream.
    pub head_fields: usize,
    /// Most bytes in a request body; 413. `None`: no limit.
    pub body_bytes: Option<u64>,
    /// Fewest bytes a second of a request body, on average after `Timeouts::body_grace`; 408, or
    /// close where the response has begun. `None`: as few as `Timeouts::body_idle` allows.
    pub body_rate: Option<u64>,
    /// Most requests on one connection, which is then closed. `None`: no limit.
    pub keepalive_requests: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head_bytes: 16 << 10,
            head_fields: 100,
            body_bytes: None,
            body_rate: Some(100),
            keepalive_requests: Some(1000),
        }
    }
}
