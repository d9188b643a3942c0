//! What one exchange costs in head work: find the end, parse, rewrite. The budget is 500 ns a
//! request head of ten fields.
//!
//! `cargo bench --bench http1`; add `-- --quick` for a first look. Compare only runs of one
//! machine at rest.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use corelane::http1::{
    BodyOut, ChunkStep, ChunkedDecoder, FieldEdits, FieldStorage, HeadLimits, HeadScanner,
    RequestRewrite, ResponseRewrite, Version, parse_request, parse_response, write_request,
    write_response,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const LIMITS: HeadLimits = HeadLimits { bytes: 16 * 1024, fields: 100 };

/// What wrk and oha send, nearly.
const SMALL_REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept: */*\r\n\r\n";

/// A browser's request for a page.
const REQUEST: &[u8] = b"GET /articles/2024/io-uring?ref=front HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    Connection: keep-alive\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Accept-Language: en-GB,en;q=0.7\r\n\
    Referer: https://www.example.com/articles/\r\n\
    Cookie: session=5f2c9a0c6d1e4b7f; theme=dark; consent=all\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    If-None-Match: \"1a2b3c4d\"\r\n\r\n";

/// An application's answer.
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
    Content-Type: application/json; charset=utf-8\r\n\
    Content-Length: 1234\r\n\
    Connection: keep-alive\r\n\
    Keep-Alive: timeout=5\r\n\
    Cache-Control: private, no-cache\r\n\
    ETag: W/\"4d2-abcdefghijklmnop\"\r\n\
    Vary: Accept-Encoding\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Set-Cookie: session=5f2c9a0c6d1e4b7f; Path=/; HttpOnly\r\n\r\n";

fn requests(c: &mut Criterion) {
    let edits = FieldEdits::default();
    let client_ip = Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 77)));
    let how = RequestRewrite::plain(client_ip, &edits);
    let mut out = Vec::with_capacity(4096);
    for (name, bytes) in [("request of 2 fields", SMALL_REQUEST), ("request of 10 fields", REQUEST)]
    {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("scan", |b| {
            b.iter(|| HeadScanner::new().find_end(black_box(bytes), &LIMITS));
        });
        group.bench_function("parse", |b| {
            b.iter(|| {
                let mut storage = FieldStorage::new();
                let head = parse_request(black_box(bytes), &mut storage, &LIMITS);
                head.map(|head| head.facts)
            });
        });
        let mut storage = FieldStorage::new();
        let head = parse_request(bytes, &mut storage, &LIMITS).expect("the bench's own head");
        group.bench_function("rewrite", |b| {
            b.iter(|| {
                out.clear();
                write_request(&mut out, black_box(&head), &how);
                out.len()
            });
        });
        group.bench_function("all", |b| {
            b.iter(|| {
                out.clear();
                let bytes = black_box(bytes);
                let len = HeadScanner::new().find_end(bytes, &LIMITS).ok()??;
                let mut storage = FieldStorage::new();
                let head = parse_request(&bytes[..len], &mut storage, &LIMITS).ok()?;
                write_request(&mut out, &head, &how);
                Some(out.len())
            });
        });
    }
}

fn responses(c: &mut Criterion) {
    let edits = FieldEdits::default();
    let how = ResponseRewrite {
        client_version: Version::Http11,
        keep_alive: true,
        body: BodyOut::AsDeclared,
        edits: &edits,
        set_cookie: None,
    };
    let mut out = Vec::with_capacity(4096);
    let mut group = c.benchmark_group("response of 10 fields");
    group.throughput(Throughput::Bytes(RESPONSE.len() as u64));
    group.bench_function("all", |b| {
        b.iter(|| {
            out.clear();
            let bytes = black_box(RESPONSE);
            let len = HeadScanner::new().find_end(bytes, &LIMITS).ok()??;
            let mut storage = FieldStorage::new();
            let head = parse_response(&bytes[..len], &mut storage, false, &LIMITS).ok()?;
            write_response(&mut out, &head, &how);
            Some(out.len())
        });
    });
}

fn chunks(c: &mut Criterion) {
    let chunk = [&b"400\r\n"[..], &[b'x'; 0x400], b"\r\n"].concat();
    let body = [&chunk.repeat(16)[..], b"0\r\n\r\n"].concat();
    let mut group = c.benchmark_group("chunked body");
    group.throughput(Throughput::Elements(17));
    group.bench_function("16 chunks of 1 KiB", |b| {
        b.iter(|| {
            let mut decoder = ChunkedDecoder::new();
            let mut at = 0;
            loop {
                match decoder.step(&black_box(&body)[at..]) {
                    Ok(ChunkStep::Payload { skip, len }) => at += skip + len,
                    Ok(ChunkStep::NeedMore { consumed }) => at += consumed,
                    Ok(ChunkStep::Done { consumed }) => break at + consumed,
                    Err(refusal) => panic!("the bench's own body: {refusal}"),
                }
            }
        });
    });
}

criterion_group!(benches, requests, responses, chunks);
criterion_main!(benches);
