//! Receive buffers: a shard's stock, lent out one at a time, partly parked in a kernel buffer ring.
//!
//! A buffer is at any moment in exactly one place: on the free list, published to the kernel, or
//! lent out as a [`Buf`]. Its memory moves only between these places and is freed only from the
//! free list, so neither the kernel nor a `Buf` ever points to freed memory.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::Waker;

use io_uring::types::BufRingEntry;

/// Bytes one receive may bring.
pub const BUF_CAPACITY: usize = 32 << 10;
/// Free bytes before the received ones, so that a longer head can be written in place.
pub const HEADROOM: usize = 2 << 10;
/// Free bytes behind the received ones: the end of a chunk and the last chunk.
pub const TAILROOM: usize = 256;
/// The distance between buffers is no power of two, or the first lines of all of them would
/// compete for the same few cache sets.
const SIZE: usize = HEADROOM + BUF_CAPACITY + TAILROOM + 1088;
/// Entries of the kernel's buffer ring; a power of two.
const RING_ENTRIES: u16 = 1024;
/// One part in so many of all buffers is kept for receives from servers.
const RESERVED_PART: usize = 8;
/// Buffers published at first, and at least; a quarter more whenever the kernel ran out. Larger
/// steps would show in the memory of a process under a steady load.
const PUBLISHED_AT_FIRST: u16 = 32;
/// So many rounds through all that are published without the kernel's running out take a fifth of
/// them back: the kernel takes them in turn, and the more there are, the colder is each.
const ROUNDS_OF_PLENTY: u32 = 64;

/// One part in so many of what lies idle is freed at a time.
const TRIMMED_PART: usize = 32;

const LAYOUT: Layout = match Layout::from_size_align(SIZE, 64) {
    Ok(layout) => layout,
    Err(_) => panic!("a buffer has a valid layout"),
};
const RING_LAYOUT: Layout =
    match Layout::from_size_align(RING_ENTRIES as usize * size_of::<BufRingEntry>(), 4096) {
        Ok(layout) => layout,
        Err(_) => panic!("the buffer ring has a valid layout"),
    };

/// All receive buffers of one shard.
pub struct Stock {
    inner: RefCell<Inner>,
}

struct Inner {
    /// Every buffer that exists, by its id.
    memory: Vec<Option<NonNull<u8>>>,
    /// Ids whose memory is idle; the warmest last.
    free: Vec<u16>,
    /// The fewest of them since the last trim.
    idle: usize,
    /// Ids without memory.
    vacant: Vec<u16>,
    ring: Option<KernelRing>,
    /// Most buffers that may exist.
    max: usize,
    starved: VecDeque<Waker>,
    /// Those who may use the reserve; they come first.
    starved_of_reserve: VecDeque<Waker>,
    /// Some who wait may be served now.
    to_call: bool,
}

/// The buffer ring shared with the kernel (io_uring_register_buf_ring(3)).
struct KernelRing {
    entries: NonNull<BufRingEntry>,
    tail: u16,
    published: u16,
    target: u16,
    /// Buffers picked since the target changed, or since the kernel ran out.
    picked: u32,
}

impl Stock {
    /// A stock of at most `max` buffers; with `kernel_ring`, some of them are published.
    pub fn new(max: usize, kernel_ring: bool) -> Rc<Stock> {
        let max = max.clamp(8, usize::from(u16::MAX));
        let ring = kernel_ring.then(|| KernelRing::new(max));
        let inner = Inner {
            memory: Vec::new(),
            free: Vec::new(),
            idle: 0,
            vacant: Vec::new(),
            ring,
            max,
            starved: VecDeque::new(),
            starved_of_reserve: VecDeque::new(),
            to_call: false,
        };
        Rc::new(Stock { inner: RefCell::new(inner) })
    }

    /// Address and entry count for registering the buffer ring, where there is one.
    pub fn registration(&self) -> Option<(u64, u16)> {
        let inner = self.inner.borrow();
        inner.ring.as_ref().map(|ring| (ring.entries.as_ptr() as u64, RING_ENTRIES))
    }

    /// Lends an empty buffer, or `None` when all that may exist, but for the reserve, are in use.
    pub fn lease(self: &Rc<Self>) -> Option<Buf> {
        let most = self.inner.borrow().most();
        self.lend(most)
    }

