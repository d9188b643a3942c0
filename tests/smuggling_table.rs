//! What must not pass, and what must pass as it was meant: one row a case, each with the section
//! that decides it, through real sockets, before an origin that reads by itself
//! (`support/strict.rs`).
//!
//! Nothing refused may reach the origin, not one byte; nothing accepted may be seen differently
//! there. Behind each row comes another request, whose answer must be its own.

#[macro_use]
mod support;
mod smuggling_rows;

use std::collections::BTreeSet;

use smuggling_rows::{Asked, Fate, Outcome, RequestRow, ResponseRow, requests, responses};
use support::strict::Message;
use support::*;

tiered! {
    each_request_is_seen_as_it_was_meant_or_not_at_all,
    each_request_is_judged_alike_byte_by_byte,
    each_request_is_judged_alike_with_another_behind,
    each_response_is_passed_on_as_it_was_meant_or_not_at_all,
    each_response_is_judged_alike_byte_by_byte,
}

/// A row whose bytes may not all be with the proxy when it decides.
const LONG: usize = 4096;

#[test]
fn the_tables_hold_what_was_promised() {
    let (requests, responses) = (requests(), responses());
    let (mut names, mut bytes) = (BTreeSet::new(), BTreeSet::new());
    let doubled: Vec<_> = requests
        .iter()
        .filter(|row| !names.insert((row.section, row.name)) | !bytes.insert(&row.sent))
        .map(|row| (row.section, row.name))
        .collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    assert!(requests.len() >= 150, "{} requests", requests.len());
    assert!(responses.len() >= 50, "{} responses", responses.len());
    println!("{} requests, {} responses", requests.len(), responses.len());
}

/// How the bytes of a row go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// In one write.
    AtOnce,
    /// One by one; long ones in small pieces.
    ByteByByte,
    /// In one write with another request behind.
    WithAnother,
}

const AFTER: &str = "GET /after HTTP/1.1\r\nHost: t\r\nConnection: keep-alive\r\n\r\n";

fn each_request_is_seen_as_it_was_meant_or_not_at_all(tier: Tier) {
    run_requests(tier, Pace::AtOnce);
}

fn each_request_is_judged_alike_byte_by_byte(tier: Tier) {
    run_requests(tier, Pace::ByteByByte);
}

fn each_request_is_judged_alike_with_another_behind(tier: Tier) {
    run_requests(tier, Pace::WithAnother);
}

fn each_response_is_passed_on_as_it_was_meant_or_not_at_all(tier: Tier) {
    run_responses(tier, Pace::AtOnce);
}

fn each_response_is_judged_alike_byte_by_byte(tier: Tier) {
    run_responses(tier, Pace::ByteByByte);
}

type Verdict<T = ()> = Result<T, String>;

fn check(what: &str, holds: bool) -> Verdict {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn run_requests(tier: Tier, pace: Pace) {
    let origin = Recorder::answering(|request| {
        let [method, target, _] = &request.start;
        let body = shown(method, target, request.body.len());
        let mut answer = ok(&body);
        if method == "HEAD" {
            answer.truncate(answer.len() - body.len());
        }
        answer
    });
    let proxy = Proxy::before(tier, &origin);
    let mut faults = Vec::new();
    let mut expected = 0;
    for row in requests() {
        let run = RequestRun { origin: &origin, proxy: &proxy, pace, row: &row };
        match run.check() {
            Ok(seen) => expected += seen,
            Err(fault) => faults.push(format!("{} {}: {fault}", row.section, row.name)),
        }
    }
    faults.extend(origin.flaws());
    assert!(faults.is_empty(), "{pace:?}\n{}", faults.join("\n"));
    assert_eq!(origin.count(), expected, "{pace:?}: something reached the origin later");
}

/// What the origin answers.
fn shown(method: &str, target: &str, length: usize) -> String {
    format!("{method} {target} {length}")
}

/// One row of requests.
struct RequestRun<'a> {
    origin: &'a Recorder,
    proxy: &'a Proxy,
    pace: Pace,
    row: &'a RequestRow,
}

