//! Routes that are closed for a while.

#[macro_use]
mod support;

use std::fs;

use support::*;

tiered! {
    a_closed_route_says_when_to_come_back,
    a_page_of_ones_own,
    those_who_work_on_it_come_in,
    a_file_closes_and_opens,
    a_reload_closes_and_opens,
    uploads_are_refused_in_order,
    routes_are_closed_and_opened_by_hand,
    what_was_said_by_hand_stays_until_the_file_disagrees,
}

fn site(tier: Tier, origin: &Origin, maintenance: &str) -> Config {
    Config::new(tier)
        .origin("app", origin)
        .route(&format!("upstream = \"app\"\nmaintenance = {maintenance}"))
        .route("path = \"/free\"\nupstream = \"app\"")
}

fn a_closed_route_says_when_to_come_back(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = site(tier, &origin, "true").start();
    let mut client = proxy.client();
    let response = client.get("/");
    assert_eq!(response.status, 503);
    assert_eq!(response.field("retry-after"), Some("300"));
    assert_eq!(response.field("cache-control"), Some("no-store"));
    assert_eq!(response.field("content-type"), Some("text/plain; charset=utf-8"));
    assert!(response.text().contains("maintenance"), "{}", response.text());
    assert_eq!(client.request("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n").status, 503);
    assert_eq!(client.get("/free").text(), "origin", "the connection stays");
    assert_eq!(origin.requests().len(), 1);
    // Chosen, and no failure of anything.
    assert!(!proxy.stderr().contains("status=503"), "{}", proxy.stderr());
}

fn a_page_of_ones_own(tier: Tier) {
    let origin = Origin::named("origin");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("closed.html");
    let page = "<h1>Back soon</h1>".repeat(5000);
    fs::write(&file, &page).expect("a file");
    let config = site(tier, &origin, &format!("{{ file = {file:?}, retry_after = \"90s\" }}"));
    let proxy = config.start();
    let response = proxy.get("/");
    assert_eq!((response.status, response.field("retry-after")), (503, Some("90")));
    assert_eq!(response.field("content-type"), Some("text/html; charset=utf-8"));
    assert!(response.text() == page);

    let json = "{ body = '{\"error\": \"maintenance\"}', content_type = \"application/json\" }";
    let proxy = site(tier, &origin, json).start();
    let response = proxy.get("/");
    assert_eq!(response.text(), "{\"error\": \"maintenance\"}");
    assert_eq!(response.field("content-type"), Some("application/json"));
}

fn those_who_work_on_it_come_in(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = site(tier, &origin, "{ allow = [\"127.0.0.7\", \"10.0.0.0/8\"] }").start();
    assert_eq!(proxy.get("/").status, 503);
    assert_eq!(Client::connect_from("127.0.0.7", &proxy.address()).get("/").text(), "origin");
}

fn a_file_closes_and_opens(tier: Tier) {
    let origin = Origin::named("origin");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("closed");
    let config = site(tier, &origin, &format!("{{ when = {file:?} }}")).shards(2);
    let proxy = config.start();
    let mut client = proxy.client();
    let mut becomes = |status: u16| {
        wait_until("the file is seen", || client.get("/").status == status);
        // All shards know at once.
        (0..20).for_each(|_| assert_eq!(proxy.get("/").status, status));
    };
    becomes(200);
    fs::write(&file, "").expect("a file");
    becomes(503);
    proxy.await_stderr("maintenance begins");
    // A reload changes nothing about it, nor does it forget to look.
    proxy.reload(&config);
    becomes(503);
    fs::remove_file(&file).expect("the file");
    becomes(200);
    proxy.await_stderr("maintenance is over");
}

fn a_reload_closes_and_opens(tier: Tier) {
    let origin = Origin::named("origin");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("closed");
    let open = site(tier, &origin, "false");
    let proxy = open.start();
    let mut client = proxy.client();
    assert_eq!(client.get("/").text(), "origin");
    proxy.reload(&site(tier, &origin, "{ retry_after = \"1h\" }"));
    assert_eq!(client.get("/").field("retry-after"), Some("3600"));
    proxy.reload(&open);
    assert_eq!(client.get("/").text(), "origin");
    // The first that wants a file watched may come at any time, and the file before it.
    fs::write(&file, "").expect("a file");
    proxy.reload(&site(tier, &origin, &format!("{{ when = {file:?} }}")));
    assert_eq!(client.get("/").status, 503, "from its first request on");
    fs::remove_file(&file).expect("the file");
    wait_until("it is open", || client.get("/").status == 200);
}

fn uploads_are_refused_in_order(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = site(tier, &origin, "true").start();
    let mut client = proxy.client();
    client.send([post("/", "body"), b"GET /free HTTP/1.1\r\nHost: test\r\n\r\n".to_vec()].concat());
    assert_eq!((client.response().status, client.response().text()), (503, "origin"));
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\nsome");
    assert_eq!(client.response().status, 503);
    client.assert_closed();
}

