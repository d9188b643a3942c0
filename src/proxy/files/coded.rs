//! Files that are compressed on their way: read, compressed and sent a stretch at a time, as
//! servers' answers are. A slow client has its encoder and one stretch waiting, and no more.

use super::FileFault;
use super::response::Piece;
use super::send::{Broken, Sender, read};
use super::store::OpenFile;
use crate::http1::ByteRange;
use crate::proxy::compress::{Encoder, PIECE, SEND_AT, enclose};
use crate::ring::Timer;

/// How much is read at a time, bytes.
const STRETCH: u64 = 32 << 10;

/// A body that is about to be compressed.
pub struct Coded {
    body: Vec<Piece>,
    /// The first bytes of the first piece, if that is of a file.
    first: Vec<u8>,
}

impl Coded {
    /// Reads the beginning: what fails then can still be answered.
    ///
    /// # Errors
    /// [`FileFault`] if the file cannot be read.
    pub async fn begin(body: Vec<Piece>) -> Result<Coded, FileFault> {
        let first = match body.first() {
            Some(Piece::File(file, part)) => read(file, Vec::new(), stretch(*part)).await?,
            _ => Vec::new(),
        };
        Ok(Coded { body, first })
    }

    /// Sends it behind this head.
    pub async fn send(
        self,
        sender: &Sender<'_>,
        head: Vec<u8>,
        encoder: Encoder,
    ) -> Result<(), Broken> {
        let Coded { body, first } = self;
        let timer = sender.client.context.ring.timer();
        let mut outlet = Outlet { sender, timer, encoder, head };
        outlet.take(&first).await?;
        let mut done = first.len() as u64;
        for piece in body {
            match piece {
                Piece::Bytes(bytes) => outlet.take(&bytes).await?,
                Piece::File(file, ByteRange { start, end }) => {
                    let start = start + std::mem::take(&mut done);
                    outlet.file(&file, ByteRange { start, end }).await?;
                }
            }
        }
        outlet.finish().await
    }
}

/// The beginning of a part.
fn stretch(part: ByteRange) -> ByteRange {
    ByteRange { start: part.start, end: part.end.min(part.start + STRETCH) }
}

/// Where chunks leave.
struct Outlet<'a> {
    sender: &'a Sender<'a>,
    timer: Timer,
    encoder: Encoder,
    /// Goes out with the first.
    head: Vec<u8>,
}

impl Outlet<'_> {
    async fn file(&mut self, file: &OpenFile, part: ByteRange) -> Result<(), Broken> {
        let ByteRange { start: mut at, end } = part;
        let mut bytes = Vec::new();
        while at < end {
            bytes.clear();
            let part = stretch(ByteRange { start: at, end });
            bytes = read(file, bytes, part).await.map_err(|_| Broken::File)?;
            self.take(&bytes).await?;
            at = part.end;
        }
        Ok(())
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let context = &self.sender.client.context;
        context.count(|counters| counters.copied += bytes.len() as u64);
        for piece in bytes.chunks(PIECE) {
            context.compression.turn(&context.ring, &self.timer).await;
            self.encoder.write(piece).map_err(|_| Broken::File)?;
            if self.encoder.made() >= SEND_AT {
                let (head, made) = (std::mem::take(&mut self.head), self.encoder.take());
                send(self.sender, head, &made, b"").await?;
            }
        }
        Ok(())
    }

    async fn finish(self) -> Result<(), Broken> {
        let rest = self.encoder.finish().map_err(|_| Broken::File)?;
        send(self.sender, self.head, &rest, b"0\r\n\r\n").await
    }
}

/// Sends a chunk behind `head`, and `end` behind it.
async fn send(
    sender: &Sender<'_>,
    head: Vec<u8>,
    payload: &[u8],
    end: &[u8],
) -> Result<(), Broken> {
    let mut bytes = head;
    enclose(&mut bytes, payload);
    bytes.extend_from_slice(end);
    let sending = sender.client.stream.socket.send_bytes(bytes);
    sender.finish(sending, payload.len() as u64).await.map_err(|()| Broken::Gone)
}
