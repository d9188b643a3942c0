//! When connections, descriptors or buffers run short: what runs goes on, what is new waits or is
//! refused, nothing spins, memory stays within its bound, and a second later all is well again.

#![allow(clippy::disallowed_types, reason = "the house rules on clocks and locks are for shards")]

#[macro_use]
mod support;

use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use support::*;

tiered! {
    clients_beyond_the_most_wait_to_be_accepted,
    idle_clients_make_room,
    a_plan_for_few_files_has_clients_wait,
    what_runs_goes_on_when_files_run_out,
    idle_connections_to_servers_make_room,
    bodies_that_get_no_pipe_are_copied,
    uploads_that_hold_all_buffers_hold_up_new_clients_only,
}

/// Long enough to see a spin, in which each thread of the proxy would use all of it.
const WATCHED: Duration = ms(700);
/// In how long a request under way surely gets as much as in [`WATCHED`].
const GOES_ON: Duration = ms(5_000);
/// In how long all is well again.
const RECOVERY: Duration = ms(1_000);

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
const LAST_GET: &str = "GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
const PIECE: u64 = 500;

/// Sends pieces without end for `/trickle`, reads a body when the gate is open, never answers
/// `/never`, and answers anything else.
fn serve(conn: &mut Conn, gate: &Gate) -> Script {
    loop {
        let head = conn.request_head()?;
        if head.word(0) == "POST" {
            gate.wait();
        }
        match conn.request_body(head)?.target.as_str() {
            "/never" => return conn.await_end(),
            "/trickle" => return trickle(conn),
            _ => conn.send(ok("answer"))?,
        }
    }
}

fn trickle(conn: &mut Conn) -> Script {
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")?;
    loop {
        conn.send([b'x'; PIECE as usize])?;
        pause(ms(10));
    }
}

fn origin_that_serves() -> Origin {
    Origin::scripted(|conn| serve(conn, &Gate::shut()))
}

