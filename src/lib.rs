//! Corelane: a reverse proxy and load balancer for Linux.
//!
//! The crate is a house of rooms; each opens only on rooms with a smaller number, and
//! `tests/tidy.rs` proves it.
//!
//! | no. | room | holds |
//! |---|---|---|
//! | 1 | [`http1`] | bytes in, decisions out |
//! | 1 | [`route`] | host and path to route |
//! | 1 | [`balance`] | server states to choice |
//! | 1 | [`guard`] | who may come in, how many, how often |
//! | 1 | [`telemetry`] | counters and latency histograms |
//! | 1 | [`nginx`] | nginx.conf to TOML |
//! | 1 | [`ring`] | the kernel; all `unsafe` in `ring::sys` |
//! | 2 | [`plan`] | validated, immutable configuration |
//! | 2 | [`transport`] | a byte stream to a peer |
//! | 3 | [`config`] | file to checks to plan |
//! | 3 | [`upstream`] | servers, pool, dialling |
//! | 4 | [`proxy`] | the life of one connection |
//! | 5 | [`shard`] | one core |
//! | 6 | [`control`] | all that is no request |
//! | 7 | [`cli`] | commands |

#![deny(unsafe_code)]

pub mod balance;
pub mod cli;
pub mod config;
pub mod control;
pub mod guard;
pub mod http1;
pub mod nginx;
pub mod plan;
pub mod proxy;
pub mod ring;
pub mod route;
pub mod shard;
pub mod telemetry;
pub mod transport;
pub mod upstream;
