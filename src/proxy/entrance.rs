//! How a connection begins where proxies announce clients by the PROXY protocol, and for whom a
//! peer speaks where it is trusted.

use std::cell::{Cell, OnceCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::task::Context as TaskContext;
use std::time::Duration;

use super::client::Client;
use super::connection::LAST_REQUEST_WHILE_DRAINING;
use super::turnstile::{Crowded, Ticket};
use crate::http1::{RequestHead, TraceContext};
use crate::plan::{ProxyVersion, TracingPlan};
use crate::ring::Buf;
use crate::transport::proxy_protocol::{self, Endpoints, Preface};

/// What a connection's peer, or somebody before it, said of a client, and other rare knowledge.
#[derive(Default)]
pub struct Told {
    /// The addresses that a PROXY header announced, or those of the connection, once asked for.
    endpoints: OnceCell<Option<Endpoints>>,
    /// By version: what connections to servers begin with that want to know those addresses.
    announcements: [OnceCell<Rc<[u8]>>; ProxyVersion::ALL.len()],
    /// Whose the present request is, if not the peer's.
    client: Cell<Option<IpAddr>>,
    /// The id of the present request, once asked for.
    request_number: Cell<Option<u64>>,
    /// The trace that the present request is part of.
    trace: Cell<Option<TraceContext>>,
    /// That the connection is counted for its client.
    ticket: Cell<Option<Ticket>>,
}

/// Why a connection is closed before it has begun.
enum Unwelcome {
    /// It closed without a header: somebody looked whether we listen.
    Left,
    /// The peer is not among `trusted_proxies`.
    Untrusted,
    /// What it sent is no header.
    NoHeader(&'static str),
    /// The header did not come within the time that a request's head has.
    TooLate,
}

/// Receives the PROXY header that each connection of this listener begins with; `false`: the
/// connection is to be closed.
pub async fn introduce(client: &Client) -> bool {
    let reason = match receive_header(client).await {
        Ok(endpoints) => {
            if let Some(endpoints) = endpoints {
                client.announce(endpoints);
            }
            return true;
        }
        Err(Unwelcome::Left) => return false,
        Err(Unwelcome::Untrusted) => "the peer is not trusted",
        Err(Unwelcome::NoHeader(reason)) => reason,
        Err(Unwelcome::TooLate) => "it did not come in time",
    };
    client.context.count(|counters| counters.proxy_headers_refused += 1);
    tracing::debug!(peer = ?client.peer.get(), reason, "no valid PROXY header: closing");
    false
}

async fn receive_header(client: &Client) -> Result<Option<Endpoints>, Unwelcome> {
    if !client.trusts_peer() {
        return Err(Unwelcome::Untrusted);
    }
    let limit = client.context.service.borrow().plan.timeouts.header;
    let deadline = client.timer.after(limit);
    let mut collected = Vec::new();
    loop {
        let mut buf = receive_until(client, deadline).await?;
        let before = collected.len();
        collected.extend_from_slice(buf.bytes());
        match proxy_protocol::parse(&collected) {
            Err(why) => return Err(Unwelcome::NoHeader(why.0)),
            Ok(Preface::Incomplete) => {}
            Ok(Preface::Header { len, endpoints }) => {
                buf.advance(len - before);
                if !buf.is_empty() {
                    client.stream.put_back(buf);
                }
                return Ok(endpoints);
            }
        }
    }
}

/// The next bytes. A drain does not wait for them as long as the deadline would allow.
async fn receive_until(client: &Client, deadline: u64) -> Result<Buf, Unwelcome> {
    loop {
        let draining = client.context.draining.get();
        let left = Duration::from_nanos(deadline.saturating_sub(client.context.ring.now()));
        let limit = if draining { left.min(LAST_REQUEST_WHILE_DRAINING) } else { left };
        let receive = |context: &mut TaskContext<'_>| client.stream.poll_recv(context);
        match client.timer.until_drain(limit, receive).await {
            Ok(Ok(Some(buf))) => return Ok(buf),
            Ok(_) => return Err(Unwelcome::Left),
            Err(_) if !draining && client.context.draining.get() => {}
            Err(_) => return Err(Unwelcome::TooLate),
        }
    }
}

impl Client {
    /// The peer is this client.
    fn announce(&self, endpoints: Endpoints) {
        self.peer.set(Some(endpoints.source.ip().to_canonical()));
        // The header comes before whoever might ask.
        let _ = self.told.get_or_init(Box::default).endpoints.set(Some(endpoints));
    }

    /// Counts the connection for its client, where that is limited.
    ///
    /// # Errors
    /// [`Crowded`].
    pub(super) fn enter(&self) -> Result<(), Crowded> {
        let Some(turnstile) = &self.context.turnstile else { return Ok(()) };
        if let Some(ticket) = turnstile.enter(self.ip())? {
            self.told.get_or_init(Box::default).ticket.set(Some(ticket));
        }
        Ok(())
    }

    /// What a connection to a server begins with that wants to know whose it is.
    pub(super) fn announcement(&self, version: ProxyVersion) -> Rc<[u8]> {
        let told = self.told.get_or_init(Box::default);
        let announcement = told.announcements[version as usize].get_or_init(|| {
            let endpoints = self.endpoints();
            let header = match version {
                ProxyVersion::V1 => proxy_protocol::v1_header(endpoints.as_ref()),
                ProxyVersion::V2 => proxy_protocol::v2_header(endpoints.as_ref()),
            };
            header.into()
        });
        announcement.clone()
    }

    /// The addresses of both ends of the connection, as they were announced if they were; `None`: a
    /// Unix socket, or the client has left and will not see the answer.
    pub(super) fn endpoints(&self) -> Option<Endpoints> {
        let told = self.told.get_or_init(Box::default);
        *told.endpoints.get_or_init(|| self.stream.endpoints().ok().flatten())
    }

    /// Whose the present request is, for limits, hashes and logs: the peer's own, unless that is a
    /// trusted proxy and names another. `None`: it came over a Unix socket.
    pub fn ip(&self) -> Option<IpAddr> {
        self.told.get().and_then(|told| told.client.get()).or(self.peer.get())
    }

    /// The id of the present request, for whoever reads the log.
    pub(super) fn request_id(&self) -> String {
        let number = &self.told.get_or_init(Box::default).request_number;
        let id = number.get().unwrap_or_else(|| self.context.request_number());
        number.set(Some(id));
        format!("{id:016x}")
    }

    /// The same as a number, for whoever asks last.
    pub(super) fn request_number(&self) -> u64 {
        let known = self.told.get().and_then(|told| told.request_number.get());
        known.unwrap_or_else(|| self.context.request_number())
    }

    /// The trace that the present request is part of.
    pub(super) fn trace(&self) -> Option<TraceContext> {
        self.told.get().and_then(|told| told.trace.get())
    }

    /// The same, for the log.
    pub(super) fn trace_id(&self) -> Option<String> {
        self.trace().map(|trace| format!("{:032x}", trace.trace_id))
    }

    /// Takes note of the trace that a request is part of. One without gets one if the plan wants
    /// that: it is returned.
    pub(super) fn trace_request(
        &self,
        head: &RequestHead<'_, '_>,
        plan: &TracingPlan,
    ) -> Option<TraceContext> {
        let told = head.trace();
        let created = plan.create.filter(|_| told.is_none());
        let created = created.map(|created| self.context.begin_trace(created));
        if let Some(trace) = told.or(created) {
            self.told.get_or_init(Box::default).trace.set(Some(trace));
        }
        created
    }

    /// A request begins of which nothing is known yet.
    pub(super) fn forget_request(&self) {
        if let Some(told) = self.told.get() {
            told.client.set(None);
            told.request_number.set(None);
            told.trace.set(None);
        }
    }

    /// Whether the peer's word about those before it is taken.
    pub(super) fn trusts_peer(&self) -> bool {
        self.listener.plan().trusted_proxies.trusts(self.peer.get())
    }

    /// Whether that is so of the fields of requests.
    pub(super) fn trusts_fields(&self) -> bool {
        self.listener.plan().forwarded_for && self.trusts_peer()
    }

    /// Takes note of whose request this is. Says whether the peer is trusted to say so.
    pub(super) fn identify(&self, head: &RequestHead<'_, '_>) -> bool {
        let trusted = self.trusts_fields();
        if trusted {
            let proxies = &self.listener.plan().trusted_proxies;
            if let Some(named) = head.client_named(|address| proxies.has(address)) {
                self.told.get_or_init(Box::default).client.set(Some(named));
            }
        }
        trusted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_connections_are_nobodys() {
        for version in ProxyVersion::ALL {
            let header = version.own_header();
            let expected = Preface::Header { len: header.len(), endpoints: None };
            assert_eq!(proxy_protocol::parse(header), Ok(expected), "{version:?}");
        }
    }
}
