//! What is tried again when a server fails, what never is, and when a server counts as down.

#[macro_use]
mod support;

use support::*;

tiered! {
    a_refused_connection_tries_the_next_server,
    refused_by_all_is_502,
    no_more_than_three_servers_are_tried,
    a_get_on_a_stale_connection_is_repeated_once,
    a_small_idempotent_body_is_repeated_with_it,
    a_post_on_a_stale_connection_is_not_repeated,
    a_post_after_an_idle_close_takes_a_fresh_connection,
    a_put_that_was_sent_in_part_is_not_repeated,
    a_chunked_put_that_was_sent_in_part_is_not_repeated,
    an_interim_response_is_an_answer_begun,
    a_second_failure_is_final,
    a_fresh_connection_that_fails_is_502,
    a_head_that_breaks_off_is_502_and_not_repeated,
    a_body_that_breaks_off_breaks_off_for_the_client,
    a_server_error_is_an_answer,
    three_failures_mark_a_server_down,
    a_clients_fault_does_not_mark_a_server_down,
    a_refusing_server_is_left_alone,
    when_all_are_down_all_are_tried,
}

fn a_refused_connection_tries_the_next_server(tier: Tier) {
    let (refusing, also_refusing) = (origin_refuses(), origin_refuses());
    let origin = origin_echoes();
    let servers = [refusing.server(), also_refusing.server(), origin.server()];
    let proxy = Config::new(tier).upstream("app", &servers, "").start();
    let mut client = proxy.client();
    for _ in 0..6 {
        assert_eq!(client.post("/", "body").text(), "body");
    }
    assert_eq!(origin.requests().len(), 6);
}

fn refused_by_all_is_502(tier: Tier) {
    let (one, two) = (origin_refuses(), origin_refuses());
    let servers = [one.server(), two.server()];
    let proxy = Config::new(tier).upstream("app", &servers, "").start();
    let mut client = proxy.client();
    for _ in 0..3 {
        assert_eq!(client.get("/").status, 502);
        assert_eq!(client.post("/", "body").status, 502);
    }
}

fn no_more_than_three_servers_are_tried(tier: Tier) {
    let refusing = [origin_refuses(), origin_refuses(), origin_refuses()];
    let backup = Origin::named("backup");
    let mut servers: Vec<_> = refusing.iter().map(Refusing::server).collect();
    servers.push(backup.server_with("backup = true"));
    let proxy = Config::new(tier).upstream("app", &servers, "").start();
    assert_eq!(proxy.get("/").status, 502);
    assert_eq!(proxy.get("/").text(), "backup", "by now the three are known to be down");
}

fn a_get_on_a_stale_connection_is_repeated_once(tier: Tier) {
    let origin = origin_closes_on_second_request();
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    assert_eq!(client.get("/first").text(), "once");
    assert_eq!(client.get("/second").text(), "once");
    let seen = origin.requests().into_iter().map(|request| (request.connection, request.target));
    let second = "/second".to_owned();
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [(0, "/first".to_owned()), (0, second.clone()), (1, second)]
    );
}

fn a_small_idempotent_body_is_repeated_with_it(tier: Tier) {
    let origin = origin_closes_on_second_request();
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    client.get("/");
    let put = "PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody";
    let response = client.request(put);
    // A body that was already sent may be kept for a second try or not; never sent by half.
    assert!([200, 502].contains(&response.status), "{response:?}");
    let puts = origin.requests().split_off(1);
    assert!(puts.iter().all(|request| request.body == b"body"), "{puts:?}");
    assert_eq!(puts.len(), if response.status == 200 { 2 } else { 1 });
}

fn a_post_on_a_stale_connection_is_not_repeated(tier: Tier) {
    let origin = origin_closes_on_second_request();
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    client.get("/");
    assert_eq!(client.post("/", "body").status, 502);
    assert_eq!(origin.requests().len(), 2);
    assert_eq!(proxy.get("/").text(), "once");
}

fn a_post_after_an_idle_close_takes_a_fresh_connection(tier: Tier) {
    let origin = origin_closes_idle_connection();
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for _ in 0..5 {
        assert_eq!(client.post("/", "body").text(), "once");
        // The close is on its way before the next request, and must be noticed by then.
        origin.await_all_over();
    }
    assert_eq!(origin.requests().len(), 5);
}

/// The targets of all requests that came, whole or not, connection by connection.
fn targets(origin: &Origin) -> Vec<Vec<String>> {
    let target = |head: Head| head.word(1).to_owned();
    let connections = 0..origin.connections();
    connections.map(|index| origin.heard(index).heads.into_iter().map(target).collect()).collect()
}

