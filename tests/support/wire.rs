//! Bytes to and from a peer, and how the peer's side ended.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::PATIENCE;
use super::message::{Fields, Head};

/// Where a proxy or an origin listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A Unix stream socket.
    Unix(PathBuf),
}

impl Address {
    /// `127.0.0.1`, any free port.
    pub fn any() -> Address {
        Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// The port of a TCP address.
    pub fn port(&self) -> u16 {
        self.tcp().port()
    }

    /// The TCP address.
    pub fn tcp(&self) -> SocketAddr {
        match self {
            Address::Tcp(address) => *address,
            Address::Unix(path) => panic!("unix:{} is no TCP address", path.display()),
        }
    }

    /// A new socket of the right kind, and the address as socket calls take it.
    pub fn socket(&self) -> (Socket, SockAddr) {
        let (domain, address) = match self {
            Address::Tcp(address) => (Domain::for_address(*address), SockAddr::from(*address)),
            Address::Unix(path) => (Domain::UNIX, SockAddr::unix(path).expect("a short path")),
        };
        (Socket::new(domain, Type::STREAM, None).expect("a socket"), address)
    }

    /// The address that `socket` is bound to.
    pub fn bound(socket: &Socket) -> Address {
        let address = socket.local_addr().expect("a bound socket");
        match address.as_socket() {
            Some(tcp) => Address::Tcp(tcp),
            None => Address::Unix(address.as_pathname().expect("a path").to_owned()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => write!(f, "{address}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        match text.strip_prefix("unix:") {
            Some(path) => Ok(Address::Unix(path.into())),
            None => text.parse().map(Address::Tcp).map_err(|_| format!("{text:?} is no address")),
        }
    }
}

/// Why there is nothing more to read, or no way to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed its side in an orderly way.
    Closed,
    /// The peer reset the connection.
    Reset,
    /// Nothing moved for as long as the wire waits.
    Silent,
    /// The peer sent something that is not HTTP/1.1.
    Malformed(String),
}

impl End {
    /// Whether the connection is over, one way or the other.
    pub fn is_over(&self) -> bool {
        matches!(self, End::Closed | End::Reset)
    }
}

/// How the length of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Everything until the peer closes.
    UntilClosed,
}

/// Hears every byte that a wire reads, and its end.
pub trait Tap: Send + Sync {
    /// The wire read these bytes.
    fn heard(&self, bytes: &[u8]);
    /// The wire met its end.
    fn ended(&self, end: &End);
}

/// One connection: buffered reads of what HTTP/1.1 is made of, plain writes.
pub struct Wire {
    socket: Socket,
    buffer: Vec<u8>,
    /// Read position: `buffer[start..]` is unread.
    start: usize,
    tap: Option<Arc<dyn Tap>>,
}

/// Read at most this much at once, bytes.
const READ_SIZE: usize = 64 << 10;

impl Wire {
    /// Takes a connected socket.
    pub fn new(socket: Socket, tap: Option<Arc<dyn Tap>>) -> Wire {
        let _ = socket.set_tcp_nodelay(true); // Unix sockets have no such option.
        socket.set_write_timeout(Some(PATIENCE)).expect("a write timeout");
        socket.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        Wire { socket, buffer: Vec::new(), start: 0, tap }
    }

    /// The socket itself.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// How long a read waits.
    pub fn patience(&mut self, patience: Duration) {
        self.socket.set_read_timeout(Some(patience)).expect("a read timeout");
    }

    /// Writes everything.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), End> {
        self.socket.write_all(bytes.as_ref()).map_err(|error| self.end(end_of(&error)))
    }

