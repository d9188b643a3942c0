//! `corelane ctl`: a running proxy is looked at and changed.

#[macro_use]
mod support;

use std::collections::BTreeMap;
use std::thread;

use rustix::process::Signal;
use serde_json::json;
use support::*;

tiered! {
    lists_show_what_runs,
    drain_down_and_up_reach_every_shard,
    weights_show_in_the_distribution,
    what_was_set_by_hand_stays_until_the_file_disagrees,
    an_ejected_server_is_shown,
    counters_are_reset_and_shards_count_on,
    a_reload_says_what_changed,
    a_refused_reload_says_what_is_wrong,
    reloads_at_once_all_get_an_answer,
    nobody_is_reloaded_during_a_drain,
}

/// How many of so many requests, each on a connection of its own, each server answers.
fn distribution(proxy: &Proxy, count: usize) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for _ in 0..count {
        *names.entry(proxy.get("/").text().to_owned()).or_default() += 1;
    }
    names
}

fn place(origin: &Origin) -> String {
    format!("app/{}", origin.address())
}

fn lists_show_what_runs(tier: Tier) {
    let admin = Admin::new();
    let [one, two] = ["one", "two"].map(Origin::named);
    let weighted = two.server_with("weight = 2, backup = true");
    let proxy = Config::new(tier)
        .shards(2)
        .upstream("app", &[one.server(), weighted], "balance = \"p2c\"")
        .route("host = [\"a.test\", \"*.b.test\"]\npath = \"/x\"\nupstream = \"app\"")
        .route("path = \"/\"\nupstream = \"app\"")
        .route("path = \"/gone\"\nrespond = { status = 410 }")
        .toml(&admin.toml())
        .start();
    for _ in 0..7 {
        assert_eq!(proxy.get("/").text(), "one");
    }
    let address = proxy.address().to_string();
    let listeners = admin.ctl(&["listeners"]);
    assert!(listeners.starts_with("ADDRESS"), "{listeners}");
    assert!(listeners.contains("127.0.0.1:0") && listeners.contains(&address), "{listeners}");
    let routes = admin.ctl(&["routes"]);
    for row in ["a.test,*.b.test  /x     upstream  app", "*                /gone  respond   410"] {
        assert!(routes.contains(row), "no {row:?} in\n{routes}");
    }
    let upstreams = admin.json(&["upstreams"]);
    let upstream = &upstreams["upstreams"][0];
    assert_eq!((&upstream["name"], &upstream["balance"]), (&json!("app"), &json!("p2c")));
    assert_eq!((&upstream["servers"], &upstream["up"]), (&json!(2), &json!(2)));
    wait_until("all requests are over", || {
        let server = admin.server(&one.address().to_string());
        server["requests"] == 7 && server["active"] == 0
    });
    let server = admin.server(&two.address().to_string());
    assert_eq!((&server["weight"], &server["backup"]), (&json!(2), &json!(true)));
    assert_eq!((&server["status"], &server["checks"]), (&json!("up"), &json!("none")));
    let table = admin.ctl(&["servers", "app"]);
    assert_eq!(table.lines().count(), 3, "{table}");
    let unknown = admin.run(&["ctl", "servers", "b"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(unknown.stderr, "corelane: there is no upstream `b`\n");
}

fn drain_down_and_up_reach_every_shard(tier: Tier) {
    let admin = Admin::new();
    let gate = Gate::shut();
    let held = gate.clone();
    let one = Origin::answering(move |request| {
        if request.target == "/held" {
            held.wait();
        }
        ok("one")
    });
    let two = Origin::named("two");
    let servers = [one.server(), two.server()];
    let config = Config::new(tier).shards(2).upstream("app", &servers, "").toml(&admin.toml());
    let proxy = config.start();
    let mut client = proxy.client();
    wait_until("a request is in progress at the first server", || {
        client = proxy.client();
        client.send("GET /held HTTP/1.1\r\nHost: test\r\n\r\n");
        client.patience(ms(100));
        let silent = client.try_response() == Err(End::Silent);
        silent && one.requests().iter().any(|request| request.target == "/held")
    });
    client.patience(PATIENCE);
    let said = admin.ctl(&["set", &place(&one), "drain"]);
    assert!(said.contains("drain"), "{said}");
    // No shard is behind when the command has ended.
    assert_eq!(distribution(&proxy, 30), BTreeMap::from([("two".to_owned(), 30)]));
    assert_eq!(admin.server(&one.address().to_string())["active"], 1);
    gate.open();
    assert_eq!(client.response().text(), "one", "what was in progress is finished");
    let (kept, ()) = timed(|| one.await_all_over());
    assert!(kept < ms(2_000), "an idle connection would be kept for 4 s: {kept:?}");
    admin.ctl(&["set", &place(&one), "up"]);
    admin.ctl(&["set", &place(&two), "down"]);
    assert_eq!(distribution(&proxy, 30), BTreeMap::from([("one".to_owned(), 30)]));
    admin.ctl(&["set", &place(&two), "up"]);
    let both = distribution(&proxy, 30);
    assert_eq!(both.len(), 2, "{both:?}");
    for (name, sentence) in [
        ("app/127.0.0.1:1", "there is no server `127.0.0.1:1` in `app`; there is: "),
        ("api/127.0.0.1:1", "there is no upstream `api`; there is: app"),
    ] {
        let exit = admin.run(&["ctl", "set", name, "up"]);
        assert_eq!(exit.status.code(), Some(1));
        assert!(exit.stderr.contains(sentence), "{}", exit.stderr);
    }
}

fn weights_show_in_the_distribution(tier: Tier) {
    for policy in ["round_robin", "random", "least_conn"] {
        let admin = Admin::new();
        let [one, two] = ["one", "two"].map(Origin::named);
        let servers = [one.server(), two.server()];
        let balance = format!("balance = {policy:?}");
        let config = Config::new(tier).upstream("app", &servers, &balance).toml(&admin.toml());
        let proxy = config.start();
        admin.ctl(&["weight", &place(&two), "1000"]);
        // Least connections is about load: without any, both take turns.
        if policy != "least_conn" {
            let shares = distribution(&proxy, 40);
            assert!(shares["two"] >= 38, "{policy}: {shares:?}");
        }
        if policy == "round_robin" {
            admin.ctl(&["weight", &place(&two), "3"]);
            let shares = distribution(&proxy, 40);
            assert!((29..=31).contains(&shares["two"]), "{shares:?}");
        }
        let said = admin.json(&["weight", &place(&two), "0"]);
        assert_eq!((&said["weight"], &said["status"]), (&json!(0), &json!("drain")));
        assert_eq!(said["state"], "up");
        assert_eq!(distribution(&proxy, 20), BTreeMap::from([("one".to_owned(), 20)]));
        let said = admin.json(&["weight", &place(&two), "1"]);
        assert_eq!((&said["weight"], &said["status"]), (&json!(1), &json!("up")));
        assert_eq!(distribution(&proxy, 40).len(), 2, "{policy}");
    }
}

fn what_was_set_by_hand_stays_until_the_file_disagrees(tier: Tier) {
    let admin = Admin::new();
    let [one, two] = ["one", "two"].map(Origin::named);
    let third = Origin::named("three");
    // A policy that reckons with weights beforehand.
    let config = |settings: &str, more: &str| {
        let mut servers = vec![one.server_with(settings), two.server()];
        if more == "third" {
            servers.push(third.server_with("backup = true"));
        }
        let more = more.strip_prefix("third").unwrap_or(more);
        let settings = format!("balance = \"random\"\n{more}");
        Config::new(tier).upstream("app", &servers, &settings).toml(&admin.toml())
    };
    let proxy = config("weight = 1", "").start();
    let name = one.address().to_string();
    admin.ctl(&["set", &place(&one), "drain"]);
    admin.ctl(&["weight", &place(&one), "9"]);
    let shown = || {
        let server = admin.server(&name);
        (server["state"].clone(), server["weight"].clone())
    };
    assert_eq!(shown(), (json!("drain"), json!(9)));
    proxy.reload(&config("weight = 1", "queue = { max = 5 }"));
    assert_eq!(shown(), (json!("drain"), json!(9)), "the file says nothing new of it");
    proxy.reload(&config("weight = 2", "queue = { max = 5 }"));
    assert_eq!(shown(), (json!("drain"), json!(2)));
    assert_eq!(distribution(&proxy, 5), BTreeMap::from([("two".to_owned(), 5)]));
    admin.ctl(&["set", &place(&one), "up"]);
    admin.ctl(&["weight", &place(&one), "200"]);
    for more in ["queue = { max = 6 }", "third"] {
        proxy.reload(&config("weight = 2", more));
        let shares = distribution(&proxy, 40);
        assert!(shares["one"] >= 35, "200 of 201 by hand, not 2 of 3: {shares:?}");
    }
    proxy.reload(&config("weight = 2, state = \"down\"", ""));
    assert_eq!(shown(), (json!("down"), json!(200)));
}

fn an_ejected_server_is_shown(tier: Tier) {
    let admin = Admin::new();
    let (good, refusing) = (Origin::named("good"), origin_refuses());
    let servers = [good.server(), refusing.server()];
    let config = Config::new(tier).upstream("app", &servers, "passive = { ejection = \"60s\" }");
    let proxy = config.toml(&admin.toml()).start();
    for _ in 0..4 {
        assert_eq!(proxy.get("/").text(), "good");
    }
    let name = refusing.address().to_string();
    wait_until("it is ejected", || admin.server(&name)["status"] == "ejected");
    let server = admin.server(&name);
    assert_eq!((&server["ejected"], &server["state"]), (&json!(true), &json!("up")));
    let left = server["ejected_for_ms"].as_u64().expect("a time");
    assert!((40_000..=60_000).contains(&left), "{left}");
    assert_eq!(admin.json(&["upstreams"])["upstreams"][0]["up"], 1);
}

fn counters_are_reset_and_shards_count_on(tier: Tier) {
    let admin = Admin::new();
    let origin = Origin::named("app");
    let config = Config::new(tier).shards(2).origin("app", &origin).toml(&admin.toml());
    let proxy = config.start();
    let name = origin.address().to_string();
    let requests = || admin.json(&["counters"])["counters"]["requests"].clone();
    for _ in 0..3 {
        assert_eq!(proxy.get("/").status, 200);
    }
    wait_until("all are counted", || requests() == 3);
    let text = admin.ctl(&["counters"]);
    assert!(text.lines().any(|line| line.starts_with("requests  ")), "{text}");
    let until = admin.json(&["reset"]);
    assert_eq!(until["counters"]["requests"], 3);
    assert_eq!(requests(), 0);
    assert_eq!(admin.server(&name)["requests"], 0);
    assert_eq!(proxy.get("/").status, 200);
    wait_until("counting goes on", || requests() == 1);
    assert_eq!(admin.server(&name)["requests"], 1);
    proxy.signal(Signal::USR1);
    proxy.await_stderr("connections reused ");
    assert!(proxy.stderr().contains("\nrequests: 4\n"), "the report is of all time");
}

fn saying(tier: Tier, admin: &Admin, text: &str) -> Config {
    Config::new(tier).saying(text).toml(&admin.toml())
}

fn a_reload_says_what_changed(tier: Tier) {
    let admin = Admin::new();
    let [one, two] = ["one", "two"].map(Origin::named);
    let config = |origins: &[&Origin]| {
        let servers: Vec<String> = origins.iter().map(|origin| origin.server()).collect();
        Config::new(tier).shards(2).upstream("app", &servers, "").toml(&admin.toml())
    };
    let proxy = config(&[&one]).start();
    assert_eq!(admin.ctl(&["reload"]), "reloaded: nothing has changed\n");
    proxy.rewrite(&config(&[&two]));
    // Where the file is known, that is enough.
    let file = proxy.dir().join("config.toml");
    let exit = corelane(&["reload", "-c", file.to_str().expect("a plain path")]);
    assert!(exit.status.success(), "{exit:?}");
    let (added, removed) = (format!("server {} added", place(&two)), place(&one));
    let expected = format!("reloaded:\n  {added}\n  server {removed} removed\n");
    assert_eq!(exit.stdout, expected);
    assert_eq!(distribution(&proxy, 5), BTreeMap::from([("two".to_owned(), 5)]));
    // SIGHUP leaves word too.
    proxy.rewrite(&config(&[&two, &one]));
    proxy.signal(Signal::HUP);
    let last = || ask(&admin.address(), "GET", "/v1/reload", &[]).text().to_owned();
    wait_until("it is told", || last().contains(&format!("server {removed} added")));
}

fn a_refused_reload_says_what_is_wrong(tier: Tier) {
    let admin = Admin::new();
    let proxy = saying(tier, &admin, "one").start();
    let never = ask(&admin.address(), "GET", "/v1/reload", &[]);
    assert_eq!(never.text(), "{\"reloaded\":null}\n");
    proxy.rewrite(&saying(tier, &admin, "two").toml("[[upstream]]\nnmae = \"app\""));
    let file = proxy.dir().join("config.toml");
    let file = file.to_str().expect("a plain path");
    let check = corelane(&["check", "-c", file]);
    let errors: Vec<&str> =
        check.stderr.lines().filter(|line| line.starts_with(&format!("{file}:"))).collect();
    assert!(errors.len() >= 2, "{check:?}");
    for command in [vec!["reload"], vec!["ctl", "reload"]] {
        let exit = admin.run(&command);
        assert_eq!(exit.status.code(), Some(1));
        let sentence = format!(
            "corelane: reload refused: {} errors; the configuration in force stays",
            errors.len()
        );
        let said: Vec<&str> = exit.stderr.lines().collect();
        assert_eq!(said[..errors.len()], errors);
        assert_eq!(said[errors.len()..], [sentence]);
        // The file says where to ask although it is wrong elsewhere.
        assert_eq!(corelane(&[&command[..], &["-c", file]].concat()).stderr, exit.stderr);
    }
    let last = ask(&admin.address(), "GET", "/v1/reload", &[]);
    assert_eq!(last.status, 200);
    let last: serde_json::Value = serde_json::from_str(last.text()).expect("JSON");
    assert_eq!((&last["reloaded"], &last["errors"]), (&json!(false), &json!(errors)));
    let answer = ask(&admin.address(), "POST", "/v1/reload", &[("Content-Length", "0")]);
    assert_eq!(answer.status, 422);
    assert_eq!(proxy.get("/").text(), "one");
}

fn reloads_at_once_all_get_an_answer(tier: Tier) {
    let admin = Admin::new();
    let proxy = saying(tier, &admin, "one").shards(2).start();
    for round in 0..3 {
        let text = format!("round {round}");
        proxy.rewrite(&saying(tier, &admin, &text).shards(2));
        thread::scope(|scope| {
            let reloads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| admin.run(&["reload", "--json"]))).collect();
            for reload in reloads {
                let exit = reload.join().expect("a command");
                assert!(exit.status.success(), "{exit:?}");
                // Each has read the file after it was written.
                assert_eq!(proxy.get("/").text(), text);
            }
        });
    }
}

