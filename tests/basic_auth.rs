//! Users and passwords: who is let in, and what the others cost.

#[macro_use]
mod support;

use std::fs;

use support::*;

tiered! {
    without_a_password_nothing_is_forwarded,
    a_right_password_goes_on_to_the_server,
    wrong_ones_are_refused,
    a_refused_body_harms_nothing,
    a_body_waits_for_the_verdict,
    our_own_answers_want_it_too,
    a_reload_reads_the_file_again,
    a_check_holds_up_nobody_else,
    whoever_guesses_is_bounded,
    for_who_has_left_nothing_is_checked,
    the_log_names_the_user,
    files_want_it_too,
    who_is_not_let_in_sees_a_page,
}

const FAST: &str = "ann:$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n\
                    bob:$apr1$Ab./0189$Y1p2aeVqep1OQWYqoVNgc.\n";
/// Some milliseconds for each check.
const SLOW: &str = "ann:$2y$06$abcdefghijklmnopqrstuuxLa0AkDDSrQ9VwNnETzOsObiucpMYgC\n";
/// About a second.
const SLOWEST: &str = "ann:$2y$12$abcdefghijklmnopqrstuuT1Iwu6o8Wx7BoOyIMHfgVJq6JO/IJhW\n";
/// `ann:other`
const OTHER: &str = "ann:$2y$04$abcdefghijklmnopqrstuu0HtfOlPbTiymk5tcV.3TsFPDd3SYZqu\n";

/// `ann:secret`
const ANN: &str = "Authorization: Basic YW5uOnNlY3JldA==\r\n";
/// `ann:other`
const ANN_OTHER: &str = "Authorization: Basic YW5uOm90aGVy\r\n";

/// All to `origin`, for who is in a file of these users; `/free` for everybody.
struct Site {
    file: std::path::PathBuf,
    config: Config,
    _folder: tempfile::TempDir,
}

impl Site {
    fn new(tier: Tier, origin: &Origin, users: &str) -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("users");
        fs::write(&file, users).expect("a file");
        let config = Config::new(tier)
            .origin("app", origin)
            .route(&format!(
                "upstream = \"app\"\n\
                 basic_auth = {{ realm = \"The \\\"place\\\"\", file = {file:?} }}"
            ))
            .route("path = \"/free\"\nrespond = { status = 200, body = \"free\" }");
        Site { file, config, _folder: folder }
    }

    fn own(self) -> Site {
        let auth = format!("basic_auth = {{ file = {:?} }}", self.file);
        let route = "path = \"/own\"\nrespond = { status = 200, body = \"mine\" }\n".to_owned();
        Site { config: self.config.route(&(route + &auth)), ..self }
    }
}

fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n{fields}\r\n")
}

/// That of `user:password`, which must not hold what is encoded otherwise than by three letters.
fn basic(credentials: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    assert!(credentials.len().is_multiple_of(3), "no padding: {credentials}");
    let encoded = credentials.as_bytes().chunks(3).flat_map(|three| {
        let bits = three.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]))
    });
    format!("Authorization: Basic {}\r\n", encoded.collect::<String>())
}

fn without_a_password_nothing_is_forwarded(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Site::new(tier, &origin, FAST).config.start();
    let mut client = proxy.client();
    let broken = [
        "",
        "Authorization: Basic\r\n",
        "Authorization: Basic %%%\r\n",
        "Authorization: Bearer YW5uOnNlY3JldA==\r\n",
        // Which of them would the server take?
        "Authorization: Basic YW5uOnNlY3JldA==\r\nAuthorization: Basic eDp5\r\n",
    ];
    for fields in broken {
        let response = client.request(get("/", fields));
        assert_eq!(response.status, 401, "{fields}");
        let challenge = r#"Basic realm="The \"place\"", charset="UTF-8""#;
        assert_eq!(response.field("www-authenticate"), Some(challenge));
    }
    assert_eq!(client.request(get("/free", "")).text(), "free");
    assert_eq!(client.request(get("/", "").replace("GET", "HEAD")).status, 401);
    assert_eq!(origin.connections(), 0);
}

