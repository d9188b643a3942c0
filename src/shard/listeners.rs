//! The sockets that a shard accepts from, what other shards have accepted for it, and how all of
//! that ends without losing who waits there.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use super::handover::{Handed, Handover};
use super::message::Socket;
use crate::plan::{Address, Plan, Steering};
use crate::proxy::{self, Context, Counted, Listener};
use crate::ring::{Acceptor, Mailbox, Timer};

/// How long a listener rests when descriptors or memory are short, or when its shard is full.
const REST_WHEN_SHORT: Duration = Duration::from_millis(100);
const REST_WHEN_FULL: Duration = Duration::from_millis(20);
/// A full shard lets go of clients that have been idle for so long, the longest idle first, and so
/// many at once: each makes room for another.
const IDLE_WHEN_FULL: Duration = Duration::from_secs(1);
const IDLE_AT_ONCE: usize = 16;

/// The listeners of a shard.
pub struct Listeners {
    /// One for each of the plan's.
    current: RefCell<Vec<Rc<Door>>>,
    /// Of connections that came from shards which had a listener before this one did.
    early: RefCell<Vec<(Place, Rc<Listener>)>>,
    /// Also those that are being closed, and the mailbox of what others have accepted.
    open: Cell<usize>,
    handover: Handover,
}

/// A listener, as those see it who may change or close it.
struct Door {
    /// For its connections.
    listener: Rc<Listener>,
    /// Which of the shard's plan it is, unless it is being closed.
    index: Cell<usize>,
    closing: Cell<bool>,
    wakers: RefCell<Vec<Waker>>,
}

