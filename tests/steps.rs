//! What routes do before they answer, and with errors: as nginx's rewrite module and error_page do.

#[macro_use]
mod support;

use support::*;

tiered! {
    paths_are_rewritten,
    clients_are_sent_elsewhere,
    conditions_decide,
    some_steps_come_before_all_routes,
    a_circle_ends,
    a_connection_is_closed_without_an_answer,
    maps_give_values,
    our_own_errors_have_pages,
    answers_of_servers_have_pages,
    a_page_for_a_request_with_a_body,
    a_page_may_be_a_servers,
    what_is_no_file_has_a_page,
    what_is_no_file_goes_to_a_server_with_its_body,
}

/// A proxy before an origin, with these routes.
fn routes(tier: Tier, origin: &Origin, routes: &str) -> Proxy {
    Config::new(tier).upstream("app", &[origin.server()], "").toml(routes).start()
}

/// The target that the origin gets for this path; the text of another answer, or its status.
fn target(proxy: &Proxy, origin: &Origin, path: &str) -> String {
    let already = origin.requests().len();
    let response = proxy.get(path);
    match origin.requests().get(already) {
        Some(request) => request.target.clone(),
        None if response.status == 200 => response.text().to_owned(),
        None => response.status.to_string(),
    }
}

/// nginx's documentation of `rewrite`, and its treatment of queries.
fn paths_are_rewritten(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = routes(
        tier,
        &origin,
        r#"
        [[route]]
        path_start = "/download/"
        upstream = "app"
        steps = [
          { rewrite = '^(/download/.*)/media/(.*)\..*$', to = "$1/mp3/$2.mp3", then = "break" },
          { rewrite = '^(/download/.*)/audio/(.*)\..*$', to = "$1/mp3/$2.ra", then = "break" },
          { return = 403 },
        ]
        [[route]]
        path_start = "/users/"
        upstream = "app"
        steps = [{ rewrite = "^/users/(.*)$", to = "/show?user=$1", then = "last" }]
        [[route]]
        path_start = "/bare/"
        upstream = "app"
        steps = [{ rewrite = "^/bare/(.*)$", to = "/show?user=$1?", then = "break" }]
        [[route]]
        path_start = "/drop/"
        upstream = "app"
        steps = [{ rewrite = "^/drop/(.*)$", to = "/$1?", then = "break" }]
        [[route]]
        path_start = "/on/"
        upstream = "app"
        steps = [
          { rewrite = "^/on/(.*)$", to = "/two/$1" },
          { rewrite = "^/two/(.*)$", to = "/three/$1" },
        ]
        [[route]]
        path_start = "/three/"
        respond = { status = 200, body = "three $uri $request_uri $args" }
        [[route]]
        path_start = "/replaced/"
        replace_path = "/other/"
        upstream = "app"
        steps = [{ rewrite = "^/replaced/x(.*)$", to = "/y$1", then = "break" }]
        [[route]]
        path_start = "/args/"
        upstream = "app"
        steps = [{ set = "args", to = "new=$arg_old" }]
        [[route]]
        path_exact = "/show"
        upstream = "app"
        "#,
    );
    for (path, expected) in [
        ("/download/a/media/b.x", "/download/a/mp3/b.mp3"),
        ("/download/a/audio/b.x?q", "/download/a/mp3/b.ra?q"),
        ("/download/a", "403"),
        ("/users/7", "/show?user=7"),
        ("/users/7?x=1", "/show?user=7&x=1"),
        ("/bare/7?x=1", "/show?user=7"),
        ("/drop/a%20b?x=1", "/a%20b"),
        ("/on/a?x=1", "three /three/a /on/a?x=1 x=1"),
        ("/replaced/x1", "/y1"),
        ("/replaced/z?q", "/other/z?q"),
        ("/args/?old=1", "/args/?new=1"),
    ] {
        assert_eq!(target(&proxy, &origin, path), expected, "{path}");
    }
}

