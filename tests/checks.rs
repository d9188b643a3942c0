//! Active checks: what they ask, whom they take out of service, and how they bring it back.

#![allow(clippy::disallowed_methods, reason = "tests time what they see")]

#[macro_use]
mod support;

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use support::*;

tiered! {
    a_server_that_fails_its_checks_gets_no_requests,
    a_killed_server_is_found_without_a_request,
    a_hung_server_is_found_without_a_request,
    when_all_fail_their_checks_all_are_tried,
    checks_end_the_waiting_of_an_ejection_once,
}

/// A server whose answers to its checks are set by the test.
struct Patient {
    origin: Origin,
    status: Arc<AtomicU16>,
}

impl Patient {
    fn script(name: &str, status: &Arc<AtomicU16>) -> impl Fn(&mut Conn) -> Script + use<> {
        let (name, status) = (name.to_owned(), status.clone());
        move |conn| loop {
            let request = conn.request()?;
            match request.target.as_str() {
                "/healthz" => {
                    let fields = [("Connection", "close")];
                    conn.send(response(status.load(Ordering::Relaxed), &fields, "checked"))?;
                    return Ok(());
                }
                "/fail" => return Ok(()),
                _ => conn.send(ok(&name))?,
            }
        }
    }

    fn new(name: &str) -> Patient {
        let status = Arc::new(AtomicU16::new(200));
        Patient { origin: Origin::scripted(Patient::script(name, &status)), status }
    }

    fn on_unix_socket(name: &str) -> Patient {
        let status = Arc::new(AtomicU16::new(200));
        Patient { origin: Origin::unix(Patient::script(name, &status)), status }
    }

    fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    fn checks(&self) -> Vec<Request> {
        let requests = self.origin.requests();
        requests.into_iter().filter(|request| request.target == "/healthz").collect()
    }

    /// Requests that were no checks.
    fn others(&self) -> usize {
        self.origin.requests().iter().filter(|request| request.target != "/healthz").count()
    }

    fn await_checks(&self, more: usize) {
        let seen = self.checks().len();
        wait_until("more checks", || self.checks().len() >= seen + more);
    }
}

const OFTEN: &str = "path = \"/healthz\", interval = \"50ms\", timeout = \"50ms\"";

fn checked(tier: Tier, servers: &[String], health: &str) -> Proxy {
    let settings = format!("health = {{ {health} }}");
    Config::new(tier).shards(2).upstream("app", servers, &settings).start()
}

fn names(proxy: &Proxy, count: usize) -> Vec<String> {
    (0..count).map(|_| proxy.get("/").text().to_owned()).collect()
}

/// Waits for so many lines that say so of the server.
fn await_lines(proxy: &Proxy, origin: &Origin, what: &str, count: usize) -> String {
    let server = format!("server={:?}", origin.address().to_string());
    let lines = || -> Vec<String> {
        let said = proxy.stderr();
        let lines = said.lines().filter(|line| line.contains(what) && line.contains(&server));
        lines.map(str::to_owned).collect()
    };
    wait_until(what, || lines().len() >= count);
    let mut lines = lines();
    assert_eq!(lines.len(), count, "{lines:?}");
    lines.remove(count - 1)
}

fn a_server_that_fails_its_checks_gets_no_requests(tier: Tier) {
    let (a, b) = (Patient::new("a"), Patient::new("b"));
    let health = format!("{OFTEN}, rise = 2, fall = 3");
    let proxy = checked(tier, &[a.origin.server(), b.origin.server()], &health);
    a.await_checks(1);
    assert!(names(&proxy, 20).contains(&"a".to_owned()));
    a.answer(500);
    let out = await_lines(&proxy, &a.origin, "server taken out", 1);
    for words in ["old=up new=failing", "3 checks in a row failed, the last: status 500"] {
        assert!(out.contains(words), "{out}");
    }
    wait_until("both shards know", || names(&proxy, 20).iter().all(|name| name == "b"));
    assert_eq!(names(&proxy, 40), ["b"; 40]);
    a.answer(204);
    let returned = await_lines(&proxy, &a.origin, "server returned", 1);
    assert!(returned.contains("2 checks in a row succeeded"), "{returned}");
    wait_until("it takes its part", || names(&proxy, 10).contains(&"a".to_owned()));
    let check = a.checks().remove(0);
    assert_eq!((check.method.as_str(), check.version.as_str()), ("GET", "HTTP/1.1"));
    assert_eq!(check.field("host"), Some(a.origin.address().to_string().as_str()));
    assert!(check.field("user-agent").is_some_and(|agent| agent.contains("health check")));
    let said = proxy.terminate().stderr;
    assert!(said.contains("servers taken out by their checks: 1\n"), "{said}");
    assert!(said.contains("servers returned: 1\n"), "{said}");
}

