//! Files that are compressed on their way.

#[macro_use]
mod support;

use std::fs;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

use support::*;

tiered! {
    each_coding_comes_out_as_the_file,
    head_requests_say_the_same,
    conditions_know_the_file_in_its_coding,
    a_part_is_never_compressed,
    what_lies_ready_goes_first,
    a_page_for_an_error_is_compressed_too,
    a_slow_reader_holds_little,
    others_are_served_meanwhile,
    a_file_that_shrinks_breaks_off,
}

const ON: &str = "compress = { types = [\"text/*\"] }";
const TAG: &str = "\"2ebc98a1-30d40\"";
const WEAK: &str = "W/\"2ebc98a1-30d40\"";

fn serve(webroot: &Webroot, tier: Tier, settings: &str) -> Proxy {
    webroot.config(tier, settings).top(ON).start()
}

fn ask(client: &mut Client, method: &str, path: &str, lines: &str) -> Response {
    client.request(format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{lines}\r\n"))
}

fn get(client: &mut Client, path: &str, coding: &str) -> Response {
    ask(client, "GET", path, &format!("Accept-Encoding: {coding}\r\n"))
}

/// Text that shows where it belongs.
fn text(length: usize) -> Vec<u8> {
    let lines = (0..).flat_map(|line: usize| format!("line {line} {}\n", line * line).into_bytes());
    lines.take(length).collect()
}

fn decode(response: &Response) -> Vec<u8> {
    let (mut body, bytes) = (Vec::new(), &response.body[..]);
    let done = match response.field("content-encoding") {
        Some("gzip") => flate2::read::GzDecoder::new(bytes).read_to_end(&mut body),
        Some("br") => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut body),
        Some("zstd") => {
            zstd::stream::read::Decoder::new(bytes).expect("zstd").read_to_end(&mut body)
        }
        other => panic!("{other:?}"),
    };
    done.expect("a whole body");
    body
}

fn each_coding_comes_out_as_the_file(tier: Tier) {
    let webroot = Webroot::new();
    let sizes = [1024, 8192, 32_767, 32_768, 32_769, 65_537, 1_000_003];
    for size in sizes {
        webroot.put(&format!("{size}.txt"), text(size));
    }
    webroot.put("small.txt", text(1023)).put("picture.png", text(100_000));
    let proxy = serve(&webroot, tier, "");
    let mut client = proxy.client();
    for token in ["gzip", "br", "zstd"] {
        for size in sizes {
            let response = get(&mut client, &format!("/{size}.txt"), token);
            assert_eq!(response.field("content-encoding"), Some(token), "{size}");
            assert_eq!((response.status, response.framing), (200, Framing::Chunked));
            assert!(decode(&response) == text(size), "{token} {size}");
            assert!(response.body.len() < size / 2, "{token} {size}: {}", response.body.len());
            let tag = format!("W/\"2ebc98a1-{size:x}\"");
            assert_eq!(response.field("etag"), Some(&*tag));
            assert_eq!(response.field("vary"), Some("Accept-Encoding"));
            assert_eq!(response.field("accept-ranges"), None);
            assert_eq!(response.field("content-length"), None);
        }
        for path in ["/small.txt", "/picture.png"] {
            let response = get(&mut client, path, token);
            assert_eq!((response.field("content-encoding"), response.field("vary")), (None, None));
        }
    }
    let plain = get(&mut client, "/32769.txt", "identity");
    assert_eq!((plain.field("content-encoding"), plain.body == text(32_769)), (None, true));
    assert_eq!(plain.field("etag"), Some("\"2ebc98a1-8001\""));
    assert_eq!(plain.field("vary"), Some("Accept-Encoding"), "another client gets another");
    let old = "GET /1000003.txt HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n";
    let old = proxy.client().request(old);
    assert_eq!((old.framing, old.body.len()), (Framing::Length(1_000_003), 1_000_003));
}

fn head_requests_say_the_same(tier: Tier) {
    let webroot = Webroot::new();
    webroot.put("a.txt", text(200_000)).put("small.txt", text(2000));
    let proxy = serve(&webroot, tier, "");
    let mut client = proxy.client();
    for path in ["/a.txt", "/small.txt"] {
        let got = get(&mut client, path, "br");
        let head = ask(&mut client, "HEAD", path, "Accept-Encoding: br\r\n");
        assert_eq!((head.status, head.body.len()), (200, 0));
        let names = ["content-encoding", "content-length", "content-type", "etag", "vary"];
        for name in names {
            assert_eq!(head.field(name), got.field(name), "{name}");
        }
        assert_eq!(head.field("content-encoding"), Some("br"));
    }
    let plain = ask(&mut client, "HEAD", "/a.txt", "");
    assert_eq!((plain.field("content-length"), plain.field("etag")), (Some("200000"), Some(TAG)));
}

