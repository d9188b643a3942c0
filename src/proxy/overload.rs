//! The answer to a request that would exceed a limit of its upstream: 503, at once.

use super::client::Client;
use super::connection::Next;
use super::reply::{self, Manner, Reply};
use crate::http1::FieldEdits;
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

/// Answers 503.
pub async fn refuse(client: &Client, exceeded: Exceeded, manner: Manner) -> Next {
    let context = &client.context;
    let (reason, id) = (reason(exceeded), context.request_id());
    context.count(|counters| count(counters, exceeded));
    tracing::debug!(status = 503, id, client = ?client.ip(), "{reason}");
    let keep_alive = manner.keep_alive && !context.draining.get() && !client.finished.get();
    let bytes = page(reason, &id, Manner { keep_alive, ..manner });
    reply::send(client, bytes, keep_alive).await
}

fn page(reason: &str, id: &str, manner: Manner) -> Vec<u8> {
    let body = format!("503 {}\n\n{reason}\nRequest id: {id}\n", reply::reason_phrase(503));
    let reply = Reply {
        status: 503,
        content_type: "text/plain; charset=utf-8",
        body: body.as_bytes(),
        fields: &[("Cache-Control", "no-store"), ("X-Request-Id", id), ("Retry-After", "1")],
        edits: &FieldEdits::default(),
        manner,
    };
    reply.to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_framed_with_and_without_its_body() {
        let staying = Manner { keep_alive: true, ..Manner::LAST };
        let full = String::from_utf8(page("Why.", "id", staying)).unwrap();
        let (head, body) = full.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "503 Service Unavailable\n\nWhy.\nRequest id: id\n");
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
        assert!(!head.contains("Connection"), "{head}");
        let last = Manner { to_head: true, ..Manner::LAST };
        let to_head = String::from_utf8(page("Why.", "id", last)).unwrap();
        assert!(to_head.ends_with("\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"), "{to_head}");
    }
}
