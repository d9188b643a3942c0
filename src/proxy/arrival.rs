//! A request's head, received.

use super::client::Client;
use super::connection::Next;
use super::reply::{self, Failure, Manner};
use super::trail::Trail;
use crate::http1::{HeadLimits, HeadScanner};
use crate::plan::Limits;
use crate::ring::Buf;

/// How large a head may be.
pub fn head_limits(limits: &Limits) -> HeadLimits {
    HeadLimits { bytes: limits.head_bytes, fields: limits.head_fields }
}

/// A whole head and what came behind it.
pub struct Received {
    /// The head, where it came in several parts.
    pub apart: Option<Vec<u8>>,
    /// The head, if it came in one part, and what came behind it.
    pub buf: Buf,
    /// The head's length.
    pub len: usize,
}

/// Collects bytes until there is a whole head. While it waits for more it holds no buffer, or a few
/// thousand slow clients would hold all of them.
///
/// # Errors
/// What follows: it is answered already.
pub async fn receive_head(
    client: &Client,
    mut buf: Buf,
    trail: &Trail,
    limits: &HeadLimits,
) -> Result<Received, Next> {
    let deadline = client.timer.after(trail.service.plan.timeouts.header);
    let mut scanner = HeadScanner::new();
    let mut collected: Vec<u8> = Vec::new();
    loop {
        let before = collected.len();
        let found = if before == 0 {
            scanner.find_end(buf.bytes(), limits)
        } else {
            collected.extend_from_slice(buf.bytes());
            scanner.find_end(&collected, limits)
        };
        match found {
            Ok(Some(len)) if before == 0 => return Ok(Received { apart: None, buf, len }),
            Ok(Some(len)) => {
                collected.truncate(len);
                buf.advance(len - before);
                return Ok(Received { apart: Some(collected), buf, len });
            }
            Ok(None) if before == 0 => collected.extend_from_slice(buf.bytes()),
            Ok(None) => {}
            Err(refusal) => {
                client.context.count(|counters| counters.requests += 1);
                client.capture_broken(trail, if before == 0 { buf.bytes() } else { &collected });
                drop(buf);
                let failure = Failure::Refused(refusal);
                return Err(reply::fail(client, trail, &failure, Manner::LAST).await);
            }
        }
        drop(buf);
        buf = match client.timer.until(deadline, client.stream.recv()).await {
            Ok(Ok(Some(more))) => more,
            Ok(_) => {
                client.capture_broken(trail, &collected);
                trail.client_left();
                return Err(Next::Close);
            }
            Err(_) => {
                client.capture_broken(trail, &collected);
                let failure = Failure::HeadTimeout;
                return Err(reply::fail(client, trail, &failure, Manner::LAST).await);
            }
        };
    }
}
