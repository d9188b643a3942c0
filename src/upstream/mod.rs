//! Servers, their health, their connections.

pub mod passive;
