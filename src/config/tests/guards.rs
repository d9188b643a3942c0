//! Who may come in and how often, as configured.

use super::refused::check_parts;
use super::*;
use crate::guard::Rate;
use crate::plan::{RateKey, ValueOf};

/// The warnings about a part of a file; the rest, without any, follows.
fn warnings(part: &str) -> Vec<String> {
    let loaded = accept(&format!("{part}\n{LISTENER}{UPSTREAM}{ROUTE}"));
    let line = |warning: &Complaint| warning.to_string().replace("corelane.toml:", "");
    loaded.warnings.iter().map(line).collect()
}

const OTHER: &str = "[[listener]]\naddress = \"127.0.0.1:81\"\n";

#[test]
fn lists_become_access() {
    let text = format!(
        "{OTHER}allow = \"10.0.0.0/8\"\n{LISTENER}{UPSTREAM}{ROUTE}deny = [\"10.1.0.0/16\", \
         \"unix\"]\n"
    );
    let plan = accept(&text).plan;
    let [first, second] = &plan.listeners[..] else { panic!("two listeners") };
    let allows = |text: &str| Some(text.parse().unwrap());
    let access = first.access.as_ref().expect("a list");
    assert!(access.allows(allows("10.1.0.1")) && !access.allows(allows("11.0.0.1")));
    assert_eq!(second.access, None);
    let access = plan.routes[0].access.as_ref().expect("a list");
    assert!(!access.allows(allows("10.1.0.1")) && access.allows(allows("11.0.0.1")));
    assert!(!access.allows(None));
}

#[test]
fn wrong_networks() {
    check_parts(&[
        (
            "[[listener]]\naddress = \"127.0.0.1:81\"\nallow = [\"10.0.0.1/8\", \"localhost\", 7]\n\
             deny = \"::ffff:10.0.0.1\"",
            &[
                "3:10: `allow` is \"10.0.0.1/8\": the address goes on beyond its network; write \
                 \"10.0.0.0/8\" for the network, or \"10.0.0.1\" for the address alone",
                "3:24: `allow` is \"localhost\": not an IP address; write \"10.0.0.0/8\", \
                 \"192.0.2.1\", \"2001:db8::/32\" or \"unix\"",
                "3:37: an item of `allow` is a whole number; write a network in quotes, such as \
                 \"10.0.0.0/8\"",
                "4:8: `deny` is \"::ffff:10.0.0.1\": IPv4 in the form of IPv6; did you mean \
                 \"10.0.0.1\"?",
            ],
        ),
        (
            "[[listener]]\naddress = \"127.0.0.1:81\"\nallow = []\ndeny = [\"10.0.0.0/33\", \
             \"all\"]",
            &[
                "3:9: `allow` is empty; remove it, or name a network",
                "4:9: `deny` is \"10.0.0.0/33\": what follows the slash is no number from 0 to \
                 32; write \"10.0.0.0/8\", \"192.0.2.1\", \"2001:db8::/32\" or \"unix\"",
                "4:24: `deny` is \"all\", which is no network; remove it: with `allow`, whoever \
                 is not in it is kept out",
            ],
        ),
        (
            "[[route]]\npath = \"/x\"\nupstream = \"app\"\nallow = [\"::1\", \"10.0.0.0/8\"]\n\
             deny = [\"::1\", \"10.1.0.0/16\", \"10.1.0.0/16\"]",
            &[
                "5:9: ::1 is both allowed and denied; remove it from one list",
                "5:31: 10.1.0.0/16 is listed twice; remove one of them",
            ],
        ),
        (
            "[[route]]\npath = \"/x\"\nupstream = \"app\"\nalow = [\"::1\"]",
            &["4:1: unknown key `alow` in [[route]]; did you mean `allow`?"],
        ),
    ]);
}