    /// Says that nothing more will be sent; reading goes on.
    pub fn half_close(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Write); // The peer may be gone already.
    }

    /// Makes the close of this wire, whenever it comes, a reset.
    pub fn reset_on_close(&self) {
        self.socket.set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    }

    /// The bytes that were read from the socket and not used yet.
    pub fn unread(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Reads some more bytes into the buffer.
    pub fn fill(&mut self) -> Result<(), End> {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
        let old = self.buffer.len();
        self.buffer.resize(old + READ_SIZE, 0);
        let result = self.socket.read(&mut self.buffer[old..]);
        self.buffer.truncate(old + *result.as_ref().unwrap_or(&0));
        match result {
            Ok(0) => Err(self.end(End::Closed)),
            Ok(_) => {
                if let Some(tap) = &self.tap {
                    tap.heard(&self.buffer[old..]);
                }
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => self.fill(),
            Err(error) => Err(self.end(end_of(&error))),
        }
    }

    /// Some bytes, at most `max`, at least one.
    pub fn some(&mut self, max: usize) -> Result<Vec<u8>, End> {
        if self.unread().is_empty() {
            self.fill()?;
        }
        let count = self.unread().len().min(max);
        self.start += count;
        Ok(self.buffer[self.start - count..self.start].to_vec())
    }

    /// One line, without its CRLF.
    pub fn line(&mut self) -> Result<Vec<u8>, End> {
        let mut searched = 0;
        loop {
            match find(&self.unread()[searched..], b"\n") {
                Some(at) => {
                    let line = self.unread()[..searched + at].to_vec();
                    self.start += line.len() + 1;
                    let Some(line) = line.strip_suffix(b"\r") else {
                        return Err(self.malformed("bare LF", &line));
                    };
                    return Ok(line.to_vec());
                }
                None => {
                    searched = self.unread().len();
                    self.fill()?;
                }
            }
        }
    }

    /// Fields up to and with the empty line that ends them.
    pub fn fields(&mut self) -> Result<Fields, End> {
        let mut fields = Fields::default();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            fields.push_line(&line).ok_or_else(|| self.malformed("not a field", &line))?;
        }
    }

    /// A start line and fields.
    pub fn head(&mut self) -> Result<Head, End> {
        let start = self.line()?;
        let start = start.iter().map(|&byte| char::from(byte)).collect();
        Ok(Head { start, fields: self.fields()? })
    }

    /// Hands exactly `length` bytes to `sink`.
    pub fn exactly(&mut self, mut length: u64, sink: &mut dyn FnMut(&[u8])) -> Result<(), End> {
        while length > 0 {
            if self.unread().is_empty() {
                self.fill()?;
            }
            let count = self.unread().len().min(usize::try_from(length).unwrap_or(usize::MAX));
            sink(&self.buffer[self.start..self.start + count]);
            self.start += count;
            length -= count as u64;
        }
        Ok(())
    }

    /// Hands a body to `sink`; gives its trailers.
    pub fn body(&mut self, framing: Framing, sink: &mut dyn FnMut(&[u8])) -> Result<Fields, End> {
        match framing {
            Framing::None => Ok(Fields::default()),
            Framing::Length(length) => self.exactly(length, sink).map(|()| Fields::default()),
            Framing::Chunked => self.chunked_body(sink),
            Framing::UntilClosed => loop {
                match self.exactly(1, sink) {
                    Ok(()) => self.exactly(self.unread().len() as u64, sink)?,
                    Err(End::Closed) => return Ok(Fields::default()),
                    Err(end) => return Err(end),
                }
            },
        }
    }

    fn chunked_body(&mut self, sink: &mut dyn FnMut(&[u8])) -> Result<Fields, End> {
        loop {
            let line = self.line()?;
            let digits = line.split(|&byte| byte == b';').next().expect("split gives one");
            let size = std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                .ok_or_else(|| self.malformed("not a chunk size", &line))?;
            if size == 0 {
                return self.fields();
            }
            self.exactly(size, sink)?;
            let line = self.line()?;
            if !line.is_empty() {
                return Err(self.malformed("chunk longer than announced", &line));
            }
        }
    }

    /// Reads until the connection ends; gives what came before, and the end.
    pub fn rest(&mut self) -> (Vec<u8>, End) {
        let mut bytes = self.unread().to_vec();
        self.start = self.buffer.len();
        loop {
            match self.fill() {
                Ok(()) => bytes.extend_from_slice(self.unread()),
                Err(end) => return (bytes, end),
            }
            self.start = self.buffer.len();
        }
    }

    fn end(&self, end: End) -> End {
        if let Some(tap) = &self.tap {
            tap.ended(&end);
        }
        end
    }

    fn malformed(&self, what: &str, line: &[u8]) -> End {
        self.end(End::Malformed(format!("{what}: {:?}", String::from_utf8_lossy(line))))
    }
}

fn end_of(error: &std::io::Error) -> End {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => End::Silent,
        _ => End::Reset,
    }
}

/// Where `needle` first occurs.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
