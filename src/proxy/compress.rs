//! Compression of responses on their way to the client.
//!
//! What has come is compressed a piece at a time and sent before more is received, so a response
//! holds one buffer and its encoder, however large it is and however slow its client. When the
//! server pauses, what has been made so far goes out.

mod blocks;
mod encoder;
mod pacing;

use std::cell::Cell;
use std::time::Duration;

pub use encoder::{Encoder, memory};
pub use pacing::{Compression, PIECE};

use super::body::Body;
use super::content::lists;
use super::forward::{Broken, Flow};
use crate::http1::{ResponseHead, write_chunk_size};
use crate::plan::CompressPlan;
use crate::ring::{Buf, Traffic};

/// A server that has sent nothing for so long has paused: what there is of its answer goes out.
const PAUSE: Duration = Duration::from_millis(5);
/// As much as is collected for one send, unless the server pauses.
pub const SEND_AT: usize = 16 << 10;

/// Statuses whose content is worth it: nginx's, and those of requests that make something.
const STATUSES: [u16; 5] = [200, 201, 203, 403, 404];
/// Fields of which one says that the content is what it should be, byte by byte (RFC 9530), or is
/// a part of something (RFC 9110 §14.4).
const FORBIDDING: [&str; 6] =
    ["content-encoding", "content-range", "content-digest", "repr-digest", "digest", "content-md5"];

/// Whether an answer with this head is compressed for clients that want that.
pub fn is_worth_it(plan: &CompressPlan, head: &ResponseHead<'_, '_>, to_head: bool) -> bool {
    let length = head.facts.content_length;
    let has_body = to_head || head.facts.framing != crate::http1::ResponseFraming::None;
    STATUSES.contains(&head.status)
        && has_body
        && length.is_none_or(|length| length >= plan.min_bytes.max(1))
        && head.field("content-type").is_some_and(|found| plan.has_type(found))
        && !FORBIDDING.iter().any(|name| head.field(name).is_some())
        && !lists(head, "cache-control", "no-transform")
}

/// Sends a response whose `first` bytes of payload are here, behind `head`. Counts in `sent` how
/// much of its body has gone out, compressed.
///
/// # Errors
/// [`Broken`]; some of it may have been sent.
pub async fn forward(
    flow: &Flow<'_>,
    body: &mut Body,
    mut encoder: Encoder,
    head: Vec<u8>,
    first: Buf,
    sent: &Cell<u64>,
) -> Result<(), Broken> {
    let timer = flow.context.ring.timer();
    flow.from.expect(Traffic::Messages);
    let mut outlet = Outlet { flow, head, sent };
    let (mut next, mut waiting) = (Some(first), true);
    loop {
        if let Some(buf) = next.take() {
            for piece in buf.bytes().chunks(PIECE) {
                flow.context.compression.turn(&flow.context.ring, &timer).await;
                encoder.write(piece).map_err(|_| Broken::CutShort)?;
                waiting = true;
                if encoder.made() >= SEND_AT {
                    outlet.send(encoder.take()).await?;
                }
            }
        }
        if body.ended() {
            let rest = encoder.finish().map_err(|_| Broken::CutShort)?;
            return outlet.finish(rest).await;
        }
        let receiving = flow.await_source(flow.from.recv());
        let received = match waiting {
            false => receiving.await?,
            true => match timer.within(PAUSE, receiving).await {
                Ok(received) => received?,
                Err(_) => {
                    encoder.flush().map_err(|_| Broken::CutShort)?;
                    outlet.send(encoder.take()).await?;
                    waiting = false;
                    continue;
                }
            },
        };
        match received {
            Ok(Some(mut buf)) => {
                flow.copy(body, &mut buf).await?;
                next = Some(buf);
            }
            // What it had is finished above, if this was a proper end.
            Ok(None) if body.end_of_stream().is_some() => {}
            // The client is to see that there was something, and that it broke off.
            Ok(None) | Err(_) => {
                encoder.flush().map_err(|_| Broken::CutShort)?;
                outlet.send(encoder.take()).await?;
                return Err(Broken::CutShort);
            }
        }
    }
}

/// Where chunks leave.
struct Outlet<'a, 'f> {
    flow: &'a Flow<'f>,
    /// Goes out with the first.
    head: Vec<u8>,
    sent: &'a Cell<u64>,
}

impl Outlet<'_, '_> {
    async fn send(&mut self, payload: Vec<u8>) -> Result<(), Broken> {
        let mut bytes = std::mem::take(&mut self.head);
        enclose(&mut bytes, &payload);
        self.flow.send_bytes(bytes).await?;
        self.sent.set(self.sent.get() + payload.len() as u64);
        Ok(())
    }

    async fn finish(mut self, payload: Vec<u8>) -> Result<(), Broken> {
        let mut bytes = std::mem::take(&mut self.head);
        enclose(&mut bytes, &payload);
        bytes.extend_from_slice(b"0\r\n\r\n");
        self.flow.send_bytes(bytes).await?;
        self.sent.set(self.sent.get() + payload.len() as u64);
        Ok(())
    }
}

/// Appends a chunk; an empty one would be the last.
pub fn enclose(out: &mut Vec<u8>, payload: &[u8]) {
    if !payload.is_empty() {
        let mut line = [0; 18];
        out.extend_from_slice(write_chunk_size(&mut line, payload.len() as u64));
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
    }
}
