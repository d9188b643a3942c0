//! What servers are asked for, by which routes, and where they send clients: as nginx does.

#[macro_use]
mod support;

use support::*;

tiered! {
    what_the_path_matched_is_replaced,
    a_path_is_cut_as_it_is_meant,
    groups_of_expressions_are_at_hand,
    a_slash_is_asked_for,
    an_internal_path_is_nobodys,
    each_listener_has_its_routes,
    locations_of_servers_are_rewritten,
}

/// What the server is asked for when the client asks for `path`; or the status of another answer.
fn asked(proxy: &Proxy, origin: &Origin, host: &str, path: &str) -> String {
    let already = origin.requests().len();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let status = proxy.client().request(request).status;
    match origin.requests().get(already) {
        Some(request) => request.target.clone(),
        None => status.to_string(),
    }
}

/// One route to the origin for each of these lines.
fn routes(tier: Tier, origin: &Origin, routes: &[&str]) -> Proxy {
    let mut config = Config::new(tier).upstream("app", &[origin.server()], "");
    for lines in routes {
        config = config.route(&format!("{lines}\nupstream = \"app\""));
    }
    config.start()
}

/// The table of nginx's documentation and its many explanations: `location` and `proxy_pass`.
fn what_the_path_matched_is_replaced(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = routes(
        tier,
        &origin,
        &[
            "path_start = \"/name/\"\nreplace_path = \"/remote/\"",
            "path_start = \"/a\"\nreplace_path = \"/\"",
            "path_start = \"/b/\"\nreplace_path = \"/x\"",
            "path_start = \"/c/\"",
            "path_exact = \"/d\"\nreplace_path = \"/e\"",
            "path = \"/api\"\nreplace_path = \"/v2\"",
            "path_regex = \"^/user/([^/]+)/(.*)\"\nsend_path = \"/u/$1/$2$is_args$args\"",
            "path_start = \"/q/\"\nreplace_path = \"/p?from=\"",
        ],
    );
    for (path, target) in [
        ("/name/x", "/remote/x"),
        ("/name/", "/remote/"),
        ("/name/x?a=b", "/remote/x?a=b"),
        ("/name//x/./y/../z", "/remote/x/z"),
        ("/name/a%20b%2Bc%25", "/remote/a%20b+c%25"),
        ("/name/%22%C3%A9%3F", "/remote/%22%C3%A9%3F"),
        ("/abc", "/bc"),
        ("/a/b", "//b"),
        ("/b/y", "/xy"),
        ("/c//y/../z?q=%20", "/c//y/../z?q=%20"),
        ("/d?1", "/e?1"),
        ("/api", "/v2"),
        ("/api/x", "/v2/x"),
        ("/apix", "/pix"),
        ("/user/me/a%20b%23?x=1", "/u/me/a%20b%23?x=1"),
        ("/user/me/", "/u/me/"),
        ("/q/x?y", "/p?from=x?y"),
    ] {
        assert_eq!(asked(&proxy, &origin, "any", path), target, "{path}");
    }
}

/// A `path` is found in one whose `%2F` is no slash, a `path_start` in one whose `%2F` is; so is
/// what is replaced.
fn a_path_is_cut_as_it_is_meant(tier: Tier) {
    let origin = Origin::named("origin");
    let settings = [
        "path_start = \"/in/\"\nreplace_path = \"/secret/\"",
        "path = \"/at/\"\nreplace_path = \"/secret/\"",
    ];
    let proxy = routes(tier, &origin, &settings);
    for (path, target) in [
        ("/in/a%2Fb", "/secret/a/b"),
        ("/in/%2e%2e/in/x", "/secret/x"),
        ("/in/..%2Fx", "404"),
        ("/in/%2F..%2F..%2Fx", "404"),
        ("/x/..%2Fin/y", "/secret/y"),
        ("/at/a%2Fb", "/secret/a/b"),
        ("/at/..%2Fx", "400"),
        ("/at/%2F..%2F..%2Fx", "400"),
        ("/x/..%2Fat/y", "404"),
        ("/%61t/%40%24", "/secret/@$"),
    ] {
        assert_eq!(asked(&proxy, &origin, "any", path), target, "{path}");
    }
}