#[test]
fn networks_that_change_nothing_are_warned_of() {
    let listener = |lists: &str| warnings(&format!("{OTHER}{lists}"));
    assert_eq!(listener("allow = [\"10.0.0.0/8\", \"::1\"]\ndeny = [\"10.1.0.0/16\"]"), [""; 0]);
    assert_eq!(
        listener("allow = [\"10.0.0.0/8\", \"10.1.0.0/16\"]\ndeny = [\"192.0.2.0/24\"]"),
        [
            "3:24: allowing 10.1.0.0/16 changes nothing: 10.0.0.0/8 is allowed already; remove it",
            "4:9: denying 192.0.2.0/24 changes nothing: whoever is not in `allow` is kept out \
             anyway; remove it",
        ]
    );
    assert_eq!(
        listener("deny = [\"10.1.2.3\", \"10.1.0.0/16\"]"),
        ["3:9: denying 10.1.2.3 changes nothing: 10.1.0.0/16 is denied already; remove it"]
    );
    let unix =
        |lists: &str| warnings(&format!("[[listener]]\naddress = \"unix:/run/x.sock\"\n{lists}"));
    assert_eq!(unix("allow = [\"unix\"]"), [""; 0]);
    assert_eq!(
        unix("allow = [\"10.0.0.0/8\"]"),
        ["3:10: clients of a Unix socket have no IP address; all of them are kept out: add \
             \"unix\" to `allow`, or remove the list"]
    );
    assert_eq!(
        unix("deny = [\"10.0.0.0/8\"]"),
        ["3:9: clients of a Unix socket have no IP address; remove the list"]
    );
}

#[test]
fn routes_name_their_rates() {
    let rates = "[[rate]]\nname = \"clients\"\nrequests = 10\n[[rate]]\nname = \"logins\"\n\
                 requests = 5\nper = \"1m\"\nburst = 2\nkeys = 100\nkey = \"cookie:Session\"\n";
    let routes = "rate = \"logins\"\n[[route]]\npath = \"/x\"\nrespond = { status = 200 }\n\
                  rate = [\"clients\", \"logins\"]\n";
    let plan = accept(&format!("{rates}{LISTENER}{UPSTREAM}{ROUTE}{routes}")).plan;
    let [clients, logins] = &plan.rates[..] else { panic!("two rates") };
    assert_eq!(
        (&clients.name[..], &clients.key, clients.keys),
        ("clients", &RateKey::Client, 65_536)
    );
    assert_eq!(Some(clients.rate), Rate::new(10, Duration::from_secs(1), 10));
    assert_eq!(
        (&logins.key, logins.keys),
        (&RateKey::Value(ValueOf::Cookie("Session".to_owned())), 100)
    );
    assert_eq!(Some(logins.rate), Rate::new(5, Duration::from_secs(60), 2));
    let of_routes: Vec<&[usize]> = plan.routes.iter().map(|route| &route.rates[..]).collect();
    assert_eq!(of_routes, [&[1][..], &[0, 1]]);
}