    /// As [`Stock::lease`], from the reserve too: for what servers send. Clients cannot exhaust it,
    /// and what is received from a server sets buffers free.
    pub fn lease_reserved(self: &Rc<Self>) -> Option<Buf> {
        let most = self.inner.borrow().max;
        self.lend(most)
    }

    /// Whether a receive that found no buffer could find one now; `reserved`: in the reserve too.
    pub fn can_serve(&self, reserved: bool) -> bool {
        let inner = self.inner.borrow();
        let most = if reserved { inner.max } else { inner.most() };
        inner.ring.as_ref().is_some_and(|ring| ring.published > 0) || inner.in_use() < most
    }

    /// Whether more than a quarter of all that may exist is lent out: time to ask for no more than
    /// is wanted.
    pub fn is_busy(&self) -> bool {
        let inner = self.inner.borrow();
        let published = inner.ring.as_ref().map_or(0, |ring| usize::from(ring.published));
        (inner.in_use() - published) * 4 > inner.max
    }

    fn lend(self: &Rc<Self>, most: usize) -> Option<Buf> {
        let (index, data) = self.inner.borrow_mut().take_free(most)?;
        Some(Buf { stock: self.clone(), data, index, start: HEADROOM as u32, end: HEADROOM as u32 })
    }

    /// Notes that the kernel has picked a published buffer: a completion brought it.
    pub fn picked(&self) {
        if let Some(ring) = &mut self.inner.borrow_mut().ring {
            ring.picked();
        }
    }

    /// Takes over the picked buffer `index` after the kernel has put `len` bytes into it.
    pub fn received(self: &Rc<Self>, index: u16, len: usize) -> Buf {
        let data = self.inner.borrow().memory[usize::from(index)]
            .expect("the kernel only picks published buffers");
        debug_assert!(len <= BUF_CAPACITY);
        let (start, end) = (HEADROOM as u32, (HEADROOM + len) as u32);
        Buf { stock: self.clone(), data, index, start, end }
    }

    /// Publishes buffers until the kernel has its share again.
    pub fn replenish(&self) {
        let mut inner = self.inner.borrow_mut();
        loop {
            match &inner.ring {
                Some(ring) if ring.published < ring.target => {}
                _ => break,
            }
            // Those who wait to be lent one come first, unless the kernel has none at all.
            let published = inner.ring.as_ref().map_or(0, |ring| ring.published);
            if published > 0 && !inner.free.is_empty() && inner.free.len() <= inner.starved.len() {
                break;
            }
            let most = inner.most();
            let Some((index, data)) = inner.take_free(most) else { break };
            if let Some(ring) = &mut inner.ring {
                ring.publish(index, data);
            }
        }
    }

    /// After a turn's completions: publishes buffers again, and more than before if the kernel has
    /// used up all that were.
    pub fn restock(&self) {
        {
            let mut inner = self.inner.borrow_mut();
            // The other half is for those who lend buffers themselves.
            let most = RING_ENTRIES.min((inner.max / 2).max(1) as u16);
            let more_exist = inner.in_use() < inner.most();
            if let Some(ring) = &mut inner.ring
                && ring.published == 0
            {
                ring.picked = 0;
                if more_exist {
                    ring.target = (ring.target + ring.target / 4).min(most);
                }
            }
        }
        self.replenish();
    }

    /// Called when the kernel found no buffer: publishes what there is by now, and says whether any
    /// is published.
    pub fn offer(&self) -> bool {
        self.replenish();
        self.inner.borrow().ring.as_ref().is_some_and(|ring| ring.published > 0)
    }

    /// Remembers a task that waits until a buffer comes back; `reserved`: it may use the reserve.
    pub fn wait(&self, waker: &Waker, reserved: bool) {
        let inner = &mut *self.inner.borrow_mut();
        let queue = if reserved { &mut inner.starved_of_reserve } else { &mut inner.starved };
        if !queue.iter().any(|known| known.will_wake(waker)) {
            queue.push_back(waker.clone());
        }
    }

    /// Who was called, and needs no buffer before its bytes come, passes the call on.
    pub fn pass_on(&self) {
        self.inner.borrow_mut().to_call = true;
    }

