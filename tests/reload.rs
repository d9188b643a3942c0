//! Another configuration while the proxy runs: SIGHUP. Nothing in progress notices.

#[macro_use]
mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rustix::process::Signal;
use support::*;

tiered! {
    a_connection_meets_the_new_plan_with_its_next_request,
    a_file_that_is_wrong_changes_nothing,
    an_address_that_is_taken_changes_nothing,
    what_is_in_progress_goes_on,
    a_removed_server_finishes_and_is_left,
    pools_and_health_survive,
    who_waits_for_room_is_let_in_by_the_new_plan,
    a_new_server_does_not_wait_for_old_requests,
    listeners_come_and_go,
    a_listener_that_stays_is_never_reopened,
    what_waits_at_a_removed_listener_is_served,
    no_request_fails_while_plans_change,
    requests_in_progress_count_against_new_limits,
    kept_connections_meet_the_new_trust,
    what_the_file_changes_of_a_server_is_logged,
    a_refused_file_leaves_the_log_alone,
    a_low_limit_on_files_is_no_change,
    a_tunnel_does_not_keep_its_plan,
}

fn saying(tier: Tier, text: &str) -> Config {
    Config::new(tier).saying(text)
}

fn a_connection_meets_the_new_plan_with_its_next_request(tier: Tier) {
    let proxy = saying(tier, "one").start();
    let mut client = proxy.client();
    assert_eq!(client.get("/").text(), "one");
    proxy.reload(&saying(tier, "two"));
    assert_eq!(client.get("/").text(), "two");
}

fn a_file_that_is_wrong_changes_nothing(tier: Tier) {
    let proxy = saying(tier, "one").start();
    let mut client = proxy.client();
    assert_eq!(client.get("/").text(), "one");
    proxy.rewrite(&saying(tier, "two").toml("[[upstream]]\nnmae = \"app\""));
    proxy.signal(Signal::HUP);
    let complaint = proxy.await_stderr("did you mean `name`?");
    assert!(complaint.contains("config.toml:"), "{complaint}");
    proxy.await_stderr("reload refused");
    assert_eq!(client.get("/").text(), "one");
    assert_eq!(proxy.get("/").text(), "one");
    proxy.reload(&saying(tier, "three"));
    assert_eq!(client.get("/").text(), "three");
}

fn an_address_that_is_taken_changes_nothing(tier: Tier) {
    let taken = Origin::named("stranger");
    let proxy = saying(tier, "one").listener("127.0.0.1:0").start();
    let both = saying(tier, "two").listener("127.0.0.1:0").listener(&taken.address().to_string());
    proxy.rewrite(&both);
    proxy.signal(Signal::HUP);
    proxy.await_stderr("the port is in use");
    proxy.await_stderr("reload refused");
    assert_eq!(proxy.get("/").text(), "one");
}

fn what_is_in_progress_goes_on(tier: Tier) {
    let gate = Gate::shut();
    let held = gate.clone();
    let slow = Origin::answering(move |request| {
        if request.target == "/held" {
            held.wait();
        }
        ok("from app")
    });
    let socket = origin_upgrades();
    let config = |more: &str| {
        Config::new(tier)
            .upstream("app", &[slow.server()], "")
            .upstream("ws", &[socket.server()], "")
            .route("path = \"/ws\"\nupstream = \"ws\"")
            .route("path = \"/\"\nupstream = \"app\"")
            .toml(more)
    };
    let proxy = config("").start();
    let mut waiting = proxy.client();
    waiting.send("GET /held HTTP/1.1\r\nHost: test\r\n\r\n");
    slow.await_requests(1);
    let mut tunnel = proxy.client();
    let upgrade = "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    tunnel.send(upgrade);
    assert_eq!(tunnel.response_head("GET").expect("a head").status, 101);
    for round in 0..3 {
        let added = format!("[[route]]\npath = \"/new{round}\"\nrespond = {{ status = 204 }}");
        proxy.reload(&config(&added));
        assert_eq!(proxy.get(&format!("/new{round}")).status, 204);
        tunnel.send("echo");
        assert_eq!(tunnel.some(4).expect("an echo"), b"echo");
    }
    gate.open();
    assert_eq!(waiting.response().text(), "from app");
}

