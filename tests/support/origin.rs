//! Origin servers that follow a script on each connection and remember what they heard.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use socket2::Socket;

use super::message::{Fields, Head, Request};
use super::wire::{Address, End, Framing, Tap, Wire};
use super::{PATIENCE, lock};

/// What a script gives when its connection ended before it was through.
pub type Script = Result<(), End>;

/// At most this much of what a connection received is kept, bytes.
const HEARD_MAX: usize = 1 << 20;

/// A server. It accepts until it is stopped or dropped.
pub struct Origin {
    address: Address,
    listener: Socket,
    shared: Arc<Shared>,
    /// Holds a Unix socket's path.
    _dir: Option<tempfile::TempDir>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    connections: Vec<Heard>,
    /// In order of arrival over all connections.
    requests: Vec<Request>,
    /// A handle to each connection that its script still holds.
    live: Vec<Option<Socket>>,
    /// Panics of scripts.
    faults: Vec<String>,
    stopped: bool,
}

/// What one connection received.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// The bytes as they stood on the wire, at most the first MiB.
    pub bytes: Vec<u8>,
    /// How many bytes there were.
    pub total: u64,
    /// Heads received, of requests that were whole or not.
    pub heads: Vec<Head>,
    /// The first end that a read or write of the origin met.
    pub end: Option<End>,
    /// Whether the script is through and the origin has closed the connection.
    pub over: bool,
}

/// An accepted connection, in the hands of a script.
pub struct Conn {
    wire: Wire,
    /// Index of this connection, from 0.
    pub index: usize,
    shared: Arc<Shared>,
}

impl Origin {
    /// Listens on a port of 127.0.0.1 and runs `script` on each connection in a thread of its own.
    pub fn scripted(script: impl Fn(&mut Conn) -> Script + Send + Sync + 'static) -> Origin {
        Origin::at(&Address::any(), script)
    }

