//! One client connection: requests one after the other.

use std::future::Future;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::Context as TaskContext;
use std::time::Duration;

use super::Context;
use super::client::Client;
use super::listener::Listener;
use super::tunnel::{self, Tunnel};
use super::{entrance, exchange};
use crate::ring::Buf;

/// How long a connection has for one last request while draining. It may be on its way: sent to a
/// connection that was kept, or waiting in the accept queue.
pub(super) const LAST_REQUEST_WHILE_DRAINING: Duration = Duration::from_secs(1);

/// What follows an exchange.
pub enum Next {
    /// The next request.
    Keep,
    /// Close at once.
    Close,
    /// Close, but let the client read our answer first.
    Linger,
    /// Bytes without meaning to us, both ways, until it ends.
    Tunnel(Box<Tunnel>),
}

impl Next {
    /// What follows the last exchange.
    async fn conclude(self, client: &Client) {
        match self {
            Next::Keep | Next::Close => {}
            Next::Linger => client.linger().await,
            Next::Tunnel(tunnel) => tunnel::run(client, *tunnel).await,
        }
    }
}

/// Counts a connection for as long as it lives.
pub struct Counted(Rc<Context>);

impl Counted {
    /// One more, from now on.
    pub fn new(context: Rc<Context>) -> Counted {
        context.take_place();
        Counted(context)
    }
}

impl Deref for Counted {
    type Target = Rc<Context>;

    fn deref(&self) -> &Rc<Context> {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.make_room();
    }
}

/// Serves a client until it leaves, or we do.
///
/// Not an async function: that would hold the client twice, before and after its construction.
pub fn serve(counted: Counted, listener: Rc<Listener>, fd: OwnedFd) -> impl Future<Output = ()> {
    let client = Client::new(counted, listener, fd);
    async move {
        let Ok(client) = &client else {
            return; // it has left already
        };
        if client.listener.plan().proxy_protocol && !Box::pin(entrance::introduce(client)).await {
            return;
        }
        if client.enter().is_err() {
            // Closed without a word: whatever it were owed would have to be held for it.
            client.context.count(|counters| counters.crowded += 1);
            return;
        }
        while let Some(first) = next_request(client).await {
            client.begin_request();
            // Boxed, so that a connection between two requests is small.
            match Box::pin(exchange::run(client, first)).await {
                Next::Keep => {}
                last => {
                    Box::pin(last.conclude(client)).await;
                    break;
                }
            }
        }
    }
}

/// The first bytes of the next request; `None` when there will be none.
async fn next_request(client: &Client) -> Option<Buf> {
    if let Some(buf) = client.stream.take_ahead() {
        return Some(buf);
    }
    if client.finished.get() {
        return None;
    }
    loop {
        let draining = client.context.draining.get();
        let limit = match draining {
            false => client.context.service.borrow().plan.timeouts.keepalive,
            true => LAST_REQUEST_WHILE_DRAINING,
        };
        let receive = |context: &mut TaskContext<'_>| client.stream.poll_recv(context);
        let received = client.timer.idle(limit, receive).await;
        if received.is_ok() || draining || !client.context.draining.get() {
            return received.ok()?.ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, B, C, F>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// All that an idle connection holds besides its slots in the ring.
    #[test]
    fn a_connection_between_two_requests_is_small() {
        let bytes = size(serve);
        assert!(bytes <= 256, "{bytes} bytes");
    }
}