    /// Collects as many of those who wait as there are buffers for, if any came back, or a call was
    /// passed on, since the last time: a buffer that comes back calls one, who may not want it.
    pub fn call(&self, wakers: &mut Vec<Waker>) {
        let mut inner = self.inner.borrow_mut();
        if std::mem::take(&mut inner.to_call) {
            let reserved = inner.max.saturating_sub(inner.in_use());
            let count = reserved.min(inner.starved_of_reserve.len());
            wakers.extend(inner.starved_of_reserve.drain(..count));
            let published = inner.ring.as_ref().map_or(0, |ring| usize::from(ring.published));
            let there = published + inner.most().saturating_sub(inner.in_use());
            let count = there.min(inner.starved.len());
            wakers.extend(inner.starved.drain(..count));
        }
    }

    /// Frees a part of the buffers that nobody wanted since the last time, beyond `keep`. Demand
    /// comes and goes from second to second: memory that went with it would have to be found, and
    /// faulted in, over and over.
    pub fn trim(&self, keep: usize) {
        let mut inner = self.inner.borrow_mut();
        let Inner { free, idle, memory, vacant, .. } = &mut *inner;
        let surplus = idle.saturating_sub(keep).div_ceil(TRIMMED_PART);
        // The coldest first.
        for index in free.drain(..surplus) {
            if let Some(data) = memory[usize::from(index)].take() {
                // SAFETY: allocated with this layout in `take_free`; an id on the free list is
                // neither lent nor published, so nothing else points to it.
                unsafe { dealloc(data.as_ptr(), LAYOUT) };
            }
            vacant.push(index);
        }
        *idle = free.len();
    }

    /// Buffers that exist, and how many of them are lent out.
    pub fn usage(&self) -> (usize, usize) {
        let inner = self.inner.borrow();
        let existing = inner.memory.len() - inner.vacant.len();
        let published = inner.ring.as_ref().map_or(0, |ring| usize::from(ring.published));
        (existing, existing - inner.free.len() - published)
    }

