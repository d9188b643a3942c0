//! Real nginx and this proxy with the same nginx.conf and the same requests: they must answer
//! alike, and ask the same servers for the same.
//!
//! The tables are `tests/nginx/*.pairs`. `== title` begins a part: lines of nginx.conf for inside
//! of `http`, then `--`, then requests: `GET /path Name: value | Name: value << body`. In both,
//! `@PORT@` is where the part listens (`@PORT2@` another port), `@A@`, `@B@` and `@GONE@` are
//! servers (nobody listens on the last), `@DIR@` is a folder with the files of [`FILES`], and
//! `@LOG@` and `@LOG2@` are logs, whose lines are compared too. A part with rates runs on one CPU:
//! each shard has its own.
//!
//! Not compared: what differs by design, see [`IGNORED`]; the bodies of built-in error pages; and
//! whether a Location is a path or the URL of that.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use support::*;

/// Fields that differ between any two servers, and those of connections: nginx says
/// `Connection: keep-alive`, this proxy Via.
const IGNORED: [&str; 9] = [
    // nginx leaves it out of a 206.
    "accept-ranges",
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "server",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Fields that belong to a built-in page.
const OF_BUILT_IN: [&str; 5] =
    ["allow", "cache-control", "content-type", "retry-after", "x-request-id"];

/// What helps whoever gets an error: nginx asks for passwords only.
const OF_ERRORS: [&str; 2] = ["allow", "retry-after"];

/// What of a file nginx leaves out where the file is the page of an error.
const OF_FILES: [&str; 1] = ["last-modified"];

/// Files below `@DIR@`.
const FILES: [(&str, &str); 11] = [
    ("index.html", "<p>index</p>"),
    ("pic.svg", "<svg/>"),
    ("app.js", "let x = 1;"),
    ("style.css", "p { color: red }"),
    ("data.bin", "\u{1}\u{2}"),
    ("50x.html", "<p>sorry</p>"),
    ("404.html", "<p>not here</p>"),
    ("sub/index.html", "<p>sub</p>"),
    ("sub/page.html", "<p>page</p>"),
    ("sub/empty/.keep", ""),
    // ann's is `password`.
    ("users", "ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n"),
];

fn has_nginx() -> bool {
    let found = Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_ok();
    if !found {
        println!("skipped: nginx is not installed");
    }
    found
}

/// One part of a table.
struct Part {
    title: String,
    config: String,
    requests: Vec<String>,
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut in_requests = false;
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("== ") {
            let title = title.to_owned();
            parts.push(Part { title, config: String::new(), requests: Vec::new() });
            in_requests = false;
            continue;
        }
        let Some(part) = parts.last_mut() else { continue };
        match line {
            "--" => in_requests = true,
            line if in_requests && line.trim().is_empty() => {}
            line if in_requests => part.requests.push(line.to_owned()),
            line => part.config.extend([line, "\n"]),
        }
    }
    parts
}

/// A server that says its name and all that it was asked. `status=404` in the target asks for a
/// status, `field=Name:value` for a field, `close` for no answer at all.
fn echo(name: &'static str) -> Origin {
    Origin::scripted(move |conn| {
        loop {
            let request = conn.request()?;
            let asked: Vec<(&str, &str)> =
                request.target.split(['?', '&']).filter_map(|pair| pair.split_once('=')).collect();
            let of = |key: &str| asked.iter().find(|pair| pair.0 == key).map(|pair| pair.1);
            if of("close").is_some() {
                return Ok(());
            }
            let mut fields = vec![("X-Server", name)];
            fields.extend(
                asked.iter().filter(|p| p.0 == "field").filter_map(|p| p.1.split_once(':')),
            );
            let status = of("status").and_then(|status| status.parse().ok()).unwrap_or(200);
            let body =
                if [204, 304].contains(&status) { String::new() } else { seen(name, &request) };
            conn.send(response(status, &fields, body))?;
        }
    })
}

/// A request in words, without what belongs to its connection.
fn seen(name: &str, request: &Request) -> String {
    let ignored = |field: &str| IGNORED.contains(&field) && field != "content-length";
    let fields = request.fields.iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
    let mut fields: Vec<String> = fields
        .filter(|(name, _)| !ignored(name))
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    fields.sort();
    let body = String::from_utf8_lossy(&request.body);
    format!("{name} {} {}\n{}{body}", request.method, request.target, fields.concat())
}

