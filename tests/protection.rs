//! Clients that take their time, or too many connections.

#[macro_use]
mod support;

use std::time::Duration;

use support::*;

tiered! {
    no_dribble_extends_a_head,
    a_body_that_dribbles_is_408,
    a_body_that_keeps_its_rate_passes,
    a_burst_pays_for_a_pause,
    a_slow_server_is_not_the_clients_fault,
    waiting_for_a_100_is_not_dribbling,
    a_dribbled_rest_of_a_body_ends_the_connection,
    a_route_may_take_slow_bodies,
    a_connection_ends_after_its_last_request,
    requests_behind_the_last_are_not_served,
    a_connection_may_have_no_last_request,
    a_client_has_so_many_connections,
    a_client_has_so_many_connections_over_all_shards,
    unix_sockets_have_no_clients_to_tell_apart,
}

/// Enough longer than any limit below to be sure that it was the one that struck.
const LATE: Duration = ms(5_000);

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

fn no_dribble_extends_a_head(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy =
        Config::new(tier).origin("app", &origin).toml("[timeouts]\nheader = \"300ms\"").start();
    for (before, byte) in [
        ("GET / HTTP/1.1\r\nX: ", "x"),
        ("GET /", "x"),
        ("G", "E"),
        ("\r\n", "G"),
        ("GET / HTTP/1.1\r\nHost: test\r\n", "X: y\r\n"),
    ] {
        let mut client = proxy.client();
        // The second request of a connection has no more time than the first.
        for requests in [0, 1] {
            if requests == 1 {
                client = proxy.client();
                assert_eq!(client.request(GET).status, 200);
            }
            let (waited, ()) = timed(|| {
                client.send(before);
                while client.try_send(byte).is_ok() && !has_answer(&mut client) {}
            });
            assert!((ms(250)..LATE).contains(&waited), "{waited:?} for {before:?}");
            assert_eq!(client.response().status, 408, "{before:?}");
        }
    }
    assert_eq!(origin.requests().len(), 5);
}

/// Whether there is one, or an end; waits a little for it, as a peer would that dribbles.
fn has_answer(client: &mut Client) -> bool {
    client.patience(ms(20));
    !client.unread().is_empty() || client.fill() != Err(End::Silent)
}

const RATE: &str = "[limits]\nbody_rate = \"1KiB\"\n[timeouts]\nbody_grace = \"300ms\"";

/// A head for a body of this length: one that is worth splicing, or one that is not.
fn post_head(length: usize) -> String {
    format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n")
}

