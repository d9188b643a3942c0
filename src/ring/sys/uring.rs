//! The ring and every operation in flight.
//!
//! Soundness in one sentence: whatever memory an operation gives to the kernel lives in the table
//! (`Hold`), behind a pointer that does not move, and leaves it only when the kernel has posted the
//! operation's last completion. Futures hold an operation's number, never memory.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::io::Errno;

use super::buffers::{Buf, Stock};
use super::request::{GROUP, Hold, Request, prepare};
use super::table::{Cancel, Key, Progress, Table};
use crate::ring::tier::Tier;

/// Completions of operations that nobody waits for (close, cancel).
const NOBODY: u64 = u64::MAX;
/// Completions of the timers that limit a wait where EXT_ARG is missing.
const WAIT_LIMIT: u64 = u64::MAX - 1;
/// How long to leave a kernel alone that is short of memory.
const REST_WHEN_REFUSED: Duration = Duration::from_millis(1);
/// How long dropping the ring waits for the kernel to let go of memory.
const DROP_PATIENCE: Duration = Duration::from_secs(2);

/// One completion: its result and flags.
pub type Outcome = (i32, u32);

/// The ring of one shard.
pub struct Uring {
    ring: IoUring,
    pub tier: Tier,
    table: Table,
    stock: Rc<Stock>,
    /// Deadlines of WAIT_LIMIT timers the kernel has, ascending, and the times it was given.
    wait_limits: Vec<(u64, Box<Timespec>)>,
    /// Wakers of completions that were taken while room had to be made; see `make_room`.
    early_wakers: Vec<Waker>,
    /// Completions reaped so far, and io_uring_enter(2) calls made.
    pub completions: u64,
    pub enters: u64,
}

impl Uring {
    /// Sets up a ring of `entries` for `tier`.
    ///
    /// # Errors
    /// Those of io_uring_setup(2): ENOSYS, EPERM, ENOMEM, EMFILE, EINVAL.
    pub fn new(tier: Tier, entries: u32, buffers: usize) -> io::Result<Uring> {
        let mut builder = IoUring::builder();
        builder.setup_clamp().setup_cqsize(entries.saturating_mul(4));
        match tier {
            Tier::V6_1 => {
                builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all();
            }
            Tier::V5_19 => {
                builder.setup_coop_taskrun().setup_submit_all();
            }
            Tier::V5_8 => {}
        }
        let ring = builder.build(entries)?;
        if tier == Tier::V6_1 {
            // Saves looking up the ring's descriptor in each call; its absence costs only time.
            let _ = ring.submitter().register_ring_fd();
        }
        let stock = Stock::new(buffers, tier != Tier::V5_8);
        if let Some((address, entries)) = stock.registration() {
            // SAFETY: the memory is page-aligned, has `entries` zeroed entries, belongs to `stock`,
            // which this struct keeps until after it has unregistered it (see `drop`).
            unsafe { ring.submitter().register_buf_ring_with_flags(address, entries, GROUP, 0) }?;
        }
        stock.replenish();
        Ok(Uring {
            ring,
            tier,
            table: Table::default(),
            stock,
            wait_limits: Vec::new(),
            early_wakers: Vec::new(),
            completions: 0,
            enters: 0,
        })
    }

    /// The shard's receive buffers.
    pub fn stock(&self) -> &Rc<Stock> {
        &self.stock
    }

    /// Operations that the kernel has not finished.
    pub fn in_flight(&self) -> usize {
        self.table.in_flight()
    }

    /// Queues an operation; the kernel sees it at the next `enter`.
    pub fn start(&mut self, request: Request) -> Key {
        let (entry, hold) = prepare(request, self.tier);
        let key = self.table.insert(hold);
        self.push(&entry.user_data(u64::from(key)));
        key
    }

    /// As [`Table::poll`].
    pub fn poll(&mut self, key: Key, waker: &Waker) -> Progress {
        self.table.poll(key, waker)
    }