fn a_killed_server_is_found_without_a_request(tier: Tier) {
    let (a, b) = (Patient::new("a"), Patient::new("b"));
    let proxy = checked(tier, &[a.origin.server(), b.origin.server()], OFTEN);
    a.await_checks(1);
    let status = a.status.clone();
    let address = a.origin.gone();
    proxy.await_stderr("it cannot be connected to: Connection refused");
    wait_until("both shards know", || names(&proxy, 20).iter().all(|name| name == "b"));
    let again = Origin::at(&address, Patient::script("a", &status));
    await_lines(&proxy, &again, "server returned", 1);
    wait_until("it takes its part", || names(&proxy, 10).contains(&"a".to_owned()));
    let said = proxy.terminate().stderr;
    assert!(said.contains("servers ejected: 0\n"), "no request found it: {said}");
}

fn a_hung_server_is_found_without_a_request(tier: Tier) {
    let (hung, good) = (origin_never_answers(), Patient::new("good"));
    let servers = [hung.server(), good.origin.server()];
    let settings = format!("health = {{ {OFTEN}, fall = 2 }}\ntimeouts = {{ response = \"1s\" }}");
    let proxy = Config::new(tier).shards(2).upstream("app", &servers, &settings).start();
    let out = await_lines(&proxy, &hung, "server taken out", 1);
    assert!(out.contains("it took longer than 50ms"), "{out}");
    assert!(hung.await_end(0).is_over(), "the check has given up");
    let all_good = || (0..20).all(|_| proxy.get("/").status == 200);
    wait_until("both shards know", all_good);
    assert_eq!(names(&proxy, 20), ["good"; 20]);
}

fn when_all_fail_their_checks_all_are_tried(tier: Tier) {
    let (a, b) = (Patient::new("a"), Patient::new("b"));
    a.answer(500);
    b.answer(404);
    let health = format!("{OFTEN}, fall = 1");
    let proxy = checked(tier, &[a.origin.server(), b.origin.server()], &health);
    await_lines(&proxy, &a.origin, "server taken out", 1);
    await_lines(&proxy, &b.origin, "server taken out", 1);
    let names = names(&proxy, 20);
    assert!(names.contains(&"a".to_owned()) && names.contains(&"b".to_owned()), "{names:?}");
}

fn checks_end_the_waiting_of_an_ejection_once(tier: Tier) {
    let (a, b) = (Patient::new("a"), Origin::named("b"));
    let servers = [a.origin.server(), b.server_with("backup = true")];
    // A request that fails shall show it.
    let settings = format!(
        "retry = {{ unanswered = false }}\n\
         passive = {{ failures = 1, ejection = \"1h\", max_ejection = \"4h\" }}\n\
         health = {{ {OFTEN}, rise = 4 }}"
    );
    let proxy = Config::new(tier).upstream("app", &servers, &settings).start();
    a.await_checks(1);
    assert_eq!(proxy.get("/fail").status, 502);
    assert_eq!(proxy.get("/").text(), "b", "it is ejected");
    // Four checks later one request tries it, and fails.
    wait_until("the trial", || proxy.get("/fail").status == 502 && a.others() == 2);
    // However many checks succeed now, it waits for the rest of two hours.
    a.await_checks(12);
    assert_eq!(names(&proxy, 20), ["b"; 20]);
    assert_eq!(a.others(), 2);
    // Unless they failed first.
    a.answer(500);
    await_lines(&proxy, &a.origin, "new=failing", 1);
    a.answer(200);
    wait_until("it has returned", || proxy.get("/").text() == "a");
    await_lines(&proxy, &a.origin, "server returned", 1);
}

// How a server is checked is the same in every tier.

fn tier() -> Tier {
    tiers()[0]
}

/// Fails unless a server that answers its checks like that is taken out, or is not.
#[track_caller]
fn assert_checked(answer: Vec<u8>, health: &str, words: Option<&str>) {
    let origin = Origin::saying(answer);
    // A slow machine must not fail a check for taking too long.
    let often = "path = \"/healthz\", interval = \"300ms\", timeout = \"300ms\"";
    let proxy = checked(tier(), &[origin.server()], &format!("{often}, fall = 1, {health}"));
    match words {
        Some(words) => {
            let line = await_lines(&proxy, &origin, "server taken out", 1);
            assert!(line.contains(words), "{line}");
        }
        None => {
            origin.await_requests(6);
            assert!(!proxy.stderr().contains("taken out"), "{}", proxy.stderr());
        }
    }
}

#[test]
fn answers_are_compared_with_what_is_expected() {
    let fields = [("Connection", "close")];
    let say = |status, body: &str| response(status, &fields, body);
    assert_checked(say(302, ""), "rise = 2", None);
    assert_checked(say(400, ""), "rise = 2", Some("status 400"));
    assert_checked(say(503, ""), "status = [204, \"500-503\"]", None);
    assert_checked(say(200, ""), "status = [204, \"500-503\"]", Some("status 200"));
    assert_checked(say(200, "all is well"), "body = \"is well\"", None);
    assert_checked(say(200, "all is lost"), "body = \"is well\"", Some("lacks"));
    let mut chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    chunks.extend(chunked(&["all ", "is well"]));
    assert_checked(chunks, "body = \"l is w\"", None);
    let late = "x".repeat(70_000) + "is well";
    assert_checked(say(200, &late), "body = \"is well\"", Some("lacks"));
    assert_checked(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), "body = \"well\"", Some("0 bytes lacks"));
    assert_checked(b"SSH-2.0-x\r\n".to_vec(), "rise = 2", Some("no valid answer"));
    assert_checked(say(200, ""), "method = \"HEAD\"", None);
}

