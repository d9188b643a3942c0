//! `corelane demo`: everything on one machine with nothing else installed.

#[macro_use]
mod support;

use std::collections::BTreeSet;
use std::process::Command;

use support::*;

struct Demo {
    process: Proxy,
    address: Address,
}

fn demo(options: &[&str]) -> Demo {
    let mut command = Command::new(binary());
    command.arg("demo").args(options);
    let process = Proxy::spawn(command, None, String::new());
    let line = process.await_stderr("open http://");
    let (_, address) = line.split_once("http://").expect("an address");
    let address = address.split_whitespace().next().expect("an address").parse();
    Demo { process, address: address.expect("an address") }
}

fn any_ports() -> Demo {
    demo(&["--port", "0", "--origin-port", "0"])
}

impl Demo {
    fn client(&self) -> Client {
        Client::connect(&self.address)
    }
}

/// As for curl, each call is a connection of its own; on a machine with many CPUs as with one.
#[test]
fn three_servers_take_turns() {
    let demo = any_ports();
    let answering = |response: Response| response.field("x-origin").expect("a name").to_owned();
    let names: Vec<_> = (0..30).map(|_| answering(demo.client().get("/"))).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 3, "{names:?}");
    let (first, rest) = names.split_at(3);
    assert!(rest.chunks(3).all(|turn| turn == first), "{names:?}");
    demo.process.await_stderr("one shard");
}

#[test]
fn bodies_of_every_framing() {
    let demo = any_ports();
    let mut client = demo.client();
    let fixed = client.get("/bytes/1000000");
    assert_eq!((fixed.body.len(), fixed.framing), (1_000_000, Framing::Length(1_000_000)));
    let streamed = client.get("/chunked/1000000");
    assert_eq!((streamed.body.len(), streamed.framing), (1_000_000, Framing::Chunked));
    let body = Pattern::new(8).take(500_000);
    assert!(client.post("/echo", &body).body == body);
    assert_eq!(client.get("/status/503").status, 503);
}

#[test]
fn a_server_shows_what_it_received() {
    let demo = any_ports();
    let response = demo.client().get("/headers");
    let text = response.text().to_lowercase();
    assert!(text.contains("x-forwarded-for: 127.0.0.1"), "{text}");
    assert!(text.contains("host: test"), "{text}");
}

#[test]
fn a_web_socket_echoes() {
    let demo = any_ports();
    let mut client = demo.client();
    let response = client.request(
        "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(response.status, 101);
    assert_eq!(response.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    // A masked text frame (RFC 6455 §5.7), and its echo, which servers do not mask.
    client.send(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    let mut echo = Vec::new();
    client.exactly(7, &mut |bytes| echo.extend_from_slice(bytes)).expect("a frame");
    assert_eq!(echo, b"\x81\x05Hello");
}

#[test]
fn it_stops_like_the_real_thing() {
    let demo = any_ports();
    assert_eq!(demo.client().get("/").status, 200);
    assert_eq!(demo.process.terminate().status.code(), Some(0));
}

#[test]
fn a_port_in_use_is_said_in_one_sentence() {
    let other = Origin::named("other");
    let mut command = Command::new(binary());
    command.args(["demo", "--origin-port", "0", "--port", &other.address().port().to_string()]);
    let exit = Proxy::spawn(command, None, String::new()).wait();
    assert_eq!(exit.status.code(), Some(1));
    assert!(exit.stderr.contains(&other.address().to_string()), "{}", exit.stderr);
    assert_eq!(exit.stderr.lines().count(), 1, "{}", exit.stderr);
}