    fn give_back(&self, index: u16) {
        let wakers: Vec<Waker> = {
            let mut inner = self.inner.borrow_mut();
            inner.free.push(index);
            inner.to_call = true;
            // One waiter for each idle buffer: some that waited may be gone, or want none any more.
            let first = inner.free.len().min(inner.starved_of_reserve.len());
            let then = (inner.free.len() - first).min(inner.starved.len());
            let inner = &mut *inner;
            let first = inner.starved_of_reserve.drain(..first);
            first.chain(inner.starved.drain(..then)).collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Inner {
    /// Buffers that are lent out or published.
    fn in_use(&self) -> usize {
        self.memory.len() - self.vacant.len() - self.free.len()
    }

    /// Most that may be in use, but for the reserve.
    fn most(&self) -> usize {
        self.max - self.max / RESERVED_PART
    }

    /// A buffer that is not in use, while fewer than `most` are.
    fn take_free(&mut self, most: usize) -> Option<(u16, NonNull<u8>)> {
        if self.in_use() >= most {
            return None;
        }
        if let Some(index) = self.free.pop() {
            self.idle = self.idle.min(self.free.len());
            return Some((index, self.memory[usize::from(index)]?));
        }
        let index = match self.vacant.pop() {
            Some(index) => index,
            None if self.memory.len() < self.max => {
                self.memory.push(None);
                (self.memory.len() - 1) as u16
            }
            None => return None,
        };
        // SAFETY: the layout has a non-zero size.
        let Some(data) = NonNull::new(unsafe { alloc(LAYOUT) }) else {
            self.vacant.push(index);
            return None;
        };
        self.memory[usize::from(index)] = Some(data);
        Some((index, data))
    }
}

impl KernelRing {
    fn new(max: usize) -> Self {
        // SAFETY: the layout has a non-zero size.
        let memory = unsafe { alloc_zeroed(RING_LAYOUT) };
        let Some(entries) = NonNull::new(memory.cast::<BufRingEntry>()) else {
            std::alloc::handle_alloc_error(RING_LAYOUT)
        };
        let target = PUBLISHED_AT_FIRST.min((max / 2).max(1) as u16);
        KernelRing { entries, tail: 0, published: 0, target, picked: 0 }
    }

    fn picked(&mut self) {
        self.published -= 1;
        self.picked += 1;
        if self.picked >= ROUNDS_OF_PLENTY * u32::from(self.target) {
            self.picked = 0;
            if self.target > PUBLISHED_AT_FIRST {
                self.target = (self.target - self.target / 5).max(PUBLISHED_AT_FIRST);
            }
        }
    }

    fn publish(&mut self, index: u16, data: NonNull<u8>) {
        let slot = usize::from(self.tail & (RING_ENTRIES - 1));
        // SAFETY: `slot` is below the number of entries allocated. `published < RING_ENTRIES`, so
        // the kernel has consumed this slot and does not read it until the tail moves past it.
        let entry = unsafe { &mut *self.entries.as_ptr().add(slot) };
        entry.set_addr(data.as_ptr() as u64 + HEADROOM as u64);
        entry.set_len(BUF_CAPACITY as u32);
        entry.set_bid(index);
        self.tail = self.tail.wrapping_add(1);
        self.published += 1;
        // SAFETY: the tail lies in the first entry of the ring (its `resv` field), 2-byte aligned
        // and shared with the kernel, which reads it with acquire ordering.
        let tail =
            unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        let inner = self.inner.get_mut();
        for data in inner.memory.iter_mut().filter_map(Option::take) {
            // SAFETY: allocated with this layout. Every `Buf` holds an `Rc` of the stock, so none
            // is left; the `Uring` holds one too until the kernel has dropped the ring.
            unsafe { dealloc(data.as_ptr(), LAYOUT) };
        }
        if let Some(ring) = inner.ring.take() {
            // SAFETY: allocated with this layout; unregistered before (see `Uring::drop`).
            unsafe { dealloc(ring.entries.as_ptr().cast(), RING_LAYOUT) };
        }
    }
}

/// A buffer on loan: bytes with free room before and behind them. Dropping it returns it.
pub struct Buf {
    stock: Rc<Stock>,
    data: NonNull<u8>,
    index: u16,
    start: u32,
    end: u32,
}

impl Buf {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `start <= end <= SIZE`, and these bytes were written by the kernel or through
        // `extend`; while a `Buf` exists nobody else has this memory.
        unsafe {
            std::slice::from_raw_parts(self.data.as_ptr().add(self.start as usize), self.len())
        }
    }

    /// The bytes, to change in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let len = self.len();
        // SAFETY: as in `bytes`; `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr().add(self.start as usize), len) }
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Room behind the bytes.
    pub fn room(&self) -> usize {
        SIZE - self.end as usize
    }

    /// Forgets the first `n` bytes.
    pub fn advance(&mut self, n: usize) {
        assert!(n <= self.len(), "cannot advance past the end");
        self.start += n as u32;
    }

    /// Keeps only the first `n` bytes.
    pub fn truncate(&mut self, n: usize) {
        self.end = self.end.min(self.start + n as u32);
    }

    /// Appends as many of `bytes` as there is room for and says how many.
    pub fn extend(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.room());
        // SAFETY: `end + n <= SIZE`, and `bytes` cannot overlap memory that only we have.
        unsafe {
            let end = self.data.as_ptr().add(self.end as usize);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), end, n);
        }
        self.end += n as u32;
        n
    }

    /// Writes `bytes` before the present ones; `false`, and nothing changed, without room.
    pub fn prepend(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.start as usize {
            return false;
        }
        self.start -= bytes.len() as u32;
        // SAFETY: `start` has just been moved down by this many bytes, within the allocation.
        unsafe {
            let start = self.data.as_ptr().add(self.start as usize);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len());
        }
        true
    }

    /// A fresh buffer with the same bytes from `at` on, which this one then lacks; `None` when the
    /// stock is exhausted (and nothing changed).
    pub fn split_off(&mut self, at: usize) -> Option<Buf> {
        let mut tail = self.stock.lease()?;
        tail.extend(&self.bytes()[at..]);
        self.truncate(at);
        Some(tail)
    }

    /// Moves the bytes to where a receive puts them, so that the room is behind them.
    pub fn compact(&mut self) {
        if self.start as usize > HEADROOM {
            let len = self.len();
            // SAFETY: source and target lie within the allocation, and `copy` allows overlap.
            unsafe {
                let base = self.data.as_ptr();
                std::ptr::copy(base.add(self.start as usize), base.add(HEADROOM), len);
            }
            self.start = HEADROOM as u32;
            self.end = (HEADROOM + len) as u32;
        }
    }

    /// Where the kernel reads from while this buffer is being sent.
    pub(super) fn as_ptr(&self) -> *const u8 {
        self.bytes().as_ptr()
    }

    /// Where the kernel writes to, and how much it may write, in a receive into this buffer.
    pub(super) fn spare(&mut self) -> (*mut u8, usize) {
        // SAFETY: `end <= SIZE`: the pointer stays within or one past the allocation.
        let end = unsafe { self.data.as_ptr().add(self.end as usize) };
        (end, self.room().saturating_sub(TAILROOM).min(BUF_CAPACITY))
    }

    /// Counts `n` bytes that the kernel has written behind the present ones.
    pub(super) fn grown(&mut self, n: usize) {
        debug_assert!(n <= self.room());
        self.end += n as u32;
    }
}