    /// As [`Table::waiting`].
    pub fn waiting(&self, wakers: &mut Vec<Waker>) {
        self.table.waiting(wakers);
    }

    /// As [`Table::result`].
    pub fn result(&self, key: Key) -> Option<i32> {
        self.table.result(key)
    }

    /// Asks the kernel to end `key`; its last result still has to be taken.
    pub fn stop(&mut self, key: Key) {
        let cancel = self.table.stop(key);
        self.cancel(key, cancel);
    }

    /// Nobody will take results of `key` any more: cancels it, and keeps its memory until the
    /// kernel is done with it.
    pub fn abandon(&mut self, key: Key) {
        let cancel = self.table.abandon(key, &self.stock);
        self.cancel(key, cancel);
    }

    /// Queues close(2) for a descriptor that its owner gives up.
    pub fn close(&mut self, fd: RawFd) {
        self.push(&opcode::Close::new(Fd(fd)).build().user_data(NOBODY));
    }

    /// Hands queued operations to the kernel and, with `wait`, blocks until a completion or until
    /// `limit` has passed. `now` and `limit` only serve the oldest tier's timers.
    ///
    /// # Errors
    /// Those of io_uring_enter(2) that time does not heal.
    pub fn enter(&mut self, wait: bool, now: u64, limit: Option<Duration>) -> io::Result<()> {
        // Tasks that `make_room` found something for must run first.
        let wait = wait && self.early_wakers.is_empty();
        let limited_by_timer = wait && self.tier == Tier::V5_8;
        if limited_by_timer && let Some(limit) = limit {
            self.limit_wait_by_timer(now, limit);
        }
        self.enters += 1;
        let queued = self.queued();
        let submitter = self.ring.submitter();
        let result = if !wait {
            const GETEVENTS: u32 = 1;
            // SAFETY: no argument memory is passed; all queued entries uphold `push`'s contract.
            unsafe { submitter.enter::<libc::sigset_t>(queued, 0, GETEVENTS, None) }
        } else if let (Some(limit), false) = (limit, limited_by_timer) {
            let timespec = Timespec::from(limit);
            submitter.submit_with_args(1, &SubmitArgs::new().timespec(&timespec))
        } else {
            submitter.submit_and_wait(1)
        };
        match result {
            Ok(_) => Ok(()),
            Err(error) => match Errno::from_io_error(&error) {
                // The wait's limit, or a signal: the caller reaps, and comes again.
                Some(Errno::TIME | Errno::INTR) => Ok(()),
                // Completions must be taken first, or memory is short for now.
                Some(Errno::BUSY | Errno::AGAIN) => {
                    self.rest_unless_completions();
                    Ok(())
                }
                _ => Err(error),
            },
        }
    }

    /// Distributes completions to their slots; wakers of those that got one go into `wakers`.
    pub fn reap(&mut self, wakers: &mut Vec<Waker>) {
        wakers.append(&mut self.early_wakers);
        loop {
            let batch: usize = {
                let mut queue = self.ring.completion();
                queue.sync();
                queue.len()
            };
            if batch == 0 {
                break;
            }
            for _ in 0..batch {
                let Some(entry) = self.ring.completion().next() else { break };
                self.complete(&entry, wakers);
            }
        }
        self.stock.restock();
    }

    fn complete(&mut self, entry: &cqueue::Entry, wakers: &mut Vec<Waker>) {
        self.completions += 1;
        let (user_data, flags) = (entry.user_data(), entry.flags());
        if user_data == NOBODY {
            return;
        }
        if user_data == WAIT_LIMIT {
            self.wait_limits.remove(0);
            return;
        }
        let key = user_data as Key;
        if cqueue::buffer_select(flags).is_some() {
            self.stock.picked();
        }
        let (outcome, last) = ((entry.result(), flags), !cqueue::more(flags));
        let cancel = self.table.complete(key, outcome, last, &self.stock, wakers);
        self.cancel(key, cancel);
    }

