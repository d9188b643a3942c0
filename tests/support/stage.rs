//! A table of faults, row by row before one proxy: what the client gets, what the origin saw, and
//! that nothing is left of it.

use super::client::Client;
use super::origin::{Conn, Origin, Script};
use super::proxy::{Config, Proxy};
use super::usage::Usage;
use super::wire::End;
use super::{Tier, comes_true, ms};

/// A response as a client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It came whole.
    Whole(u16),
    /// It broke off in its body.
    Broken(u16),
}

/// What becomes of the client's connection after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The proxy ends it in an orderly way.
    Closed,
    /// The proxy resets it: the only way to say that what ends with the connection is not whole.
    Reset,
    /// The proxy ends it, one way or the other.
    Over,
    /// It serves the next request, or still carries bytes both ways.
    Stays,
    /// The client has left before.
    Left,
}

/// What an origin received over all its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saw {
    /// Heads of requests.
    pub heads: usize,
    /// Whole requests.
    pub requests: usize,
}

/// What is right for one row.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The responses that the client gets.
    pub answers: &'static [Answer],
    /// And then.
    pub then: Then,
    /// What the origin receives.
    pub saw: Saw,
    /// Connections to the origin that are kept for the next request.
    pub kept: u64,
}

/// Every time limit of the proxy: long enough for a busy machine, short enough for many rows.
const LIMIT: &str = "500ms";
/// Bodies from here on are spliced.
const THRESHOLD: &str = "16KiB";

/// One proxy before the origins of a whole table.
pub struct Stage {
    proxy: Proxy,
    origins: Vec<Origin>,
    /// What the proxy held before the first row.
    before: Usage,
    /// Connections that the rows so far have left in the pools.
    kept: u64,
}

impl Stage {
    /// Each origin is the only server below `/0`, `/1` and so on.
    #[track_caller]
    pub fn new(tier: Tier, origins: Vec<Origin>) -> Stage {
        let servers: Vec<_> = origins.iter().map(Origin::server).collect();
        Stage::before(tier, origins, &servers, "")
    }

    /// The same with a server in place of each origin, or the origin as an entry with more
    /// settings, and more settings of each upstream.
    #[track_caller]
    pub fn before(tier: Tier, origins: Vec<Origin>, servers: &[String], more: &str) -> Stage {
        let names = ["header", "keepalive", "connect", "response", "body_idle", "tunnel_idle"];
        let limits = names.map(|name| format!("{name} = \"{LIMIT}\"\n")).concat();
        let mut config = Config::new(tier)
            .toml(&format!("[timeouts]\n{limits}half_closed = \"{LIMIT}\""))
            .toml(&format!("[splice]\nthreshold = \"{THRESHOLD}\""))
            .route("path = \"/alive\"\nrespond = { status = 200, body = \"alive\" }");
        for (index, server) in servers.iter().enumerate() {
            let name = index.to_string();
            // What a row leaves in the pool stays there until its origin closes it.
            let settings = format!("pool = {{ max_idle = 4, idle_timeout = \"10m\" }}\n{more}");
            config = config
                .upstream(&name, std::slice::from_ref(server), &settings)
                .route(&format!("path = \"/{index}\"\nupstream = {name:?}"));
        }
        let proxy = config.start();
        let before = proxy.usage();
        Stage { proxy, origins, before, kept: 0 }
    }

    /// A client that takes little unasked.
    pub fn client(&self) -> Client {
        Client::connect_with_buffer(64 << 10, &self.proxy.address())
    }

    /// The origin of this row.
    pub fn origin(&self, index: usize) -> &Origin {
        &self.origins[index]
    }

    /// What the proxy holds now.
    pub fn usage(&self) -> Usage {
        self.proxy.usage()
    }

