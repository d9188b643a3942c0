//! Messages that could be taken for others because of when they come, or how many. What two
//! recipients could read differently stands in `smuggling_table.rs`.

#[macro_use]
mod support;

use support::*;

tiered! {
    too_large_a_body_is_never_the_next_request,
    an_unasked_response_is_never_the_next_response,
    many_interim_responses_end_in_the_answer,
}

/// Requests whose bodies are made of requests, with one more behind: head and the rest.
fn requests_with_too_much_inside() -> Vec<(&'static str, String, Vec<u8>)> {
    let hidden = "GET /hidden HTTP/1.1\r\nHost: t\r\n\r\n";
    // More than a buffer holds, and enough to be spliced.
    let (little, much) = (hidden.repeat(40), hidden.repeat(6_000));
    let head = |framing| format!("POST /small HTTP/1.1\r\nHost: t\r\n{framing}\r\n\r\n");
    let length = |body: &str| head(format!("Content-Length: {}", body.len()));
    let coded = || head("Transfer-Encoding: chunked".to_owned());
    let before = |body: &[u8]| [body, hidden.as_bytes()].concat();
    vec![
        ("a length", length(&little), before(little.as_bytes())),
        ("a great length", length(&much), before(much.as_bytes())),
        ("a chunk", coded(), before(&chunked(&[&little]))),
        ("a great chunk", coded(), before(&chunked(&[&much]))),
        ("many chunks", coded(), before(&chunked(&[hidden; 40]))),
    ]
}

fn too_large_a_body_is_never_the_next_request(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Config::new(tier)
        .origin("app", &origin)
        .route("path = \"/\"\nupstream = \"app\"")
        .route("path = \"/small\"\nupstream = \"app\"\nlimits = { body = \"1KiB\" }")
        .start();
    for (name, head, rest) in requests_with_too_much_inside() {
        for in_one in [true, false] {
            let mut client = proxy.client();
            if in_one {
                client.send([head.as_bytes(), &rest].concat());
            } else {
                client.send(&head);
                client.send(&rest);
            }
            let (answer, end) = client.rest();
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.starts_with("HTTP/1.1 413 "), "{name}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{name}: {answer}");
            assert_eq!(end, End::Closed, "{name}");
            drop(client);
            // What was sent before this request would have come before it.
            assert_eq!(proxy.get("/last").text(), "origin");
        }
    }
    let whole = origin.requests();
    assert!(whole.iter().all(|request| request.target == "/last"), "{whole:?}");
}

fn an_unasked_response_is_never_the_next_response(tier: Tier) {
    let answered = Gate::shut();
    let late = answered.clone();
    let origin = Origin::scripted(move |conn| {
        conn.request()?;
        conn.send(ok("right"))?;
        late.wait();
        conn.send(ok("wrong"))?;
        conn.await_end()
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    assert_eq!(client.get("/").text(), "right");
    answered.open();
    // The connection that spoke out of turn is closed, whether or not a request is waiting.
    assert!(origin.await_end(0).is_over());
    assert_eq!(client.get("/").text(), "right");
    assert_eq!(origin.connections(), 2);
}

/// More of them than any buffer holds, in one write.
fn many_interim_responses_end_in_the_answer(tier: Tier) {
    const COUNT: usize = 2_000;
    let origin = Origin::scripted(|conn| {
        loop {
            let target = conn.request()?.target;
            let hint = |i| format!("HTTP/1.1 103 Hint\r\nLink: <{target}{i}>\r\n\r\n");
            let hints: String = (0..COUNT).map(hint).collect();
            conn.send([hints.as_bytes(), &ok(&target)].concat())?;
        }
    });
    let proxy = Proxy::before(tier, &origin);
    let mut client = proxy.client();
    for path in ["/a", "/b"] {
        let response = client.get(path);
        assert_eq!((response.status, response.text()), (200, path));
        let links = response.interim.iter().filter_map(|head| head.fields.get("link"));
        let expected = (0..COUNT).map(|i| format!("<{path}{i}>"));
        assert_eq!(links.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
    assert_eq!(origin.connections(), 1);
}
