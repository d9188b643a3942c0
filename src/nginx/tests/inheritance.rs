//! What inner blocks take from outer ones.

use super::{accept, assert_has};

#[test]
fn fields_for_servers_are_taken_all_or_none() {
    let text = accept(
        "proxy_set_header X-A a; proxy_set_header X-B b;
         server { listen 80;
           location /all { proxy_pass http://a; }
           location /own { proxy_pass http://a; proxy_set_header X-C c; } }",
    );
    assert_has(&text, "[route.request_fields.set]\nHost = \"a\"\nX-A = \"a\"\nX-B = \"b\"");
    assert_has(&text, "[route.request_fields.set]\nHost = \"a\"\nX-C = \"c\"\n");
}

#[test]
fn fields_for_clients_are_taken_all_or_none() {
    let text = accept(
        "add_header X-A a always;
         server { listen 80; root /r;
           location /all { }
           location /own { add_header X-B b; add_header X-B c; } }",
    );
    assert_has(&text, "[route.response_fields.add]\nX-A = \"a\"");
    assert_has(&text, "[route.response_fields.add_ok]\nX-B = [\"b\", \"c\"]");
    assert_eq!(text.matches("X-A").count(), 2, "/all and what is left of the server:\n{text}");
}

#[test]
fn lists_and_values_of_outer_blocks_hold_until_they_are_replaced() {
    let text = accept(
        "root /outer; index a.html; error_page 503 /503.html; client_max_body_size 2m;
         allow 10.0.0.0/8; deny all;
         server { listen 80;
           location /taken { }
           location /own {
             root /inner; index b.html; error_page 500 /500.html; client_max_body_size 0;
             allow all; } }",
    );
    assert_has(&text, "body = \"2MiB\"");
    let (taken, own) = (part(&text, "/taken"), part(&text, "/own"));
    for line in ["root = \"/outer\"", "index = [\"a.html\"]", "on = [503]", "allow = [\"10."] {
        assert!(taken.contains(line), "{line}\n{taken}");
        assert!(!own.contains(line), "{line}\n{own}");
    }
    for line in ["root = \"/inner\"", "index = [\"b.html\"]", "on = [500]", "body = \"none\""] {
        assert!(own.contains(line), "{line}\n{own}");
    }
    assert!(!own.contains("allow"), "{own}");
}

/// The route of the location of this path.
#[track_caller]
fn part<'t>(text: &'t str, path: &str) -> &'t str {
    let title = format!(": location {path}\n");
    let start = text.find(&title).unwrap_or_else(|| panic!("no location {path}:\n{text}"));
    let rest = &text[start + title.len()..];
    &rest[..rest.find("\n\n").unwrap_or(rest.len())]
}

#[test]
fn a_proxy_pass_is_not_taken_by_locations_inside() {
    let text = accept(
        "server { listen 80; location /a/ { proxy_pass http://a; root /r; location /a/b/ { } } }",
    );
    assert!(part(&text, "/a/").contains("upstream = \"a\""), "{text}");
    assert!(!part(&text, "/a/b/").contains("upstream"), "{text}");
    assert!(part(&text, "/a/b/").contains("root = \"/r\""), "{text}");
}

#[test]
fn limits_and_logs_of_outer_blocks() {
    let text = accept(
        "limit_req_zone $binary_remote_addr zone=one:10m rate=30r/m;
         access_log /var/log/a.log;
         server { listen 80; limit_req zone=one burst=5 nodelay;
           location /quiet { root /r; access_log off; }
           location /more { root /r; limit_req zone=one burst=9 nodelay; limit_req_status 429; }
         }",
    );
    assert_has(&text, "name = \"one\"\nrequests = 30\nper = \"1m\"\nburst = 6\nkey = \"ip\"");
    assert_has(&text, "keys = 163840\nstatus = 503");
    assert_has(&text, "to = \"/var/log/a.log\"\nformat = \"combined\"");
    assert!(part(&text, "/quiet").contains("access_log = false"), "{text}");
    assert!(part(&text, "/quiet").contains("rate = \"one\""), "{text}");
    assert!(part(&text, "/more").contains("rate = \"one-2\""), "{text}");
    assert_has(&text, "burst = 10\nkey = \"ip\"\nkeys = 163840");
}

#[test]
fn each_server_may_have_a_log() {
    let text = accept(
        "access_log /var/log/all.log;
         server { listen 80; server_name a; root /r; }
         server { listen 80; server_name b; root /r; access_log /var/log/b.log;
           location /both { root /r; access_log /var/log/b.log; access_log /var/log/all.log; }
           location /none { root /r; access_log off; } }",
    );
    assert_has(&text, "to = \"/var/log/all.log\"\nmore = { log2 = \"/var/log/b.log\" }");
    assert!(part(&text, "/both").contains("access_log = [\"log2\", \"main\"]"), "{text}");
    assert!(part(&text, "/none").contains("access_log = false"), "{text}");
    assert_eq!(text.matches("access_log = \"log2\"").count(), 1, "{text}");
}

#[test]
fn an_if_takes_what_its_location_says() {
    let text = accept(
        "server { listen 80; location /a/ {
           proxy_pass http://app/base/; add_header X-A a; client_max_body_size 2m;
           if ($arg_x) { add_header X-B b; set $y 1; } } }",
    );
    let step = "{ if = \"$arg_x\", then = [{ answer_by = \"@if nginx.conf:5\" }, \
                { set = \"y\", to = \"1\" }] },";
    assert_has(&text, step);
    assert_has(&text, "name = \"if nginx.conf:5\"\ninternal = \"by_name\"\npath_start = \"/a/\"");
    assert_eq!(text.matches("replace_path = \"/base/\"").count(), 2, "{text}");
    assert_eq!(text.matches("{ body = \"2MiB\" }").count(), 2, "{text}");
    assert_eq!((text.matches("X-A").count(), text.matches("X-B").count()), (1, 1), "{text}");
}
