//! A thousand clients that send a byte of a head now and then, beside ordinary ones: those are
//! served as ever, and each of the others is told that its time is up. What it does to the latency
//! of the others is measured by `bench/slow-heads.sh`.

#![allow(clippy::disallowed_methods, reason = "the test compares times with the head timeout")]

#[macro_use]
mod support;

use std::thread;
use std::time::{Duration, Instant};

use support::*;

tiered! {
    slow_heads_hold_nobody_up,
}

const SLOW: usize = 1_000;
const NORMAL: usize = 4;
/// The head timeout: long enough that all of them hang at the same time.
const LIMIT: Duration = ms(5_000);
/// How much later the answer may come on a busy machine.
const LATE: Duration = ms(15_000);
/// The time between two bytes of one client, at least.
const NOW_AND_THEN: Duration = ms(200);
/// What the proxy may hold for each of them, bytes.
const HELD_MAX: u64 = 16 << 10;

fn slow_heads_hold_nobody_up(tier: Tier) {
    // All tiers may run at once.
    if !may_open(3 * SLOW as u64 + 500) {
        return;
    }
    let origin = Origin::named("fine");
    let header = format!("[timeouts]\nheader = \"{}ms\"", LIMIT.as_millis());
    let proxy = Config::new(tier).origin("app", &origin).toml(&header).endless().start();
    let (before, resident) = (proxy.usage(), proxy.resident());
    let over = Over::default();
    let (most, served) = thread::scope(|scope| {
        let ask = || ask_until(&proxy, &over);
        let normal: Vec<_> = (0..NORMAL).map(|_| scope.spawn(ask)).collect();
        let end = over.at_the_end();
        let most = dribble(&proxy);
        drop(end);
        let served: usize = normal.into_iter().map(|client| client.join().expect("served")).sum();
        (most, served)
    });
    println!(
        "tier {tier}: {served} requests served, {} KiB more in use",
        most.saturating_sub(resident) >> 10
    );
    assert!(most < resident + SLOW as u64 * HELD_MAX, "{resident} bytes became {most}");
    // Else nobody would have been there to be held up.
    assert!(served > 100, "{served}");
    let held = "client connections open";
    wait_until("the connections are closed", || proxy.usage().of(held) == 0);
    origin.stop();
    wait_until("all is given back", || proxy.usage().excess(&before, 0).is_empty());
}

/// An ordinary client; gives how many requests were served. All must be.
fn ask_until(proxy: &Proxy, over: &Over) -> usize {
    let mut client = proxy.client();
    let mut served = 0;
    while !over.is_so() {
        assert_eq!(client.get("/").text(), "fine");
        served += 1;
        pause(ms(5));
    }
    served
}

/// A client that takes its time.
struct Slow {
    client: Client,
    begun: Instant,
    answered: bool,
}

/// All of them at once, until each has its answer; gives the most memory that the proxy had
/// meanwhile, bytes.
fn dribble(proxy: &Proxy) -> u64 {
    let address = proxy.address();
    let begin = |_| {
        let mut client = Client::connect(&address);
        let begun = Instant::now();
        client.send("GET / HTTP/1.1\r\nX-Slow: ");
        client.socket().set_nonblocking(true).expect("a socket");
        Slow { client, begun, answered: false }
    };
    let mut slow: Vec<_> = (0..SLOW).map(begin).collect();
    let all_wait = "client connections open";
    wait_until("all of them hang at the same time", || proxy.usage().of(all_wait) >= SLOW as u64);
    let mut most = 0;
    while slow.iter().any(|slow| !slow.answered) {
        slow.iter_mut().filter(|slow| !slow.answered).for_each(Slow::go_on);
        most = most.max(proxy.resident());
        pause(NOW_AND_THEN);
    }
    most
}

impl Slow {
    fn go_on(&mut self) {
        let waited = self.begun.elapsed();
        match self.client.fill() {
            Ok(()) => {
                let answer = String::from_utf8_lossy(self.client.unread()).into_owned();
                assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
                assert!((LIMIT..LIMIT + LATE).contains(&waited), "after {waited:?}");
                self.answered = true;
            }
            Err(End::Silent) => {
                assert!(waited < LIMIT + LATE, "no answer after {waited:?}");
                // It may be answered in this moment.
                let _ = self.client.try_send("x");
            }
            Err(end) => panic!("{end:?} without an answer, after {waited:?}"),
        }
    }
}
