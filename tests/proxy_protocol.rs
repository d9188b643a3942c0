//! The PROXY protocol in front of a client's bytes.

#[macro_use]
mod support;

use std::net::Ipv6Addr;

use rustix::process::Signal;
use support::*;

tiered! {
    a_header_names_the_client,
    bytes_may_come_as_they_like,
    a_header_is_for_the_whole_connection,
    the_senders_own_connections_keep_their_address,
    a_peer_that_is_not_trusted_is_turned_away,
    what_is_no_header_ends_the_connection,
    a_header_that_comes_too_late_ends_the_connection,
    somebody_who_only_looks_does_no_harm,
    a_drain_does_not_wait_for_headers,
    an_announced_proxy_is_believed_if_it_is_trusted,
    fields_are_not_believed_where_only_headers_count,
    lists_know_ipv4_in_the_form_of_ipv6,
    a_unix_socket_may_have_headers,
    other_listeners_want_none,
}

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
const V1: &str = "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";

/// A header of version 2.
fn v2(command: u8, kind: u8, addresses: &[u8]) -> Vec<u8> {
    let length = (addresses.len() as u16).to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, kind][..], &length, addresses].concat()
}

fn v2_tcp6(source: &str) -> Vec<u8> {
    let source: Ipv6Addr = source.parse().expect("an address");
    let ends = [&source.octets()[..], &Ipv6Addr::LOCALHOST.octets(), &[0xdc, 4, 1, 0xbb]];
    v2(0x21, 0x21, &ends.concat())
}

fn config(tier: Tier, trusted: &str, origin: &Origin) -> Config {
    let listener = format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = true\n\
         trusted_proxies = {trusted}"
    );
    Config::new(tier).toml(&listener).origin("app", origin)
}

fn behind_proxies(tier: Tier, origin: &Origin) -> Proxy {
    config(tier, "[\"127.0.0.1\"]", origin).start()
}

/// The X-Forwarded-For of a request on a connection that begins with these bytes.
fn client_of(proxy: &Proxy, origin: &Origin, header: &[u8]) -> String {
    let already = origin.requests().len();
    let response = proxy.client().request([header, GET.as_bytes()].concat());
    assert_eq!(response.status, 200);
    let request = origin.await_requests(already + 1).remove(already);
    request.field("x-forwarded-for").expect("a client").to_owned()
}

#[track_caller]
fn await_count(proxy: &Proxy, count: usize) {
    let line = format!("connections without a valid PROXY header: {count}\n");
    wait_until(&line, || {
        proxy.signal(Signal::USR1);
        proxy.stderr().contains(&line)
    });
}

fn a_header_names_the_client(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = behind_proxies(tier, &origin);
    let v4 = [192, 0, 2, 3, 198, 51, 100, 1, 0xdc, 4, 1, 0xbb, 0x04, 0, 1, 0];
    for (header, client) in [
        (V1.as_bytes().to_vec(), "192.0.2.1"),
        (b"PROXY TCP6 2001:db8::2 ::1 1 2\r\n".to_vec(), "2001:db8::2"),
        (v2(0x21, 0x11, &v4), "192.0.2.3"),
        (v2_tcp6("2001:db8::4"), "2001:db8::4"),
        (v2_tcp6("::ffff:192.0.2.5"), "192.0.2.5"),
    ] {
        assert_eq!(client_of(&proxy, &origin, &header), client);
    }
}

fn bytes_may_come_as_they_like(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = behind_proxies(tier, &origin);
    for header in [V1.as_bytes().to_vec(), v2_tcp6("192::2"), v2(0x20, 0, &[7; 5_000])] {
        let bytes = [&header[..], GET.as_bytes(), GET.as_bytes()].concat();
        for size in [bytes.len().div_ceil(60), header.len() - 1, header.len(), bytes.len()] {
            let mut client = proxy.client();
            client.send_in_pieces(&bytes, size, ms(1));
            assert_eq!((client.response().status, client.response().status), (200, 200));
        }
    }
}

