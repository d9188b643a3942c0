//! What an upstream may be asked to do at once: the circuit breaker and the budget of retries.

#[macro_use]
mod support;

use support::*;

tiered! {
    more_than_the_most_active_is_503,
    more_than_the_most_pending_is_503,
    more_than_the_most_retries_is_503,
    an_outage_is_met_with_few_retries,
    a_quiet_proxy_may_retry,
    a_stale_connection_may_be_final,
    the_first_server_may_be_the_only_one_tried,
}

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

fn before(tier: Tier, server: String, settings: &str) -> Proxy {
    Config::new(tier).upstream("app", &[server], settings).start()
}

#[track_caller]
fn assert_refused(response: &Response, words: &str) {
    assert_eq!(response.status, 503, "{response:?}");
    assert!(response.text().contains(words), "{}", response.text());
    assert_eq!(response.field("retry-after"), Some("1"));
}

#[track_caller]
fn assert_counted(proxy: &Proxy, line: &str) {
    wait_until(line, || {
        proxy.signal(rustix::process::Signal::USR1);
        proxy.stderr().contains(line)
    });
}

fn more_than_the_most_active_is_503(tier: Tier) {
    let gate = Gate::shut();
    let origin = origin_waits_for(&gate);
    let proxy = before(tier, origin.server(), "limits = { max_active = 2 }");
    let mut clients = [proxy.client(), proxy.client()];
    clients.iter_mut().for_each(|client| client.send(GET));
    origin.await_requests(2);
    let mut third = proxy.client();
    assert_refused(&third.get("/"), "are in progress");
    assert_counted(&proxy, "refused by a limit of their upstream: 1");
    gate.open();
    clients.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    assert_eq!(third.get("/").status, 200, "on the same connection");
    assert_eq!(origin.requests().len(), 3);
}

fn more_than_the_most_pending_is_503(tier: Tier) {
    let unreachable = origin_unreachable();
    let settings = "limits = { max_pending = 1 }\ntimeouts = { connect = \"2s\" }";
    let proxy = before(tier, unreachable.server(), settings);
    let mut first = proxy.client();
    first.send(GET);
    wait_until("the first request waits for its connection", || {
        proxy.get("/").text().contains("wait for a connection")
    });
    assert_eq!(first.response().status, 504);
    // Its place is free again.
    assert_eq!(proxy.get("/").status, 504);
}

/// Keeps `count` connections to the origin, and closes each without an answer to its second
/// request, when `fail` is open. Requests on newer connections are answered when `held` is open.
struct Stale {
    origin: Origin,
    fail: Gate,
    held: Gate,
}

fn origin_goes_stale() -> Stale {
    let (warm, fail, held) = (Gate::shut(), Gate::shut(), Gate::shut());
    let (open_warm, fail_here, held_here) = (warm.clone(), fail.clone(), held.clone());
    let origin = Origin::scripted(move |conn| {
        match conn.request()?.target.as_str() {
            "/warm" => warm.wait(),
            "/last" => open_warm.open(),
            _ => held_here.wait(),
        }
        conn.send(ok("fine"))?;
        conn.request()?;
        fail_here.wait();
        Ok(())
    });
    Stale { origin, fail, held }
}

/// So many clients, each of which has had a response; the proxy has as many connections.
fn warm_up(proxy: &Proxy, stale: &Stale, count: usize) -> Vec<Client> {
    let mut clients: Vec<_> = (0..count).map(|_| proxy.client()).collect();
    let (last, others) = clients.split_last_mut().expect("some");
    others.iter_mut().for_each(|client| client.send("GET /warm HTTP/1.1\r\nHost: test\r\n\r\n"));
    stale.origin.await_requests(count - 1);
    assert_eq!(last.get("/last").text(), "fine");
    others.iter_mut().for_each(|client| assert_eq!(client.response().text(), "fine"));
    clients
}

fn more_than_the_most_retries_is_503(tier: Tier) {
    let stale = origin_goes_stale();
    let proxy = before(tier, stale.origin.server(), "limits = { max_retries = 1 }");
    let mut clients = warm_up(&proxy, &stale, 2);
    clients.iter_mut().for_each(|client| client.send(GET));
    stale.origin.await_requests(4);
    stale.fail.open();
    stale.origin.await_requests(5);
    assert_counted(&proxy, "refused by a limit of their upstream: 1");
    stale.held.open();
    let mut responses: Vec<_> = clients.iter_mut().map(Client::response).collect();
    responses.sort_by_key(|response| response.status);
    assert_eq!((responses[0].status, responses[0].text()), (200, "fine"));
    assert_refused(&responses[1], "too many requests are being tried again");
}

fn an_outage_is_met_with_few_retries(tier: Tier) {
    let stale = origin_goes_stale();
    let settings = "retry = { budget_percent = 25, budget_min = 1 }";
    let proxy = before(tier, stale.origin.server(), settings);
    let mut clients = warm_up(&proxy, &stale, 12);
    clients.iter_mut().for_each(|client| client.send(GET));
    stale.origin.await_requests(24);
    stale.fail.open();
    // Of twelve live requests a quarter.
    stale.origin.await_requests(27);
    assert_counted(&proxy, "retries denied by the budget: 9");
    stale.held.open();
    let responses: Vec<_> = clients.iter_mut().map(Client::response).collect();
    let served = responses.iter().filter(|response| response.status == 200).count();
    assert_eq!((served, stale.origin.requests().len()), (3, 27));
    let refused = responses.iter().filter(|response| response.status != 200);
    refused.for_each(|response| assert_refused(response, "budget"));
}

fn a_quiet_proxy_may_retry(tier: Tier) {
    let stale = origin_goes_stale();
    let proxy = before(tier, stale.origin.server(), "");
    let mut clients = warm_up(&proxy, &stale, 5);
    clients.iter_mut().for_each(|client| client.send(GET));
    stale.origin.await_requests(10);
    stale.fail.open();
    stale.origin.await_requests(15);
    stale.held.open();
    clients.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
}

fn a_stale_connection_may_be_final(tier: Tier) {
    let origin = origin_closes_on_second_request();
    let proxy = before(tier, origin.server(), "retry = { stale = false }");
    let mut client = proxy.client();
    assert_eq!(client.get("/").text(), "once");
    assert_eq!(client.get("/").status, 502);
    assert_eq!(origin.requests().len(), 2);
}

fn the_first_server_may_be_the_only_one_tried(tier: Tier) {
    let (refusing, backup) = (origin_refuses(), Origin::named("backup"));
    let servers = [refusing.server(), backup.server_with("backup = true")];
    let proxy = Config::new(tier).upstream("app", &servers, "retry = { tries = 1 }").start();
    assert_eq!(proxy.get("/").status, 502);
    assert_eq!(proxy.get("/").text(), "backup", "by now the other is known to be down");
}