impl Drop for Buf {
    fn drop(&mut self) {
        self.stock.give_back(self.index);
    }
}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buf({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_and_is_lent_again() {
        let stock = Stock::new(8, false);
        let leased: Vec<Buf> = std::iter::from_fn(|| stock.lease()).collect();
        assert_eq!(leased.len(), 7);
        let reserved = stock.lease_reserved();
        assert!(reserved.is_some() && stock.lease_reserved().is_none());
        drop((leased, reserved));
        assert_eq!(stock.usage(), (8, 0));
        assert!(stock.lease().is_some());
    }

    #[test]
    fn what_lies_idle_is_freed_bit_by_bit() {
        let stock = Stock::new(640, false);
        let rush = || drop((0..500).map(|_| stock.lease().expect("one")).collect::<Vec<_>>());
        rush();
        stock.trim(4);
        assert_eq!(stock.usage(), (500, 0), "all were wanted until now");
        stock.trim(4);
        assert_eq!(stock.usage(), (500 - 496_usize.div_ceil(TRIMMED_PART), 0));
        rush();
        stock.trim(4);
        assert_eq!(stock.usage(), (500, 0), "wanted again");
        (0..200).for_each(|_| stock.trim(4));
        assert_eq!(stock.usage(), (4, 0));
        assert!(stock.lease().is_some());
    }

    #[test]
    fn a_rush_that_uses_up_all_that_is_published_has_more_published() {
        let stock = Stock::new(2048, true);
        let published = || stock.inner.borrow().ring.as_ref().map(|ring| ring.published);
        stock.replenish();
        assert_eq!(published(), Some(PUBLISHED_AT_FIRST));
        let pick = |count: u16| {
            (0..count).for_each(|_| stock.picked());
            stock.restock();
            published()
        };
        assert_eq!(pick(PUBLISHED_AT_FIRST), Some(40));
        assert_eq!(pick(39), Some(40), "one was left");
        assert_eq!(pick(40), Some(50));
    }

    #[test]
    fn what_a_rush_has_published_is_taken_back_in_time() {
        let stock = Stock::new(2048, true);
        let mut inner = stock.inner.borrow_mut();
        let ring = inner.ring.as_mut().unwrap();
        (ring.target, ring.published) = (4 * PUBLISHED_AT_FIRST, 1);
        let mut pick = |rounds: u32| {
            for _ in 0..rounds * u32::from(ring.target) {
                ring.picked();
                ring.published += 1;
            }
            ring.target
        };
        assert_eq!(pick(ROUNDS_OF_PLENTY - 1), 4 * PUBLISHED_AT_FIRST);
        assert_eq!(pick(1), 103);
        assert_eq!(pick(20 * ROUNDS_OF_PLENTY), PUBLISHED_AT_FIRST);
    }

    #[test]
    fn prepend_and_extend_keep_the_bytes_between() {
        let stock = Stock::new(8, false);
        let mut buf = stock.lease().unwrap();
        assert_eq!(buf.extend(b"middle"), 6);
        assert!(buf.prepend(b"start "));
        assert_eq!(buf.extend(b" end"), 4);
        assert_eq!(buf.bytes(), b"start middle end");
        assert!(!buf.prepend(&[0; HEADROOM]));
        let tail = buf.split_off(6).unwrap();
        assert_eq!((buf.bytes(), tail.bytes()), (&b"start "[..], &b"middle end"[..]));
        buf.advance(6);
        assert!(buf.is_empty());
    }

    #[test]
    fn extend_takes_what_fits() {
        let stock = Stock::new(8, false);
        let mut buf = stock.lease().unwrap();
        let taken = buf.extend(&vec![7; 2 * SIZE]);
        assert_eq!(taken, SIZE - HEADROOM);
        assert_eq!(buf.room(), 0);
        buf.advance(taken - 3);
        buf.compact();
        assert_eq!((buf.bytes(), buf.room()), (&[7; 3][..], SIZE - HEADROOM - 3));
    }
}
