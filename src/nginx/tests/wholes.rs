//! What holds for all of the process, and must not be said for a part of it.

use super::{accept, accept_server, assert_has, refuse, translate_files};

/// The notes about what stands in `http`, from line 3 on.
#[track_caller]
fn notes(http: &str) -> Vec<String> {
    let main = format!("events {{ }}\nhttp {{\n{http}\n}}\n");
    translate_files(&[("nginx.conf", &main)]).expect("it is accepted").1
}

#[track_caller]
fn assert_told(remarks: &[String], what: &str) {
    assert!(remarks.iter().any(|remark| remark.contains(what)), "{what}\n{remarks:#?}");
}

#[test]
fn clients_are_named_the_same_for_all_servers() {
    let real_ip = "set_real_ip_from 10.0.0.0/8; real_ip_header X-Forwarded-For;";
    let text = accept(&format!("{real_ip} server {{ return 204; }} server {{ return 204; }}"));
    assert_has(&text, "trusted_proxies = [\"10.0.0.0/8\"]");
    let told = notes(&format!("{real_ip} server {{ return 204; }}"));
    assert_told(&told, "`real_ip_recursive` is always on; the client is the last address");
    let told = notes(&format!("{real_ip} real_ip_recursive on; server {{ return 204; }}"));
    assert!(!told.iter().any(|note| note.contains("always on")), "{told:#?}");
    let told = notes("real_ip_header X-Forwarded-For; server { return 204; }");
    assert_told(&told, "`real_ip_header` has no effect; there is no `set_real_ip_from`");
    let other = "set_real_ip_from 10.0.0.1; real_ip_header X-Forwarded-For;";
    for servers in [
        format!("server {{ return 204; }} server {{ {real_ip} return 204; }}"),
        format!("server {{ {real_ip} return 204; }} server {{ return 204; }}"),
        format!("{real_ip} server {{ return 204; }} server {{ {other} return 204; }}"),
    ] {
        assert_told(&refuse(&servers), "`set_real_ip_from` is not the same for all servers");
    }
    for line in ["set_real_ip_from 10.0.0.1;", "real_ip_recursive on;"] {
        let location = format!("{real_ip} server {{ location / {{ {line} return 204; }} }}");
        assert_told(&refuse(&location), "is not honoured: whose a request is, is known before");
    }
}

#[test]
fn proxy_headers_are_believed_where_they_are_expected() {
    let real_ip = "set_real_ip_from 10.0.0.1; real_ip_header proxy_protocol;";
    let http = format!(
        "{real_ip} server {{ listen 81 proxy_protocol; return 204; }} server {{ return 204; }}"
    );
    let text = accept(&http);
    assert_eq!(text.matches("trusted_proxies").count(), 1, "{text}");
    assert_has(
        &text,
        "proxy_protocol = true\ntrusted_proxies = [\"10.0.0.1\"]\nforwarded_for = false",
    );
    assert_told(&notes(&http), "only whom `set_real_ip_from` names may send PROXY headers");
    for without in
        ["", "set_real_ip_from 10.0.0.1; real_ip_header X-Forwarded-For; real_ip_recursive on;"]
    {
        let http = format!("{without} server {{ listen 81 proxy_protocol; return 204; }}");
        assert_told(&refuse(&http), "without `real_ip_header proxy_protocol` is not honoured");
    }
}

#[test]
fn connections_are_counted_for_all_servers_or_not_at_all() {
    let zone = "limit_conn_zone $binary_remote_addr zone=c:1m;";
    let limit = "limit_conn c 20;";
    let server = |line| format!("server {{ {line} location / {{ proxy_pass http://a; }} }}");
    for http in [
        format!("{zone} {limit} {} {}", server(""), server("server_name b;")),
        format!("{zone} {} {}", server(limit), server(limit)),
    ] {
        assert_has(&accept(&http), "connections_per_client = 20");
    }
    for http in [
        format!("{zone} {}", server("location /d/ { limit_conn c 20; proxy_pass http://a; }")),
        format!("{zone} {} {}", server(limit), server("")),
    ] {
        assert_told(&refuse(&http), "`limit_conn c 20` is not honoured: connections are counted");
    }
}

