//! What earlier proxies say of a client: believed if they are trusted, else it ends here.

#[macro_use]
mod support;

use std::collections::BTreeSet;

use support::*;

tiered! {
    by_default_nobody_is_believed,
    a_trusted_proxy_is_believed,
    a_listener_has_its_own_list,
    an_empty_list_trusts_nobody,
    a_unix_socket_is_trusted_by_name,
    the_client_behind_trusted_proxies_is_hashed,
    each_request_has_its_own_client,
    a_client_may_be_known_by_forwarded_alone,
    a_route_has_the_last_word,
}

const TOLD: &str = "X-Forwarded-For: 192.0.2.1, 203.0.113.9\r\nX-Forwarded-Proto: https\r\n\
                    X-Forwarded-Host: shop.test\r\nForwarded: for=192.0.2.1;proto=https\r\n\
                    X-Forwarded-Port: 443\r\nX-Forwarded-Prefix: /a\r\nX-Real-IP: 192.0.2.1\r\n\
                    X-Forwarded-Server: a\r\nX-Forwarded-Scheme: https\r\n";

/// What only earlier proxies set.
const ELSE: [&str; 5] = [
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-real-ip",
    "x-forwarded-server",
    "x-forwarded-scheme",
];

/// What the origin receives when a client of this address tells that.
fn told(address: &Address, origin: &Origin) -> Request {
    let already = origin.requests().len();
    let request = format!("GET / HTTP/1.1\r\nHost: here.test\r\n{TOLD}\r\n");
    assert_eq!(Client::connect(address).request(request).status, 200);
    origin.await_requests(already + 1).remove(already)
}

#[track_caller]
fn assert_replaced(request: &Request, client: Option<&str>) {
    let expected = [client.as_slice(), &["http"], &["here.test"], &[]];
    assert_eq!(fields(request), expected.map(<[&str]>::to_vec));
    assert_eq!(ELSE.map(|name| request.fields.all(name).len()), [0; 5]);
}

#[track_caller]
fn assert_extended(request: &Request, client: Option<(&str, &str)>) {
    let (chain, element) = match client {
        Some((ip, element)) => (format!("192.0.2.1, 203.0.113.9, {ip}"), element),
        None => ("192.0.2.1, 203.0.113.9".to_owned(), "for=unknown"),
    };
    let element = format!("{element};proto=http");
    let expected = [
        vec![chain.as_str()],
        vec!["https"],
        vec!["shop.test"],
        vec!["for=192.0.2.1;proto=https", element.as_str()],
    ];
    assert_eq!(fields(request), expected);
    assert_eq!(ELSE.map(|name| request.fields.all(name).len()), [1; 5]);
}

fn fields(request: &Request) -> [Vec<&str>; 4] {
    ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded"]
        .map(|name| request.fields.all(name))
}

/// A configuration that begins with these lines, which no table may hold.
fn trusting(tier: Tier, list: &str) -> Config {
    Config::new(tier).listener("127.0.0.1:0").top(&format!("trusted_proxies = {list}"))
}

fn by_default_nobody_is_believed(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Proxy::before(tier, &origin);
    assert_replaced(&told(&proxy.address(), &origin), Some("127.0.0.1"));
    let proxy = trusting(tier, "[\"127.0.0.2\", \"10.0.0.0/8\"]").origin("app", &origin).start();
    assert_replaced(&told(&proxy.address(), &origin), Some("127.0.0.1"));
}

fn a_trusted_proxy_is_believed(tier: Tier) {
    let origin = Origin::named("origin");
    for list in ["\"127.0.0.1\"", "[\"10.0.0.0/8\", \"127.0.0.0/8\"]", "[\"127.0.0.1/32\"]"] {
        let proxy = trusting(tier, list).origin("app", &origin).start();
        let request = told(&proxy.address(), &origin);
        assert_extended(&request, Some(("127.0.0.1", "for=127.0.0.1")));
    }
    let proxy = Config::new(tier)
        .listener("[::1]:0")
        .top("trusted_proxies = [\"::/127\"]")
        .origin("app", &origin)
        .start();
    let request = told(&proxy.address(), &origin);
    assert_extended(&request, Some(("::1", "for=\"[::1]\"")));
}

fn a_listener_has_its_own_list(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Config::new(tier)
        .toml("[[listener]]\naddress = \"127.0.0.1:0\"\ntrusted_proxies = [\"127.0.0.1\"]")
        .toml("[[listener]]\naddress = \"127.0.0.1:0\"")
        .origin("app", &origin)
        .start();
    let [inside, outside] = &proxy.addresses()[..] else { panic!("two listeners") };
    assert_extended(&told(inside, &origin), Some(("127.0.0.1", "for=127.0.0.1")));
    assert_replaced(&told(outside, &origin), Some("127.0.0.1"));
}

fn an_empty_list_trusts_nobody(tier: Tier) {
    let origin = Origin::named("origin");
    let proxy = Config::new(tier)
        .top("trusted_proxies = [\"127.0.0.0/8\"]")
        .toml("[[listener]]\naddress = \"127.0.0.1:0\"\ntrusted_proxies = []")
        .origin("app", &origin)
        .start();
    assert_replaced(&told(&proxy.address(), &origin), Some("127.0.0.1"));
}

