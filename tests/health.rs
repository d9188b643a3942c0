//! When a server gets no requests because requests failed, how it returns, and how all shards come
//! to know.

#![allow(clippy::disallowed_methods, reason = "tests time what they see")]

#[macro_use]
mod support;

use std::time::Instant;

use support::*;

tiered! {
    what_one_shard_finds_all_know,
    each_change_is_logged_and_counted_once,
    the_time_of_an_ejection_doubles,
    one_request_tries_an_ejected_server,
    a_trial_ends_with_the_head_of_its_answer,
    all_down_means_all_are_tried,
    a_returning_server_starts_slowly,
    a_refusal_may_count_like_other_failures,
    drained_and_downed_servers_get_no_requests,
}

/// Answers nothing: each connection is closed when its first request is there.
fn failing(count: usize) -> Vec<Origin> {
    (0..count).map(|_| origin_closes_before_answer()).collect()
}

fn debug() -> &'static str {
    "[log]\nlevel = \"debug\""
}

/// A server that is well again.
fn says_back(conn: &mut Conn) -> Script {
    loop {
        conn.request()?;
        conn.send(ok("back"))?;
    }
}

/// Requests on connections of their own, so that every shard gets some.
fn statuses(proxy: &Proxy, count: usize) -> Vec<u16> {
    (0..count).map(|_| proxy.get("/").status).collect()
}

/// Whether both shards were told that this server is ejected.
fn both_know(proxy: &Proxy, server: usize) -> bool {
    let said = proxy.stderr();
    let told = |shard: usize| {
        said.contains(&format!(
            "shard={shard} server={server} state=up checks_pass=true ejected=true"
        ))
    };
    told(0) && told(1)
}

fn what_one_shard_finds_all_know(tier: Tier) {
    let (bad, good) = (failing(5), Origin::named("good"));
    let mut servers: Vec<_> = bad.iter().map(Origin::server).collect();
    servers.push(good.server());
    // A request that fails shall show it.
    let settings = "retry = { unanswered = false }\npassive = { failures = 1, ejection = \"1h\" }";
    let proxy =
        Config::new(tier).shards(2).upstream("app", &servers, settings).toml(debug()).start();
    let mut delays = Vec::new();
    for _ in 0..500 {
        if delays.len() == bad.len() {
            break;
        }
        let status = proxy.get("/").status;
        let failed = Instant::now();
        if status == 200 {
            continue;
        }
        let found = |server: &usize| bad[*server].connections() > 0;
        let known = |server: usize| both_know(&proxy, server);
        wait_until("both shards know", || (0..bad.len()).filter(found).all(known));
        delays.push(failed.elapsed());
    }
    let tried: Vec<_> = bad.iter().map(Origin::connections).collect();
    assert_eq!(tried, [1; 5], "one failure each, whichever shard had it");
    delays.sort();
    println!("known to all shards after {delays:?}");
    // But for one, on a machine that is busy with something else.
    assert!(delays[3] < ms(100), "{delays:?}");
    assert_eq!(statuses(&proxy, 40), [200; 40]);
    let tried: Vec<_> = bad.iter().map(Origin::connections).collect();
    assert_eq!(tried, [1; 5], "nobody tries them again");
}

