//! PROXY headers towards servers: each connection says whose it is, and serves nobody else.

#[macro_use]
mod support;

use std::net::SocketAddr;

use support::*;

tiered! {
    servers_learn_whose_a_connection_is,
    connections_are_for_one_client_each,
    an_announced_client_is_announced_again,
    a_stale_connection_is_replaced_by_one_of_the_same_client,
    the_next_server_learns_it_too,
    bodies_follow_it_untouched,
    a_client_without_an_address_is_unknown,
    checks_are_nobodys,
}

/// Wants a PROXY header on each connection, and answers each request with the header as text, in
/// the form of version 1.
fn origin_wants_headers() -> Origin {
    Origin::scripted(|conn| {
        let header = header(conn)?;
        loop {
            let request = conn.request()?;
            let length = request.body.len();
            conn.send(ok(if length > 0 { format!("{header} {length}") } else { header.clone() }))?;
        }
    })
}

fn header(conn: &mut Conn) -> Result<String, End> {
    let first = conn.some(1)?;
    if first == b"P" {
        let rest = conn.line()?;
        return Ok(format!("P{}", String::from_utf8_lossy(&rest)));
    }
    let mut bytes = first;
    conn.exactly(15, &mut |some| bytes.extend_from_slice(some))?;
    assert_eq!(bytes[..12], *b"\r\n\r\n\0\r\nQUIT\n");
    let mut addresses = Vec::new();
    conn.exactly(u64::from(bytes[15]), &mut |some| addresses.extend_from_slice(some))?;
    Ok(match (bytes[12], bytes[13], &addresses[..]) {
        (0x20, 0, []) => "LOCAL".to_owned(),
        (0x21, 0, []) => "PROXY UNKNOWN".to_owned(),
        (0x21, 0x11, [a, b, c, d, e, f, g, h, ports @ ..]) => {
            let [from, to] = ports.as_chunks::<2>().0 else { panic!("{ports:?}") };
            let (from, to) = (u16::from_be_bytes(*from), u16::from_be_bytes(*to));
            format!("PROXY TCP4 {a}.{b}.{c}.{d} {e}.{f}.{g}.{h} {from} {to}")
        }
        other => format!("{other:?}"),
    })
}

/// What a server should learn of this client.
fn announced(client: &Client) -> String {
    let address = |address: std::io::Result<socket2::SockAddr>| -> SocketAddr {
        address.expect("an address").as_socket().expect("TCP")
    };
    let (here, there) =
        (address(client.socket().local_addr()), address(client.socket().peer_addr()));
    format!("PROXY TCP4 {} {} {} {}", here.ip(), there.ip(), here.port(), there.port())
}

fn announcing(tier: Tier, servers: &[String], version: &str) -> Config {
    Config::new(tier).upstream("app", servers, &format!("proxy_protocol = {version:?}"))
}

fn servers_learn_whose_a_connection_is(tier: Tier) {
    for version in ["v1", "v2"] {
        let origin = origin_wants_headers();
        let proxy = announcing(tier, &[origin.server()], version).start();
        for source in ["127.0.0.1", "127.0.0.7"] {
            let mut client = Client::connect_from(source, &proxy.address());
            assert_eq!(client.get("/").text(), announced(&client), "{version}");
            assert_eq!(client.post("/", "body").text(), format!("{} 4", announced(&client)));
        }
        let start: &[u8] = if version == "v1" { b"PROXY" } else { b"\r\n\r\n\0" };
        assert!(origin.heard(0).bytes.starts_with(start));
    }
    let origin = Origin::scripted(|conn| {
        let line = conn.line()?;
        conn.request()?;
        conn.send(ok(line))
    });
    let config = announcing(tier, &[origin.server()], "v1").listener("[::1]:0");
    let response = config.start().get("/");
    assert!(response.text().starts_with("PROXY TCP6 ::1 ::1 "), "{}", response.text());
}

