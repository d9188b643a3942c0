//! What a request's choice of a server goes by: a cookie, and what its upstream hashes.

use super::client::Client;
use crate::balance::hash_key;
use crate::http1::RequestHead;
use crate::plan::{HashKey, UpstreamPlan};
use crate::upstream::Wish;

/// What the choice of a server of this upstream goes by.
pub fn of(upstream: &UpstreamPlan, head: &RequestHead<'_, '_>, client: &Client) -> Wish {
    let sticky = upstream.sticky.as_ref();
    let server = sticky.and_then(|sticky| sticky.server(head.cookies(&sticky.name)));
    Wish { key: balancing_key(upstream, head, client), server }
}

/// What the upstream's policy hashes; 0 where it hashes nothing.
fn balancing_key(upstream: &UpstreamPlan, head: &RequestHead<'_, '_>, client: &Client) -> u64 {
    use crate::balance::PolicyKind::{ConsistentHash, IpHash};
    if !matches!(upstream.policy, IpHash | ConsistentHash) {
        return 0;
    }
    let value = match &upstream.hash_key {
        HashKey::ClientIp => None,
        HashKey::Path => Some(head.path().as_bytes()),
        HashKey::Value(value) => value.find(head),
    };
    match (value, client.ip()) {
        (Some(value), _) => hash_key(value),
        (None, Some(std::net::IpAddr::V4(ip))) => hash_key(&ip.octets()),
        (None, Some(std::net::IpAddr::V6(ip))) => hash_key(&ip.octets()),
        (None, None) => hash_key(b"unix"),
    }
}