fn each_change_is_logged_and_counted_once(tier: Tier) {
    let (refusing, good) = (origin_refuses(), Origin::named("good"));
    let servers = [refusing.server(), good.server()];
    let settings = "passive = { ejection = \"300ms\" }";
    let proxy = Config::new(tier).shards(2).upstream("app", &servers, settings).start();
    assert_eq!(statuses(&proxy, 10), [200; 10]);
    let server = refusing.address().to_string();
    let back = refusing.recovers(says_back);
    wait_until("it takes requests again", || proxy.get("/").text() == "back");
    assert_eq!(statuses(&proxy, 10), [200; 10]);
    let out = proxy.await_stderr("server taken out");
    let returned = proxy.await_stderr("server returned");
    let words = |line: &str, words: &[&str]| {
        let missing = words.iter().find(|word| !line.contains(*word));
        assert_eq!(missing, None, "{line}");
    };
    let server = format!("server=\"{server}\"");
    words(&out, &["WARN", "upstream=\"app\"", &server, "old=up", "new=ejected", "refused"]);
    words(&returned, &["INFO", "upstream=\"app\"", &server, "old=ejected", "new=up", "succeeded"]);
    let said = proxy.terminate().stderr;
    let lines = |needle: &str| said.lines().filter(|line| line.contains(needle)).count();
    assert_eq!((lines("server taken out"), lines("server returned")), (1, 1), "{said}");
    for count in ["servers ejected: 1\n", "servers returned: 1\n"] {
        assert!(said.contains(count), "{said}");
    }
    drop(back);
}

fn the_time_of_an_ejection_doubles(tier: Tier) {
    let (bad, good) = (origin_closes_before_answer(), Origin::named("good"));
    let settings = "passive = { failures = 1, ejection = \"200ms\", max_ejection = \"800ms\" }";
    let servers = [bad.server(), good.server()];
    let config = Config::new(tier).shards(2).upstream("app", &servers, settings);
    let proxy = config.toml(debug()).start();
    let mut last: Option<Instant> = None;
    let mut gaps = Vec::new();
    for tries in 1..=5 {
        wait_until("the server is tried again", || {
            proxy.get("/");
            bad.connections() >= tries
        });
        let now = Instant::now();
        gaps.extend(last.map(|last| now - last));
        last = Some(now);
        wait_until("both shards know", || both_know(&proxy, 0));
        assert_eq!(bad.connections(), tries, "one request a time");
    }
    // Measured after the request that failed, so a little less than the ejection.
    for (gap, length) in gaps.iter().zip([200, 400, 800, 800]) {
        assert!((ms(length - 60)..ms(length + 3_000)).contains(gap), "{gaps:?}");
    }
    assert!(gaps[3] < gaps[2] * 2 - ms(100), "no longer than the longest: {gaps:?}");
}

fn a_trial_ends_with_the_head_of_its_answer(tier: Tier) {
    // As with events or long downloads: the body does not end.
    let server = Origin::scripted(|conn| {
        conn.request()?;
        if conn.index == 0 {
            return Ok(());
        }
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nevent")?;
        conn.await_end()
    });
    let good = Origin::named("good");
    let settings =
        "retry = { unanswered = false }\npassive = { failures = 1, ejection = \"200ms\" }";
    let servers = [server.server(), good.server()];
    let proxy = Config::new(tier).upstream("app", &servers, settings).start();
    let mut clients = Vec::new();
    wait_until("several requests at a time are there", || {
        let mut client = proxy.client();
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        let head = client.response_head("GET");
        clients.push((client, head));
        server.requests().len() >= 5
    });
}

fn one_request_tries_an_ejected_server(tier: Tier) {
    let gate = Gate::shut();
    let open = gate.clone();
    let server = Origin::scripted(move |conn| {
        conn.request()?;
        if conn.index == 0 {
            return Ok(());
        }
        open.wait();
        conn.send(ok("back"))
    });
    let good = Origin::named("good");
    let settings = "passive = { failures = 1, ejection = \"200ms\" }";
    let servers = [server.server(), good.server()];
    let proxy = Config::new(tier).shards(2).upstream("app", &servers, settings).start();
    let mut trial = None;
    wait_until("a request tries the server", || {
        let mut client = proxy.client();
        client.patience(ms(300));
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        let silent = client.try_response() == Err(End::Silent);
        if silent && server.requests().len() == 2 {
            trial = Some(client);
        }
        trial.is_some()
    });
    assert_eq!(statuses(&proxy, 40), [200; 40], "all others pass it by, in both shards");
    assert_eq!(server.requests().len(), 2);
    gate.open();
    let mut trial = trial.expect("waited for");
    trial.patience(PATIENCE);
    assert_eq!(trial.response().text(), "back");
    wait_until("it takes its part", || proxy.get("/").text() == "back");
}

