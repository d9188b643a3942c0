//! The examples of documents that lead from other programs to this one are accepted as they stand,
//! and those that stand beside an nginx.conf serve the same as that.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use support::*;

const DOCUMENTS: [&str; 2] = ["docs/from-haproxy.md", "docs/from-nginx.md"];

/// The blocks of a document that begin and end with these lines, each with the number of its first
/// line.
fn blocks(text: &str, begin: &str, end: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        if line == begin {
            let within = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != end);
            blocks.push((number + 1, within.flat_map(|line| [line, "\n"]).collect()));
        }
    }
    blocks
}

fn document(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a document")
}

/// An example with what it leaves out: where clients connect, what leads to its upstream, or both.
fn completed(example: &str) -> String {
    let mut text = example.to_owned();
    if !text.contains("[[listener]]") {
        text += "[[listener]]\naddress = \"127.0.0.1:8080\"\n";
    }
    if !text.contains("[[route]]") {
        let name = text.lines().find_map(|line| line.strip_prefix("name = "));
        match name.filter(|_| text.contains("[[upstream]]")) {
            Some(name) => text += &format!("[[route]]\nupstream = {name}\n"),
            None => text += "[[route]]\nrespond = { status = 200 }\n",
        }
    }
    text
}

#[test]
fn examples_are_accepted_without_a_warning() {
    let folder = tempfile::tempdir().expect("a folder");
    let user = "ann:$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA\n";
    let token = "0123456789abcdef0123456789abcdef\n";
    for (name, text) in [("staff.htpasswd", user), ("closed.html", "<p>"), ("admin.token", token)] {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    let token = folder.path().join("admin.token");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(token, private).expect("permissions");
    for document in DOCUMENTS {
        let examples = blocks(&self::document(document), "```toml", "```");
        assert!(examples.len() > 5, "{document}: {} examples", examples.len());
        for (line, example) in examples {
            let here = folder.path().display().to_string();
            let text = completed(&example).replace("/srv/akuma", &here);
            fs::write(folder.path().join("corelane.toml"), &text).expect("a file");
            let output = Command::new(env!("CARGO_BIN_EXE_corelane"))
                .args(["check", "-c", "corelane.toml"])
                .current_dir(folder.path())
                .output()
                .expect("the binary runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{document}:{line}:\n{said}{text}");
        }
    }
}

/// What a document tells to run is there to be run.
#[test]
fn commands_are_known() {
    let output = Command::new(env!("CARGO_BIN_EXE_corelane")).args(["ctl", "--help"]).output();
    let help = String::from_utf8(output.expect("the binary runs").stdout).expect("text");
    let known = |command: &str| help.lines().any(|line| line.trim().starts_with(command));
    for document in DOCUMENTS {
        let text = self::document(document);
        for rest in text.split("corelane ctl ").skip(1) {
            let command = rest.split(|c: char| !c.is_alphanumeric()).next().expect("a word");
            assert!(known(command), "{document}: corelane ctl {command}\n{help}");
        }
    }
}

/// What stands side by side in docs/from-nginx.md, and what is tried of it.
///
/// Port 8080 is where it listens; on 3999 nobody does; on any other there is a server that says
/// that port and what it was asked. `/srv/akuma` and `/var/log/corelane` are folders of the test.
struct Pair {
    line: usize,
    nginx: String,
    toml: String,
    /// Lines of `GET [user:password@]host/path status word`: what is asked for, and what is to come
    /// of it; `word` is how the body begins, or one of two with `|` between them.
    tried: String,
}

fn pairs() -> Vec<Pair> {
    let text = document("docs/from-nginx.md");
    let of = |begin, end| blocks(&text, begin, end).into_iter();
    let ends = (of("```nginx", "```"), of("```toml", "```"), of("<!-- tried", "-->"));
    assert_eq!((ends.0.len(), ends.1.len()), (ends.2.len(), ends.2.len()), "each has all three");
    let pairs = ends.0.zip(ends.1).zip(ends.2).map(|(((line, nginx), toml), tried)| {
        assert!(line < toml.0 && toml.0 < tried.0, "line {line}: in this order");
        Pair { line, nginx, toml: toml.1, tried: tried.1 }
    });
    pairs.collect()
}

/// The servers of a pair, the addresses that take the place of theirs, and the folder.
struct Scenery {
    _servers: Vec<Origin>,
    _nobody: Refusing,
    addresses: BTreeMap<String, String>,
    folder: tempfile::TempDir,
}

impl Scenery {
    fn of(pair: &Pair) -> Scenery {
        let nobody = origin_refuses();
        let free = free_port();
        let mut addresses: BTreeMap<String, String> = BTreeMap::new();
        addresses.insert("127.0.0.1:3999".to_owned(), nobody.address().to_string());
        addresses.insert("listen 8080".to_owned(), format!("listen 127.0.0.1:{free}"));
        addresses.insert("0.0.0.0:8080".to_owned(), "127.0.0.1:0".to_owned());
        let mut servers = Vec::new();
        for rest in pair.nginx.split("127.0.0.1:").skip(1) {
            let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let address = format!("127.0.0.1:{port}");
            addresses.entry(address).or_insert_with(|| {
                servers.push(Origin::answering(move |request| {
                    let fields = [("X-Powered-By", "test"), ("Content-Type", "application/json")];
                    response(200, &fields, asked(&port, request))
                }));
                servers[servers.len() - 1].address().to_string()
            });
        }
        let folder = tempfile::tempdir().expect("a folder");
        // The hash of `secret`.
        let user = "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n";
        for (name, text) in [
            ("staff.htpasswd", user),
            ("www/index.html", "<p>akuma"),
            ("www/sorry.html", "<p>sorry"),
            ("www/assets/app.js", "let x = 1;"),
            ("log/access.log", ""),
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        for (written, name) in [("/srv/akuma", "www"), ("/var/log/corelane", "log")] {
            let path = folder.path().join(name).display().to_string();
            addresses.insert(written.to_owned(), path);
        }
        Scenery { _servers: servers, _nobody: nobody, addresses, folder }
    }

    fn filled(&self, text: &str) -> String {
        let addresses = self.addresses.iter();
        addresses.fold(text.to_owned(), |text, (written, address)| text.replace(written, address))
    }

    /// Serves a configuration, and gives what comes of what is tried.
    fn answers(&self, name: &str, arguments: &[&str], text: &str, pair: &Pair) -> Vec<Answer> {
        let filled = self.filled(text);
        let file = self.folder.path().join(name);
        fs::write(&file, &filled).expect("a file");
        let mut command = Command::new(binary());
        command.arg("run").args(arguments).arg(&file);
        let proxy = Proxy::spawn(command, None, filled);
        proxy.await_stderr("ready");
        let mut client = proxy.client();
        let port = format!(":{}", proxy.address().port());
        let answers = pair.tried.lines().map(|line| {
            let answer = client.request(request(line));
            // Whoever was refused may have been left.
            if answer.field("connection").is_some_and(|value| value == "close") {
                client = proxy.client();
            }
            Answer::of(&answer, &port)
        });
        answers.collect()
    }
}

/// What a server says: its port, and what it was asked without what the two may differ in.
fn asked(port: &str, request: &Request) -> String {
    let differs = |name: &str| name == "via" || name.starts_with("x-forwarded-");
    let fields = request.fields.iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
    let mut fields: Vec<String> = fields
        .filter(|(name, _)| !differs(name))
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    fields.sort();
    let more = if request.target == "/long" { "long ".repeat(1000) } else { String::new() };
    format!("{port} {} {}\n{}{more}", request.method, request.target, fields.concat())
}

fn request(line: &str) -> String {
    let target = line.split(' ').nth(1).unwrap_or_else(|| panic!("no target: {line}"));
    let (user, target) = match target.split_once('@') {
        Some((user, target)) => (Some(user), target),
        None => (None, target),
    };
    let (host, path) = target.split_once('/').unwrap_or_else(|| panic!("no path: {line}"));
    // What base64 makes of them.
    let authorization = user.map(|user| match user {
        "ann:secret" => "Authorization: Basic YW5uOnNlY3JldA==\r\n",
        "ann:wrong" => "Authorization: Basic YW5uOndyb25n\r\n",
        other => panic!("who is {other}?"),
    });
    let more = authorization.unwrap_or_default();
    format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: gzip\r\n{more}\r\n")
}

/// Fields that both must have alike.
const COMPARED: [&str; 6] = [
    "location",
    "x-frame-options",
    "x-powered-by",
    "www-authenticate",
    "content-encoding",
    "cache-control",
];

/// An answer as far as both must give the same.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    fields: BTreeMap<String, String>,
    /// The first word of the body, and the rest; of one that is compressed, how.
    body: (String, String),
}

impl Answer {
    fn of(response: &Response, port: &str) -> Answer {
        let text = String::from_utf8_lossy(&response.body).into_owned();
        // Each built-in page has a number of its own.
        let own = response.status >= 300 && !text.starts_with("<p>");
        let text = if own { String::new() } else { text };
        let (first, rest) = text.split_at(text.find(' ').unwrap_or(text.len()));
        let fields = response.fields.iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
        let fields = fields.filter(|(name, _)| COMPARED.contains(&name.as_str()));
        // A redirect may be a path, or the URL of that.
        let fields = fields.map(|(name, value)| {
            let value = match name.as_str() {
                "location" => value.replace(port, "").replace("http://akuma.xyz/", "/"),
                _ => value.clone(),
            };
            (name, value)
        });
        let body = match response.field("content-encoding") {
            Some(encoding) => (encoding.to_owned(), String::new()),
            None => (first.to_owned(), rest.to_owned()),
        };
        Answer { status: response.status, fields: fields.collect(), body }
    }
}

#[test]
fn recipes_serve_what_the_nginx_conf_beside_them_serves() {
    let pairs = pairs();
    assert!(pairs.len() > 8, "{} pairs", pairs.len());
    for pair in &pairs {
        let scenery = Scenery::of(pair);
        let nginx = scenery.answers("nginx.conf", &["--nginx"], &pair.nginx, pair);
        let toml = scenery.answers("corelane.toml", &["-c"], &pair.toml, pair);
        assert!(!toml.is_empty(), "line {}: nothing is tried", pair.line);
        for ((line, nginx), toml) in pair.tried.lines().zip(nginx).zip(toml) {
            let place = format!("docs/from-nginx.md:{}: {line}\n{nginx:?}\n{toml:?}", pair.line);
            let mut words = line.split(' ').skip(2);
            let status = words.next().and_then(|status| status.parse().ok());
            for answer in [&nginx, &toml] {
                assert_eq!(Some(answer.status), status, "{place}");
                let begins = |word: &str| answer.body.0 == word || answer.body.0.starts_with(word);
                let word = words.clone().next();
                assert!(word.is_none_or(|word| word.split('|').any(begins)), "{place}");
            }
            // Servers that take turns may do so in another order.
            let one = !line.contains('|');
            let same = nginx.status == toml.status
                && nginx.fields == toml.fields
                && nginx.body.1 == toml.body.1
                && (nginx.body.0 == toml.body.0 || !one);
            assert!(same, "the two differ: {place}");
        }
    }
}

/// They are examples of nginx's own language.
#[test]
fn nginx_accepts_what_stands_beside_the_recipes() {
    for pair in &pairs() {
        let scenery = Scenery::of(pair);
        let folder = scenery.folder.path().display().to_string();
        let text =
            format!("pid {folder}/pid;events {{ }}http {{\n{}}}", scenery.filled(&pair.nginx));
        fs::write(scenery.folder.path().join("nginx.conf"), text).expect("a file");
        let mut command = Command::new("nginx");
        command.args(["-t", "-p", &folder, "-e", "stderr", "-c", "nginx.conf"]);
        let Ok(output) = command.output() else {
            println!("skipped: nginx is not installed");
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docs/from-nginx.md:{}: {said}", pair.line);
    }
}