fn clients_are_sent_elsewhere(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = routes(
        tier,
        &origin,
        r#"
        [[route]]
        path_start = "/"
        upstream = "app"
        steps = [
          { rewrite = "^/a/(.*)$", to = "/b/$1", then = "redirect" },
          { rewrite = "^/p/(.*)$", to = "/q/$1?new=1", then = "permanent" },
          { rewrite = "^/out/(.*)$", to = "https://out.example/$1" },
          { rewrite = "^/scheme$", to = "$scheme://$host/x?" },
          { if = "$uri", is = "/moved", then = [
            { return = 308, to = "https://$host$request_uri" },
          ] },
          { if = "$uri", is = "/text", then = [{ return = 200, body = "hi $arg_n" }] },
        ]
        "#,
    );
    for (path, status, location) in [
        ("/a/x%20y?q=1", 302, "/b/x%20y?q=1"),
        ("/p/x?q=1", 301, "/q/x?new=1&q=1"),
        ("/out/%23", 302, "https://out.example/%23"),
        ("/scheme?q=1", 302, "http://test/x"),
        ("/moved?q", 308, "https://test/moved?q"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
        let response = proxy.client().request(request);
        assert_eq!((response.status, response.field("location")), (status, Some(location)));
    }
    assert_eq!(proxy.get("/text?n=you").text(), "hi you");
    assert_eq!(target(&proxy, &origin, "/else"), "/else");
}

fn conditions_decide(tier: Tier) {
    let origin = Origin::named("origin");
    let here = std::env::current_dir().expect("a folder").display().to_string();
    let proxy = routes(
        tier,
        &origin,
        &r#"
        [[route]]
        upstream = "app"
        steps = [
          { set = "seen", to = "" },
          { if = "$arg_set", then = [{ set = "seen", to = "$seen set" }] },
          { if = "$arg_is", is = "$arg_same", then = [{ set = "seen", to = "$seen is" }] },
          { if = "$arg_is_not", is_not = "", then = [{ set = "seen", to = "$seen is_not" }] },
          { if = "$http_user_agent", matches = "*MSIE (\\d)", then = [
            { set = "seen", to = "$seen IE$1" },
          ] },
          { if = "$http_user_agent", matches_not = "Mo", then = [
            { set = "seen", to = "$seen other" },
          ] },
          { file = "HERE/Cargo.toml", then = [{ set = "seen", to = "$seen file" }] },
          { file = "HERE/src", then = [{ set = "seen", to = "$seen wrong" }] },
          { directory = "HERE$arg_dir", then = [{ set = "seen", to = "$seen directory" }] },
          { exists = "HERE/nothing", not = true, then = [{ set = "seen", to = "$seen nothing" }] },
          { executable = "/bin/sh", then = [{ set = "seen", to = "$seen executable" }] },
          { if = "$arg_stop", then = [{ return = 200, body = "stop$seen" }, { break = true }] },
          { return = 200, body = "$seen" },
        ]
        "#
        .replace("HERE", &here),
    );
    let get = |query: &str, agent: &str| {
        let request =
            format!("GET /?{query} HTTP/1.1\r\nHost: test\r\nUser-Agent: {agent}\r\n\r\n");
        proxy.client().request(request).text().to_owned()
    };
    let files = "file directory nothing executable";
    assert_eq!(get("", "Mozilla"), format!(" is {files}"));
    assert_eq!(get("set=0&is=a&same=a", "Mo"), format!(" is {files}"));
    assert_eq!(get("set=1&is=a&same=b&is_not=1", "Mo"), format!(" set is_not {files}"));
    assert_eq!(get("is=1", "some msie 6"), format!(" IE6 other {files}"));
    assert_eq!(get("dir=/none&stop=1", "Mo"), "stop is file nothing executable");
}

fn some_steps_come_before_all_routes(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = routes(
        tier,
        &origin,
        r#"
        [[route]]
        name = "site"
        internal = true
        steps = [
          { set = "seen", to = "$seen+" },
          { if = "$arg_closed", is = "1", then = [{ return = 503 }] },
          { if = "$request_method", not_among = ["GET", "HEAD"], then = [{ return = 405 }] },
          { rewrite = "^/old/(.*)$", to = "/new/$1" },
        ]
        error_pages = [{ on = [503], to = "@closed" }, { on = [405], to = "/405" }]
        response_fields = { add = { X-From = "site" } }
        [[route]]
        name = "closed"
        internal = true
        respond = { status = 200, body = "closed $seen" }
        [[route]]
        path = "/"
        before = "@site"
        respond = { status = 200, body = "root $uri $seen" }
        [[route]]
        path_start = "/new/"
        before = "@site"
        respond = { status = 200, body = "new $uri $seen" }
        [[route]]
        path_regex = "^/rx/(.*)$"
        before = "@site"
        upstream = "app"
        steps = [{ if = "$1", is = "last", then = [
          { rewrite = "^", to = "/new/last", then = "last" },
        ] }]
        send_path = "/$1"
        [[route]]
        path = "/hidden"
        internal = true
        before = "@site"
        upstream = "app"
        [[route]]
        path = "/paged"
        before = "@site"
        steps = [{ return = 404 }]
        upstream = "app"
        error_pages = [{ on = [404], to = "/new/page" }]
        "#,
    );
    for (path, expected) in [
        ("/x", "root /x +"),
        ("/old/x", "new /new/x +"),
        ("/rx/a", "/a"),
        ("/rx/last", "new /new/last +"),
        ("/hidden", "404"),
        ("/old/x?closed=0", "new /new/x +"),
    ] {
        assert_eq!(target(&proxy, &origin, path), expected, "{path}");
    }
    for path in ["/x?closed=1", "/hidden?closed=1"] {
        let response = proxy.get(path);
        assert_eq!((response.status, response.text()), (503, "closed +"), "{path}");
    }
    let page = proxy.get("/paged");
    assert_eq!((page.status, page.text()), (404, "new /new/page ++"), "its path is a new one");
    let refused = proxy.client().post("/x", "body");
    assert_eq!((refused.status, refused.field("x-from")), (405, None), "{}", refused.text());
    assert_eq!(refused.text(), "root /405 ++");
}

fn a_circle_ends(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = routes(
        tier,
        &origin,
        r#"
        [[route]]
        path_start = "/"
        upstream = "app"
        steps = [
          { rewrite = "^/n/(x{10})$", to = "/done", then = "break" },
          { rewrite = "^/n/(.*)$", to = "/n/x$1", then = "last" },
          { rewrite = "^/round/(.*)$", to = "/round/$1", then = "last" },
        ]
        "#,
    );
    assert_eq!(target(&proxy, &origin, "/n/"), "/done", "ten times are fine");
    assert_eq!(target(&proxy, &origin, "/round/x"), "500");
}

fn a_connection_is_closed_without_an_answer(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = routes(tier, &origin, "[[route]]\nupstream = \"app\"\nsteps = [{ return = 444 }]");
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    let (bytes, _) = client.rest();
    assert!(bytes.is_empty());
    assert!(origin.requests().is_empty());
}

fn maps_give_values(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = routes(
        tier,
        &origin,
        r#"
        [[route]]
        upstream = "app"
        request_fields = { set = { X-Connection = "$connection_upgrade", X-Site = "$site" } }
        [[map]]
        name = "connection_upgrade"
        from = "$http_x_upgrade"
        default = "upgrade"
        values = [["", "close"]]
        [[map]]
        name = "site"
        from = "$host"
        hostnames = true
        default = "$default_site"
        values = [
          ["a.example", "A"], ["*.example", "star"], ['~^(?<who>\w+)\.users$', "of $who $1"],
        ]
        [[map]]
        name = "default_site"
        from = "$connection_upgrade"
        values = [["close", "plain"], ["~^UP", "no"], ["~*^UP", "up"]]
        "#,
    );
    let mut count = 0;
    let mut sent = |host: &str, lines: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
        assert_eq!(proxy.client().request(request).status, 200);
        count += 1;
        let request = origin.await_requests(count).remove(count - 1);
        let value = |name| request.field(name).unwrap_or("none").to_owned();
        (value("x-connection"), value("x-site"))
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(sent("A.example", ""), pair("close", "A"));
    assert_eq!(sent("b.example", "X-Upgrade: x\r\n"), pair("upgrade", "star"));
    assert_eq!(sent("ann.users", ""), pair("close", "of ann ann"));
    assert_eq!(sent("else", ""), pair("close", "plain"));
    assert_eq!(sent("else", "X-Upgrade: x\r\n"), pair("upgrade", "up"));
}

fn our_own_errors_have_pages(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = routes(
        tier,
        &origin,
        r#"
        [[route]]
        path_start = "/"
        upstream = "app"
        deny = ["0.0.0.0/0"]
        error_pages = [{ on = [403], to = "/403.html?why=$uri" }]
        [[route]]
        path_exact = "/403.html"
        internal = true
        respond = { status = 200, body = "page $args $request_uri $request_method" }
        response_fields = { set = { X-Status = "$status" } }
        [[route]]
        path_start = "/gone/"
        upstream = "app"
        steps = [{ return = 404 }]
        error_pages = [{ on = [404], to = "@gone", status = 410 }]
        [[route]]
        name = "gone"
        internal = true
        respond = { status = 200, body = "gone" }
        [[route]]
        path_start = "/moved/"
        upstream = "app"
        steps = [{ return = 404 }]
        error_pages = [{ on = [404], to = "http://$host/new$uri", status = 301 }]
        [[route]]
        path_start = "/ok/"
        upstream = "app"
        steps = [{ return = 404 }]
        error_pages = [{ on = 404, to = "/empty", status = "from_page" }]
        [[route]]
        path_exact = "/empty"
        steps = [{ return = 204 }]
        upstream = "app"
        [[route]]
        path_start = "/twice/"
        upstream = "app"
        steps = [{ return = 404 }]
        error_pages = [{ on = [404], to = "/twice/again" }]
        "#,
    );
    let page = proxy.get("/x");
    assert_eq!((page.status, page.text()), (403, "page why=/x /x GET"));
    assert_eq!(page.field("x-status"), Some("403"));
    assert_eq!(proxy.get("/403.html").status, 404, "nobody may ask for it");
    let gone = proxy.get("/gone/x");
    assert_eq!((gone.status, gone.text()), (410, "gone"));
    let moved = proxy.client().request("GET /moved/x HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!((moved.status, moved.field("location")), (301, Some("http://test/new/moved/x")));
    assert_eq!(proxy.get("/ok/").status, 204);
    assert_eq!(proxy.get("/twice/x").status, 404, "an error page has none of its own");
    let head = proxy.client().request("HEAD /x HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!((head.status, head.body.len()), (403, 0));
    assert!(origin.requests().is_empty());
}

fn answers_of_servers_have_pages(tier: Tier) {
    let origin = Origin::saying(response(503, &[], "mine"));
    let refusing = origin_refuses();
    let proxy = Config::new(tier)
        .upstream("app", &[origin.server()], "")
        .upstream("down", &[refusing.server()], "")
        .toml(
            r#"
            [[route]]
            path_start = "/taken/"
            upstream = "app"
            error_pages = [{ on = [502, 503], to = "/50x", servers = true }]
            [[route]]
            path_start = "/left/"
            upstream = "app"
            error_pages = [{ on = [502, 503], to = "/50x" }]
            [[route]]
            path_start = "/down/"
            upstream = "down"
            error_pages = [{ on = [502, 503], to = "/50x", status = 200 }]
            [[route]]
            path_exact = "/50x"
            internal = true
            respond = { status = 200, body = "sorry" }
            "#,
        )
        .start();
    let mut client = proxy.client();
    for _ in 0..3 {
        for (path, status, text) in
            [("/taken/", 503, "sorry"), ("/left/", 503, "mine"), ("/down/", 200, "sorry")]
        {
            let response = client.get(path);
            assert_eq!((response.status, response.text()), (status, text), "{path}");
        }
    }
    assert_eq!(origin.connections(), 1, "it is kept, whosever the page is");
}

fn a_page_for_a_request_with_a_body(tier: Tier) {
    let failing = Origin::saying(response(500, &[], "mine"));
    let pages = Origin::named("pages");
    let proxy = Config::new(tier)
        .upstream("app", &[failing.server()], "")
        .upstream("pages", &[pages.server()], "")
        .toml(
            r#"
            [[route]]
            path_start = "/"
            upstream = "app"
            error_pages = [{ on = [500, 403], to = "/page?q", servers = true }]
            [[route]]
            path_start = "/forbidden"
            upstream = "app"
            deny = ["0.0.0.0/0"]
            error_pages = [{ on = [403], to = "/page" }]
            [[route]]
            path_exact = "/page"
            internal = true
            upstream = "pages"
            "#,
        )
        .start();
    let mut client = proxy.client();
    for (path, status, target) in [("/x", 500, "/page?q"), ("/forbidden", 403, "/page")] {
        let already = pages.requests().len();
        let response = client.request(post(path, "a body"));
        assert_eq!((response.status, response.text()), (status, "pages"), "{path}");
        let request = pages.await_requests(already + 1).remove(already);
        assert_eq!((&request.method[..], &request.target[..]), ("GET", target));
        assert_eq!((request.field("content-length"), request.body.len()), (None, 0));
    }
    // A body that is not all here when it is refused: the connection ends behind the page.
    let mut client = proxy.client();
    client.send("POST /forbidden HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf");
    let response = client.response();
    assert_eq!((response.status, response.text()), (403, "pages"));
    assert_eq!(response.field("connection"), Some("close"));
}

fn a_page_may_be_a_servers(tier: Tier) {
    let refusing = origin_refuses();
    let fallback = Origin::named("fallback");
    let proxy = Config::new(tier)
        .upstream("app", &[refusing.server()], "")
        .upstream("fallback", &[fallback.server()], "")
        .toml(
            r#"
            [[route]]
            path_start = "/"
            upstream = "app"
            error_pages = [{ on = [502], to = "@other", status = "from_page" }]
            [[route]]
            name = "other"
            internal = true
            upstream = "fallback"
            request_fields = { set = { X-Uri = "$uri" } }
            "#,
        )
        .start();
    let response = proxy.get("/a%20b?q");
    assert_eq!((response.status, response.text()), (200, "fallback"));
    let request = fallback.await_requests(1).remove(0);
    assert_eq!((&request.target[..], request.field("x-uri")), ("/a%20b?q", Some("/a b")));
}

/// `error_page 404 /404.html` and `error_page 404 = @app`, as everybody has them.
fn what_is_no_file_has_a_page(tier: Tier) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("404.html"), "nothing").expect("a file");
    std::fs::write(folder.path().join("here.txt"), "here").expect("a file");
    let app = Origin::named("app");
    let files = format!("files = {{ root = {:?} }}", folder.path().display().to_string());
    let proxy = Config::new(tier)
        .upstream("app", &[app.server()], "")
        .route(&format!("{files}\nerror_pages = [{{ on = [404, 416], to = \"/404.html\" }}]"))
        .route(&format!(
            "path_start = \"/app/\"\n{files}\n\
             error_pages = [{{ on = [404], to = \"@app\", status = \"from_page\" }}]"
        ))
        .route("name = \"app\"\ninternal = true\nupstream = \"app\"")
        .start();
    let mut client = proxy.client();
    for (path, status, text) in [
        ("/here.txt", 200, "here"),
        ("/there.txt", 404, "nothing"),
        ("/app/x?y", 200, "app"),
        ("/404.html", 200, "nothing"),
    ] {
        let response = client.get(path);
        assert_eq!((response.status, response.text()), (status, text), "{path}");
    }
    assert_eq!(app.await_requests(1)[0].target, "/app/x?y");
    let request = "GET /there.txt HTTP/1.1\r\nHost: test\r\nRange: bytes=0-1\r\n\r\n";
    assert_eq!((client.request(request).status, client.get("/here.txt").status), (404, 200));
    let request = "GET /here.txt HTTP/1.1\r\nHost: test\r\nRange: bytes=99-\r\n\r\n";
    let response = client.request(request);
    assert_eq!((response.status, response.text()), (416, "nothing"));
}

/// `try_files $uri @app`: whatever the method, and however the body comes.
fn what_is_no_file_goes_to_a_server_with_its_body(tier: Tier) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("here.txt"), "here").expect("a file");
    let app = Origin::named("app");
    let files = |path: &str, last: &str| {
        let root = folder.path().display().to_string();
        format!("path = {path:?}\n[route.files]\nroot = {root:?}\ntry = [\"$uri\", {last:?}]")
    };
    let proxy = Config::new(tier)
        .upstream("app", &[app.server()], "")
        .route(&files("/", "@app"))
        .route(&files("/path", "/api$uri?$args&more"))
        .route("name = \"app\"\ninternal = true\nupstream = \"app\"")
        .route("path = \"/api\"\nupstream = \"app\"")
        .start();
    let mut client = proxy.client();
    let large = "x".repeat(300_000);
    let sized = |path: &str, body: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let chunked = |path: &str, body: &str| {
        let len = body.len();
        format!(
            "PUT {path} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n\
             {len:x}\r\n{body}\r\n0\r\n\r\n"
        )
    };
    for (request, target, body) in [
        (sized("/a?b", "small"), "/a?b", "small"),
        (sized("/b", &large), "/b", &large),
        (chunked("/c", "small"), "/c", "small"),
        (chunked("/d", &large), "/d", &large),
        (sized("/path/e?f", "small"), "/api/path/e?f&more", "small"),
        (chunked("/path/g", &large), "/api/path/g?&more", &large),
        ("DELETE /h HTTP/1.1\r\nHost: t\r\n\r\n".to_owned(), "/h", ""),
        ("OPTIONS /i HTTP/1.1\r\nHost: t\r\n\r\n".to_owned(), "/i", ""),
    ] {
        let before = app.requests().len();
        let response = client.request(request);
        assert_eq!((response.status, response.text()), (200, "app"), "{target}");
        let asked = &app.await_requests(before + 1)[before];
        assert_eq!(asked.target, target);
        assert!(asked.body == body.as_bytes(), "{target}: {} bytes", asked.body.len());
    }
    // A file is there, and what was sent to it is thrown away, not taken for the next request.
    let two = sized("/here.txt", "GET /nobody HTTP/1.1\r\n\r\n") + &sized("/j", "small");
    client.send(two);
    assert_eq!(client.response().status, 405);
    assert_eq!(client.response().text(), "app");
    assert_eq!(client.get("/here.txt").text(), "here");
    let targets: Vec<String> = app.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets.len(), 9, "{targets:?}");
}
