//! Traces that requests are part of (W3C Trace Context).

/// `[tracing]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TracingPlan {
    /// A request without a valid `traceparent` gets one; `None`: it goes on as it came.
    pub create: Option<Created>,
}

/// What a new `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    /// The flag that asks others to record the trace.
    pub sampled: bool,
}
