//! Passive health.