#[test]
fn a_check_says_what_it_is_told_to() {
    let origin = Origin::saying(response(200, &[("Connection", "close")], ""));
    let health = "method = \"OPTIONS\", path = \"/a?b=c\", host = \"app.internal:81\", \
                  interval = \"50ms\"";
    let _proxy = checked(tier(), &[origin.server()], health);
    let check = origin.request();
    assert_eq!((check.method.as_str(), check.target.as_str()), ("OPTIONS", "/a?b=c"));
    assert_eq!(check.field("host"), Some("app.internal:81"));
    assert!(check.fields.lists("connection", "close"));
}

#[test]
fn a_connection_is_enough_for_a_tcp_check() {
    let (refusing, silent) = (origin_refuses(), origin_never_answers());
    let address = refusing.address().to_string();
    let health = "type = \"tcp\", interval = \"50ms\", fall = 1, rise = 1";
    let proxy = checked(tier(), &[refusing.server(), silent.server()], health);
    let out = proxy.await_stderr("server taken out");
    assert!(out.contains(&address) && out.contains("refused"), "{out}");
    let back = refusing.recovers(|conn| conn.await_end());
    proxy.await_stderr("server returned");
    back.await_connections(3);
    silent.await_connections(3);
    let said = proxy.terminate().stderr;
    assert_eq!(said.matches("server taken out").count(), 1, "{said}");
    assert_eq!((back.bytes().len(), silent.bytes().len()), (0, 0), "nothing is asked");
}

#[test]
fn servers_on_unix_sockets_and_by_name_are_checked() {
    let unix = Patient::on_unix_socket("unix");
    let named = Patient::new("named");
    let by_name = format!("\"localhost:{}\"", named.origin.address().port());
    let health = format!("{OFTEN}, fall = 1, rise = 1");
    let proxy = checked(tier(), &[unix.origin.server(), by_name.clone()], &health);
    unix.await_checks(2);
    named.await_checks(2);
    assert_eq!(unix.checks()[0].field("host"), Some("localhost"));
    assert_eq!(format!("{:?}", named.checks()[0].field("host").unwrap_or_default()), by_name);
    unix.answer(500);
    await_lines(&proxy, &unix.origin, "server taken out", 1);
    wait_until("requests go elsewhere", || names(&proxy, 10).iter().all(|name| name == "named"));
    unix.answer(200);
    await_lines(&proxy, &unix.origin, "server returned", 1);
    named.answer(500);
    wait_until("requests go elsewhere", || names(&proxy, 10).iter().all(|name| name == "unix"));
}

#[test]
fn drained_servers_are_checked_and_downed_ones_are_not() {
    let [up, drained, down] = ["up", "drained", "down"].map(Patient::new);
    let servers = [
        up.origin.server(),
        drained.origin.server_with("state = \"drain\""),
        down.origin.server_with("state = \"down\""),
    ];
    let _proxy = checked(tier(), &servers, OFTEN);
    up.await_checks(3);
    drained.await_checks(3);
    assert_eq!(down.origin.connections(), 0);
}

#[test]
fn checks_begin_at_different_moments_and_vary() {
    let (arrived, arrivals) = mpsc::channel::<(usize, Instant)>();
    let origins: Vec<_> = (0..10)
        .map(|number| {
            let arrived = arrived.clone();
            Origin::scripted(move |conn| {
                let _ = arrived.send((number, Instant::now()));
                conn.request()?;
                conn.send(response(200, &[("Connection", "close")], ""))
            })
        })
        .collect();
    let servers: Vec<_> = origins.iter().map(Origin::server).collect();
    let _proxy = checked(tier(), &servers, "interval = \"500ms\", jitter_percent = 50");
    let mut times: Vec<Vec<Instant>> = vec![Vec::new(); origins.len()];
    while times.iter().any(|times| times.len() < 4) {
        let (number, time) = arrivals.recv_timeout(PATIENCE).expect("a check");
        times[number].push(time);
    }
    let firsts: Vec<Instant> = times.iter().map(|times| times[0]).collect();
    let spread = *firsts.iter().max().expect("some") - *firsts.iter().min().expect("some");
    assert!(spread > ms(75), "all within {spread:?}");
    let gaps: Vec<Duration> =
        times.iter().flat_map(|times| times.windows(2).map(|pair| pair[1] - pair[0])).collect();
    let (shortest, longest) = (gaps.iter().min(), gaps.iter().max());
    let spread = *longest.expect("some") - *shortest.expect("some");
    assert!(spread > ms(100), "{gaps:?}");
    let mean = gaps.iter().sum::<Duration>() / gaps.len() as u32;
    assert!((ms(350)..ms(800)).contains(&mean), "{mean:?}");
}
