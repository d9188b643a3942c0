//! Both ways after a 101 (RFC 9110 §7.8): bytes without meaning to us.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::Context;
use super::client::Client;
use super::exchange::Place;
use super::splicing::{self, Stop};
use crate::ring::{BUF_CAPACITY, Tick, Timer, Traffic};
use crate::transport::Stream;

/// What a tunnel holds besides the client: nothing of the exchange that it began as, nor of the
/// plan.
pub struct Tunnel {
    pub server: Stream,
    /// How long neither side may send anything.
    pub idle: Duration,
    pub _place: Place,
}

/// The tunnel has ended otherwise than by both sides' closing.
struct Broken;

/// One direction.
struct Half<'a> {
    context: &'a Context,
    from: &'a Stream,
    to: &'a Stream,
    timer: Timer,
    idle: Duration,
    /// When a byte last moved, in either direction.
    moved_at: &'a Cell<Tick>,
}

/// Relays in both directions until both sides have closed, one breaks off, or neither has sent for
/// as long as it may.
pub async fn run(client: &Client, tunnel: Tunnel) {
    let (context, idle): (&Context, _) = (&client.context, tunnel.idle);
    let (client, server) = (&client.stream, &tunnel.server);
    let moved_at = Cell::new(context.ring.now());
    let half = |from, to| {
        let timer = context.ring.timer();
        Half { context, from, to, timer, idle, moved_at: &moved_at }
    };
    let (up, down) = (half(client, server), half(server, client));
    let mut up = pin!(up.run());
    let mut down = pin!(down.run());
    let (mut up_ended, mut down_ended) = (false, false);
    poll_fn(|context| {
        if !up_ended && let Poll::Ready(end) = up.as_mut().poll(context) {
            up_ended = true;
            if end.is_err() {
                return Poll::Ready(());
            }
        }
        if !down_ended && let Poll::Ready(end) = down.as_mut().poll(context) {
            down_ended = true;
            if end.is_err() {
                return Poll::Ready(());
            }
        }
        if up_ended && down_ended { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

impl Half<'_> {
    async fn run(&self) -> Result<(), Broken> {
        let mut may_splice = self.context.splice.enabled;
        loop {
            self.from.expect(Traffic::Messages);
            let received = self.while_alive(self.from.recv()).await?.map_err(|_| Broken)?;
            let Some(buf) = received else { break };
            // A full buffer: more waits in the socket.
            let bulk = buf.len() >= BUF_CAPACITY;
            self.context.count(|counters| counters.copied += buf.len() as u64);
            self.while_alive(self.to.socket.send(buf, false)).await?.result.map_err(|_| Broken)?;
            self.moved_at.set(self.context.ring.now());
            if bulk && may_splice && !self.from.has_ahead() {
                self.from.leave_in_socket().await.map_err(|_| Broken)?;
                if !self.from.has_ahead() {
                    may_splice = self.splice().await?;
                }
            }
        }
        self.to.socket.shutdown_write();
        Ok(())
    }

    /// Splices until the source has nothing more just now, and gives the pipe back: an idle tunnel
    /// holds none. `false`: these sockets cannot splice.
    async fn splice(&self) -> Result<bool, Broken> {
        let Some(mut splicing) = splicing::begin(self.context, self.from, self.to) else {
            return Ok(true); // later, perhaps
        };
        loop {
            let n = match splicing.fill(u64::MAX) {
                Ok(n) => n,
                // The next receive waits for more, goes past urgent data, or shows the end.
                Err(Stop::NotReady | Stop::End | Stop::Enough) => return Ok(true),
                Err(Stop::Unfit) => return Ok(false),
                Err(Stop::Broken) => return Err(Broken),
            };
            while !splicing.drain(false).map_err(|_| Broken)? {
                self.while_alive(self.to.socket.writable()).await?.map_err(|_| Broken)?;
            }
            self.context.count(|counters| counters.spliced += n as u64);
            self.moved_at.set(self.context.ring.now());
        }
    }

    /// Runs `future` while bytes move in this direction or the other.
    async fn while_alive<F: Future>(&self, future: F) -> Result<F::Output, Broken> {
        let mut future = pin!(future);
        let idle = Tick::try_from(self.idle.as_nanos()).unwrap_or(Tick::MAX);
        loop {
            let deadline = self.moved_at.get().saturating_add(idle);
            match self.timer.until(deadline, future.as_mut()).await {
                Ok(output) => return Ok(output),
                Err(_) if self.moved_at.get().saturating_add(idle) > deadline => {}
                Err(_) => return Err(Broken),
            }
        }
    }
}
