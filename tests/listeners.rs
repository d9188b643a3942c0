//! Where clients connect and where servers listen: IPv4, IPv6, Unix sockets.

#[macro_use]
mod support;

use rustix::process::Signal;
use support::*;

tiered! {
    ipv4_and_ipv6,
    a_unix_socket_for_clients,
    a_unix_socket_is_replaced_if_nobody_listens,
    a_unix_socket_goes_with_its_proxy_and_not_with_another,
    a_unix_socket_for_a_server,
    a_server_on_ipv6,
    a_server_by_name,
    a_server_whose_name_does_not_resolve_is_down,
    every_shard_serves_every_listener,
    many_connections_at_once,
    connections_beyond_the_limit_wait,
    a_burst_is_served_in_parts_of_the_limit,
    the_limit_holds_over_all_listeners,
}

fn ipv4_and_ipv6(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Config::new(tier)
        .listener("127.0.0.1:0")
        .listener("[::1]:0")
        .listener("127.0.0.2:0")
        .origin("app", &origin)
        .start();
    let addresses = proxy.addresses();
    assert_eq!(addresses.len(), 3);
    for address in &addresses {
        assert_ne!(address.port(), 0);
        assert_eq!(Client::connect(address).get("/").text(), "origin");
    }
    let sources = origin.requests();
    let from = |index: usize| sources[index].field("x-forwarded-for").map(str::to_owned);
    assert_eq!(from(0).as_deref(), Some("127.0.0.1"));
    assert_eq!(from(1).as_deref(), Some("::1"));
}

fn a_unix_socket_for_clients(tier: Tier) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let address = format!("unix:{}", dir.path().join("corelane.sock").display());
    let origin = origin_echoes();
    let proxy = Config::new(tier).listener(&address).origin("app", &origin).start();
    assert_eq!(proxy.address().to_string(), address);
    let mut client = proxy.client();
    let body = Pattern::new(5).take(3 << 20);
    for _ in 0..2 {
        assert!(client.post("/", &body).body == body);
    }
    assert_eq!(origin.requests()[0].field("x-forwarded-for"), None, "it has no address");
}

fn a_unix_socket_is_replaced_if_nobody_listens(tier: Tier) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("corelane.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket file left behind"));
    let origin = Origin::named("origin");
    let address = format!("unix:{}", path.display());
    let proxy = Config::new(tier).listener(&address).origin("app", &origin).start();
    assert_eq!(proxy.get("/").text(), "origin");
}

fn a_unix_socket_goes_with_its_proxy_and_not_with_another(tier: Tier) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("corelane.sock");
    let address = format!("unix:{}", path.display());
    let gate = Gate::shut();
    let origin = origin_waits_for(&gate);
    let config = Config::new(tier).listener(&address).origin("app", &origin);
    let first = config.start();
    let mut client = first.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.await_requests(1);
    first.signal(rustix::process::Signal::TERM);
    wait_until("the first lets no one in any more", || {
        let (socket, to) = first.address().socket();
        socket.connect(&to).is_err()
    });
    // While the first finishes its request, the next takes its place.
    let second = config.start();
    gate.open();
    assert_eq!(client.response().text(), "late");
    assert_eq!(first.wait().status.code(), Some(0));
    assert_eq!(second.get("/").text(), "late", "its socket is still there");
    assert_eq!(second.terminate().status.code(), Some(0));
    assert!(!path.exists());
}

fn a_unix_socket_for_a_server(tier: Tier) {
    let origin = Origin::unix(|conn| {
        loop {
            let request = conn.request()?;
            conn.send(ok(request.body))?;
        }
    });
    for splice in [true, false] {
        let splice = format!("[splice]\nenabled = {splice}");
        let proxy = Config::new(tier).origin("app", &origin).toml(&splice).start();
        let body = Pattern::new(6).take(3 << 20);
        let mut client = proxy.client();
        for _ in 0..2 {
            assert!(client.post("/", &body).body == body, "{splice}");
        }
    }
    assert_eq!(origin.connections(), 2);
}

fn a_server_on_ipv6(tier: Tier) {
    let address = "[::1]:0".parse().expect("an address");
    let origin = Origin::at(&address, |conn| {
        conn.request()?;
        conn.send(ok("six"))
    });
    let proxy = Proxy::before(tier, &origin);
    assert_eq!(proxy.get("/").text(), "six");
}

fn a_server_by_name(tier: Tier) {
    let origin = Origin::named("origin");
    let server = format!("\"localhost:{}\"", origin.address().port());
    let proxy = Config::new(tier).upstream("app", &[server], "").start();
    wait_until("the name has been resolved", || proxy.get("/").status == 200);
}