/// A body of which `part` is sent, on a connection that the server then leaves without an answer.
fn is_not_repeated(tier: Tier, framing: &str, part: &'static str) {
    for reset in [false, true] {
        let origin = Origin::scripted(move |conn| {
            conn.request()?;
            conn.send(ok("once"))?;
            conn.request_head()?;
            conn.exactly(part.len() as u64, &mut |_| ())?;
            if reset { conn.reset() } else { Ok(()) }
        });
        let proxy = Proxy::before(tier, &origin);
        let mut client = proxy.client();
        assert_eq!(client.get("/first").text(), "once");
        client.send(format!("PUT /second HTTP/1.1\r\nHost: test\r\n{framing}\r\n\r\n{part}"));
        assert_eq!(client.response().status, 502);
        // Neither is what follows taken for the next request.
        let _ = client.try_send("GET /third HTTP/1.1\r\nHost: test\r\n\r\n");
        client.assert_closed();
        // The origin accepts in order: a second attempt would have come before this request.
        assert_eq!(proxy.get("/last").text(), "once");
        assert_eq!(targets(&origin), [vec!["/first", "/second"], vec!["/last"]]);
    }
}

fn a_put_that_was_sent_in_part_is_not_repeated(tier: Tier) {
    is_not_repeated(tier, "Content-Length: 100", "01234");
}

fn a_chunked_put_that_was_sent_in_part_is_not_repeated(tier: Tier) {
    is_not_repeated(tier, "Transfer-Encoding: chunked", "5\r\n01234\r\n");
}

fn an_interim_response_is_an_answer_begun(tier: Tier) {
    for interim in ["100 Continue\r\n", "103 Early Hints\r\nLink: </a>\r\n"] {
        let origin = Origin::scripted(move |conn| {
            conn.request()?;
            conn.send(ok("once"))?;
            conn.request()?;
            conn.send(format!("HTTP/1.1 {interim}\r\n"))
        });
        let proxy = Proxy::before(tier, &origin);
        let mut client = proxy.client();
        assert_eq!(client.get("/first").text(), "once");
        let response = client.get("/second");
        assert_eq!((response.interim.len(), response.status), (1, 502), "{interim}");
        assert_eq!(client.get("/last").text(), "once", "the client's connection goes on");
        assert_eq!(targets(&origin), [vec!["/first", "/second"], vec!["/last"]]);
    }
}

