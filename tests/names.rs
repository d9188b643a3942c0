//! Servers by name: each address is a server, records are followed, and a name server that fails
//! takes nothing away.

#[macro_use]
mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rustix::process::Signal;
use support::*;

tiered! {
    each_address_of_a_name_is_a_server,
    addresses_come_and_go_under_load,
    an_address_that_leaves_finishes_what_it_has,
    a_name_that_fails_keeps_its_addresses,
    a_name_that_never_resolved_blocks_nothing,
    a_name_server_that_is_silent_costs_a_start_and_a_reload_a_second_at_most,
    srv_records_say_port_weight_and_priority,
    a_reload_and_an_upgrade_wait_for_new_names,
    an_upgrade_while_no_name_server_answers_keeps_addresses,
}

/// Requests on one connection, and how many of them each server answered.
fn shares(proxy: &Proxy, requests: usize) -> BTreeMap<String, usize> {
    let mut client = proxy.client();
    let mut shares = BTreeMap::new();
    for _ in 0..requests {
        let response = client.get("/");
        assert_eq!(response.status, 200);
        *shares.entry(response.text().to_owned()).or_default() += 1;
    }
    shares
}

fn expected(shares: &[(&str, usize)]) -> BTreeMap<String, usize> {
    shares.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// One upstream with a server of this name, and the port of these origins.
fn by_name(tier: Tier, dns: &Dns, origins: &[Origin], settings: &str) -> Config {
    let server = format!("\"app.test:{}\"", origins[0].address().port());
    Config::new(tier).toml(&dns.resolver(settings)).upstream("app", &[server], "").endless()
}

fn each_address_of_a_name_is_a_server(tier: Tier) {
    let hosts = ["127.0.0.1", "127.0.0.2", "::1"];
    let (dns, origins) = (Dns::start(), origins_on_one_port(&hosts));
    dns.set("app.test", 60, &hosts);
    let proxy = by_name(tier, &dns, &origins, "").start();
    // The first request after the start finds them all.
    let all = expected(&[("127.0.0.1", 4), ("127.0.0.2", 4), ("::1", 4)]);
    assert_eq!(shares(&proxy, 12), all);
    let line = proxy.await_stderr("server name resolved");
    assert!(line.contains("app.test") && line.contains("127.0.0.2:"), "{line}");
}

fn addresses_come_and_go_under_load(tier: Tier) {
    let hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
    let (dns, origins) = (Dns::start(), origins_on_one_port(&hosts));
    dns.set("app.test", 0, &hosts[..2]);
    let proxy = by_name(tier, &dns, &origins, "").shards(2).start();
    let (over, served) = (Over::default(), AtomicU64::new(0));
    thread::scope(|scope| {
        for number in 0..4 {
            let (over, served, proxy) = (&over, &served, &proxy);
            scope.spawn(move || proxy.keep_asking("/", number, over, served));
        }
        let _end = over.at_the_end();
        for present in [&[0, 2][..], &[2], &[1, 2], &[0]] {
            let before: Vec<usize> = origins.iter().map(|o| o.requests().len()).collect();
            dns.set("app.test", 0, &present.iter().map(|&at| hosts[at]).collect::<Vec<_>>());
            wait_until("who is named is asked", || {
                present.iter().all(|&at| origins[at].requests().len() > before[at])
            });
            for gone in (0..hosts.len()).filter(|at| !present.contains(at)) {
                origins[gone].await_all_over();
            }
        }
    });
    assert!(served.into_inner() > 0);
}

fn an_address_that_leaves_finishes_what_it_has(tier: Tier) {
    let gate = Gate::shut();
    let held = gate.clone();
    let dns = Dns::start();
    let old = Origin::answering(move |_| {
        held.wait();
        ok("old")
    });
    let new = "127.0.0.2".parse().expect("an IP address");
    let new = Address::Tcp(std::net::SocketAddr::new(new, old.address().port()));
    let new = Origin::at(&new, |conn| {
        loop {
            conn.request()?;
            conn.send(ok("new"))?;
        }
    });
    dns.set("app.test", 1, &["127.0.0.1"]);
    let proxy = by_name(tier, &dns, std::slice::from_ref(&old), "").start();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    old.await_requests(1);
    dns.set("app.test", 1, &["127.0.0.2"]);
    proxy.await_stderr("an upstream's servers change");
    wait_until("the new one is asked", || {
        // Whoever comes before all shards know waits for the old one.
        let mut other = proxy.client();
        other.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        comes_true(ms(200), || !new.requests().is_empty())
    });
    gate.open();
    assert_eq!(client.response().text(), "old");
    let (kept, ()) = timed(|| old.await_all_over());
    assert!(kept < ms(2_000), "an idle connection would be kept for 4 s: {kept:?}");
    assert_eq!(client.get("/").text(), "new");
}

fn a_name_that_fails_keeps_its_addresses(tier: Tier) {
    let hosts = ["127.0.0.1", "127.0.0.2"];
    let (dns, origins) = (Dns::start(), origins_on_one_port(&hosts));
    dns.set("app.test", 86_400, &hosts);
    let settings = "timeout = \"300ms\"\nmax_ttl = \"1s\"";
    let proxy = by_name(tier, &dns, &origins, settings).start();
    let both = expected(&[("127.0.0.1", 2), ("127.0.0.2", 2)]);
    assert_eq!(shares(&proxy, 4), both);
    for fault in [DnsFault::NxDomain, DnsFault::ServFail, DnsFault::Silence] {
        let complaints = || proxy.stderr().matches("its last addresses stay").count();
        let before = complaints();
        dns.fail("app.test", fault);
        wait_until("it is noticed", || complaints() > before);
        assert_eq!(shares(&proxy, 4), both, "{fault:?}");
        let recovered = || proxy.stderr().matches("server name resolves again").count();
        let before = recovered();
        dns.set("app.test", 86_400, &hosts);
        wait_until("it is well again", || recovered() > before);
        assert_eq!(shares(&proxy, 4), both, "{fault:?}");
    }
    assert_eq!(origins[0].connections(), 1, "its idle connection was kept all the time");
}

fn a_name_that_never_resolved_blocks_nothing(tier: Tier) {
    let origins = origins_on_one_port(&["127.0.0.1"]);
    let dns = Dns::start();
    let config = |more: &str| by_name(tier, &dns, &origins, "").toml(more);
    let (took, proxy) = timed(|| config("").start());
    assert!(took < ms(5_000), "{took:?}");
    assert_eq!(proxy.get("/").status, 502);
    proxy.reload(&config("[[route]]\npath = \"/\"\nrespond = { status = 204 }"));
    assert_eq!(proxy.get("/").status, 204);
    proxy.reload(&config(""));
    assert_eq!(proxy.get("/").status, 502);
    dns.set("app.test", 60, &["127.0.0.1"]);
    wait_until("it resolves", || proxy.get("/").status == 200);
}

fn a_name_server_that_is_silent_costs_a_start_and_a_reload_a_second_at_most(tier: Tier) {
    let origins = origins_on_one_port(&["127.0.0.1"]);
    let dns = Dns::start();
    for name in ["app.test", "other.test"] {
        dns.fail(name, DnsFault::Silence);
    }
    let fixed = format!("[[upstream]]\nname = \"fixed\"\nservers = [{}]", origins[0].server());
    let routes = "[[route]]\npath = \"/\"\nupstream = \"app\"\n\
                  [[route]]\npath = \"/fixed\"\nupstream = \"fixed\"";
    let config =
        |more: &str| by_name(tier, &dns, &origins, "").toml(&fixed).toml(routes).toml(more);
    // Loaded machines are slow, but each lookup would take 5 s.
    let (took, proxy) = timed(|| config("").start());
    assert!(took < ms(3_500), "{took:?}");
    let other = "[[upstream]]\nname = \"other\"\nservers = [\"other.test:1\"]\n\
                 [[route]]\npath = \"/other\"\nupstream = \"other\"";
    assert_eq!(proxy.get("/fixed").status, 200);
    let mut client = proxy.client();
    let (took, ()) = timed(|| {
        proxy.rewrite(&config(other));
        proxy.signal(Signal::HUP);
        // Requests do not wait.
        for _ in 0..20 {
            assert_eq!(client.get("/fixed").status, 200);
        }
        proxy.await_stderr("reloaded: all shards");
    });
    assert!(took < ms(3_500), "{took:?}");
    assert_eq!(proxy.get("/other").status, 502);
    // No name is new. One of these may meet a pause of the machine.
    let took = (0..3).map(|_| timed(|| proxy.reload(&config(other))).0).min();
    assert!(took < Some(ms(900)), "{took:?}");
}

fn srv_records_say_port_weight_and_priority(tier: Tier) {
    let [heavy, light, spare] = ["heavy", "light", "spare"].map(Origin::named);
    let dns = Dns::start();
    dns.set("node.test", 60, &["127.0.0.1"]);
    let [a, b, c] = [&heavy, &light, &spare].map(|origin| origin.address().port());
    let records = [(10, 30, a, "node.test"), (20, 10, c, "node.test"), (10, 10, b, "node.test")];
    dns.set_srv("_http._tcp.app.test", 1, &records);
    let proxy = Config::new(tier)
        .toml(&dns.resolver(""))
        .upstream("app", &["\"srv:_http._tcp.app.test\"".to_owned()], "")
        .endless()
        .start();
    let shared = shares(&proxy, 40);
    // Where in the cycle a shard begins is left to chance.
    assert!((28..=32).contains(&shared["heavy"]), "{shared:?}");
    assert_eq!(shared["heavy"] + shared["light"], 40, "{shared:?}");
    // Its port is free, and refuses.
    heavy.stop();
    light.stop();
    wait_until("the other priority is used", || proxy.get("/").text() == "spare");
    // A record that changes changes its server alone.
    let before = spare.connections();
    dns.set_srv("_http._tcp.app.test", 1, &[(20, 10, c, "node.test")]);
    proxy.await_stderr("an upstream's servers change");
    assert_eq!(shares(&proxy, 4), expected(&[("spare", 4)]));
    assert!(spare.connections() <= before + 1, "{}", spare.connections());
}

fn a_reload_and_an_upgrade_wait_for_new_names(tier: Tier) {
    let hosts = ["127.0.0.1", "127.0.0.2"];
    let (dns, origins) = (Dns::start(), origins_on_one_port(&hosts));
    dns.set("app.test", 60, &hosts[..1]);
    let fixed = Config::new(tier)
        .toml(&dns.resolver(""))
        .upstream("app", &[origins[1].server()], "")
        .endless();
    let proxy = fixed.start();
    let address = proxy.address();
    assert_eq!(proxy.get("/").text(), "127.0.0.2");
    proxy.reload(&by_name(tier, &dns, &origins, ""));
    let mut client = proxy.client();
    for _ in 0..10 {
        assert_eq!(client.get("/").text(), "127.0.0.1");
    }
    let successor = proxy.upgrade();
    for _ in 0..10 {
        assert_eq!(Client::connect(&address).get("/").text(), "127.0.0.1");
    }
    drop(client);
    assert!(proxy.wait_without_output().success());
    successor.terminate();
}

fn an_upgrade_while_no_name_server_answers_keeps_addresses(tier: Tier) {
    let hosts = ["127.0.0.1", "127.0.0.2"];
    let (dns, origins) = (Dns::start(), origins_on_one_port(&hosts));
    dns.set("app.test", 60, &hosts);
    let port = origins[0].address().port();
    dns.set_srv("_http._tcp.app.test", 60, &[(10, 5, port, "app.test")]);
    let service = "[[upstream]]\nname = \"service\"\nservers = [\"srv:_http._tcp.app.test\"]\n\
                   [[route]]\npath = \"/service\"\nupstream = \"service\"\n\
                   [[route]]\npath = \"/\"\nupstream = \"app\"";
    let proxy = by_name(tier, &dns, &origins, "").toml(service).start();
    let address = proxy.address();
    for name in ["app.test", "_http._tcp.app.test"] {
        dns.fail(name, DnsFault::Silence);
    }
    let (over, served) = (Over::default(), AtomicU64::new(0));
    let last = thread::scope(|scope| {
        for path in ["/", "/service"] {
            let (over, served, address) = (&over, &served, &address);
            scope.spawn(move || {
                while !over.is_so() {
                    assert_eq!(Client::connect(address).get(path).status, 200);
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _end = over.at_the_end();
        let second = proxy.upgrade();
        // What it was left it can leave in turn.
        let third = proxy.succession(|| second.signal(Signal::USR2));
        wait_until("the second has gone", || !second.is_running());
        let count = served.load(Ordering::Relaxed);
        wait_until("requests go on", || served.load(Ordering::Relaxed) > count + 20);
        third
    });
    let mut client = Client::connect(&address);
    let mut names: Vec<String> = (0..2).map(|_| client.get("/").text().to_owned()).collect();
    names.sort();
    assert_eq!(names, hosts, "all of its addresses");
    drop(client);
    last.terminate();
    assert!(proxy.wait_without_output().success());
}

/// Some name servers never answer for a family of addresses that they do not know.
#[test]
fn one_family_is_enough_where_nobody_speaks_of_the_other() {
    let Some(tier) = tiers().into_iter().next() else { return };
    let dns = Dns::start();
    let origins = origins_on_one_port(&["127.0.0.1", "127.0.0.2"]);
    dns.set("app.test", 60, &["127.0.0.1", "127.0.0.2"]);
    dns.ignore_v6("app.test");
    let proxy = by_name(tier, &dns, &origins, "timeout = \"60s\"").start();
    // The start waits a second for it, and a lookup would take a minute.
    let both = expected(&[("127.0.0.1", 2), ("127.0.0.2", 2)]);
    assert_eq!(shares(&proxy, 4), both);
}

/// Active checks name the host that a client would, and reach each address.
#[test]
fn each_address_is_checked() {
    let Some(tier) = tiers().into_iter().next() else { return };
    let dns = Dns::start();
    let origins = origins_on_one_port(&["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    dns.set("app.test", 1, &["127.0.0.1", "127.0.0.2"]);
    let port = origins[0].address().port();
    let proxy = Config::new(tier)
        .toml(&dns.resolver(""))
        .upstream(
            "app",
            &[format!("\"app.test:{port}\"")],
            "[upstream.health]\npath = \"/healthz\"\ninterval = \"100ms\"",
        )
        .start();
    for origin in &origins[..2] {
        let check = origin.request();
        assert_eq!(check.field("host"), Some(format!("app.test:{port}").as_str()));
    }
    assert_eq!(origins[2].connections(), 0);
    dns.set("app.test", 1, &["127.0.0.1", "127.0.0.3"]);
    origins[2].await_requests(1);
    proxy.await_stderr("an upstream's servers change");
    let heard = || origins[1].connections() as u64;
    wait_until_steady("who has left is checked no more", heard);
}
