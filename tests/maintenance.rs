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