/// A port that nobody has right now.
fn free_port() -> u16 {
    Origin::named("placeholder").gone().port()
}

/// A CPU that this process may use.
fn first_cpu() -> String {
    let allowed = rustix::thread::sched_getaffinity(None).expect("CPUs");
    let cpu = (0..rustix::thread::CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu));
    cpu.expect("a CPU").to_string()
}

/// What a body says, if it is compressed.
fn plain_body(response: &Response) -> Vec<u8> {
    let mut plain = Vec::new();
    if response.body.is_empty() || response.field("content-encoding") != Some("gzip") {
        return response.body.clone();
    }
    let mut decoder = flate2::read::GzDecoder::new(&response.body[..]);
    decoder.read_to_end(&mut plain).expect("gzip");
    plain
}

/// How far off a date is: the two are not asked at the same time.
fn how_far_off(date: &str) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().expect("a time").as_secs() as i64;
    match corelane::http1::parse_http_date(date.as_bytes()) {
        Some(moment) if moment <= now => "past".to_owned(),
        Some(_) if date.contains("2037") => date.to_owned(),
        Some(moment) => format!("in {} min", (moment - now + 30) / 60),
        None => date.to_owned(),
    }
}

/// What both proxies are put before.
struct Scenery {
    a: Origin,
    b: Origin,
    gone: String,
    dir: tempfile::TempDir,
}

