//! Answers to what fails here: the fields that their route adds, what helps whoever asked, and who
//! answers in their place.

#[macro_use]
mod support;

use support::*;

tiered! {
    built_in_pages_have_their_routes_fields,
    pages_for_errors_say_what_helps,
    a_named_page_keeps_the_method,
    a_body_goes_to_one_server,
}

/// Fields for all answers, some of them made of the request.
const FIELDS: &str = r#"
    [route.response_fields]
    set = { X-Set = "set", Cache-Control = "max-age=99", Content-Type = "text/html" }
    add = { Strict-Transport-Security = "max-age=1", X-Path = "$uri of $request_method" }
    add_ok = { X-Ok = "ok" }
"#;

fn built_in_pages_have_their_routes_fields(tier: Tier) {
    let origin = Origin::named("origin");
    let refusing = origin_refuses();
    let settings = [
        ("/gone", "upstream = \"down\"", 502),
        ("/returned", "upstream = \"app\"\nsteps = [{ return = 404 }]", 404),
        ("/denied", "upstream = \"app\"\ndeny = [\"0.0.0.0/0\"]", 403),
        ("/large", "upstream = \"app\"\nlimits = { body = \"2B\" }", 413),
        ("/paged", "upstream = \"down\"\nerror_pages = [{ on = [502], to = \"/nowhere\" }]", 404),
    ];
    let routes = settings.map(|(path, lines, _)| {
        let path = format!("path = \"{path}\"");
        format!("[[route]]\n{path}\n{lines}\n{FIELDS}\n")
    });
    let nowhere = format!(
        "[[route]]\npath = \"/nowhere\"\ninternal = true\nupstream = \"app\"\n\
         steps = [{{ return = 404 }}]\n{FIELDS}"
    );
    let proxy = Config::new(tier)
        .upstream("app", &[origin.server()], "")
        .upstream("down", &[refusing.server()], "")
        .toml(&format!("{}\n{nowhere}", routes.concat()))
        .start();
    for (path, _, status) in settings {
        let response = proxy.client().post(path, "body");
        assert_eq!(response.status, status, "{path}");
        let field = |name| response.fields.all(name).join("|");
        let shown =
            if path == "/paged" { "/nowhere of GET".into() } else { format!("{path} of POST") };
        assert_eq!(field("x-path"), shown, "{path}");
        assert_eq!(field("x-set"), "set", "{path}");
        assert_eq!(field("strict-transport-security"), "max-age=1", "{path}");
        assert_eq!(field("x-ok"), "", "{path}");
        // It is a page of our own, and nobody keeps it.
        assert_eq!(field("cache-control"), "no-store", "{path}");
        assert_eq!(field("content-type"), "text/plain; charset=utf-8", "{path}");
    }
    assert!(origin.requests().is_empty());
}

