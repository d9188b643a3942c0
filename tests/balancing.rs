//! Which server gets a request, and what becomes of requests when none may have more.

#[macro_use]
mod support;

use std::collections::BTreeMap;

use support::*;

tiered! {
    round_robin_alternates,
    round_robin_follows_weights,
    least_connections_avoids_the_busy_server,
    random_and_two_choices_use_every_server,
    a_backup_waits_until_it_is_needed,
    an_address_sticks_to_its_server,
    a_key_sticks_to_its_server,
    a_key_moves_only_with_its_server,
    a_server_gets_no_more_than_its_most,
    a_full_queue_is_503,
    a_queued_request_waits_in_vain_for_so_long,
    a_client_that_leaves_the_queue_frees_its_place,
    a_request_that_fails_gives_its_place_back,
}

fn balanced(tier: Tier, balance: &str, servers: &[String]) -> Proxy {
    Config::new(tier).upstream("app", servers, balance).start()
}

fn names(proxy: &Proxy, requests: usize) -> Vec<String> {
    let mut client = proxy.client();
    (0..requests).map(|_| client.get("/").text().to_owned()).collect()
}

fn shares(names: &[String]) -> BTreeMap<&str, usize> {
    let mut shares = BTreeMap::new();
    for name in names {
        *shares.entry(name.as_str()).or_default() += 1;
    }
    shares
}

fn round_robin_alternates(tier: Tier) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = balanced(tier, "balance = \"round_robin\"", &[a.server(), b.server()]);
    let names = names(&proxy, 10);
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    assert_eq!((a.connections(), b.connections()), (1, 1));
}

fn round_robin_follows_weights(tier: Tier) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let servers = [a.server_with("weight = 3"), b.server()];
    let proxy = balanced(tier, "balance = \"round_robin\"", &servers);
    let names = names(&proxy, 40);
    assert_eq!(shares(&names), BTreeMap::from([("a", 30), ("b", 10)]));
    assert!(!names.windows(4).any(|four| four.iter().all(|name| name == "a")), "{names:?}");
}

fn least_connections_avoids_the_busy_server(tier: Tier) {
    let gate = Gate::shut();
    let busy = gate.clone();
    let hold = move |name: &'static str| {
        let gate = busy.clone();
        Origin::answering(move |request| {
            if request.target == "/slow" {
                gate.wait();
            }
            ok(name)
        })
    };
    let (a, b) = (hold("a"), hold("b"));
    let proxy = balanced(tier, "balance = \"least_conn\"", &[a.server(), b.server()]);
    let mut slow = proxy.client();
    slow.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    wait_until("the slow request has arrived", || a.requests().len() + b.requests().len() == 1);
    let busy = if a.requests().is_empty() { "b" } else { "a" };
    let names = names(&proxy, 8);
    assert!(names.iter().all(|name| name != busy), "{busy} is busy: {names:?}");
    gate.open();
    assert_eq!(slow.response().text(), busy);
}

fn random_and_two_choices_use_every_server(tier: Tier) {
    let origins = ["a", "b", "c"].map(Origin::named);
    let servers = origins.each_ref().map(Origin::server);
    for balance in ["random", "p2c"] {
        let proxy = balanced(tier, &format!("balance = \"{balance}\""), &servers);
        let names = names(&proxy, 300);
        let shares = shares(&names);
        let evenly = |share: &usize| (60..150).contains(share);
        assert!(shares.len() == 3 && shares.values().all(evenly), "{balance}: {shares:?}");
    }
}

fn a_backup_waits_until_it_is_needed(tier: Tier) {
    let (primary, backup) = (Origin::named("primary"), Origin::named("backup"));
    let servers = [primary.server(), backup.server_with("backup = true")];
    let proxy = balanced(tier, "", &servers);
    assert_eq!(shares(&names(&proxy, 5)), BTreeMap::from([("primary", 5)]));
    drop(primary);
    assert_eq!(shares(&names(&proxy, 5)), BTreeMap::from([("backup", 5)]));
}

fn an_address_sticks_to_its_server(tier: Tier) {
    let origins = ["a", "b", "c"].map(Origin::named);
    let servers = origins.each_ref().map(Origin::server);
    let proxy =
        Config::new(tier).shards(2).upstream("app", &servers, "balance = \"ip_hash\"").start();
    let server_of = |source: &str| {
        let mut client = Client::connect_from(source, &proxy.address());
        client.get("/").text().to_owned()
    };
    let sources: Vec<_> = (1..=24).map(|host| format!("127.0.0.{host}")).collect();
    let chosen: Vec<_> = sources.iter().map(|source| server_of(source)).collect();
    let again: Vec<_> = sources.iter().map(|source| server_of(source)).collect();
    assert_eq!(chosen, again);
    assert_eq!(shares(&chosen).len(), 3, "24 addresses use 3 servers: {chosen:?}");
}

/// The server of each of 30 keys, by a field, a cookie or the path.
fn servers_of_keys(proxy: &Proxy, request: impl Fn(usize) -> String) -> Vec<String> {
    let mut client = proxy.client();
    (0..30).map(|key| client.request(request(key)).text().to_owned()).collect()
}