impl Scenery {
    fn new() -> Scenery {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (name, text) in FILES {
            let path = dir.path().join("www").join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        let gone = Origin::named("placeholder").gone().to_string();
        Scenery { a: echo("a"), b: echo("b"), gone, dir }
    }

    fn www(&self) -> String {
        self.dir.path().join("www").display().to_string()
    }

    /// Writes the nginx.conf of a part for these ports.
    fn write(&self, part: &Part, who: &str, ports: [u16; 2]) -> std::path::PathBuf {
        let path = self.dir.path().join(format!("{who}.conf"));
        let log = self.log(who);
        let _ = fs::remove_file(&log);
        let text = self.filled(&part.config, ports).replace("@LOG@", &log.display().to_string());
        let second = self.log(&format!("{who}-2")).display().to_string();
        let text = text.replace("@LOG2@", &second);
        let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {}/{name};", self.dir.path().display()));
        let temp = temp.join(" ");
        let text = format!("events {{ }}\nhttp {{\naccess_log off;\n{temp}\n{text}}}\n");
        fs::write(&path, text).expect("a configuration");
        path
    }

    /// Where the log of one of the two is.
    fn log(&self, who: &str) -> std::path::PathBuf {
        self.dir.path().join(format!("{who}.log"))
    }

    /// The lines of its log, once there are so many; shards write them as they come to it.
    fn await_log(&self, who: &str, count: usize) -> Vec<String> {
        let read = || fs::read_to_string(self.log(who)).unwrap_or_default();
        wait_until("all is in the log", || read().lines().count() >= count);
        let mut lines: Vec<String> = read().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    fn filled(&self, text: &str, ports: [u16; 2]) -> String {
        text.replace("@PORT@", &ports[0].to_string())
            .replace("@PORT2@", &ports[1].to_string())
            .replace("@A@", &self.a.address().to_string())
            .replace("@B@", &self.b.address().to_string())
            .replace("@GONE@", &self.gone)
            .replace("@DIR@", &self.www())
    }

    fn nginx(&self, part: &Part) -> Running {
        let ports = [free_port(), free_port()];
        let config = self.write(part, "nginx", ports);
        let dir = self.dir.path().display().to_string();
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let settings =
            format!("daemon off; master_process off; pid {dir}/pid; error_log {dir}/e.log; {user}");
        let mut command = Command::new("nginx");
        command.args(["-p", &dir, "-e", &format!("{dir}/e.log"), "-g", &settings, "-c"]);
        command.arg(config);
        let mut process = Proxy::spawn(command, None, part.config.clone());
        let address = format!("127.0.0.1:{}", ports[0]);
        let listens = || std::net::TcpStream::connect(&address).is_ok();
        wait_until("nginx listens, or refuses", || listens() || !process.is_running());
        assert!(process.is_running(), "{}: nginx refuses it:\n{}", part.title, process.stderr());
        Running { _process: process, ports }
    }

    /// `None`: the configuration was refused, and why.
    fn corelane(&self, part: &Part) -> Result<Running, String> {
        let ports = [free_port(), free_port()];
        let config = self.write(part, "corelane", ports);
        let mut command = match part.config.contains("limit_req") {
            true => {
                let mut command = Command::new("taskset");
                command.args(["-c", &first_cpu()]).arg(binary());
                command
            }
            false => Command::new(binary()),
        };
        command.args(["run", "--nginx"]).arg(config);
        let mut process = Proxy::spawn(command, None, part.config.clone());
        let ready =
            |process: &Proxy| process.stderr().lines().any(|line| line.starts_with("ready"));
        wait_until("it is ready or has ended", || ready(&process) || !process.is_running());
        match process.is_running() {
            true => Ok(Running { _process: process, ports }),
            false => Err(process.wait().stderr),
        }
    }
}

/// One of the two.
struct Running {
    _process: Proxy,
    ports: [u16; 2],
}

/// An answer as far as it is compared.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    fields: BTreeMap<String, Vec<String>>,
    /// `None`: a built-in page.
    body: Option<String>,
}

impl Running {
    /// What is answered to a line of a table.
    fn answer(&self, line: &str) -> Option<Answer> {
        let (head, body) = line.split_once(" << ").unwrap_or((line, ""));
        let mut words = head.splitn(3, ' ');
        let (method, target) = (words.next()?, words.next()?);
        let mut fields: Vec<&str> =
            words.next().unwrap_or_default().split(" | ").filter(|f| !f.is_empty()).collect();
        let has = |name: &str| fields.iter().any(|field| field.to_lowercase().starts_with(name));
        if !has("host:") {
            fields.push("Host: site.test");
        }
        let length = format!("Content-Length: {}", body.len());
        if !body.is_empty() {
            fields.push(&length);
        }
        let port = if head.contains("X-Port: 2") { self.ports[1] } else { self.ports[0] };
        let address = Address::Tcp(([127, 0, 0, 1], port).into());
        let mut client = Client::connect(&address);
        client.send(format!("{method} {target} HTTP/1.1\r\n{}\r\n\r\n{body}", fields.join("\r\n")));
        let response = client.try_response_to(method).ok()?;
        let host = fields.iter().find_map(|f| f.strip_prefix("Host: ")).unwrap_or("site.test");
        Some(self.compared(&response, host.split(':').next().unwrap_or(host)))
    }