    /// Answers each request with the bytes that `answer` gives; keeps connections open unless the
    /// response says `Connection: close` or ends with the connection.
    pub fn answering(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Origin {
        Origin::scripted(answers(answer))
    }

    /// Answers each request with these bytes.
    pub fn saying(bytes: impl AsRef<[u8]>) -> Origin {
        let bytes = bytes.as_ref().to_vec();
        Origin::answering(move |_| bytes.clone())
    }

    /// Answers each request with its own name.
    pub fn named(name: &str) -> Origin {
        Origin::saying(super::ok(name))
    }

    /// Listens on a Unix socket.
    pub fn unix(script: impl Fn(&mut Conn) -> Script + Send + Sync + 'static) -> Origin {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut origin = Origin::at(&Address::Unix(dir.path().join("origin.sock")), script);
        origin._dir = Some(dir);
        origin
    }

    /// Listens on this address.
    #[track_caller]
    pub fn at(
        address: &Address,
        script: impl Fn(&mut Conn) -> Script + Send + Sync + 'static,
    ) -> Origin {
        let (listener, bind_to) = address.socket();
        if let Address::Tcp(_) = address {
            listener.set_reuse_address(true).expect("SO_REUSEADDR");
        }
        listener.bind(&bind_to).unwrap_or_else(|error| panic!("cannot bind {address}: {error}"));
        Origin::on(listener, script)
    }

    /// Listens on this socket, which is bound.
    pub fn on(
        listener: Socket,
        script: impl Fn(&mut Conn) -> Script + Send + Sync + 'static,
    ) -> Origin {
        listener.listen(1024).expect("a listening socket");
        let address = Address::bound(&listener);
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let accepting = listener.try_clone().expect("a second handle");
        let (for_thread, script) = (shared.clone(), Arc::new(script));
        thread::spawn(move || {
            while let Ok((socket, _)) = accepting.accept() {
                let Some(conn) = Conn::register(socket, &for_thread) else { return };
                let script = script.clone();
                thread::spawn(move || conn.run(&*script));
            }
        });
        Origin { address, listener, shared, _dir: None }
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// This origin as an entry of `servers`.
    pub fn server(&self) -> String {
        format!("{:?}", self.address.to_string())
    }

    /// This origin as an entry of `servers`, with more settings: `weight = 2`.
    pub fn server_with(&self, settings: &str) -> String {
        format!("{{ address = {}, {settings} }}", self.server())
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.state().connections.len()
    }

    /// How many connections are still open here.
    pub fn open_connections(&self) -> usize {
        self.state().connections.iter().filter(|heard| !heard.over).count()
    }

    /// What the connection of this index received so far.
    #[track_caller]
    pub fn heard(&self, index: usize) -> Heard {
        self.state().connections[index].clone()
    }

    /// Everything received so far, connection by connection.
    pub fn bytes(&self) -> Vec<u8> {
        self.state().connections.iter().flat_map(|heard| heard.bytes.clone()).collect()
    }

    /// The whole requests received so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// The first request.
    #[track_caller]
    pub fn request(&self) -> Request {
        self.await_requests(1).remove(0)
    }

    /// Waits until so many requests have come.
    #[track_caller]
    pub fn await_requests(&self, count: usize) -> Vec<Request> {
        self.wait(&format!("{count} requests"), |state| state.requests.len() >= count)
            .requests
            .clone()
    }

    /// Waits until so many connections have come.
    #[track_caller]
    pub fn await_connections(&self, count: usize) {
        drop(self.wait(&format!("{count} connections"), |state| state.connections.len() >= count));
    }

    /// Waits for the head of a request, whole or not, on the connection of this index.
    #[track_caller]
    pub fn await_head(&self, index: usize) -> Head {
        let come =
            |state: &State| state.connections.get(index).is_some_and(|c| !c.heads.is_empty());
        self.wait("a head", come).connections[index].heads[0].clone()
    }

    /// Waits until the other side ends the connection of this index; the script must be reading
    /// or writing.
    #[track_caller]
    pub fn await_end(&self, index: usize) -> End {
        let ended = |state: &State| state.connections.get(index).is_some_and(|c| c.end.is_some());
        self.wait("the end of a connection", ended).connections[index].end.clone().expect("an end")
    }

    /// Waits until every connection is closed.
    #[track_caller]
    pub fn await_all_over(&self) {
        drop(self.wait("all connections closed", |state| state.connections.iter().all(|c| c.over)));
    }

    /// Stops listening, and ends all connections.
    pub fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        let _ = self.listener.shutdown(std::net::Shutdown::Both); // Wakes the accepting thread.
        for socket in state.live.iter().flatten() {
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Stops everything and frees the address for another origin.
    pub fn gone(self) -> Address {
        let address = self.address.clone();
        drop(self);
        address
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }

    #[track_caller]
    fn wait(&self, what: &str, condition: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state();
        while !condition(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "origin {}: waited in vain for {what}", self.address);
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop();
        let faults = std::mem::take(&mut self.state().faults);
        if !faults.is_empty() && !thread::panicking() {
            panic!("origin {}: {}", self.address, faults.join("; "));
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Keeps what one connection receives.
struct Ear {
    index: usize,
    shared: Arc<Shared>,
}

impl Tap for Ear {
    fn heard(&self, bytes: &[u8]) {
        let mut state = self.shared.lock();
        let heard = &mut state.connections[self.index];
        let room = HEARD_MAX - heard.bytes.len();
        heard.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        heard.total += bytes.len() as u64;
    }

    fn ended(&self, end: &End) {
        let mut state = self.shared.lock();
        state.connections[self.index].end.get_or_insert_with(|| end.clone());
        self.shared.changed.notify_all();
    }
}

impl Deref for Conn {
    type Target = Wire;

    fn deref(&self) -> &Wire {
        &self.wire
    }
}

impl DerefMut for Conn {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }
}

impl Conn {
    fn register(socket: Socket, shared: &Arc<Shared>) -> Option<Conn> {
        let mut state = shared.lock();
        if state.stopped {
            return None;
        }
        let index = state.connections.len();
        state.connections.push(Heard::default());
        state.live.push(socket.try_clone().ok());
        shared.changed.notify_all();
        let ear = Arc::new(Ear { index, shared: shared.clone() });
        Some(Conn { wire: Wire::new(socket, Some(ear)), index, shared: shared.clone() })
    }

    fn run(mut self, script: &dyn Fn(&mut Conn) -> Script) {
        let fault = catch_unwind(AssertUnwindSafe(|| {
            // An end that the script did not handle is recorded by the ear already.
            let _ = script(&mut self);
        }));
        let Conn { wire, index, shared } = self;
        shared.lock().live[index] = None; // The last other handle: the drop below closes.
        drop(wire);
        let mut state = shared.lock();
        state.connections[index].over = true;
        if let Err(panic) = fault
            && !state.stopped
        {
            let text = panic.downcast_ref::<String>().cloned();
            state.faults.push(text.unwrap_or_else(|| "the script panicked".to_owned()));
        }
        shared.changed.notify_all();
    }

    /// Reads the next head of a request.
    pub fn request_head(&mut self) -> Result<Head, End> {
        let head = self.wire.head()?;
        self.shared.lock().connections[self.index].heads.push(head.clone());
        self.shared.changed.notify_all();
        Ok(head)
    }

    /// Reads the body that belongs to `head`, and counts the request as received.
    pub fn request_body(&mut self, head: Head) -> Result<Request, End> {
        let framing = head.request_framing();
        let mut body = Vec::new();
        let trailers = self.wire.body(framing, &mut |bytes| body.extend_from_slice(bytes))?;
        Ok(self.received(head, framing, body, trailers))
    }

    /// Reads the body that belongs to `head` piece by piece, and counts the request as received
    /// without its body.
    pub fn stream_body(&mut self, head: Head, sink: &mut dyn FnMut(&[u8])) -> Result<Request, End> {
        let framing = head.request_framing();
        let trailers = self.wire.body(framing, sink)?;
        Ok(self.received(head, framing, Vec::new(), trailers))
    }

    /// Reads the next request.
    pub fn request(&mut self) -> Result<Request, End> {
        let head = self.request_head()?;
        self.request_body(head)
    }

    /// Reads until the other side ends the connection.
    pub fn await_end(&mut self) -> Script {
        Err(self.wire.rest().1)
    }

    /// Makes the end of this connection a reset.
    pub fn reset(&mut self) -> Script {
        self.wire.reset_on_close();
        Err(End::Reset)
    }

    fn received(&self, head: Head, framing: Framing, body: Vec<u8>, trailers: Fields) -> Request {
        let request = Request {
            connection: self.index,
            method: head.word(0).to_owned(),
            target: head.word(1).to_owned(),
            version: head.word(2).to_owned(),
            fields: head.fields,
            framing,
            body,
            trailers,
        };
        self.shared.lock().requests.push(request.clone());
        self.shared.changed.notify_all();
        request
    }
}

/// The script of an origin that answers each request with the bytes `answer` gives.
pub fn answers(
    answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static,
) -> impl Fn(&mut Conn) -> Script + Send + Sync + 'static {
    move |conn| loop {
        let request = conn.request()?;
        let bytes = answer(&request);
        conn.send(&bytes)?;
        if ends_with_connection(&bytes) {
            return Ok(());
        }
    }
}

/// Whether a response says that its connection closes, or shows its end in no other way.
fn ends_with_connection(response: &[u8]) -> bool {
    let head = response.split(|&byte| byte == b'\n').take_while(|line| line.len() > 1);
    let head = head.map(|line| String::from_utf8_lossy(line).to_lowercase()).collect::<String>();
    let framed = ["content-length:", "transfer-encoding:", " 204", " 304"];
    head.contains("connection: close") || !framed.iter().any(|mark| head.contains(mark))
}

/// Holds a script back until the test opens it.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// A gate that is shut.
    pub fn shut() -> Gate {
        Gate::default()
    }

    /// Lets everyone through, for good.
    pub fn open(&self) {
        *lock(&self.0.0) = true;
        self.0.1.notify_all();
    }

    /// Waits until the gate is open, at most [`PATIENCE`].
    pub fn wait(&self) {
        let shut = lock(&self.0.0);
        let _ = self
            .0
            .1
            .wait_timeout_while(shut, PATIENCE, |open| !*open)
            .unwrap_or_else(PoisonError::into_inner);
    }
}
