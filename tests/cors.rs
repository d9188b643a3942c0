//! Pages of other sites: which may read answers, and what their browsers are told beforehand.

#[macro_use]
mod support;

use support::*;

tiered! {
    preflights_are_answered_here,
    what_is_no_preflight_goes_on,
    answers_name_the_origin_that_asked,
    fields_of_the_server_are_replaced,
    any_origin,
    failures_can_be_read_too,
    whoever_is_refused_can_read_why,
}

const HERE: &str = "https://app.example.com";

fn site(tier: Tier, origin: &Origin, cors: &str) -> Proxy {
    let route = format!("upstream = \"app\"\ncors = {{ {cors} }}");
    Config::new(tier).origin("app", origin).route(&route).start()
}

fn preflight(proxy: &Proxy, origin: &str, fields: &str) -> Response {
    let head = format!(
        "OPTIONS /x HTTP/1.1\r\nHost: test\r\nOrigin: {origin}\r\n\
         Access-Control-Request-Method: PUT\r\n{fields}\r\n"
    );
    proxy.client().request(head)
}

fn get(proxy: &Proxy, fields: &str) -> Response {
    proxy.client().request(format!("GET / HTTP/1.1\r\nHost: test\r\n{fields}\r\n"))
}

fn from(proxy: &Proxy, origin: &str) -> Response {
    get(proxy, &format!("Origin: {origin}\r\n"))
}

fn preflights_are_answered_here(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = site(
        tier,
        &origin,
        "origins = [\"https://app.example.com\", \"https://*.example.org\"], credentials = true, \
         methods = [\"GET\", \"PUT\"], max_age = \"2m\"",
    );
    for from in [HERE, "https://a.b.example.org"] {
        let asked = "Access-Control-Request-Headers: x-one, content-type\r\n";
        let response = preflight(&proxy, from, asked);
        assert_eq!((response.status, response.text()), (204, ""));
        assert_eq!(response.field("content-length"), None);
        for (name, value) in [
            ("access-control-allow-origin", from),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "GET, PUT"),
            ("access-control-allow-headers", "x-one, content-type"),
            ("access-control-max-age", "120"),
        ] {
            assert_eq!(response.field(name), Some(value), "{name}");
        }
        assert!(response.fields.lists("vary", "origin"));
    }
    for from in ["https://example.org", "https://evil.example", "null", "http://app.example.com"] {
        let response = preflight(&proxy, from, "");
        assert_eq!(response.status, 204);
        let allows = |name: &str| name.to_lowercase().starts_with("access-control-");
        assert!(!response.fields.iter().any(|(name, _)| allows(name)), "{from}");
        assert!(response.fields.lists("vary", "origin"));
    }
    // The connection goes on after it.
    let mut client = proxy.client();
    let preflight = format!(
        "OPTIONS / HTTP/1.1\r\nHost: test\r\nOrigin: {HERE}\r\n\
         Access-Control-Request-Method: GET\r\n\r\n"
    );
    assert_eq!(client.request(&preflight).status, 204);
    assert_eq!(client.request(&preflight).status, 204);
    assert_eq!(origin.connections(), 0);
}

fn what_is_no_preflight_goes_on(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = site(tier, &origin, "origins = \"https://app.example.com\"");
    for head in [
        "OPTIONS / HTTP/1.1\r\nHost: test\r\n\r\n",
        "OPTIONS / HTTP/1.1\r\nHost: test\r\nOrigin: https://app.example.com\r\n\r\n",
        "OPTIONS / HTTP/1.1\r\nHost: test\r\nAccess-Control-Request-Method: GET\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: test\r\nOrigin: https://evil.example\r\n\r\n",
    ] {
        assert_eq!(proxy.client().request(head).text(), "origin", "{head}");
    }
    assert_eq!(origin.requests().len(), 4);
}

fn answers_name_the_origin_that_asked(tier: Tier) {
    let origin = Origin::saying(response(200, &[("Vary", "Cookie")], "body"));
    let cors = "origins = [\"https://app.example.com\", \"http://localhost:3000\"], \
                expose = [\"X-Total\", \"X-Page\"]";
    let proxy = site(tier, &origin, cors);
    for origin in [HERE, "http://localhost:3000"] {
        let response = from(&proxy, origin);
        assert_eq!(response.text(), "body");
        assert_eq!(response.field("access-control-allow-origin"), Some(origin));
        assert_eq!(response.field("access-control-expose-headers"), Some("X-Total, X-Page"));
        assert_eq!(response.field("access-control-allow-credentials"), None);
        assert_eq!(response.field("access-control-allow-methods"), None);
        assert!(response.fields.lists("vary", "origin") && response.fields.lists("vary", "cookie"));
    }
    for response in [from(&proxy, "https://evil.example"), get(&proxy, "")] {
        assert_eq!(response.text(), "body");
        assert_eq!(response.field("access-control-allow-origin"), None);
        // Else a cache would give this answer to those who may have it.
        assert!(response.fields.lists("vary", "origin"));
    }
}

