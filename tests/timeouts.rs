//! How long the proxy waits for what. Lower bounds are exact; upper bounds leave room for
//! a machine that is busy with other tests.

#[macro_use]
mod support;

use std::time::Duration;

use support::*;

tiered! {
    an_unfinished_head_is_408,
    a_dribbled_head_is_408,
    an_idle_client_is_let_go_in_silence,
    an_idle_client_is_let_go_between_requests,
    an_unreachable_server_is_504,
    an_unreachable_server_is_passed_over,
    a_server_that_does_not_answer_is_504,
    interim_responses_do_not_count_as_an_answer,
    waiting_for_the_answer_begins_after_the_request,
    a_route_waits_otherwise_than_its_upstream,
    a_request_body_that_stalls_is_given_up,
    a_response_body_that_stalls_is_given_up,
    a_client_that_stops_reading_is_given_up,
    a_slow_but_steady_body_passes,
    an_idle_server_connection_is_closed,
}

/// Enough longer than any timeout below to be sure that it was the one that struck.
const LATE: Duration = ms(5_000);

fn patient(tier: Tier, origin: &Origin, timeouts: &str) -> Proxy {
    Config::new(tier).origin("app", origin).toml(&format!("[timeouts]\n{timeouts}")).start()
}

fn an_unfinished_head_is_408(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = patient(tier, &origin, "header = \"300ms\"");
    let mut client = proxy.client();
    let (waited, response) = timed(|| client.request("GET / HTTP/1.1\r\nHost: te"));
    assert_eq!(response.status, 408);
    assert!((ms(300)..LATE).contains(&waited), "{waited:?}");
    client.assert_closed();
}

fn a_dribbled_head_is_408(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = patient(tier, &origin, "header = \"300ms\"");
    let mut client = proxy.client();
    let (waited, response) = timed(|| {
        client.send("GET / HTTP/1.1\r\nX: ");
        client.socket().set_nonblocking(true).expect("a socket");
        while let Err(End::Silent) = client.fill() {
            client.send("x");
            pause(ms(20));
        }
        client.socket().set_nonblocking(false).expect("a socket");
        client.response()
    });
    assert_eq!(response.status, 408);
    assert!((ms(300)..LATE).contains(&waited), "{waited:?}");
    assert_eq!(origin.connections(), 0);
}

fn an_idle_client_is_let_go_in_silence(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = patient(tier, &origin, "keepalive = \"300ms\"");
    let mut client = proxy.client();
    let (waited, ()) = timed(|| client.assert_closed());
    assert!((ms(250)..LATE).contains(&waited), "{waited:?}");
}

fn an_idle_client_is_let_go_between_requests(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = patient(tier, &origin, "keepalive = \"300ms\"");
    let mut client = proxy.client();
    for _ in 0..4 {
        // The pauses add up to more than the limit for one.
        assert_eq!(client.get("/").text(), "origin");
        pause(ms(100));
    }
    client.get("/");
    let (waited, ()) = timed(|| client.assert_closed());
    assert!((ms(250)..LATE).contains(&waited), "{waited:?}");
}

fn an_unreachable_server_is_504(tier: Tier) {
    let unreachable = origin_unreachable();
    let proxy = Config::new(tier)
        .upstream("app", &[unreachable.server()], "timeouts = { connect = \"300ms\" }")
        .start();
    let (waited, response) = timed(|| proxy.get("/"));
    assert_eq!(response.status, 504);
    assert!((ms(300)..LATE).contains(&waited), "{waited:?}");
}

fn an_unreachable_server_is_passed_over(tier: Tier) {
    let (unreachable, origin) = (origin_unreachable(), origin_echoes());
    let servers = [unreachable.server(), origin.server()];
    let settings = "balance = \"round_robin\"\ntimeouts = { connect = \"300ms\" }";
    let proxy = Config::new(tier).upstream("app", &servers, settings).start();
    for _ in 0..2 {
        assert_eq!(proxy.client().post("/", "body").text(), "body");
    }
}

fn a_server_that_does_not_answer_is_504(tier: Tier) {
    let (one, two) = (origin_never_answers(), origin_never_answers());
    let servers = [one.server(), two.server()];
    let settings = "timeouts = { response = \"300ms\" }";
    let proxy = Config::new(tier).upstream("app", &servers, settings).start();
    let (waited, response) = timed(|| proxy.get("/"));
    assert_eq!(response.status, 504);
    assert!((ms(300)..LATE).contains(&waited), "{waited:?}");
    assert_eq!(one.requests().len() + two.requests().len(), 1, "nothing is tried again");
    let asked = if one.connections() == 1 { one } else { two };
    assert!(asked.await_end(0).is_over());
}

