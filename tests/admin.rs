//! The admin address: who may ask what there, and that it is there.

#[macro_use]
mod support;

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;
use support::*;

tiered! {
    a_token_guards_changes,
    who_only_looks_needs_no_token_file,
    without_a_token_tcp_only_shows,
    pages_of_other_sites_change_nothing,
    requests_that_make_no_sense_are_answered,
    a_unix_socket_has_its_mode_and_goes_with_the_process,
    it_stays_over_a_reload,
    it_moves_with_a_reload,
    an_address_that_is_taken_refuses_the_reload,
    slow_clients_keep_nobody_waiting,
    many_who_ask_at_once_are_answered_in_few_rounds,
    it_is_passed_on_at_an_upgrade,
    a_tcp_address_is_passed_on_too,
    an_upgrade_may_drop_it,
}

const TOKEN: &str = "0123456789abcdef0123";
const RIGHT: (&str, &str) = ("Authorization", "Bearer 0123456789abcdef0123");
const WRONG: (&str, &str) = ("Authorization", "Bearer 0123456789abcdef0124");

fn saying(tier: Tier, text: &str) -> Config {
    Config::new(tier).saying(text)
}

fn tcp(tier: Tier, token: &str) -> Config {
    saying(tier, "one").toml(&format!("[admin]\naddress = \"127.0.0.1:0\"\n{token}"))
}

