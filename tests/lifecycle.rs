//! Starting, stopping and reporting: what the process says, when it ends and with which code.

#[macro_use]
mod support;

use rustix::process::Signal;
use support::*;

tiered! {
    the_tier_is_logged,
    an_idle_proxy_stops_at_once,
    idle_connections_do_not_delay_a_stop,
    a_request_in_progress_is_finished_first,
    a_body_in_progress_is_finished_first,
    what_waits_to_be_accepted_is_served_first,
    what_waits_for_room_is_served_first,
    a_last_place_that_becomes_free_is_no_end,
    a_tunnel_does_not_outlive_the_drain,
    the_drain_has_an_end,
    a_second_signal_ends_at_once,
    every_shard_stops,
    latencies_are_reported_on_a_signal,
    latencies_are_reported_at_the_end,
}

fn the_tier_is_logged(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    proxy.await_stderr(&format!("tier {tier}"));
}

fn an_idle_proxy_stops_at_once(tier: Tier) {
    for signal in [Signal::TERM, Signal::INT] {
        let origin = Origin::named("origin");
        let proxy = Proxy::before(tier, &origin);
        let address = proxy.address();
        assert_eq!(proxy.get("/").text(), "origin");
        proxy.signal(signal);
        assert_eq!(proxy.wait().status.code(), Some(0));
        let (socket, address) = address.socket();
        assert!(socket.connect(&address).is_err(), "the port is free again");
        assert!(origin.await_end(0).is_over());
    }
}

fn idle_connections_do_not_delay_a_stop(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let (mut used, mut unused) = (proxy.client(), proxy.client());
    used.get("/");
    let (waited, exit) = timed(|| proxy.terminate());
    assert!(exit.status.success() && waited < ms(5_000), "{waited:?}");
    used.assert_closed();
    unused.assert_closed();
}

fn a_request_in_progress_is_finished_first(tier: Tier) {
    let gate = Gate::shut();
    let origin = origin_waits_for(&gate);
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.await_requests(1);
    proxy.signal(Signal::TERM);
    wait_until("no one is let in any more", || {
        let (socket, address) = proxy.address().socket();
        socket.connect(&address).is_err()
    });
    gate.open();
    let response = client.response();
    assert_eq!(response.text(), "late");
    assert!(response.fields.lists("connection", "close"));
    client.assert_closed();
    assert_eq!(proxy.wait().status.code(), Some(0));
}

