//! What stands between clients and servers: sticky cookies, and other proxies.

use super::*;

/// Complaints, or warnings, about a file that ends with these lines of its one upstream, the first
/// of which is line 8.
pub(super) fn upstream(lines: &str) -> String {
    let servers = "servers = [\"a:1\", \"b:1\"]";
    format!("{LISTENER}{ROUTE}[[upstream]]\nname = \"app\"\n{servers}\n{lines}\n")
}

pub(super) fn complaints(text: &str) -> Vec<String> {
    let complaints = match from_text(text, "f", &machine()) {
        Ok(loaded) => loaded.warnings,
        Err(errors) => errors,
    };
    let line = |complaint: &Complaint| complaint.to_string().replacen("f:", "", 1);
    complaints.iter().map(line).collect()
}

#[track_caller]
pub(super) fn check(cases: &[(&str, &[&str])]) {
    for (lines, expected) in cases {
        let text = upstream(lines);
        assert_eq!(complaints(&text), *expected, "\n{text}");
    }
}

#[test]
fn sticky_cookies() {
    check(&[
        ("sticky = { name = \"sid\" }", &[]),
        (
            "[upstream.sticky]\nname = \"__Host-sid\"\nttl = \"30h\"\nsame_site = \"none\"\n\
             secure = true\nhttp_only = false\nsecret = \"0123456789abcdef\"",
            &[],
        ),
        ("sticky = {}", &["8:10: `sticky` has no `name`; add name = \"app_server\""]),
        (
            "sticky = { nmae = \"sid\", ttl = \"1500ms\", same_site = \"laxe\", secure = 1, \
             http_only = \"no\", path = \"app\", secret = \"short\" }",
            &[
                "8:10: `sticky` has no `name`; add name = \"app_server\"",
                "8:12: unknown key `nmae` in `sticky`; did you mean `name`?",
                "8:32: `ttl` is not whole seconds; a cookie knows no smaller unit",
                "8:54: unknown `same_site` \"laxe\"; did you mean `lax`?",
                "8:71: `secure` is a whole number; write true or false",
                "8:86: `http_only` is a string; write true or false",
                "8:99: `path` is \"app\", which no browser would take for a path; begin with `/`, \
                 and leave out blanks and semicolons",
                "8:115: `secret` has fewer than 16 characters; write a long random text: openssl \
                 rand -base64 24",
            ],
        ),
        (
            "sticky = { name = \"s id\", path = \"/;\", ttl = \"0s\", same_site = \"none\" }",
            &[
                "8:19: \"s id\" is not a cookie's name; use letters, digits, hyphens and \
                 underscores",
                "8:34: `path` is \"/;\", which no browser would take for a path; begin with `/`, \
                 and leave out blanks and semicolons",
                "8:46: `ttl` is \"0s\"; write a time from 1s to 8760h",
                "8:64: browsers drop a cookie with same_site = \"none\" that is not secure; add \
                 secure = true, or write \"lax\"",
            ],
        ),
        (
            "sticky = { name = \"__Host-sid\", secure = true, path = \"/app\" }",
            &["8:19: browsers drop `__Host-sid` unless it is secure and its path is \"/\"; add \
               secure = true and leave `path` out, or rename it"],
        ),
        (
            "sticky = { name = \"__secure-sid\" }",
            &["8:19: browsers drop `__secure-sid` unless it is secure; add secure = true, or \
               rename it"],
        ),
    ]);
    let one_name = upstream("sticky = { name = \"sid\" }").replace(", \"b:1\"", "");
    assert_eq!(complaints(&one_name), [""; 0], "it may have several addresses");
    let one_server = one_name.replace("a:1", "192.0.2.1:1");
    assert_eq!(
        complaints(&one_server),
        ["8:10: `sticky` has no effect: the upstream has one server; remove it, or add servers"]
    );
}

/// Only where a browser would keep one cookie for both.
#[test]
fn sticky_cookies_of_several_upstreams() {
    let file = |shop: &str, sticky: &str| {
        let app = upstream("sticky = { name = \"sid\" }");
        let app = app.replace("upstream = \"app\"", "upstream = \"app\"\nhost = \"a.test\"");
        let servers = "servers = [\"c:1\", \"d:1\"]";
        let route = format!("[[route]]\nupstream = \"shop\"\n{shop}\n");
        format!("{app}[[upstream]]\nname = \"shop\"\n{servers}\nsticky = {sticky}\n{route}")
    };
    let warning = "13:19: the upstream `app` sets the cookie `sid` too, for the same hosts: each \
                   would overwrite the other's; rename one, or give each a `path`";
    let warning = warning.to_owned();
    for (shop, sticky, expected) in [
        ("host = \"b.test\"", "{ name = \"sid\" }", vec![]),
        ("", "{ name = \"other\" }", vec![]),
        ("path = \"/shop\"", "{ name = \"sid\", path = \"/shop\" }", vec![]),
        ("path = \"/shop\"", "{ name = \"sid\" }", vec![warning.clone()]),
        ("host = \"a.test\"\npath = \"/shop\"", "{ name = \"sid\" }", vec![warning]),
    ] {
        let text = file(shop, sticky);
        assert_eq!(complaints(&text), expected, "\n{text}");
    }
}

