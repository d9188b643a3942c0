//! What goes on, for who watches it: `/v1/live`, and the page that draws it.

#[macro_use]
mod support;

use std::thread;

use serde_json::Value;
use support::*;

tiered! {
    figures_are_those_of_the_last_seconds,
    events_come_once_a_second_and_watchers_are_few,
    watchers_that_do_not_read_cost_nothing,
    watchers_end_with_what_let_them_in,
    the_page_needs_nothing_from_elsewhere,
    the_configuration_is_shown_without_its_secrets,
}

const WATCHERS_MAX: usize = 16;

fn once(address: &Address) -> Value {
    let answer = ask(address, "GET", "/v1/live?once", &[]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_str(answer.text()).expect("JSON")
}

/// One who takes events.
struct Watcher {
    client: Client,
    text: Vec<u8>,
}

impl Watcher {
    fn join(address: &Address) -> Watcher {
        let mut client = Client::connect(address);
        client.send("GET /v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let head = client.response_head("GET").expect("a head");
        assert_eq!(head.status, 200);
        assert_eq!(head.fields.get("content-type"), Some("text/event-stream"));
        Watcher { client, text: Vec::new() }
    }

    /// The next event; `None`: there will be none.
    fn next(&mut self) -> Option<Value> {
        loop {
            let text = String::from_utf8_lossy(&self.text);
            if let Some((_, rest)) = text.split_once("data: ")
                && let Some((event, rest)) = rest.split_once("\n\n")
            {
                let value = serde_json::from_str(event).expect("JSON");
                self.text = rest.as_bytes().to_vec();
                return Some(value);
            }
            self.text.extend(self.client.some(1 << 16).ok()?);
        }
    }
}

fn figures_are_those_of_the_last_seconds(tier: Tier) {
    let admin = Admin::new();
    let [one, two] = ["one", "two"].map(Origin::named);
    let refusing = Origin::named("gone").gone();
    let servers = [one.server(), two.server(), format!("\"{refusing}\"")];
    let proxy = Config::new(tier)
        .shards(2)
        .upstream("app", &servers, "balance = \"round_robin\"")
        .endless()
        .toml(&admin.toml())
        .start();
    let address = admin.address();
    let quiet = once(&address);
    assert_eq!(quiet["phases"]["total"]["count"], 0);
    assert_eq!(
        (quiet["servers"][0]["share"].is_null(), &quiet["state"]),
        (true, &"serving".into())
    );
    let (over, served) = (Over::default(), Default::default());
    let live = thread::scope(|scope| {
        for number in 0..2 {
            let (proxy, over, served) = (&proxy, &over, &served);
            scope.spawn(move || proxy.keep_asking("/", number, over, served));
        }
        let _end = over.at_the_end();
        let mut watcher = Watcher::join(&address);
        loop {
            let live = watcher.next().expect("an event");
            if live["requests_per_s"].as_f64() > Some(0.0) && live["servers"][1]["share"].is_f64() {
                break live;
            }
        }
    });
    let total = &live["phases"]["total"];
    assert!(total["count"].as_u64() > Some(0), "{live}");
    assert!(total["p50"].as_u64() <= total["p99"].as_u64());
    let counts = live["heat"]["counts"].as_array().expect("counts");
    assert_eq!(counts.len(), live["heat"]["bounds_us"].as_array().expect("bounds").len() + 1);
    assert!(counts.iter().filter_map(Value::as_u64).sum::<u64>() > 0, "{live}");
    let shards = live["shards"].as_array().expect("shards");
    assert_eq!(shards.len(), 2);
    let sum: f64 = shards.iter().filter_map(|shard| shard["requests_per_s"].as_f64()).sum();
    assert!((sum - live["requests_per_s"].as_f64().expect("a rate")).abs() < 1.0, "{live}");
    let servers = live["servers"].as_array().expect("servers");
    let shares: f64 = servers.iter().filter_map(|server| server["share"].as_f64()).sum();
    assert!((shares - 1.0).abs() < 0.01, "{live}");
    let gone = servers.iter().find(|one| one["address"] == refusing.to_string()).expect("it");
    assert!(gone["failures"].as_u64() > Some(0) && gone["status"] == "ejected", "{gone}");
    let errors = live["errors"].as_array().expect("errors");
    let says = |line: &Value| line["text"].as_str().is_some_and(|text| text.contains("taken out"));
    assert!(errors.iter().any(says), "{errors:?}");
    assert_eq!(
        (&live["config"]["generation"], live["config"]["last_reload"].is_null()),
        (&1.into(), true)
    );
    admin.ctl(&["reload"]);
    // What was seen just before may still be what is newest.
    wait_until("the reload is told of", || {
        let config = &once(&address)["config"];
        config["generation"] == 2 && config["last_reload"]["ok"] == true
    });
    assert_eq!(ask(&address, "GET", "/v1/live?nonsense", &[]).status, 400);
    // Ten seconds later nothing of it is left.
    let mut watcher = Watcher::join(&address);
    wait_at_most(ms(20_000), "it is quiet again", || {
        watcher.next().expect("an event")["phases"]["total"]["count"] == 0
    });
}

fn events_come_once_a_second_and_watchers_are_few(tier: Tier) {
    let admin = Admin::new();
    let proxy = Config::new(tier).origin("app", &Origin::named("app")).toml(&admin.toml()).start();
    let address = admin.address();
    let mut watchers: Vec<Watcher> = (0..WATCHERS_MAX).map(|_| Watcher::join(&address)).collect();
    let mut times = Vec::new();
    for watcher in &mut watchers {
        let at = |event: Option<Value>| event.expect("an event")["at"].as_u64().expect("a time");
        let first = at(watcher.next());
        let [second, third] = [at(watcher.next()), at(watcher.next())];
        assert!((700..3_000).contains(&(third - second)), "{first} {second} {third}");
        times.push(first);
    }
    // All are told the same.
    times.dedup();
    assert!(times.len() <= 3, "{times:?}");
    let full = ask(&address, "GET", "/v1/live", &[]);
    assert_eq!(full.status, 503);
    assert!(full.text().contains("16 watch already"), "{}", full.text());
    // Who only asks is not kept waiting by them, however many.
    for _ in 0..40 {
        assert_eq!(ask(&address, "GET", "/v1/routes", &[]).status, 200);
    }
    assert!(watchers[0].next().is_some());
    watchers.pop();
    wait_until("there is room again", || ask(&address, "GET", "/v1/live?once", &[]).status == 200);
    drop(watchers);
    proxy.assert_does_not_spin(ms(300));
}

fn watchers_that_do_not_read_cost_nothing(tier: Tier) {
    let servers: Vec<String> = (1..=200).map(|n| format!("\"127.0.1.{n}:9\"")).collect();
    let admin = Admin::new();
    let proxy = Config::new(tier).upstream("many", &servers, "").toml(&admin.toml()).start();
    let address = admin.address();
    let mut good = Watcher::join(&address);
    let event = good.next().expect("an event");
    assert_eq!(event["servers"].as_array().map(Vec::len), Some(200));
    let mut idle: Vec<Client> =
        (1..WATCHERS_MAX).map(|_| Client::connect_with_buffer(4096, &address)).collect();
    for client in &mut idle {
        client.send("GET /v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    // By then all that the sockets hold is full, and the last ten seconds are remembered.
    for _ in 0..12 {
        good.next().expect("an event");
    }
    let before = proxy.resident();
    for _ in 0..5 {
        good.next().expect("an event");
    }
    let grown = proxy.resident().saturating_sub(before);
    // Kept for all of them, five events of this size would be three times as much.
    assert!(grown < 1 << 20, "{grown} bytes more");
}

fn watchers_end_with_what_let_them_in(tier: Tier) {
    let admin = Admin::new();
    let config = |token: &str| {
        let route = "path = \"/\"\nrespond = { status = 204 }";
        Config::new(tier).route(route).toml(&format!("{}\n{token}", admin.toml()))
    };
    let proxy = config("").start();
    let mut watcher = Watcher::join(&admin.address());
    watcher.next().expect("an event");
    proxy.reload(&config("mode = \"0660\""));
    wait_until("it is sent away", || watcher.next().is_none());
    let mut watcher = Watcher::join(&admin.address());
    watcher.next().expect("an event");
    proxy.terminate();
    while watcher.next().is_some() {}
}

fn the_page_needs_nothing_from_elsewhere(tier: Tier) {
    let route = "path = \"/\"\nrespond = { status = 204 }";
    let token = "[admin]\naddress = \"127.0.0.1:0\"\ntoken = \"0123456789abcdef0123\"";
    let proxy = Config::new(tier).route(route).toml(token).start();
    let address = admin_address(&proxy);
    let page = ask(&address, "GET", "/", &[]);
    assert_eq!(
        (page.status, page.fields.get("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    let policy = page.fields.get("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("-inline"), "{policy}");
    assert_eq!(ask(&address, "HEAD", "/", &[]).status, 200);
    assert_eq!(ask(&address, "POST", "/", &[]).status, 401);
    // Not by a name that was made to point here, and neither is what it draws.
    for path in ["/", "/v1/live?once", "/v1/config"] {
        let rebound = ask(&address, "GET", path, &[("Host", "rebound.example:9900")]);
        assert_eq!(rebound.status, 403, "{path}");
    }
    let about = |address: &Address| -> Value {
        serde_json::from_str(ask(address, "GET", "/v1", &[]).text()).expect("JSON")
    };
    assert_eq!(about(&address)["changes"], "token");
    let admin = Admin::new();
    let _proxy = Config::new(tier).route(route).toml(&admin.toml()).start();
    assert_eq!(about(&admin.address())["changes"], "anyone");
}

fn the_configuration_is_shown_without_its_secrets(tier: Tier) {
    let (token, route) = ("0123456789abcdef0123", "path = \"/\"\nrespond = { status = 204 }");
    let fields = "response_fields = { set = { X-Api-Key = \"hidden-value\" } }";
    let config = Config::new(tier)
        .route(&format!("{route}\n{fields}"))
        .toml(&format!("[admin]\naddress = \"127.0.0.1:0\"\ntoken = {token:?}"));
    let proxy = config.start();
    let shown = ask(&admin_address(&proxy), "GET", "/v1/config", &[]);
    let value: Value = serde_json::from_str(shown.text()).expect("JSON");
    let text = value["files"][0]["text"].as_str().expect("a text");
    assert!(text.contains("respond = { status = 204 }") && text.contains("(not shown)"), "{text}");
    assert!(!text.contains(token) && !text.contains("hidden-value"), "{text}");
    assert_eq!((&value["generation"], value["last_reload"].is_null()), (&1.into(), true));
}