fn interim_responses_do_not_count_as_an_answer(tier: Tier) {
    let origin = Origin::scripted(|conn| {
        conn.request()?;
        conn.send("HTTP/1.1 103 Early Hints\r\n\r\n")?;
        conn.await_end()
    });
    let proxy = patient(tier, &origin, "response = \"300ms\"");
    let response = proxy.get("/");
    assert_eq!((response.interim.len(), response.status), (1, 504));
}

fn waiting_for_the_answer_begins_after_the_request(tier: Tier) {
    let origin = origin_echoes();
    let proxy = patient(tier, &origin, "response = \"300ms\"");
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n");
    client.send_in_pieces("0123456789", 1, ms(60));
    assert_eq!(client.response().text(), "0123456789");
}

fn a_route_waits_otherwise_than_its_upstream(tier: Tier) {
    let origin = origin_never_answers();
    let proxy = Config::new(tier)
        .toml("[timeouts]\nresponse = \"300ms\"")
        .upstream("app", &[origin.server()], "timeouts = { response = \"600s\" }")
        .route("path = \"/\"\nupstream = \"app\"")
        .route("path = \"/hasty\"\nupstream = \"app\"\ntimeouts = { response = \"400ms\" }")
        .start();
    let mut client = proxy.client();
    client.send("GET /patient HTTP/1.1\r\nHost: test\r\n\r\n");
    let (waited, response) = timed(|| proxy.get("/hasty"));
    assert_eq!(response.status, 504);
    assert!((ms(400)..LATE).contains(&waited), "{waited:?}");
    client.patience(ms(300));
    assert_eq!(client.try_response(), Err(End::Silent));
}

fn a_request_body_that_stalls_is_given_up(tier: Tier) {
    let origin = origin_echoes();
    let proxy = patient(tier, &origin, "body_idle = \"300ms\"");
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n01234");
    let (waited, end) = timed(|| client.rest().1);
    assert!(end.is_over(), "{end:?}");
    assert!((ms(300)..LATE).contains(&waited), "{waited:?}");
    assert!(origin.await_end(0).is_over());
    assert_eq!(origin.requests(), []);
}

fn a_response_body_that_stalls_is_given_up(tier: Tier) {
    let origin = Origin::scripted(|conn| {
        conn.request()?;
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234")?;
        conn.await_end()
    });
    let proxy = patient(tier, &origin, "body_idle = \"300ms\"");
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    let (waited, response) = timed(|| client.try_response().expect("a head"));
    assert!((ms(300)..LATE).contains(&waited), "{waited:?}");
    assert_eq!(response.text(), "01234");
    assert!(response.broken.is_some_and(|end| end.is_over()));
    assert!(origin.await_end(0).is_over());
}

fn a_client_that_stops_reading_is_given_up(tier: Tier) {
    for splice in [true, false] {
        let origin = origin_streams(256 << 20);
        let proxy = Config::new(tier)
            .origin("app", &origin)
            .toml("[timeouts]\nbody_idle = \"300ms\"")
            .toml(&format!("[splice]\nenabled = {splice}"))
            .start();
        let mut client = proxy.client();
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        assert!(origin.await_end(0).is_over(), "splice {splice}");
    }
}

fn a_slow_but_steady_body_passes(tier: Tier) {
    let origin = Origin::scripted(|conn| {
        let body = conn.request()?.body;
        conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()))?;
        for piece in body.chunks(1) {
            pause(ms(100));
            conn.send(piece)?;
        }
        Ok(())
    });
    let proxy = patient(tier, &origin, "body_idle = \"500ms\"\nheader = \"500ms\"");
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n");
    client.send_in_pieces("0123456789", 1, ms(100));
    assert_eq!(client.response().text(), "0123456789");
}

fn an_idle_server_connection_is_closed(tier: Tier) {
    let origin = Origin::named("origin");
    let settings = "pool = { max_idle = 4, idle_timeout = \"300ms\" }";
    let proxy = Config::new(tier).upstream("app", &[origin.server()], settings).start();
    let mut client = proxy.client();
    let (waited, end) = timed(|| {
        client.get("/");
        origin.await_end(0)
    });
    assert_eq!(end, End::Closed);
    assert!((ms(300)..LATE).contains(&waited), "{waited:?}");
    assert_eq!(client.get("/").text(), "origin");
    assert_eq!(origin.connections(), 2);
}