#[test]
fn trusted_proxies() {
    let with =
        |top: &str, listener: &str| format!("{top}\n{LISTENER}{listener}\n{UPSTREAM}{ROUTE}");
    for (top, listener, expected) in [
        ("trusted_proxies = [\"10.0.0.0/8\", \"192.0.2.1\", \"::1\", \"unix\"]", "", vec![]),
        (
            "trusted_proxies = [\"10.0.0.1/8\", \"proxy\", 3, \"10.0.0.0/99\"]",
            "",
            vec![
                "1:20: `trusted_proxies` is \"10.0.0.1/8\": the address goes on beyond its \
                 network; write \"10.0.0.0/8\" for the network, or \"10.0.0.1\" for the address \
                 alone",
                "1:34: `trusted_proxies` is \"proxy\": not an IP address; write \"10.0.0.0/8\", \
                 \"192.0.2.1\", \"2001:db8::/32\" or \"unix\"",
                "1:43: an item of `trusted_proxies` is a whole number; write a network in quotes, \
                 such as \"10.0.0.0/8\"",
                "1:46: `trusted_proxies` is \"10.0.0.0/99\": what follows the slash is no number \
                 from 0 to 32; write \"10.0.0.0/8\", \"192.0.2.1\", \"2001:db8::/32\" or \"unix\"",
            ],
        ),
        (
            "trusted_proxies = [\"10.0.0.0/8\", \"::/0\", \"10.0.0.0/8\", \"unix\", \"unix\"]",
            "",
            vec![
                "1:42: 10.0.0.0/8 is listed twice; remove one",
                "1:64: unix is listed twice; remove one",
            ],
        ),
        (
            "trusted_proxies = [\"10.0.0.1:80\", \"[::1]:80\", \"::ffff:10.0.0.1\", \"all\"]",
            "",
            vec![
                "1:20: `trusted_proxies` is \"10.0.0.1:80\": not an IP address; did you mean \
                 \"10.0.0.1\"?",
                "1:35: `trusted_proxies` is \"[::1]:80\": not an IP address; did you mean \
                 \"::1\"?",
                "1:47: `trusted_proxies` is \"::ffff:10.0.0.1\": IPv4 in the form of IPv6; did \
                 you mean \"10.0.0.1\"?",
                "1:66: `trusted_proxies` is \"all\": not an IP address; write \"10.0.0.0/8\", \
                 \"192.0.2.1\", \"2001:db8::/32\" or \"unix\"",
            ],
        ),
        (
            "trusted_proxies = [\"0.0.0.0/0\"]",
            "",
            vec![
                "1:20: 0.0.0.0/0 trusts everybody: clients may then say who they are; write the \
                 networks of your own proxies",
            ],
        ),
        ("", "proxy_protocol = true\ntrusted_proxies = \"127.0.0.1\"", vec![]),
        ("trusted_proxies = \"127.0.0.1\"", "proxy_protocol = true", vec![]),
        ("", "proxy_protocol = false", vec![]),
        (
            "",
            "proxy_protocol = true",
            vec![
                "4:18: nobody could connect: only `trusted_proxies` may send PROXY headers; add \
                 trusted_proxies = [\"10.0.0.5\"], with their networks",
            ],
        ),
        (
            "trusted_proxies = \"127.0.0.1\"",
            "trusted_proxies = []\nproxy_protocol = true",
            vec![
                "5:18: nobody could connect: only `trusted_proxies` may send PROXY headers; add \
                 trusted_proxies = [\"10.0.0.5\"], with their networks",
            ],
        ),
        (
            "",
            "proxy_protocl = \"v2\"",
            vec![
                "4:1: unknown key `proxy_protocl` in [[listener]]; did you mean `proxy_protocol`?",
            ],
        ),
        (
            "",
            "proxy_protocol = \"v2\"",
            vec![
                "4:18: `proxy_protocol` of a listener is \"v2\"; write true: both versions are \
                 understood",
            ],
        ),
        (
            "",
            "trusted_proxies = [\"unix\", \"127.0.0.1\"]",
            vec!["4:20: \"unix\" has no effect: this listener is no Unix socket; remove it"],
        ),
    ] {
        let text = with(top, listener);
        assert_eq!(complaints(&text), expected, "\n{text}");
    }
    let unix = |listener: &str| {
        let text = with("", listener).replace("127.0.0.1:8080", "unix:/run/x");
        complaints(&text)
    };
    assert_eq!(
        unix("trusted_proxies = [\"127.0.0.1\"]"),
        ["4:20: 127.0.0.1 has no effect: peers of a Unix socket have no address; write \
          \"unix\" to trust whoever may connect"]
    );
    assert_eq!(
        unix("trusted_proxies = [\"127.0.0.1\"]\nproxy_protocol = true"),
        ["5:18: nobody could connect: only `trusted_proxies` may send PROXY headers; add \
          trusted_proxies = [\"unix\"]"]
    );
    assert!(unix("trusted_proxies = [\"127.0.0.1\", \"unix\"]\nproxy_protocol = true").is_empty());
    let misplaced = format!("[log]\ntrusted_proxies = []\n{LISTENER}{UPSTREAM}{ROUTE}");
    assert_eq!(
        complaints(&misplaced),
        ["2:1: unknown key `trusted_proxies` in [log]; it belongs at the top of the file, above \
          the first table"]
    );
}

#[test]
fn proxy_headers_for_servers() {
    check(&[
        ("proxy_protocol = \"v1\"", &[]),
        ("proxy_protocol = \"v2\"", &[]),
        (
            "proxy_protocol = true",
            &["8:18: `proxy_protocol` of an upstream is the version to send; write \"v1\" or \
               \"v2\", or remove it"],
        ),
        ("proxy_protocol = \"v3\"", &["8:18: unknown `proxy_protocol` \"v3\"; did you mean `v1`?"]),
    ]);
}
