//! The answer to a request that would exceed a limit of its upstream: 503, at once.

use std::io::Write;

use super::client::Client;
use super::connection::Next;
use super::reply;
use crate::telemetry::Counters;
use crate::upstream::Exceeded;

/// One sentence, for the page and the log.
fn reason(exceeded: Exceeded) -> &'static str {
    match exceeded {
        Exceeded::Active => "Too many requests to this upstream are in progress.",
        Exceeded::Pending => "Too many requests to this upstream wait for a connection.",
        Exceeded::Retries => "A server failed, and too many requests are being tried again.",
        Exceeded::Budget => "A server failed, and the budget for trying again is used up.",
    }
}

fn count(counters: &mut Counters, exceeded: Exceeded) {
    counters.refused += 1;
    match exceeded {
        Exceeded::Budget => counters.budget_refusals += 1,
        Exceeded::Active | Exceeded::Pending | Exceeded::Retries => counters.breaker_refusals += 1,
    }
}

/// Answers 503 and closes the connection, or keeps it with `keep`.
pub async fn refuse(client: &Client, exceeded: Exceeded, to_head: bool, keep: bool) -> Next {
    let context = &client.context;
    let (reason, id) = (reason(exceeded), context.request_id());
    context.count(|counters| count(counters, exceeded));
    tracing::debug!(status = 503, id, client = ?client.ip, "{reason}");
    let keep = keep && !context.draining.get() && !client.finished.get();
    reply::send(client, page(reason, &id, to_head, keep), keep).await
}

fn page(reason: &str, id: &str, to_head: bool, keep: bool) -> Vec<u8> {
    let body = format!("503 {}\n\n{reason}\nRequest id: {id}\n", reply::reason_phrase(503));
    let mut out = Vec::with_capacity(512);
    let _ = write!(
        out,
        "HTTP/1.1 503 {}\r\nContent-Length: {}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Cache-Control: no-store\r\nX-Request-Id: {id}\r\nRetry-After: 1\r\n{}\r\n{}",
        reply::reason_phrase(503),
        body.len(),
        if keep { "" } else { "Connection: close\r\n" },
        if to_head { "" } else { &body },
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_framed_with_and_without_its_body() {
        let full = String::from_utf8(page("Why.", "id", false, true)).unwrap();
        let (head, body) = full.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "503 Service Unavailable\n\nWhy.\nRequest id: id\n");
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
        assert!(!head.contains("Connection"), "{head}");
        let to_head = String::from_utf8(page("Why.", "id", true, false)).unwrap();
        assert!(to_head.ends_with("\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"), "{to_head}");
    }
}
