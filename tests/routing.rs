//! Host and path to route, answers of our own, redirects, and the pages of our errors.

#[macro_use]
mod support;

use support::*;

tiered! {
    the_most_specific_host_wins,
    the_most_specific_path_wins,
    every_spelling_of_a_path_finds_its_route,
    the_path_goes_on_as_it_was_sent,
    each_upstream_gets_its_own_requests,
    a_fixed_answer,
    a_redirect_is_assembled,
    no_route_is_404,
    an_error_page_is_plain_and_names_its_request,
    a_route_limits_its_bodies,
    a_chunked_body_is_limited_as_it_comes,
    a_connection_may_visit_many_routes,
}

/// Which of these routes answers: each responds with its own number.
fn answering_route(proxy: &Proxy, host: &str, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let response = proxy.client().request(request);
    if response.status == 200 { response.text().to_owned() } else { response.status.to_string() }
}

fn numbered(tier: Tier, routes: &[&str]) -> Proxy {
    let mut config = Config::new(tier);
    for (number, lines) in routes.iter().enumerate() {
        config =
            config.route(&format!("{lines}\nrespond = {{ status = 200, body = \"{number}\" }}"));
    }
    config.start()
}

fn the_most_specific_host_wins(tier: Tier) {
    let proxy = numbered(
        tier,
        &[
            "path = \"/\"",
            "host = [\"*.akuma.xyz\"]",
            "host = [\"akuma.xyz\", \"www.akuma.xyz\"]",
            "host = [\"*.api.akuma.xyz\"]",
        ],
    );
    let table = [
        ("akuma.xyz", "2"),
        ("WWW.Akuma.XYZ:8080", "2"),
        ("x.akuma.xyz", "1"),
        ("a.b.akuma.xyz", "1"),
        ("v1.api.akuma.xyz", "3"),
        ("notakuma.xyz", "0"),
        ("akuma.xyz.evil.example", "0"),
        ("[::1]:80", "0"),
        ("", "0"),
    ];
    for (host, route) in table {
        assert_eq!(answering_route(&proxy, host, "/any"), route, "{host:?}");
    }
    assert_eq!(proxy.client().request("GET / HTTP/1.0\r\n\r\n").text(), "0");
}

fn the_most_specific_path_wins(tier: Tier) {
    let proxy = numbered(
        tier,
        &[
            "path = \"/\"",
            "path = \"/api\"",
            "path = \"/api/v1\"",
            "path_exact = \"/api/v1/status\"",
            "path_regex = \"^/img/.*[.]png$\"",
            "path = \"/img/\"",
        ],
    );
    let table = [
        ("/", "0"),
        ("/apix", "0"),
        ("/api", "1"),
        ("/api/v2", "1"),
        ("/api/v1", "2"),
        ("/api/v1/status", "3"),
        ("/api/v1/status?now", "3"),
        ("/api/v1/status/x", "2"),
        ("/img/a.png", "4"),
        ("/img/a.gif", "5"),
        ("/img", "0"),
        ("/?/api", "0"),
    ];
    for (path, route) in table {
        assert_eq!(answering_route(&proxy, "any", path), route, "{path}");
    }
}

fn every_spelling_of_a_path_finds_its_route(tier: Tier) {
    let proxy = numbered(tier, &["path = \"/\"", "path = \"/admin\"", "path = \"/public\""]);
    let admin = ["/admin", "/%61dmin", "//admin", "/./admin", "/public/../admin", "/x/..//admin/"];
    for path in admin {
        assert_eq!(answering_route(&proxy, "any", path), "1", "{path}");
    }
    assert_eq!(answering_route(&proxy, "any", "/../../public/x"), "2");
    assert_eq!(answering_route(&proxy, "any", "/admin%2Fx"), "0");
}

fn the_path_goes_on_as_it_was_sent(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    let paths = ["/a//b/../c", "/%7euser?x=%20&&y", "/?", "/a;b=c/%2F"];
    for path in paths {
        assert_eq!(proxy.get(path).status, 200);
    }
    let targets: Vec<_> = origin.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, paths);
}

fn each_upstream_gets_its_own_requests(tier: Tier) {
    let (app, static_files) = (Origin::named("app"), Origin::named("static"));
    let proxy = Config::new(tier)
        .origin("app", &app)
        .origin("static", &static_files)
        .route("host = [\"a.example\"]\nupstream = \"app\"")
        .route("host = [\"a.example\"]\npath = \"/static\"\nupstream = \"static\"")
        .start();
    assert_eq!(answering_route(&proxy, "a.example", "/"), "app");
    assert_eq!(answering_route(&proxy, "a.example", "/static/x"), "static");
    assert_eq!(answering_route(&proxy, "b.example", "/"), "404");
    assert_eq!((app.requests().len(), static_files.requests().len()), (1, 1));
}

