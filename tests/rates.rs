//! How often requests may come: 429 for more.

#[macro_use]
mod support;

use std::thread;

use support::*;

tiered! {
    a_burst_passes_and_more_is_429,
    tokens_return_with_time,
    a_field_or_a_cookie_tells_clients_apart,
    all_requests_may_count_together,
    routes_share_a_rate,
    every_rate_of_a_route_must_agree,
    what_one_rate_refuses_costs_the_others_nothing,
    a_refused_body_is_never_the_next_request,
    many_keys_take_no_more_memory,
    shards_keep_to_the_rate_together,
}

/// A rate whose tokens do not return while a test runs.
fn scarce(name: &str, burst: u32, key: &str) -> String {
    format!("[[rate]]\nname = {name:?}\nrequests = 1\nper = \"1h\"\nburst = {burst}\nkey = {key:?}")
}

fn route(path: &str, rates: &str) -> String {
    format!("path = {path:?}\nrespond = {{ status = 200, body = \"in\" }}\nrate = {rates}")
}

fn statuses(client: &mut Client, requests: &[&str]) -> Vec<u16> {
    requests.iter().map(|request| client.request(request).status).collect()
}

const GET: &str = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";

fn a_burst_passes_and_more_is_429(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Config::new(tier)
        .origin("app", &origin)
        .toml(&scarce("clients", 3, "ip"))
        .route("path = \"/\"\nupstream = \"app\"\nrate = \"clients\"")
        .route("path = \"/free\"\nupstream = \"app\"")
        .start();
    let mut client = proxy.client();
    assert_eq!(statuses(&mut client, &[GET; 3]), [200; 3]);
    let refusal = client.get("/");
    assert_eq!(refusal.status, 429);
    let wait: u32 = refusal.field("retry-after").expect("a time").parse().expect("a number");
    assert!((3_500..=3_600).contains(&wait), "{wait}");
    assert!(refusal.text().contains("too many requests"), "{}", refusal.text());
    assert_eq!(proxy.get("/").status, 429, "on another connection too");
    assert_eq!(client.get("/free").status, 200, "on the same one, elsewhere");
    let other = Client::connect_from("127.0.0.2", &proxy.address()).get("/");
    assert_eq!(other.status, 200, "another client");
    assert_eq!(origin.requests().len(), 5);
}

fn tokens_return_with_time(tier: Tier) {
    let rate = "[[rate]]\nname = \"a\"\nrequests = 2\nper = \"1s\"\nburst = 1";
    let proxy = Config::new(tier).toml(rate).route(&route("/", "\"a\"")).start();
    let mut client = proxy.client();
    let (waited, ()) = timed(|| {
        assert_eq!(client.get("/").status, 200);
        let refusal = client.get("/");
        assert_eq!((refusal.status, refusal.field("retry-after")), (429, Some("1")));
        wait_until("there is another token", || client.get("/").status == 200);
    });
    // The shard reads its clock once a turn, a little before it answers.
    assert!(waited >= ms(490), "{waited:?}");
}

fn a_field_or_a_cookie_tells_clients_apart(tier: Tier) {
    let proxy = Config::new(tier)
        .toml(&scarce("keys", 1, "field:X-Key"))
        .toml(&scarce("sessions", 1, "cookie:id"))
        .route(&route("/field", "\"keys\""))
        .route(&route("/cookie", "\"sessions\""))
        .start();
    for (path, name, [one, two]) in
        [("/field", "X-Key", ["one", "two"]), ("/cookie", "Cookie", ["a=1; id=x", "id=y"])]
    {
        let with =
            |value: &str| format!("GET {path} HTTP/1.1\r\nHost: t\r\n{name}: {value}\r\n\r\n");
        let without = format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n");
        let (one, two) = (with(one), with(two));
        let mut client = proxy.client();
        let found = statuses(&mut client, &[&one, &two, &one, &without, &two, &without]);
        assert_eq!(found, [200, 200, 429, 200, 429, 429], "{path}");
        let mut other = Client::connect_from("127.0.0.2", &proxy.address());
        assert_eq!(statuses(&mut other, &[&one, &without]), [429, 200], "{path}");
    }
}

fn all_requests_may_count_together(tier: Tier) {
    let proxy = Config::new(tier).toml(&scarce("a", 2, "all")).route(&route("/", "\"a\"")).start();
    let found = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
        .map(|source| Client::connect_from(source, &proxy.address()).get("/").status);
    assert_eq!(found, [200, 200, 429]);
}

