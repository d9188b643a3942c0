//! What comes out.

use super::{accept, accept_server, assert_has};

#[test]
fn a_site_before_an_app() {
    let text = accept(
        "upstream domain { server 10.0.0.1:3000; server 10.0.0.2:3000; }
         server { server_name akuma.xyz; location / { proxy_pass http://domain; } }",
    );
    assert_has(&text, "[[listener]]\naddress = \"0.0.0.0:80\"");
    assert_has(
        &text,
        r#"name = "domain"
           servers = [
           "10.0.0.1:3000",
           "10.0.0.2:3000",
           ]"#,
    );
    assert_has(&text, "host = [\"akuma.xyz\", \"*\"]\npath = \"/\"\nupstream = \"domain\"");
    assert_has(&text, "[route.request_fields.set]\nHost = \"domain\"");
}

#[test]
fn servers_have_parameters() {
    let text = accept(
        "upstream u { least_conn; keepalive 16;
           server a.example:81 weight=3 max_conns=9 max_fails=2 fail_timeout=30s;
           server b backup max_fails=2 fail_timeout=30s;
           server unix:/run/c.sock down max_fails=2 fail_timeout=30s; }
         server { location / { proxy_pass http://u; proxy_connect_timeout 5s; } }",
    );
    let times = ["window", "ejection", "max_ejection"].map(|key| format!("{key} = \"30s\", "));
    let passive = format!("{{ failures = 2, {}eject_refused = false }}", times.concat());
    assert_has(
        &text,
        &r#"balance = "least_conn"
           servers = [
           { address = "a.example:81", weight = 3, max_connections = 9 },
           { address = "b:80", backup = true },
           { address = "unix:/run/c.sock", state = "down" },
           ]
           passive = PASSIVE
           pool = { max_idle = 16, idle_timeout = "60s" }
           timeouts = { connect = "5s" }"#
            .replace("PASSIVE", &passive),
    );
}

#[test]
fn paths_are_replaced_as_locations_say() {
    let table = [
        ("location / { proxy_pass http://a; }", "path = \"/\"\nupstream = \"a\"\nredirects"),
        ("location /x/ { proxy_pass http://a/; }", "upstream = \"a\"\nreplace_path = \"/\""),
        (
            "location /x/ { proxy_pass http://a:3000/y/; }",
            "upstream = \"a-3000\"\nreplace_path = \"/y/\"\n\
             redirects = [[\"http://a:3000/y/\", \"/x/\"]]",
        ),
        (
            "location ~ ^/x/(.*)$ { proxy_pass http://a/y/$1$is_args$args; }",
            "path_regex = '(?-u)^/x/(.*)\\n?$'\nupstream = \"a\"\n\
             send_path = \"/y/$1$is_args$args\"",
        ),
        ("location / { proxy_pass http://a$request_uri; }", "send_path = \"$request_uri\""),
        ("location / { set $b http://a:81; proxy_pass $b; }", "upstream = \"a-81\""),
        ("location / { proxy_pass http://unix:/run/a.sock:/z/; }", "replace_path = \"/z/\""),
        (
            "location / { proxy_pass http://a; proxy_redirect http://b/ /c/; }",
            "redirects = [[\"http://b/\", \"/c/\"]]",
        ),
    ];
    for (location, expected) in table {
        assert_has(&accept_server(location), expected);
    }
    let text = accept_server("location / { proxy_pass http://a; proxy_redirect off; }");
    assert!(!text.contains("redirects"), "{text}");
}

#[test]
fn locations_have_kinds() {
    let table = [
        ("location /a { return 204; }", "path_start = \"/a\""),
        ("location ^~ /a/ { return 204; }", "path_start_first = \"/a/\""),
        ("location = /a { return 204; }", "path_exact = \"/a\""),
        ("location =/a { return 204; }", "path_exact = \"/a\""),
        (r"location ~ \.php$ { return 204; }", r"path_regex = '\.php\n?$'"),
        (r"location ~* \.(png|jpg)$ { return 204; }", r"path_regex = '(?i-u)\.(png|jpg)\n?$'"),
        ("location \"/a b\" { return 204; }", "path_start = \"/a%20b\""),
        (
            r"location /a/ { root /r; location ~ \.php$ { return 204; } }",
            "path_regex = '\\.php\\n?$'\npath_within = \"/a/\"",
        ),
        ("location @f { return 204; }", "name = \"f\"\ninternal = true"),
        ("location = /e { internal; return 204; }", "path_exact = \"/e\"\ninternal = true"),
    ];
    for (location, expected) in table {
        assert_has(&accept_server(location), expected);
    }
}

#[test]
fn steps_say_what_happens_before_an_answer() {
    let table = [
        ("set $x a$host;", r#"{ set = "x", to = "a$host" },"#),
        (
            "rewrite ^/a(.*)$ /b$1 last;",
            r#"{ rewrite = '(?-u)^/a(.*)\n?$', to = "/b$1", then = "last" },"#,
        ),
        (
            "rewrite ^/a(.*)$ /b$1 permanent;",
            r#"{ rewrite = '(?-u)^/a(.*)\n?$', to = "$scheme://$host/b$1", then = "permanent" },"#,
        ),
        (
            "if ($request_method = POST) { return 405; }",
            r#"{ if = "$request_method", is = "POST", then = [{ return = 405 }] },"#,
        ),
        (
            "if ($http_user_agent ~* \"(bot|spider)\") { return 403 no; }",
            "{ if = \"$http_user_agent\", matches = \"(?i-u)(bot|spider)\", \
             then = [{ return = 403, body = \"no\", content_type = \"text/plain\" }] },",
        ),
        (
            "if (!-f /x$uri) { break; }",
            r#"{ file = "/x$uri", not = true, then = [{ break = true }] },"#,
        ),
        ("if ($arg_a) { set $y 1; }", r#"{ if = "$arg_a", then = [{ set = "y", to = "1" }] },"#),
    ];
    for (step, expected) in table {
        let text = accept_server(&format!("location / {{ {step} proxy_pass http://a; }}"));
        assert_has(&text, &format!("steps = [\n{expected}\n]"));
    }
}

#[test]
fn a_return_ends_it() {
    let table = [
        (
            "return 301 https://$host$request_uri;",
            r#"redirect = { to = "https://$host$request_uri", status = 301 }"#,
        ),
        ("return 302 /x;", r#"redirect = { to = "$scheme://$host/x", status = 302 }"#),
        ("return https://a.example/;", r#"redirect = { to = "https://a.example/", status = 302 }"#),
        (
            "return 200 'it is $host';",
            r#"respond = { status = 200, body = "it is $host", content_type = "text/plain" }"#,
        ),
        (
            "return 404;",
            "{ return = 404 },\n]\nrespond = { status = 404, content_type = \"text/plain\" }",
        ),
        ("return 204;", "respond = { status = 204 }"),
    ];
    for (line, expected) in table {
        assert_has(&accept_server(line), expected);
        let text = accept_server(&format!("location /x {{ {line} }}"));
        assert_has(&text, expected);
    }
    let text = accept("server { listen 8080; return 302 /x; }");
    assert_has(&text, r#"redirect = { to = "$scheme://$host:8080/x", status = 302 }"#);
}

#[test]
fn servers_share_addresses_by_name() {
    let text = accept(
        "server { listen 80; server_name a.example; return 201; }
         server { listen 80; server_name .b.example; return 202; }
         server { listen 80; server_name c.*; return 203; }
         server { listen 80; server_name ~^(?<sub>.+)\\.d$; return 204; }
         server { listen 80 default_server; server_name _; return 205; }",
    );
    for (host, status) in [
        ("host = \"a.example\"", 201),
        ("host = [\"b.example\", \"*.b.example\"]", 202),
        ("host = \"c.*\"", 203),
        (r"host = '~(?i-u)^(?<sub>.+)\.d$'", 204),
    ] {
        let media = if status == 204 { "" } else { ", content_type = \"text/plain\"" };
        let path = format!("{host}\npath = \"/\"\nrespond = {{ status = {status}{media} }}");
        assert_has(&text, &path);
    }
    assert!(!text.contains("listeners"), "all servers are behind the only address:\n{text}");
    assert_has(&text, "path = \"/\"\nrespond = { status = 205 }");
}

#[test]
fn servers_on_different_addresses_are_told_apart() {
    let text = accept(
        "server { listen 81; return 201; }
         server { listen 82; listen unix:/run/x.sock; return 202; }
         server { listen 82; server_name a.example; return 203; }",
    );
    assert_has(&text, "name = \"0.0.0.0-82\"\naddress = \"0.0.0.0:82\"");
    assert_has(
        &text,
        "listeners = [\"0.0.0.0-81\"]\npath = \"/\"\nrespond = { status = 201, \
         content_type",
    );
    assert_has(&text, "listeners = [\"0.0.0.0-82\", \"unix-run-x.sock\"]\npath = \"/\"");
    assert_has(&text, "listeners = [\"0.0.0.0-82\"]\nhost = \"a.example\"");
}

#[test]
fn rules_for_addresses_mean_the_same() {
    let table = [
        ("allow 10.0.0.0/8; deny all;", "allow = [\"10.0.0.0/8\"]"),
        (
            "deny 10.1.0.0/16; allow 10.0.0.0/8; deny all;",
            "allow = [\"10.0.0.0/8\"]\ndeny = [\"10.1.0.0/16\"]",
        ),
        ("deny 10.0.0.0/8;", "deny = [\"10.0.0.0/8\"]"),
        ("deny all;", "deny = [\"0.0.0.0/0\", \"::/0\", \"unix\"]"),
        (
            "allow 10.1.0.1; deny 10.0.0.0/8;",
            "allow = [\"10.1.0.1\", \"0.0.0.0/0\", \"::/0\", \"unix\"]\ndeny = [\"10.0.0.0/8\"]",
        ),
        (
            "deny 10.0.0.0/8; allow 10.1.0.1; deny all;",
            "deny = [\"10.0.0.0/8\", \"0.0.0.0/0\", \"::/0\", \"unix\"]",
        ),
    ];
    for (rules, expected) in table {
        assert_has(&accept_server(&format!("{rules} location /x {{ return 204; }}")), expected);
    }
    let text = accept_server("allow all; location /x { return 204; }");
    assert!(!text.contains("allow ="), "{text}");
}

#[test]
fn files_and_pages() {
    let text = accept(
        "types { text/html html htm; text/css css; } default_type application/octet-stream;
         server { listen 80; root /var/www; index index.html index.htm;

           location / { try_files $uri $uri/ /index.html; autoindex on; }
           location /static/ { alias /srv/static/; expires 30d; }
           location /app { proxy_pass http://a; proxy_intercept_errors on;
             error_page 500 502 /50x.html; error_page 404 = @app; error_page 403 =200 /ok; }
           location @app { proxy_pass http://a; } }",
    );
    assert_has(
        &text,
        r#"{ on = [500, 502], to = "/50x.html", servers = true },
           { on = [404], to = "@app", status = "from_page", servers = true },
           { on = [403], to = "/ok", status = 200, servers = true },"#,
    );
    assert_has(
        &text,
        r#"[route.files]
           root = "/var/www"
           index = ["index.html", "index.htm"]
           try = ["$uri", "$uri/", "/index.html"]
           listing = true"#,
    );
    assert_has(&text, "alias = \"/srv/static/\"");
    assert_has(&text, "expires = \"720h\"");
    assert_has(
        &text,
        r#"[files]
           default_type = "application/octet-stream"
           types = { html = "text/html", htm = "text/html", css = "text/css" }
           only_types = true"#,
    );
}

#[test]
fn maps_keep_their_keys() {
    let text = accept(
        "map $http_upgrade $connection_upgrade { default upgrade; '' close; }
         map $host $kind { hostnames; *.example.com x; .both y; ~*^a(.)$ b$1; \\default y; }
         server { listen 80; return 200 $kind$connection_upgrade; }",
    );
    assert_has(
        &text,
        r#"name = "connection_upgrade"
           from = "$http_upgrade"
           default = "upgrade"
           values = [
           ["", "close"],
           ]"#,
    );
    assert_has(
        &text,
        r#"hostnames = true
           values = [
           ["*.example.com", "x"],
           ["both", "y"],
           ["*.both", "y"],
           ["~(?i-u)^a(.)$", "b$1"],
           ["default", "y"],
           ]"#,
    );
}

#[test]
fn next_upstream_says_what_is_tried_again() {
    let servers = "upstream u { server a; server b; server c; }";
    let table = [
        ("", "retry = { tries = 3, on = [\"closed\", \"timeout\"], budget_percent = 100 }"),
        ("proxy_next_upstream off;", "retry = { tries = 1 }"),
        (
            "proxy_next_upstream error http_502 non_idempotent; proxy_next_upstream_tries 2;",
            "retry = { tries = 2, on = [\"closed\", 502], non_idempotent = true }",
        ),
        (
            "proxy_next_upstream_timeout 10s;",
            "retry = { tries = 3, on = [\"closed\"], timeout = \"10s\" }",
        ),
    ];
    for (lines, expected) in table {
        let text = accept(&format!(
            "{servers} server {{ listen 80; location / {{ proxy_pass http://u; {lines} }} }}"
        ));
        assert_has(&text, expected);
    }
}