fn a_right_password_goes_on_to_the_server(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Site::new(tier, &origin, FAST).config.start();
    let mut client = proxy.client();
    // Found out first, then known; each connection likewise.
    for _ in 0..2 {
        assert_eq!(client.request(get("/", ANN)).text(), "origin");
        assert_eq!(proxy.client().request(get("/", ANN)).text(), "origin");
        assert_eq!(client.request(get("/", &basic("bob:secret  ")[..])).status, 401);
    }
    for request in origin.await_requests(4) {
        assert_eq!(request.field("authorization"), Some("Basic YW5uOnNlY3JldA=="));
    }
    // Two at once: the second waits behind the first.
    client.send(get("/", ANN_OTHER) + &get("/", ANN));
    assert_eq!((client.response().status, client.response().text()), (401, "origin"));
}

fn wrong_ones_are_refused(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Site::new(tier, &origin, FAST).config.start();
    let mut client = proxy.client();
    for credentials in ["ann:Secret__", "ann:", "eve:secret__", "bob:secret00", "no colon", ":::"] {
        let padded = format!("{credentials}{}", " ".repeat((3 - credentials.len() % 3) % 3));
        for _ in 0..2 {
            assert_eq!(client.request(get("/", &basic(&padded))).status, 401, "{credentials}");
        }
    }
    assert_eq!(origin.connections(), 0);
}

fn a_refused_body_harms_nothing(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Site::new(tier, &origin, FAST).config.start();
    let posted = |fields: &str, body: &str| {
        format!("POST / HTTP/1.1\r\nHost: test\r\n{fields}Content-Length: 4\r\n\r\n{body}")
    };
    let mut client = proxy.client();
    for fields in ["", ANN_OTHER] {
        // All of it came along: what follows is the next request.
        assert_eq!(client.request(posted(fields, "body")).status, 401);
        assert_eq!(client.request(get("/free", "")).text(), "free");
    }
    for fields in ["", ANN_OTHER] {
        // Some of it is still to come: the connection ends.
        let mut client = proxy.client();
        assert_eq!(client.request(posted(fields, "bo")).status, 401);
        client.assert_closed();
    }
    assert_eq!(origin.connections(), 0);
}

fn a_body_waits_for_the_verdict(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Site::new(tier, &origin, SLOW).config.start();
    let body = Pattern::new(7).take(200_000);
    let head =
        format!("POST / HTTP/1.1\r\nHost: test\r\n{ANN}Content-Length: {}\r\n\r\n", body.len());
    let mut client = proxy.client();
    client.send([head.as_bytes(), &body].concat());
    client.send(get("/after", ANN));
    assert_eq!(client.response().text(), "origin");
    assert_eq!(client.response().text(), "origin");
    let requests = origin.await_requests(2);
    assert!(requests[0].body == body, "whole and in order");
    assert_eq!(requests[1].target, "/after");
}

fn our_own_answers_want_it_too(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Site::new(tier, &origin, FAST).own().config.start();
    let mut client = proxy.client();
    assert_eq!(client.request(get("/own", "")).status, 401);
    assert_eq!(client.request(get("/own", ANN_OTHER)).status, 401);
    for _ in 0..2 {
        assert_eq!(client.request(get("/own", ANN)).text(), "mine");
    }
    let default = client.request(get("/own", ""));
    let challenge = r#"Basic realm="Restricted", charset="UTF-8""#;
    assert_eq!(default.field("www-authenticate"), Some(challenge));
}