fn a_body_in_progress_is_finished_first(tier: Tier) {
    const LENGTH: u64 = 64 << 20;
    let origin = origin_streams(LENGTH);
    let proxy = Proxy::before(tier, &origin);
    let mut client = Client::connect_with_buffer(64 << 10, &proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    let response = client.response_head("GET").expect("a head");
    proxy.signal(Signal::TERM);
    assert_eq!(client.skip_body(response.framing), LENGTH);
    client.assert_closed();
    assert_eq!(proxy.wait().status.code(), Some(0));
}

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/// Clients that have sent a request and are not accepted yet.
fn queued(proxy: &Proxy, count: u64) -> Vec<Client> {
    let before = proxy.accept_queue(&proxy.address());
    let mut clients: Vec<_> = (0..count).map(|_| proxy.client()).collect();
    clients.iter_mut().for_each(|client| client.send(GET));
    let waiting = || proxy.accept_queue(&proxy.address());
    wait_until("they wait to be accepted", || waiting() == before + count);
    clients
}

#[track_caller]
fn assert_served(clients: Vec<Client>) {
    for mut client in clients {
        assert_eq!(client.response().status, 200);
        client.assert_closed();
    }
}

fn what_waits_to_be_accepted_is_served_first(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Config::new(tier).shards(2).origin("app", &origin).start();
    // It finds them and the signal at the same time.
    proxy.signal(Signal::STOP);
    let clients = queued(&proxy, 30);
    proxy.signal(Signal::TERM);
    proxy.signal(Signal::CONT);
    assert_served(clients);
    assert_eq!(proxy.wait().status.code(), Some(0));
    assert_eq!(origin.requests().len(), 30);
}

fn what_waits_for_room_is_served_first(tier: Tier) {
    let gate = Gate::shut();
    let origin = origin_waits_for(&gate);
    let limit = "[limits]\nconnections = 2";
    let proxy = Config::new(tier).origin("app", &origin).toml(limit).start();
    let mut inside = vec![proxy.client(), proxy.client()];
    inside.iter_mut().for_each(|client| client.send(GET));
    origin.await_requests(2);
    let clients = queued(&proxy, 5);
    proxy.signal(Signal::TERM);
    origin.await_requests(7);
    gate.open();
    assert_served(inside);
    assert_served(clients);
    assert_eq!(proxy.wait().status.code(), Some(0));
}

fn a_last_place_that_becomes_free_is_no_end(tier: Tier) {
    let origin = Origin::named("origin");
    let limit = "[limits]\nconnections = 1";
    for _ in 0..10 {
        let proxy = Config::new(tier).origin("app", &origin).toml(limit).start();
        let mut idle = proxy.client();
        assert_eq!(idle.get("/").status, 200);
        let clients = queued(&proxy, 3);
        proxy.signal(Signal::TERM);
        assert_served(clients);
        idle.assert_closed();
        assert_eq!(proxy.wait().status.code(), Some(0));
    }
}

const DRAIN: &str = "[timeouts]\ndrain = \"400ms\"";

fn a_tunnel_does_not_outlive_the_drain(tier: Tier) {
    let origin = origin_upgrades();
    let proxy = Config::new(tier).origin("app", &origin).toml(DRAIN).start();
    let mut client = proxy.client();
    let upgrade = "GET / HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    assert_eq!(client.request(upgrade).status, 101);
    let (waited, exit) = timed(|| proxy.terminate());
    assert_eq!(exit.status.code(), Some(0));
    assert!(waited < ms(5_000), "{waited:?}");
    assert!(client.rest().1.is_over());
}

fn the_drain_has_an_end(tier: Tier) {
    let origin = origin_never_answers();
    let proxy = Config::new(tier).origin("app", &origin).toml(DRAIN).start();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.await_requests(1);
    let (waited, exit) = timed(|| proxy.terminate());
    assert_eq!(exit.status.code(), Some(0));
    assert!((ms(400)..ms(5_000)).contains(&waited), "{waited:?}");
    assert!(client.rest().1.is_over());
}

fn a_second_signal_ends_at_once(tier: Tier) {
    let origin = origin_never_answers();
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.await_requests(1);
    proxy.signal(Signal::TERM);
    wait_until("the first signal has arrived", || {
        let (socket, address) = proxy.address().socket();
        socket.connect(&address).is_err()
    });
    let (waited, _exit) = timed(|| proxy.terminate());
    assert!(waited < ms(5_000), "{waited:?}");
}

fn every_shard_stops(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Config::new(tier).shards(2).origin("app", &origin).start();
    let mut clients: Vec<_> = (0..40).map(|_| proxy.client()).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
    assert_eq!(proxy.terminate().status.code(), Some(0));
}

/// Four requests on one connection to the origin, so three of them reused it.
fn serve_four(proxy: &Proxy) {
    for _ in 0..4 {
        assert_eq!(proxy.get("/").status, 200);
    }
}

#[track_caller]
fn assert_is_report(stderr: &str) {
    for phase in ["head", "queue", "connect", "first byte", "body", "total"] {
        let line = stderr.lines().find(|line| line.trim_start().starts_with(phase));
        let line = line.unwrap_or_else(|| panic!("no line for {phase}:\n{stderr}"));
        let numbers = line.split_whitespace().filter(|word| word.parse::<f64>().is_ok());
        assert!(numbers.count() >= 4, "{line}");
    }
    assert!(stderr.contains("connections reused 3 of 4"), "{stderr}");
}

fn latencies_are_reported_on_a_signal(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    serve_four(&proxy);
    proxy.signal(Signal::USR1);
    proxy.await_stderr("connections reused 3 of");
    assert_is_report(&proxy.stderr());
    assert_eq!(proxy.get("/").text(), "origin", "and serving goes on");
}

fn latencies_are_reported_at_the_end(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    serve_four(&proxy);
    assert_is_report(&proxy.terminate().stderr);
}