fn all_down_means_all_are_tried(tier: Tier) {
    let (one, two) = (origin_refuses(), origin_refuses());
    let servers = [one.server(), two.server()];
    let settings = "passive = { ejection = \"1h\", max_ejection = \"1h\" }";
    let proxy = Config::new(tier).shards(2).upstream("app", &servers, settings).start();
    assert_eq!(statuses(&proxy, 10), [502; 10]);
    let back = one.recovers(says_back);
    // Whichever of the two is tried first: the other follows.
    assert_eq!(proxy.get("/").text(), "back");
    proxy.await_stderr("server returned");
    let before = back.requests().len();
    assert_eq!(statuses(&proxy, 10), [200; 10]);
    assert_eq!(back.requests().len(), before + 10);
    drop(two);
}

fn a_returning_server_starts_slowly(tier: Tier) {
    let (refusing, good) = (origin_refuses(), Origin::named("good"));
    let servers = [refusing.server(), good.server()];
    let settings = "passive = { ejection = \"100ms\" }\nslow_start = \"3s\"";
    let proxy = Config::new(tier).upstream("app", &servers, settings).endless().start();
    wait_until("it is ejected", || {
        proxy.get("/");
        proxy.stderr().contains("server taken out")
    });
    let _back = refusing.recovers(says_back);
    wait_until("it has returned", || proxy.get("/").text() == "back");
    let returned = Instant::now();
    // In windows of 20 requests: the share, and how long after the return the window ended.
    let mut client = proxy.client();
    let mut window = || {
        let share = (0..20).filter(|_| client.get("/").text() == "back").count();
        (share, returned.elapsed())
    };
    let (first, at) = window();
    let ramp = at.as_secs_f64() / 3.0;
    assert!(first as f64 <= 20.0 * ramp / (1.0 + ramp) + 2.0, "{first} of 20 within {at:?}");
    let mut windows = Vec::new();
    wait_until("it has half of the requests", || {
        windows.push(window());
        windows.last().is_some_and(|(share, _)| *share == 10)
    });
    let (_, at) = windows.last().expect("one");
    assert!(*at > ms(1_500), "too soon: {windows:?}");
}

fn a_refusal_may_count_like_other_failures(tier: Tier) {
    let (refusing, good) = (origin_refuses(), Origin::named("good"));
    let servers = [refusing.server(), good.server()];
    let settings = "balance = \"round_robin\"\npassive = { eject_refused = false }";
    let proxy = Config::new(tier).upstream("app", &servers, settings).start();
    assert_eq!(statuses(&proxy, 4), [200; 4]);
    assert!(!proxy.stderr().contains("server taken out"), "{}", proxy.stderr());
    assert_eq!(statuses(&proxy, 4), [200; 4]);
    proxy.await_stderr("server taken out");
}

fn drained_and_downed_servers_get_no_requests(tier: Tier) {
    let [up, drained, down] = ["up", "drained", "down"].map(Origin::named);
    let out = [drained.server_with("state = \"drain\""), down.server_with("state = \"down\"")];
    let [first, second] = out.clone();
    let servers = [first, up.server(), second];
    let proxy = Config::new(tier).shards(2).upstream("app", &servers, "").start();
    let texts =
        |count| -> Vec<_> { (0..count).map(|_| proxy.get("/").text().to_owned()).collect() };
    assert_eq!(texts(20), ["up"; 20]);
    drop(up);
    assert_eq!(statuses(&proxy, 10), [502; 10], "not even as a last resort");
    let proxy = Config::new(tier).upstream("app", &out, "").start();
    proxy.await_stderr("every server of the upstream is set to drain or down");
    assert_eq!(statuses(&proxy, 2), [502; 2]);
    assert_eq!((drained.connections(), down.connections()), (0, 0));
}