fn a_reload_reads_the_file_again(tier: Tier) {
    let origin = Origin::named("origin");
    let site = Site::new(tier, &origin, FAST);
    let proxy = site.config.start();
    let statuses = |client: &mut Client| {
        [ANN, ANN_OTHER].map(|fields| client.request(get("/", fields)).status)
    };
    let mut client = proxy.client();
    assert_eq!(statuses(&mut client), [200, 401]);
    fs::write(&site.file, OTHER).expect("a file");
    assert_eq!(statuses(&mut client), [200, 401], "until it is told");
    proxy.reload(&site.config);
    assert_eq!(statuses(&mut client), [401, 200]);
    // A file that is wrong changes nothing.
    fs::write(&site.file, "# one\nann:secret\n").expect("a file");
    proxy.signal(rustix::process::Signal::HUP);
    let said = proxy.await_stderr("users:2:1: the password of `ann` is not hashed");
    assert!(said.contains("htpasswd -B"), "{said}");
    assert_eq!(statuses(&mut client), [401, 200]);
}

fn a_check_holds_up_nobody_else(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Site::new(tier, &origin, SLOWEST).config.start();
    let mut waiting = proxy.client();
    waiting.send(get("/", ANN));
    let mut others = proxy.client();
    for _ in 0..30 {
        assert_eq!(others.get("/free").text(), "free");
    }
    assert_eq!(origin.connections(), 0, "the check was over before 30 requests were");
    assert_eq!(waiting.response().text(), "origin");
}

/// One address has its share of checks, and no more; who is let in already notices nothing.
fn whoever_guesses_is_bounded(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Site::new(tier, &origin, SLOW).config.start();
    let mut known = proxy.client();
    assert_eq!(known.request(get("/", ANN)).text(), "origin");
    let guess = |guess: usize| get("/", &basic(&format!("ann:guess{guess:03}")));
    let mut guessing: Vec<Client> = (0..100).map(|_| proxy.client()).collect();
    for (number, client) in guessing.iter_mut().enumerate() {
        client.send(guess(number));
    }
    assert_eq!(known.request(get("/", ANN)).text(), "origin");
    let answers: Vec<Response> = guessing.iter_mut().map(Client::response).collect();
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!(count(401) + count(503), 100);
    assert!((32..80).contains(&count(401)), "{} were checked", count(401));
    let full = answers.iter().find(|answer| answer.status == 503).expect("some");
    assert_eq!(full.field("retry-after"), Some("1"));
    // It is over when it is over.
    let mut later = proxy.client();
    assert_eq!(later.request(guess(200)).status, 401);
    // Nobody waits twice for the same.
    let mut same: Vec<Client> = (0..100).map(|_| proxy.client()).collect();
    same.iter_mut().for_each(|client| client.send(guess(300)));
    assert!(same.iter_mut().all(|client| client.response().status == 401));
    assert_eq!(origin.requests().len(), 2);
}

/// Their checks would take longer than a request waits.
fn for_who_has_left_nothing_is_checked(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Site::new(tier, &origin, SLOWEST).config.start();
    let guess = |guess: usize| get("/", &basic(&format!("ann:guess{guess:03}")));
    let open = || proxy.usage().of("client connections open");
    let mut guessing: Vec<Client> = (0..31).map(|_| proxy.client()).collect();
    guessing.iter_mut().enumerate().for_each(|(number, client)| client.send(guess(number)));
    wait_until("all of them ask", || open() == 31);
    guessing.iter().for_each(|client| client.reset_on_close());
    drop(guessing);
    wait_until("all of them have left", || open() == 0);
    let mut client = proxy.client();
    assert_eq!(client.request(get("/", ANN)).text(), "origin");
}

fn the_log_names_the_user(tier: Tier) {
    let origin = Origin::named("origin");
    let log = "[access_log]\nto = \"stdout\"\nformat = '$remote_user $status'";
    let proxy = Site::new(tier, &origin, FAST).config.toml(log).start();
    let mut client = proxy.client();
    client.request(get("/", ""));
    client.request(get("/", ANN));
    client.request(get("/", ANN_OTHER));
    proxy.await_stdout("- 401");
    proxy.await_stdout("ann 200");
    proxy.await_stdout("ann 401");
}

