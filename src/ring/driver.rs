//! Submit, reap, wake: the shard's pump, and the only place that blocks.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::sys::buffers::{Buf, Stock};
use super::sys::request::Request;
use super::sys::table::{Key, Progress};
use super::sys::uring::Uring;
use super::tier::Tier;
use super::timers::{Tick, Timer, Timers};

/// Longest wait of a shard with nothing to do.
const IDLE_WAIT: Duration = Duration::from_secs(3600);
/// How many rounds of tasks run before the kernel is asked for news all the same.
const ROUNDS_BETWEEN_ENTERS: u32 = 16;

/// A shard's data ring. Clones share it; it stays on the thread that made it.
#[derive(Clone)]
pub struct Ring(Rc<Driver>);

struct Driver {
    uring: RefCell<Uring>,
    timers: RefCell<Timers>,
    stock: Rc<Stock>,
    tier: Tier,
    started: Instant,
    now: Cell<Tick>,
    /// Polls of tasks spawned through `Ring::spawn`: how the pump knows that nothing is runnable.
    polls: Cell<u64>,
    stopping: Cell<bool>,
    /// Memory of `turn`, kept from one to the next.
    wakers: Cell<Vec<Waker>>,
}

pin_project_lite::pin_project! {
    /// A task whose polls are counted. Not an async block: that would hold the future twice.
    struct Counted<F> {
        ring: Ring,
        #[pin]
        future: F,
    }
}

impl<F: Future<Output = ()>> Future for Counted<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let polls = &this.ring.0.polls;
        polls.set(polls.get() + 1);
        this.future.poll(context)
    }
}

