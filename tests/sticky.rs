//! Clients that come back to the server they had before, by a cookie.

#[macro_use]
mod support;

use std::collections::BTreeSet;

use support::*;

tiered! {
    a_client_comes_back_to_its_server,
    the_cookie_is_set_once_and_says_nothing,
    every_process_knows_the_cookie,
    without_the_setting_there_is_no_cookie,
    other_cookies_do_not_matter,
    the_cookie_of_another_upstream_does_not_count,
    a_server_that_is_gone_is_replaced,
    the_cookie_names_the_server_that_answered,
    a_full_server_is_replaced_at_once,
    a_drained_server_keeps_its_sessions,
    a_server_that_is_taken_down_loses_them,
    a_backup_keeps_its_sessions,
    a_tunnel_sets_the_cookie,
    our_own_answers_set_none,
}

const STICKY: &str = "sticky = { name = \"sid\" }";

fn three() -> [Origin; 3] {
    ["a", "b", "c"].map(Origin::named)
}

fn servers(origins: &[Origin]) -> Vec<String> {
    origins.iter().map(Origin::server).collect()
}

fn before(tier: Tier, servers: &[String], settings: &str) -> Proxy {
    Config::new(tier).shards(2).upstream("app", servers, settings).start()
}

/// The response to a GET that carries this Cookie, on a connection of its own.
fn get_with(proxy: &Proxy, cookie: &str) -> Response {
    proxy.client().request(format!("GET / HTTP/1.1\r\nHost: test\r\nCookie: {cookie}\r\n\r\n"))
}

/// The `name=value` that a response sets.
fn cookie(response: &Response) -> String {
    let set = response.field("set-cookie").expect("a cookie");
    set.split(';').next().expect("a first part").to_owned()
}

/// A cookie for each of these servers, by what the server says.
fn cookie_of(proxy: &Proxy, name: &str) -> String {
    let mut found = None;
    wait_until("that server was chosen", || {
        let response = proxy.get("/");
        found = (response.text() == name).then(|| cookie(&response));
        found.is_some()
    });
    found.expect("waited for")
}

fn a_client_comes_back_to_its_server(tier: Tier) {
    let origins = three();
    let proxy = before(tier, &servers(&origins), STICKY);
    for name in ["a", "b", "c"] {
        let cookie = cookie_of(&proxy, name);
        for _ in 0..8 {
            let again = get_with(&proxy, &cookie);
            assert_eq!((again.text(), again.field("set-cookie")), (name, None));
        }
    }
}

fn the_cookie_is_set_once_and_says_nothing(tier: Tier) {
    let origins = three();
    let settings = "sticky = { name = \"sid\", ttl = \"1h\", same_site = \"none\", secure = true, \
                    http_only = false, path = \"/app\" }";
    let proxy = before(tier, &servers(&origins), settings);
    let mut seen = BTreeSet::new();
    wait_until("each server was chosen", || {
        let response = proxy.get("/");
        assert_eq!(response.fields.all("set-cookie").len(), 1);
        seen.insert(response.field("set-cookie").expect("a cookie").to_owned());
        seen.len() == 3
    });
    for set in &seen {
        let (pair, attributes) = set.split_once(';').expect("attributes");
        assert_eq!(attributes, " Path=/app; Max-Age=3600; SameSite=None; Secure");
        let value = pair.strip_prefix("sid=").expect("the name");
        assert!(value.len() == 16 && value.bytes().all(|b| b.is_ascii_hexdigit()), "{value}");
    }
}

fn every_process_knows_the_cookie(tier: Tier) {
    let origins = three();
    let mut reversed = servers(&origins);
    reversed.reverse();
    let first = before(tier, &servers(&origins), STICKY);
    let cookies = ["a", "b", "c"].map(|name| (name, cookie_of(&first, name)));
    drop(first);
    for (servers, settings) in [(servers(&origins), STICKY), (reversed, STICKY)] {
        let other = before(tier, &servers, settings);
        for (name, cookie) in &cookies {
            assert_eq!(get_with(&other, cookie).text(), *name, "{cookie}");
        }
    }
    let secret = "sticky = { name = \"sid\", secret = \"0123456789abcdef\" }";
    let other = before(tier, &servers(&origins), secret);
    for (_, known) in &cookies {
        assert_ne!(&cookie(&get_with(&other, known)), known, "a secret makes other cookies");
    }
}

