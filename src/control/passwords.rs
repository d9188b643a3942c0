//! Checks the passwords that requests bring, so that no shard has to.

#![allow(clippy::disallowed_types, reason = "these threads take their work from one queue")]

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use crate::shard::Inquiry;

/// Inquiries that wait, of all shards; one more is answered 503. At 50 ms each, the last of them
/// waits for as long as its request does.
const WAITING_MAX: usize = 256;
/// At most so many at once: the more, the less is left for shards.
const THREADS_MAX: usize = 4;
/// How much a shard on the same CPU goes before (nice(2)): three quarters of it.
const NICENESS: i32 = 5;

/// Starts the threads that check; they end when nobody can ask any more.
///
/// # Errors
/// When none can be started.
pub fn start() -> io::Result<SyncSender<Inquiry>> {
    let (desk, inquiries) = sync_channel(WAITING_MAX);
    let inquiries = Arc::new(Mutex::new(inquiries));
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    for _ in 0..(cpus / 2).clamp(1, THREADS_MAX) {
        let inquiries = inquiries.clone();
        thread::Builder::new().name("passwords".into()).spawn(move || check(&inquiries))?;
    }
    Ok(desk)
}

fn check(inquiries: &Mutex<Receiver<Inquiry>>) {
    // Of this thread alone, on Linux. Where that is not allowed, shards have to share.
    let _ = rustix::process::setpriority_process(None, NICENESS);
    loop {
        let next = inquiries.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(inquiry) = next else { break };
        inquiry.answer();
    }
}
