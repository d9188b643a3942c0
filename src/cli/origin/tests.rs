//! Requests to a server in a thread of its own, over real sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::JoinHandle;
use std::time::Instant;

use super::*;

/// A server in a thread of its own, stopped when dropped.
struct Server {
    address: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Server {
    fn start(name: &'static str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                serve(listener, name.into(), async { drop(stopped.await) }).await
            })
        });
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends a request whose connection ends with it; head and body of the answer.
    fn ask(&self, line: &str, fields: &str, body: &[u8]) -> (String, Vec<u8>) {
        let mut stream = self.connect();
        let head = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase();
        (head, answer[end..].to_vec())
    }

    fn text(&self, line: &str, fields: &str) -> (String, String) {
        let (head, body) = self.ask(line, fields, b"");
        (head, String::from_utf8(body).unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        let served = self.thread.take().unwrap().join().unwrap();
        assert!(served.is_ok() || std::thread::panicking());
    }
}

fn until_head_ends(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn index_names_the_server_in_text_and_html() {
    let server = Server::start("app-1");
    let (head, body) = server.text("GET /", "Accept: */*\r\n");
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(head.contains("content-type: text/plain"), "{head}");
    assert!(body.starts_with(&format!("app-1 on {}\n", server.address)), "{body}");

    let (head, body) = server.text("GET /", "Accept: text/html,*/*;q=0.8\r\n");
    assert!(head.contains("content-type: text/html"), "{head}");
    assert!(body.contains(&format!("<h1>app-1 on {}</h1>", server.address)), "{body}");
    assert!(body.contains("<a href=\"/chunked/1000000\">"), "{body}");
}

#[test]
fn every_answer_names_the_server() {
    let server = Server::start("app-7");
    for line in ["GET /", "GET /nowhere", "POST /headers", "DELETE /", "GET /bytes/x"] {
        let (head, _) = server.text(line, "Content-Length: 0\r\n");
        assert!(head.contains("\r\nx-origin: app-7\r\n"), "{line}: {head}");
    }
}

#[test]
fn bytes_are_counted_and_announced() {
    let server = Server::start("a");
    for count in [0, 1, 65_536, 3_000_001] {
        let (head, body) = server.ask(&format!("GET /bytes/{count}"), "", b"");
        assert!(head.contains(&format!("\r\ncontent-length: {count}\r\n")), "{head}");
        assert_eq!(body.len(), count);
    }
    let (head, body) = server.ask("HEAD /bytes/500", "", b"");
    assert!(head.contains("\r\ncontent-length: 500\r\n"), "{head}");
    assert!(body.is_empty());
    let (head, _) = server.text("GET /bytes/1073741825", "");
    assert!(head.starts_with("http/1.1 400 "), "{head}");
}

#[test]
fn chunked_is_chunked_even_when_empty() {
    let server = Server::start("a");
    let (head, body) = server.text("GET /chunked/70000", "");
    assert!(head.contains("\r\ntransfer-encoding: chunked\r\n"), "{head}");
    assert!(body.starts_with("10000\r\n") && body.ends_with("x\r\n0\r\n\r\n"));
    let (head, body) = server.text("GET /chunked/0", "");
    assert!(head.contains("\r\ntransfer-encoding: chunked\r\n"), "{head}");
    assert_eq!(body, "0\r\n\r\n");
}

#[test]
fn slow_waits_as_long_as_asked() {
    let server = Server::start("a");
    let started = Instant::now();
    let (head, _) = server.text("GET /slow/120", "");
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(started.elapsed() >= Duration::from_millis(120));
    let (head, _) = server.text("GET /slow/60001", "");
    assert!(head.starts_with("http/1.1 400 "), "{head}");
}

#[test]
fn status_is_the_one_asked_for() {
    let server = Server::start("a");
    for (asked, given) in [(200, 200), (204, 204), (418, 418), (503, 503), (100, 400), (7, 400)] {
        let (head, _) = server.text(&format!("GET /status/{asked}"), "");
        assert!(head.starts_with(&format!("http/1.1 {given} ")), "{asked}: {head}");
    }
}

#[test]
fn headers_come_back_as_text() {
    let server = Server::start("a");
    let (_, body) = server.text("GET /headers?q=1", "X-Forwarded-For: 10.0.0.1\r\nVia: 1.1 a\r\n");
    assert!(body.starts_with("GET /headers?q=1 HTTP/1.1\nhost: a\n"), "{body}");
    assert!(body.contains("\nx-forwarded-for: 10.0.0.1\nvia: 1.1 a\n"), "{body}");
}

#[test]
fn echo_keeps_length_and_type() {
    let server = Server::start("a");
    let sent = vec![7; 5000];
    let fields = "Content-Type: image/x-seven\r\nContent-Length: 5000\r\n";
    let (head, body) = server.ask("POST /echo", fields, &sent);
    assert!(head.contains("\r\ncontent-type: image/x-seven\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-length: 5000\r\n"), "{head}");
    assert_eq!(body, sent);
}

#[test]
fn echo_answers_before_the_body_is_whole() {
    let server = Server::start("a");
    let mut stream = server.connect();
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(b"5\r\nfirst\r\n").unwrap();
    let head = until_head_ends(&mut stream).to_lowercase();
    assert!(head.contains("\r\ntransfer-encoding: chunked\r\n"), "{head}");
    let mut chunk = [0; 10];
    stream.read_exact(&mut chunk).unwrap();
    assert_eq!(&chunk, b"5\r\nfirst\r\n");
    stream.write_all(b"0\r\n\r\n").unwrap();
    let mut end = [0; 5];
    stream.read_exact(&mut end).unwrap();
    assert_eq!(&end, b"0\r\n\r\n");
}

#[test]
fn uploads_larger_than_any_default_limit_pass() {
    let server = Server::start("a");
    let sent = vec![b'u'; 5 << 20];
    let fields = format!("Content-Length: {}\r\n", sent.len());
    let (_, body) = server.ask("POST /upload", &fields, &sent);
    assert_eq!(body, b"received 5242880 bytes\n");
}

#[test]
fn web_socket_messages_come_back() {
    let server = Server::start("app-2");
    let mut stream = server.connect();
    let head = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let head = until_head_ends(&mut stream);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    // The answer to this key is the example of RFC 6455, section 1.3.
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    assert!(head.contains("app-2"), "{head}");
    // A masked text frame with a mask of zeros, as clients must mask.
    stream.write_all(b"\x81\x85\0\0\0\0hello").unwrap();
    let mut frame = [0; 7];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(&frame, b"\x81\x05hello");
}

#[test]
fn unknown_paths_are_told_what_there_is() {
    let server = Server::start("a");
    let (head, body) = server.text("GET /nope", "");
    assert!(head.starts_with("http/1.1 404 "), "{head}");
    assert!(body.starts_with("nothing at /nope;"), "{body}");
    assert!(ROUTES.iter().all(|(path, _)| body.contains(path)), "{body}");
}

#[test]
fn a_request_in_flight_outlives_the_shutdown() {
    let mut server = Server::start("a");
    let mut stream = server.connect();
    stream.write_all(b"GET /slow/300 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    drop(server.stop.take());
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("answered after 300 ms\n"), "{answer}");
}
