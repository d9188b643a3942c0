//! A server that can be killed and started again, on the same port.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use socket2::Socket;

use super::lock;
use super::message::{Head, response};
use super::pattern::Rng;
use super::wire::{Address, End, Framing, Wire};

/// How the connections of a killed server end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// By resets, as those of a machine that has started anew.
    Reset,
    /// As the kernel closes those of a process that has died.
    Close,
}

/// A server that answers each request with its method, after a short while. It dies between any
/// two bytes of any connection, but never within an answer.
pub struct Mortal {
    listener: Socket,
    address: Address,
    life: Option<Arc<Life>>,
}

/// From a start to the next death.
#[derive(Default)]
struct Life {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    death: Option<Death>,
    /// A handle to each connection, which a script still serves.
    live: Vec<Option<Socket>>,
}

/// The longest time that the work for an answer takes.
const WORK_MAX_MICROS: u64 = 8_000;

impl Mortal {
    /// Starts on a free port of 127.0.0.1, which it has for as long as it exists.
    pub fn new() -> Mortal {
        let (reserving, any) = Address::any().socket();
        reserving.set_reuse_address(true).expect("SO_REUSEADDR");
        reserving.bind(&any).expect("a port");
        let address = Address::bound(&reserving);
        // Only who has asked for a port by its number keeps it when listening ends.
        let (listener, there) = address.socket();
        listener.set_reuse_address(true).expect("SO_REUSEADDR");
        listener.bind(&there).expect("the same port");
        let mut server = Mortal { listener, address, life: None };
        server.start();
        server
    }

    /// This server as an entry of `servers`.
    pub fn server(&self) -> String {
        format!("{:?}", self.address.to_string())
    }

    /// Whether it runs.
    pub fn is_alive(&self) -> bool {
        self.life.is_some()
    }

    /// Listens, again or for the first time.
    pub fn start(&mut self) {
        let life = Arc::new(Life::default());
        self.life = Some(life.clone());
        self.listener.listen(1024).expect("a listening socket");
        let listener = self.listener.try_clone().expect("a second handle");
        thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                let Some((index, socket)) = life.begin(socket) else { break };
                let life = life.clone();
                thread::spawn(move || life.serve(index, socket));
            }
        });
    }

    /// Refuses connections from now on, and ends those it has.
    pub fn kill(&mut self, death: Death) {
        let Some(life) = self.life.take() else { return };
        let mut state = lock(&life.state);
        state.death = Some(death);
        // A listening socket that is shut down stays bound; who waits for its queue is reset.
        let _ = self.listener.shutdown(std::net::Shutdown::Both);
        for socket in state.live.iter().flatten() {
            // Wakes the reader, and tells the peer nothing yet.
            let _ = socket.shutdown(std::net::Shutdown::Read);
        }
        life.changed.notify_all();
        // The next life begins after the last connection of this one has ended.
        let ended = |state: &mut State| state.live.iter().any(Option::is_some);
        drop(life.changed.wait_while(state, ended));
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.kill(Death::Close);
    }
}

impl Life {
    fn begin(&self, socket: Socket) -> Option<(usize, Socket)> {
        let mut state = lock(&self.state);
        if state.death.is_some() {
            // Accepted in the last moment.
            socket.set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
            return None;
        }
        state.live.push(socket.try_clone().ok());
        Some((state.live.len() - 1, socket))
    }

    fn serve(&self, index: usize, socket: Socket) {
        let (mut wire, mut rng) = (Wire::new(socket, None), Rng::new(index as u64));
        while let Ok(head) = wire.head() {
            let Ok(()) = read_body(&mut wire, &head) else { break };
            if self.dies_within(Duration::from_micros(rng.below(WORK_MAX_MICROS))) {
                break;
            }
            let (method, to_head) = (head.word(0), head.word(0) == "HEAD");
            let mut answer = response(200, &[("X-Method", method)], method);
            answer.truncate(answer.len() - if to_head { method.len() } else { 0 });
            if wire.send(answer).is_err() {
                break;
            }
        }
        let mut state = lock(&self.state);
        if state.death == Some(Death::Reset) {
            wire.reset_on_close();
        }
        state.live[index] = None; // The last other handle: the drop closes.
        drop(wire);
        self.changed.notify_all();
    }

    fn dies_within(&self, time: Duration) -> bool {
        let alive = |state: &mut State| state.death.is_none();
        let state = lock(&self.state);
        let state = self.changed.wait_timeout_while(state, time, alive);
        state.unwrap_or_else(PoisonError::into_inner).0.death.is_some()
    }
}

fn read_body(wire: &mut Wire, head: &Head) -> Result<(), End> {
    match head.request_framing() {
        Framing::None => Ok(()),
        framing => wire.body(framing, &mut |_| ()).map(drop),
    }
}