fn pages_for_errors_say_what_helps(tier: Tier) {
    let pages = Origin::saying(response(200, &[], "page"));
    let failing = Origin::saying(response(503, &[("Retry-After", "7")], "mine"));
    let patient = Origin::saying(response(200, &[("Retry-After", "99")], "page"));
    let own =
        "[[route]]\nname = \"own\"\ninternal = true\nrespond = { status = 200, body = \"own\" }";
    let server = |name: &str| {
        format!("[[route]]\nname = \"{name}\"\ninternal = true\nupstream = \"{name}\"\n")
    };
    let closed = |path: &str, to: &str| {
        format!(
            "[[route]]\npath = \"{path}\"\nupstream = \"pages\"\nsteps = [{{ return = 503 }}]\n\
             error_pages = [{{ on = [503], to = \"{to}\" }}]\n"
        )
    };
    let text = [
        closed("/own", "@own"),
        closed("/server", "@pages"),
        closed("/patient", "@patient"),
        "[[route]]\npath = \"/fine\"\nupstream = \"pages\"\nsteps = [{ return = 503 }]\n\
         error_pages = [{ on = [503], to = \"@own\", status = 200 }]\n"
            .to_owned(),
        "[[route]]\npath = \"/trace\"\nupstream = \"pages\"\n\
         error_pages = [{ on = [405], to = \"@own\" }]\n"
            .to_owned(),
        "[[route]]\npath = \"/failing\"\nupstream = \"failing\"\n\
         error_pages = [{ on = [503], to = \"@own\", servers = true }]\n"
            .to_owned(),
        format!("{own}\n"),
        server("pages"),
        server("patient"),
    ];
    let proxy = Config::new(tier)
        .upstream("pages", &[pages.server()], "")
        .upstream("failing", &[failing.server()], "")
        .upstream("patient", &[patient.server()], "")
        .toml(&text.concat())
        .start();
    for (method, path, status, name, expected) in [
        ("GET", "/own", 503, "retry-after", &["1"][..]),
        ("GET", "/server", 503, "retry-after", &["1"]),
        ("GET", "/patient", 503, "retry-after", &["99"]),
        ("GET", "/failing", 503, "retry-after", &["7"]),
        ("GET", "/fine", 200, "retry-after", &[]),
        ("TRACE", "/trace", 405, "allow", &["GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"]),
    ] {
        let response =
            proxy.client().request(format!("{method} {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        assert_eq!(response.status, status, "{path}");
        assert_eq!(response.fields.all(name), expected, "{path}");
    }
}

fn a_named_page_keeps_the_method(tier: Tier) {
    let refusing = origin_refuses();
    let fallback = Origin::named("fallback");
    let proxy = Config::new(tier)
        .upstream("down", &[refusing.server()], "")
        .upstream("fallback", &[fallback.server()], "")
        .toml(
            r#"
            [[route]]
            path = "/said"
            upstream = "down"
            error_pages = [{ on = [502], to = "@said" }]
            [[route]]
            path = "/server"
            upstream = "down"
            error_pages = [{ on = [502], to = "@fallback", status = "from_page" }]
            [[route]]
            path = "/denied"
            upstream = "down"
            deny = ["0.0.0.0/0"]
            error_pages = [{ on = [403], to = "@fallback", status = "from_page" }]
            [[route]]
            name = "said"
            internal = true
            respond = { status = 200, body = "$request_method" }
            [[route]]
            name = "fallback"
            internal = true
            upstream = "fallback"
            "#,
        )
        .start();
    let response = proxy.client().post("/said", "body");
    assert_eq!((response.status, response.text()), (502, "POST"));
    let response = proxy.client().request("DELETE /server HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!((response.status, response.text()), (200, "fallback"));
    assert_eq!(fallback.await_requests(1).remove(0).method, "DELETE");
    // Nothing of it was sent yet.
    let response = proxy.client().post("/denied", "body");
    assert_eq!((response.status, response.text()), (200, "fallback"));
    let request = fallback.await_requests(2).remove(1);
    assert_eq!((&request.method[..], &request.body[..]), ("POST", &b"body"[..]));
}

fn a_body_goes_to_one_server(tier: Tier) {
    let failing = Origin::saying(response(500, &[], "mine"));
    let fallback = Origin::named("fallback");
    let proxy = Config::new(tier)
        .upstream("app", &[failing.server()], "")
        .upstream("fallback", &[fallback.server()], "")
        .toml(
            r#"
            [[route]]
            path = "/"
            upstream = "app"
            error_pages = [{ on = [500], to = "@fallback", status = "from_page", servers = true }]
            [[route]]
            path = "/far"
            upstream = "app"
            error_pages = [{ on = [500], to = "@far", status = "from_page", servers = true }]
            [[route]]
            name = "far"
            internal = true
            respond = { status = 404 }
            steps = [{ rewrite = "^", to = "/fallback", then = "last" }]
            [[route]]
            path = "/fallback"
            upstream = "fallback"
            [[route]]
            name = "fallback"
            internal = true
            upstream = "fallback"
            "#,
        )
        .start();
    let mut client = proxy.client();
    assert_eq!(client.get("/x").text(), "fallback");
    assert_eq!(client.get("/far").text(), "fallback");
    for (path, status) in [("/x", 500), ("/far", 502)] {
        let response = client.post(path, "body");
        assert_eq!(response.status, status, "{path}");
        assert_ne!(response.text(), "mine", "{path}");
    }
    assert_eq!(fallback.requests().len(), 2, "no request comes without its body");
    assert_eq!(client.get("/x").text(), "fallback", "the connection goes on");
}