#[test]
fn wrong_rates() {
    check_parts(&[
        (
            "[[rate]]\nburst = 0\nkey = \"feild:X\"\nkeys = 7\nper = \"0s\"\n[[rate]]\nname = \
             \"a b\"\nrequests = 1000001\nkey = \"field:\"\nrate = 1",
            &[
                "1:1: [[rate]] has no `name`; add name = \"clients\"",
                "1:1: [[rate]] has no `requests`; add requests = 100",
                "2:9: `burst` is 0; write a number from 1 to 1000000",
                "3:7: unknown `key` \"feild:X\"; it may be `ip`, `all`, `field:NAME`, \
                 `cookie:NAME`",
                "4:8: `keys` is 7; write a number from 8 to 16777216",
                "5:7: `per` is \"0s\"; write a time from 1ms to 8760h",
                "7:8: \"a b\" is not a name; use 1 to 64 letters, digits, hyphens, dots or \
                 underscores",
                "8:12: `requests` is 1000001; write a number from 1 to 1000000",
                "9:7: `key` is \"field:\", without a valid name; write \"field:NAME\"",
                "10:1: unknown key `rate` in [[rate]]; the keys here are `name`, `requests`, \
                 `per`, `burst`, `key`, `keys`, `status`",
            ],
        ),
        (
            "[[rate]]\nname = \"a\"\nrequests = 1\nper = \"24h\"\nburst = 366\n[[rate]]\nname = \
             \"a\"\nrequests = 2\n[[route]]\npath = \"/x\"\nupstream = \"app\"\nrate = [\"a\", \
             \"client\", \"a\"]",
            &[
                "5:9: a burst of 366 would take over a year to return; lower `burst`, raise \
                 `requests` or shorten `per`",
                "7:8: there is already a rate `a`; rename one",
                "12:14: there is no rate `client`; add [[rate]] with name = \"client\"",
                "12:24: the rate `a` is named twice; remove one",
            ],
        ),
        (
            "[[rate]]\nname = \"clients\"\nrequests = 1\n[[route]]\npath = \"/x\"\nupstream = \
             \"app\"\nrate = \"client\"",
            &["7:8: there is no rate `client`; did you mean `clients`?"],
        ),
    ]);
    assert_eq!(
        warnings("[[rate]]\nname = \"a\"\nrequests = 1\nkey = \"all\"\nkeys = 8"),
        [
            "2:8: no route uses the rate `a`; name it as the `rate` of a route, or remove it",
            "5:8: `keys` has no effect where all requests count together; remove it, or write \
             another `key`",
        ]
    );
}

#[test]
fn limits_on_clients() {
    let limits = "[limits]\nbody_rate = \"none\"\nkeepalive_requests = \"none\"\n\
                  connections_per_client = 20\n[timeouts]\nbody_grace = \"0s\"\n";
    let of_route = "limits = { body_rate = \"2KiB\" }\ntimeouts = { body_grace = \"1s\" }\n";
    let plan = accept(&format!("{limits}{LISTENER}{UPSTREAM}{ROUTE}{of_route}")).plan;
    assert_eq!((plan.limits.body_rate, plan.limits.keepalive_requests), (None, None));
    assert_eq!(plan.shards.connections_per_client, Some(20));
    let route = &plan.routes[0];
    assert_eq!(route.limits.body_rate, Some(2048));
    assert_eq!(route.timeouts.body_grace, Duration::from_secs(1));
    let plan = accept(&format!("{LISTENER}{UPSTREAM}{ROUTE}")).plan;
    assert_eq!((plan.limits.body_rate, plan.limits.keepalive_requests), (Some(100), Some(1000)));
    assert_eq!(plan.shards.connections_per_client, None);
}

#[test]
fn wrong_limits_on_clients() {
    check_parts(&[(
        "[limits]\nbody_rate = 100\nkeepalive_requests = 0\nconnections_per_client = 65536\n\
         [[route]]\npath = \"/x\"\nupstream = \"app\"\nlimits = { keepalive_requests = 5 }\n\
         timeouts = { header = \"1s\" }",
        &[
            "2:13: `body_rate` is a whole number; write a size with its unit, such as \"16KiB\"",
            "3:22: `keepalive_requests` is 0; write a number from 1 to 1000000000",
            "4:26: `connections_per_client` is 65536; write a number from 1 to 65535",
            "8:12: `keepalive_requests` cannot be set in `limits` of a route; set it in [limits]",
            "9:14: `header` cannot be set in `timeouts` of a route; set it in [timeouts]",
        ],
    )]);
    assert_eq!(
        warnings("[limits]\nconnections = 10\nconnections_per_client = 10\nbody_rate = \"2MiB\""),
        [
            "3:26: one client may take all of the 10 connections; write less, or \"none\"",
            "4:13: whoever sends less than 2MiB a second is cut off; write what the slowest \
             client manages; the default is \"100B\"",
        ]
    );
}