#[test]
fn settings_of_connections_are_those_of_all_servers() {
    for (line, same) in [
        ("client_header_timeout 5s;", "client_header_timeout 60s;"),
        ("keepalive_timeout 5s;", "keepalive_timeout 75s;"),
        ("keepalive_timeout 0;", "keepalive_timeout 75;"),
        ("keepalive_requests 5;", "keepalive_requests 1000;"),
        ("large_client_header_buffers 2 4k;", "large_client_header_buffers 4 8k;"),
    ] {
        let servers = |line| format!("server {{ return 204; }} server {{ {line} return 204; }}");
        assert_told(&refuse(&servers(line)), "is not the same for all servers; it holds for all");
        accept(&servers(same));
        accept(&format!("{line} server {{ return 204; }} server {{ return 204; }}"));
    }
    for line in ["keepalive_timeout 5s;", "keepalive_requests 5;"] {
        let location = format!("location / {{ location /a {{ {line} return 204; }} }}");
        let errors = refuse(&format!("server {{ {location} }}"));
        assert_told(&errors, "is not the same in this location as around it");
        accept(&format!("{line} server {{ {location} }}"));
    }
    let told = notes("server { large_client_header_buffers 4 32k; return 204; }");
    assert_told(&told, "a head may have 31 KiB at most");
}

#[test]
fn nothing_is_dropped_in_silence() {
    let told =
        notes("server { keepalive_timeout 75 60; location / { send_timeout 5s; return 204; } }");
    assert_told(&told, "clients are not told the `60` of `keepalive_timeout`");
    assert_told(&told, "`send_timeout` and `proxy_read_timeout` are one time here");
    let told = notes(
        "server { error_log /a debug; location / { error_log /b; charset utf-8; return 204; } }",
    );
    assert_told(&told, "messages do not go to `/a`; they go to standard error, and there is one");
    assert_told(&told, "messages do not go to `/b`");
    assert_told(&told, "`charset utf-8` is for files only");
    let text =
        accept_server("location / { resolver 127.0.0.11; resolver_timeout 5s; return 204; }");
    assert_has(&text, "nameservers = [\"127.0.0.11\"]\ntimeout = \"5s\"");
    let errors =
        refuse("server { location / { resolver 127.0.0.1; return 204; } resolver 127.0.0.2; }");
    assert_told(&errors, "`resolver` is not the same everywhere");
    let errors = refuse("server { location / { set $limit_rate 1k; return 204; } }");
    assert_told(&errors, "`set $limit_rate 1k` is not honoured");
}

#[test]
fn redirects_lead_where_the_location_says() {
    let text = accept(
        "server { listen 8080; location /a { absolute_redirect off; return 302 /x; }
           location /b { port_in_redirect off; return 302 /x; } location /c { return 302 /x; } }",
    );
    for to in ["/x", "$scheme://$host/x", "$scheme://$host:8080/x"] {
        assert_has(&text, &format!("redirect = {{ to = \"{to}\", status = 302 }}"));
    }
    let text = accept("server { listen 80; listen 8080; return 302 /x; }");
    assert_has(&text, "redirect = { to = \"$scheme://$host${corelane_port}/x\", status = 302 }");
    assert_has(
        &text,
        r#"name = "corelane_port"
           from = "$server_port"
           default = ":$server_port"
           values = [
           ["80", ""],
           ]"#,
    );
    let text = accept("server { listen 80; listen [::]:80; return 302 /x; }");
    assert!(!text.contains("corelane_port"), "{text}");
}

#[test]
fn the_default_port_is_not_said() {
    let text = accept_server("location / { proxy_pass http://h:80; }");
    assert_has(&text, "[route.request_fields.set]\nHost = \"h\"");
}

#[test]
fn comments_are_one_line_whatever_files_are_called() {
    let site = "conf.d/a\n[[route]]\rx\u{1}.conf";
    let main = "http { include conf.d/*; sendfile on; }\n";
    let server = "sendfile_max_chunk 1k; server { location \"/a\r\nb = 1\" { return 204; } }";
    let (text, _) = translate_files(&[("nginx.conf", main), (site, server)]).unwrap();
    assert!(!text.contains(['\r', '\u{1}']), "{text:?}");
    let bare = |line: &&str| line.starts_with("x") || line.starts_with("b = 1");
    assert_eq!(text.lines().find(bare), None, "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("[[route]]")).count(), 2, "{text}");
    assert!(text.contains("# ") && text.contains("location /a  b = 1"), "{text}");
}
