//! Servers die and come back at random under load: as long as one lives, no request fails that may
//! be sent again.
//!
//! 10 s in each tier. Environment:
//! - `CORELANE_TEST_CHAOS`: seconds in place of 10. The long run, which also says what was done:
//!   `CORELANE_TEST_CHAOS=60 cargo test --test chaos -- --nocapture`.
//! - `CORELANE_TEST_SEED`: replays what an earlier run did, as far as timing lets it.

#![allow(clippy::disallowed_methods, reason = "the test keeps a rate, and is over in time")]

#[macro_use]
mod support;

use std::thread;
use std::time::{Duration, Instant};

use support::*;

tiered! {
    no_request_that_may_be_repeated_fails_while_a_server_lives,
}

/// Requests a second, over all clients.
const RATE: u32 = 200;
const CLIENTS: u32 = 8;
/// Methods that may be sent again (RFC 9110 §9.2.2); TRACE is not forwarded.
const METHODS: [&str; 5] = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"];

fn seconds() -> u64 {
    std::env::var("CORELANE_TEST_CHAOS").map_or(10, |text| text.parse().expect("seconds"))
}

fn seed() -> u64 {
    let replay = std::env::var("CORELANE_TEST_SEED").ok();
    replay.map_or(20_261_121, |text| text.parse().expect("a number"))
}

fn no_request_that_may_be_repeated_fails_while_a_server_lives(tier: Tier) {
    let mut servers = [Mortal::new(), Mortal::new(), Mortal::new()];
    let entries: Vec<_> = servers.iter().map(Mortal::server).collect();
    // Those who return shall be used, and die again.
    let settings = "passive = { ejection = \"200ms\", max_ejection = \"1s\" }";
    let proxy = Config::new(tier).upstream("app", &entries, settings).shards(2).endless().start();
    let before = proxy.usage();
    let (seed, over) = (seed(), Over::default());
    let (deaths, done) = thread::scope(|scope| {
        let client = |number| {
            let (proxy, over) = (&proxy, &over);
            let rng = Rng::new(seed ^ u64::from(number + 1));
            scope.spawn(move || send_at_a_rate(proxy, number, rng, over))
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        let end = over.at_the_end();
        let deaths = live_and_die(&mut servers, &mut Rng::new(seed));
        drop(end);
        let done: Vec<_> = clients.into_iter().map(|client| client.join().expect("it")).collect();
        (deaths, done)
    });
    let sent: usize = done.iter().map(|(sent, _)| sent).sum();
    let failed: Vec<_> = done.into_iter().flat_map(|(_, failed)| failed).collect();
    println!("tier {tier}, seed {seed}: {sent} requests, {deaths} deaths");
    assert!(
        failed.is_empty(),
        "seed {seed}: {} of {sent} requests failed in {deaths} deaths:\n  {}",
        failed.len(),
        failed.join("\n  ")
    );
    let asked = u64::from(RATE) * seconds();
    assert!(sent as u64 > asked * 9 / 10, "only {sent} of {asked} requests could be sent");
    drop(servers);
    wait_until("all is given back", || proxy.usage().excess(&before, 0).is_empty());
}

/// No server comes back sooner. A request that is tried on three servers in turn would not find
/// one that comes back behind its back.
const DEAD_MIN: Duration = ms(100);

/// Kills and starts servers at random times, now and then two at once, but never the last one.
/// Gives the number of deaths.
fn live_and_die(servers: &mut [Mortal; 3], rng: &mut Rng) -> usize {
    let end = Instant::now() + Duration::from_secs(seconds());
    let (mut deaths, mut last_death) = (0, Instant::now());
    while Instant::now() < end {
        // The time between events is part of the script.
        pause(Duration::from_millis(rng.log_uniform(250)));
        let alive = servers.iter().filter(|server| server.is_alive()).count();
        if rng.below(3) < alive as u64 && alive > 1 {
            let doomed = 1 + rng.below(alive as u64 - 1) as usize;
            for _ in 0..doomed {
                let living: Vec<_> = (0..3).filter(|&index| servers[index].is_alive()).collect();
                servers[rng.pick(&living)].kill(rng.pick(&[Death::Reset, Death::Close]));
                deaths += 1;
            }
            last_death = Instant::now();
        } else if let Some(dead) = servers.iter_mut().find(|server| !server.is_alive()) {
            pause(DEAD_MIN.saturating_sub(last_death.elapsed()));
            dead.start();
        }
    }
    servers.iter_mut().filter(|server| !server.is_alive()).for_each(Mortal::start);
    deaths
}

/// Sends requests at this client's part of the rate; gives how many, and what failed.
fn send_at_a_rate(proxy: &Proxy, number: u32, mut rng: Rng, over: &Over) -> (usize, Vec<String>) {
    let interval = Duration::from_secs(1) * CLIENTS / RATE;
    let begin = Instant::now() + interval * number / CLIENTS;
    let mut client = proxy.client();
    let (mut sent, mut failed) = (0, Vec::new());
    while !over.is_so() {
        pause((begin + interval * sent).saturating_duration_since(Instant::now()));
        sent += 1;
        let method = rng.pick(&METHODS);
        let body = if method == "PUT" { "Content-Length: 4\r\n\r\nbody" } else { "\r\n" };
        let request = format!("{method} /{number}/{sent} HTTP/1.1\r\nHost: test\r\n{body}");
        let (took, got) =
            timed(|| client.try_send(request).and_then(|()| client.try_response_to(method)));
        let right = |response: &Response| {
            let body = if method == "HEAD" { "" } else { method };
            response.status == 200
                && response.field("x-method") == Some(method)
                && response.broken.is_none()
                && response.text() == body
        };
        if !got.as_ref().is_ok_and(right) {
            let at = begin.elapsed();
            failed.push(match got {
                Ok(got) => format!("{at:?} {method}: {} {:?}", got.status, got.text()),
                Err(end) => format!("{at:?} {method}: {end:?} after {took:?}"),
            });
            client = proxy.client();
        }
    }
    (sent as usize, failed)
}
