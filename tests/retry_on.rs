//! What is tried again only where `retry.on` says so: listed statuses, timeouts, closes without an
//! answer.

#[macro_use]
mod support;

use rustix::process::Signal;
use support::*;

tiered! {
    a_listed_status_goes_to_the_next_server,
    a_timeout_goes_to_the_next_server,
    a_close_without_an_answer_goes_to_the_next_server,
    nothing_is_repeated_unless_it_is_listed,
    a_post_is_not_repeated,
    a_post_is_repeated_where_that_is_allowed,
    bodies_are_repeated_byte_by_byte,
    a_body_beyond_the_buffer_is_not_repeated,
    a_body_that_was_not_asked_for_yet_is_still_to_be_had,
    distinct_servers_come_first,
    a_single_server_is_tried_again,
    the_last_answer_is_forwarded,
    without_a_budget_the_answer_stands,
    a_limit_of_retries_lets_the_answer_stand,
    without_another_server_the_answer_stands,
    an_answer_that_stands_is_whole,
    a_full_server_is_not_waited_for,
    an_ejected_server_gets_no_retries,
    the_time_for_all_tries_is_limited,
    an_interim_response_is_final,
    a_route_has_its_own_rules,
    a_session_moves_with_the_answer,
    connections_in_between_may_be_stale_or_refused,
    a_late_or_malformed_body_reaches_no_server,
    what_follows_a_held_body_is_the_next_request,
    each_retry_is_named_in_the_log,
    the_attempt_that_fails_the_request_is_named_too,
}

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
const PUT: &str = "PUT / HTTP/1.1\r\nHost: test\r\n";

/// Answers everything with this status, and says so.
fn failing(status: u16) -> Origin {
    Origin::saying(response(status, &[("Retry-After", "9")], format!("failed with {status}")))
}

/// A proxy that tries the first server first and the other after it.
fn before(tier: Tier, first: &Origin, second: &Origin, settings: &str) -> Proxy {
    let servers = [first.server(), second.server_with("backup = true")];
    Config::new(tier).upstream("app", &servers, settings).start()
}

#[track_caller]
fn assert_counted(proxy: &Proxy, line: &str) {
    wait_until(line, || {
        proxy.signal(Signal::USR1);
        proxy.stderr().contains(&format!("{line}\n"))
    });
}

fn a_listed_status_goes_to_the_next_server(tier: Tier) {
    for status in [502, 503] {
        let (bad, good) = (failing(status), Origin::named("good"));
        let proxy = before(tier, &bad, &good, "retry = { on = [502, 503] }");
        let mut client = proxy.client();
        for method in ["GET", "DELETE", "OPTIONS"] {
            let response = client.request(format!("{method} /x HTTP/1.1\r\nHost: test\r\n\r\n"));
            assert_eq!((response.status, response.text()), (200, "good"), "{method}");
        }
        assert_eq!((bad.requests().len(), good.requests().len()), (3, 3));
        assert_counted(&proxy, "retries after a listed status: 3");
        wait_until("their connections are closed", || bad.open_connections() == 0);
        // What the server had sent is not taken for the answer to anything.
        assert_eq!(client.request("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n").status, 200);
    }
}

fn a_timeout_goes_to_the_next_server(tier: Tier) {
    let (silent, good) = (origin_never_answers(), Origin::named("good"));
    let settings = "retry = { on = [\"timeout\"] }\ntimeouts = { response = \"150ms\" }";
    let proxy = before(tier, &silent, &good, settings);
    let (took, response) = timed(|| proxy.get("/"));
    assert_eq!(response.text(), "good");
    assert!(took >= ms(140), "{took:?}");
    assert_counted(&proxy, "retries after a response timeout: 1");
    assert_eq!(proxy.client().post("/", "body").status, 504);
}

fn a_close_without_an_answer_goes_to_the_next_server(tier: Tier) {
    for bad in [origin_closes_before_answer(), origin_resets_before_answer()] {
        let good = Origin::named("good");
        let proxy = before(tier, &bad, &good, "retry = { on = [\"closed\"] }");
        assert_eq!(proxy.get("/").text(), "good");
        assert_counted(&proxy, "retries after a close without an answer: 1");
        assert_eq!(proxy.client().post("/", "body").status, 502);
        assert_eq!((bad.requests().len(), good.requests().len()), (2, 1));
    }
    let (bad, good) = (origin_closes_mid_head(), Origin::named("good"));
    let proxy = before(tier, &bad, &good, "retry = { on = [\"closed\"] }");
    assert_eq!(proxy.get("/").status, 502, "part of an answer is no close without one");
}

