//! Messages from other threads, arriving through the ring like everything else.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, mpsc};

use rustix::event::{EventfdFlags, eventfd};

use super::Ring;

/// The sending end; any thread may hold a clone.
pub struct Sender<T> {
    queue: mpsc::Sender<T>,
    bell: Arc<OwnedFd>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender { queue: self.queue.clone(), bell: self.bell.clone() }
    }
}

impl<T> Sender<T> {
    /// Queues `message` and wakes the receiving shard; `false` when that shard has ended.
    pub fn send(&self, message: T) -> bool {
        self.pass(message).is_ok()
    }

    /// As [`Sender::send`].
    ///
    /// # Errors
    /// Gives the message back when the receiving shard has ended.
    pub fn pass(&self, message: T) -> Result<(), T> {
        self.queue.send(message).map_err(|unsent| unsent.0)?;
        // EAGAIN: the counter is at its limit, so the bell is ringing already.
        let _ = rustix::io::write(&*self.bell, &1u64.to_ne_bytes());
        Ok(())
    }
}

/// The receiving end, for one shard.
pub struct Mailbox<T> {
    queue: mpsc::Receiver<T>,
    bell: Arc<OwnedFd>,
}

/// Makes a mailbox. It may be moved to its shard's thread before first use.
///
/// # Errors
/// Those of eventfd(2).
pub fn mailbox<T>() -> io::Result<(Sender<T>, Mailbox<T>)> {
    let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let (sender, queue) = mpsc::channel();
    Ok((Sender { queue: sender, bell: bell.clone() }, Mailbox { queue, bell }))
}

impl<T> Mailbox<T> {
    /// The next message; `None` when no sender is left and the queue is empty.
    pub async fn recv(&mut self, ring: &Ring) -> Option<T> {
        loop {
            match self.queue.try_recv() {
                Ok(message) => return Some(message),
                Err(mpsc::TryRecvError::Disconnected) => return None,
                Err(mpsc::TryRecvError::Empty) => {}
            }
            // An error would come back at once and forever; the poll then simply does not wait.
            ring.poll_fd(self.bell.as_fd(), libc::POLLIN as u32).await.ok()?;
            let mut count = [0; 8];
            let _ = rustix::io::read(&*self.bell, &mut count);
        }
    }
}
