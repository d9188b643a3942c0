//! An origin that reads strictly and remembers each request as it read it.

use std::ops::Deref;
use std::sync::{Arc, Mutex};

use super::lock;
use super::origin::{Conn, Origin, Script};
use super::strict::{self, Message};
use super::wire::End;

/// An origin whose requests were read by [`strict`].
pub struct Recorder {
    origin: Origin,
    record: Arc<Mutex<Record>>,
}

/// What a [`Recorder`] has read.
#[derive(Clone, Debug, Default)]
struct Record {
    /// Index of its connection, and the request, in the order of arrival.
    requests: Vec<(usize, Message)>,
    /// What no proxy may send, each with the bytes it was found in.
    flaws: Vec<String>,
}

impl Deref for Recorder {
    type Target = Origin;

    fn deref(&self) -> &Origin {
        &self.origin
    }
}

impl Recorder {
    /// Answers each request with the bytes that `answer` gives, and keeps its connections open.
    pub fn answering(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Recorder {
        Recorder::scripted(move |conn, request| conn.send(answer(request)))
    }

    /// Does with each request as `script` says, which may end the connection.
    pub fn scripted(
        script: impl Fn(&mut Conn, &Message) -> Script + Send + Sync + 'static,
    ) -> Recorder {
        let record = Arc::new(Mutex::new(Record::default()));
        let kept = record.clone();
        let origin = Origin::scripted(move |conn| {
            let mut unread = Vec::new();
            loop {
                let request = next(conn, &mut unread, &kept)?;
                script(conn, &request)?;
            }
        });
        Recorder { origin, record }
    }

    /// The requests read so far, in the order of arrival, each with the index of its connection.
    pub fn recorded(&self) -> Vec<(usize, Message)> {
        lock(&self.record).requests.clone()
    }

    /// How many requests were read so far.
    pub fn count(&self) -> usize {
        lock(&self.record).requests.len()
    }

    /// What was wrong with what came, so far.
    pub fn flaws(&self) -> Vec<String> {
        lock(&self.record).flaws.clone()
    }
}

fn next(conn: &mut Conn, unread: &mut Vec<u8>, record: &Mutex<Record>) -> Result<Message, End> {
    loop {
        match strict::request(unread) {
            Ok(Some(request)) => {
                let mut record = lock(record);
                if let Some(flaw) = request.flaw_as_forwarded() {
                    record.flaws.push(flaw);
                }
                record.requests.push((conn.index, request.clone()));
                unread.drain(..request.length);
                return Ok(request);
            }
            Ok(None) => unread.extend(conn.some(1 << 20)?),
            Err(flaw) => {
                let bytes = unread.escape_ascii();
                lock(record).flaws.push(format!("{flaw} in \"{bytes}\""));
                return Err(End::Malformed(flaw));
            }
        }
    }
}