    /// Reads the responses that a row expects, and what follows them; `so_far` is what its client
    /// read already, and `stays` tells whether the connection is good for more.
    pub fn watch(
        &self,
        client: Option<Client>,
        mut so_far: Vec<Answer>,
        expected: &Expected,
        stays: impl FnOnce(&mut Client) -> bool,
    ) -> (Vec<Answer>, Then) {
        let Some(mut client) = client else { return (so_far, Then::Left) };
        while so_far.len() < expected.answers.len() {
            match client.try_response() {
                Ok(response) => match response.broken {
                    None => so_far.push(Answer::Whole(response.status)),
                    Some(end) => {
                        so_far.push(Answer::Broken(response.status));
                        return (so_far, Stage::end_as(&end, expected.then));
                    }
                },
                Err(end) => return (so_far, Stage::end_as(&end, expected.then)),
            }
        }
        // A response that was to break off and did not.
        if expected.answers.last().is_some_and(|last| matches!(last, Answer::Broken(_))) {
            return (so_far, Then::Stays);
        }
        if expected.then == Then::Stays {
            let then = if stays(&mut client) { Then::Stays } else { Then::Over };
            return (so_far, then);
        }
        let (bytes, end) = client.rest();
        assert!(bytes.is_empty(), "unasked: {:?}", String::from_utf8_lossy(&bytes));
        (so_far, Stage::end_as(&end, expected.then))
    }

    /// Whether a connection carries another request, and whose answer that gets.
    pub fn carries_on(client: &mut Client) -> bool {
        let asked = client.try_send("GET /alive HTTP/1.1\r\nHost: test\r\n\r\n");
        asked.is_ok() && client.try_response().is_ok_and(|response| response.body == b"alive")
    }

    /// The end of a connection, as precise as `wanted` is.
    pub fn end_as(end: &End, wanted: Then) -> Then {
        match end {
            End::Closed | End::Reset if wanted == Then::Over => Then::Over,
            End::Closed => Then::Closed,
            End::Reset => Then::Reset,
            End::Silent | End::Malformed(_) => Then::Stays,
        }
    }

    /// Checks a row that has been played, its client having left: what the client got, what the
    /// origin saw, and that all has been given back.
    #[track_caller]
    pub fn check(
        &mut self,
        index: usize,
        row: &str,
        got: (Vec<Answer>, Then),
        expected: &Expected,
    ) -> Result<(), String> {
        let mut wrong = Vec::new();
        if got.0 != expected.answers || got.1 != expected.then {
            let right = (expected.answers, expected.then);
            wrong.push(format!("the client got {got:?}, not {right:?}"));
        }
        let origin = &self.origins[index];
        let open = expected.kept as usize;
        let settled = settles(|| origin.open_connections() == open);
        if !settled {
            let now = origin.open_connections();
            wrong.push(format!("{now} connections to the origin are open, not {open}"));
        }
        settles(|| seen_by(origin) == expected.saw);
        let mut usage = self.proxy.usage();
        if !settles(|| {
            usage = self.proxy.usage();
            usage.excess(&self.before, self.kept + expected.kept).is_empty()
        }) {
            let kept = self.kept + expected.kept;
            wrong.push(format!("left, {kept} idle: {:?}", usage.excess(&self.before, kept)));
        }
        // By now, whatever was too much would have come too.
        let saw = seen_by(origin);
        if saw != expected.saw {
            wrong.push(format!("the origin saw {saw:?}, not {:?}", expected.saw));
        }
        // Whatever it is by now is what the next row begins with.
        self.kept = usage.of("idle connections to servers");
        if wrong.is_empty() { Ok(()) } else { Err(format!("{row}: {}", wrong.join("; "))) }
    }

    /// All rows are through: with the origins' ends the pools are emptied too.
    #[track_caller]
    pub fn finish(self, wrong: &[String]) {
        self.origins.iter().for_each(Origin::stop);
        let mut usage = self.proxy.usage();
        let empty = settles(|| {
            usage = self.proxy.usage();
            usage.excess(&self.before, 0).is_empty()
        });
        assert!(wrong.is_empty(), "{} rows:\n  {}", wrong.len(), wrong.join("\n  "));
        assert!(empty, "left in the end: {:?}", usage.excess(&self.before, 0));
    }
}

fn seen_by(origin: &Origin) -> Saw {
    let heard = (0..origin.connections()).map(|index| origin.heard(index));
    let heads = heard.map(|heard| heard.heads.len()).sum();
    Saw { heads, requests: origin.requests().len() }
}

/// Whether it comes true in ten times what any limit of the proxy is.
fn settles(condition: impl FnMut() -> bool) -> bool {
    comes_true(ms(5_000), condition)
}

/// The end of a script whose connection the proxy may keep: reads until the proxy ends it.
pub fn stay(conn: &mut Conn) -> Script {
    conn.patience(ms(120_000));
    conn.await_end()
}
