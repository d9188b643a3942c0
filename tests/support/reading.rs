//! A client that reads answers strictly, and messages as text to compare.

use std::ops::{Deref, DerefMut};

use super::client::Client;
use super::ms;
use super::strict::{self, Message};
use super::wire::End;

/// A client whose answers are read by [`strict`].
pub struct Peer {
    client: Client,
    unread: Vec<u8>,
    end: Option<End>,
}

impl Deref for Peer {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Peer {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Peer {
    /// Reads what comes to `client`, and waits for 5 s at most.
    pub fn of(mut client: Client) -> Peer {
        client.patience(ms(5_000));
        Peer { client, unread: Vec::new(), end: None }
    }

    /// The next response, interim or final.
    pub fn answer(&mut self, to_head: bool) -> Result<Message, String> {
        loop {
            let ended = self.end == Some(End::Closed);
            match strict::response(&self.unread, to_head, ended) {
                Ok(Some(answer)) => {
                    self.unread.drain(..answer.length);
                    return Ok(answer);
                }
                Ok(None) if self.end.is_none() => self.fill(),
                Ok(None) => {
                    let (end, bytes) = (&self.end, self.unread.escape_ascii());
                    return Err(format!("{end:?} after \"{bytes}\""));
                }
                Err(flaw) => return Err(format!("{flaw} in \"{}\"", self.unread.escape_ascii())),
            }
        }
    }

    /// Interim responses and the final one behind them.
    pub fn answers(&mut self, to_head: bool) -> Result<Vec<Message>, String> {
        let mut answers = Vec::new();
        loop {
            let answer = self.answer(to_head)?;
            let is_final = !answer.start[1].starts_with('1');
            answers.push(answer);
            if is_final {
                return Ok(answers);
            }
        }
    }

    /// Whether the connection ends without another byte.
    pub fn closes(&mut self) -> Result<(), String> {
        while self.end.is_none() && self.unread.is_empty() {
            self.fill();
        }
        match &self.end {
            Some(end) if end.is_over() && self.unread.is_empty() => Ok(()),
            end => Err(format!("{end:?} after \"{}\"", self.unread.escape_ascii())),
        }
    }

    /// Whether nothing is left to read, nor will be.
    pub fn is_at_its_end(&self) -> bool {
        self.unread.is_empty() && self.end.as_ref().is_some_and(End::is_over)
    }

    /// Leaves out what came of an answer that broke off.
    pub fn forget(&mut self) {
        self.unread.clear();
    }

    fn fill(&mut self) {
        match self.client.some(1 << 20) {
            Ok(bytes) => self.unread.extend(bytes),
            Err(end) => self.end = Some(end),
        }
    }
}

/// A request as a server sees it, without what the proxy adds to each: the start line without its
/// version, the fields by name, and behind empty lines the payload and the trailers.
pub fn request_as_text(request: &Message) -> String {
    let [method, target, _] = &request.start;
    let host = request.values("host").next().unwrap_or_default();
    let added = |(name, value): &&(String, String)| match name.as_str() {
        "x-forwarded-for" => value == "127.0.0.1",
        "x-forwarded-host" => value == host,
        "x-forwarded-proto" => value == "http",
        "via" => value == "1.1 corelane" || value == "1.0 corelane",
        _ => false,
    };
    as_text(&format!("{method} {target}"), request, |field| !added(field))
}

/// A response as a client sees it, in the same manner.
pub fn response_as_text(response: &Message) -> String {
    let [_, status, reason] = &response.start;
    let added = |(name, value): &&(String, String)| name == "via" && value.ends_with(" corelane");
    as_text(&format!("{status} {reason}"), response, |field| !added(field))
}

/// Text that shows a message, its fields in any order, as the two above show it.
pub fn in_order(text: &str) -> String {
    let (head, rest) = text.split_once("\n\n").map_or((text, None), |(h, r)| (h, Some(r)));
    let mut lines: Vec<_> = head.lines().collect();
    lines[1..].sort_by_key(|line| line.split_once(':').map(|(name, _)| name));
    let head = lines.join("\n");
    rest.map_or(head.clone(), |rest| format!("{head}\n\n{rest}"))
}

fn as_text(start: &str, message: &Message, shown: impl Fn(&&(String, String)) -> bool) -> String {
    let line = |(name, value): &(String, String)| format!("\n{name}: {value}");
    let fields: String = message.fields.iter().filter(shown).map(line).collect();
    let mut text = in_order(&format!("{start}{fields}"));
    if !message.body.is_empty() || !message.trailers.is_empty() {
        text += "\n\n";
        text.extend(message.body.iter().map(|&byte| char::from(byte)));
    }
    if !message.trailers.is_empty() {
        text += "\n";
        text.extend(message.trailers.iter().map(line));
    }
    text
}
