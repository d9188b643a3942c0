//! Programs that were not written for these tests: nginx and Node as origins, curl and wrk as
//! clients. What is not installed is skipped with a line that says so.

#[macro_use]
mod support;

use std::fs;
use std::process::{Command, Stdio};

use support::*;

tiered! {
    nginx_serves_files_through_the_proxy,
    node_serves_through_the_proxy,
    node_closes_idle_connections_and_nobody_notices,
    curl_uploads_and_downloads,
    curl_speaks_every_dialect,
    wrk_meets_no_error,
}

/// Whether the program is there.
fn installed(program: &str) -> bool {
    let mut command = Command::new(program);
    let version = if program == "nginx" || program == "wrk" { "-v" } else { "--version" };
    let found = command.arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

/// A foreign origin, ended when dropped.
struct Program {
    _process: Proxy,
    _dir: tempfile::TempDir,
    port: u16,
}

impl Program {
    fn server(&self) -> String {
        format!("\"127.0.0.1:{}\"", self.port)
    }

    fn await_listening(self) -> Program {
        let address = format!("127.0.0.1:{}", self.port);
        wait_until("the program listens", || std::net::TcpStream::connect(&address).is_ok());
        self
    }
}

const FILE_LENGTH: usize = 8 << 20;

/// nginx with a file of the pattern of seed 9, and with SO_SNDBUF small enough to stall.
fn nginx() -> Program {
    let (dir, port) = (tempfile::tempdir().expect("a temporary directory"), free_port());
    let path = dir.path().display().to_string();
    fs::write(dir.path().join("big"), Pattern::new(9).take(FILE_LENGTH)).expect("a file");
    fs::write(dir.path().join("small"), "small").expect("a file");
    let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {path}/{name};"))
        .join(" ");
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let text = format!(
        "daemon off; master_process off; pid {path}/pid; error_log {path}/error.log; {user}
         events {{ }}
         http {{ access_log off; sendfile on; keepalive_requests 100000; {temp}
           server {{ listen 127.0.0.1:{port}; root {path};
             location /auth {{ return 401 \"no\"; }}
             location /moved {{ return 301 /small; }} }} }}"
    );
    fs::write(dir.path().join("nginx.conf"), text).expect("a configuration");
    let mut command = Command::new("nginx");
    command.args(["-p", &path, "-e", &format!("{path}/error.log"), "-c"]);
    command.arg(dir.path().join("nginx.conf"));
    let process = Proxy::spawn(command, None, String::new());
    Program { _process: process, _dir: dir, port }.await_listening()
}

/// Node's own HTTP server, which closes a connection after 5 s without a request; here sooner.
fn node(keep_alive_ms: u64) -> Program {
    let script = r#"
        const http = require('http');
        const server = http.createServer((request, response) => {
            if (request.url === '/chunks') {
                response.write('one ');
                setTimeout(() => response.end('two'), 20);
            } else {
                response.writeHead(200, { 'X-Method': request.method });
                request.pipe(response);
            }
        });
        server.on('upgrade', (request, socket) => {
            socket.write('HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
            socket.pipe(socket);
        });
        server.keepAliveTimeout = Number(process.argv[1]);
        server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port));
    "#;
    let mut command = Command::new("node");
    command.args(["-e", script, &keep_alive_ms.to_string()]);
    let process = Proxy::spawn(command, None, String::new());
    let line = process.await_stdout("port ");
    let port = line.trim_start_matches("port ").parse().expect("a port");
    Program { _process: process, _dir: tempfile::tempdir().expect("a directory"), port }
}

fn nginx_serves_files_through_the_proxy(tier: Tier) {
    if !installed("nginx") {
        return;
    }
    let nginx = nginx();
    let proxy = Config::new(tier).upstream("app", &[nginx.server()], "").start();
    let mut client = proxy.client();
    let big = Pattern::new(9).take(FILE_LENGTH);
    for _ in 0..3 {
        assert!(client.get("/big").body == big);
        assert_eq!(client.get("/small").text(), "small");
        assert_eq!(client.get("/nowhere").status, 404);
        assert_eq!(client.get("/auth").status, 401);
        let head = client.request("HEAD /big HTTP/1.1\r\nHost: t\r\n\r\n");
        assert_eq!(head.field("content-length"), Some("8388608"));
    }
    let part = client.request("GET /big HTTP/1.1\r\nHost: t\r\nRange: bytes=100-199\r\n\r\n");
    assert_eq!((part.status, part.body.as_slice()), (206, &big[100..200]));
    let tag = client.get("/small").field("etag").expect("an entity tag").to_owned();
    let conditional = format!("GET /small HTTP/1.1\r\nHost: t\r\nIf-None-Match: {tag}\r\n\r\n");
    assert_eq!(client.request(conditional).status, 304);
    let location = client.get("/moved").field("location").expect("Location").to_owned();
    assert!(location.contains("test"), "nginx builds it from the client's Host: {location}");
}

fn node_serves_through_the_proxy(tier: Tier) {
    if !installed("node") {
        return;
    }
    let node = node(5_000);
    let proxy = Config::new(tier).upstream("app", &[node.server()], "").start();
    let mut client = proxy.client();
    let body = Pattern::new(10).take(1 << 20);
    for _ in 0..3 {
        let echo = client.post("/", &body);
        assert!(echo.body == body && echo.field("x-method") == Some("POST"));
        assert_eq!(client.get("/chunks").text(), "one two");
    }
    let upgrade = "GET / HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    assert_eq!(client.request(upgrade).status, 101);
    client.send("hello");
    client.half_close();
    assert_eq!(client.rest().0, b"hello");
}

fn node_closes_idle_connections_and_nobody_notices(tier: Tier) {
    if !installed("node") {
        return;
    }
    // The pauses are about as long as Node waits: the close crosses the next request.
    let node = node(20);
    let settings = "pool = { max_idle = 8, idle_timeout = \"10s\" }";
    let proxy = Config::new(tier).upstream("app", &[node.server()], settings).start();
    let mut client = proxy.client();
    let mut rng = Rng::new(11);
    for round in 0..80 {
        pause(std::time::Duration::from_micros(15_000 + rng.below(15_000)));
        assert_eq!(client.get("/").status, 200, "round {round}");
    }
}

/// Runs curl with these arguments; gives what it wrote to standard output.
#[track_caller]
fn curl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--max-time", "10"])
        .args(arguments)
        .output()
        .expect("curl");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn curl_uploads_and_downloads(tier: Tier) {
    if !installed("curl") {
        return;
    }
    let origin = origin_continue();
    let proxy = Proxy::before(tier, &origin);
    let url = format!("http://{}/", proxy.address());
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("body");
    let body = Pattern::new(12).take(5 << 20);
    fs::write(&file, &body).expect("a file");
    let file = format!("@{}", file.display());
    // Above 1 MiB, curl sends `Expect: 100-continue` by itself.
    assert!(curl(&["--data-binary", &file, &url]) == body);
    let chunked = ["--header", "Transfer-Encoding: chunked", "--data-binary", &file, &url];
    assert!(curl(&chunked) == body);
    let expectations = origin.requests();
    assert!(expectations.iter().any(|request| request.fields.lists("expect", "100-continue")));
    assert_eq!(expectations[1].framing, Framing::Chunked);
}

fn curl_speaks_every_dialect(tier: Tier) {
    if !installed("curl") {
        return;
    }
    let origin = Origin::named("origin");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let socket = dir.path().join("corelane.sock").display().to_string();
    let proxy = Config::new(tier)
        .listener("127.0.0.1:0")
        .listener(&format!("unix:{socket}"))
        .origin("app", &origin)
        .start();
    let (address, url) = (proxy.address().to_string(), format!("http://{}/", proxy.address()));
    let through_unix = ["--unix-socket", &socket, "http://any/"];
    let as_proxy = ["--proxy", &address, "http://any.example/"];
    for arguments in [&["--http1.0", &url][..], &["--http1.1", &url], &through_unix, &as_proxy] {
        assert_eq!(curl(arguments), b"origin", "{arguments:?}");
    }
    // Asks to switch to HTTP/2, is not answered, and goes on in HTTP/1.1.
    assert_eq!(curl(&["--http2", &url]), b"origin");
    let two = curl(&["--parallel", &url, &url]);
    assert_eq!(two, b"originorigin");
}

fn wrk_meets_no_error(tier: Tier) {
    if !installed("wrk") || !installed("nginx") {
        return;
    }
    let nginx = nginx();
    let proxy = Config::new(tier).shards(2).upstream("app", &[nginx.server()], "").start();
    for path in ["small", "big"] {
        let url = format!("http://{}/{path}", proxy.address());
        let output = Command::new("wrk").args(["-t1", "-c32", "-d1s", &url]).output();
        let report = String::from_utf8(output.expect("wrk").stdout).expect("text");
        assert!(report.contains("Requests/sec"), "{report}");
        let fine = !report.contains("Socket errors") && !report.contains("Non-2xx");
        assert!(fine, "{path}: {report}");
    }
}