impl RequestRun<'_> {
    /// Sends the row; how many requests reached the origin.
    fn check(&self) -> Verdict<usize> {
        let (seen_before, heard_before) = (self.origin.count(), self.heard());
        let mut peer = Peer::of(self.proxy.client());
        self.send(&mut peer);
        let mut views: Vec<String> = Vec::new();
        match self.row.fate {
            Fate::Refused(status) | Fate::RefusedInBody(status) => {
                refusal(&peer.answer(self.row.sent.starts_with(b"HEAD "))?, status)?;
                peer.closes()?;
                self.origin_saw_nothing(&heard_before)?;
            }
            Fate::Answered(status) => {
                let answer = peer.answer(false)?;
                check(&format!("{answer:?}"), answer.start[1] == status.to_string())?;
                views.push(self.after(&mut peer)?);
            }
            Fate::Seen(rows) => {
                views.extend(self.answers(&mut peer, rows)?);
                views.push(self.after(&mut peer)?);
            }
            Fate::Last(rows) => {
                views.extend(self.answers(&mut peer, rows)?);
                peer.closes()?;
            }
        }
        let recorded = self.origin.recorded();
        let got: Vec<_> = recorded[seen_before..].iter().map(|r| request_as_text(&r.1)).collect();
        check(&format!("seen {got:?}, expected {views:?}"), got == views)?;
        Ok(views.len())
    }

    fn send(&self, peer: &mut Peer) {
        // A refusal may come before the last byte, and the end of the connection with it.
        let sent = &self.row.sent;
        let _ = match self.pace {
            Pace::AtOnce => peer.try_send(sent),
            Pace::WithAnother => peer.try_send([sent, AFTER.as_bytes()].concat()),
            Pace::ByteByByte => {
                sent.chunks(1 + sent.len() / LONG).try_for_each(|piece| peer.try_send(piece))
            }
        };
    }

    /// Reads the answer to each of these; what the origin must see of them.
    fn answers(&self, peer: &mut Peer, rows: &[&str]) -> Verdict<Vec<String>> {
        let mut views = Vec::new();
        for row in rows {
            let is_own = row.len() == 3;
            let start = row.lines().next().unwrap_or_default();
            let answer = peer.answer(start.starts_with("HEAD "))?;
            if is_own {
                check(&format!("{answer:?}"), answer.start[1] == *row)?;
                continue;
            }
            let body = String::from_utf8_lossy(&answer.body);
            let mine = start.starts_with("HEAD ") || body.starts_with(&format!("{start} "));
            check(&format!("{row:?} got {answer:?}"), mine && answer.start[1] == "200")?;
            views.push(in_order(row));
        }
        Ok(views)
    }

    /// The request behind the row gets its own answer.
    fn after(&self, peer: &mut Peer) -> Verdict<String> {
        if self.pace != Pace::WithAnother {
            check("the connection does not go on", peer.try_send(AFTER).is_ok())?;
        }
        let answer = peer.answer(false)?;
        let body = String::from_utf8_lossy(&answer.body);
        check(&format!("behind it came {answer:?}"), body == shown("GET", "/after", 0))?;
        Ok("GET /after\nhost: t".to_owned())
    }

    /// Nothing came, or a beginning if the body was not there with the head.
    fn origin_saw_nothing(&self, heard_before: &[u64]) -> Verdict {
        let heard = self.heard();
        let in_parts = self.pace == Pace::ByteByByte || self.row.sent.len() > LONG;
        if matches!(self.row.fate, Fate::RefusedInBody(_)) && in_parts {
            for index in 0..heard.len() {
                if heard.get(index) != heard_before.get(index) {
                    self.origin.await_end(index);
                }
            }
            return Ok(());
        }
        let before = heard_before.iter().sum::<u64>();
        let bytes = heard.iter().sum::<u64>() - before;
        check(&format!("the origin heard {bytes} bytes"), heard == heard_before)
    }

    /// How many bytes came on each of the origin's connections.
    fn heard(&self) -> Vec<u64> {
        (0..self.origin.connections()).map(|index| self.origin.heard(index).total).collect()
    }
}

fn refusal(answer: &Message, status: u16) -> Verdict {
    check(&format!("{answer:?}"), answer.start[1] == status.to_string())?;
    check("a refusal without Connection: close", answer.lists("connection", "close"))
}

