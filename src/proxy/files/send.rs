//! Sending: what is small leaves in one send with its head, the rest by sendfile(2).
//!
//! A file that is not in memory must not hold up its shard. So a little of each stretch is read
//! without waiting (RWF_NOWAIT) before it is sent by a call that would wait. Where that finds
//! nothing, the next bytes are read by the ring, which waits for them without us, and copied; the
//! kernel reads ahead meanwhile, and the next stretch is likely to be there.

use std::io;
use std::time::Duration;

use rustix::io::Errno;

use super::FileFault;
use super::coded::Coded;
use super::response::{Piece, Ready};
use super::store::{OpenFile, fault};
use crate::http1::ByteRange;
use crate::proxy::client::Client;
use crate::proxy::connection::Next;
use crate::proxy::content;
use crate::proxy::trail::Trail;
use crate::ring::SendOp;
use crate::telemetry::End;

/// A body up to this size is read, and leaves in one send with its head.
pub const SMALL: u64 = 64 << 10;
/// The most that one call sends; after it the shard's other connections have their turn.
const STRETCH: u64 = 1 << 20;
/// Of a stretch one byte in so many is looked at: as much as the kernel reads ahead by default.
const LOOK: u64 = 128 << 10;
/// How much is copied at a time.
const COPIED: u64 = 128 << 10;

/// Why a body did not leave whole.
pub enum Broken {
    /// The client takes no more.
    Gone,
    /// The file has become shorter, or cannot be read.
    File,
}

/// Sends a response.
///
/// # Errors
/// [`FileFault`] if the file cannot be read, and nothing was sent.
pub async fn run(
    client: &Client,
    trail: &Trail,
    ready: Ready,
    idle: Duration,
) -> Result<Next, FileFault> {
    let Ready { status, head, body, keep_alive } = ready;
    let sender = Sender { client, trail, idle };
    let length = |piece: &Piece| match piece {
        Piece::Bytes(bytes) => bytes.len() as u64,
        Piece::File(_, part) => part.len(),
    };
    let total: u64 = body.iter().map(length).sum();
    let told = || {
        trail.note(|record| {
            record.own = true;
            record.status = status;
        });
    };
    let (head, encoder) = content::dress_head(client, trail, head, keep_alive, body.is_empty());
    let sent = match encoder {
        Some(encoder) => {
            // Boxed: few responses need room for this.
            let coded = Box::pin(Coded::begin(body)).await?;
            told();
            Box::pin(coded.send(&sender, head, encoder)).await
        }
        None if total <= SMALL => {
            let bytes = sender.collect(head, body).await?;
            client.context.count(|counters| counters.copied += total);
            told();
            let sent = sender.finish(client.stream.socket.send_bytes(bytes), total).await;
            sent.map_err(|()| Broken::Gone)
        }
        None => {
            told();
            sender.in_parts(head, body).await
        }
    };
    client.context.count(|counters| counters.files += 1);
    Ok(match sent {
        Ok(()) => {
            trail.note(|record| record.phases.ended = client.context.ring.now());
            if keep_alive { Next::Keep } else { Next::Linger }
        }
        Err(Broken::Gone) => {
            client.context.count(|counters| counters.aborted += 1);
            trail.client_left();
            Next::Close
        }
        Err(Broken::File) => {
            // What is missing must not look like the end of what was announced.
            client.stream.reset_on_close(true);
            trail.note(|record| record.end = End::CutShort);
            Next::Close
        }
    })
}

/// Where a response leaves.
pub struct Sender<'a> {
    pub client: &'a Client,
    trail: &'a Trail,
    /// Longest time between two writes.
    idle: Duration,
}