fn a_removed_server_finishes_and_is_left(tier: Tier) {
    let gate = Gate::shut();
    let held = gate.clone();
    let old = Origin::answering(move |_| {
        held.wait();
        ok("old")
    });
    let new = Origin::named("new");
    let proxy = Proxy::before(tier, &old);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    old.await_requests(1);
    proxy.reload(&Config::new(tier).origin("app", &new));
    assert_eq!(proxy.get("/").text(), "new");
    gate.open();
    assert_eq!(client.response().text(), "old");
    let (kept, ()) = timed(|| old.await_all_over());
    assert!(kept < ms(2_000), "an idle connection would be kept for 4 s: {kept:?}");
    assert_eq!(client.get("/").text(), "new");
}

fn pools_and_health_survive(tier: Tier) {
    let good = Origin::named("good");
    let refusing = origin_refuses();
    let config = |weight: u32| {
        let good = good.server_with(&format!("weight = {weight}"));
        Config::new(tier).upstream(
            "app",
            &[good, refusing.server()],
            "pool = { idle_timeout = \"60s\" }
             passive = { ejection = \"60s\", max_ejection = \"60s\" }",
        )
    };
    let proxy = config(1).start();
    let mut client = proxy.client();
    for _ in 0..4 {
        assert_eq!(client.get("/").text(), "good");
    }
    proxy.await_stderr("server taken out");
    let reloaded = [config(2), config(3)];
    let back = refusing.recovers(|conn| conn.await_end());
    for config in reloaded {
        proxy.reload(&config);
        for _ in 0..4 {
            assert_eq!(client.get("/").text(), "good");
        }
    }
    assert_eq!(good.connections(), 1, "the idle connection was kept");
    assert_eq!(back.connections(), 0, "it is still ejected");
}

fn who_waits_for_room_is_let_in_by_the_new_plan(tier: Tier) {
    let gate = Gate::shut();
    let origin = origin_waits_for(&gate);
    let config = |max: u32| {
        let server = origin.server_with(&format!("max_connections = {max}"));
        Config::new(tier).upstream("app", &[server], "queue = { timeout = \"60s\" }")
    };
    let proxy = config(1).start();
    let ask = || {
        let mut client = proxy.client();
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        client
    };
    let mut clients = vec![ask()];
    origin.await_requests(1);
    clients.extend([ask(), ask()]);
    proxy.reload(&config(3));
    origin.await_requests(3);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
}

fn a_new_server_does_not_wait_for_old_requests(tier: Tier) {
    let gate = Gate::shut();
    let (full, new) = (origin_waits_for(&gate), Origin::named("new"));
    let first = full.server_with("max_connections = 1");
    let config = |servers: &[String]| {
        Config::new(tier).upstream("app", servers, "queue = { timeout = \"60s\" }")
    };
    let proxy = config(std::slice::from_ref(&first)).start();
    let ask = || {
        let mut client = proxy.client();
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        client
    };
    let mut old = vec![ask()];
    full.await_requests(1);
    old.push(ask());
    let waiting = "requests waiting for a server";
    wait_until("the second waits", || proxy.usage().of(waiting) == 1);
    proxy.reload(&config(&[first, new.server()]));
    for _ in 0..5 {
        assert_eq!(proxy.get("/").text(), "new");
    }
    gate.open();
    for client in &mut old {
        assert_eq!(client.response().text(), "late");
    }
}

fn listeners_come_and_go(tier: Tier) {
    let proxy = saying(tier, "one").start();
    let dir = proxy.dir().to_owned();
    let unix = format!("unix:{}", dir.join("new.sock").display());
    let first = proxy.address();
    proxy.reload(&saying(tier, "two").listener("127.0.0.1:0").listener("[::1]:0").listener(&unix));
    let addresses = proxy.addresses();
    assert_eq!(addresses.len(), 3, "{addresses:?}");
    for address in &addresses {
        assert_eq!(Client::connect(address).get("/").text(), "two");
    }
    proxy.reload(&saying(tier, "three").listener("127.0.0.1:0"));
    assert_eq!(Client::connect(&first).get("/").text(), "three");
    let (socket, at) = addresses[1].socket();
    wait_until("the removed listener is closed", || {
        let (again, _) = addresses[1].socket();
        again.connect(&at).is_err()
    });
    drop(socket);
    assert!(!dir.join("new.sock").exists(), "the Unix socket's file goes with it");
}

/// The inodes of the sockets that listen on this port.
fn listening(proxy: &Proxy) -> Vec<String> {
    let port = format!(":{:04X}", proxy.address().port());
    let sockets = std::fs::read_to_string("/proc/net/tcp").expect("a list of sockets");
    let of_listener = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let listens = fields.get(1)?.ends_with(&port) && *fields.get(3)? == "0A";
        listens.then(|| fields.get(9).map(|inode| inode.to_string())).flatten()
    };
    sockets.lines().filter_map(of_listener).collect()
}