fn a_header_is_for_the_whole_connection(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = behind_proxies(tier, &origin);
    let mut client = proxy.client();
    client.send(V1);
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "origin");
    }
    let second = "PROXY TCP4 192.0.2.2 198.51.100.1 56324 443\r\n\r\n";
    assert_eq!(client.request(second).status, 400, "another one is no request");
    let clients = origin.requests().into_iter();
    let mut clients = clients.map(|r| r.field("x-forwarded-for").map(str::to_owned));
    assert!(clients.all(|client| client.as_deref() == Some("192.0.2.1")));
}

fn the_senders_own_connections_keep_their_address(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = behind_proxies(tier, &origin);
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(),
        v2(0x20, 0x00, &[]),
        v2(0x20, 0x11, &[192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2]),
        v2(0x21, 0x00, &[1, 2, 3]),
        v2(0x21, 0x31, &[b'x'; 216]),
    ] {
        assert_eq!(client_of(&proxy, &origin, &header), "127.0.0.1");
    }
}

fn a_peer_that_is_not_trusted_is_turned_away(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = config(tier, "[\"127.0.0.2\"]", &origin).start();
    let mut stranger = proxy.client();
    let _ = stranger.try_send([V1, GET].concat());
    stranger.assert_closed();
    await_count(&proxy, 1);
    let mut known = Client::connect_from("127.0.0.2", &proxy.address());
    assert_eq!(known.request([V1, GET].concat()).status, 200);
    assert_eq!(origin.requests().len(), 1);
}

fn what_is_no_header_ends_the_connection(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = behind_proxies(tier, &origin);
    let cases = [
        GET.as_bytes().to_vec(),
        b"PROXY TCP4 192.0.2.1\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\n".to_vec(),
        vec![b'P'; 200],
        [b"PROXY UNKNOWN ", &[b'x'; 100][..]].concat(),
        v2(0x31, 0x00, &[]),
        v2(0x21, 0x11, &[1, 2, 3]),
        v2(0x20, 0x00, &[0; 20_000]),
        vec![0; 100],
    ];
    for bytes in &cases {
        let mut client = proxy.client();
        let _ = client.try_send(bytes);
        client.assert_closed();
    }
    await_count(&proxy, cases.len());
    assert_eq!(origin.connections(), 0);
    assert_eq!(client_of(&proxy, &origin, V1.as_bytes()), "192.0.2.1");
}

fn a_header_that_comes_too_late_ends_the_connection(tier: Tier) {
    let origin = Origin::named("origin");
    let config = config(tier, "[\"127.0.0.1\"]", &origin);
    let proxy = config.toml("[timeouts]\nheader = \"300ms\"").start();
    let mut silent = proxy.client();
    let (took, ()) = timed(|| silent.assert_closed());
    assert!((ms(250)..ms(2_000)).contains(&took), "{took:?}");
    let mut slow = proxy.client();
    let (took, ()) = timed(|| {
        // A byte now and then does not prolong it.
        for byte in &V1.as_bytes()[..20] {
            pause(ms(40));
            if slow.try_send([*byte]).is_err() {
                break;
            }
        }
        slow.assert_closed();
    });
    assert!(took < ms(2_000), "{took:?}");
    await_count(&proxy, 2);
    let mut waits = proxy.client();
    waits.send(V1);
    pause(ms(400));
    assert_eq!(waits.get("/").status, 200, "after it, the connection is idle like any other");
}

fn somebody_who_only_looks_does_no_harm(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = behind_proxies(tier, &origin);
    for bytes in ["", "PROXY TC", V1] {
        let mut client = proxy.client();
        client.send(bytes);
        client.half_close();
        client.assert_closed();
    }
    await_count(&proxy, 0);
}

fn a_drain_does_not_wait_for_headers(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = behind_proxies(tier, &origin);
    let mut silent = proxy.client();
    let mut partial = proxy.client();
    partial.send(&V1[..20]);
    // A third connection has been answered: the other two are waiting by then.
    assert_eq!(client_of(&proxy, &origin, V1.as_bytes()), "192.0.2.1");
    let (took, exit) = timed(|| proxy.terminate());
    assert!(exit.status.success() && took < ms(5_000), "{took:?}");
    silent.assert_closed();
    partial.assert_closed();
}

