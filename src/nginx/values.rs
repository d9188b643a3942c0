//! Directives of which only one value is honoured, because nothing else is done.

use super::complaint::Complaints;
use super::tree::Directive;

/// What is said of a value.
enum Verdict {
    /// It is what is done anyway.
    Fine(&'static str),
    /// Why not, and what to do instead.
    Refused(&'static str, &'static str),
    /// Another part of the translation reads it.
    Read,
}

/// Looks at every such directive, wherever it stands.
pub(super) fn all(directives: &[Directive], complaints: &Complaints) {
    for directive in directives {
        match verdict(directive.name.text.as_str(), directive.argument(0)) {
            Verdict::Read => {}
            Verdict::Fine(why) => {
                let name = &directive.name.text;
                let what = format!("`{name} {}` is not needed", directive.argument(0));
                complaints.note(directive.place(), what, why);
            }
            Verdict::Refused(why, instead) => {
                let name = &directive.name.text;
                let what = format!("`{name} {}` is not honoured: {why}", directive.argument(0));
                complaints.error(directive.place(), what, instead);
            }
        }
        all(directive.children(), complaints);
    }
}

fn verdict(name: &str, value: &str) -> Verdict {
    use Verdict::{Fine, Read, Refused};
    match (name, value) {
        ("proxy_http_version", _) => Fine("servers are always spoken to in HTTP/1.1"),
        ("proxy_cache", "off") => Fine("nothing is cached"),
        ("proxy_cache", _) => Refused(
            "responses are not cached",
            "remove it, or put a cache \
            between this proxy and the servers",
        ),
        ("proxy_store", "off") => Fine("nothing is stored"),
        ("proxy_store", _) => Refused("responses are not stored", "remove it"),
        ("proxy_ignore_client_abort", "off") => Fine("a request ends with its client"),
        ("proxy_ignore_client_abort", _) => {
            Refused("a request ends with its client", "let the server go on by itself")
        }
        ("proxy_pass_request_headers" | "proxy_pass_request_body", "on") => {
            Fine("requests are passed on whole")
        }
        ("proxy_pass_request_headers" | "proxy_pass_request_body", _) => {
            Refused("requests are passed on whole", "remove it")
        }
        ("merge_slashes", "on") => Fine("`//` in a path is always `/`"),
        ("merge_slashes", _) => Refused("`//` in a path is always `/`", "remove it"),
        ("underscores_in_headers", "on") => Fine("fields with underscores are passed on"),
        ("underscores_in_headers", _) => {
            Refused("fields with underscores are passed on", "remove them by proxy_set_header")
        }
        ("if_modified_since", "exact" | "before") => Fine("dates are compared as RFC 9110 says"),
        ("if_modified_since", _) => {
            Refused("dates are compared as RFC 9110 says", "remove Last-Modified from the answer")
        }
        ("server_name_in_redirect", "off") => Fine("redirects go to the host that was asked for"),
        ("server_name_in_redirect", _) => {
            Refused("redirects go to the host that was asked for", "write it in the `return`")
        }
        ("satisfy", "all") => Fine("addresses and passwords must both pass"),
        ("limit_conn_status" | "gzip_proxied", _) => Fine("see docs/from-nginx.md"),
        _ => Read,
    }
}