fn a_listener_that_stays_is_never_reopened(tier: Tier) {
    let config = |backlog: u32, text: &str| {
        saying(tier, text)
            .shards(2)
            .toml(&format!("[[listener]]\naddress = \"127.0.0.1:0\"\nbacklog = {backlog}"))
    };
    let proxy = config(1024, "one").start();
    let before = listening(&proxy);
    assert_eq!(before.len(), 2, "one for each shard");
    for round in 0..3 {
        proxy.reload(&config(100 + round, "two"));
        assert_eq!(listening(&proxy), before);
        assert_eq!(proxy.get("/").text(), "two");
    }
}

fn what_waits_at_a_removed_listener_is_served(tier: Tier) {
    let config = |most: u32| {
        saying(tier, "served")
            .listener("127.0.0.1:0")
            .toml(&format!("[limits]\nconnections = {most}\n[timeouts]\nkeepalive = \"1s\""))
    };
    let proxy = config(1).listener("[::1]:0").start();
    let mut holds = proxy.client();
    assert_eq!(holds.get("/").status, 200);
    // The shard is full: these stay in the queue of the second listener.
    let second = proxy.addresses()[1].clone();
    let mut waiting: Vec<Client> = (0..3).map(|_| Client::connect(&second)).collect();
    for client in &mut waiting {
        client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    }
    proxy.reload(&config(1));
    for client in &mut waiting {
        assert_eq!(client.response().text(), "served");
    }
}

fn no_request_fails_while_plans_change(tier: Tier) {
    const RELOADS: u32 = 40;
    let origins: Vec<Origin> = ["a", "b", "c"].map(Origin::named).into();
    let config = |round: u32| {
        // Servers, weights, policies and routes change; one server always stays.
        let mut servers = vec![origins[0].server_with(&format!("weight = {}", round % 5 + 1))];
        servers.extend((1..3).filter(|n| round & n != 0).map(|n| origins[n as usize].server()));
        let policies = ["round_robin", "least_conn", "p2c", "consistent_hash"];
        let policy = format!("balance = {:?}", policies[round as usize % policies.len()]);
        let routes: String = (0..round % 7)
            .map(|n| format!("[[route]]\npath = \"/{n}\"\nrespond = {{ status = 204 }}\n"))
            .collect();
        Config::new(tier)
            .shards(2)
            .upstream("app", &servers, &policy)
            .route("path = \"/\"\nupstream = \"app\"")
            .toml(&routes)
            .endless()
    };
    let proxy = config(0).start();
    let (over, served) = (Over::default(), AtomicU64::new(0));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|number| {
                let (over, served, proxy) = (&over, &served, &proxy);
                scope.spawn(move || proxy.keep_asking("/x", number, over, served))
            })
            .collect();
        let _end = over.at_the_end();
        for round in 1..=RELOADS {
            let before = served.load(Ordering::Relaxed);
            proxy.reload(&config(round));
            wait_until("requests go on", || {
                served.load(Ordering::Relaxed) > before || clients.iter().any(|c| c.is_finished())
            });
        }
    });
    assert_eq!(proxy.stderr().matches("reloaded: all shards").count(), RELOADS as usize);
}

fn requests_in_progress_count_against_new_limits(tier: Tier) {
    let gate = Gate::shut();
    let origin = origin_waits_for(&gate);
    let config = |most: u32| {
        let settings = format!("limits = {{ max_active = {most} }}");
        Config::new(tier).upstream("app", &[origin.server()], &settings)
    };
    let proxy = config(2).start();
    let mut held = proxy.client();
    held.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.await_requests(1);
    proxy.reload(&config(1));
    let refused = proxy.get("/");
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("are in progress"), "{}", refused.text());
    gate.open();
    assert_eq!(held.response().status, 200);
    assert_eq!(held.get("/").status, 200, "there is room again");
}