fn fields_of_the_server_are_replaced(tier: Tier) {
    let own = [
        ("Access-Control-Allow-Origin", "*"),
        ("ACCESS-CONTROL-ALLOW-CREDENTIALS", "true"),
        ("Access-Control-Expose-Headers", "X-Own"),
        ("X-Kept", "1"),
    ];
    let origin = Origin::saying(response(200, &own, "body"));
    let proxy = Config::new(tier)
        .origin("app", &origin)
        .route(
            "upstream = \"app\"\ncors = { origins = \"https://app.example.com\" }\n\
             response_fields = { set = { X-Set = \"2\", Access-Control-Allow-Origin = \"evil\" } }",
        )
        .start();
    for (asking, allowed) in [(HERE, Some(HERE)), ("https://evil.example", None)] {
        let response = from(&proxy, asking);
        assert_eq!(response.field("access-control-allow-origin"), allowed);
        assert_eq!(response.field("access-control-allow-credentials"), None);
        assert_eq!(response.field("access-control-expose-headers"), None);
        assert_eq!((response.field("x-kept"), response.field("x-set")), (Some("1"), Some("2")));
    }
}

fn any_origin(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = site(tier, &origin, "origins = \"*\"");
    let response = from(&proxy, "https://whoever.example");
    assert_eq!(response.field("access-control-allow-origin"), Some("*"));
    assert_eq!(response.field("vary"), None, "it is the same for all");
    let response = preflight(&proxy, "https://whoever.example", "");
    assert_eq!(response.field("access-control-allow-origin"), Some("*"));
    assert_eq!(response.field("access-control-allow-headers"), None, "none were asked for");
    let methods = response.field("access-control-allow-methods").expect("methods");
    assert!(methods.split(", ").any(|method| method == "PATCH"), "{methods}");
}

/// A page that may not read why it failed says that the network did.
fn failures_can_be_read_too(tier: Tier) {
    let gone = Origin::named("origin").gone();
    let proxy = Config::new(tier)
        .upstream("app", &[format!("{:?}", gone.to_string())], "")
        .route("upstream = \"app\"\ncors = { origins = \"https://app.example.com\" }")
        .route(
            "path = \"/own\"\nrespond = { status = 404, body = \"none\" }\n\
             cors = { origins = \"https://app.example.com\" }",
        )
        .start();
    let response = from(&proxy, HERE);
    assert_eq!(response.status, 502);
    assert_eq!(response.field("access-control-allow-origin"), Some(HERE));
    let own = format!("GET /own HTTP/1.1\r\nHost: test\r\nOrigin: {HERE}\r\n\r\n");
    let response = proxy.client().request(own);
    assert_eq!((response.status, response.text()), (404, "none"));
    assert_eq!(response.field("access-control-allow-origin"), Some(HERE));
    assert_eq!(response.field("via"), None);
}

/// However early a request is refused, and whatever page says so. A preflight is answered all the
/// same: a browser would not show what it was refused with.
fn whoever_is_refused_can_read_why(tier: Tier) {
    let cors = "cors = { origins = \"https://app.example.com\", credentials = true }";
    let respond = "respond = { status = 200, body = \"mine\" }";
    let route = |path: &str, lines: &str| format!("path = {path:?}\n{cors}\n{respond}\n{lines}");
    let proxy = Config::new(tier)
        .toml("[[rate]]\nname = \"few\"\nrequests = 1\nper = \"1h\"\nkey = \"all\"")
        .route(&route("/denied", "deny = [\"127.0.0.0/8\"]"))
        .route(&route("/often", "rate = \"few\""))
        .route(&route("/step", "steps = [{ return = 418 }]"))
        .route(&route("/large", "[route.limits]\nbody = \"1B\""))
        .route(&route(
            "/page",
            "deny = [\"127.0.0.0/8\"]\nerror_pages = [{ on = 403, to = \"/plain\" }]",
        ))
        .route(&format!("path = \"/plain\"\n{respond}"))
        .route(&format!("path = \"/any\"\ncors = {{ origins = \"*\" }}\n{respond}"))
        .route(&route("/leads", "steps = [{ rewrite = \"^/leads(.*)\", to = \"$1\" }]"))
        .start();
    let ask = |method: &str, path: &str, fields: &str| {
        proxy.client().request(format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nOrigin: {HERE}\r\n{fields}\r\n"
        ))
    };
    assert_eq!(ask("GET", "/often", "").status, 200);
    for (path, status) in [("/denied", 403), ("/often", 429), ("/step", 418), ("/page", 403)] {
        let response = ask("GET", path, "");
        assert_eq!(response.status, status, "{path}");
        assert_eq!(response.field("access-control-allow-origin"), Some(HERE), "{path}");
        assert_eq!(response.field("access-control-allow-credentials"), Some("true"), "{path}");
        assert!(response.fields.lists("vary", "origin"), "{path}");
        let preflight = ask("OPTIONS", path, "Access-Control-Request-Method: PUT\r\n");
        assert_eq!(preflight.status, 204, "{path}");
        assert_eq!(preflight.field("access-control-allow-origin"), Some(HERE), "{path}");
    }
    // Its steps lead to a route that other pages may read, or none.
    for (path, allowed) in [("/leads/any", Some("*")), ("/leads/plain", None)] {
        for fields in ["", "Access-Control-Request-Method: PUT\r\n"] {
            let response = ask("OPTIONS", path, fields);
            assert_eq!(response.field("access-control-allow-origin"), allowed, "{path} {fields}");
        }
    }
    let large = ask("POST", "/large", "Content-Length: 4\r\n\r\nbod");
    assert_eq!(large.status, 413);
    assert_eq!(large.field("access-control-allow-origin"), Some(HERE));
    let plain = ask("GET", "/plain", "");
    assert_eq!((plain.status, plain.field("access-control-allow-origin")), (200, None));
}