/// RFC 9110 §13.1.1, §13.1.2: If-Match takes strong tags alone, If-None-Match any.
fn conditions_know_the_file_in_its_coding(tier: Tier) {
    let webroot = Webroot::new();
    webroot.put("a.txt", text(200_000)).put("picture.png", text(200_000));
    let proxy = serve(&webroot, tier, "");
    let mut client = proxy.client();
    for (accept, line, status, tag) in [
        ("gzip", format!("If-None-Match: {WEAK}"), 304, WEAK),
        ("gzip", format!("If-None-Match: {TAG}"), 304, WEAK),
        ("gzip", "If-None-Match: \"other\"".to_owned(), 200, WEAK),
        ("identity", format!("If-None-Match: {WEAK}"), 304, TAG),
        ("identity", format!("If-None-Match: {TAG}"), 304, TAG),
        ("gzip", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT".to_owned(), 304, WEAK),
        ("gzip", format!("If-Match: {TAG}"), 200, WEAK),
    ] {
        let lines = format!("Accept-Encoding: {accept}\r\n{line}\r\n");
        let response = ask(&mut client, "GET", "/a.txt", &lines);
        assert_eq!((response.status, response.field("etag")), (status, Some(tag)), "{lines}");
        assert_eq!(response.field("vary"), Some("Accept-Encoding"), "{lines}");
        if status == 304 {
            assert!(response.body.is_empty());
            assert_eq!(response.field("content-encoding"), None);
        }
    }
    let lines = format!("Accept-Encoding: gzip\r\nIf-Match: {WEAK}\r\n");
    assert_eq!(ask(&mut client, "GET", "/a.txt", &lines).status, 412);
    let lines = format!("Accept-Encoding: gzip\r\nIf-None-Match: {TAG}\r\n");
    let picture = ask(&mut client, "GET", "/picture.png", &lines);
    assert_eq!((picture.status, picture.field("etag")), (304, Some(TAG)));
    assert_eq!(picture.field("vary"), None);
}

fn a_part_is_never_compressed(tier: Tier) {
    let webroot = Webroot::new();
    let content = text(200_000);
    webroot.put("a.txt", &content);
    let proxy = serve(&webroot, tier, "");
    let mut client = proxy.client();
    for condition in ["", "If-Range: \"2ebc98a1-30d40\"\r\n"] {
        let lines =
            format!("Accept-Encoding: gzip, br\r\nRange: bytes=50000-149999\r\n{condition}");
        let part = ask(&mut client, "GET", "/a.txt", &lines);
        assert_eq!((part.status, part.field("content-encoding")), (206, None));
        assert!(part.body == content[50_000..150_000]);
        assert_eq!(part.field("etag"), Some(TAG));
        assert_eq!(part.field("vary"), Some("Accept-Encoding"));
    }
    let lines = "Accept-Encoding: gzip\r\nRange: bytes=0-1,5-9\r\n";
    let parts = ask(&mut client, "GET", "/a.txt", lines);
    assert_eq!((parts.status, parts.field("content-encoding")), (206, None));
    assert_eq!(parts.field("vary"), Some("Accept-Encoding"));
    // The rest of what came compressed cannot be had: all of it comes again.
    let lines = format!("Accept-Encoding: gzip\r\nRange: bytes=0-9\r\nIf-Range: {WEAK}\r\n");
    let whole = ask(&mut client, "GET", "/a.txt", &lines);
    assert_eq!((whole.status, whole.field("content-encoding")), (200, Some("gzip")));
    assert!(decode(&whole) == content);
}

fn what_lies_ready_goes_first(tier: Tier) {
    let webroot = Webroot::new();
    webroot.put("a.css", text(50_000)).put("a.css.gz", "ready");
    let proxy = serve(&webroot, tier, "precompressed = [\"gzip\"]");
    let mut client = proxy.client();
    let ready = get(&mut client, "/a.css", "gzip, br");
    assert_eq!((ready.field("content-encoding"), &ready.body[..]), (Some("gzip"), &b"ready"[..]));
    assert_eq!(ready.field("etag"), Some("\"2ebc98a1-5\""));
    let made = get(&mut client, "/a.css", "br");
    assert_eq!(made.field("content-encoding"), Some("br"));
    assert_eq!(made.field("vary"), Some("Accept-Encoding"));
    assert!(decode(&made) == text(50_000));
}

fn a_page_for_an_error_is_compressed_too(tier: Tier) {
    let webroot = Webroot::new();
    webroot.put("404.html", text(80_000));
    let config = webroot.config(tier, "[[route.error_pages]]\non = 404\nto = \"/404.html\"");
    let proxy = config.top(ON).start();
    let page = get(&mut proxy.client(), "/nowhere", "zstd");
    assert_eq!((page.status, page.field("content-encoding")), (404, Some("zstd")));
    assert!(decode(&page) == text(80_000));
}

fn a_slow_reader_holds_little(tier: Tier) {
    const READERS: u64 = 8;
    let webroot = Webroot::new();
    webroot.put("large.txt", Pattern::new(3).take(64 << 20));
    let limit = "[timeouts]\nbody_idle = \"20s\"";
    let proxy = webroot.config(tier, "").top(ON).toml(limit).start();
    let (before, resident) = (proxy.usage(), proxy.resident());
    let slow = || {
        let mut client = Client::connect_with_buffer(16 << 10, &proxy.address());
        client.send("GET /large.txt HTTP/1.1\r\nHost: test\r\nAccept-Encoding: br\r\n\r\n");
        let head = client.response_head("GET").expect("a head");
        assert_eq!(head.field("content-encoding"), Some("br"));
        client
    };
    let readers: Vec<Client> = (0..READERS).map(|_| slow()).collect();
    let after = wait_until_steady("the flow has stopped", || proxy.resident() >> 16) << 16;
    let each = after.saturating_sub(resident) / READERS;
    assert!(each < 3 << 20, "{each} bytes for each");
    // One that leaves in the middle of it leaves nothing behind.
    drop(readers);
    wait_until("nothing is left", || proxy.usage().excess(&before, 0).is_empty());
}

fn others_are_served_meanwhile(tier: Tier) {
    let _alone = alone();
    let webroot = Webroot::new();
    webroot.put("large.txt", Pattern::new(3).take(64 << 20)).put("small.bin", "small");
    let proxy = webroot.config(tier, "").top("compress = { level = 9 }").start();
    let (over, at_it) = (Over::default(), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _ending = over.at_the_end();
        for token in ["gzip", "br", "zstd", "gzip", "br", "zstd"] {
            let (proxy, over, at_it) = (&proxy, &over, &at_it);
            scope.spawn(move || {
                let mut client = proxy.client();
                let lines = format!("Host: test\r\nAccept-Encoding: {token}\r\n");
                client.send(format!("GET /large.txt HTTP/1.1\r\n{lines}\r\n"));
                client.response_head("GET").expect("a head");
                at_it.fetch_add(1, Ordering::Relaxed);
                while !over.is_so() {
                    client.exactly(16 << 10, &mut |_| {}).expect("more of it");
                }
            });
        }
        wait_until("all of them are at it", || at_it.load(Ordering::Relaxed) == 6);
        let mut client = proxy.client();
        for _ in 0..50 {
            assert_eq!(ask(&mut client, "GET", "/small.bin", "").body, b"small");
        }
        assert_eq!(proxy.usage().of("files sent"), 50, "none of them has ended");
    });
}

fn a_file_that_shrinks_breaks_off(tier: Tier) {
    let webroot = Webroot::new();
    webroot.put("a.txt", Pattern::new(3).take(16 << 20));
    let proxy = serve(&webroot, tier, "");
    let mut client = Client::connect_with_buffer(16 << 10, &proxy.address());
    client.send("GET /a.txt HTTP/1.1\r\nHost: test\r\nAccept-Encoding: gzip\r\n\r\n");
    assert_eq!(client.response_head("GET").expect("a head").status, 200);
    let file = fs::File::options().write(true).open(webroot.root().join("a.txt"));
    file.expect("the file").set_len(1000).expect("cut");
    let (bytes, end) = client.rest();
    assert!(bytes.len() < 16 << 20 && end == End::Reset, "{} bytes, {end:?}", bytes.len());
    assert!(!bytes.ends_with(b"\r\n0\r\n\r\n"));
}