fn an_announced_proxy_is_believed_if_it_is_trusted(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = config(tier, "[\"127.0.0.1\", \"203.0.113.0/24\"]", &origin).start();
    let told = |announced: &str| {
        let already = origin.requests().len();
        let header = format!("PROXY TCP4 {announced} 198.51.100.1 56324 443\r\n");
        let lines = "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: https\r\n";
        let request = format!("{header}GET / HTTP/1.1\r\nHost: test\r\n{lines}\r\n");
        assert_eq!(proxy.client().request(request).status, 200);
        let request = origin.await_requests(already + 1).remove(already);
        let field = |name| request.field(name).unwrap_or_default().to_owned();
        (field("x-forwarded-for"), field("x-forwarded-proto"))
    };
    assert_eq!(told("192.0.2.1"), ("192.0.2.1".into(), "http".into()));
    assert_eq!(told("203.0.113.7"), ("192.0.2.9, 203.0.113.7".into(), "https".into()));
}

fn fields_are_not_believed_where_only_headers_count(tier: Tier) {
    let origin = Origin::named("origin");
    let listener = "[[listener]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = true\n\
                    trusted_proxies = [\"127.0.0.1\", \"203.0.113.0/24\"]\nforwarded_for = false";
    let proxy = Config::new(tier).toml(listener).origin("app", &origin).start();
    let header = "PROXY TCP4 203.0.113.7 198.51.100.1 56324 443\r\n";
    let fields = "X-Forwarded-For: 192.0.2.9\r\nForwarded: for=192.0.2.9\r\n";
    let request = format!("{header}GET / HTTP/1.1\r\nHost: test\r\n{fields}\r\n");
    assert_eq!(proxy.client().request(request).status, 200);
    let request = origin.await_requests(1).remove(0);
    assert_eq!(request.field("x-forwarded-for"), Some("203.0.113.7"));
    assert_eq!(request.field("forwarded"), None);
}

fn lists_know_ipv4_in_the_form_of_ipv6(tier: Tier) {
    let listener = |lists: &str| {
        format!(
            "[[listener]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = true\n\
             trusted_proxies = \"127.0.0.1\"\n{lists}"
        )
    };
    let proxy = Config::new(tier)
        .toml(&listener("deny = \"192.0.2.0/24\""))
        .toml(&listener("allow = \"192.0.2.0/24\""))
        .route("path = \"/\"\nrespond = { status = 200 }")
        .start();
    let statuses = |header: &[u8]| {
        let status = |address| {
            let request = [header, GET.as_bytes()].concat();
            Client::connect(address).request(request).status
        };
        proxy.addresses().iter().map(status).collect::<Vec<_>>()
    };
    // Where the destination is of IPv6, the header's addresses stay as they are.
    for line in ["PROXY TCP6 ::ffff:192.0.2.5 ::1 1 2", "PROXY TCP4 192.0.2.5 192.0.2.6 1 2"] {
        assert_eq!(statuses(format!("{line}\r\n").as_bytes()), [403, 200], "{line}");
    }
    assert_eq!(statuses(&v2_tcp6("::ffff:192.0.2.5")), [403, 200]);
    assert_eq!(statuses(&v2_tcp6("::ffff:192.0.3.5")), [200, 403]);
    assert_eq!(statuses(&v2_tcp6("2001:db8::1")), [200, 403]);
}

fn a_unix_socket_may_have_headers(tier: Tier) {
    let origin = Origin::named("origin");
    let dir = tempfile::tempdir().expect("a directory");
    let listener = format!(
        "[[listener]]\naddress = \"unix:{}\"\nproxy_protocol = true\ntrusted_proxies = \"unix\"",
        dir.path().join("socket").display()
    );
    let proxy = Config::new(tier).toml(&listener).origin("app", &origin).start();
    assert_eq!(client_of(&proxy, &origin, V1.as_bytes()), "192.0.2.1");
    let local = [b"PROXY UNKNOWN\r\n", GET.as_bytes()].concat();
    assert_eq!(proxy.client().request(local).status, 200);
    assert_eq!(origin.requests()[1].field("x-forwarded-for"), None);
}

fn other_listeners_want_none(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    for header in [V1.as_bytes().to_vec(), v2(0x20, 0, &[])] {
        let response = proxy.client().request([&header[..], GET.as_bytes()].concat());
        assert_eq!(response.status, 400);
    }
    assert_eq!(origin.connections(), 0);
}