fn without_the_setting_there_is_no_cookie(tier: Tier) {
    let origins = three();
    let proxy = before(tier, &servers(&origins), "");
    assert_eq!(get_with(&proxy, "sid=0123456789abcdef").field("set-cookie"), None);
}

fn other_cookies_do_not_matter(tier: Tier) {
    let origin = Origin::answering(|request| {
        let theirs = [("Set-Cookie", "session=1"), ("Set-Cookie", "theme=2")];
        response(200, &theirs, request.field("cookie").unwrap_or_default())
    });
    let other = Origin::named("other");
    let proxy = before(tier, &[origin.server(), other.server()], STICKY);
    let mut known = None;
    wait_until("the first server was chosen", || {
        let response = get_with(&proxy, "session=1; sid=; xsid=2; theme=\"sid=3\"");
        let sets = response.fields.all("set-cookie").len();
        assert_eq!(sets, if response.text() == "other" { 1 } else { 3 }, "{response:?}");
        known = response.fields.all("set-cookie").pop().map(str::to_owned);
        response.text() != "other"
    });
    let known = known.expect("a cookie");
    let pair = known.split(';').next().expect("a pair");
    let all = format!("session=1; {pair}; theme=2");
    let again = get_with(&proxy, &all);
    assert_eq!(again.text(), all, "it goes on to the server, which gets all that the client sent");
    assert_eq!(again.fields.all("set-cookie"), ["session=1", "theme=2"]);
}

fn the_cookie_of_another_upstream_does_not_count(tier: Tier) {
    let origins = three();
    let config = Config::new(tier)
        .upstream("app", &servers(&origins), STICKY)
        .upstream("shop", &servers(&origins), STICKY)
        .route("host = \"app.test\"\nupstream = \"app\"")
        .route("upstream = \"shop\"");
    let proxy = config.start();
    let to_app = |cookie: &str| {
        let lines = format!("Host: app.test\r\nCookie: {cookie}\r\n");
        proxy.client().request(format!("GET / HTTP/1.1\r\n{lines}\r\n"))
    };
    let app = cookie(&to_app("none=1"));
    let shop = cookie(&proxy.get("/"));
    assert_ne!(app, shop);
    assert!(to_app(&shop).field("set-cookie").is_some());
    let both = format!("{shop}; {app}");
    assert_eq!(to_app(&both).field("set-cookie"), None, "each finds its own");
    assert_eq!(get_with(&proxy, &both).field("set-cookie"), None);
}

fn a_server_that_is_gone_is_replaced(tier: Tier) {
    let [a, b, c] = three();
    let proxy = before(tier, &[a.server(), b.server(), c.server()], STICKY);
    let at_b = cookie_of(&proxy, "b");
    drop(b);
    let moved = get_with(&proxy, &at_b);
    let (name, now) = (moved.text().to_owned(), cookie(&moved));
    assert!(["a", "c"].contains(&name.as_str()) && now != at_b);
    for _ in 0..8 {
        let again = get_with(&proxy, &now);
        assert_eq!((again.text(), again.field("set-cookie")), (name.as_str(), None));
    }
    // Not in the configuration at all.
    let proxy = before(tier, &[a.server(), c.server()], STICKY);
    assert_ne!(cookie(&get_with(&proxy, &at_b)), at_b);
}

fn the_cookie_names_the_server_that_answered(tier: Tier) {
    let (refusing, good) = (origin_refuses(), Origin::named("good"));
    let proxy = before(tier, &[refusing.server(), good.server()], STICKY);
    let first = proxy.get("/");
    assert_eq!(first.text(), "good");
    let known = cookie(&first);
    for _ in 0..4 {
        assert_eq!(get_with(&proxy, &known).field("set-cookie"), None);
        assert_eq!(cookie(&proxy.get("/")), known, "whichever was tried first");
    }
}