fn a_server_whose_name_does_not_resolve_is_down(tier: Tier) {
    let origin = Origin::named("origin");
    let servers = ["\"nowhere.invalid:80\"".to_owned(), origin.server()];
    let proxy = Config::new(tier).upstream("app", &servers, "").start();
    for _ in 0..4 {
        assert_eq!(proxy.get("/").text(), "origin");
    }
}

fn every_shard_serves_every_listener(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Config::new(tier)
        .shards(2)
        .listener("127.0.0.1:0")
        .listener("127.0.0.1:0")
        .origin("app", &origin)
        .start();
    let addresses = proxy.addresses();
    assert_eq!(addresses.len(), 2, "one line per listener, not per shard");
    for _ in 0..20 {
        for address in &addresses {
            assert_eq!(Client::connect(address).get("/").text(), "origin");
        }
    }
    // Each shard has a pool of its own, so two pools show that both have served.
    assert_eq!(origin.connections(), 2);
}

fn many_connections_at_once(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Config::new(tier).shards(2).origin("app", &origin).start();
    let mut clients: Vec<_> = (0..400).map(|_| proxy.client()).collect();
    for _ in 0..2 {
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        }
        for client in &mut clients {
            assert_eq!(client.response().text(), "origin");
        }
    }
}

/// A proxy that serves so many connections at once.
fn limited(connections: usize, config: Config) -> Proxy {
    config.toml(&format!("[limits]\nconnections = {connections}")).start()
}

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

fn connections_beyond_the_limit_wait(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = limited(2, Config::new(tier).origin("app", &origin));
    let (mut first, mut second) = (proxy.client(), proxy.client());
    assert_eq!((first.get("/").status, second.get("/").status), (200, 200));
    let mut third = proxy.client();
    third.send(GET);
    assert_eq!(first.get("/").status, 200, "those inside go on");
    assert_eq!(proxy.accept_queue(&proxy.address()), 1);
    third.patience(ms(200));
    assert_eq!(third.try_response(), Err(End::Silent));
    assert_eq!(proxy.accept_queue(&proxy.address()), 1);
    drop(first);
    third.patience(PATIENCE);
    assert_eq!(third.response().text(), "origin");
    assert_eq!(proxy.accept_queue(&proxy.address()), 0);
}

/// How many of these clients have been answered.
fn answered(clients: &mut [Client]) -> usize {
    let mut count = 0;
    for client in clients {
        client.patience(ms(1));
        count += usize::from(!client.unread().is_empty() || client.fill().is_ok());
    }
    count
}

/// Answers that need no server: who is let in has one in the shard's next turns.
fn answers_itself(tier: Tier) -> Config {
    Config::new(tier).route("path = \"/\"\nrespond = { status = 200, body = \"here\" }")
}

/// Some turns of the shard, in which it would have let in whom it should not.
fn take_turns(inside: &mut Client) {
    for _ in 0..10 {
        assert_eq!(inside.get("/").status, 200);
    }
}

/// Clients that have all connected and sent a request when the shard looks.
fn burst(proxy: &Proxy, addresses: &[Address]) -> Vec<Client> {
    proxy.signal(Signal::STOP);
    let mut clients: Vec<_> = addresses.iter().map(Client::connect).collect();
    clients.iter_mut().for_each(|client| client.send(GET));
    proxy.signal(Signal::CONT);
    clients
}

fn a_burst_is_served_in_parts_of_the_limit(tier: Tier) {
    let proxy = limited(3, answers_itself(tier));
    let mut clients = burst(&proxy, &vec![proxy.address(); 12]);
    for outside in [9, 6, 3, 0] {
        wait_until("three are served", || answered(&mut clients) >= 3);
        let at = clients.iter().position(|client| !client.unread().is_empty());
        let mut inside = clients.swap_remove(at.expect("one that is served"));
        inside.patience(PATIENCE);
        assert_eq!(inside.response().text(), "here");
        take_turns(&mut inside);
        assert_eq!(answered(&mut clients), 2, "besides the one above");
        clients.retain(|client| client.unread().is_empty());
        assert_eq!(clients.len(), outside);
    }
}

fn the_limit_holds_over_all_listeners(tier: Tier) {
    let config = answers_itself(tier).listener("127.0.0.1:0").listener("127.0.0.1:0");
    let proxy = limited(2, config);
    let mut inside = proxy.client();
    assert_eq!(inside.get("/").status, 200);
    // One place is left, and there is one client at each of two doors.
    let mut clients = burst(&proxy, &proxy.addresses());
    wait_until("one is served", || answered(&mut clients) >= 1);
    take_turns(&mut inside);
    assert_eq!(answered(&mut clients), 1);
    drop(inside);
    wait_until("the other is served", || answered(&mut clients) == 2);
}
