//! Texts with variables: in fields both ways, in fixed answers and in redirects.

#[macro_use]
mod support;

use support::*;

tiered! {
    a_server_is_told_what_it_asked_for,
    a_response_tells_of_its_request,
    own_answers_have_variables_too,
    nothing_decoded_ends_a_field,
}

fn before(tier: Tier, origin: &Origin, settings: &str) -> Proxy {
    Config::new(tier)
        .upstream("app", &[origin.server()], "")
        .route(&format!("host = \"App.Example\"\nupstream = \"app\"\n{settings}"))
        .start()
}

fn a_server_is_told_what_it_asked_for(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = before(
        tier,
        &origin,
        r#"
        [route.request_fields.set]
        Host = "$proxy_host"
        X-Real-IP = "$remote_addr"
        X-Forwarded-For = "$proxy_add_x_forwarded_for"
        X-Uri = "$uri|$request_uri|$args|$is_args"
        X-Arg = "$arg_b"
        X-Cookie = "$cookie_sid"
        X-Empty = "$arg_none"
        X-Who = "$scheme://$host:$server_port/$server_name $server_protocol $request_method"
        X-Price = "5$$"
        [route.request_fields.add]
        X-Both = "<$http_x_both>"
        X-None = "$http_none"
        "#,
    );
    let port = proxy.address().to_string().rsplit(':').next().expect("a port").to_owned();
    let response = proxy.client().request(
        "GET /a%20b//c?a=1&B=2 HTTP/1.1\r\nHost: APP.example:80\r\nX-Forwarded-For: 192.0.2.1\r\n\
         Cookie: a=b; SID=7\r\nX-Both: 1\r\nx-both: 2\r\nX-Empty: mine\r\n\r\n",
    );
    assert_eq!(response.status, 200);
    let request = origin.await_requests(1).remove(0);
    for (name, value) in [
        ("host", "app"),
        ("x-real-ip", "127.0.0.1"),
        ("x-forwarded-for", "192.0.2.1, 127.0.0.1"),
        ("x-uri", "/a b/c|/a%20b//c?a=1&B=2|a=1&B=2|?"),
        ("x-arg", "2"),
        ("x-cookie", "7"),
        ("x-who", &format!("http://app.example:{port}/app.example HTTP/1.1 GET")),
        ("x-price", "5$"),
    ] {
        assert_eq!(request.fields.all(name), [value], "{name}");
    }
    assert_eq!(request.fields.all("x-both"), ["1", "2", "<1, 2>"]);
    assert_eq!((request.field("x-empty"), request.field("x-none")), (None, None));
    assert_eq!(request.target, "/a%20b//c?a=1&B=2", "it goes on as it was sent");
}

fn a_response_tells_of_its_request(tier: Tier) {
    let origin = Origin::saying(response(404, &[("X-Old", "1")], "none"));
    let fields = r#"
        [route.response_fields]
        set = { X-Old = "$status $arg_x" }
        add = { X-Id = "$request_id" }
    "#;
    let proxy = before(tier, &origin, fields);
    let mut client = proxy.client();
    for value in ["one", "two"] {
        let request = format!("GET /?x={value} HTTP/1.1\r\nHost: app.example\r\n\r\n");
        let response = client.request(request);
        assert_eq!(response.fields.all("x-old"), [format!("404 {value}")]);
        assert_eq!(response.field("x-id").expect("an id").len(), 16);
    }
}

fn own_answers_have_variables_too(tier: Tier) {
    let proxy = Config::new(tier)
        .route(
            r#"
            path = "/hello"
            respond = { status = 200, body = "$request_method $uri, $$1" }
            response_fields = { set = { X-Status = "$status" } }
            "#,
        )
        .route(r#"redirect = { to = "$scheme://new.example$request_uri" }"#)
        .start();
    let hello = proxy.get("/hello/you%21");
    assert_eq!((hello.text(), hello.field("x-status")), ("GET /hello/you!, $1", Some("200")));
    let moved = proxy.get("/a?b");
    assert_eq!((moved.status, moved.field("location")), (308, Some("http://new.example/a?b")));
}

/// `%0D%0A` in a path is text, wherever it is put.
fn nothing_decoded_ends_a_field(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Config::new(tier)
        .upstream("app", &[origin.server()], "")
        .route(
            r#"
            path = "/go"
            redirect = { to = "http://a.example$uri" }
            response_fields = { add = { X-Uri = "$uri" } }
            "#,
        )
        .route("upstream = \"app\"\nrequest_fields = { set = { X-Uri = \"$uri\" } }")
        .start();
    let response = proxy.get("/go/%0d%0aSet-Cookie:%20a=b");
    assert_eq!(response.field("location"), Some("http://a.example/go/%0D%0ASet-Cookie:%20a=b"));
    assert_eq!(response.field("x-uri"), Some("/go/  Set-Cookie: a=b"));
    assert_eq!(response.field("set-cookie"), None);
    assert_eq!(proxy.get("/%0d%0aContent-Length:%2010%0d%0a%0d%0a").status, 200);
    let request = origin.await_requests(1).remove(0);
    assert_eq!(request.field("x-uri"), Some("/  Content-Length: 10"));
}