    fn queued(&mut self) -> u32 {
        self.ring.submission().len() as u32
    }

    fn cancel(&mut self, key: Key, cancel: Cancel) {
        if cancel == Cancel::Needed {
            self.push(&opcode::AsyncCancel::new(u64::from(key)).build().user_data(NOBODY));
        }
    }

    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: entries are made by `prepare` and in this file. What they point to is held by
        // the table (`start`) or by `wait_limits` until the last completion, or they point to
        // nothing (close, cancel).
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.make_room();
        }
    }

    /// The submission queue is full: hand it over. When the kernel refuses because completions
    /// wait (EBUSY) or memory is short (EAGAIN), taking completions off is what helps. Their tasks
    /// are woken at the next `reap`: we are inside somebody's use of the ring.
    fn make_room(&mut self) {
        self.enters += 1;
        if self.ring.submit().is_err() {
            self.rest_unless_completions();
            let mut wakers = std::mem::take(&mut self.early_wakers);
            self.reap(&mut wakers);
            self.early_wakers = wakers;
        }
    }

    /// The kernel refused to take more. Taking completions off helps; where there are none, only
    /// time does, and asking again at once would spin.
    fn rest_unless_completions(&mut self) {
        let mut queue = self.ring.completion();
        queue.sync();
        if queue.is_empty() {
            std::thread::sleep(REST_WHEN_REFUSED);
        }
    }

    /// Before EXT_ARG (5.11) a wait is limited by a TIMEOUT operation beside it. One that is there
    /// already and fires sooner serves as well: the wait then ends early, and that is all.
    fn limit_wait_by_timer(&mut self, now: u64, limit: Duration) {
        let deadline = now.saturating_add(limit.as_nanos() as u64);
        if self.wait_limits.first().is_some_and(|(first, _)| *first <= deadline) {
            return;
        }
        let timespec = Box::new(Timespec::from(limit));
        let entry = opcode::Timeout::new(&raw const *timespec).build().user_data(WAIT_LIMIT);
        // The kernel reads the time when it takes the entry; it stays until the timer has fired.
        self.wait_limits.insert(0, (deadline, timespec));
        self.push(&entry);
    }

    /// Cancels what is in flight and waits until the kernel has let go; `false`: it did not.
    fn quiesce(&mut self) -> bool {
        for key in self.table.awaited() {
            self.abandon(key);
        }
        let mut wakers = Vec::new();
        #[allow(clippy::disallowed_methods, reason = "the end of a ring has no turn's clock")]
        let start = std::time::Instant::now();
        while self.in_flight() > 0 && start.elapsed() < DROP_PATIENCE {
            let nap = Duration::from_millis(10);
            if self.enter(true, start.elapsed().as_nanos() as u64, Some(nap)).is_err() {
                break;
            }
            self.reap(&mut wakers);
        }
        // Closes have no slot; make sure that the kernel has seen them.
        let _ = self.ring.submit();
        self.in_flight() == 0
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        if !self.quiesce() {
            // The kernel may still write: leak what it may write to.
            self.table.leak();
            std::mem::forget(std::mem::take(&mut self.wait_limits));
            std::mem::forget(self.stock.clone());
        }
        if self.tier != Tier::V5_8 {
            let _ = self.ring.submitter().unregister_buf_ring(GROUP);
        }
    }
}

/// A result that nobody will see: gives back the buffer it brought, closes the descriptor.
pub(super) fn discard(stock: &Rc<Stock>, accepting: bool, (result, flags): Outcome) {
    if let Some(index) = cqueue::buffer_select(flags) {
        drop(stock.received(index, 0));
    }
    if result >= 0 && accepting {
        // SAFETY: a successful accept made this descriptor, and nobody else was told of it.
        drop(unsafe { OwnedFd::from_raw_fd(result) });
    }
}