/// So many requests under way.
fn running(proxy: &Proxy, count: usize) -> Vec<Client> {
    let begin = |_| {
        let mut client = proxy.client();
        client.send("GET /trickle HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(client.response_head("GET").expect("a head").status, 200);
        client
    };
    (0..count).map(begin).collect()
}

/// Fails unless each of them gets more than what may have been under way already.
#[track_caller]
fn assert_goes_on(running: &mut [Client]) {
    for client in running {
        let sent = client.unread().len() as u64 + WATCHED.as_millis() as u64 / 10 * PIECE;
        let (took, ()) = timed(|| client.exactly(2 * sent, &mut |_| ()).expect("more of it"));
        assert!(took < GOES_ON, "it stood still for {took:?}");
    }
}

/// So many clients that have sent this.
fn newcomers(proxy: &Proxy, count: usize, request: &str) -> Vec<Client> {
    let mut clients: Vec<_> = (0..count).map(|_| proxy.client()).collect();
    clients.iter_mut().for_each(|client| client.send(request));
    clients
}

/// Fails unless all of them are answered before the time of recovery is over. Each leaves with its
/// answer, as it should.
#[track_caller]
fn assert_answered_soon(clients: Vec<Client>) {
    let answered = |mut client: Client| assert_eq!(client.response().text(), "answer");
    let (took, ()) = timed(|| clients.into_iter().for_each(answered));
    assert!(took < RECOVERY, "answered after {took:?}");
}

/// What the proxy may hold by the formula in ARCHITECTURE.md, with one shard and heads of 16 KiB.
fn most_memory(connections: u64, buffers: u64) -> u64 {
    (32 << 20) + buffers * (36 << 10) + connections * ((64 << 10) + 3 * (16 << 10))
}

fn clients_beyond_the_most_wait_to_be_accepted(tier: Tier) {
    let _alone = alone();
    let origin = origin_that_serves();
    let ring = format!("[ring]\ntier = \"{tier}\"\nbuffers = 64");
    let limits = "[limits]\nconnections = 6";
    let proxy = Config::new(tier).origin("app", &origin).toml(&ring).toml(limits).start();
    let address = proxy.address();
    let mut running = running(&proxy, 6);
    let waiting = newcomers(&proxy, 300, LAST_GET);
    // The kernel may have accepted some before it was told to stop.
    wait_until("the others wait", || (297..=300).contains(&proxy.accept_queue(&address)));
    proxy.assert_does_not_spin(WATCHED);
    assert_goes_on(&mut running);
    assert!((297..=300).contains(&proxy.accept_queue(&address)), "they still wait");
    let (held, most) = (proxy.resident(), most_memory(6, 64));
    assert!(held < most, "{held} of {most} bytes");
    drop(running);
    assert_answered_soon(waiting);
}

fn idle_clients_make_room(tier: Tier) {
    let _alone = alone();
    let origin = origin_that_serves();
    let proxy = Config::new(tier).origin("app", &origin).toml("[limits]\nconnections = 6").start();
    let mut idle = newcomers(&proxy, 3, GET);
    idle.iter_mut().for_each(|client| assert_eq!(client.response().text(), "answer"));
    let silent: Vec<_> = (0..2).map(|_| proxy.client()).collect();
    let mut running = running(&proxy, 1);
    // The keep-alive time is a minute.
    let mut waiting = newcomers(&proxy, 5, GET);
    waiting.iter_mut().for_each(|client| assert_eq!(client.response().text(), "answer"));
    idle.iter_mut().for_each(Client::assert_closed);
    assert_goes_on(&mut running);
    drop(silent);
}

fn a_plan_for_few_files_has_clients_wait(tier: Tier) {
    let _alone = alone();
    let origin = origin_that_serves();
    let few = Confinement { open_files: Some(300), ..Confinement::default() };
    let proxy = Config::new(tier).origin("app", &origin).confined(few).start();
    // 300 but for 131, of which an eighth is for pipes; two for each client and each pipe.
    let warning = proxy.await_stderr("open files are limited to 300");
    assert!(warning.contains("WARN"), "{warning}");
    for words in ["100000 connections", "131 for the rest", "serving 74", "ulimit -n 200643"] {
        assert!(warning.contains(words), "no {words:?} in: {warning}");
    }
    let mut running = running(&proxy, 5);
    let unanswered = newcomers(&proxy, 69, "GET /never HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.await_requests(74);
    let address = proxy.address();
    let waiting = newcomers(&proxy, 20, LAST_GET);
    wait_until("the others wait", || (17..=20).contains(&proxy.accept_queue(&address)));
    proxy.assert_does_not_spin(WATCHED);
    assert_goes_on(&mut running);
    drop((running, unanswered));
    assert_answered_soon(waiting);
    let said = proxy.stderr();
    assert_eq!(said.matches("open files").count(), 1, "one warning: {said}");
    assert!(!said.contains("cannot accept"), "it never came to that: {said}");
}

/// Changes what the process may open while it runs; gives what it was.
fn limit_files(proxy: &Proxy, files: Option<u64>) -> Option<u64> {
    let pid = Pid::from_raw(proxy.pid().cast_signed());
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    let old = prlimit(pid, Resource::Nofile, Rlimit { current: files, maximum });
    old.expect("a limit that may be changed").current
}

/// A limit that leaves room for so many more files: it is for their numbers, of which some below
/// the highest may be free.
fn room_for(proxy: &Proxy, more: usize) -> Option<u64> {
    let files = std::path::PathBuf::from(format!("/proc/{}/fd", proxy.pid()));
    (0..).filter(|number| !files.join(number.to_string()).is_symlink()).nth(more)
}

fn what_runs_goes_on_when_files_run_out(tier: Tier) {
    let _alone = alone();
    let origin = origin_that_serves();
    let proxy = Proxy::before(tier, &origin);
    let mut running = running(&proxy, 5);
    let before = limit_files(&proxy, room_for(&proxy, 5));
    let mut crowd = newcomers(&proxy, 30, GET);
    proxy.assert_does_not_spin(WATCHED);
    assert_goes_on(&mut running);
    let mut waiting = Vec::new();
    let mut refused = 0;
    for mut client in crowd.drain(..) {
        client.patience(ms(1));
        match client.try_response() {
            Ok(response) if response.status == 503 => {
                assert_eq!(response.field("retry-after"), Some("1"));
                assert!(response.fields.lists("connection", "close"));
                refused += 1;
            }
            Ok(response) => assert_eq!(response.text(), "answer"),
            Err(End::Silent) => waiting.push(client),
            Err(end) => panic!("neither an answer nor a wait: {end:?}"),
        }
    }
    assert!(refused + waiting.len() >= 20, "{refused} refused, {} wait", waiting.len());
    let said = proxy.stderr().matches("cannot accept").count();
    // Once for each time that some were let in meanwhile.
    assert!(said <= 8, "said {said} times");

    limit_files(&proxy, before);
    waiting.iter_mut().for_each(|client| client.patience(PATIENCE));
    assert_answered_soon(newcomers(&proxy, 10, GET));
    // Of those, some may have been refused just before.
    waiting.iter_mut().for_each(|it| assert!(matches!(it.response().status, 200 | 503)));
    assert_goes_on(&mut running);
}

/// Connections in the pool of one server are given up for one to another.
fn idle_connections_to_servers_make_room(tier: Tier) {
    let _alone = alone();
    let (idle, other) = (Origin::named("idle"), Origin::named("other"));
    let proxy = Config::new(tier)
        .upstream("idle", &[idle.server()], "pool = { idle_timeout = \"60s\" }")
        .upstream("other", &[other.server()], "")
        .route("path = \"/\"\nupstream = \"idle\"")
        .route("path = \"/other\"\nupstream = \"other\"")
        .start();
    let mut client = proxy.client();
    assert_eq!(client.get("/").text(), "idle");
    let before = limit_files(&proxy, room_for(&proxy, 0));
    assert_eq!(client.get("/other").text(), "other");
    idle.await_all_over();
    // Now the other's is in the pool, and the first one's is wanted again.
    assert_eq!(client.get("/").text(), "idle");
    limit_files(&proxy, before);
    proxy.signal(Signal::USR1);
    proxy.await_stderr("upstream connections made: 3");
}

fn bodies_that_get_no_pipe_are_copied(tier: Tier) {
    let _alone = alone();
    let origin = origin_that_serves();
    let splice = "[splice]\nenabled = true\nthreshold = \"4KiB\"\npipes = 2";
    let proxy = Config::new(tier).origin("app", &origin).toml(splice).start();
    let before = proxy.usage();
    let mut crowd = running(&proxy, 8);
    assert_goes_on(&mut crowd);
    let usage = proxy.usage();
    for held in ["pipes in use", "pipes open"] {
        assert_eq!(usage.of(held), 2, "{held}");
    }
    for moved in ["body bytes copied", "body bytes spliced"] {
        assert!(usage.of(moved) > before.of(moved), "{moved}");
    }
    proxy.assert_does_not_spin(WATCHED);
    assert_answered_soon(newcomers(&proxy, 10, GET));
    drop(crowd);
    wait_until("all have left", || proxy.usage().of("client connections open") == 0);
    let before = proxy.usage();
    let mut few = running(&proxy, 2);
    // Again and again: what came with the heads is copied.
    let moved = |how: &str| proxy.usage().of(how) - before.of(how);
    wait_until("bodies are spliced again", || {
        assert_goes_on(&mut few);
        moved("body bytes spliced") > 4 * moved("body bytes copied").max(1)
    });
}

const UPLOADS: usize = 24;
/// More than is under way between two Unix sockets, whose buffers do not grow.
const UPLOAD: usize = 2 << 20;

fn uploads_that_hold_all_buffers_hold_up_new_clients_only(tier: Tier) {
    let _alone = alone();
    let gate = Gate::shut();
    let held_back = gate.clone();
    let origin = Origin::unix(move |conn| serve(conn, &held_back));
    let ring = format!("[ring]\ntier = \"{tier}\"\nbuffers = 16");
    let copied = "[splice]\nenabled = false";
    let proxy = Config::new(tier).origin("app", &origin).toml(&ring).toml(copied).start();
    let address = proxy.address();
    let mut running = running(&proxy, 4);
    let uploading = (0..UPLOADS).map(|_| {
        let mut client = proxy.client();
        thread::spawn(move || {
            client.send(post("/", vec![b'x'; UPLOAD]));
            client.response()
        })
    });
    let uploading: Vec<_> = uploading.collect();
    let mut waiting = Vec::new();
    wait_until("new clients have to wait", || {
        waiting.append(&mut newcomers(&proxy, 2, LAST_GET));
        wait_until_steady("those who wait", || proxy.accept_queue(&address)) >= 3
    });
    proxy.assert_does_not_spin(WATCHED);
    assert_goes_on(&mut running);
    assert!(proxy.accept_queue(&address) >= 3, "they still wait");
    let (held, most) = (proxy.resident(), most_memory(100, 16));
    assert!(held < most, "{held} of {most} bytes");
    gate.open();
    for upload in uploading {
        assert_eq!(upload.join().expect("a client").text(), "answer");
    }
    // From here on nothing is short.
    assert_answered_soon(waiting);
    assert_goes_on(&mut running);
}