fn a_full_server_is_replaced_at_once(tier: Tier) {
    let gate = Gate::shut();
    let held = gate.clone();
    let full = Origin::answering(move |request| {
        if request.target == "/held" {
            held.wait();
        }
        ok("full")
    });
    let other = Origin::named("other");
    let servers = [full.server_with("max_connections = 1"), other.server()];
    let proxy = Config::new(tier).upstream("app", &servers, STICKY).start();
    let known = cookie_of(&proxy, "full");
    let mut holding = proxy.client();
    holding.send(format!("GET /held HTTP/1.1\r\nHost: test\r\nCookie: {known}\r\n\r\n"));
    wait_until("it is full", || full.requests().iter().any(|r| r.target == "/held"));
    let moved = get_with(&proxy, &known);
    assert_eq!(moved.text(), "other");
    assert_ne!(cookie(&moved), known);
    gate.open();
    let response = holding.response();
    assert_eq!((response.text(), response.field("set-cookie")), ("full", None));
    assert_eq!(get_with(&proxy, &known).text(), "full", "there is room again");
}

fn a_drained_server_keeps_its_sessions(tier: Tier) {
    let [drained, up, _] = three();
    let first = before(tier, &[drained.server(), up.server()], STICKY);
    let known = cookie_of(&first, "a");
    drop(first);
    let servers = [drained.server_with("state = \"drain\""), up.server()];
    let proxy = before(tier, &servers, STICKY);
    for _ in 0..6 {
        assert_eq!(proxy.get("/").text(), "b", "no new ones");
        let again = get_with(&proxy, &known);
        assert_eq!((again.text(), again.field("set-cookie")), ("a", None));
    }
    drop(drained);
    let moved = get_with(&proxy, &known);
    assert_eq!(moved.text(), "b", "it may go away at any time");
    assert_ne!(cookie(&moved), known);
}

fn a_server_that_is_taken_down_loses_them(tier: Tier) {
    let [down, up, _] = three();
    let first = before(tier, &[down.server(), up.server()], STICKY);
    let known = cookie_of(&first, "a");
    drop(first);
    let connections = down.connections();
    let proxy = before(tier, &[down.server_with("state = \"down\""), up.server()], STICKY);
    assert_eq!(get_with(&proxy, &known).text(), "b");
    assert_eq!(down.connections(), connections);
}

fn a_backup_keeps_its_sessions(tier: Tier) {
    let (primary, backup) = (origin_refuses(), Origin::named("backup"));
    let servers = [primary.server(), backup.server_with("backup = true")];
    let settings = format!("passive = {{ ejection = \"100ms\" }}\n{STICKY}");
    let proxy = before(tier, &servers, &settings);
    let known = cookie(&proxy.get("/"));
    let _primary = primary.recovers(|conn| {
        loop {
            conn.request()?;
            conn.send(ok("primary"))?;
        }
    });
    wait_until("the other is back", || proxy.get("/").text() == "primary");
    assert_eq!(get_with(&proxy, &known).text(), "backup");
}

fn a_tunnel_sets_the_cookie(tier: Tier) {
    let (one, two) = (origin_upgrades(), origin_upgrades());
    let proxy = before(tier, &[one.server(), two.server()], STICKY);
    let mut client = proxy.client();
    client
        .send("GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    let switched = client.response_head("GET").expect("a head");
    assert_eq!((switched.status, switched.fields.all("set-cookie").len()), (101, 1));
}

fn our_own_answers_set_none(tier: Tier) {
    let refusing = [origin_refuses(), origin_refuses()];
    let servers: Vec<_> = refusing.iter().map(Refusing::server).collect();
    let proxy = before(tier, &servers, STICKY);
    let response = proxy.get("/");
    assert_eq!((response.status, response.field("set-cookie")), (502, None));
}
