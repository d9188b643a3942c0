//! The access log: what its lines say, that no client can forge one, and that none is lost.

#[macro_use]
mod support;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use rustix::process::Signal;
use serde_json::Value;
use support::*;

tiered! {
    the_combined_format_is_that_of_nginx,
    json_lines_hold_each_phase,
    a_format_of_ones_own,
    whatever_becomes_of_a_request_it_has_a_line,
    what_the_end_of_the_process_cuts_off_has_a_line,
    no_client_forges_a_line,
    a_retry_is_told,
    what_cannot_be_written_is_counted,
    rotation_loses_and_doubles_no_line,
    a_reload_changes_format_and_file,
    a_drain_writes_the_last_lines,
    both_processes_of_an_upgrade_log,
    a_sample_holds_every_error,
    lines_go_to_syslog,
    lines_go_to_standard_output,
    a_route_may_be_left_out,
    a_log_that_cannot_be_opened_is_refused,
}

fn logging(tier: Tier, settings: &str) -> Config {
    Config::new(tier).toml(&format!("[access_log]\nto = \"access.log\"\n{settings}"))
}

/// Every request is answered by the proxy itself.
fn answering(config: Config) -> Config {
    config.route("path = \"/\"\nrespond = { status = 200, body = \"hello\" }")
}

/// The whole lines of a file.
fn lines_of(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(str::to_owned).collect()
}

fn count(path: &Path) -> usize {
    fs::read(path).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count()
}

/// Waits for so many lines, and for no more.
#[track_caller]
fn await_lines(proxy: &Proxy, expected: usize) -> Vec<String> {
    let path = proxy.dir().join("access.log");
    wait_until("all lines are there", || count(&path) >= expected);
    let lines = lines_of(&path);
    assert_eq!(lines.len(), expected, "{lines:#?}");
    lines
}

/// What the report says of lost lines.
fn lost(proxy: &Proxy) -> u64 {
    proxy.usage().of("access log lines lost")
}

fn the_combined_format_is_that_of_nginx(tier: Tier) {
    let origin = Origin::saying(ok("twelve bytes"));
    let proxy = logging(tier, "").origin("app", &origin).start();
    let mut client = proxy.client();
    client.request(
        "GET /a%20b?c=d HTTP/1.1\r\nHost: test\r\nReferer: http://r/\r\nUser-Agent: me/1\r\n\
         Authorization: Basic dXNlcjpwYXNz\r\n\r\n",
    );
    client.request("HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let expected = [
        ("127.0.0.1 - user [", "] \"GET /a%20b?c=d HTTP/1.1\" 200 12 \"http://r/\" \"me/1\""),
        ("127.0.0.1 - - [", "] \"HEAD / HTTP/1.0\" 200 0 \"-\" \"-\""),
    ];
    for (line, (before, behind)) in await_lines(&proxy, 2).iter().zip(expected) {
        let time = line.strip_prefix(before).and_then(|rest| rest.strip_suffix(behind));
        let time = time.unwrap_or_else(|| panic!("{line}"));
        assert_eq!(time.len(), "21/Nov/2026:22:27:52 +0000".len(), "{line}");
        assert_eq!((time.as_bytes()[11], time.as_bytes()[20]), (b':', b' '), "{line}");
    }
}

fn json_lines_hold_each_phase(tier: Tier) {
    let origin = Origin::saying(ok("hello"));
    let proxy = logging(tier, "format = \"json\"").origin("app", &origin).start();
    let mut client = proxy.client();
    client.post("/x?y", "abc");
    client.get("/own");
    let lines = await_lines(&proxy, 2);
    let line: Value = serde_json::from_str(&lines[0]).expect("JSON");
    let server = origin.address().to_string();
    for (key, expected) in [
        ("client", "127.0.0.1".into()),
        ("method", "POST".into()),
        ("host", "test".into()),
        ("uri", "/x?y".into()),
        ("protocol", "HTTP/1.1".into()),
        ("status", 200.into()),
        ("bytes", 5.into()),
        ("request_bytes", 3.into()),
        ("referer", Value::Null),
        ("user_agent", Value::Null),
        ("route", "* /".into()),
        ("upstream", "app".into()),
        ("server", Value::from(server)),
        ("attempts", 1.into()),
        ("trace_id", Value::Null),
        ("span_id", Value::Null),
    ] {
        assert_eq!(line[key], expected, "{key}: {line}");
    }
    assert_eq!(line["request_id"].as_str().expect("an id").len(), 16);
    let phases = ["head", "queue", "connect", "first_byte", "body"];
    let seconds = |key: &str| line[key].as_f64().unwrap_or_else(|| panic!("{key}: {line}"));
    let sum: f64 = phases.iter().map(|phase| seconds(phase)).sum();
    assert!((sum - seconds("total")).abs() < 1e-5, "{line}");
    assert!(seconds("first_byte") > 0.0 && sum < 10.0, "{line}");
}

