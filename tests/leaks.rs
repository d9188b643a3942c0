//! After exchanges that ended well and exchanges that did not, nothing of them is left.

#[macro_use]
mod support;

use std::thread;

use rustix::process::Signal;
use support::*;

tiered! {
    no_file_stays_open,
    memory_does_not_grow,
    files_do_not_run_out,
}

/// Answers, breaks off, resets, stalls or streams, as the path asks.
fn origin_of_all_kinds() -> Origin {
    Origin::scripted(|conn| {
        loop {
            let request = conn.request()?;
            match request.target.as_str() {
                "/closes" => return Ok(()),
                "/resets" => return conn.reset(),
                "/stalls" => return conn.await_end(),
                "/breaks" => return conn.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
                "/malformed" => return conn.send("HTTP/1.1 200 OK\nContent-Length: 9\r\n\r\n"),
                "/switches" => {
                    let switch = "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
                    conn.send(switch)?;
                    return conn.await_end();
                }
                "/chunks" => {
                    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                    conn.send(chunked(&["a", "b"]))?;
                }
                "/big" => conn.send(ok(vec![b'x'; 1 << 20]))?,
                _ => conn.send(ok(&request.body))?,
            }
        }
    })
}

fn proxy_before(tier: Tier, origin: &Origin) -> Proxy {
    let refusing = origin_refuses();
    let settings = "pool = { max_idle = 8, idle_timeout = \"200ms\" }";
    Config::new(tier)
        .upstream("app", &[origin.server()], settings)
        .upstream("dead", &[refusing.server()], "")
        .route("path = \"/\"\nupstream = \"app\"")
        .route("path = \"/dead\"\nupstream = \"dead\"")
        .toml("[splice]\nthreshold = \"16KiB\"\npipes = 4")
        .toml("[timeouts]\nresponse = \"300ms\"\nbody_idle = \"300ms\"\nheader = \"300ms\"")
        .start()
}

/// How a client treats one request.
#[derive(Clone, Copy)]
enum Visit {
    /// Reads the response and leaves.
    Reads,
    /// Leaves once the request is sent.
    Leaves,
    /// The same with a reset.
    Resets,
}

/// A round of exchanges of all kinds, `times` over.
fn mix(proxy: &Proxy, times: usize) {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n").into_bytes();
    let mut requests = vec![
        b"GET / HTTP/1.1\r\nHo".to_vec(),
        b"GET / HTTP/1.1\r\nbad line\r\n\r\n".to_vec(),
        b"GET /switches HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n".to_vec(),
        post("/", "small"),
        post("/", vec![b'x'; 1 << 20]),
        post("/", vec![b'x'; 1 << 20])[..300_000].to_vec(),
    ];
    let paths = ["/", "/closes", "/resets", "/stalls", "/breaks", "/malformed", "/chunks", "/big"];
    requests.extend(paths.map(get));
    requests.push(get("/dead"));
    for _ in 0..times {
        thread::scope(|scope| {
            for request in &requests {
                scope.spawn(move || {
                    for how in [Visit::Reads, Visit::Leaves, Visit::Resets] {
                        play(proxy, request, how);
                    }
                });
            }
        });
    }
}

fn play(proxy: &Proxy, request: &[u8], how: Visit) {
    let mut client = proxy.client();
    let _ = client.try_send(request);
    match how {
        Visit::Reads => {
            client.half_close();
            let _ = client.rest();
        }
        Visit::Leaves => {}
        Visit::Resets => client.reset_on_close(),
    }
}

fn no_file_stays_open(tier: Tier) {
    let origin = origin_of_all_kinds();
    let proxy = proxy_before(tier, &origin);
    // The first exchange may open what is kept for good.
    assert_eq!(proxy.get("/").status, 200);
    let sockets = || proxy.open_files().iter().filter(|file| file.starts_with("socket:")).count();
    wait_until("the pool is empty", || origin.open_connections() == 0);
    let before = sockets();
    mix(&proxy, 3);
    wait_until(&format!("{before} sockets are left"), || sockets() <= before);
    let pipes = proxy.open_files().iter().filter(|file| file.starts_with("pipe:")).count();
    // Both ends of each pipe in the stock, and the standard streams.
    assert!(pipes <= 2 * 4 + 3, "{pipes} ends of pipes");
    wait_until("the origin has no connection left", || origin.open_connections() == 0);
    assert_eq!(proxy.get("/").status, 200);
}

fn memory_does_not_grow(tier: Tier) {
    let origin = origin_of_all_kinds();
    let proxy = proxy_before(tier, &origin);
    mix(&proxy, 3);
    let before = proxy.resident();
    mix(&proxy, 6);
    let grown = proxy.resident().saturating_sub(before);
    assert!(grown < 8 << 20, "grew by {grown} bytes");
}

/// With few files left, connections wait; none is lost, and the proxy lives on.
fn files_do_not_run_out(tier: Tier) {
    let origin = Origin::named("origin");
    let few_files = Confinement { open_files: Some(160), ..Confinement::default() };
    let proxy = Config::new(tier).origin("app", &origin).confined(few_files).start();
    // All wait in the queue when the shard first looks: it must not take more than it can serve.
    proxy.signal(Signal::STOP);
    let mut clients: Vec<_> = (0..200).map(|_| proxy.client()).collect();
    proxy.signal(Signal::CONT);
    for client in &mut clients {
        let close = "GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
        client.send(close);
    }
    // Those for whom there is no file yet wait to be accepted.
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    drop(clients);
    assert_eq!(proxy.get("/").status, 200);
}
