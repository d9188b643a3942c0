//! After a 101: bytes both ways, whatever they are, until each side has ended.

#[macro_use]
mod support;

use support::*;

tiered! {
    bytes_pass_both_ways,
    bytes_behind_the_heads_are_not_lost,
    both_directions_carry_much_at_once,
    urgent_data_stops_nothing,
    a_client_may_end_its_side_first,
    an_origin_may_end_its_side_first,
    a_reset_ends_both_sides,
    a_refused_upgrade_stays_http,
    a_required_upgrade_is_said_and_can_be_made,
    only_a_whole_request_to_upgrade_is_one,
    an_idle_tunnel_is_closed,
    a_busy_tunnel_is_not_idle,
    a_tunnel_is_not_bound_by_other_timeouts,
}

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, Upgrade\r\n\
                       Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A client that has just been switched over.
fn tunnel(proxy: &Proxy) -> Client {
    let mut client = proxy.client();
    let response = client.request(UPGRADE);
    assert_eq!(response.status, 101);
    assert!(response.fields.lists("connection", "upgrade"));
    assert_eq!(response.field("upgrade"), Some("websocket"));
    client
}

/// The next `length` bytes as text.
fn read(client: &mut Client, length: u64) -> String {
    let mut bytes = Vec::new();
    client.exactly(length, &mut |some| bytes.extend_from_slice(some)).expect("bytes");
    String::from_utf8(bytes).expect("text")
}