impl Ring {
    /// Sets up a ring with `entries` submission entries and at most `buffers` receive buffers.
    ///
    /// # Errors
    /// Those of io_uring_setup(2).
    pub fn new(tier: Tier, entries: u32, buffers: usize) -> io::Result<Ring> {
        let uring = Uring::new(tier, entries, buffers)?;
        let stock = uring.stock().clone();
        Ok(Ring(Rc::new(Driver {
            uring: RefCell::new(uring),
            timers: RefCell::default(),
            stock,
            tier,
            #[allow(
                clippy::disallowed_methods,
                reason = "the ring is where a shard reads the clock"
            )]
            started: Instant::now(),
            now: Cell::new(0),
            polls: Cell::new(0),
            stopping: Cell::new(false),
            wakers: Cell::default(),
        })))
    }

    /// The ring's tier.
    pub fn tier(&self) -> Tier {
        self.0.tier
    }

    /// When the present turn began: the time at which its completions were taken.
    pub fn now(&self) -> Tick {
        self.0.now.get()
    }

    /// A new deadline holder.
    pub fn timer(&self) -> Timer {
        Timer::new(self)
    }

    /// Runs `future` as a task of this shard's executor.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        glommio::spawn_local(Counted { ring: self.clone(), future }).detach();
    }

    /// The pump. It lets every runnable task run, then hands what they queued to the kernel, waits
    /// there only if none is runnable, and wakes those whose completions came. Ends after
    /// [`Ring::stop`].
    ///
    /// The executor's queue is first in, first out: a yield returns after everything queued before
    /// it has run. When no task was polled in between, the queue was empty.
    pub async fn pump(&self) -> io::Result<()> {
        while !self.0.stopping.get() {
            let mut rounds = 0;
            let idle = loop {
                let before = self.0.polls.get();
                glommio::executor().yield_now().await;
                if self.0.polls.get() == before {
                    break true;
                }
                rounds += 1;
                if rounds == ROUNDS_BETWEEN_ENTERS {
                    break false;
                }
            };
            self.turn(idle && !self.0.stopping.get())?;
        }
        Ok(())
    }

    /// Ends the pump after its present round.
    pub fn stop(&self) {
        self.0.stopping.set(true);
    }

    /// One visit to the kernel.
    ///
    /// # Errors
    /// Those of io_uring_enter(2) that time does not heal.
    pub fn turn(&self, wait: bool) -> io::Result<()> {
        let driver = &*self.0;
        let mut wakers = driver.wakers.take();
        driver.stock.call(&mut wakers);
        let wait = wait && wakers.is_empty();
        let limit = driver.timers.borrow().next().map_or(IDLE_WAIT, |look| {
            Duration::from_nanos(look.saturating_sub(self.read_clock())).min(IDLE_WAIT)
        });
        {
            let mut uring = driver.uring.borrow_mut();
            uring.enter(wait && !limit.is_zero(), driver.now.get(), Some(limit))?;
            driver.now.set(self.read_clock());
            uring.reap(&mut wakers);
        }
        driver.timers.borrow_mut().expire(driver.now.get(), &mut wakers);
        // Outside of every borrow: waking may run the executor's code, and dropping a waker may
        // drop a task and with it operations of this ring.
        wakers.drain(..).for_each(Waker::wake);
        driver.wakers.set(wakers);
        Ok(())
    }

    #[allow(clippy::disallowed_methods, reason = "the ring is where a shard reads the clock")]
    fn read_clock(&self) -> Tick {
        self.0.started.elapsed().as_nanos() as Tick
    }

    /// Ends every [`Timer::idle`] and [`Timer::until_drain`] wait of this ring as if its time were
    /// up.
    pub fn end_waits(&self) {
        let mut wakers = Vec::new();
        self.0.timers.borrow_mut().end_for_drain(&mut wakers);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Wakes whoever waits for anything of this ring, to look at what else has changed.
    pub fn wake_all(&self) {
        let mut wakers = Vec::new();
        self.0.uring.borrow().waiting(&mut wakers);
        self.0.timers.borrow().waiting(&mut wakers);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ends the `most` [`Timer::idle`] waits whose time will be up first, as if it were up, of
    /// those for which it will be `within` this time.
    pub fn end_oldest_idle(&self, within: Duration, most: usize) {
        let nanos = Tick::try_from(within.as_nanos()).unwrap_or(Tick::MAX);
        let last = self.now().saturating_add(nanos);
        let mut wakers = Vec::new();
        self.0.timers.borrow_mut().end_idle(last, most, &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Completions taken and visits to the kernel made so far.
    pub fn counts(&self) -> (u64, u64) {
        let uring = self.0.uring.borrow();
        (uring.completions, uring.enters)
    }

    /// Receive buffers that exist, and how many of them are lent out.
    pub fn buffer_usage(&self) -> (usize, usize) {
        self.0.stock.usage()
    }

    /// Gives idle buffer memory back to the allocator.
    pub fn trim_buffers(&self, keep: usize) {
        self.0.stock.trim(keep);
    }

    /// Whether there are no buffers to receive into, but for the reserve.
    pub fn is_short_of_buffers(&self) -> bool {
        !self.0.stock.can_serve(false)
    }

    /// Operations in flight.
    pub fn in_flight(&self) -> usize {
        self.0.uring.borrow().in_flight()
    }

    /// An empty buffer, or `None` while all that may exist are in use.
    pub fn try_buf(&self) -> Option<Buf> {
        self.0.stock.lease()
    }

    /// An empty buffer, as soon as there is one.
    pub async fn buf(&self) -> Buf {
        std::future::poll_fn(|context| match self.0.stock.lease() {
            Some(buf) => std::task::Poll::Ready(buf),
            None => {
                self.0.stock.wait(context.waker(), false);
                std::task::Poll::Pending
            }
        })
        .await
    }

    pub(super) fn stock(&self) -> &Rc<Stock> {
        &self.0.stock
    }

    pub(super) fn start(&self, request: Request) -> Key {
        self.0.uring.borrow_mut().start(request)
    }

    pub(super) fn poll(&self, key: Key, waker: &Waker) -> Progress {
        self.0.uring.borrow_mut().poll(key, waker)
    }

    pub(super) fn result(&self, key: Key) -> Option<i32> {
        self.0.uring.borrow().result(key)
    }

    pub(super) fn stop_operation(&self, key: Key) {
        self.0.uring.borrow_mut().stop(key);
    }

    pub(super) fn abandon(&self, key: Key) {
        self.0.uring.borrow_mut().abandon(key);
    }

    pub(super) fn close(&self, fd: OwnedFd) {
        self.0.uring.borrow_mut().close(fd.into_raw_fd());
    }

    pub(super) fn with_timers<T>(&self, action: impl FnOnce(&mut Timers) -> T) -> T {
        action(&mut self.0.timers.borrow_mut())
    }
}
