//! Origins named after how they behave.

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

use super::origin::{Conn, Gate, Origin, Script, answers};
use super::wire::{Address, End};
use super::{Pattern, ok};

/// Announces 100 bytes, sends 9 of them and closes.
pub fn origin_closes_mid_body() -> Origin {
    Origin::scripted(|conn| {
        conn.request()?;
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
    })
}

/// Sends a chunk and closes without the last chunk.
pub fn origin_closes_mid_chunks() -> Origin {
    Origin::scripted(|conn| {
        conn.request()?;
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n")
    })
}

/// Sends a head that announces 100 bytes, and resets.
pub fn origin_resets_after_head() -> Origin {
    Origin::scripted(|conn| {
        conn.request()?;
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")?;
        conn.reset()
    })
}

/// Sends part of a head and closes.
pub fn origin_closes_mid_head() -> Origin {
    Origin::scripted(|conn| {
        conn.request()?;
        conn.send("HTTP/1.1 200 OK\r\nContent-Le")
    })
}

/// Reads a request and closes without a byte.
pub fn origin_closes_before_answer() -> Origin {
    Origin::scripted(|conn| conn.request().map(drop))
}

/// Reads a request and resets without a byte.
pub fn origin_resets_before_answer() -> Origin {
    Origin::scripted(|conn| {
        conn.request()?;
        conn.reset()
    })
}

/// Answers one request as if the connection could be used again, and closes it.
pub fn origin_closes_idle_connection() -> Origin {
    Origin::scripted(|conn| {
        conn.request()?;
        conn.send(ok("once"))
    })
}

/// Answers one request on each connection; closes when the next one is there, unanswered.
pub fn origin_closes_on_second_request() -> Origin {
    Origin::scripted(|conn| {
        conn.request()?;
        conn.send(ok("once"))?;
        conn.request().map(drop)
    })
}

/// Reads requests and never answers.
pub fn origin_never_answers() -> Origin {
    Origin::scripted(|conn| {
        conn.request()?;
        conn.await_end()
    })
}

/// Answers once the gate is open.
pub fn origin_waits_for(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::answering(move |_| {
        gate.wait();
        ok("late")
    })
}

/// Answers as soon as it has a request's head, then reads the body.
pub fn origin_early_response() -> Origin {
    Origin::scripted(|conn| {
        loop {
            let head = conn.request_head()?;
            conn.send(super::response(403, &[], "early"))?;
            conn.request_body(head)?;
        }
    })
}

/// Answers as soon as it has a request's head, and closes.
pub fn origin_early_response_then_closes() -> Origin {
    Origin::scripted(|conn| {
        conn.request_head()?;
        conn.send(super::response(413, &[("Connection", "close")], "too much"))?;
        conn.half_close();
        conn.await_end()
    })
}

/// Sends 100 (Continue) before it reads a body, then answers with the body.
pub fn origin_continue() -> Origin {
    Origin::scripted(|conn| {
        loop {
            let head = conn.request_head()?;
            if head.fields.lists("expect", "100-continue") {
                conn.send("HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let request = conn.request_body(head)?;
            conn.send(ok(request.body))?;
        }
    })
}

/// Answers each request with its body.
pub fn origin_echoes() -> Origin {
    Origin::answering(|request| ok(&request.body))
}

/// Answers with `length` bytes of the pattern of seed 1, as fast as they are taken.
pub fn origin_streams(length: u64) -> Origin {
    Origin::scripted(move |conn| {
        loop {
            conn.request()?;
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"))?;
            let (mut pattern, mut left) = (Pattern::new(1), length);
            while left > 0 {
                let piece = left.min(256 << 10);
                conn.send(pattern.take(piece as usize))?;
                left -= piece;
            }
        }
    })
}

/// Switches to another protocol whenever it is asked to, and sends back what it gets.
pub fn origin_upgrades() -> Origin {
    Origin::scripted(|conn| {
        let request = conn.request()?;
        let Some(protocol) = request.field("upgrade") else {
            return conn.send(super::response(426, &[("Connection", "close")], "upgrade"));
        };
        let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ";
        conn.send(format!("{switch}{protocol}\r\n\r\n"))?;
        loop {
            match conn.some(64 << 10) {
                Ok(bytes) => conn.send(bytes)?,
                Err(End::Closed) => return conn.send("bye"),
                Err(end) => return Err(end),
            }
        }
    })
}

/// An address that refuses connections for as long as this lives: bound, never listening.
pub struct Refusing {
    socket: Socket,
}

/// A server that is not there.
pub fn origin_refuses() -> Refusing {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    Refusing { socket }
}

impl Refusing {
    /// This address as an entry of `servers`.
    pub fn server(&self) -> String {
        format!("{:?}", self.address().to_string())
    }

    /// The address.
    pub fn address(&self) -> Address {
        Address::bound(&self.socket)
    }

    /// Listens from now on. The port was never free, so no one else can have taken it.
    pub fn recovers(self, script: impl Fn(&mut Conn) -> Script + Send + Sync + 'static) -> Origin {
        Origin::on(self.socket, script)
    }
}

/// An address that neither accepts nor refuses: its accept queue is full, so the kernel drops
/// every further SYN.
pub struct Unreachable {
    listener: Socket,
    _queued: Vec<Socket>,
}

/// A server whose connections never come about.
pub fn origin_unreachable() -> Unreachable {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    listener.listen(0).expect("a listening socket");
    let address = listener.local_addr().expect("an address");
    let mut queued = Vec::new();
    loop {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let full = socket.connect_timeout(&address, super::ms(100)).is_err();
        queued.push(socket);
        if full {
            return Unreachable { listener, _queued: queued };
        }
    }
}

impl Unreachable {
    /// This address as an entry of `servers`.
    pub fn server(&self) -> String {
        format!("{:?}", Address::bound(&self.listener).to_string())
    }
}

/// Origins on several addresses and the same port, as those of one name have; each says its
/// address.
pub fn origins_on_one_port(hosts: &[&str]) -> Vec<Origin> {
    let bound = |host: &str, port: u16| {
        let address = Address::Tcp(SocketAddr::new(host.parse().expect("an IP address"), port));
        let (socket, at) = address.socket();
        socket.bind(&at).ok()?;
        Some(socket)
    };
    // A port that is free on the first address may be taken on another.
    let attempt = || {
        let first = bound(hosts[0], 0)?;
        let port = Address::bound(&first).port();
        let others = hosts[1..].iter().map(|host| bound(host, port));
        let sockets: Option<Vec<Socket>> = std::iter::once(Some(first)).chain(others).collect();
        sockets
    };
    let sockets = (0..100).find_map(|_| attempt()).expect("a port that is free on all of them");
    let says = |host: &&str| {
        let answer = ok(host);
        answers(move |_| answer.clone())
    };
    let origins = sockets.into_iter().zip(hosts.iter().map(says));
    origins.map(|(socket, script)| Origin::on(socket, script)).collect()
}