fn nothing_is_repeated_unless_it_is_listed(tier: Tier) {
    let (bad, good) = (failing(500), Origin::named("good"));
    let proxy = before(tier, &bad, &good, "retry = { on = [502, 503, \"timeout\"] }");
    let response = proxy.get("/");
    assert_eq!((response.status, response.text()), (500, "failed with 500"));
    let (silent, closing) = (origin_never_answers(), origin_closes_before_answer());
    let settings = "retry = { on = [504] }\ntimeouts = { response = \"100ms\" }";
    assert_eq!(before(tier, &silent, &good, settings).get("/").status, 504);
    let settings = "retry = { on = [502], unanswered = false }";
    assert_eq!(before(tier, &closing, &good, settings).get("/").status, 502);
    assert_eq!(good.connections(), 0);
}

fn a_post_is_not_repeated(tier: Tier) {
    let (bad, good) = (failing(503), Origin::named("good"));
    let proxy = before(tier, &bad, &good, "retry = { on = [503] }");
    let mut client = proxy.client();
    for method in ["POST", "PATCH", "FROBNICATE"] {
        let head = format!("{method} / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody");
        assert_eq!(client.request(head).text(), "failed with 503", "{method}");
    }
    assert_eq!(good.connections(), 0);
}

fn a_post_is_repeated_where_that_is_allowed(tier: Tier) {
    let (bad, good) = (failing(503), origin_echoes());
    let proxy = before(tier, &bad, &good, "retry = { on = [503], non_idempotent = true }");
    let mut client = proxy.client();
    assert_eq!(client.post("/", "body").text(), "body");
    assert_eq!((bad.request().body, good.request().body), (b"body".to_vec(), b"body".to_vec()));
}