fn a_second_failure_is_final(tier: Tier) {
    let origin = Origin::scripted(|conn| {
        conn.request()?;
        if conn.index == 0 {
            conn.send(ok("once"))?;
            conn.request()?;
        }
        Ok(())
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    assert_eq!(client.get("/").text(), "once");
    assert_eq!(client.get("/").status, 502);
    assert_eq!((origin.requests().len(), origin.connections()), (3, 2));
}

fn a_fresh_connection_that_fails_is_502(tier: Tier) {
    for origin in [origin_closes_before_answer(), origin_resets_before_answer()] {
        let proxy = Proxy::before(tier, &origin);
        let mut client = proxy.client();
        assert_eq!(client.get("/").status, 502);
        assert_eq!(client.post("/", "body").status, 502);
        assert_eq!(origin.requests().len(), 2);
    }
}

fn a_head_that_breaks_off_is_502_and_not_repeated(tier: Tier) {
    let origin = Origin::scripted(|conn| {
        conn.request()?;
        conn.send(ok("once"))?;
        conn.request()?;
        conn.send("HTTP/1.1 200 OK\r\nContent-Le")
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    assert_eq!(client.get("/").text(), "once");
    assert_eq!(client.get("/").status, 502);
    assert_eq!(origin.requests().len(), 2);

    let origin = origin_closes_mid_head();
    assert_eq!(Proxy::before(tier, &origin).get("/").status, 502);
}

fn a_body_that_breaks_off_breaks_off_for_the_client(tier: Tier) {
    let table = [
        (origin_closes_mid_body(), "only this"),
        (origin_closes_mid_chunks(), "only this"),
        (origin_resets_after_head(), ""),
    ];
    for (origin, body) in table {
        let proxy = Proxy::before(tier, &origin);
        let mut client = proxy.client();
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        let response = client.try_response().expect("a head");
        assert!(response.broken.as_ref().is_some_and(End::is_over), "{response:?}");
        assert_eq!((response.status, response.text()), (200, body));
        assert_eq!(origin.connections(), 1);
    }
}

fn a_server_error_is_an_answer(tier: Tier) {
    let unavailable = || Origin::saying(response(503, &[("Retry-After", "9")], "busy"));
    let (one, two) = (unavailable(), unavailable());
    let proxy = Config::new(tier).upstream("app", &[one.server(), two.server()], "").start();
    let response = proxy.get("/");
    assert_eq!((response.text(), response.field("retry-after")), ("busy", Some("9")));
    assert_eq!(one.requests().len() + two.requests().len(), 1);
}

fn three_failures_mark_a_server_down(tier: Tier) {
    let (bad, good) = (origin_closes_before_answer(), Origin::named("good"));
    let servers = [bad.server(), good.server()];
    let proxy = Config::new(tier).upstream("app", &servers, "balance = \"round_robin\"").start();
    let statuses: Vec<_> = (0..30).map(|_| proxy.get("/").status).collect();
    assert_eq!(statuses.iter().filter(|&&status| status == 502).count(), 3, "{statuses:?}");
    assert_eq!(bad.connections(), 3);
}

/// Begins to answer a POST before it has its body; `announced` is the length of what it will never
/// finish, or just finish.
fn origin_answers_early(announced: usize) -> Origin {
    Origin::scripted(move |conn| {
        loop {
            let head = conn.request_head()?;
            if head.word(0) == "POST" {
                let early = format!("HTTP/1.1 200 OK\r\nContent-Length: {announced}\r\n\r\nbegun");
                conn.send(early)?;
            } else {
                conn.send(ok("primary"))?;
            }
            conn.request_body(head)?;
        }
    })
}

/// What a client does in the middle of a chunked body.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Malformed,
    TooLarge,
    EarlyEnd,
    Reset,
}

impl Fault {
    /// Gives the client back if it stays.
    fn commit(self, mut client: Client) -> Option<Client> {
        match self {
            Fault::Malformed => client.send("not a chunk\r\n"),
            Fault::TooLarge => client.send(chunked(&[&"x".repeat(2_000)])),
            Fault::EarlyEnd => client.half_close(),
            Fault::Reset => {
                client.reset_on_close();
                return None;
            }
        }
        Some(client)
    }
}

fn a_clients_fault_does_not_mark_a_server_down(tier: Tier) {
    for announced in [5, 1_000] {
        let (primary, backup) = (origin_answers_early(announced), Origin::named("backup"));
        let proxy = Config::new(tier)
            .upstream("app", &[primary.server(), backup.server_with("backup = true")], "")
            .toml("[limits]\nbody = \"1KiB\"")
            .start();
        for fault in [Fault::Malformed, Fault::TooLarge, Fault::EarlyEnd, Fault::Reset] {
            // One more than it takes to mark a server down.
            for _ in 0..4 {
                let mut client = proxy.client();
                let post = "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
                client.send(format!("{post}5\r\n01234\r\n"));
                client.response_head("POST").expect("an early answer");
                client.exactly(5, &mut |_| ()).expect("its beginning");
                let _stays = fault.commit(client);
                primary.await_end(primary.connections() - 1);
            }
            assert_eq!(proxy.get("/").text(), "primary", "after {fault:?}, {announced}");
        }
    }
}

fn a_refusing_server_is_left_alone(tier: Tier) {
    let (refusing, good) = (origin_refuses(), Origin::named("good"));
    let servers = [refusing.server(), good.server()];
    let proxy = Config::new(tier).upstream("app", &servers, "balance = \"round_robin\"").start();
    for _ in 0..4 {
        assert_eq!(proxy.get("/").text(), "good");
    }
    let recovered = refusing.recovers(|conn| conn.request().map(drop));
    for _ in 0..20 {
        assert_eq!(proxy.get("/").text(), "good");
    }
    assert_eq!(recovered.connections(), 0, "it is down for 10 s");
}

fn when_all_are_down_all_are_tried(tier: Tier) {
    let origin = origin_closes_before_answer();
    let proxy = Proxy::before(tier, &origin);
    for _ in 0..8 {
        assert_eq!(proxy.get("/").status, 502);
    }
    assert_eq!(origin.requests().len(), 8);
}

/// Takes the 10 s for which a server is down, hence in one tier only.
#[test]
fn a_server_comes_back_after_a_trial() {
    let (refusing, good) = (origin_refuses(), Origin::named("good"));
    let servers = [refusing.server(), good.server()];
    let tier = tiers()[0];
    let proxy = Config::new(tier).upstream("app", &servers, "balance = \"round_robin\"").start();
    assert_eq!((proxy.get("/").text(), proxy.get("/").text()), ("good", "good"));
    let recovered = refusing.recovers(|conn| {
        loop {
            conn.request()?;
            conn.send(ok("recovered"))?;
        }
    });
    let (down, ()) = timed(|| {
        let limit = ms(13_000);
        wait_at_most(limit, "the server is back", || proxy.get("/").text() == "recovered");
    });
    assert!(down > ms(8_000), "{down:?}");
    let (one, two) = (proxy.get("/"), proxy.get("/"));
    assert_ne!(one.text(), two.text(), "both take part again");
    assert!(recovered.requests().len() >= 2);
}
