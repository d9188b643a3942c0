//! Whether a request is let in, before anything else is done for it.

use super::Service;
use super::client::Client;
use super::reply::Failure;
use crate::http1::RequestHead;
use crate::plan::RoutePlan;

/// Whether the client may use the listener that it came to.
///
/// # Errors
/// The answer to its request.
pub fn to_listener(client: &Client) -> Result<(), Failure> {
    match &client.listener.plan().access {
        Some(access) if !access.allows(client.ip()) => Err(Failure::Forbidden),
        _ => Ok(()),
    }
}

/// Whether a request may go to the route that was found for it.
///
/// # Errors
/// The answer to it.
pub fn to_route(client: &Client, route: &RoutePlan) -> Result<(), Failure> {
    match &route.access {
        Some(access) if !access.allows(client.ip()) => Err(Failure::Forbidden),
        _ => Ok(()),
    }
}

/// Whether there have not been too many like it; it counts from then on.
///
/// # Errors
/// The answer to it.
pub fn to_rates(
    client: &Client,
    service: &Service,
    route: &RoutePlan,
    head: &RequestHead<'_, '_>,
) -> Result<(), Failure> {
    let (ip, now) = (client.ip(), client.context.ring.now());
    let taken = service.rates.take(&route.rates, &service.plan.rates, ip, head, now);
    taken.map_err(Failure::TooMany)
}