fn kept_connections_meet_the_new_trust(tier: Tier) {
    let origin = Origin::named("app");
    let config = |lines: &str| {
        let listener = format!("[[listener]]\naddress = \"127.0.0.1:0\"\n{lines}");
        Config::new(tier).toml(&listener).origin("app", &origin)
    };
    let trusting = config("trusted_proxies = [\"127.0.0.1\"]");
    let proxy = trusting.start();
    let mut client = proxy.client();
    let mut ask = || {
        let request = "GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n";
        client.request(request).status
    };
    let told = |nth: usize| {
        let request = origin.await_requests(nth).remove(nth - 1);
        request.field("x-forwarded-for").map(str::to_owned)
    };
    assert_eq!(ask(), 200);
    assert_eq!(told(1).as_deref(), Some("192.0.2.1, 127.0.0.1"));
    proxy.reload(&config(""));
    assert_eq!(ask(), 200);
    assert_eq!(told(2).as_deref(), Some("127.0.0.1"));
    proxy.reload(&trusting);
    assert_eq!(ask(), 200);
    assert_eq!(told(3).as_deref(), Some("192.0.2.1, 127.0.0.1"));
    proxy.reload(&config("deny = [\"127.0.0.0/8\"]"));
    assert_eq!(ask(), 403);
}

fn what_the_file_changes_of_a_server_is_logged(tier: Tier) {
    let (one, two) = (Origin::named("one"), Origin::named("two"));
    let config = |state: &str| {
        let first = one.server_with(&format!("state = {state:?}"));
        Config::new(tier).upstream("app", &[first, two.server()], "")
    };
    let proxy = config("up").start();
    proxy.reload(&config("down"));
    let line = proxy.await_stderr("server taken out");
    assert!(line.contains("the configuration was changed"), "{line}");
    assert_eq!(proxy.get("/").text(), "two");
    proxy.reload(&config("up"));
    proxy.await_stderr("server returned");
}

fn a_refused_file_leaves_the_log_alone(tier: Tier) {
    let taken = Origin::named("stranger");
    let quiet = |text: &str| saying(tier, text).toml("[log]\nlevel = \"error\"");
    let proxy = saying(tier, "one").listener("127.0.0.1:0").start();
    proxy.rewrite(&quiet("two").listener("127.0.0.1:0").listener(&taken.address().to_string()));
    proxy.signal(Signal::HUP);
    proxy.await_stderr("reload refused");
    // What this waits for is logged at level `info`.
    proxy.reload(&saying(tier, "three"));
    proxy.rewrite(&quiet("four"));
    proxy.signal(Signal::HUP);
    wait_until("the next file holds", || proxy.get("/").text() == "four");
    assert_eq!(proxy.stderr().matches("reloaded: all shards").count(), 1);
}

fn a_low_limit_on_files_is_no_change(tier: Tier) {
    let few = Confinement { open_files: Some(300), ..Confinement::default() };
    let proxy = saying(tier, "served").confined(few).start();
    proxy.await_stderr("open files are limited to 300");
    // The file itself: each one in the making has other CPUs.
    let text = std::fs::read_to_string(proxy.dir().join("config.toml")).expect("its file");
    let reload = |more: &str| proxy.reload_text(&format!("{text}{more}"));
    let warns = || proxy.stderr().contains("takes effect at the next start");
    reload("");
    reload("[limits]\nconnections = 1000\n");
    assert!(!warns(), "nothing of it changed");
    reload("[splice]\npipes = 7\n");
    assert!(warns());
    assert_eq!(proxy.get("/").text(), "served");
}

/// With a page that makes the plan large.
fn a_tunnel_does_not_keep_its_plan(tier: Tier) {
    const PAGE: usize = 4 << 20;
    // Each reload takes and frees several times the page: what is kept must stand out from that.
    const TUNNELS: usize = 24;
    let origin = origin_upgrades();
    let config = |round: usize| {
        let page = format!("{round}").repeat(PAGE);
        Config::new(tier)
            .origin("app", &origin)
            .route("path = \"/ws\"\nupstream = \"app\"")
            .route(&format!("path = \"/{round}\"\nrespond = {{ status = 200, body = {page:?} }}"))
    };
    let proxy = config(0).start();
    let reload = |round: usize| {
        proxy.reload(&config(round));
        assert_eq!(proxy.get(&format!("/{round}")).status, 200);
    };
    let after = |round: usize| {
        reload(round);
        proxy.resident()
    };
    let before = (1..9).map(after).max().expect("some");
    let mut tunnels = Vec::new();
    for _ in 0..TUNNELS {
        let mut client = proxy.client();
        client
            .send("GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
        assert_eq!(client.response_head("GET").expect("a head").status, 101);
        tunnels.push(client);
        reload(tunnels.len() % 9 + 1);
    }
    let most = before + (TUNNELS * PAGE / 2) as u64;
    wait_until("the memory of plans is given back", || proxy.resident() < most);
    for tunnel in &mut tunnels {
        tunnel.send("echo");
        assert_eq!(tunnel.some(4).expect("an echo"), b"echo");
    }
}