impl Sender<'_> {
    /// The whole message.
    async fn collect(&self, head: Vec<u8>, body: Vec<Piece>) -> Result<Vec<u8>, FileFault> {
        let mut bytes = head;
        for piece in body {
            match piece {
                Piece::Bytes(text) => bytes.extend_from_slice(&text),
                Piece::File(file, part) => bytes = read(&file, bytes, part).await?,
            }
        }
        Ok(bytes)
    }

    /// Sends the head, and the body after it.
    async fn in_parts(&self, head: Vec<u8>, body: Vec<Piece>) -> Result<(), Broken> {
        let socket = &self.client.stream.socket;
        self.finish(socket.send_bytes_more(head), 0).await.map_err(|()| Broken::Gone)?;
        // Guards every call below; what goes through the ring polls where it finds it full.
        let _guard = socket.nonblocking().map_err(|_| Broken::Gone)?;
        let count = body.len();
        for (at, piece) in body.into_iter().enumerate() {
            match piece {
                Piece::File(file, part) => self.file(&file, part).await?,
                Piece::Bytes(bytes) => {
                    let length = bytes.len() as u64;
                    let sending = match at + 1 < count {
                        true => socket.send_bytes_more(bytes),
                        false => socket.send_bytes(bytes),
                    };
                    self.finish(sending, length).await.map_err(|()| Broken::Gone)?;
                }
            }
        }
        Ok(())
    }

    /// Sends a part of a file.
    async fn file(&self, file: &OpenFile, part: ByteRange) -> Result<(), Broken> {
        let socket = &self.client.stream.socket;
        let mut may_splice = self.client.context.splice.enabled;
        let ByteRange { start: mut at, end } = part;
        while at < end {
            let stretch = (end - at).min(STRETCH);
            if !(may_splice && is_in_memory(file, at, stretch)) {
                at += self.copy(file, at, stretch.min(COPIED)).await?;
                continue;
            }
            match file.file.send(socket, at, stretch as usize) {
                Ok(Some(0)) => return Err(Broken::File),
                Ok(Some(n)) => {
                    at += n as u64;
                    self.passed(n as u64);
                    self.client.context.count(|counters| counters.spliced += n as u64);
                    if at < end {
                        self.writable().await?;
                    }
                }
                Ok(None) => self.writable().await?,
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::INVAL | Errno::NOSYS) => may_splice = false,
                    Some(Errno::IO) => return Err(Broken::File),
                    _ => return Err(Broken::Gone),
                },
            }
        }
        Ok(())
    }

    /// Sends up to `most` bytes by copying them.
    async fn copy(&self, file: &OpenFile, at: u64, most: u64) -> Result<u64, Broken> {
        let (result, mut bytes) = file.file.read(vec![0; most as usize], 0, at).await;
        let n = result.map_err(|_| Broken::File)?;
        if n == 0 {
            return Err(Broken::File);
        }
        bytes.truncate(n);
        let sending = self.client.stream.socket.send_bytes(bytes);
        self.finish(sending, n as u64).await.map_err(|()| Broken::Gone)?;
        self.client.context.count(|counters| counters.copied += n as u64);
        Ok(n as u64)
    }

    async fn writable(&self) -> Result<(), Broken> {
        let writable = self.client.stream.socket.writable();
        let waited = self.client.timer.within(self.idle, writable).await;
        waited.ok().and_then(Result::ok).ok_or(Broken::Gone)
    }

    /// Waits until the client has taken it, of which so many bytes are body.
    pub async fn finish(&self, sending: SendOp, body: u64) -> Result<(), ()> {
        let sent = self.client.timer.within(self.idle, sending).await.map_err(drop)?;
        sent.result.map_err(drop)?;
        self.passed(body);
        Ok(())
    }

    fn passed(&self, bytes: u64) {
        self.trail.to_client.set(self.trail.to_client.get() + bytes);
    }
}

/// Whether a stretch of a file is in memory, as far as a look here and there can tell.
fn is_in_memory(file: &OpenFile, at: u64, length: u64) -> bool {
    let looks = (at..at + length).step_by(LOOK as usize).chain([at + length - 1]);
    let mut byte = [0];
    // The end of the file, which sending will find, counts as there.
    let mut looks = looks.map(|at| file.file.read_now(&mut byte, at));
    looks.all(|look| matches!(look, Ok(Some(_))))
}

/// Appends a part of a file.
pub async fn read(file: &OpenFile, bytes: Vec<u8>, part: ByteRange) -> Result<Vec<u8>, FileFault> {
    let ByteRange { start, end } = part;
    let (mut bytes, mut at) = (bytes, start);
    let before = bytes.len();
    bytes.resize(before + part.len() as usize, 0);
    while at < end {
        let place = before + (at - start) as usize;
        let read = match file.file.read_now(&mut bytes[place..], at) {
            Ok(None) => {
                let (read, same) = file.file.read(bytes, place, at).await;
                bytes = same;
                read
            }
            Ok(Some(n)) => Ok(n),
            Err(error) => Err(error),
        };
        match read {
            // It has become shorter since it was looked at.
            Ok(0) => return Err(FileFault::Broken),
            Ok(n) => at += n as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(fault(error)),
        }
    }
    Ok(bytes)
}