fn routes_share_a_rate(tier: Tier) {
    let proxy = Config::new(tier)
        .toml(&scarce("a", 2, "ip"))
        .route(&route("/one", "\"a\""))
        .route(&route("/two", "\"a\""))
        .start();
    let found = ["/one", "/two", "/one", "/two"].map(|path| proxy.get(path).status);
    assert_eq!(found, [200, 200, 429, 429]);
}

fn every_rate_of_a_route_must_agree(tier: Tier) {
    let proxy = Config::new(tier)
        .toml(&scarce("each", 1, "field:X-Key"))
        .toml(&scarce("together", 2, "all"))
        .route(&route("/", "[\"each\", \"together\"]"))
        .start();
    let with = |value: &str| format!("GET / HTTP/1.1\r\nHost: t\r\nX-Key: {value}\r\n\r\n");
    let [one, two, three] = ["1", "2", "3"].map(with);
    let mut client = proxy.client();
    assert_eq!(statuses(&mut client, &[&one, &one, &two, &three]), [200, 429, 200, 429]);
}

fn what_one_rate_refuses_costs_the_others_nothing(tier: Tier) {
    for order in ["[\"each\", \"all\"]", "[\"all\", \"each\"]"] {
        let proxy = Config::new(tier)
            .toml(&scarce("each", 1, "ip"))
            .toml(&scarce("all", 3, "all"))
            .route(&route("/", order))
            .start();
        assert_eq!(statuses(&mut proxy.client(), &[GET; 4]), [200, 429, 429, 429], "{order}");
        for other in ["127.0.0.2", "127.0.0.3"] {
            let mut other = Client::connect_from(other, &proxy.address());
            assert_eq!(other.get("/").status, 200, "{order}");
        }
        let mut last = Client::connect_from("127.0.0.4", &proxy.address());
        assert_eq!(last.get("/").status, 429, "{order}");
    }
}

fn a_refused_body_is_never_the_next_request(tier: Tier) {
    let proxy = Config::new(tier).toml(&scarce("a", 1, "ip")).route(&route("/", "\"a\"")).start();
    let mut client = proxy.client();
    assert_eq!(client.get("/").status, 200);
    assert_eq!(client.post("/", GET).status, 429, "a body that is here is skipped");
    assert_eq!(client.get("/").status, 429);
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nGET / HT");
    let refusal = client.response();
    assert_eq!(refusal.status, 429);
    assert!(refusal.fields.lists("connection", "close"), "one that is not ends the connection");
    client.assert_closed();
}

fn many_keys_take_no_more_memory(tier: Tier) {
    let rate = scarce("a", 3, "field:X-Key").replace("burst", "keys = 1024\nburst");
    let config = Config::new(tier).toml(&rate).endless();
    let proxy = config.route(&route("/", "\"a\"")).start();
    let mut client = proxy.client();
    let mut send = |keys: std::ops::Range<u32>| {
        for batch in keys.step_by(50) {
            let with = |key| format!("GET / HTTP/1.1\r\nHost: t\r\nX-Key: {key}\r\n\r\n");
            client.send((batch..batch + 50).map(with).collect::<String>());
            (0..50).for_each(|_| assert_eq!(client.response().status, 200));
        }
    };
    send(0..2_000);
    let before = proxy.resident();
    send(2_000..40_000);
    let grown = proxy.resident().saturating_sub(before);
    // A key takes 16 bytes and more.
    assert!(grown < 256 << 10, "grew by {grown} bytes");
}

/// Somebody on many connections, which the kernel spreads over both shards.
fn shards_keep_to_the_rate_together(tier: Tier) {
    const RATE: u32 = 40;
    const BURST: u32 = 10;
    const CLIENTS: usize = 12;
    let rate = format!("[[rate]]\nname = \"a\"\nrequests = {RATE}\nburst = {BURST}");
    let proxy = Config::new(tier).shards(2).toml(&rate).route(&route("/", "\"a\"")).start();
    let count = || {
        let mut client = proxy.client();
        let mut passed = 0;
        for _ in 0..500 {
            passed += u32::from(client.get("/").status == 200);
            pause(ms(4)); // Many times the rate, not all that two processors can do.
        }
        passed
    };
    let (elapsed, passed) = timed(|| {
        thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(count)).collect();
            clients.into_iter().map(|client| client.join().expect("a count")).sum::<u32>()
        })
    });
    let elapsed = elapsed.as_secs_f64();
    let due = f64::from(RATE) * elapsed;
    // A burst from each shard before they first tell, and what comes in the last interval.
    let most = due + f64::from(2 * BURST) + f64::from(RATE) * 0.3;
    let least = 0.8 * due;
    assert!((least..=most).contains(&f64::from(passed)), "{passed} in {elapsed:.2} s");
}