fn a_format_of_ones_own(tier: Tier) {
    let origin = Origin::saying(ok("hello"));
    let format = "format = '$request_method $request_uri $uri|$args|$host $status \
                  $body_bytes_sent $http_x_id ${upstream}/$server $route $attempts'";
    let config = logging(tier, format).upstream("app", &[origin.server()], "");
    let proxy = config.route("name = \"all\"\nupstream = \"app\"").start();
    let mut client = proxy.client();
    client.request("GET /a?b=c HTTP/1.1\r\nHost: x.org:80\r\nX-Id: 7\r\n\r\n");
    client.request("DELETE http://y.org/a HTTP/1.1\r\nHost: y.org\r\n\r\n");
    let server = origin.address();
    assert_eq!(
        await_lines(&proxy, 2),
        [
            format!("GET /a?b=c /a|b=c|x.org 200 5 7 app/{server} all 1"),
            format!("DELETE http://y.org/a http://y.org/a|-|y.org 200 5 - app/{server} all 1"),
        ]
    );
}

fn whatever_becomes_of_a_request_it_has_a_line(tier: Tier) {
    let gate = Gate::shut();
    let (waiting, refusing, broken) =
        (origin_waits_for(&gate), origin_refuses(), origin_closes_mid_body());
    let mut config = logging(tier, "format = '$status $body_bytes_sent \"$request\" $attempts'");
    for (name, server) in [
        ("waiting", waiting.server()),
        ("refusing", refusing.server()),
        ("broken", broken.server()),
    ] {
        config = config.upstream(name, &[server], "");
        config = config.route(&format!("path = \"/{name}\"\nupstream = {name:?}"));
    }
    let own = "path = \"/own\"\nrespond = { status = 200, body = \"own\" }";
    let proxy = config.route(own).toml("[timeouts]\nheader = \"300ms\"").start();
    assert_eq!(proxy.get("/own").status, 200);
    assert_eq!(await_lines(&proxy, 1)[0], "200 3 \"GET /own HTTP/1.1\" 0");
    assert_eq!(proxy.get("/none").status, 404);
    assert!(await_lines(&proxy, 2)[1].starts_with("404 "));
    assert_eq!(proxy.get("/refusing").status, 502);
    let line = &await_lines(&proxy, 3)[2];
    assert!(line.starts_with("502 ") && line.ends_with(" \"GET /refusing HTTP/1.1\" 1"), "{line}");
    // nginx's number for a client that left.
    let mut client = proxy.client();
    client.send("GET /waiting HTTP/1.1\r\nHost: test\r\n\r\n");
    waiting.await_connections(1);
    client.reset_on_close();
    drop(client);
    assert_eq!(await_lines(&proxy, 4)[3], "499 0 \"GET /waiting HTTP/1.1\" 1");
    // A response that the server broke off.
    let mut client = proxy.client();
    client.send("GET /broken HTTP/1.1\r\nHost: test\r\n\r\n");
    assert!(client.try_response().expect("a head").broken.is_some());
    assert_eq!(await_lines(&proxy, 5)[4], "200 9 \"GET /broken HTTP/1.1\" 1");
    // No request at all.
    assert_eq!(proxy.client().request("\x16\x03\x01\x02\r\n\r\n").status, 400);
    let line = &await_lines(&proxy, 6)[5];
    assert!(line.starts_with("400 ") && line.ends_with(" \"\\x16\\x03\\x01\\x02\" 0"), "{line}");
    // Half of one.
    let mut client = proxy.client();
    client.send("GET /half HTTP/1.1\r\nHost");
    assert_eq!(client.response().status, 408);
    let line = &await_lines(&proxy, 7)[6];
    assert!(line.starts_with("408 ") && line.ends_with(" \"GET /half HTTP/1.1\" 0"), "{line}");
    gate.open();
}