fn nobody_is_reloaded_during_a_drain(tier: Tier) {
    let admin = Admin::new();
    let gate = Gate::shut();
    let origin = origin_waits_for(&gate);
    let config = Config::new(tier).origin("app", &origin).toml(&admin.toml());
    let proxy = config.start();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.await_requests(1);
    proxy.signal(Signal::TERM);
    proxy.await_stderr("draining");
    let about = ask(&admin.address(), "GET", "/v1", &[]);
    assert!(about.text().contains("\"state\":\"draining\""), "{}", about.text());
    assert_eq!(admin.server(&origin.address().to_string())["active"], 1);
    let exit = admin.run(&["reload"]);
    assert_eq!(exit.status.code(), Some(1));
    assert!(exit.stderr.contains("this process drains"), "{}", exit.stderr);
    gate.open();
    assert_eq!(client.response().status, 200);
    assert!(proxy.wait().status.success());
    assert!(!admin.path().exists(), "its file goes with it");
}

#[test]
fn what_cannot_be_asked_is_said_in_a_sentence() {
    let said = |arguments: &[&str], code: i32| {
        let exit = corelane(arguments);
        assert_eq!(exit.status.code(), Some(code), "{exit:?}");
        assert_eq!((exit.stderr.lines().count(), exit.stdout.as_str()), (1, ""), "{exit:?}");
        exit.stderr
    };
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("config.toml");
    let path = file.to_str().expect("a plain path");
    let write = |text: &str| std::fs::write(&file, text).expect("a file");
    let missing = said(&["ctl", "servers", "-c", path], 3);
    assert!(missing.contains("the file cannot be read"), "{missing}");
    write("[[listener]]\naddress = \"127.0.0.1:0\"\n");
    let none = said(&["ctl", "servers", "-c", path], 3);
    assert!(none.contains("has no admin address; add [admin] with address = "), "{none}");
    write("[admin]\naddress = \"127.0.0.1:0\"\n");
    assert!(said(&["reload", "-c", path], 3).contains("name the address with --admin"));
    write(&format!("[admin]\naddress = \"unix:{}/none\"\n", dir.path().display()));
    let refused = said(&["reload", "-c", path], 3);
    assert!(refused.contains("cannot connect to unix:"), "{refused}");
    assert!(refused.contains("is the proxy running"), "{refused}");
    let stranger = Origin::named("stranger");
    let other = said(&["ctl", "routes", "--admin", &stranger.address().to_string()], 3);
    assert!(other.contains("is no admin address of Corelane"), "{other}");
    let usage = corelane(&["ctl", "set", "app", "up"]);
    assert_eq!(usage.status.code(), Some(2));
    assert!(usage.stderr.contains("write UPSTREAM/SERVER"), "{}", usage.stderr);
}