/// Heads of a body that is copied, of one that is spliced, and of one in chunks of one byte.
fn heads() -> [(String, &'static str); 3] {
    let chunked = "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    [(post_head(10_000), "x"), (post_head(1 << 20), "x"), (chunked.into(), "1\r\nx\r\n")]
}

fn a_body_that_dribbles_is_408(tier: Tier) {
    for (head, piece) in heads() {
        let origin = origin_echoes();
        let proxy = Config::new(tier).origin("app", &origin).toml(RATE).start();
        let mut client = proxy.client();
        client.send(&head);
        let (waited, ()) =
            timed(|| while client.try_send(piece).is_ok() && !has_answer(&mut client) {});
        assert!((ms(300)..LATE).contains(&waited), "{waited:?}: {head}");
        let refusal = client.response();
        assert_eq!(refusal.status, 408, "{head}");
        assert!(refusal.text().contains("too slowly"), "{}", refusal.text());
        client.assert_closed();
        assert!(origin.await_end(0).is_over());
        assert_eq!(origin.requests(), []);
    }
}

fn a_body_that_keeps_its_rate_passes(tier: Tier) {
    let origin = origin_echoes();
    let proxy = Config::new(tier).origin("app", &origin).toml(RATE).start();
    let mut client = proxy.client();
    let body = "0123456789".repeat(400);
    client.send(post_head(body.len()));
    // Four times the rate, for three times the grace.
    client.send_in_pieces(&body, 200, ms(50));
    assert_eq!(client.response().text(), body);
}

fn a_burst_pays_for_a_pause(tier: Tier) {
    let origin = origin_echoes();
    let proxy = Config::new(tier).origin("app", &origin).toml(RATE).start();
    let mut client = proxy.client();
    let body = "x".repeat(4_000);
    client.send(post_head(body.len() + 1));
    client.send(&body);
    pause(ms(1_000));
    client.send("x");
    assert_eq!(client.response().body.len(), body.len() + 1);
}

fn a_slow_server_is_not_the_clients_fault(tier: Tier) {
    const LENGTH: usize = 16 << 20;
    let origin = Origin::scripted(|conn| {
        let head = conn.request_head()?;
        pause(ms(1_000));
        let request = conn.request_body(head)?;
        conn.send(ok(request.body.len().to_string()))
    });
    let rate = "[limits]\nbody_rate = \"1GiB\"\n[timeouts]\nbody_grace = \"600ms\"";
    let proxy = Config::new(tier).origin("app", &origin).toml(rate).start();
    let mut client = proxy.client();
    client.send(post_head(LENGTH));
    client.send(vec![b'x'; LENGTH]);
    assert_eq!(client.response().text(), LENGTH.to_string());
}

fn waiting_for_a_100_is_not_dribbling(tier: Tier) {
    let origin = Origin::scripted(|conn| {
        let head = conn.request_head()?;
        pause(ms(700));
        conn.send("HTTP/1.1 100 Continue\r\n\r\n")?;
        let request = conn.request_body(head)?;
        conn.send(ok(request.body))
    });
    let proxy = Config::new(tier).origin("app", &origin).toml(RATE).start();
    let mut client = proxy.client();
    let head = "POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    client.send(head);
    client.fill().expect("a 100");
    client.send("body");
    assert_eq!(client.response().text(), "body");
}

fn a_dribbled_rest_of_a_body_ends_the_connection(tier: Tier) {
    let origin = origin_early_response();
    let proxy = Config::new(tier).origin("app", &origin).toml(RATE).start();
    let mut client = proxy.client();
    client.send(post_head(10_000));
    assert_eq!(client.response().status, 403, "too soon");
    let (waited, ()) = timed(|| while client.try_send("x").is_ok() && !has_answer(&mut client) {});
    assert!((ms(250)..LATE).contains(&waited), "{waited:?}");
    assert!(client.unread().is_empty(), "no second answer");
    assert!(origin.await_end(0).is_over());
}

fn a_route_may_take_slow_bodies(tier: Tier) {
    let origin = origin_echoes();
    let proxy = Config::new(tier)
        .origin("app", &origin)
        .toml(RATE)
        .route("path = \"/\"\nupstream = \"app\"\nlimits = { body_rate = \"none\" }")
        .start();
    let mut client = proxy.client();
    client.send(post_head(10));
    client.send_in_pieces("0123456789", 1, ms(80));
    assert_eq!(client.response().text(), "0123456789");
}

fn three_requests(tier: Tier, origin: &Origin) -> Proxy {
    Config::new(tier)
        .origin("app", origin)
        .route("path = \"/\"\nupstream = \"app\"")
        .route("path = \"/here\"\nrespond = { status = 200, body = \"origin\" }")
        .toml("[limits]\nkeepalive_requests = 3")
        .start()
}

fn a_connection_ends_after_its_last_request(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = three_requests(tier, &origin);
    for path in ["/", "/here"] {
        for version in ["1.1", "1.0"] {
            let get = format!(
                "GET {path} HTTP/{version}\r\nHost: test\r\nConnection: keep-alive\r\n\r\n"
            );
            let mut client = proxy.client();
            for last in [false, false, true] {
                let response = client.request(&get);
                assert_eq!(response.text(), "origin");
                assert_eq!(response.fields.lists("connection", "close"), last, "{get}");
            }
            client.assert_closed();
        }
    }
    // An error page is a response like any other.
    let mut client = proxy.client();
    for last in [false, false, true] {
        let refusal = client.request("TRACE / HTTP/1.1\r\nHost: t\r\n\r\n");
        assert_eq!(refusal.status, 405);
        assert_eq!(refusal.fields.lists("connection", "close"), last);
    }
    client.assert_closed();
    // The server's connection is not ended with the client's.
    assert_eq!(origin.connections(), 1);
}

fn requests_behind_the_last_are_not_served(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = three_requests(tier, &origin);
    let mut client = proxy.client();
    client.send(GET.repeat(5));
    for _ in 0..3 {
        assert_eq!(client.response().status, 200);
    }
    client.assert_closed();
    assert_eq!(origin.requests().len(), 3);
}

fn a_connection_may_have_no_last_request(tier: Tier) {
    let origin = Origin::named("origin");
    for (limit, last) in [("", 1_000), ("[limits]\nkeepalive_requests = \"none\"", u32::MAX)] {
        let proxy = Config::new(tier).origin("app", &origin).toml(limit).start();
        let mut client = proxy.client();
        for request in 1..=1_000 {
            let response = client.get("/");
            assert_eq!(response.fields.lists("connection", "close"), request == last, "{request}");
        }
    }
}

fn crowd(tier: Tier, most: u32) -> Config {
    Config::new(tier)
        .route("path = \"/\"\nrespond = { status = 200, body = \"in\" }")
        .toml(&format!("[limits]\nconnections_per_client = {most}"))
}

/// Those of `clients` that are served; the others are closed without a word.
fn served(clients: &mut [Client]) -> usize {
    let is_served = |client: &mut Client| {
        let _ = client.try_send(GET);
        match client.try_response() {
            Ok(response) => response.status == 200,
            Err(end) => !end.is_over(),
        }
    };
    clients.iter_mut().map(|client| usize::from(is_served(client))).sum()
}

fn a_client_has_so_many_connections(tier: Tier) {
    let proxy = crowd(tier, 2).listener("127.0.0.1:0").listener("[::1]:0").start();
    let [v4, v6] = &proxy.addresses()[..] else { panic!("two listeners") };
    let from = |source: &str| Client::connect_from(source, v4);
    let mut first = from("127.0.0.2");
    let mut second = from("127.0.0.2");
    assert_eq!((first.get("/").status, second.get("/").status), (200, 200));
    from("127.0.0.2").assert_closed();
    assert_eq!(from("127.0.0.3").get("/").status, 200, "another client");
    let mut six: Vec<_> = (0..3).map(|_| Client::connect(v6)).collect();
    assert_eq!(served(&mut six), 2, "of IPv6");
    assert_eq!(first.get("/").status, 200, "those inside go on");
    drop(first);
    wait_until("there is a place again", || served(&mut [from("127.0.0.2")]) == 1);
    let closed = proxy.usage().of("connections closed, one client had too many");
    assert!(closed >= 2, "{closed}");
}

fn a_client_has_so_many_connections_over_all_shards(tier: Tier) {
    let proxy = crowd(tier, 5).shards(2).start();
    for _ in 0..3 {
        let mut clients: Vec<_> = (0..16).map(|_| proxy.client()).collect();
        assert_eq!(served(&mut clients), 5);
        drop(clients);
        // What has ended is counted no more.
        let others = || (0..5).map(|_| proxy.client()).collect::<Vec<_>>();
        wait_until("all places are free", || served(&mut others()) == 5);
    }
}

fn unix_sockets_have_no_clients_to_tell_apart(tier: Tier) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let address = format!("unix:{}", dir.path().join("s").display());
    let proxy = crowd(tier, 1).listener(&address).start();
    let mut clients: Vec<_> = (0..4).map(|_| proxy.client()).collect();
    assert_eq!(served(&mut clients), 4);
}
