//! Totals since the start.

/// Counts `$field` once for each name: struct, sum and names stay together.
macro_rules! counters {
    ($(#[$about:meta])* $name:ident; $($(#[$doc:meta])* $field:ident: $label:literal,)*) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl $name {
            /// Adds what another shard counted.
            pub fn merge(&mut self, other: &$name) {
                $(self.$field += other.$field;)*
            }

            /// What has come since `earlier`.
            pub fn since(&self, earlier: &$name) -> $name {
                $name { $($field: self.$field.saturating_sub(earlier.$field),)* }
            }

            /// The names of the fields and values, for programs.
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($field), self.$field)),*]
            }

            /// Names and values, for reports.
            pub fn entries(&self) -> Vec<(&'static str, u64)> {
                vec![$(($label, self.$field)),*]
            }
        }
    };
}

pub(super) use counters;

counters! {
    /// Totals of one shard since its start.
    Counters;
    /// Client connections accepted.
    accepted: "connections accepted",
    /// Of those of listeners with `steering = "cpu"`, the ones whose packets come to the CPU of the
    /// shard that serves them.
    arrived_here: "connections served on the CPU they came to",
    /// Connections that the shard which accepted them handed to another (`steering = "balance"`).
    handed_over: "connections handed to a less loaded shard",
    /// Client connections closed because they did not begin with a PROXY header of a trusted
    /// proxy.
    proxy_headers_refused: "connections without a valid PROXY header",
    /// Connections closed at once because their client had as many as may be.
    crowded: "connections closed, one client had too many",
    /// Requests whose head was received.
    requests: "requests",
    /// Requests that have ended, however they did; those included whose head never came whole.
    finished: "requests ended",
    /// Final responses from servers.
    responses: "responses from servers",
    /// Answers of our own that say something went wrong (4xx, 5xx).
    refused: "requests refused or failed",
    /// Of these, requests from an address that is kept out (403).
    forbidden: "requests from where none are answered",
    /// Of these, requests that came too often (429).
    too_many: "requests that came too often",
    /// Upstream requests sent on a connection from the pool.
    reused: "upstream connections reused",
    /// Upstream connections made.
    dialled: "upstream connections made",
    /// Requests tried on another server because connecting failed.
    connect_retries: "retries after connect failure",
    /// Requests sent again because a connection from the pool had gone stale.
    stale_retries: "retries after stale connection",
    /// Requests tried again because of the status of an answer (`retry.on`).
    status_retries: "retries after a listed status",
    /// Requests tried again because an answer did not come in time; likewise.
    timeout_retries: "retries after a response timeout",
    /// Requests tried on another server because a connection ended without an answer.
    closed_retries: "retries after a close without an answer",
    /// Requests not tried again because too many were already (`retry.budget_percent`).
    budget_refusals: "retries denied by the budget",
    /// Requests answered 503, or not tried again, because of a limit of their upstream
    /// (`limits` of an upstream).
    breaker_refusals: "refused by a limit of their upstream",
    /// Servers that got no more requests because requests failed; counted once for the process.
    ejections: "servers ejected",
    /// Servers that got no more requests because their active checks failed; likewise.
    checked_out: "servers taken out by their checks",
    /// Servers that took requests again.
    returns: "servers returned",
    /// Exchanges ended because the client went away.
    aborted: "requests aborted by the client",
    /// Connections that became tunnels.
    tunnels: "tunnels",
    /// Requests that are not in the access log because it could not be written as fast, or at all.
    log_lines_lost: "access log lines lost",
    /// Responses with files, or with what says that the client has them.
    files: "files sent",
    /// Body bytes forwarded through buffers.
    copied: "body bytes copied",
    /// Body bytes forwarded inside the kernel.
    spliced: "body bytes spliced",
    /// Completions that the ring brought.
    ring_completions: "ring completions",
    /// Calls of io_uring_enter(2).
    ring_enters: "ring enters",
}
