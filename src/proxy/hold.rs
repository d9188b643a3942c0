//! Holding a request until it is whole, so that it can be sent more than once.

use super::body::Body;
use super::client::Client;
use super::reply::Failure;
use super::request::Request;
use super::response::Failed;
use crate::guard::Pace;
use crate::http1::RequestFraming;
use crate::ring::Buf;

/// Receives the rest of `body` behind `head`, where the request may be tried again and its body is
/// small enough. One that turns out larger is left to be forwarded as it comes. A client that
/// waits for a 100 before it sends its body is not kept waiting. Says whether `head` is all that
/// is needed to repeat the request for as long as no more of its body is taken from the client.
///
/// # Errors
/// The body is wrong, too large or late; or the client has gone.
pub async fn hold(
    client: &Client,
    request: &Request,
    head: &mut Vec<u8>,
    body: &mut Body,
) -> Result<bool, Failed> {
    let retry = &request.route().retry;
    if retry.listed(request.facts.idempotent).is_none() {
        return Ok(false);
    }
    match request.facts.framing {
        RequestFraming::None => return Ok(true),
        // Beyond what is to be held, unless none of it is here.
        RequestFraming::Length(length) if length > retry.buffer => {
            return Ok(body.unframed() == length);
        }
        RequestFraming::Length(_) | RequestFraming::Chunked => {}
    }
    if request.facts.expect_continue {
        return Ok(true);
    }
    let most = usize::try_from(retry.buffer).unwrap_or(usize::MAX);
    let mut pace = request.pace();
    while !body.ended() {
        let buf = receive(client, request, &mut pace).await?;
        append(client, head, body, buf)?;
        if head.len() - request.head_len > most {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Receives some of the body, which may come neither too late nor too slowly.
async fn receive(
    client: &Client,
    request: &Request,
    pace: &mut Option<Pace>,
) -> Result<Buf, Failed> {
    let idle = request.route().timeouts.body_idle;
    let (limit, late) = match pace.and_then(|pace| pace.limit(idle)) {
        Some(limit) => (limit, Failure::BodySlow),
        None => (idle, Failure::BodyTimeout),
    };
    let began = client.context.ring.now();
    match client.timer.within(limit, client.stream.recv()).await {
        Ok(Ok(Some(buf))) => {
            if let Some(pace) = pace {
                pace.waited(client.context.ring.now() - began);
                pace.came(buf.len() as u64);
            }
            Ok(buf)
        }
        Ok(_) => Err(Failed::ClientGone),
        Err(_) => Err(Failed::Answer(late)),
    }
}

/// Puts a part of the body behind `head`, framed for the server.
fn append(
    client: &Client,
    head: &mut Vec<u8>,
    body: &mut Body,
    mut buf: Buf,
) -> Result<(), Failed> {
    let surplus = body.frame(&mut buf).map_err(|error| Failed::Answer(error.into()))?;
    client.context.count(|counters| counters.copied += buf.len() as u64);
    head.extend_from_slice(buf.bytes());
    head.append(&mut body.take_tail());
    if !surplus.is_empty() {
        // It came out of this buffer.
        buf.truncate(0);
        buf.compact();
        buf.extend(&surplus);
        client.stream.put_back(buf);
    }
    Ok(())
}