fn routes_are_closed_and_opened_by_hand(tier: Tier) {
    let (admin, origin) = (Admin::new(), Origin::named("origin"));
    let proxy = Config::new(tier)
        .shards(2)
        .origin("app", &origin)
        .route("name = \"plain\"\nupstream = \"app\"")
        .route("path = \"/shut\"\nupstream = \"app\"\nmaintenance = { body = \"my own\" }")
        .route("name = \"twice\"\npath = \"/a\"\nupstream = \"app\"")
        .route("name = \"twice\"\npath = \"/b\"\nupstream = \"app\"")
        .toml(&admin.toml())
        .start();
    let mut client = proxy.client();
    let mut statuses = || ["/", "/shut", "/a", "/b"].map(|path| client.get(path).status);
    assert_eq!(statuses(), [200, 503, 200, 200]);
    let said = admin.ctl(&["maintenance", "plain", "on"]);
    let row = said.lines().nth(1).expect("a row");
    assert!(said.starts_with("NAME") && row.starts_with("plain") && row.ends_with("yes"), "{said}");
    // All shards go by it when the command has ended.
    for _ in 0..20 {
        let closed = proxy.get("/");
        assert_eq!((closed.status, closed.field("retry-after")), (503, Some("300")));
        assert!(closed.text().contains("maintenance"), "{}", closed.text());
    }
    proxy.await_stderr("maintenance begins by hand");
    assert_eq!(statuses(), [503, 503, 200, 200]);
    let said = admin.json(&["maintenance", "* /shut", "off"]);
    let routes = said["routes"].as_array().expect("routes");
    assert_eq!(routes.len(), 1);
    assert_eq!((&routes[0]["maintenance"], &routes[0]["by_hand"]), (&false.into(), &true.into()));
    assert_eq!(statuses(), [503, 200, 200, 200]);
    admin.ctl(&["maintenance", "* /shut", "on"]);
    assert_eq!(proxy.get("/shut").text(), "my own");
    let said = admin.ctl(&["maintenance", "twice", "on"]);
    assert_eq!(said.lines().count(), 3, "{said}");
    assert_eq!(statuses(), [503, 503, 503, 503]);
    for route in ["plain", "* /shut", "twice"] {
        admin.ctl(&["maintenance", route, "auto"]);
    }
    assert_eq!(statuses(), [200, 503, 200, 200]);
    let routes = admin.json(&["routes"]);
    let routes = routes["routes"].as_array().expect("routes");
    assert!(routes.iter().all(|route| route["by_hand"] == false), "{routes:?}");
    let unknown = admin.run(&["ctl", "maintenance", "none", "on"]);
    assert_eq!(unknown.status.code(), Some(1));
    let sentence = "corelane: there is no route `none`; there is: plain, ";
    assert!(unknown.stderr.starts_with(sentence), "{}", unknown.stderr);
    assert_eq!(admin.run(&["ctl", "maintenance", "plain", "maybe"]).status.code(), Some(2));
}

fn what_was_said_by_hand_stays_until_the_file_disagrees(tier: Tier) {
    let (admin, origin) = (Admin::new(), Origin::named("origin"));
    let config = |maintenance: &str, text: &str| {
        Config::new(tier)
            .origin("app", &origin)
            .route("name = \"site\"\npath = \"/\"\nupstream = \"app\"")
            .route(&format!(
                "name = \"shop\"\npath = \"/shop\"\nupstream = \"app\"\n\
                 maintenance = {maintenance}"
            ))
            .route(&format!("path = \"/text\"\nrespond = {{ status = 200, body = {text:?} }}"))
            .toml(&admin.toml())
    };
    let proxy = config("false", "one").start();
    let mut client = proxy.client();
    let mut statuses = || ["/", "/shop"].map(|path| client.get(path).status);
    for route in ["site", "shop"] {
        admin.ctl(&["maintenance", route, "on"]);
    }
    proxy.reload(&config("false", "two"));
    assert_eq!(proxy.get("/text").text(), "two");
    assert_eq!(statuses(), [503, 503], "something else has changed");
    // It holds on, and can be taken back, whichever plan it began with.
    admin.ctl(&["maintenance", "site", "off"]);
    assert_eq!(statuses(), [200, 503]);
    proxy.reload(&config("true", "two"));
    admin.ctl(&["maintenance", "shop", "off"]);
    assert_eq!(statuses(), [200, 200]);
    proxy.reload(&config("{ when = \"/nowhere/closed\" }", "two"));
    let routes = admin.json(&["routes"]);
    let shop = &routes["routes"][1];
    assert_eq!((&shop["name"], &shop["by_hand"]), (&"shop".into(), &false.into()));
    assert_eq!(statuses(), [200, 200], "the file is not there");
}