fn a_token_guards_changes(tier: Tier) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, token: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, format!("{token}\n")).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("its owner");
        path.to_str().expect("a plain path").to_owned()
    };
    let (right, wrong) = (file("right", TOKEN), file("wrong", "0123456789abcdefghij"));
    let proxy = tcp(tier, &format!("token_file = {right:?}")).start();
    let address = admin_address(&proxy);
    let status = |method, fields: &[_]| ask(&address, method, "/v1/reload", fields).status;
    assert_eq!(status("GET", &[]), 200);
    // What only shows is shown, but not to who has another token.
    for path in ["/", "/v1/live?once", "/v1/config"] {
        assert_eq!(ask(&address, "GET", path, &[]).status, 200, "{path}");
        assert_eq!(ask(&address, "GET", path, &[WRONG]).status, 401, "{path}");
        assert_eq!(ask(&address, "POST", path, &[RIGHT]).status, 405, "{path}");
    }
    assert_eq!(status("GET", &[WRONG]), 401);
    let refused = ask(&address, "POST", "/v1/reload", &[]);
    assert_eq!((refused.status, refused.fields.get("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(status("POST", &[WRONG]), 401);
    assert_eq!(status("POST", &[RIGHT]), 200);
    let admin = address.to_string();
    let ctl = |arguments: &[&str]| corelane(&[arguments, &["--admin", &admin]].concat());
    assert!(ctl(&["ctl", "routes"]).status.success());
    for (arguments, code, said) in [
        (vec!["reload"], 1, "corelane: this needs the token of [admin]"),
        (vec!["reload", "--token-file", &wrong], 1, "corelane: the token is wrong\n"),
        (vec!["reload", "--token-file", &right], 0, ""),
        (vec!["reload", "--token-file", "/nowhere/token"], 3, "corelane: the token file"),
    ] {
        let exit = ctl(&arguments);
        assert_eq!(exit.status.code(), Some(code), "{exit:?}");
        assert!(exit.stderr.starts_with(said), "{exit:?}");
    }
    assert!(!proxy.stderr().contains(TOKEN));
}

fn who_only_looks_needs_no_token_file(tier: Tier) {
    let proxy = tcp(tier, &format!("token = {TOKEN:?}")).start();
    let address = admin_address(&proxy);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("config.toml");
    // That a user may not read it comes to the same, but for root.
    let text = format!("[admin]\naddress = \"{address}\"\ntoken_file = \"none\"\n");
    std::fs::write(&file, text).expect("a file");
    let config = file.to_str().expect("a plain path");
    let ctl = |command: &str| corelane(&["ctl", command, "-c", config]);
    for command in ["listeners", "routes", "upstreams", "servers", "counters"] {
        let exit = ctl(command);
        assert!(exit.status.success() && exit.stderr.is_empty(), "{command}: {exit:?}");
    }
    for command in ["reset", "reload"] {
        let exit = ctl(command);
        assert_eq!(exit.status.code(), Some(3), "{exit:?}");
        assert!(exit.stderr.contains("none` cannot be read"), "{exit:?}");
    }
}

fn without_a_token_tcp_only_shows(tier: Tier) {
    let proxy = tcp(tier, "").start();
    let address = admin_address(&proxy);
    assert_eq!(ask(&address, "GET", "/v1/routes", &[]).status, 200);
    for (method, path) in
        [("POST", "/v1/reload"), ("POST", "/v1/counters/reset"), ("PATCH", "/v1/servers")]
    {
        let answer = ask(&address, method, path, &[RIGHT]);
        assert_eq!(answer.status, 403, "{method} {path}");
        assert!(answer.text().contains("without a token"), "{}", answer.text());
    }
    assert!(!proxy.stderr().contains("reload"));
}

fn pages_of_other_sites_change_nothing(tier: Tier) {
    let proxy = tcp(tier, &format!("token = {TOKEN:?}")).start();
    let address = admin_address(&proxy);
    let post = |field| ask(&address, "POST", "/v1/counters/reset", &[RIGHT, field]).status;
    assert_eq!(post(("Origin", "https://evil.example")), 403);
    assert_eq!(post(("Origin", "null")), 403);
    assert_eq!(post(("Sec-Fetch-Site", "cross-site")), 403);
    assert_eq!(post(("Sec-Fetch-Site", "same-site")), 403);
    assert_eq!(post(("Sec-Fetch-Site", "same-origin")), 200);
    assert_eq!(post(("Origin", "http://localhost")), 200);
    // A name that was made to point here.
    let get = |host| ask(&address, "GET", "/v1/servers", &[("Host", host)]);
    let rebound = get("rebound.example:9900");
    assert_eq!(rebound.status, 403);
    assert!(rebound.text().contains("the Host of the request is not this address"));
    assert_eq!(get(&address.to_string()).status, 200);
    // None of it is an invitation to browsers.
    let preflight = [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "POST")];
    let answer = ask(&address, "OPTIONS", "/v1/reload", &preflight);
    assert!(answer.status >= 400);
    assert_eq!(answer.fields.get("access-control-allow-origin"), None);
}

fn requests_that_make_no_sense_are_answered(tier: Tier) {
    let admin = Admin::new();
    let proxy = saying(tier, "one").toml(&admin.toml()).start();
    let address = admin.address();
    let get = |path| ask(&address, "GET", path, &[]);
    assert_eq!(get("/index.html").status, 404);
    assert!(get("/v2/routes").text().starts_with("{\"error\":\"there is nothing at /v2/routes"));
    assert_eq!(get("/v1/servers?x=y").status, 400);
    assert_eq!(get("/v1/servers?upstream=none").status, 404);
    let wrong = ask(&address, "DELETE", "/v1/listeners", &[]);
    assert_eq!((wrong.status, wrong.fields.get("allow")), (405, Some("GET,HEAD")));
    let patch = |body: &str| {
        let length = body.len();
        let head = "PATCH /v1/servers HTTP/1.1\r\nHost: localhost\r\n";
        let request = format!("{head}Content-Length: {length}\r\n\r\n{body}");
        Client::connect(&address).request(request)
    };
    assert_eq!(patch("{}").status, 400);
    assert_eq!(patch("nonsense").status, 400);
    assert_eq!(patch(&"x".repeat(17 << 10)).status, 400);
    let answer = patch("{\"upstream\":\"a\",\"server\":\"b:1\",\"state\":\"up\"}");
    assert_eq!(answer.status, 404);
    assert_eq!(answer.fields.get("content-type"), Some("application/json"));
    assert_eq!(answer.fields.get("cache-control"), Some("no-store"));
    assert_eq!(proxy.get("/").text(), "one");
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("its file").permissions().mode() & 0o7777
}

fn a_unix_socket_has_its_mode_and_goes_with_the_process(tier: Tier) {
    let admin = Admin::new();
    let proxy = saying(tier, "one").toml(&admin.toml()).start();
    assert_eq!(mode(&admin.path()), 0o600);
    proxy.reload(&saying(tier, "one").toml(&format!("{}\nmode = \"0666\"", admin.toml())));
    assert_eq!(mode(&admin.path()), 0o666);
    assert!(admin.ctl(&["routes"]).contains("respond"));
    proxy.terminate();
    assert!(!admin.path().exists());
    // What a process that was killed left behind is in nobody's way.
    let stale = std::os::unix::net::UnixListener::bind(admin.path()).expect("a socket");
    drop(stale);
    let with_mode = format!("{}\nmode = \"0660\"", admin.toml());
    let proxy = saying(tier, "one").toml(&with_mode).start();
    assert_eq!(mode(&admin.path()), 0o660);
    // And what somebody listens on is theirs.
    let second = saying(tier, "two").toml(&admin.toml()).run_to_end(&["run"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(second.stderr.contains("another process listens there"), "{}", second.stderr);
    assert!(admin.ctl(&["routes"]).contains("respond"));
    proxy.terminate();
}

fn it_stays_over_a_reload(tier: Tier) {
    let admin = Admin::new();
    let config = |text: &str| saying(tier, text).shards(2).toml(&admin.toml());
    let proxy = config("one").start();
    let inode = || std::fs::metadata(admin.path()).expect("its file").ino();
    let before = inode();
    let over = Over::default();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.is_so() {
                    assert_eq!(ask(&admin.address(), "GET", "/v1/routes", &[]).status, 200);
                }
            });
        }
        let _end = over.at_the_end();
        for text in ["two", "three", "four"] {
            proxy.reload(&config(text));
            assert_eq!(proxy.get("/").text(), text);
        }
    });
    assert_eq!(inode(), before);
}