/// One page for all paths is found by a detour, which ends where it began. Another route's detour
/// leads nobody in.
fn files_want_it_too(tier: Tier) {
    let folder = tempfile::tempdir().expect("a folder");
    let users = folder.path().join("users");
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("open")).expect("a folder");
    fs::write(&users, FAST).expect("a file");
    fs::write(root.join("index.html"), "the page").expect("a file");
    let files = format!("files = {{ root = {root:?}, try = [\"$uri\", \"/index.html\"] }}");
    let config = Config::new(tier)
        .route(&format!("path = \"/\"\n{files}\nbasic_auth = {{ file = {users:?} }}"))
        .route(&format!("path = \"/open\"\n{files}"));
    let proxy = config.start();
    let mut client = proxy.client();
    for path in ["/index.html", "/somewhere"] {
        assert_eq!(client.request(get(path, "")).status, 401, "{path}");
        assert_eq!(client.request(get(path, ANN_OTHER)).status, 401, "{path}");
        assert_eq!(client.request(get(path, ANN)).text(), "the page", "{path}");
    }
    assert_eq!(client.request(get("/open/somewhere", "")).status, 401);
    assert_eq!(client.request(get("/open/somewhere", ANN)).text(), "the page");
}

/// Whatever the route answers, wherever the page comes from, and whether the password is missing,
/// which shows at once, or wrong, which takes time to find out.
fn who_is_not_let_in_sees_a_page(tier: Tier) {
    let origin = Origin::answering(|request| ok(format!("page of a server: {}", request.target)));
    let folder = tempfile::tempdir().expect("a folder");
    let users = folder.path().join("users");
    fs::write(&users, FAST).expect("a file");
    fs::write(folder.path().join("401.html"), "page of a file").expect("a file");
    let route = |path: &str, page: &str, action: &str| {
        format!(
            "path = {path:?}\nbasic_auth = {{ file = {users:?} }}\n\
             error_pages = [{{ on = 401, to = {page:?} }}]\n{action}"
        )
    };
    let files = format!("[route.files]\nroot = {:?}", folder.path());
    let respond = "respond = { status = 200, body = \"mine\" }";
    let proxy = Config::new(tier)
        .origin("app", &origin)
        .route(&route("/app", "/files/401.html", "upstream = \"app\""))
        .route(&route("/own", "/app2/login", respond))
        .route(&route("/from-files", "/files/401.html", &files))
        .route(&route("/both", "/own", respond))
        .route(&format!("path = \"/files\"\n{}", files.replace("root", "alias")))
        .route("path = \"/app2\"\nupstream = \"app\"")
        .start();
    let mut client = proxy.client();
    let realm = r#"Basic realm="Restricted", charset="UTF-8""#;
    for (path, page) in [
        ("/app", "page of a file"),
        ("/own", "page of a server: /app2/login"),
        ("/from-files/x", "page of a file"),
    ] {
        for fields in ["", ANN_OTHER] {
            let response = client.request(get(path, fields));
            assert_eq!((response.status, response.text()), (401, page), "{path} {fields}");
            assert_eq!(response.field("www-authenticate"), Some(realm), "{path} {fields}");
            let head = client.request(get(path, fields).replace("GET", "HEAD"));
            assert_eq!((head.status, head.body.len()), (401, 0), "{path} {fields}");
        }
        let posted = get(path, ANN_OTHER).replace("GET", "POST");
        let posted = posted.replace("\r\n\r\n", "\r\nContent-Length: 4\r\n\r\nbody");
        let response = client.request(&posted);
        assert_eq!((response.status, response.text()), (401, page), "{path}");
    }
    // The page wants a password itself: there is none for that.
    let response = client.request(get("/both", ANN_OTHER));
    assert_eq!((response.status, response.field("www-authenticate")), (401, Some(realm)));
    assert_eq!(client.request(get("/own", ANN)).text(), "mine");
}