impl Door {
    fn new(listener: Rc<Listener>, index: usize) -> Door {
        let index = Cell::new(index);
        Door { listener, index, closing: Cell::new(false), wakers: RefCell::default() }
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
    /// None yet.
    pub fn new(handover: Handover) -> Rc<Listeners> {
        let (current, early) = (RefCell::default(), RefCell::default());
        Rc::new(Listeners { current, early, open: Cell::new(0), handover })
    }

    /// Accepts for the listeners of the plan that the context has now; the sockets that it has no
    /// use for are closed.
    pub fn adopt(self: &Rc<Self>, context: &Rc<Context>, sockets: Vec<Socket>) {
        let present = self.current.take();
        let plan = context.service.borrow().plan.clone();
        let mut doors = Vec::new();
        for (number, socket) in sockets.into_iter().enumerate() {
            let Some(listener) = plan.listeners.get(number) else { continue };
            match socket {
                Socket::Kept(index) => {
                    let Some(door) = present.get(index) else { continue };
                    door.index.set(number);
                    door.listener.adopt(listener);
                    doors.push(door.clone());
                }
                Socket::Opened(sockets) => {
                    let door = Rc::new(Door::new(self.early(&plan, number), number));
                    self.open(context, &door, sockets);
                    doors.push(door);
                }
            }
        }
        self.early.take();
        let unused = |door: &&Rc<Door>| !doors.iter().any(|kept| Rc::ptr_eq(kept, door));
        present.iter().filter(unused).for_each(|door| door.close());
        *self.current.borrow_mut() = doors;
        if context.draining.get() {
            self.close_all();
        }
    }

    fn open(self: &Rc<Self>, context: &Rc<Context>, door: &Rc<Door>, sockets: Vec<OwnedFd>) {
        for socket in sockets {
            context.ring.spawn(accept(context.clone(), socket, door.clone(), Open::one(self)));
        }
    }

    /// Serves what other shards have accepted, until they have all said that nothing comes any
    /// more.
    pub fn take_over(self: &Rc<Self>, context: &Rc<Context>, handed: Mailbox<Handed>) {
        context.ring.spawn(take_over(context.clone(), handed, Open::one(self)));
    }

    /// Accepts no more than what waits already, and hands nothing to other shards.
    pub fn close_all(&self) {
        self.current.borrow().iter().for_each(|door| door.close());
        self.handover.close();
    }

    /// Where something may still come from: sockets that are open, or have not let in yet what
    /// waited for them, and other shards.
    pub fn open_sources(&self) -> usize {
        self.open.get()
    }

    /// Hands a connection to a shard that has fewer, if the listener is to be balanced; gives it
    /// back if it is this shard's to serve.
    fn hand_over(&self, context: &Context, door: &Door, fd: OwnedFd) -> Option<OwnedFd> {
        let Some(shard) = relief(context, door) else { return Some(fd) };
        let listener = (context.service.borrow().plan.clone(), door.index.get());
        match self.handover.pass(shard, &context.loads, listener, fd) {
            Ok(()) => {
                context.count(|counters| counters.handed_over += 1);
                None
            }
            Err(fd) => Some(fd),
        }
    }

    /// What holds here for connections to a listener of another shard's plan. That is another plan
    /// than this shard's while a reload is under way.
    fn listener_like(&self, plan: &Plan, index: usize) -> Rc<Listener> {
        let (address, nth) = place(plan, index);
        let current = self.current.borrow();
        let mut same = current.iter().filter(|door| door.listener.plan().address == address);
        same.nth(nth).map_or_else(|| self.early(plan, index), |door| door.listener.clone())
    }

    /// A listener that the shard does not have yet.
    fn early(&self, plan: &Plan, index: usize) -> Rc<Listener> {
        let (place, mut early) = (place(plan, index), self.early.borrow_mut());
        if let Some((_, known)) = early.iter().find(|(other, _)| *other == place) {
            known.adopt(&plan.listeners[index]);
            return known.clone();
        }
        let listener = Rc::new(Listener::new(&plan.listeners[index]));
        early.push((place, listener.clone()));
        listener
    }

    /// Begins to serve a connection that shard `accepted_by` accepted.
    fn serve(
        &self,
        context: &Rc<Context>,
        listener: Rc<Listener>,
        fd: OwnedFd,
        accepted_by: usize,
    ) {
        let by_cpu = listener.plan().steering == Steering::Cpu;
        let logged = tracing::enabled!(tracing::Level::DEBUG);
        if by_cpu || logged {
            let shard = self.handover.number;
            let cpu = context.service.borrow().plan.shards.cpus.get(shard).copied();
            // As of the last packet (SO_INCOMING_CPU, socket(7)).
            let came_to = rustix::net::sockopt::socket_incoming_cpu(&fd).ok();
            let came_to = came_to.and_then(|cpu| usize::try_from(cpu).ok());
            if by_cpu && cpu == came_to {
                context.count(|counters| counters.arrived_here += 1);
            }
            if logged {
                let peer = rustix::net::getpeername(&fd).ok().flatten();
                let peer = peer.and_then(|any| SocketAddr::try_from(any).ok());
                tracing::debug!(shard, cpu, came_to, accepted_by, ?peer, "serving a connection");
            }
        }
        context.ring.spawn(proxy::serve(Counted::new(context.clone()), listener, fd));
    }
}

/// The address of a listener, and which of those with that address it is: with port 0 there may be
/// several.
type Place = (Address, usize);

fn place(plan: &Plan, index: usize) -> Place {
    let address = &plan.listeners[index].address;
    let before = plan.listeners[..index].iter().filter(|other| other.address == *address);
    (address.clone(), before.count())
}

/// A shard that should rather serve one more connection of this listener.
fn relief(context: &Context, door: &Door) -> Option<usize> {
    let balances = door.listener.plan().steering == Steering::Balance;
    let stays = !balances || door.closing.get() || context.draining.get();
    if stays { None } else { context.loads.relief(context.connections.get()) }
}

/// A part in [`Listeners::open_sources`].
struct Open(Rc<Listeners>);

impl Open {
    fn one(listeners: &Rc<Listeners>) -> Open {
        listeners.open.set(listeners.open.get() + 1);
        Open(listeners.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

/// Accepts until told to close: as many connections at once, over all listeners of the shard, as
/// the plan allows, and none while there is no buffer to receive a request into.
async fn accept(context: Rc<Context>, socket: OwnedFd, door: Rc<Door>, open: Open) {
    let mut acceptor = Acceptor::new(&context.ring, socket);
    let timer = context.ring.timer();
    let mut short = false;
    let listeners = &open.0;
    let own = listeners.handover.number;
    let listener = || door.listener.clone();
    let closing = || door.closing.get();
    loop {
        // What another shard is to serve needs no room here.
        let passes = || closing() || relief(&context, &door).is_some();
        room(&context, Some(&mut acceptor), &timer, passes).await;
        let queued = door.listener.plan().backlog.saturating_mul(listeners.open.get() as u32);
        let all = has_room_for(&context, queued);
        let accepted = poll_fn(|task| match acceptor.poll_accept(task, all) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => door.poll_closing(task).map(|()| None),
        });
        match accepted.await {
            Some(Ok(fd)) => {
                if std::mem::take(&mut short) {
                    tracing::info!("connections are accepted again");
                }
                context.count(|counters| counters.accepted += 1);
                let Some(fd) = listeners.hand_over(&context, &door, fd) else { continue };
                // Another listener of the shard may have taken the last place meanwhile.
                room(&context, Some(&mut acceptor), &timer, closing).await;
                listeners.serve(&context, listener(), fd, own);
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
        context.count(|counters| counters.accepted += 1);
        listeners.serve(&context, listener(), fd, own);
    }
}

/// See [`Listeners::take_over`]. A full shard lets them wait, as it lets others wait in its
/// sockets' queues; who hands them over counts them meanwhile.
async fn take_over(context: Rc<Context>, mut handed: Mailbox<Handed>, open: Open) {
    let listeners = &open.0;
    let timer = context.ring.timer();
    let mut others: Vec<usize> = listeners.handover.peers().collect();
    while !others.is_empty() {
        match handed.recv(&context.ring).await {
            Some(Handed::Connection { from, plan, listener, fd }) => {
                room(&context, None, &timer, || context.draining.get()).await;
                let listener = listeners.listener_like(&plan, listener);
                listeners.serve(&context, listener, fd, from);
                context.loads.took_from(from);
            }
            Some(Handed::NoMore(shard)) => others.retain(|other| *other != shard),
            None => break,
        }
    }
}

fn has_all_connections(context: &Context) -> bool {
    !has_room_for(context, 1)
}

fn has_room_for(context: &Context, more: u32) -> bool {
    let max = context.service.borrow().plan.shards.max_connections.max(1);
    max.saturating_sub(context.connections.get()) >= more
}

fn is_full(context: &Context) -> bool {
    has_all_connections(context) || context.ring.is_short_of_buffers()
}

/// Waits until there is room for one more connection, or until those who wait are let in anyway;
/// more stay in the accept queue. Clients that keep a connection and do not use it make room.
async fn room(
    context: &Context,
    mut acceptor: Option<&mut Acceptor>,
    timer: &Timer,
    closing: impl Fn() -> bool,
) {
    while is_full(context) && !closing() {
        // Else the others would think that it has no more than they, and go on.
        context.loads.set_full(true);
        if let Some(acceptor) = &mut acceptor {
            acceptor.pause();
        }
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
    context.loads.set_full(false);
}
