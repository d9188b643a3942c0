//! More clients than there is room for: those who wait hold next to nothing, nothing spins, and
//! whoever is owed a response gets it.

#![allow(clippy::disallowed_types, reason = "the house rules on clocks and locks are for shards")]

#[macro_use]
mod support;

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use support::*;

tiered! {
    thousands_of_unfinished_heads_bother_nobody,
    a_flood_of_requests_does_not_starve_responses,

}

/// Long enough to see a spin, in which each thread of the proxy would use all of it.
const WATCHED: Duration = ms(500);

/// More than there are buffers that a shard may hand to the kernel, by far.
const UNFINISHED: usize = 2_500;
/// What the proxy may hold for each of them, bytes: half a receive buffer. It is about 9 KiB.
const HELD_MAX: u64 = 16 << 10;
/// What it takes at most to answer twenty others on a busy machine.
const PROMPT: Duration = ms(3_000);

fn thousands_of_unfinished_heads_bother_nobody(tier: Tier) {
    if !may_open(UNFINISHED as u64 + 500) {
        return;
    }
    let origin = Origin::named("origin");
    for buffers in [8192, 16] {
        let ring = format!("[ring]\ntier = \"{tier}\"\nbuffers = {buffers}");
        let patient = "[timeouts]\nheader = \"60s\"";
        let config = Config::new(tier).origin("app", &origin).toml(&ring).toml(patient);
        let _alone = alone();
        unfinished_heads(&config.start());
    }
}

fn unfinished_heads(proxy: &Proxy) {
    let address = proxy.address();
    let get = "GET /path HTTP/1.1\r\nHost: test\r\n\r\n";
    let (first, last) = get.split_at(25);
    assert_eq!(proxy.get("/").text(), "origin");
    let before = proxy.resident();
    let mut clients: Vec<_> = (0..UNFINISHED).map(|_| Client::connect(&address)).collect();
    clients.iter_mut().for_each(|client| client.send(first));
    let (took, ()) = timed(|| {
        for _ in 0..20 {
            assert_eq!(Client::connect(&address).get("/").text(), "origin");
        }
    });
    assert!(took < PROMPT, "others were served in {took:?}");
    proxy.assert_does_not_spin(WATCHED);
    // Buffers that the burst took are freed when the shard next looks through them, and given back
    // by the allocator when it is next used.
    let most = before + UNFINISHED as u64 * HELD_MAX;
    wait_until(&format!("less than {most} bytes are held"), || {
        Client::connect(&address).get("/").status == 200 && proxy.resident() < most
    });
    for client in clients.iter_mut().step_by(5) {
        client.send(last);
    }
    for client in clients.iter_mut().step_by(5) {
        assert_eq!(client.response().text(), "origin");
    }
}

/// Each of so many clients sends so many requests at once, so long that together they are more than
/// all buffers hold.
const FLOODERS: usize = 40;
const REQUESTS: usize = 30;

fn flood(client: usize) -> String {
    let filler = "x".repeat(2_000);
    let get = |n| format!("GET /{client}/{n} HTTP/1.1\r\nHost: test\r\nX: {filler}\r\n\r\n");
    (0..REQUESTS).map(get).collect()
}

/// Sends a piece of its response to `/pieces` when `next` says so; answers others when the gate is
/// open.
fn origin_of_pieces(gate: &Gate, next: Receiver<()>) -> Origin {
    let (gate, next) = (gate.clone(), Mutex::new(next));
    Origin::scripted(move |conn| {
        loop {
            let request = conn.request()?;
            if request.target == "/pieces" {
                conn.send("HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n")?;
                let next = next.lock().unwrap_or_else(PoisonError::into_inner);
                while next.recv().is_ok() {
                    conn.send([b'x'; 20_000])?;
                }
            } else {
                gate.wait();
                conn.send(ok(&request.target))?;
            }
        }
    })
}

fn a_flood_of_requests_does_not_starve_responses(tier: Tier) {
    let gate = Gate::shut();
    let (more, next) = channel();
    let origin = origin_of_pieces(&gate, next);
    let ring = format!("[ring]\ntier = \"{tier}\"\nbuffers = 16");
    let proxy = Config::new(tier).origin("app", &origin).toml(&ring).start();
    let mut reader = proxy.client();
    reader.send("GET /pieces HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(reader.response_head("GET").expect("a head").status, 200);
    let address = proxy.address();
    let flooding = (0..FLOODERS).map(|number| {
        let mut client = Client::connect(&address);
        thread::spawn(move || {
            client.send(flood(number));
            client
        })
    });
    let flooding: Vec<_> = flooding.collect();
    let mut clients: Vec<_> = flooding.into_iter().map(|it| it.join().expect("sent")).collect();
    let _alone = alone();
    proxy.assert_does_not_spin(WATCHED);
    for _ in 0..20 {
        more.send(()).expect("an origin");
        reader.exactly(20_000, &mut |_| ()).expect("a piece, in spite of the flood");
    }
    drop(more);
    gate.open();
    for (number, client) in clients.iter_mut().enumerate() {
        for n in 0..REQUESTS {
            assert_eq!(client.response().text(), format!("/{number}/{n}"));
        }
    }
    assert_eq!(proxy.get("/after").text(), "/after", "and it has recovered");
}