/// PUT with this body: with a length, and in chunks of `chunk` bytes.
fn both_framings(body: &[u8], chunk: usize) -> [Vec<u8>; 2] {
    let length = format!("{PUT}Content-Length: {}\r\n\r\n", body.len());
    let mut chunked =
        format!("{PUT}Transfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n").into_bytes();
    for chunk in body.chunks(chunk) {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\nX-End: yes\r\n\r\n");
    [[length.into_bytes(), body.to_vec()].concat(), chunked]
}

fn bodies_are_repeated_byte_by_byte(tier: Tier) {
    let (bad, good) = (failing(503), origin_echoes());
    let proxy = before(tier, &bad, &good, "retry = { on = [503], buffer = \"1MiB\" }");
    let mut client = proxy.client();
    let mut sent = 0;
    for length in [1, 4_000, 40_000, 64 << 10, 1_000_000] {
        let body = Pattern::new(length as u64).take(length);
        for (form, request) in both_framings(&body, 7_000).iter().enumerate() {
            for pieces in [1, 3] {
                client.send_in_pieces(request, request.len().div_ceil(pieces), ms(1));
                assert!(client.response().body == body, "{length} bytes, form {form}");
                sent += 1;
            }
        }
    }
    let (first, second) = (bad.requests(), good.requests());
    assert_eq!((first.len(), second.len()), (sent, sent));
    for (first, second) in first.iter().zip(&second) {
        assert!(first.body == second.body && first.trailers == second.trailers);
    }
}

fn a_body_beyond_the_buffer_is_not_repeated(tier: Tier) {
    let (bad, good) = (failing(503), origin_echoes());
    let proxy = before(tier, &bad, &good, "retry = { on = [503], buffer = \"10KiB\" }");
    for (length, status) in [(10 << 10, 200), ((10 << 10) + 1, 503), (200_000, 503)] {
        let body = Pattern::new(1).take(length);
        let [request, _] = both_framings(&body, 1_000);
        let already = bad.requests().len();
        assert_eq!(proxy.client().request(request).status, status, "{length} bytes");
        assert!(bad.await_requests(already + 1)[already].body == body);
    }
    for (length, status) in [(9_000, 200), (60_000, 503)] {
        let [_, request] = both_framings(&Pattern::new(1).take(length), 3_000);
        // The end does not come before the beginning was looked at.
        let mut client = proxy.client();
        client.send_in_pieces(&request, request.len().div_ceil(5), ms(20));
        assert_eq!(client.response().status, status, "{length} bytes in chunks");
    }
    assert_eq!(good.requests().len(), 2);
    // Held or not, a request without a body is repeated.
    let proxy = before(tier, &bad, &good, "retry = { on = [503], buffer = \"0B\" }");
    assert_eq!((proxy.get("/").status, proxy.client().request(GET).status), (200, 200));
    assert_eq!(proxy.client().request(format!("{PUT}Content-Length: 1\r\n\r\n.")).status, 503);
}

/// Says no before it has the body.
fn origin_says_no_to_heads() -> Origin {
    Origin::scripted(|conn| {
        conn.request_head()?;
        conn.send(response(503, &[], "not now"))?;
        conn.await_end()
    })
}

fn a_body_that_was_not_asked_for_yet_is_still_to_be_had(tier: Tier) {
    let (busy, good) = (origin_says_no_to_heads(), origin_continue());
    let proxy = before(tier, &busy, &good, "retry = { on = [503], buffer = \"1KiB\" }");
    for length in [4, 100_000] {
        let body = Pattern::new(2).take(length);
        let mut client = proxy.client();
        client.send(format!("{PUT}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"));
        let go_on = client.head().expect("an interim response");
        assert_eq!(go_on.word(1), "100");
        client.send(&body);
        assert!(client.response_to("PUT").body == body, "{length} bytes");
    }
    // One that waits for none, and is slow.
    let mut client = proxy.client();
    client.send(format!("{PUT}Content-Length: 5000\r\n\r\n"));
    busy.await_end(2);
    let body = Pattern::new(3).take(5_000);
    client.send(&body);
    assert!(client.response_to("PUT").body == body);
    assert_eq!((busy.connections(), good.requests().len()), (3, 3));
    assert!(busy.requests().is_empty());
}

fn distinct_servers_come_first(tier: Tier) {
    let origins = [failing(503), failing(503), failing(503)];
    let servers: Vec<_> = origins.iter().map(Origin::server).collect();
    let proxy = Config::new(tier).upstream("app", &servers, "retry = { on = [503] }").start();
    for round in 1..=4 {
        assert_eq!(proxy.get("/").status, 503);
        assert_eq!(origins.each_ref().map(|origin| origin.requests().len()), [round; 3]);
    }
    let settings = "retry = { on = [503], tries = 5 }";
    let proxy = Config::new(tier).upstream("app", &servers, settings).start();
    assert_eq!(proxy.get("/").status, 503);
    let mut more = origins.each_ref().map(|origin| origin.requests().len() - 4);
    more.sort_unstable();
    assert_eq!(more, [1, 2, 2], "then once more");
}

fn a_single_server_is_tried_again(tier: Tier) {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let origin = Origin::answering(move |_| {
        match count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 3 {
            2 => ok("at last"),
            _ => response(503, &[], "not yet"),
        }
    });
    let config = Config::new(tier).upstream("app", &[origin.server()], "retry = { on = [503] }");
    let proxy = config.start();
    assert_eq!(proxy.get("/").text(), "at last");
    assert_eq!(origin.requests().len(), 3);
}

fn the_last_answer_is_forwarded(tier: Tier) {
    let (one, two) = (failing(503), failing(502));
    let proxy = before(tier, &one, &two, "retry = { on = [502, 503], tries = 2 }");
    let mut client = proxy.client();
    for _ in 0..3 {
        let response = client.get("/");
        assert_eq!((response.status, response.text()), (502, "failed with 502"));
        assert_eq!(response.field("retry-after"), Some("9"));
    }
    assert_eq!((one.requests().len(), two.requests().len()), (3, 3));
    assert_counted(&proxy, "responses from servers: 3");
}

fn without_a_budget_the_answer_stands(tier: Tier) {
    let (bad, gate) = (failing(503), Gate::shut());
    let slow = origin_waits_for(&gate);
    let settings = "retry = { on = [503], budget_percent = 0, budget_min = 1 }";
    let proxy = before(tier, &bad, &slow, settings);
    let mut first = proxy.client();
    first.send(GET);
    slow.await_requests(1);
    let response = proxy.get("/");
    assert_eq!((response.status, response.text()), (503, "failed with 503"));
    assert_eq!(response.field("retry-after"), Some("9"), "the server's own");
    assert_counted(&proxy, "retries denied by the budget: 1");
    gate.open();
    assert_eq!(first.response().text(), "late");
    assert_eq!(proxy.get("/").text(), "late", "its place in the budget is free again");
    assert_eq!(slow.requests().len(), 2);
}

fn a_limit_of_retries_lets_the_answer_stand(tier: Tier) {
    let (bad, gate) = (failing(503), Gate::shut());
    let slow = origin_waits_for(&gate);
    let settings = "retry = { on = [503] }\nlimits = { max_retries = 1 }";
    let proxy = before(tier, &bad, &slow, settings);
    let mut first = proxy.client();
    first.send(GET);
    slow.await_requests(1);
    assert_eq!(proxy.get("/").text(), "failed with 503");
    assert_counted(&proxy, "refused by a limit of their upstream: 1");
    gate.open();
    assert_eq!(first.response().text(), "late");
}

fn without_another_server_the_answer_stands(tier: Tier) {
    let (bad, refusing) = (failing(503), [origin_refuses(), origin_refuses()]);
    let backup =
        |refusing: &Refusing| format!("{{ address = {}, backup = true }}", refusing.server());
    let servers = [bad.server(), backup(&refusing[0]), backup(&refusing[1])];
    let proxy = Config::new(tier).upstream("app", &servers, "retry = { on = [503] }").start();
    let response = proxy.get("/");
    assert_eq!((response.status, response.text()), (503, "failed with 503"));
    assert_eq!(bad.requests().len(), 1, "three tries: this one, and two that were refused");
}

/// Whatever its framing, and however much of it is there when it turns out to be the answer.
fn an_answer_that_stands_is_whole(tier: Tier) {
    for length in [0, 100, 40_000, 3_000_000] {
        let body = Pattern::new(4).take(length);
        let plain = response(503, &[("X-Mark", "1")], &body);
        let head = "HTTP/1.1 503 Busy\r\nX-Mark: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut chunks = head.as_bytes().to_vec();
        for chunk in body.chunks(50_000) {
            chunks.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        }
        chunks.extend(b"0\r\n\r\n");
        for bytes in [plain, chunks] {
            let origin = Origin::saying(bytes);
            let refusing = origin_refuses();
            let other = format!("{{ address = {}, backup = true }}", refusing.server());
            let settings = "retry = { on = [503], tries = 2 }";
            let servers = [origin.server(), other];
            let proxy = Config::new(tier).upstream("app", &servers, settings).start();
            let mut client = proxy.client();
            for _ in 0..2 {
                let response = client.get("/");
                assert_eq!((response.status, response.field("x-mark")), (503, Some("1")));
                assert!(response.body == body, "{length} bytes");
            }
            assert_eq!(client.request(format!("{PUT}Content-Length: 4\r\n\r\nbody")).status, 503);
        }
    }
}

fn a_full_server_is_not_waited_for(tier: Tier) {
    let (bad, gate) = (failing(503), Gate::shut());
    let slow = origin_waits_for(&gate);
    let servers = [bad.server(), slow.server_with("backup = true, max_connections = 1")];
    let proxy = Config::new(tier).upstream("app", &servers, "retry = { on = [503] }").start();
    let mut first = proxy.client();
    first.send(GET);
    slow.await_requests(1);
    let (took, response) = timed(|| proxy.get("/"));
    assert_eq!(response.text(), "failed with 503");
    assert!(took < ms(2_000), "{took:?}");
    gate.open();
    assert_eq!(first.response().text(), "late");
}

fn an_ejected_server_gets_no_retries(tier: Tier) {
    let (bad, down) = (failing(503), origin_refuses());
    let servers = [bad.server(), down.server()];
    let settings = "retry = { on = [503], tries = 2 }";
    let proxy = Config::new(tier).upstream("app", &servers, settings).start();
    wait_until("the other is ejected", || {
        assert_eq!(proxy.get("/").status, 503);
        proxy.signal(Signal::USR1);
        proxy.stderr().contains("servers ejected: 1")
    });
    let already = bad.requests().len();
    let recovered = down.recovers(|conn| conn.request().map(drop));
    for _ in 0..5 {
        assert_eq!(proxy.get("/").status, 503);
    }
    assert_eq!((bad.requests().len() - already, recovered.connections()), (10, 0));
}

fn the_time_for_all_tries_is_limited(tier: Tier) {
    let slow = || {
        Origin::answering(|_| {
            pause(ms(150));
            response(503, &[], "slowly")
        })
    };
    let origins = [slow(), slow(), slow(), slow()];
    let servers: Vec<_> = origins.iter().map(Origin::server).collect();
    let settings = "retry = { on = [503], tries = 8, timeout = \"250ms\" }";
    let proxy = Config::new(tier).upstream("app", &servers, settings).start();
    let response = proxy.get("/");
    assert_eq!((response.status, response.text()), (503, "slowly"));
    let tries: usize = origins.iter().map(|origin| origin.requests().len()).sum();
    assert!((1..=2).contains(&tries), "{tries}");
}

fn an_interim_response_is_final(tier: Tier) {
    let bad = Origin::scripted(|conn| {
        loop {
            conn.request()?;
            conn.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")?;
            conn.send(response(503, &[], "after all"))?;
        }
    });
    let good = Origin::named("good");
    let proxy = before(tier, &bad, &good, "retry = { on = [503] }");
    let response = proxy.get("/");
    assert_eq!((response.interim.len(), response.text()), (1, "after all"));
    assert_eq!(good.connections(), 0);
}

fn a_route_has_its_own_rules(tier: Tier) {
    let (bad, good) = (failing(503), Origin::named("good"));
    let servers = [bad.server(), good.server_with("backup = true")];
    let config = Config::new(tier)
        .upstream("app", &servers, "retry = { on = [503] }")
        .route("path = \"/\"\nupstream = \"app\"")
        .route("path = \"/once\"\nupstream = \"app\"\nretry = { on = [] }")
        .route("path = \"/other\"\nupstream = \"app\"\nretry = { on = [500] }")
        .route("path = \"/single\"\nupstream = \"app\"\nretry = { tries = 1 }")
        .route("path = \"/post\"\nupstream = \"app\"\nretry = { non_idempotent = true }");
    let proxy = config.start();
    let mut client = proxy.client();
    for (path, get, post) in [
        ("/", 200, 503),
        ("/once", 503, 503),
        ("/other", 503, 503),
        ("/single", 503, 503),
        ("/post", 200, 200),
    ] {
        let statuses = (client.get(path).status, client.post(path, "body").status);
        assert_eq!(statuses, (get, post), "{path}");
    }
}

fn a_session_moves_with_the_answer(tier: Tier) {
    let (bad, good) = (failing(503), Origin::named("good"));
    let settings = "retry = { on = [503] }\nsticky = { name = \"sid\" }";
    let servers = [bad.server(), good.server()];
    let proxy = Config::new(tier).upstream("app", &servers, settings).start();
    let cookie = |response: &Response| -> Option<String> {
        response.field("set-cookie")?.split(';').next().map(str::to_owned)
    };
    let known = cookie(&proxy.get("/")).expect("a cookie");
    for _ in 0..4 {
        let line = format!("GET / HTTP/1.1\r\nHost: test\r\nCookie: {known}\r\n\r\n");
        let response = proxy.client().request(line);
        assert_eq!((response.text(), cookie(&response)), ("good", None));
    }
}

fn connections_in_between_may_be_stale_or_refused(tier: Tier) {
    let (bad, refusing, stale) =
        (failing(503), origin_refuses(), origin_closes_on_second_request());
    let backup = |server: String| format!("{{ address = {server}, backup = true }}");
    let servers = [bad.server(), backup(refusing.server()), backup(stale.server())];
    let settings = "balance = \"round_robin\"\nretry = { on = [503], tries = 4 }";
    let proxy = Config::new(tier).upstream("app", &servers, settings).start();
    let mut client = proxy.client();
    for _ in 0..4 {
        assert_eq!(client.get("/").text(), "once");
    }
    assert_counted(&proxy, "retries after stale connection: 3");
    assert_counted(&proxy, "retries after a listed status: 4");
}

fn a_late_or_malformed_body_reaches_no_server(tier: Tier) {
    let (bad, good) = (failing(503), Origin::named("good"));
    let servers = [bad.server(), good.server_with("backup = true")];
    let proxy = Config::new(tier)
        .upstream("app", &servers, "retry = { on = [503] }")
        .toml("[timeouts]\nbody_idle = \"200ms\"\n[limits]\nbody = \"1KiB\"")
        .start();
    let chunked = format!("{PUT}Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n");
    for (request, status) in [
        (format!("{PUT}Content-Length: 10\r\n\r\nbody"), 408),
        (chunked.clone(), 408),
        (format!("{chunked}no chunk\r\n"), 400),
        (format!("{chunked}800\r\n{}\r\n", "x".repeat(0x800)), 413),
    ] {
        let mut client = proxy.client();
        client.send(&request);
        assert_eq!(client.response().status, status, "{request:?}");
        client.assert_closed();
    }
    let mut client = proxy.client();
    client.send(&chunked);
    client.half_close();
    client.assert_closed();
    assert_eq!((bad.connections(), good.connections()), (0, 0));
}

fn what_follows_a_held_body_is_the_next_request(tier: Tier) {
    let (bad, good) = (failing(503), origin_echoes());
    let proxy = before(tier, &bad, &good, "retry = { on = [503] }");
    let mut client = proxy.client();
    let bodies = [Pattern::new(5).take(3_000), Pattern::new(6).take(40_000)];
    let requests = bodies.each_ref().map(|body| both_framings(body, 900));
    let all = [&requests[0][1], &requests[1][0], &requests[0][0], &requests[1][1]].map(|r| &r[..]);
    client.send(all.concat());
    for body in [0, 1, 0, 1] {
        assert!(client.response().body == bodies[body]);
    }
    assert_eq!((bad.requests().len(), good.requests().len()), (4, 4));
}

fn the_attempt_that_fails_the_request_is_named_too(tier: Tier) {
    for (origin, reason) in [
        (origin_never_answers(), "The server did not answer in time."),
        (origin_closes_mid_body(), "the server broke off its response"),
        (origin_closes_before_answer(), "the server closed the connection without an answer"),
    ] {
        let limit = "[timeouts]\nresponse = \"200ms\"";
        let proxy = Config::new(tier).origin("app", &origin).toml(limit).start();
        let mut client = proxy.client();
        client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
        let _ = client.try_response();
        let named = format!("attempt=1 server=\"{}\"", origin.address());
        proxy.await_stderr(&named);
        let said = proxy.stderr();
        let lines: Vec<_> = said.lines().filter(|line| line.contains(&named)).collect();
        assert!(matches!(lines[..], [line] if line.contains(reason)), "{lines:?}");
        assert!(lines[0].contains("INFO") && lines[0].contains("id="), "{lines:?}");
    }
}

fn each_retry_is_named_in_the_log(tier: Tier) {
    let (bad, refusing) = (failing(503), origin_refuses());
    let other = format!("{{ address = {}, backup = true }}", refusing.server());
    let good = Origin::named("good");
    let servers = [bad.server(), other, good.server_with("backup = true")];
    let settings = "balance = \"round_robin\"\nretry = { on = [503], tries = 4 }";
    let proxy = Config::new(tier).upstream("app", &servers, settings).start();
    // The backups take turns.
    wait_until("one came to the backup that refuses", || {
        assert_eq!(proxy.get("/").text(), "good");
        proxy.stderr().contains("cannot connect")
    });
    let refused = proxy.await_stderr("cannot connect");
    assert!(refused.contains(&refusing.address().to_string()), "{refused}");
    let id = refused.split("id=").nth(1).and_then(|rest| rest.split(' ').next());
    let id = format!("id={} ", id.expect("an id"));
    wait_until("the same request is tried again", || {
        let log = proxy.stderr();
        let mut again = log.lines().filter(|line| line.contains("answered 503: trying again"));
        again.any(|line| {
            let server = format!("server=\"{}\"", bad.address());
            let next = format!("next=\"{}\"", good.address());
            [&id, &server, &next].iter().all(|part| line.contains(*part))
        })
    });
}