fn a_fixed_answer(tier: Tier) {
    let route = r#"
        path = "/"
        respond = { status = 503, body = "{}", content_type = "application/json" }
    "#;
    let proxy = Config::new(tier).route(route).start();
    let mut client = proxy.client();
    for _ in 0..2 {
        let response = client.post("/", "a body that is read and dropped");
        assert_eq!((response.status, response.text()), (503, "{}"));
        assert_eq!(response.field("content-type"), Some("application/json"));
    }
    let response = client.request("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(response.field("content-length"), Some("2"));
    assert_eq!(client.get("/").text(), "{}");
}

fn a_redirect_is_assembled(tier: Tier) {
    let proxy = Config::new(tier)
        .route("path = \"/\"\nredirect = { to = \"https://$host$request_uri\", status = 301 }")
        .route("path = \"/old\"\nredirect = { to = \"/new$uri$is_args$args\", status = 308 }")
        .start();
    let location = |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a.example:8080\r\n\r\n");
        let response = proxy.client().request(request);
        (response.status, response.field("location").expect("Location").to_owned())
    };
    assert_eq!(location("/x?y=z"), (301, "https://a.example/x?y=z".to_owned()));
    assert_eq!(location("/old/page?q"), (308, "/new/old/page?q".to_owned()));
    assert_eq!(location("/old/page"), (308, "/new/old/page".to_owned()));
}

fn no_route_is_404(tier: Tier) {
    let proxy = numbered(tier, &["host = [\"known.example\"]\npath = \"/here\""]);
    let mut client = proxy.client();
    assert_eq!(client.get("/here").status, 404);
    let there = client.request("GET /there HTTP/1.1\r\nHost: known.example\r\n\r\n");
    assert_eq!(there.status, 404);
    let here = client.request("GET /here HTTP/1.1\r\nHost: known.example\r\n\r\n");
    assert_eq!(here.status, 200, "the connection goes on after a 404");
}

fn an_error_page_is_plain_and_names_its_request(tier: Tier) {
    let refusing = origin_refuses();
    let proxy = Config::new(tier)
        .upstream("app", &[refusing.server()], "")
        .route("path = \"/app\"\nupstream = \"app\"")
        .start();
    for (path, status) in [("/nowhere", 404), ("/app", 502)] {
        let response = proxy.get(path);
        assert_eq!(response.status, status);
        assert!(response.field("content-type").expect("a type").starts_with("text/plain"));
        let id = response.field("x-request-id").expect("an id");
        assert!(!id.is_empty() && response.text().contains(id), "{}", response.text());
    }
}

fn small_bodies_only(tier: Tier, origin: &Origin) -> Proxy {
    Config::new(tier)
        .origin("app", origin)
        .route("path = \"/\"\nupstream = \"app\"")
        .route("path = \"/small\"\nupstream = \"app\"\nlimits = { body = \"1KiB\" }")
        .start()
}

fn a_route_limits_its_bodies(tier: Tier) {
    let origin = origin_echoes();
    let proxy = small_bodies_only(tier, &origin);
    let body = "x".repeat(2_000);
    assert_eq!(proxy.client().post("/", &body).status, 200);
    assert_eq!(proxy.client().post("/small", &body[..1024]).status, 200);
    assert_eq!(proxy.client().post("/small", &body[..1025]).status, 413);
    assert_eq!(origin.requests().len(), 2);
}

fn a_chunked_body_is_limited_as_it_comes(tier: Tier) {
    let origin = origin_echoes();
    let proxy = small_bodies_only(tier, &origin);
    let mut client = proxy.client();
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    client.send("POST /small HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(chunk.repeat(3));
    assert_eq!(client.response().status, 413);
    client.assert_closed();
    assert_eq!(origin.requests(), []);
}

fn a_connection_may_visit_many_routes(tier: Tier) {
    let (one, two) = (Origin::named("one"), Origin::named("two"));
    let proxy = Config::new(tier)
        .origin("one", &one)
        .origin("two", &two)
        .route("path = \"/one\"\nupstream = \"one\"")
        .route("path = \"/two\"\nupstream = \"two\"")
        .route("path = \"/three\"\nrespond = { status = 200, body = \"three\" }")
        .start();
    let mut client = proxy.client();
    for _ in 0..3 {
        for name in ["one", "two", "three"] {
            assert_eq!(client.get(&format!("/{name}")).text(), name);
        }
        assert_eq!(client.get("/four").status, 404);
    }
    assert_eq!((one.connections(), two.connections()), (1, 1));
}