fn it_moves_with_a_reload(tier: Tier) {
    let [first, second] = [Admin::new(), Admin::new()];
    let proxy = saying(tier, "one").start();
    proxy.rewrite(&saying(tier, "two").toml(&first.toml()));
    proxy.signal(Signal::HUP);
    proxy.await_stderr("admin on unix:");
    wait_until("it is served", || first.run(&["ctl", "routes"]).status.success());
    proxy.rewrite(&saying(tier, "three").toml(&second.toml()));
    // Who asks for it at the old address hears of it there.
    assert_eq!(first.ctl(&["reload"]), "reloaded:\n  route * / changed\n  [admin] changed\n");
    assert!(second.ctl(&["routes"]).contains("respond"));
    assert_eq!(first.run(&["ctl", "routes"]).status.code(), Some(3));
    assert!(!first.path().exists());
    proxy.rewrite(&saying(tier, "four"));
    second.ctl(&["reload"]);
    assert_eq!(second.run(&["ctl", "routes"]).status.code(), Some(3));
    assert!(!second.path().exists());
    assert_eq!(proxy.get("/").text(), "four");
}

fn an_address_that_is_taken_refuses_the_reload(tier: Tier) {
    let admin = Admin::new();
    let stranger = Origin::named("stranger");
    let proxy = saying(tier, "one").toml(&admin.toml()).start();
    let taken = format!("[admin]\naddress = \"{}\"", stranger.address());
    proxy.rewrite(&saying(tier, "two").listener("[::1]:0").toml(&taken));
    let exit = admin.run(&["reload"]);
    assert_eq!(exit.status.code(), Some(1));
    assert!(exit.stderr.contains("the port is in use"), "{}", exit.stderr);
    assert_eq!(proxy.get("/").text(), "one");
    assert!(admin.ctl(&["listeners"]).contains("127.0.0.1:0"));
}

fn slow_clients_keep_nobody_waiting(tier: Tier) {
    let admin = Admin::new();
    let origin = Origin::named("app");
    let proxy = Config::new(tier).origin("app", &origin).toml(&admin.toml()).start();
    let address = admin.address();
    // More than are served at once: silent, with half a head, with half a body, without reading.
    let mut slow: Vec<Client> = (0..40).map(|_| Client::connect(&address)).collect();
    for (number, client) in slow.iter_mut().enumerate() {
        // Of those that were closed for others, some cannot send any more.
        let _ = match number % 4 {
            0 => Ok(()),
            1 => client.try_send("GET /v1/rou"),
            2 => client
                .try_send("PATCH /v1/servers HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"),
            _ => client.try_send("GET /v1/counters HTTP/1.1\r\nHost: x\r\n\r\n"),
        };
    }
    for _ in 0..10 {
        let (took, answer) = timed(|| ask(&address, "GET", "/v1/servers", &[]));
        assert_eq!(answer.status, 200);
        assert!(took < ms(3_000), "{took:?}");
        assert_eq!(proxy.get("/").text(), "app");
    }
    proxy.assert_does_not_spin(ms(300));
    // A silent one is let go after its time.
    let mut silent = Client::connect(&address);
    silent.patience(ms(20_000));
    let (bytes, end) = silent.rest();
    assert!(end.is_over(), "{end:?} after {} bytes", bytes.len());
}