fn groups_of_expressions_are_at_hand(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = routes(
        tier,
        &origin,
        &[
            r#"
            host = '~^(?<user>\w+)\.users\.example$'
            path_start = "/"
            send_path = "/~$user/$1$request_uri"
            "#,
            r#"
            host = '~^(?<user>\w+)\.users\.example$'
            path_regex = '^/n/(\d+)(x)?'
            send_path = "/$user/$1-$2"
            "#,
        ],
    );
    for (host, path, target) in [
        ("Ann.Users.example:80", "/x?y", "/~ann/ann/x?y"),
        ("bob.users.example", "/n/7", "/bob/7-"),
        ("bob.users.example", "/n/7x", "/bob/7-x"),
        ("users.example", "/n/7", "404"),
    ] {
        assert_eq!(asked(&proxy, &origin, host, path), target, "{host}{path}");
    }
}

fn a_slash_is_asked_for(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = routes(
        tier,
        &origin,
        &["path_start = \"/a b/\"", "path_start = \"/app/\""]
            .map(|route| route.replace("a b", "a%20b"))
            .each_ref()
            .map(String::as_str),
    );
    for (path, location) in [("/app?x=1", "/app/?x=1"), ("/a%20b", "/a%20b/")] {
        let response = proxy.get(path);
        assert_eq!((response.status, response.field("location")), (301, Some(location)));
    }
    assert_eq!(proxy.get("/app/").status, 200);
}

fn an_internal_path_is_nobodys(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = routes(tier, &origin, &["path_exact = \"/in\"\ninternal = true"]);
    assert_eq!(asked(&proxy, &origin, "any", "/in"), "404");
}

fn each_listener_has_its_routes(tier: Tier) {
    let answer = |body: &str| format!("respond = {{ status = 200, body = \"{body}\" }}");
    let proxy = Config::new(tier)
        .listener("127.0.0.1:0")
        .toml("[[listener]]\naddress = \"127.0.0.1:0\"\nname = \"inner\"")
        .route(&format!("listeners = [\"inner\"]\npath = \"/\"\n{}", answer("inner")))
        .route(&format!("path = \"/open\"\n{}", answer("open")))
        .start();
    let [outer, inner] = &proxy.addresses()[..] else { panic!("two listeners") };
    let get = |address: &Address, path: &str| {
        let response = Client::connect(address).get(path);
        if response.status == 200 {
            response.text().to_owned()
        } else {
            response.status.to_string()
        }
    };
    assert_eq!((get(outer, "/"), get(outer, "/open")), ("404".into(), "open".into()));
    assert_eq!((get(inner, "/"), get(inner, "/open")), ("inner".into(), "open".into()));
}

fn locations_of_servers_are_rewritten(tier: Tier) {
    let settings = r#"
        path_start = "/one/"
        replace_path = "/two/"
        redirects = [
          "default",
          ["http://localhost:8000/two/", "http://$host/one/"],
          ['~^(https?)://[^/]+/(\w+)', "/$1/$2"],
        ]
    "#;
    for (field, sent, expected) in [
        ("Location", "http://app/two/some", "/one/some"),
        ("Location", "http://localhost:8000/two/x", "http://test/one/x"),
        ("Location", "https://other/word/rest", "/https/word"),
        ("Location", "/two/relative", "/two/relative"),
        ("Refresh", "3; URL=http://app/two/some", "3; URL=/one/some"),
        ("Refresh", "3", "3"),
    ] {
        let origin = Origin::saying(response(302, &[(field, sent)], ""));
        let proxy = routes(tier, &origin, &[settings]);
        let request = "GET /one/ HTTP/1.1\r\nHost: test\r\n\r\n";
        let response = proxy.client().request(request);
        assert_eq!(response.fields.all(&field.to_lowercase()), [expected], "{sent}");
    }
}
