//! One client connection: requests one after the other.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::Context;
use super::client::Client;
use super::exchange;
use crate::ring::Buf;
use crate::transport::Stream;

/// What follows an exchange.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// The next request.
    Keep,
    /// Close at once.
    Close,
    /// Close, but let the client read our answer first.
    Linger,
}

/// Counts a connection for as long as it lives.
struct Counted(Rc<Context>);

impl Counted {
    fn new(context: Rc<Context>) -> Counted {
        context.connections.set(context.connections.get() + 1);
        Counted(context)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get() - 1);
    }
}

/// Serves a client until it leaves, or we do.
pub async fn serve(context: Rc<Context>, fd: OwnedFd) {
    let _counted = Counted::new(context.clone());
    let stream = Stream::client(&context.ring, fd);
    let Ok(ip) = stream.peer_ip() else {
        return; // it has left already
    };
    let timer = context.ring.timer();
    let client = Client { context, stream, timer, ip, finished: Cell::new(false) };
    while let Some(first) = next_request(&client).await {
        // Boxed, so that a connection between two requests is small.
        match Box::pin(exchange::run(&client, first)).await {
            Next::Keep => {}
            Next::Close => break,
            Next::Linger => {
                client.linger().await;
                break;
            }
        }
    }
}

/// The first bytes of the next request; `None` when there will be none.
async fn next_request(client: &Client) -> Option<Buf> {
    if let Some(buf) = client.stream.take_ahead() {
        return Some(buf);
    }
    if client.finished.get() || client.context.draining.get() {
        return None;
    }
    let limit = client.context.service.borrow().plan.timeouts.keepalive;
    client.timer.idle(limit, client.stream.recv()).await.ok()?.ok()?
}