fn what_the_end_of_the_process_cuts_off_has_a_line(tier: Tier) {
    let (gate, streams) = (Gate::shut(), origin_streams(1 << 30));
    let waiting = origin_waits_for(&gate);
    let config = logging(tier, "format = '$status \"$request\" $upstream'");
    let config = config.upstream("waiting", &[waiting.server()], "");
    let config = config.upstream("streams", &[streams.server()], "");
    let config = config.route("path = \"/streams\"\nupstream = \"streams\"");
    let route = "path = \"/waiting\"\nupstream = \"waiting\"";
    let proxy = config.route(route).toml("[timeouts]\ndrain = \"300ms\"").start();
    let log = proxy.dir().join("access.log");
    let mut clients = [proxy.client(), proxy.client()];
    clients[0].send("GET /waiting HTTP/1.1\r\nHost: test\r\n\r\n");
    clients[1].send("GET /streams HTTP/1.1\r\nHost: test\r\n\r\n");
    waiting.await_requests(1);
    clients[1].response_head("GET").expect("a head");
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("kept.log");
    std::fs::hard_link(&log, &copy).expect("a second name");
    proxy.signal(rustix::process::Signal::TERM);
    let exit = proxy.wait();
    assert_eq!(exit.status.code(), Some(0));
    let mut lines = lines_of(&copy);
    lines.sort();
    assert_eq!(
        lines,
        ["200 \"GET /streams HTTP/1.1\" streams", "503 \"GET /waiting HTTP/1.1\" waiting"]
    );
    assert!(exit.stderr.contains("drain timeout"), "{}", exit.stderr);
    gate.open();
}

