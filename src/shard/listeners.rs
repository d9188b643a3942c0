//! The sockets that a shard accepts from, and how they are closed without losing who waits there.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use super::message::Socket;
use crate::plan::ListenerPlan;
use crate::proxy::{self, Context, Counted, Listener};
use crate::ring::{Acceptor, Timer};

/// How long a listener rests when descriptors or memory are short, or when its shard is full.
const REST_WHEN_SHORT: Duration = Duration::from_millis(100);
const REST_WHEN_FULL: Duration = Duration::from_millis(20);
/// A full shard lets go of clients that have been idle for so long, the longest idle first, and so
/// many at once: each makes room for another.
const IDLE_WHEN_FULL: Duration = Duration::from_secs(1);
const IDLE_AT_ONCE: usize = 16;

/// The listeners of a shard.
#[derive(Default)]
pub struct Listeners {
    /// One for each of the plan's.
    current: RefCell<Vec<Rc<Door>>>,
    /// Also those that are being closed.
    open: Cell<usize>,
}

/// A listener, as those see it who may change or close it.
struct Door {
    /// For its connections.
    listener: Rc<Listener>,
    closing: Cell<bool>,
    wakers: RefCell<Vec<Waker>>,
}

impl Door {
    fn new(plan: &ListenerPlan) -> Door {
        let listener = Rc::new(Listener::new(plan));
        Door { listener, closing: Cell::new(false), wakers: RefCell::default() }
    }

    fn close(&self) {
        self.closing.set(true);
        self.wakers.take().into_iter().for_each(Waker::wake);
    }

    /// Ready once it is to be closed.
    fn poll_closing(&self, context: &mut TaskContext<'_>) -> Poll<()> {
        if self.closing.get() {
            return Poll::Ready(());
        }
        let mut wakers = self.wakers.borrow_mut();
        if !wakers.iter().any(|known| known.will_wake(context.waker())) {
            wakers.push(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Listeners {
    /// Accepts for the listeners of the plan that the context has now; the sockets that it has no
    /// use for are closed.
    pub fn adopt(self: &Rc<Self>, context: &Rc<Context>, sockets: Vec<Socket>) {
        let present = self.current.take();
        let plan = context.service.borrow().plan.clone();
        let doors =
            sockets.into_iter().zip(&plan.listeners).filter_map(|(socket, plan)| match socket {
                Socket::Kept(index) => {
                    let door = present.get(index)?;
                    door.listener.adopt(plan);
                    Some(door.clone())
                }
                Socket::Opened(sockets) => Some(self.open(context, plan, sockets)),
            });
        let doors: Vec<Rc<Door>> = doors.collect();
        let unused = |door: &&Rc<Door>| !doors.iter().any(|kept| Rc::ptr_eq(kept, door));
        present.iter().filter(unused).for_each(|door| door.close());
        *self.current.borrow_mut() = doors;
        if context.draining.get() {
            self.close_all();
        }
    }

    fn open(
        self: &Rc<Self>,
        context: &Rc<Context>,
        plan: &ListenerPlan,
        sockets: Vec<OwnedFd>,
    ) -> Rc<Door> {
        let door = Rc::new(Door::new(plan));
        for socket in sockets {
            self.open.set(self.open.get() + 1);
            let guard = Open(self.clone());
            context.ring.spawn(accept(context.clone(), socket, door.clone(), guard));
        }
        door
    }

    /// Accepts no more than what waits already.
    pub fn close_all(&self) {
        self.current.borrow().iter().for_each(|door| door.close());
    }

    /// Sockets that are open, or have not let in yet what waited for them.
    pub fn open_sockets(&self) -> usize {
        self.open.get()
    }
}

/// A socket's part in [`Listeners::open_sockets`].
struct Open(Rc<Listeners>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

/// Accepts until told to close: as many connections at once, over all listeners of the shard, as
/// the plan allows, and none while there is no buffer to receive a request into.
async fn accept(context: Rc<Context>, socket: OwnedFd, door: Rc<Door>, _open: Open) {
    let mut acceptor = Acceptor::new(&context.ring, socket);
    let timer = context.ring.timer();
    let mut short = false;
    loop {
        room(&context, &acceptor, &timer, &door).await;
        let accepted = poll_fn(|task| match acceptor.poll_accept(task) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => door.poll_closing(task).map(|()| None),
        });
        match accepted.await {
            Some(Ok(fd)) => {
                if std::mem::take(&mut short) {
                    tracing::info!("connections are accepted again");
                }
                // Another listener of the shard may have taken the last place meanwhile.
                room(&context, &acceptor, &timer, &door).await;
                serve(&context, &door, fd);
            }
            Some(Err(error)) if !door.closing.get() => {
                if !std::mem::replace(&mut short, true) {
                    tracing::warn!(%error, "cannot accept connections; they wait");
                }
                context.relieve();
                timer.sleep(REST_WHEN_SHORT).await;
            }
            Some(Err(_)) | None => break,
        }
    }
    for fd in acceptor.finish().await {
        serve(&context, &door, fd);
    }
}

fn has_all_connections(context: &Context) -> bool {
    context.connections.get() >= context.service.borrow().plan.shards.max_connections.max(1)
}

fn is_full(context: &Context) -> bool {
    has_all_connections(context) || context.ring.is_short_of_buffers()
}

/// Waits until there is room for one more connection, or until those who wait are let in anyway;
/// more stay in the accept queue. Clients that keep a connection and do not use it make room.
async fn room(context: &Context, acceptor: &Acceptor, timer: &Timer, door: &Door) {
    while is_full(context) && !door.closing.get() {
        acceptor.pause();
        if has_all_connections(context) {
            let keepalive = context.service.borrow().plan.timeouts.keepalive;
            let within = keepalive.saturating_sub(IDLE_WHEN_FULL);
            context.ring.end_oldest_idle(within, IDLE_AT_ONCE);
        }
        // Buffers come back without a word.
        let made = poll_fn(|task| {
            if !is_full(context) {
                return Poll::Ready(());
            }
            context.await_room(task.waker());
            Poll::Pending
        });
        let _ = timer.within(REST_WHEN_FULL, made).await;
    }
}

fn serve(context: &Rc<Context>, door: &Door, fd: OwnedFd) {
    context.count(|counters| counters.accepted += 1);
    let counted = Counted::new(context.clone());
    context.ring.spawn(proxy::serve(counted, door.listener.clone(), fd));
}