/// More than are served at once ask what all shards are to be asked for.
fn many_who_ask_at_once_are_answered_in_few_rounds(tier: Tier) {
    const ASKING: usize = 200;
    let admin = Admin::new();
    let origin = Origin::named("app");
    let config = Config::new(tier).shards(2).origin("app", &origin).toml(&admin.toml());
    let proxy = config.toml("[log]\nlevel = \"debug\"").start();
    let address = admin.address();
    let begun = AtomicUsize::new(0);
    // They all wait when the proxy goes on.
    proxy.signal(Signal::STOP);
    let (took, ()) = timed(|| {
        thread::scope(|scope| {
            for _ in 0..ASKING {
                scope.spawn(|| {
                    begun.fetch_add(1, Ordering::Relaxed);
                    let answer = ask(&address, "GET", "/v1/servers", &[]);
                    assert_eq!(answer.status, 200);
                    assert!(answer.text().contains("\"requests\":0"), "{}", answer.text());
                });
            }
            wait_until("all ask", || begun.load(Ordering::Relaxed) == ASKING);
            proxy.signal(Signal::CONT);
        });
    });
    let rounds = proxy.stderr().matches("shards are asked for reports").count();
    // One in 5 ms at most.
    let most = took.as_millis() as usize / 5 + 1;
    assert!((1..=most).contains(&rounds), "{rounds} rounds in {took:?}");
    // One who asks afterwards hears the latest.
    assert_eq!(proxy.get("/").text(), "app");
    wait_until("the request is over", || {
        ask(&address, "GET", "/v1/servers", &[]).text().contains("\"requests\":1")
    });
}

fn process(address: &Address) -> String {
    let answer = ask(address, "GET", "/v1", &[]);
    assert_eq!(answer.status, 200);
    let about: serde_json::Value = serde_json::from_str(answer.text()).expect("JSON");
    about["process"].to_string()
}

fn it_is_passed_on_at_an_upgrade(tier: Tier) {
    let admin = Admin::new();
    let config = |text: &str| saying(tier, text).toml(&admin.toml());
    let proxy = config("one").start();
    let address = admin.address();
    assert_eq!(process(&address), proxy.pid().to_string());
    // A start that fails takes nothing away.
    proxy.rewrite(&config("bad").toml("[nonsense]\na = 1"));
    proxy.signal(Signal::USR2);
    proxy.await_stderr("no upgrade");
    assert_eq!(process(&address), proxy.pid().to_string());
    proxy.rewrite(&config("two"));
    let over = Over::default();
    let successor = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.is_so() {
                process(&address);
            }
        });
        let _end = over.at_the_end();
        let successor = proxy.upgrade();
        let number = successor.number().to_string();
        wait_until("the new process answers", || process(&address) == number);
        assert!(proxy.wait_without_output().success());
        assert_eq!(process(&address), number);
        successor
    });
    let kind = std::fs::metadata(admin.path()).expect("its file").file_type();
    assert!(kind.is_socket());
    assert_eq!(mode(&admin.path()), 0o600);
    assert!(admin.ctl(&["reset"]).contains("connections accepted"), "it may be changed");
    successor.terminate();
    wait_until("the file goes with the last process", || !admin.path().exists());
}

/// Both its listener and this have port 0: they must not be taken for each other.
fn a_tcp_address_is_passed_on_too(tier: Tier) {
    let proxy = tcp(tier, "").shards(2).start();
    let (address, listener) = (admin_address(&proxy), proxy.address());
    let successor = proxy.upgrade();
    assert!(proxy.wait_without_output().success());
    assert_eq!(process(&address), successor.number().to_string());
    assert_eq!(Client::connect(&listener).get("/").text(), "one");
    successor.terminate();
}

fn an_upgrade_may_drop_it(tier: Tier) {
    let admin = Admin::new();
    let proxy = saying(tier, "one").toml(&admin.toml()).start();
    let listener = proxy.address();
    proxy.rewrite(&saying(tier, "two"));
    let successor = proxy.upgrade();
    assert!(proxy.wait_without_output().success());
    assert!(!admin.path().exists());
    assert_eq!(Client::connect(&listener).get("/").text(), "two");
    successor.terminate();
}

#[test]
fn a_public_address_needs_a_token() {
    let config = saying(tiers()[0], "one").toml("[admin]\naddress = \"0.0.0.0:0\"");
    for command in ["run", "check"] {
        let exit = config.run_to_end(&[command]);
        assert_eq!(exit.status.code(), Some(1));
        let sentence = "0.0.0.0:0 can be reached from other machines, and there is no token";
        assert!(exit.stderr.contains(sentence), "{}", exit.stderr);
    }
}
