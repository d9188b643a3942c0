//! What a line may say.

/// Names and values of an enum stay together.
macro_rules! variables {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A value that a request has in the log. Names are nginx's where it has the same.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Variable {
            $($(#[$doc])* $variant,)*
            /// `$http_NAME`: this one of the format's request fields.
            Field(u8),
        }

        impl Variable {
            /// All names but those of request fields, which begin with `http_`.
            pub const NAMES: &[&str] = &[$($name),*];

            pub(super) fn named(name: &str) -> Option<Variable> {
                match name {
                    $($name => Some(Variable::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

variables! {
    /// Whose request it is; behind a trusted proxy, whom that names. `unix:` over a Unix socket.
    RemoteAddr = "remote_addr",
    /// The user of `Authorization: Basic`.
    RemoteUser = "remote_user",
    /// When it ended: `21/Nov/2026:22:27:52 +0000`.
    TimeLocal = "time_local",
    /// `2026-11-21T22:27:52+00:00`
    TimeIso8601 = "time_iso8601",
    /// Seconds since 1970 with milliseconds.
    Msec = "msec",
    /// The request line as it came.
    Request = "request",
    /// Its method.
    RequestMethod = "request_method",
    /// Its target as it came.
    RequestUri = "request_uri",
    /// Its target without the query.
    Uri = "uri",
    /// Its query.
    Args = "args",
    /// Its version: `HTTP/1.1`.
    ServerProtocol = "server_protocol",
    /// The host it is for, without the port.
    Host = "host",
    /// `http`
    Scheme = "scheme",
    /// Its Referer.
    HttpReferer = "http_referer",
    /// Its User-Agent.
    HttpUserAgent = "http_user_agent",
    /// The status of the answer; 499 where the client left before there was one.
    Status = "status",
    /// Bytes of the answer's body that went to the client.
    BodyBytesSent = "body_bytes_sent",
    /// Bytes of the request's body that came from the client.
    RequestBodyBytes = "request_body_bytes",
    /// Seconds from its first byte to its end, with milliseconds.
    RequestTime = "request_time",
    /// The address of the server that answered.
    UpstreamAddr = "upstream_addr",
    /// Seconds until there was a connection to it, with milliseconds.
    UpstreamConnectTime = "upstream_connect_time",
    /// Seconds from its choice to the first byte of its answer, with milliseconds.
    UpstreamHeaderTime = "upstream_header_time",
    /// Seconds from its choice to the end, with milliseconds.
    UpstreamResponseTime = "upstream_response_time",
    /// The server as the configuration writes it.
    Server = "server",
    /// The name of its upstream.
    Upstream = "upstream",
    /// The name of the route.
    Route = "route",
    /// How many servers were asked.
    Attempts = "attempts",
    /// The phase `head`, seconds with microseconds; so are the next.
    HeadTime = "head_time",
    /// The phase `queue`.
    QueueTime = "queue_time",
    /// The phase `connect`.
    ConnectTime = "connect_time",
    /// The phase `first_byte`.
    FirstByteTime = "first_byte_time",
    /// The phase `body`.
    BodyTime = "body_time",
    /// The whole.
    TotalTime = "total_time",
    /// The id that error pages and log lines have.
    RequestId = "request_id",
    /// The trace's id (W3C trace context), 32 hexadecimal digits.
    TraceId = "trace_id",
    /// The id of the span that the server sees as its parent, 16 digits.
    SpanId = "span_id",
    /// The number of the shard.
    Shard = "shard",
    /// The process.
    Pid = "pid",
}