fn a_key_sticks_to_its_server(tier: Tier) {
    let origins = ["a", "b", "c"].map(Origin::named);
    let servers = origins.each_ref().map(Origin::server);
    let get = |path: String, line: String| format!("GET {path} HTTP/1.1\r\nHost: t\r\n{line}\r\n");
    type Request = Box<dyn Fn(usize) -> String>;
    let table: [(&str, Request); 3] = [
        (
            "cookie:session",
            Box::new(move |key| get("/".into(), format!("Cookie: x=y; session={key}\r\n"))),
        ),
        ("field:x-tenant", Box::new(move |key| get("/".into(), format!("X-Tenant: {key}\r\n")))),
        ("path", Box::new(move |key| get(format!("/{key}?{key}"), String::new()))),
    ];
    for (hash, request) in table {
        let settings = format!("balance = \"consistent_hash\"\nhash = {hash:?}");
        let proxy = Config::new(tier).shards(2).upstream("app", &servers, &settings).start();
        let chosen = servers_of_keys(&proxy, &request);
        assert_eq!(chosen, servers_of_keys(&proxy, &request), "{hash}");
        assert_eq!(shares(&chosen).len(), 3, "{hash}: 30 keys use 3 servers: {chosen:?}");
    }
}

fn a_key_moves_only_with_its_server(tier: Tier) {
    let mut origins = ["a", "b", "c"].map(Origin::named).map(Some);
    let servers: Vec<_> = origins.iter().flatten().map(Origin::server).collect();
    let proxy = balanced(tier, "balance = \"consistent_hash\"\nhash = \"path\"", &servers);
    let request = |key| format!("GET /{key} HTTP/1.1\r\nHost: t\r\n\r\n");
    let before = servers_of_keys(&proxy, request);
    origins[0] = None;
    let after = servers_of_keys(&proxy, request);
    for (before, after) in before.iter().zip(&after) {
        assert!(after != "a" && (before == "a" || before == after), "{before} became {after}");
    }
}

/// A proxy before one slow server that takes one request at a time.
fn narrow(tier: Tier, origin: &Origin, settings: &str) -> Proxy {
    balanced(tier, settings, &[origin.server_with("max_connections = 1")])
}

fn a_server_gets_no_more_than_its_most(tier: Tier) {
    let gate = Gate::shut();
    let origin = origin_waits_for(&gate);
    let settings = "queue = { max = 10, timeout = \"10s\" }";
    let proxy = Config::new(tier)
        .upstream("app", &[origin.server_with("max_connections = 1")], settings)
        .route("path = \"/\"\nupstream = \"app\"")
        .route("path = \"/here\"\nrespond = { status = 200, body = \"here\" }")
        .start();
    let mut clients: Vec<_> = (0..4).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    origin.await_requests(1);
    // The shard takes turns: it has decided about all four before it answers one that came later.
    assert_eq!(proxy.get("/here").text(), "here");
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    // A second request at the same time would have needed a second connection.
    assert_eq!((origin.requests().len(), origin.connections()), (4, 1));
}

fn a_full_queue_is_503(tier: Tier) {
    let gate = Gate::shut();
    let origin = origin_waits_for(&gate);
    let proxy = narrow(tier, &origin, "queue = { max = 1, timeout = \"10s\" }");
    let (mut first, mut second) = (proxy.client(), proxy.client());
    first.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.await_requests(1);
    second.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    wait_until("the queue is full", || {
        let mut third = proxy.client();
        third.patience(ms(500));
        third.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        third.try_response().is_ok_and(|response| response.status == 503)
    });
    gate.open();
    assert_eq!((first.response().status, second.response().status), (200, 200));
}

fn a_queued_request_waits_in_vain_for_so_long(tier: Tier) {
    let gate = Gate::shut();
    let origin = origin_waits_for(&gate);
    let proxy = narrow(tier, &origin, "queue = { max = 10, timeout = \"300ms\" }");
    let mut first = proxy.client();
    first.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.await_requests(1);
    let (waited, response) = timed(|| proxy.get("/"));
    assert_eq!(response.status, 503);
    assert!((ms(300)..ms(5_000)).contains(&waited), "{waited:?}");
    gate.open();
    assert_eq!(first.response().status, 200);
}

fn a_client_that_leaves_the_queue_frees_its_place(tier: Tier) {
    let gate = Gate::shut();
    let origin = origin_waits_for(&gate);
    let proxy = narrow(tier, &origin, "queue = { max = 1, timeout = \"10s\" }");
    let mut first = proxy.client();
    first.send("GET /first HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.await_requests(1);
    let mut leaver = proxy.client();
    leaver.send("GET /leaver HTTP/1.1\r\nHost: test\r\n\r\n");
    leaver.reset_on_close();
    drop(leaver);
    let mut last = proxy.client();
    wait_until("there is room in the queue", || {
        last = proxy.client();
        last.patience(ms(300));
        last.send("GET /last HTTP/1.1\r\nHost: test\r\n\r\n");
        // Silence means that it waits in the queue.
        last.response_head("GET") == Err(End::Silent)
    });
    last.patience(PATIENCE);
    gate.open();
    assert_eq!((first.response().status, last.response().status), (200, 200));
    assert!(origin.requests().iter().all(|request| request.target != "/leaver"));
}

fn a_request_that_fails_gives_its_place_back(tier: Tier) {
    let origin = Origin::scripted(|conn| {
        let request = conn.request()?;
        match request.target.as_str() {
            "/closes" => Ok(()),
            "/breaks" => conn.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"),
            "/waits" => conn.await_end(),
            _ => conn.send(ok("fine")),
        }
    });
    let settings = "queue = { max = 10, timeout = \"10s\" }\ntimeouts = { response = \"200ms\" }";
    let proxy = narrow(tier, &origin, settings);
    for path in ["/closes", "/breaks", "/waits"] {
        let mut client = proxy.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        let _ = client.try_response();
        drop(client);
        assert_eq!(proxy.get("/").text(), "fine", "after {path}");
    }
}