/// A server that switches and then follows `script`.
fn switching(script: fn(&mut Conn) -> Script) -> Origin {
    Origin::scripted(move |conn| {
        conn.request()?;
        let switch = "HTTP/1.1 101 Switching Protocols\r\n";
        conn.send(format!("{switch}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))?;
        script(conn)
    })
}

fn bytes_pass_both_ways(tier: Tier) {
    let origin = origin_upgrades();
    let proxy = Proxy::before(tier, &origin);
    let mut client = tunnel(&proxy);
    for text in ["hello", "\0\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n"] {
        client.send(text);
        assert_eq!(read(&mut client, text.len() as u64), text);
    }
    let request = origin.request();
    assert!(request.fields.lists("connection", "upgrade"));
    assert_eq!(request.field("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
}

fn bytes_behind_the_heads_are_not_lost(tier: Tier) {
    let origin = Origin::scripted(|conn| {
        conn.request()?;
        let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n";
        conn.send(format!("{switch}\r\nwelcome"))?;
        let hasty = conn.some(5)?;
        conn.send(hasty)?;
        conn.await_end()
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    assert_eq!(client.request(format!("{UPGRADE}hasty")).status, 101);
    assert_eq!(read(&mut client, 12), "welcomehasty");
}

fn both_directions_carry_much_at_once(tier: Tier) {
    const LENGTH: u64 = 24 << 20;
    let origin = origin_upgrades();
    let proxy = Proxy::before(tier, &origin);
    let mut reader = tunnel(&proxy);
    let writer = reader.socket().try_clone().expect("a second handle");
    let writing = std::thread::spawn(move || {
        let (mut writer, mut pattern) = (Wire::new(writer, None), Pattern::new(3));
        while pattern.offset() < LENGTH {
            writer.send(pattern.take(96 << 10)).expect("a tunnel");
        }
        writer.half_close();
    });
    let mut pattern = Pattern::new(3);
    let mut check = |bytes: &[u8]| pattern.check(bytes).expect("what was sent");
    reader.exactly(LENGTH, &mut check).expect("all of it back");
    writing.join().expect("a writer");
    assert_eq!(read(&mut reader, 3), "bye");
}

/// Splice does not go past urgent data (tcp(7)); a relay that waited for it to do so would spin.
fn urgent_data_stops_nothing(tier: Tier) {
    const LENGTH: u64 = 512 << 10;
    let origin = origin_upgrades();
    let proxy = Proxy::before(tier, &origin);
    let mut client = tunnel(&proxy);
    let mut pattern = Pattern::new(4);
    let mut sent = Pattern::new(4);
    for _ in 0..2 {
        client.send(sent.take(LENGTH as usize));
        client.socket().send_out_of_band(b"!").expect("room for a byte");
        let mut check = |bytes: &[u8]| pattern.check(bytes).expect("what was sent");
        client.exactly(LENGTH, &mut check).expect("all of it back");
        proxy.assert_does_not_spin(ms(300));
    }
}

fn a_client_may_end_its_side_first(tier: Tier) {
    let origin = origin_upgrades();
    let proxy = Proxy::before(tier, &origin);
    let mut client = tunnel(&proxy);
    client.send("last words");
    client.half_close();
    assert_eq!(client.rest(), (b"last wordsbye".to_vec(), End::Closed));
    assert_eq!(origin.await_end(0), End::Closed);
}

fn an_origin_may_end_its_side_first(tier: Tier) {
    let origin = switching(|conn| {
        conn.send("that was all from here")?;
        conn.half_close();
        conn.await_end()
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = tunnel(&proxy);
    assert_eq!(client.rest(), (b"that was all from here".to_vec(), End::Closed));
    client.send("but not from there");
    client.half_close();
    assert_eq!(origin.await_end(0), End::Closed);
    assert!(origin.bytes().ends_with(b"but not from there"));
}

fn a_reset_ends_both_sides(tier: Tier) {
    let origin = origin_upgrades();
    let proxy = Proxy::before(tier, &origin);
    let client = tunnel(&proxy);
    client.reset_on_close();
    drop(client);
    assert!(origin.await_end(0).is_over());

    let origin = switching(Conn::reset);
    let proxy = Proxy::before(tier, &origin);
    assert!(tunnel(&proxy).rest().1.is_over());
}

fn a_refused_upgrade_stays_http(tier: Tier) {
    let origin = Origin::answering(|request| match request.target.as_str() {
        "/chat" => response(403, &[], "not here"),
        _ => ok("plain"),
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for _ in 0..2 {
        let response = client.request(UPGRADE);
        assert_eq!((response.status, response.text()), (403, "not here"));
        assert_eq!(client.get("/").text(), "plain");
    }
    assert_eq!(origin.connections(), 1);
}

fn a_required_upgrade_is_said_and_can_be_made(tier: Tier) {
    let origin = Origin::scripted(|conn| {
        conn.request()?;
        conn.send(response(426, &[("Upgrade", "websocket")], "come back with an upgrade"))?;
        let request = conn.request()?;
        let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: ";
        conn.send(format!("{switch}{}\r\n\r\nhi", request.field("upgrade").unwrap_or("?")))?;
        conn.await_end()
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    let required = client.get("/chat");
    assert_eq!((required.status, required.field("upgrade")), (426, Some("websocket")));
    assert!(required.fields.lists("connection", "upgrade"), "{:?}", required.fields);
    assert_eq!(client.request(UPGRADE).status, 101);
    assert_eq!(read(&mut client, 2), "hi");
}

fn only_a_whole_request_to_upgrade_is_one(tier: Tier) {
    let table = [
        "GET / HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    ];
    let origin = Origin::named("plain");
    let proxy = Proxy::before(tier, &origin);
    for request in table {
        assert_eq!(proxy.client().request(request).text(), "plain");
    }
    for request in origin.requests() {
        assert_eq!(request.field("upgrade"), None, "{request:?}");
    }
}

fn with_timeouts(tier: Tier, origin: &Origin, timeouts: &str) -> Proxy {
    Config::new(tier).origin("app", origin).toml(&format!("[timeouts]\n{timeouts}")).start()
}

fn an_idle_tunnel_is_closed(tier: Tier) {
    let origin = origin_upgrades();
    let proxy = with_timeouts(tier, &origin, "tunnel_idle = \"300ms\"");
    let mut client = tunnel(&proxy);
    let (waited, (bytes, end)) = timed(|| client.rest());
    assert!(end.is_over() && (bytes.is_empty() || bytes == b"bye"), "{end:?} {bytes:?}");
    assert!((ms(250)..ms(5_000)).contains(&waited), "{waited:?}");
    assert!(origin.await_end(0).is_over());
}

fn a_busy_tunnel_is_not_idle(tier: Tier) {
    // One direction alone keeps the tunnel alive.
    let origin = switching(|conn| {
        for _ in 0..10 {
            pause(ms(100));
            conn.send("tick")?;
        }
        Ok(())
    });
    let proxy = with_timeouts(tier, &origin, "tunnel_idle = \"600ms\"");
    assert_eq!(tunnel(&proxy).rest().0, "tick".repeat(10).as_bytes());
}

fn a_tunnel_is_not_bound_by_other_timeouts(tier: Tier) {
    let origin = origin_upgrades();
    let all = ["header", "keepalive", "response", "body_idle", "half_closed"];
    let short = all.map(|name| format!("{name} = \"200ms\"")).join("\n");
    let proxy = with_timeouts(tier, &origin, &short);
    let mut client = tunnel(&proxy);
    pause(ms(600));
    client.send("still there?");
    assert_eq!(read(&mut client, 12), "still there?");
}