fn run_responses(tier: Tier, pace: Pace) {
    let rows = responses();
    let origin = Recorder::scripted(move |conn, request| {
        let Ok(index) = request.start[1][1..].parse::<usize>() else {
            return conn.send(ok("after"));
        };
        let row: &ResponseRow = &rows[index];
        match pace {
            Pace::ByteByByte => row.sent.iter().try_for_each(|byte| conn.send([*byte]))?,
            _ => conn.send(&row.sent)?,
        }
        if row.closes { Err(End::Closed) } else { Ok(()) }
    });
    let proxy = Proxy::before(tier, &origin);
    let mut run = ResponseRun { origin: &origin, proxy: &proxy, pace, peer: None };
    let mut faults = Vec::new();
    for (index, row) in responses().iter().enumerate() {
        if let Err(fault) = run.check(index, row) {
            faults.push(format!("{} {}: {fault}", row.section, row.name));
            run.peer = None;
        }
    }
    faults.extend(origin.flaws());
    assert!(faults.is_empty(), "{pace:?}\n{}", faults.join("\n"));
}

/// The rows of responses, one after the other on one connection where it lasts.
struct ResponseRun<'a> {
    origin: &'a Recorder,
    proxy: &'a Proxy,
    pace: Pace,
    peer: Option<Peer>,
}

impl ResponseRun<'_> {
    fn check(&mut self, index: usize, row: &ResponseRow) -> Verdict {
        let mut peer = self.peer.take().unwrap_or_else(|| Peer::of(self.proxy.client()));
        let to_head = row.to == Asked::Head;
        let sent = peer.try_send(request_for(index, row.to));
        check("the connection did not go on", sent.is_ok())?;
        let whole = peer.answers(to_head);
        let goes_on = self.judge(row, whole, &mut peer)?;
        let connection = self.origin.recorded().last().map(|last| last.0).ok_or("not asked")?;
        let stays = matches!(row.outcome, Outcome::Got(_));
        // What comes behind an answer, and later than it, could be the next one's.
        if !stays && !row.closes && self.pace == Pace::ByteByByte {
            self.origin.await_end(connection);
        }
        if !goes_on {
            peer.closes()?;
            peer = Peer::of(self.proxy.client());
        }
        let sent = peer.try_send(AFTER);
        check("the connection does not go on", sent.is_ok())?;
        let after = peer.answer(false)?;
        check(&format!("behind it came {after:?}"), after.body == b"after")?;
        let next = self.origin.recorded().last().map(|last| last.0);
        check("the wrong connection went on", (next == Some(connection)) == stays)?;
        if !stays && !row.closes {
            self.origin.await_end(connection);
        }
        self.peer = Some(peer);
        Ok(())
    }

    /// Compares what came; whether the client's connection goes on.
    fn judge(
        &self,
        row: &ResponseRow,
        whole: Verdict<Vec<Message>>,
        peer: &mut Peer,
    ) -> Verdict<bool> {
        let broke_off =
            |text: &str| text.starts_with("Some(Closed)") || text.starts_with("Some(Reset)");
        let answers = match (row.outcome, whole) {
            (Outcome::BrokenOff, Err(text)) if broke_off(&text) => {
                check(&text, text.contains("HTTP/1.1 200"))?;
                peer.forget();
                return Ok(false);
            }
            (Outcome::BadInBody, Err(text))
                if broke_off(&text) && self.pace == Pace::ByteByByte =>
            {
                peer.forget();
                return Ok(false);
            }
            (_, whole) => whole?,
        };
        let texts: Vec<_> = answers.iter().map(response_as_text).collect();
        let status = answers.last().map(|answer| answer.start[1].as_str());
        match row.outcome {
            Outcome::Bad | Outcome::BadInBody => {
                check(&format!("{texts:?}"), status == Some("502"))?;
            }
            Outcome::BrokenOff => return Err(format!("it did not break off: {texts:?}")),
            Outcome::Got(expected) | Outcome::GotLast(expected) => {
                let expected: Vec<_> = expected.iter().map(|text| in_order(text)).collect();
                check(&format!("got {texts:?}, expected {expected:?}"), texts == expected)?;
            }
        }
        Ok(!answers.last().is_some_and(|answer| answer.lists("connection", "close")))
    }
}

fn request_for(index: usize, asked: Asked) -> String {
    match asked {
        Asked::Get => format!("GET /{index} HTTP/1.1\r\nHost: t\r\n\r\n"),
        Asked::Head => format!("HEAD /{index} HTTP/1.1\r\nHost: t\r\n\r\n"),
        Asked::Old => format!("GET /{index} HTTP/1.0\r\nHost: t\r\nConnection: keep-alive\r\n\r\n"),
        Asked::Post => format!("POST /{index} HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi"),
        Asked::Upgrade => format!(
            "GET /{index} HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        ),
    }
}
