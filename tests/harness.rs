//! The cast itself: clients and origins that talk to each other without a proxy between them.

#[macro_use]
mod support;

use support::*;

fn client_of(origin: &Origin) -> Client {
    Client::connect(origin.address())
}

#[test]
fn a_client_reads_what_an_origin_answers() {
    let origin = Origin::named("here");
    let mut client = client_of(&origin);
    assert_eq!(client.get("/a").text(), "here");
    assert_eq!(client.post("/b", "body").status, 200);
    let requests = origin.requests();
    assert_eq!((requests[0].target.as_str(), requests[0].connection), ("/a", 0));
    assert_eq!((requests[1].body.as_slice(), requests[1].connection), (&b"body"[..], 0));
}

#[test]
fn an_origin_keeps_every_byte() {
    let origin = Origin::named("x");
    let request = "GET / HTTP/1.1\r\nHost: test\r\n x\r\n\r\n";
    client_of(&origin).send(request);
    assert!(matches!(origin.await_end(0), End::Malformed(_)));
    assert_eq!(origin.bytes(), request.as_bytes());
    assert_eq!(origin.requests(), []);
}

#[test]
fn chunks_trailers_and_interim_responses_are_read() {
    let origin = Origin::saying(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\
         Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nSum: 6\r\n\r\n",
    );
    let response = client_of(&origin).get("/");
    assert_eq!(response.interim[0].fields.get("link"), Some("</a>"));
    assert_eq!((response.text(), response.trailers.get("sum")), ("abc", Some("6")));
}

#[test]
fn ends_are_told_apart() {
    let ended = |origin: Origin| client_of(&origin).try_response();
    let request = "GET / HTTP/1.1\r\n\r\n";
    let end_of = |origin: Origin| {
        let mut client = client_of(&origin);
        client.send(request);
        client.try_response().map(|response| (response.body, response.broken))
    };
    assert_eq!(end_of(origin_closes_before_answer()), Err(End::Closed));
    assert_eq!(end_of(origin_resets_before_answer()), Err(End::Reset));
    assert_eq!(end_of(origin_resets_after_head()), Ok((vec![], Some(End::Reset))));
    assert_eq!(end_of(origin_closes_mid_body()), Ok((b"only this".to_vec(), Some(End::Closed))));
    assert_eq!(end_of(origin_closes_mid_chunks()), Ok((b"only this".to_vec(), Some(End::Closed))));
    let bare_lf = Origin::scripted(|conn| conn.send("HTTP/1.1 200 OK\n\n"));
    assert!(matches!(ended(bare_lf), Err(End::Malformed(_))));
}

#[test]
fn an_origin_sees_how_a_client_leaves() {
    let origin = origin_never_answers();
    for (index, end) in [End::Closed, End::Reset].into_iter().enumerate() {
        let mut client = client_of(&origin);
        client.send("GET / HTTP/1.1\r\n\r\n");
        origin.await_requests(index + 1);
        if end == End::Reset {
            client.reset_on_close();
        }
        drop(client);
        assert_eq!(origin.await_end(index), end);
    }
}

#[test]
fn a_refusing_origin_refuses_and_an_unreachable_one_does_not_answer() {
    let refusing = origin_refuses();
    let (socket, address) = refusing.address().socket();
    let error = socket.connect(&address).expect_err("refused");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);

    let unreachable = origin_unreachable().server();
    let (socket, address) = unreachable.trim_matches('"').parse::<Address>().unwrap().socket();
    drop(unreachable);
    assert!(socket.connect_timeout(&address, ms(100)).is_err());
}

#[test]
fn an_address_can_be_taken_over() {
    let address = Origin::named("first").gone();
    let second = Origin::at(&address, |conn| {
        conn.request()?;
        conn.send(ok("second"))
    });
    assert_eq!(client_of(&second).get("/").text(), "second");
}

#[test]
fn unix_sockets_work_alike() {
    let origin = Origin::unix(|conn| {
        conn.request()?;
        conn.send(ok("unix"))
    });
    assert_eq!(client_of(&origin).get("/").text(), "unix");
}

#[test]
fn patterns_show_where_they_break() {
    let mut bytes = Pattern::new(7).take(100_000);
    let mut in_pieces = Pattern::new(7);
    assert_eq!([in_pieces.take(13), in_pieces.take(99_987)].concat(), bytes);
    bytes.remove(50_000);
    let error = Pattern::new(7).check(&bytes).expect_err("a byte is missing");
    assert!(error.starts_with("byte 5000"), "{error}");
}

#[test]
fn sizes_are_spread_over_their_whole_range() {
    let mut rng = Rng::new(1);
    let sizes: Vec<u64> = (0..20_000).map(|_| rng.log_uniform(4 << 20)).collect();
    assert!(sizes.contains(&0) && sizes.contains(&1));
    assert!(sizes.iter().all(|&size| size <= 4 << 20));
    assert!(sizes.iter().any(|&size| size > 3 << 20));
    assert!(sizes.iter().filter(|&&size| size < 4096).count() > 5_000);
}
