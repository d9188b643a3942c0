//! A client that sends exactly the bytes it is told to.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use super::message::{Response, post};
use super::wire::{Address, End, Framing, Wire};

/// One connection to a proxy.
///
/// What goes wrong fails the test, except in the methods that give an [`End`].
pub struct Client {
    wire: Wire,
}

impl Deref for Client {
    type Target = Wire;

    fn deref(&self) -> &Wire {
        &self.wire
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }
}

impl Client {
    /// Connects.
    #[track_caller]
    pub fn connect(address: &Address) -> Client {
        let (socket, to) = address.socket();
        socket.connect(&to).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        Client { wire: Wire::new(socket, None) }
    }

    /// Connects from an address of its own, such as `127.0.0.7`.
    #[track_caller]
    pub fn connect_from(source: &str, address: &Address) -> Client {
        let source = source.parse().expect("an IP address");
        Client::connect_bound(SocketAddr::new(source, 0), address)
    }

    /// Connects from this address and port; port 0: any.
    #[track_caller]
    pub fn connect_bound(source: SocketAddr, address: &Address) -> Client {
        let (socket, to) = address.socket();
        socket.bind(&source.into()).expect("a local address");
        socket.connect(&to).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        Client { wire: Wire::new(socket, None) }
    }

    /// Connects with a receive buffer of about `size` bytes, so that little is in flight.
    #[track_caller]
    pub fn connect_with_buffer(size: usize, address: &Address) -> Client {
        let (socket, to) = address.socket();
        socket.set_recv_buffer_size(size).expect("SO_RCVBUF");
        socket.connect(&to).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        Client { wire: Wire::new(socket, None) }
    }

    /// Sends these bytes.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire.send(bytes).unwrap_or_else(|end| panic!("cannot send: {end:?}"));
    }

    /// Sends these bytes, or fails without failing the test.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), End> {
        self.wire.send(bytes)
    }

    /// Sends these bytes in pieces of `size`, with a pause after each.
    #[track_caller]
    pub fn send_in_pieces(&mut self, bytes: impl AsRef<[u8]>, size: usize, pause: Duration) {
        for piece in bytes.as_ref().chunks(size) {
            self.send(piece);
            super::pause(pause);
        }
    }

    /// Sends a GET request; gives the response.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        self.request(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"))
    }

    /// Sends a POST request with a `Content-Length`; gives the response.
    #[track_caller]
    pub fn post(&mut self, path: &str, body: impl AsRef<[u8]>) -> Response {
        self.request(post(path, body))
    }

    /// Sends these bytes; gives the response.
    #[track_caller]
    pub fn request(&mut self, bytes: impl AsRef<[u8]>) -> Response {
        let bytes = bytes.as_ref();
        self.send(bytes);
        self.response_to(if bytes.starts_with(b"HEAD ") { "HEAD" } else { "GET" })
    }

    /// The next response, which must come whole.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// The next response, to a request with this method.
    #[track_caller]
    pub fn response_to(&mut self, method: &str) -> Response {
        match self.try_response_to(method) {
            Ok(Response { broken: Some(end), status, body, .. }) => {
                panic!("the {status} response broke off after {} bytes: {end:?}", body.len())
            }
            Ok(response) => response,
            Err(end) => panic!("no response: {end:?}"),
        }
    }

    /// The next response, which may break off; or the end that came in its place.
    pub fn try_response(&mut self) -> Result<Response, End> {
        self.try_response_to("GET")
    }

    /// The same, to a request with this method.
    pub fn try_response_to(&mut self, method: &str) -> Result<Response, End> {
        let mut response = self.response_head(method)?;
        let mut body = Vec::new();
        match self.wire.body(response.framing, &mut |bytes| body.extend_from_slice(bytes)) {
            Ok(trailers) => response.trailers = trailers,
            Err(end) => response.broken = Some(end),
        }
        response.body = body;
        Ok(response)
    }

    /// The next response up to its body, with the interim responses before it.
    pub fn response_head(&mut self, method: &str) -> Result<Response, End> {
        let mut interim = Vec::new();
        loop {
            let head = self.wire.head()?;
            if head.word(1).starts_with('1') && head.word(1) != "101" {
                interim.push(head);
            } else {
                return Ok(Response::from_head(head, interim, method));
            }
        }
    }

    /// Reads a body of this framing and throws it away; gives its length.
    #[track_caller]
    pub fn skip_body(&mut self, framing: Framing) -> u64 {
        let mut length = 0;
        self.wire
            .body(framing, &mut |bytes| length += bytes.len() as u64)
            .unwrap_or_else(|end| panic!("the body broke off after {length} bytes: {end:?}"));
        length
    }

    /// Fails unless the proxy closes without another byte.
    #[track_caller]
    pub fn assert_closed(&mut self) {
        let (bytes, end) = self.wire.rest();
        assert!(bytes.is_empty(), "unasked: {:?}", String::from_utf8_lossy(&bytes));
        assert!(end.is_over(), "the connection is still open");
    }
}