fn no_client_forges_a_line(tier: Tier) {
    for format in ["combined", "json"] {
        let config = answering(logging(tier, &format!("format = {format:?}")));
        let proxy = config.shards(1).start();
        let agent = b"x\" 200 1\\n\\x22\xff\xfe\t\xc3\xa9 {\"status\":200}";
        let request = [
            &b"GET /' HTTP/1.1\r\nHost: test\r\nUser-Agent: "[..],
            agent,
            b"\r\nReferer: \"\\\"\r\n\r\n",
        ]
        .concat();
        assert_eq!(proxy.client().request(&request).status, 200);
        for broken in [
            "GET /\n127.0.0.1 - - [x] \"GET /forged\" 200 HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\r\nforged 200\r\n\r\n",
            "\u{1b}[2J\u{7}\" 200\r\n\r\n",
        ] {
            assert_eq!(proxy.client().request(broken).status, 400);
        }
        let lines = await_lines(&proxy, 4);
        for line in &lines {
            match format {
                "json" => {
                    let value: Value = serde_json::from_str(line).expect(line);
                    assert_eq!(value.as_object().expect("an object").len(), 24, "{line}");
                }
                _ => {
                    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
                    assert_eq!(line.matches('"').count(), 6, "{line}");
                    assert!(line.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{line}");
                }
            }
        }
    }
}

fn a_retry_is_told(tier: Tier) {
    let bad = Origin::saying(response(503, &[], "no"));
    let good = Origin::saying(ok("good"));
    let servers = [bad.server(), good.server_with("backup = true")];
    let proxy = logging(tier, "format = '$status $attempts $upstream_addr'")
        .upstream("app", &servers, "retry = { on = [503] }")
        .start();
    assert_eq!(proxy.get("/").status, 200);
    assert_eq!(await_lines(&proxy, 1), [format!("200 2 {}", good.address())]);
}

fn what_cannot_be_written_is_counted(tier: Tier) {
    const REQUESTS: u64 = 1500;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a FIFO");
    // Somebody has it open, and does not read.
    let reader = open(&path, OFlags::RDWR | OFlags::NONBLOCK, Mode::empty());
    let mut reader = File::from(reader.expect("the FIFO"));
    let log = format!("[access_log]\nto = {path:?}\nbuffer = \"4KiB\"\nformat = \"json\"");
    let proxy = answering(Config::new(tier).endless().toml(&log)).start();
    let mut client = proxy.client();
    // Requests are served as if nothing were wrong.
    (0..REQUESTS).for_each(|_| assert_eq!(client.get("/").status, 200));
    let lost = lost(&proxy);
    assert!(lost > 100, "{lost} of {REQUESTS}");
    drop(client);
    // What was not lost is there, whole, once it is read.
    let mut text = String::new();
    let mut bytes = vec![0; 1 << 16];
    wait_until("all lines are read", || {
        while let Ok(n @ 1..) = reader.read(&mut bytes) {
            text.push_str(std::str::from_utf8(&bytes[..n]).expect("ASCII"));
        }
        text.matches('\n').count() as u64 == REQUESTS - lost
    });
    let whole = |line: &str| serde_json::from_str::<Value>(line).is_ok();
    assert!(text.lines().all(whole));
}

fn rotation_loses_and_doubles_no_line(tier: Tier) {
    let config = answering(logging(tier, "format = '$request_uri'\nbuffer = \"4KiB\""));
    let proxy = config.endless().shards(2).start();
    let (over, served) = (Over::default(), AtomicU64::new(0));
    let log = proxy.dir().join("access.log");
    let old = |number: usize| proxy.dir().join(format!("access.log.{number}"));
    thread::scope(|scope| {
        for number in 0..2 {
            let (proxy, over, served) = (&proxy, &over, &served);
            scope.spawn(move || {
                let mut client = proxy.client();
                for count in 0.. {
                    if over.is_so() {
                        return;
                    }
                    assert_eq!(client.get(&format!("/{number}/{count}")).status, 200);
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _ending = over.at_the_end();
        for number in 0..3 {
            wait_until("there are lines", || count(&log) > 20);
            fs::rename(&log, old(number)).expect("a log to rotate");
            proxy.signal(Signal::USR1);
            wait_until("there is a new file", || log.exists());
        }
    });
    let served = served.load(Ordering::Relaxed) as usize;
    let files = [old(0), old(1), old(2), log];
    wait_until("all lines are there", || {
        files.iter().map(|file| count(file)).sum::<usize>() >= served
    });
    let lines: Vec<String> = files.iter().flat_map(|file| lines_of(file)).collect();
    assert_eq!(lines.len(), served);
    // Those of each connection in their order, from file to file.
    for client in 0..2 {
        let prefix = format!("/{client}/");
        let own = lines.iter().filter_map(|line| line.strip_prefix(&prefix));
        let numbers: Vec<usize> = own.map(|number| number.parse().expect("a number")).collect();
        assert!(numbers.iter().copied().eq(0..numbers.len()), "{numbers:?}");
    }
    assert_eq!(lost(&proxy), 0);
}

fn a_reload_changes_format_and_file(tier: Tier) {
    let log = |to: &str, format: &str| {
        let text = format!("[access_log]\nto = {to:?}\nformat = '{format} $request_uri'");
        answering(Config::new(tier).toml(&text))
    };
    let proxy = log("one.log", "old").start();
    let mut client = proxy.client();
    let [one, two] = ["one.log", "two.log"].map(|name| proxy.dir().join(name));
    client.get("/1");
    proxy.reload(&log("one.log", "new"));
    client.get("/2");
    proxy.reload(&log("two.log", "new"));
    client.get("/3");
    wait_until("each line is in its file", || (count(&one), count(&two)) == (2, 1));
    assert_eq!(lines_of(&one), ["old /1", "new /2"]);
    assert_eq!(lines_of(&two), ["new /3"]);
    // What cannot be opened changes nothing.
    proxy.rewrite(&log("none/three.log", "x"));
    proxy.signal(Signal::HUP);
    let line = proxy.await_stderr("cannot be opened");
    assert!(line.contains("none/three.log") && line.contains("create its folder"), "{line}");
    client.get("/4");
    wait_until("it is in the old file", || count(&two) == 2);
    // Without a log nothing is written, and with one again it is.
    proxy.reload(&answering(Config::new(tier)));
    client.get("/5");
    proxy.reload(&log("two.log", "again"));
    client.get("/6");
    wait_until("it is in the file", || count(&two) == 3);
    assert_eq!(lines_of(&two), ["new /3", "new /4", "again /6"]);
}

fn a_drain_writes_the_last_lines(tier: Tier) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("access.log");
    let log = format!("[access_log]\nto = {path:?}\nformat = '$request_uri'");
    let gate = Gate::shut();
    let origin = origin_waits_for(&gate);
    let proxy = Config::new(tier).toml(&log).origin("app", &origin).shards(2).start();
    let mut clients: Vec<Client> = (0..8).map(|_| proxy.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(format!("GET /{number} HTTP/1.1\r\nHost: test\r\n\r\n"));
    }
    origin.await_connections(8);
    proxy.signal(Signal::TERM);
    proxy.await_stderr("draining");
    gate.open();
    clients.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    drop(clients);
    assert!(proxy.wait().status.success());
    let mut lines = lines_of(&path);
    lines.sort();
    assert_eq!(lines, (0..8).map(|number| format!("/{number}")).collect::<Vec<_>>());
}

fn both_processes_of_an_upgrade_log(tier: Tier) {
    let gate = Gate::shut();
    let origin = origin_waits_for(&gate);
    let config = |name: &str| {
        logging(tier, &format!("format = '{name} $request_uri'")).origin("app", &origin)
    };
    let proxy = config("old").start();
    let (address, path) = (proxy.address(), proxy.dir().join("access.log"));
    let mut held = proxy.client();
    held.send("GET /held HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.await_connections(1);
    proxy.rewrite(&config("new"));
    let successor = proxy.upgrade();
    gate.open();
    assert_eq!(held.response().status, 200);
    drop(held);
    wait_until("the old line is there", || lines_of(&path) == ["old /held"]);
    assert_eq!(Client::connect(&address).get("/next").status, 200);
    wait_until("the new one is", || count(&path) == 2);
    assert_eq!(lines_of(&path), ["old /held", "new /next"]);
    successor.terminate();
    assert!(proxy.wait_without_output().success());
}

fn a_sample_holds_every_error(tier: Tier) {
    let config = logging(tier, "sample = \"1 in 4\"\nformat = '$status'").endless();
    let proxy = config.route("path = \"/ok\"\nrespond = { status = 200 }").start();
    let mut client = proxy.client();
    for _ in 0..400 {
        assert_eq!(client.get("/ok").status, 200);
    }
    for _ in 0..20 {
        assert_eq!(client.get("/none").status, 404);
    }
    let path = proxy.dir().join("access.log");
    wait_until("the errors are there", || {
        lines_of(&path).iter().filter(|line| **line == "404").count() == 20
    });
    // By chance: less, or more, once in many billion times.
    let sampled = lines_of(&path).iter().filter(|line| **line == "200").count();
    assert!((40..=170).contains(&sampled), "{sampled}");
    assert_eq!(lost(&proxy), 0, "what is not in the sample is not lost");
}

fn lines_go_to_syslog(tier: Tier) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log");
    let daemon = UnixDatagram::bind(&path).expect("a socket");
    daemon.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let log = format!("[access_log]\nto = \"syslog:unix:{}\"", path.display());
    let proxy = answering(Config::new(tier).toml(&format!("{log}\nformat = 'said $uri'"))).start();
    proxy.get("/a");
    proxy.get("/b");
    let receive = |daemon: &UnixDatagram| {
        let mut message = [0; 2000];
        let n = daemon.recv(&mut message).expect("a message");
        String::from_utf8(message[..n].to_vec()).expect("ASCII")
    };
    for expected in [" corelane: said /a", " corelane: said /b"] {
        let message = receive(&daemon);
        // <190>Nov 21 22:27:52 host corelane: ...
        let rest = message.strip_prefix("<190>").unwrap_or_else(|| panic!("{message}"));
        assert_eq!((&rest[3..4], &rest[6..7], &rest[9..10], &rest[15..16]), (" ", " ", ":", " "));
        assert!(message.ends_with(expected) && !message.contains('\n'), "{message}");
    }
    // One that comes back is sent to again; what it missed is counted.
    drop(daemon);
    fs::remove_file(&path).expect("its file");
    proxy.get("/missed");
    proxy.await_stderr("the access log cannot be written");
    let daemon = UnixDatagram::bind(&path).expect("a socket");
    daemon.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    proxy.get("/c");
    assert!(receive(&daemon).ends_with("said /c"));
    assert_eq!(lost(&proxy), 1);
}

fn lines_go_to_standard_output(tier: Tier) {
    let log = "[access_log]\nto = \"stdout\"\nformat = 'got $uri'";
    let proxy = answering(Config::new(tier).toml(log)).start();
    proxy.get("/a");
    assert_eq!(proxy.await_stdout("got"), "got /a");
}

fn a_route_may_be_left_out(tier: Tier) {
    let proxy = answering(logging(tier, "format = '$uri'"))
        .route("path = \"/quiet\"\nrespond = { status = 200 }\naccess_log = false")
        .start();
    let mut client = proxy.client();
    for path in ["/a", "/quiet", "/quiet/x", "/b"] {
        assert_eq!(client.get(path).status, 200);
    }
    assert_eq!(await_lines(&proxy, 2), ["/a", "/b"]);
}

fn a_log_that_cannot_be_opened_is_refused(tier: Tier) {
    let exit = answering(Config::new(tier).toml("[access_log]\nto = \"none/access.log\""));
    let exit = exit.run_to_end(&["run"]);
    assert_eq!(exit.status.code(), Some(1));
    assert!(exit.stderr.contains("none/access.log cannot be opened"), "{}", exit.stderr);
    assert!(exit.stderr.contains("create its folder"), "{}", exit.stderr);
}