    fn compared(&self, response: &Response, host: &str) -> Answer {
        let mut plain = String::from_utf8_lossy(&plain_body(response)).into_owned();
        let ports = |text: &str| {
            let text = text.replace(&format!(":{}", self.ports[0]), ":PORT");
            text.replace(&format!(":{}", self.ports[1]), ":PORT2")
        };
        plain = ports(&plain);
        let built_in = plain.contains("<center>nginx") || is_own_page(response, &plain);
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in response.fields.iter() {
            let name = name.to_ascii_lowercase();
            let name_is_in = |list: &[&str]| list.contains(&name.as_str());
            if name_is_in(&IGNORED)
                || (built_in && name_is_in(&OF_BUILT_IN))
                || (response.status >= 400 && (name_is_in(&OF_FILES) || name_is_in(&OF_ERRORS)))
            {
                continue;
            }
            let mut value = ports(value);
            if name == "location" && value.starts_with('/') {
                value = format!("http://{host}:PORT{value}");
            }
            if name == "expires" {
                value = how_far_off(&value);
            }
            if name == "www-authenticate" {
                value = value.replace(", charset=\"UTF-8\"", "");
            }
            fields.entry(name).or_default().push(value);
        }
        let body = (!built_in).then_some(plain);
        Answer { status: response.status, fields, body }
    }
}

/// Whether it is an answer of the proxy's own making: an error or a redirect without a body that
/// anybody wrote.
fn is_own_page(response: &Response, body: &str) -> bool {
    let status = response.status;
    let written = response.fields.all("x-server").is_empty() && !body.contains("<p>");
    written && status >= 300 && !(body.starts_with("said:"))
}

/// Runs all parts of a table; gives how many requests were compared.
#[track_caller]
fn compare(name: &str) -> usize {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nginx").join(name);
    let parts = parts(&fs::read_to_string(path).expect("a table"));
    let scenery = Scenery::new();
    let (mut faults, mut count) = (Vec::new(), 0);
    for part in &parts {
        let nginx = scenery.nginx(part);
        let corelane = match scenery.corelane(part) {
            Ok(corelane) => corelane,
            Err(refusal) => {
                faults.push(format!("{}: refused:\n{refusal}", part.title));
                continue;
            }
        };
        let logged = part.requests.iter().filter(|line| !line.contains("/quiet")).count();
        for line in &part.requests {
            let (theirs, ours) = (nginx.answer(line), corelane.answer(line));
            count += 1;
            if theirs != ours {
                faults.push(format!(
                    "{}: {line}\n  nginx:    {theirs:?}\n  corelane: {ours:?}",
                    part.title
                ));
            }
        }
        if part.config.contains("@LOG@") {
            let (theirs, ours) =
                (scenery.await_log("nginx", logged), scenery.await_log("corelane", logged));
            let both = theirs.iter().zip(&ours).filter(|(theirs, ours)| theirs != ours);
            faults.extend(both.map(|(theirs, ours)| format!("log:\n  {theirs}\n  {ours}")));
            assert_eq!((theirs.len(), ours.len()), (logged, logged), "{ours:#?}");
            let both = part.requests.iter().filter(|line| line.contains("/both")).count();
            let seconds = ["nginx-2", "corelane-2"].map(|who| scenery.await_log(who, both));
            assert_eq!((seconds[0].len(), &seconds[0]), (both, &seconds[1]));
        }
    }
    assert!(faults.is_empty(), "{} of {count} differ:\n{}", faults.len(), faults.join("\n"));
    count
}

/// The fewest pairs that a table has: one that is cut short should not go unnoticed.
macro_rules! tables {
    ($($name:ident: $least:literal,)+) => {
        $(
            #[test]
            fn $name() {
                if has_nginx() {
                    let count = compare(concat!(stringify!($name), ".pairs"));
                    assert!(count >= $least, "{count} pairs");
                }
            }
        )+
    };
}

tables! {
    servers: 45,
    locations: 113,
    proxying: 90,
    rewriting: 166,
    pages: 175,
    edge: 85,
}

/// The tutorials' own configurations, with the addresses of servers of this test.
#[test]
fn tutorials_are_served_as_they_are() {
    let table = [
        ("tutorial-1.conf", vec![("127.0.0.1:3000", "a")]),
        (
            "tutorial-2.conf",
            vec![
                ("10.182.205.169:3000", "a"),
                ("10.182.205.76:3000", "b"),
                ("10.182.205.185:3000", "gone"),
            ],
        ),
        ("tutorial-3.conf", vec![("127.0.0.1:3000", "a"), ("127.0.0.1:5000", "b")]),
    ];
    let scenery = Scenery::new();
    for (name, servers) in table {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nginx").join(name);
        let mut text = fs::read_to_string(path).expect("a configuration");
        let port = free_port();
        for (written, server) in servers {
            let address = match server {
                "a" => scenery.a.address().to_string(),
                "b" => scenery.b.address().to_string(),
                _ => scenery.gone.clone(),
            };
            text = text.replace(written, &address);
        }
        text = text.replace("server {\n", &format!("server {{\n    listen 127.0.0.1:{port};\n"));
        let file = scenery.dir.path().join(name);
        fs::write(&file, text).expect("a configuration");
        let mut command = Command::new(binary());
        command.args(["run", "--nginx"]).arg(&file);
        let process = Proxy::spawn(command, None, name.to_owned());
        process.await_stderr("ready");
        for _ in 0..6 {
            let mut client = process.client();
            let answer = client.request("GET /x HTTP/1.1\r\nHost: akuma.xyz\r\n\r\n");
            assert_eq!(answer.status, 200, "{name}");
        }
    }
}