fn a_unix_socket_is_trusted_by_name(tier: Tier) {
    let origin = Origin::named("origin");
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| format!("unix:{}", dir.path().join(name).display());
    let proxy = Config::new(tier)
        .listener(&at("outside"))
        .toml(&format!("[[listener]]\naddress = {:?}\ntrusted_proxies = \"unix\"", at("inside")))
        .origin("app", &origin)
        .start();
    let [outside, inside] = &proxy.addresses()[..] else { panic!("two listeners") };
    assert_replaced(&told(outside, &origin), None);
    assert_extended(&told(inside, &origin), None);
}

/// Which of three servers gets the requests of so many clients.
fn servers_of(proxy: &Proxy) -> BTreeSet<String> {
    let mut client = proxy.client();
    let servers = (1..=24).map(|host| {
        let chain = format!("X-Forwarded-For: 203.0.113.77, 192.0.2.{host}, 127.0.0.9\r\n");
        let request = format!("GET / HTTP/1.1\r\nHost: test\r\n{chain}\r\n");
        let first = client.request(&request).text().to_owned();
        assert_eq!(client.request(&request).text(), first);
        first
    });
    servers.collect()
}

fn the_client_behind_trusted_proxies_is_hashed(tier: Tier) {
    let origins = ["a", "b", "c"].map(Origin::named);
    let servers = origins.each_ref().map(Origin::server);
    let hashing = |config: Config| config.upstream("app", &servers, "balance = \"ip_hash\"");
    let proxy = hashing(trusting(tier, "[\"127.0.0.0/8\"]")).start();
    assert_eq!(servers_of(&proxy).len(), 3, "by the address before the last proxy");
    let proxy = hashing(Config::new(tier)).start();
    assert_eq!(servers_of(&proxy).len(), 1, "by the peer's own");
}

fn each_request_has_its_own_client(tier: Tier) {
    let config = trusting(tier, "[\"127.0.0.1\"]").toml("[log]\nlevel = \"debug\"");
    let proxy = config.route("host = \"nowhere.test\"\nrespond = { status = 200 }").start();
    let mut client = proxy.client();
    for (line, expected) in [
        ("X-Forwarded-For: 192.0.2.1\r\n", "client=192.0.2.1"),
        ("X-Forwarded-For: 192.0.2.2, 192.0.2.3\r\n", "client=192.0.2.3"),
        ("X-Forwarded-For: 192.0.2.4, junk\r\n", "client=127.0.0.1"),
        ("X-Forwarded-For: 192.0.2.5, 127.0.0.1\r\n", "client=192.0.2.5"),
        ("", "client=127.0.0.1"),
        ("Forwarded: for=192.0.2.6;proto=https\r\n", "client=192.0.2.6"),
        ("Forwarded: for=\"[2001:db8::7]:80\", for=127.0.0.1\r\n", "client=2001:db8::7"),
        ("Forwarded: for=192.0.2.8, for=_hidden\r\n", "client=127.0.0.1"),
        ("Forwarded: for=192.0.2.9\r\nX-Forwarded-For: 192.0.2.10\r\n", "client=192.0.2.10"),
    ] {
        let response = client.request(format!("GET / HTTP/1.1\r\nHost: test\r\n{line}\r\n"));
        let id = response.field("x-request-id").expect("an id").to_owned();
        proxy.await_stderr(&id);
        let log = proxy.stderr();
        let logged = log.lines().find(|logged| logged.contains(&id)).expect("a line");
        assert!(logged.ends_with(expected), "{line}: {logged}");
    }
}

fn a_client_may_be_known_by_forwarded_alone(tier: Tier) {
    let guarded =
        "path = \"/\"\nrespond = { status = 200 }\ndeny = \"192.0.2.66\"\nrate = \"each\"";
    let rate = "[[rate]]\nname = \"each\"\nrequests = 1\nper = \"1h\"\nkey = \"ip\"";
    let proxy = trusting(tier, "\"127.0.0.1\"").toml(rate).route(guarded).start();
    let ask = |source: &str, element: &str| {
        let get = format!("GET / HTTP/1.1\r\nHost: test\r\nForwarded: {element}\r\n\r\n");
        Client::connect_from(source, &proxy.address()).request(get).status
    };
    let ours = |element: &str| ask("127.0.0.1", element);
    assert_eq!(ours("for=192.0.2.66"), 403);
    assert_eq!([ours("for=192.0.2.1"), ours("for=\"192.0.2.1:80\"")], [200, 429], "one client");
    assert_eq!(ours("for=192.0.2.1, for=192.0.2.2"), 200, "another");
    assert_eq!([ours("for=unknown"), ours("for=_a")], [200, 429], "the proxy itself");
    let stranger = |element: &str| ask("127.0.0.2", element);
    assert_eq!([stranger("for=192.0.2.66"), stranger("for=192.0.2.3")], [200, 429], "no proxy");
}

fn a_route_has_the_last_word(tier: Tier) {
    let origin = Origin::named("origin");
    let edits = "request_fields = { remove = [\"Forwarded\", \"X-Forwarded-Host\"], \
                 set = { X-Forwarded-For = \"hidden\" }, add = { X-Forwarded-Proto = \"x\" } }";
    let proxy = trusting(tier, "[\"127.0.0.1\"]")
        .origin("app", &origin)
        .route(&format!("upstream = \"app\"\n{edits}"))
        .start();
    let request = told(&proxy.address(), &origin);
    assert_eq!(fields(&request), [vec!["hidden"], vec!["https", "x"], vec![], vec![]]);
}