/// The descriptor that an accept brought.
pub fn accepted((result, _): Outcome) -> io::Result<OwnedFd> {
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result));
    }
    // SAFETY: a successful accept made this descriptor; each result is taken once (`Results::pop`).
    Ok(unsafe { OwnedFd::from_raw_fd(result) })
}

/// The buffer that a receive's completion brought, `None` at the end of the stream. `hold` is the
/// memory that came back with it.
pub fn received(stock: &Rc<Stock>, outcome: Outcome, hold: Hold) -> io::Result<Option<Buf>> {
    let (result, flags) = outcome;
    let buf = match (cqueue::buffer_select(flags), hold) {
        (Some(index), _) => Some(stock.received(index, result.max(0) as usize)),
        (None, Hold::Buf(mut buf)) => {
            buf.grown(result.max(0) as usize);
            Some(buf)
        }
        (None, _) => None,
    };
    match result {
        0 => Ok(None),
        n if n > 0 => Ok(buf),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}

/// Whether this kernel's ring has what `tier` needs, found by setting one up.
pub fn probe(tier: Tier) -> io::Result<()> {
    let mut uring = Uring::new(tier, 16, 8)?;
    // A filter may allow io_uring_setup(2) and refuse this.
    uring.enter(false, 0, None)?;
    let params = uring.ring.params();
    let mut probe = io_uring::Probe::new();
    uring.ring.submitter().register_probe(&mut probe)?;
    let needed = [opcode::Accept::CODE, opcode::Connect::CODE, opcode::Recv::CODE];
    let has_all = needed.iter().all(|&code| probe.is_supported(code))
        && probe.is_supported(opcode::Send::CODE)
        && probe.is_supported(opcode::Close::CODE)
        && probe.is_supported(opcode::AsyncCancel::CODE)
        && params.is_feature_nodrop()
        && params.is_feature_fast_poll()
        && (tier == Tier::V5_8 || params.is_feature_ext_arg());
    if has_all { Ok(()) } else { Err(Errno::NOSYS.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    /// Dropping the ring waits until the kernel has let go of every buffer, and frees them all.
    #[test]
    fn a_ring_dropped_with_operations_in_flight_gets_its_memory_back() {
        for tier in [Tier::V5_8, Tier::V5_19, Tier::V6_1] {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let mut uring = Uring::new(tier, 16, 64).unwrap();
            let stock = Rc::downgrade(uring.stock());
            let fd = ours.as_raw_fd();
            for _ in 0..4 {
                let buf = stock.upgrade().unwrap().lease().unwrap();
                uring.start(Request::Poll { fd, events: libc::POLLIN as u32 });
                uring.start(Request::RecvInto { fd, buf, most: 64 });
                if tier == Tier::V5_19 {
                    uring.start(Request::Recv { fd, most: 64 });
                } else if tier == Tier::V6_1 {
                    uring.start(Request::RecvMulti { fd });
                }
            }
            uring.enter(false, 0, None).unwrap();
            assert!(uring.in_flight() > 0);
            drop(uring);
            assert!(stock.upgrade().is_none(), "leaked in tier {tier}");
            theirs.write_all(&[1; 4096]).unwrap();
        }
    }

    /// An abandoned operation's slot, and the descriptor it brings, are not lost.
    #[test]
    fn an_abandoned_accept_closes_what_it_accepted() {
        for tier in [Tier::V5_8, Tier::V5_19, Tier::V6_1] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let mut uring = Uring::new(tier, 16, 8).unwrap();
            let multi = tier == Tier::V6_1;
            let key = uring.start(Request::Accept { fd: listener.as_raw_fd(), multi });
            let mut client = std::net::TcpStream::connect(address).unwrap();
            uring.enter(true, 0, Some(Duration::from_secs(5))).unwrap();
            uring.reap(&mut Vec::new());
            uring.abandon(key);
            client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let end = std::io::Read::read(&mut client, &mut [0; 1]).unwrap();
            assert_eq!(end, 0, "closed");
            drop(uring);
        }
    }
}
