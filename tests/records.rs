//! Each request is recorded once, whatever becomes of it.

#[macro_use]
mod support;

use support::*;

tiered! {
    each_request_is_recorded_once,
    what_begins_no_request_is_not_recorded,
}

const TIMES: u64 = 3;

/// How many requests have ended, by the count of records.
fn finished(admin: &Admin) -> u64 {
    admin.json(&["counters"])["counters"]["finished"].as_u64().expect("a number")
}

fn each_request_is_recorded_once(tier: Tier) {
    let gate = Gate::shut();
    let (origin, waiting) = (Origin::saying(ok("hello")), origin_waits_for(&gate));
    let (mute, broken) = (origin_closes_before_answer(), origin_closes_mid_body());
    let (refusing, tunnelling) = (origin_refuses(), origin_upgrades());
    let admin = Admin::new();
    let mut config = Config::new(tier).toml(&admin.toml());
    for (name, server) in [
        ("app", origin.server()),
        ("waiting", waiting.server()),
        ("mute", mute.server()),
        ("broken", broken.server()),
        ("refusing", refusing.server()),
        ("tunnelling", tunnelling.server()),
    ] {
        config = config.upstream(name, &[server], "");
        config = config.route(&format!("path = \"/{name}\"\nupstream = {name:?}"));
    }
    let own = "path = \"/own\"\nrespond = { status = 200, body = \"own\" }";
    let moved = "path = \"/moved\"\nredirect = { to = \"https://$host$request_uri\" }";
    let proxy = config.route(own).route(moved).start();

    let client = || proxy.client();
    let get = |path: &str, status| assert_eq!(client().get(path).status, status, "{path}");
    let bad = "GET /app HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
    let upgrade =
        "GET /tunnelling HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let large = "GET /app HTTP/1.1\r\nHost: a\r\nX: ".to_owned() + &"x".repeat(70_000);
    let fates: &[(&str, &dyn Fn())] = &[
        ("proxied", &|| get("/app", 200)),
        ("posted", &|| assert_eq!(client().post("/app", "abc").status, 200)),
        ("answered by a route", &|| get("/own", 200)),
        ("redirected", &|| get("/moved", 308)),
        ("without a route", &|| get("/nowhere", 404)),
        ("refused", &|| assert_eq!(client().request(bad).status, 400)),
        ("with too long a head", &|| assert_eq!(client().request(&large).status, 431)),
        ("without a connection", &|| get("/refusing", 502)),
        ("without an answer", &|| get("/mute", 502)),
        ("that cannot be forwarded", &|| {
            let trace = "TRACE /app HTTP/1.1\r\nHost: a\r\n\r\n";
            assert_eq!(client().request(trace).status, 405);
        }),
        ("broken off by the server", &|| {
            let mut client = client();
            client.send("GET /broken HTTP/1.1\r\nHost: a\r\n\r\n");
            assert!(client.try_response().expect("a head").broken.is_some());
        }),
        ("broken off by the client", &|| {
            let before = waiting.connections();
            let mut client = client();
            client.send("GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n");
            waiting.await_connections(before + 1);
            client.reset_on_close();
        }),
        ("with half a head", &|| client().send("GET /app HTTP/1.1\r\nHos")),
        ("that becomes a tunnel", &|| {
            let mut client = client();
            client.send(upgrade);
            let head = client.response_head("GET").expect("a head");
            assert_eq!(head.status, 101);
        }),
    ];
    let mut expected = 0;
    for (fate, happen) in fates {
        for _ in 0..TIMES {
            happen();
        }
        expected += TIMES;
        let mut last = 0;
        let all = || {
            last = finished(&admin);
            last >= expected
        };
        assert!(comes_true(PATIENCE, all), "requests {fate}: a record is missing");
        assert_eq!(last, expected, "requests {fate}");
    }
    // On one connection, and none twice when that ends.
    let mut client = client();
    for _ in 0..TIMES {
        client.get("/app");
        client.get("/own");
    }
    drop(client);
    let connections = || admin.json(&["counters"])["gauges"]["connections"].as_u64();
    // Tunnels end with their clients; nothing else is left.
    wait_until("no connection is left", || connections() == Some(0));
    assert_eq!(finished(&admin), expected + 2 * TIMES);
    gate.open();
}

fn what_begins_no_request_is_not_recorded(tier: Tier) {
    let admin = Admin::new();
    let proxy = Config::new(tier)
        .route("path = \"/\"\nrespond = { status = 200, body = \"own\" }")
        .toml(&admin.toml())
        .start();
    drop(proxy.client());
    assert_eq!(proxy.get("/").status, 200);
    wait_until("it is recorded", || finished(&admin) >= 1);
    assert_eq!(finished(&admin), 1);
}
