//! Who is let in, by address.

#[macro_use]
mod support;

use support::*;

tiered! {
    a_listener_answers_whom_it_allows,
    a_listener_keeps_out_whom_it_denies,
    a_route_has_lists_of_its_own,
    clients_without_an_address,
}

fn answers_itself(tier: Tier) -> Config {
    Config::new(tier).route("path = \"/\"\nrespond = { status = 200, body = \"in\" }")
}

fn listener(lists: &str) -> String {
    format!("[[listener]]\naddress = \"127.0.0.1:0\"\n{lists}")
}

/// The status of a request from this address.
fn status(proxy: &Proxy, source: &str, path: &str) -> u16 {
    Client::connect_from(source, &proxy.address()).get(path).status
}

fn a_listener_answers_whom_it_allows(tier: Tier) {
    let lists = listener("allow = [\"127.0.0.0/30\", \"127.0.1.7\"]\ndeny = \"127.0.0.2\"");
    let proxy = answers_itself(tier).toml(&lists).listener("127.0.0.1:0").start();
    for (source, expected) in [
        ("127.0.0.1", 200),
        ("127.0.0.2", 403),
        ("127.0.0.3", 200),
        ("127.0.0.4", 403),
        ("127.0.1.7", 200),
        ("127.0.1.8", 403),
    ] {
        assert_eq!(status(&proxy, source, "/"), expected, "{source}");
    }
    let other = &proxy.addresses()[1];
    assert_eq!(Client::connect_from("127.0.0.2", other).get("/").status, 200, "the other listener");
    let mut outsider = Client::connect_from("127.0.0.2", &proxy.address());
    let response = outsider.get("/nowhere");
    assert_eq!(response.status, 403, "and not whether there is such a page");
    assert_eq!(response.field("retry-after"), None);
    assert_eq!(outsider.get("/").status, 403, "the connection goes on");
}

fn a_listener_keeps_out_whom_it_denies(tier: Tier) {
    let origin = Origin::named("origin");
    let config = Config::new(tier).toml(&listener("deny = [\"127.0.0.0/8\", \"::1\"]"));
    let proxy = config.listener("[::1]:0").origin("app", &origin).start();
    let mut client = proxy.client();
    assert_eq!(client.post("/", "a body").status, 403);
    assert_eq!(Client::connect(&proxy.addresses()[1]).get("/").text(), "origin");
    assert_eq!(origin.requests().len(), 1);
}

fn a_route_has_lists_of_its_own(tier: Tier) {
    let origin = origin_echoes();
    let proxy = Config::new(tier)
        .toml(&listener("deny = \"127.0.0.3\""))
        .origin("app", &origin)
        .route("path = \"/\"\nupstream = \"app\"")
        .route("path = \"/admin\"\nupstream = \"app\"\nallow = [\"127.0.0.2\", \"127.0.0.3\"]")
        .route("path = \"/gone\"\nrespond = { status = 410 }\ndeny = \"127.0.0.2\"")
        .start();
    for (source, expected) in
        [("127.0.0.1", [200, 403, 410]), ("127.0.0.2", [200, 200, 403]), ("127.0.0.3", [403; 3])]
    {
        let found = ["/", "/admin", "/gone"].map(|path| status(&proxy, source, path));
        assert_eq!(found, expected, "{source}");
    }
    // A body of which nobody takes notice is not the next request.
    let mut client = proxy.client();
    assert_eq!(client.post("/admin", "GET / HTTP/1.1\r\nHost: t\r\n\r\n").status, 403);
    assert_eq!(client.get("/").status, 200);
    client.send("POST /admin HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.response().status, 403);
    client.assert_closed();
}

fn clients_without_an_address(tier: Tier) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let unix = |name: &str, lists: &str| {
        let path = dir.path().join(name);
        format!("[[listener]]\naddress = \"unix:{}\"\n{lists}", path.display())
    };
    let proxy = answers_itself(tier)
        .toml(&unix("a", "allow = \"unix\""))
        .toml(&unix("b", "allow = \"127.0.0.0/8\""))
        .toml(&unix("c", "deny = \"127.0.0.0/8\""))
        .toml(&unix("d", "deny = \"unix\""))
        .start();
    let addresses = proxy.addresses();
    let found: Vec<u16> =
        addresses.iter().map(|address| Client::connect(address).get("/").status).collect();
    assert_eq!(found, [200, 403, 200, 403]);
}