fn connections_are_for_one_client_each(tier: Tier) {
    let origin = origin_wants_headers();
    let proxy = announcing(tier, &[origin.server()], "v2").start();
    let mut clients = [proxy.client(), proxy.client(), proxy.client()];
    for _ in 0..4 {
        for client in &mut clients {
            assert_eq!(client.get("/").text(), announced(client));
        }
    }
    assert_eq!(origin.connections(), 3, "one for each, used again");
}

fn an_announced_client_is_announced_again(tier: Tier) {
    let origin = origin_wants_headers();
    let proxy = announcing(tier, &[origin.server()], "v2")
        .toml(
            "[[listener]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = true\n\
             trusted_proxies = \"127.0.0.1\"",
        )
        .start();
    let get = "GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n";
    for header in
        ["PROXY TCP4 192.0.2.1 198.51.100.1 56324 443", "PROXY TCP4 192.0.2.2 198.51.100.1 1 2"]
    {
        for _ in 0..2 {
            // Another connection of the same client to the same place: as good as one.
            assert_eq!(proxy.client().request(format!("{header}\r\n{get}")).text(), header);
        }
    }
    assert_eq!(origin.connections(), 2);
    let mut client = proxy.client();
    client.send("PROXY UNKNOWN\r\n");
    assert_eq!(client.get("/").text(), announced(&client));
}

fn a_stale_connection_is_replaced_by_one_of_the_same_client(tier: Tier) {
    let origin = Origin::scripted(|conn| {
        let header = header(conn)?;
        conn.request()?;
        conn.send(ok(header))?;
        conn.request().map(drop)
    });
    for version in ["v1", "v2"] {
        let proxy = announcing(tier, &[origin.server()], version).start();
        let before = origin.connections();
        let mut client = proxy.client();
        for _ in 0..3 {
            assert_eq!(client.get("/").text(), announced(&client), "{version}");
        }
        assert_eq!(origin.connections() - before, 3);
    }
}

fn the_next_server_learns_it_too(tier: Tier) {
    let (refusing, origin) = (origin_refuses(), origin_wants_headers());
    let servers = [refusing.server(), origin.server()];
    let proxy = announcing(tier, &servers, "v1").start();
    for _ in 0..4 {
        let mut client = proxy.client();
        assert_eq!(client.post("/", "body").text(), format!("{} 4", announced(&client)));
    }
}

fn bodies_follow_it_untouched(tier: Tier) {
    let origin = Origin::scripted(|conn| {
        header(conn)?;
        loop {
            let request = conn.request()?;
            conn.send(ok(&request.body))?;
        }
    });
    let proxy = announcing(tier, &[origin.server()], "v2").start();
    let mut client = proxy.client();
    for length in [1, 5_000, 70_000, 1 << 20] {
        let body = Pattern::new(7).take(length);
        assert!(client.post("/", &body).body == body, "{length} bytes");
    }
    let chunked = "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let response = client.request([chunked, "4\r\nbody\r\n0\r\n\r\n"].concat());
    assert_eq!(response.text(), "body");
}

fn a_client_without_an_address_is_unknown(tier: Tier) {
    let dir = tempfile::tempdir().expect("a directory");
    for version in ["v1", "v2"] {
        let socket = format!("unix:{}", dir.path().join(version).display());
        let origin = origin_wants_headers();
        let proxy = announcing(tier, &[origin.server()], version).listener(&socket).start();
        for _ in 0..2 {
            assert_eq!(proxy.get("/").text(), "PROXY UNKNOWN");
        }
        assert_eq!(origin.connections(), 1, "nobody in particular: they may share");
    }
}

fn checks_are_nobodys(tier: Tier) {
    for (version, expected) in
        [("v1", &b"PROXY UNKNOWN\r\n"[..]), ("v2", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")]
    {
        let origin = origin_wants_headers();
        let health = "health = { path = \"/healthz\", interval = \"50ms\", timeout = \"50ms\" }";
        let settings = format!("proxy_protocol = {version:?}\n{health}");
        let proxy = Config::new(tier).upstream("app", &[origin.server()], &settings).start();
        assert_eq!(origin.request().target, "/healthz");
        assert!(origin.heard(0).bytes.starts_with(&[expected, b"GET /healthz "].concat()));
        drop(proxy);
    }
}
