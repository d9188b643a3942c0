//! Files, as a browser gets them.

#[macro_use]
mod support;

use std::fs;
use std::os::unix::fs::symlink;

use support::*;

tiered! {
    a_file_comes_with_its_fields,
    head_and_options_and_nothing_else,
    conditions_are_judged,
    ranges_are_sent,
    paths_do_not_lead_out,
    links_are_followed_as_far_as_they_may,
    what_is_no_file_is_not_served,
    directories_have_an_index_or_a_listing,
    try_looks_here_and_there,
    what_routes_do_about_content_holds_for_files,
    an_alias_stands_for_what_the_route_matches,
    codings_that_lie_ready_are_sent,
    freshness_is_told,
    what_changes_is_seen,
    large_files_arrive_whole,
    a_file_that_shrinks_breaks_off,
    a_slow_reader_holds_nobody_up,
    nothing_stays_open,
    a_circle_ends,
}

fn get(client: &mut Client, path: &str, lines: &str) -> Response {
    client.request(format!("GET {path} HTTP/1.1\r\nHost: test\r\n{lines}\r\n"))
}

fn status(proxy: &Proxy, path: &str) -> u16 {
    proxy.get(path).status
}

fn text(response: &Response) -> &str {
    std::str::from_utf8(&response.body).expect("text")
}

fn a_file_comes_with_its_fields(tier: Tier) {
    let site = Webroot::new();
    site.put("page.html", "<p>hello").put("dir/app.js", "run()").put("empty", "");
    let proxy = site.serve(tier, "types = { js = \"text/x-mine\" }\ndefault_type = \"x/y\"");
    let mut client = proxy.client();
    let page = get(&mut client, "/page.html?query", "");
    assert_eq!((page.status, text(&page)), (200, "<p>hello"));
    assert_eq!(page.field("content-type"), Some("text/html"));
    assert_eq!(page.field("content-length"), Some("8"));
    assert_eq!(page.field("last-modified"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_eq!(page.field("etag"), Some("\"2ebc98a1-8\""));
    assert_eq!(page.field("accept-ranges"), Some("bytes"));
    assert!(page.field("date").is_some_and(|date| date.ends_with(" GMT")));
    assert_eq!(page.field("vary"), None);
    let script = get(&mut client, "/dir/app.js", "");
    assert_eq!((text(&script), script.field("content-type")), ("run()", Some("text/x-mine")));
    let empty = get(&mut client, "/empty", "");
    assert_eq!((empty.status, empty.body.len()), (200, 0));
    assert_eq!(empty.field("content-type"), Some("x/y"));
    let missing = get(&mut client, "/nowhere", "");
    assert_eq!(missing.status, 404);
    assert!(text(&missing).contains("There is no such file."));
    assert_eq!(get(&mut client, "/page.html/", "").status, 404);
    assert_eq!(get(&mut client, "/page.html/x", "").status, 404);
    // A body that nobody needs.
    let request = "GET /page.html HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(client.request(request).status, 200);
    assert_eq!(get(&mut client, "/page.html", "").status, 200);
}

fn head_and_options_and_nothing_else(tier: Tier) {
    let site = Webroot::new();
    site.put("a", "hello");
    let proxy = site.serve(tier, "etag = false");
    let mut client = proxy.client();
    let head = client.request("HEAD /a HTTP/1.1\r\nHost: test\r\nRange: bytes=0-0\r\n\r\n");
    assert_eq!((head.status, head.field("content-length")), (200, Some("5")));
    assert_eq!(head.field("etag"), None);
    let options = client.request("OPTIONS /a HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!((options.status, options.field("allow")), (200, Some("GET, HEAD, OPTIONS")));
    for method in ["POST", "PUT", "DELETE", "TRACE", "PROPFIND"] {
        let refused = client.request(format!("{method} /a HTTP/1.1\r\nHost: test\r\n\r\n"));
        assert_eq!((refused.status, refused.field("allow")), (405, Some("GET, HEAD, OPTIONS")));
    }
    let old = proxy.client().request("GET /a HTTP/1.0\r\n\r\n");
    assert_eq!((old.status, text(&old)), (200, "hello"));
}

fn conditions_are_judged(tier: Tier) {
    let site = Webroot::new();
    site.put("a", "hello");
    let proxy = site.serve(tier, "");
    let mut client = proxy.client();
    let tag = "\"2ebc98a1-5\"";
    for (line, status) in [
        (format!("If-None-Match: {tag}"), 304),
        (format!("If-None-Match: \"x\", W/{tag}"), 304),
        ("If-None-Match: \"x\"".to_owned(), 200),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT".to_owned(), 304),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT".to_owned(), 200),
        ("If-Match: \"x\"".to_owned(), 412),
        ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT".to_owned(), 412),
    ] {
        let response = get(&mut client, "/a", &format!("{line}\r\n"));
        assert_eq!(response.status, status, "{line}");
        if status == 304 {
            assert_eq!(response.field("etag"), Some(tag));
            assert!(response.body.is_empty() && response.field("date").is_some());
            assert_eq!(response.field("content-length"), None);
        }
    }
}

fn ranges_are_sent(tier: Tier) {
    let site = Webroot::new();
    let large = Pattern::new(1).take(300_000);
    site.put("a.txt", "0123456789").put("large", &large);
    let proxy = site.serve(tier, "max_ranges = 3");
    let mut client = proxy.client();
    for (range, content_range, body) in [
        ("bytes=0-0", "bytes 0-0/10", "0"),
        ("bytes=2-4", "bytes 2-4/10", "234"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=-2", "bytes 8-9/10", "89"),
    ] {
        let part = get(&mut client, "/a.txt", &format!("Range: {range}\r\n"));
        assert_eq!((part.status, text(&part)), (206, body), "{range}");
        assert_eq!(part.field("content-range"), Some(content_range));
        assert_eq!(part.field("content-type"), Some("text/plain"));
    }
    let none = get(&mut client, "/a.txt", "Range: bytes=10-\r\n");
    assert_eq!((none.status, none.field("content-range")), (416, Some("bytes */10")));
    for whole in ["bytes=0-0,1-1,2-2,3-3", "bytes=0-,0-", "lines=1-2"] {
        let response = get(&mut client, "/a.txt", &format!("Range: {whole}\r\n"));
        assert_eq!((response.status, text(&response)), (200, "0123456789"), "{whole}");
    }
    let several = get(&mut client, "/a.txt", "Range: bytes=0-1,-1\r\n");
    assert_eq!(several.status, 206);
    let kind = several.field("content-type").expect("a type").to_owned();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("parts");
    let part = |range, bytes| {
        let fields = format!("Content-Type: text/plain\r\nContent-Range: bytes {range}/10");
        format!("\r\n--{boundary}\r\n{fields}\r\n\r\n{bytes}")
    };
    let expected = format!("{}{}\r\n--{boundary}--\r\n", part("0-1", "01"), part("9-9", "9"));
    assert_eq!(text(&several), expected);
    // Large ones go another way.
    let part = get(&mut client, "/large", "Range: bytes=100000-299999\r\n");
    assert_eq!((part.status, part.body.len()), (206, 200_000));
    assert!(part.body == large[100_000..]);
    let several = get(&mut client, "/large", "Range: bytes=0-99999,200000-299999\r\n");
    assert_eq!(several.status, 206);
    let at = several.body.windows(100).position(|w| w == &large[..100]).expect("the first part");
    assert!(several.body[at..at + 100_000] == large[..100_000]);
    let end = several.body.windows(100).rposition(|w| w == &large[299_900..]).expect("the last");
    assert!(several.body[end + 100 - 100_000..end + 100] == large[200_000..]);
    assert_eq!(get(&mut client, "/a.txt", "").status, 200, "and the next request");
    let stale = get(&mut client, "/a.txt", "Range: bytes=0-0\r\nIf-Range: \"x\"\r\n");
    assert_eq!(stale.status, 200);
}

fn paths_do_not_lead_out(tier: Tier) {
    let site = Webroot::new();
    site.put("a", "a").put("dir/b", "b").put(".git/config", "hidden").put("x/.env", "hidden");
    site.put(".well-known/y", "known").put("back\\slash", "slash").put("sp ace%", "odd");
    fs::write(site.outside().join("secret"), "secret").expect("a file");
    let proxy = site.serve(tier, "");
    let mut client = proxy.client();
    for (path, status) in [
        ("/a", 200),
        ("/dir/../a", 200),
        ("/../a", 200),
        ("//a", 200),
        ("/%61", 200),
        ("/back%5cslash", 200),
        ("/sp%20ace%25", 200),
        ("/.well-known/y", 200),
        ("/../secret", 404),
        ("/%2e%2e/secret", 404),
        ("/..%2fsecret", 404),
        ("/dir/..%2f..%2fsecret", 404),
        ("/dir%2fb", 404),
        ("/..%5csecret", 404),
        ("/..\\secret", 404),
        ("/%%32e%%32e/secret", 404),
        ("/%252e%252e/secret", 404),
        ("/....//secret", 404),
        ("/dir/%c0%ae%c0%ae/secret", 404),
        ("/a%00", 400),
        ("/a%00.html", 400),
        ("/.git/config", 404),
        ("/x/.env", 404),
        ("/.%67it/config", 404),
    ] {
        let response = get(&mut client, path, "");
        assert_eq!(response.status, status, "{path}");
        assert!(!text(&response).contains("secret\n") && response.body != b"secret", "{path}");
    }
    let long = format!("/{}", "n".repeat(5000));
    assert_eq!(get(&mut client, &long, "").status, 404);
    let open = site.serve(tier, "hidden = true");
    assert_eq!(status(&open, "/.git/config"), 200);
}

fn links_are_followed_as_far_as_they_may(tier: Tier) {
    let site = Webroot::new();
    site.put("a", "a").put("dir/b", "b");
    fs::write(site.outside().join("secret"), "secret").expect("a file");
    site.link("a", "inside").link("../secret", "out").link("dir", "folder");
    site.link(site.outside().join("secret"), "absolute").link("loop", "loop").link("no", "broken");
    for (policy, expected) in [
        ("inside", [200, 200, 403, 403, 403, 404]),
        ("never", [403, 403, 403, 403, 403, 403]),
        ("anywhere", [200, 200, 200, 200, 403, 404]),
    ] {
        let proxy = site.serve(tier, &format!("symlinks = {policy:?}"));
        let paths = ["/inside", "/folder/b", "/out", "/absolute", "/loop", "/broken"];
        assert_eq!(paths.map(|path| status(&proxy, path)), expected, "{policy}");
        assert_eq!(status(&proxy, "/dir/b"), 200);
    }
}

fn what_is_no_file_is_not_served(tier: Tier) {
    let site = Webroot::new();
    site.put("a", "a").put("locked", "x");
    let fifo = std::process::Command::new("mkfifo").arg(site.root().join("fifo")).status();
    assert!(fifo.expect("mkfifo").success());
    let _socket = std::os::unix::net::UnixListener::bind(site.root().join("socket"));
    site.link("/dev/zero", "device");
    let proxy = site.serve(tier, "symlinks = \"anywhere\"");
    for path in ["/fifo", "/socket", "/device"] {
        assert_eq!(status(&proxy, path), 404, "{path}");
    }
    // A directory that goes away, and comes back.
    fs::rename(site.root(), site.outside().join("moved")).expect("moved");
    let gone = || status(&proxy, "/a") == 404;
    wait_until("the directory is missed", gone);
    fs::rename(site.outside().join("moved"), site.root()).expect("moved");
    wait_until("the directory is found", || status(&proxy, "/a") == 200);
}

fn directories_have_an_index_or_a_listing(tier: Tier) {
    let site = Webroot::new();
    site.put("index.html", "top").put("sub/index.htm", "sub").put("bare/<b>&.txt", "x");
    site.put("bare/sub/y", "y").put("bare/.hidden", "h");
    site.put("\\evil.test/x", "x").put("line\r\nx: y/x", "x");
    let proxy = site.serve(tier, "index = [\"index.html\", \"index.htm\"]");
    let mut client = proxy.client();
    assert_eq!(text(&get(&mut client, "/", "")), "top");
    let sub = get(&mut client, "/sub/", "");
    assert_eq!((text(&sub), sub.field("content-type")), ("sub", Some("text/html")));
    let moved = get(&mut client, "/sub?a=b&c", "");
    assert_eq!((moved.status, moved.field("location")), (301, Some("/sub/?a=b&c")));
    let moved = get(&mut client, "//sub", "");
    assert_eq!((moved.status, moved.field("location")), (301, Some("/sub/")));
    assert_eq!(get(&mut client, "/bare/", "").status, 403);
    assert_eq!(get(&mut client, "/nowhere/", "").status, 404);
    // Names that would be hosts or fields if they came back as they are.
    for (path, location) in [
        ("//evil.test/", None),
        ("//evil.test/..//sub", Some("/sub/")),
        ("/\\evil.test", Some("/%5Cevil.test/")),
        ("/%5cevil.test", Some("/%5Cevil.test/")),
        ("/.//%5cevil.test?//x", Some("/%5Cevil.test/?//x")),
        ("/%2fevil.test", None),
        ("/%2f%2fevil.test/", None),
        ("/line%0d%0ax:%20y", Some("/line%0D%0Ax:%20y/")),
    ] {
        let moved = get(&mut client, path, "");
        let status = if location.is_some() { 301 } else { 404 };
        assert_eq!((moved.status, moved.field("location")), (status, location), "{path}");
    }

    let proxy = site.serve(tier, "listing = true");
    let mut client = proxy.client();
    assert_eq!(text(&get(&mut client, "/", "")), "top");
    let page = get(&mut client, "/bare/", "");
    assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"));
    assert!(text(&page).contains("<a href=\"%3Cb%3E&amp;.txt\">&lt;b&gt;&amp;.txt</a>"));
    assert!(text(&page).contains("<a href=\"sub/\">sub/</a>"));
    assert!(!text(&page).contains("hidden") && !text(&page).contains("<b>"));
    let list = get(&mut client, "/bare/", "Accept: application/json\r\n");
    assert_eq!(list.field("content-type"), Some("application/json"));
    let list: serde_json::Value = serde_json::from_slice(&list.body).expect("JSON");
    assert_eq!((&list[0]["type"], &list[0]["name"]), (&"directory".into(), &"sub".into()));
    assert_eq!((&list[1]["type"], &list[1]["size"]), (&"file".into(), &1.into()));
}

fn try_looks_here_and_there(tier: Tier) {
    let site = Webroot::new();
    site.put("index.html", "app").put("a.txt", "a").put("page.html", "page");
    site.put("dir/index.html", "dir");
    let single_page = "try = [\"$uri\", \"$uri.html\", \"$uri/\", \"/index.html\"]";
    let proxy = site.serve(tier, single_page);
    let mut client = proxy.client();
    for (path, body) in [
        ("/a.txt", "a"),
        ("/page", "page"),
        ("/dir/", "dir"),
        ("/", "app"),
        ("/users/42?tab=1", "app"),
        ("/a.txt/x", "app"),
    ] {
        let response = get(&mut client, path, "");
        assert_eq!((response.status, text(&response)), (200, body), "{path}");
    }
    // Links in its page would lead astray.
    let moved = get(&mut client, "/dir?tab=1", "");
    assert_eq!((moved.status, moved.field("location")), (301, Some("/dir/?tab=1")));
    let kind = get(&mut client, "/users/42", "");
    assert_eq!(kind.field("content-type"), Some("text/html"));

    let strict = site.serve(tier, "try = [\"$uri\", \"=410\"]");
    assert_eq!((status(&strict, "/a.txt"), status(&strict, "/b.txt")), (200, 410));
    // The route for the last path answers, with its own settings; a circle ends.
    let other = format!(
        "path = \"/shell\"\n[route.files]\nroot = {:?}\ntry = [\"/page.html\", \"=404\"]",
        site.root()
    );
    let circle = format!(
        "path = \"/circle\"\n[route.files]\nroot = {:?}\ntry = [\"/x\", \"/circle\"]",
        site.root()
    );
    let config = site.config(tier, "try = [\"$uri\", \"/shell/x\"]").route(&other).route(&circle);
    let proxy = config.start();
    let shell = proxy.get("/nothing");
    assert_eq!((shell.status, text(&shell)), (200, "page"));
    assert_eq!(status(&proxy, "/circle"), 500);
}

/// Also behind `try`, which must not lead past a route's password.
fn what_routes_do_about_content_holds_for_files(tier: Tier) {
    let site = Webroot::new();
    site.put("a.txt", "a".repeat(5000)).put("large.txt", "b".repeat(200_000)).put("in/x", "x");
    let inner = format!(
        "path = \"/in\"\nmaintenance = {{ body = \"later\" }}\n[route.files]\nroot = {:?}",
        site.root()
    );
    let outer = format!(
        "path = \"/\"\ncors = {{ origins = [\"https://a.example\"] }}\n\
         compress = {{ algorithms = [\"gzip\"], types = [\"text/plain\"], min_bytes = \"1KiB\" }}\n\
         [route.files]\nroot = {:?}\ntry = [\"$uri\", \"/in/x\"]",
        site.root()
    );
    let proxy = Config::new(tier).endless().route(&outer).route(&inner).start();
    let mut client = proxy.client();
    let lines = "Origin: https://a.example\r\nAccept-Encoding: gzip\r\n";
    for path in ["/a.txt", "/large.txt"] {
        let response = get(&mut client, path, lines);
        let coding = response.field("content-encoding");
        assert_eq!((response.status, coding), (200, Some("gzip")), "{path}");
        assert_eq!(response.field("access-control-allow-origin"), Some("https://a.example"));
    }
    assert_eq!(get(&mut client, "/large.txt", "").body, "b".repeat(200_000).as_bytes());
    assert_eq!(get(&mut client, "/a.txt", "").body, "a".repeat(5000).as_bytes());
    for path in ["/in/x", "/nowhere"] {
        assert_eq!(get(&mut client, path, "").status, 503, "{path}");
    }
}

fn an_alias_stands_for_what_the_route_matches(tier: Tier) {
    let site = Webroot::new();
    site.put("img/a.txt", "a").put("favicon.ico", "icon");
    let alias = |path: &str, to: &str| {
        format!("{path}\n[route.files]\nalias = {:?}", site.root().join(to).display().to_string())
    };
    let proxy = Config::new(tier)
        .route(&alias("path = \"/pictures\"", "img"))
        .route(&alias("path = \"/p%20x/\"", "img/"))
        .route(&alias("path_exact = \"/favicon.ico\"", "favicon.ico"))
        .start();
    for (path, status, body) in [
        ("/pictures/a.txt", 200, Some("a")),
        ("/p%20x/a.txt", 200, Some("a")),
        ("/favicon.ico", 200, Some("icon")),
        ("/pictures/../favicon.ico", 200, Some("icon")),
        ("/pictures/%2e%2e%2ffavicon.ico", 404, None),
        ("/picturesa.txt", 404, None),
        ("/pictures", 301, None),
        ("/pictures/", 403, None),
        ("/p%20x", 404, None),
        ("/p%20x/", 403, None),
    ] {
        let response = proxy.get(path);
        assert_eq!(response.status, status, "{path}");
        assert!(body.is_none_or(|body| text(&response) == body), "{path}");
    }
    assert_eq!(proxy.get("/favicon.ico").field("content-type"), Some("image/x-icon"));
    assert_eq!(proxy.get("/pictures?a").field("location"), Some("/pictures/?a"));
}

fn codings_that_lie_ready_are_sent(tier: Tier) {
    let site = Webroot::new();
    site.put("a.js", "plain").put("a.js.gz", "gzipped").put("a.js.br", "brotli").put("b.js", "b");
    let proxy = site.serve(tier, "precompressed = [\"br\", \"zstd\", \"gzip\"]");
    let mut client = proxy.client();
    for (accept, coding, body) in [
        ("gzip, deflate, br, zstd", Some("br"), "brotli"),
        ("zstd, gzip", Some("gzip"), "gzipped"),
        ("gzip, br;q=0.5", Some("gzip"), "gzipped"),
        ("zstd", None, "plain"),
        ("gzip;q=0", None, "plain"),
        ("", None, "plain"),
    ] {
        let response = get(&mut client, "/a.js", &format!("Accept-Encoding: {accept}\r\n"));
        assert_eq!((response.status, text(&response)), (200, body), "{accept}");
        assert_eq!(response.field("content-encoding"), coding, "{accept}");
        assert_eq!(response.field("vary"), Some("Accept-Encoding"));
        assert_eq!(response.field("content-type"), Some("text/javascript"));
        let tag = format!("\"2ebc98a1-{:x}\"", body.len());
        assert_eq!(response.field("etag"), Some(tag.as_str()));
    }
    let lines = "Accept-Encoding: br\r\nRange: bytes=0-2\r\n";
    let part = get(&mut client, "/a.js", lines);
    assert_eq!((part.status, text(&part)), (206, "bro"));
    assert_eq!(text(&get(&mut client, "/b.js", "Accept-Encoding: br\r\n")), "b");
}

fn freshness_is_told(tier: Tier) {
    let site = Webroot::new();
    site.put("a", "a");
    let fields = |settings: &str| {
        let response = site.serve(tier, settings).get("/a");
        let field = |name: &str| response.field(name).map(str::to_owned);
        (field("cache-control"), field("expires"))
    };
    assert_eq!(fields(""), (None, None));
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(fields("cache_control = \"no-store\""), (some("no-store"), None));
    let (control, expires) = fields("expires = \"1h\"");
    assert_eq!(control, some("max-age=3600"));
    assert!(expires.is_some_and(|date| date.ends_with(" GMT")));
    let epoch = "Thu, 01 Jan 1970 00:00:01 GMT";
    assert_eq!(fields("expires = \"epoch\""), (some("no-cache"), some(epoch)));
    let max = (some("max-age=315360000"), some("Thu, 31 Dec 2037 23:55:55 GMT"));
    assert_eq!(fields("expires = \"max\""), max);
    let after = (some("no-cache"), some("Sun, 06 Nov 1994 09:49:37 GMT"));
    assert_eq!(fields("expires = { after_change = \"1h\" }"), after);
    let both = "expires = \"max\"\ncache_control = \"public\"";
    assert_eq!(fields(both).0, some("public"));
}

/// In place at once, by name when what was found is no longer valid.
fn what_changes_is_seen(tier: Tier) {
    let site = Webroot::new();
    site.put("a", "one");
    let proxy = site.serve(tier, "");
    let mut client = proxy.client();
    assert_eq!(text(&get(&mut client, "/a", "")), "one");
    fs::write(site.root().join("a"), "longer").expect("written");
    assert_eq!(text(&get(&mut client, "/a", "")), "longer");
    assert_eq!(get(&mut client, "/b", "").status, 404);
    site.put("new", "replaced").put("b", "new");
    fs::rename(site.root().join("new"), site.root().join("a")).expect("renamed");
    wait_until("the new file is there", || text(&get(&mut client, "/a", "")) == "replaced");
    wait_until("what was missing is there", || get(&mut client, "/b", "").status == 200);
    // As deployments do it: the directory is a link that is switched.
    let other = Webroot::new();
    other.put("a", "two");
    let current = site.outside().join("current");
    symlink(site.root(), &current).expect("a link");
    let files = format!("path = \"/\"\n[route.files]\nroot = {current:?}");
    let proxy = Config::new(tier).endless().route(&files).start();
    let mut client = proxy.client();
    assert_eq!(text(&get(&mut client, "/a", "")), "replaced");
    symlink(other.root(), site.outside().join("next")).expect("a link");
    fs::rename(site.outside().join("next"), &current).expect("switched");
    wait_until("the other directory is seen", || text(&get(&mut client, "/a", "")) == "two");
}

fn large_files_arrive_whole(tier: Tier) {
    let site = Webroot::new();
    let sizes = [0, 1, 65_535, 65_536, 65_537, 1 << 20, (3 << 20) + 17];
    for (at, size) in sizes.into_iter().enumerate() {
        site.put(&at.to_string(), Pattern::new(at as u64).take(size));
    }
    for splice in [true, false] {
        let config = site.config(tier, "").toml(&format!("[splice]\nenabled = {splice}"));
        let proxy = config.start();
        let mut client = proxy.client();
        for (at, size) in sizes.into_iter().enumerate() {
            let response = get(&mut client, &format!("/{at}"), "");
            assert_eq!(response.body.len(), size);
            assert!(response.body == Pattern::new(at as u64).take(size), "{size} bytes");
        }
        let report = proxy.usage();
        assert_eq!(report.of("files sent"), sizes.len() as u64);
        assert_eq!(report.of("body bytes spliced") > 0, splice);
    }
    // What is not in memory is read by the ring.
    let proxy = site.serve(tier, "");
    let large = (sizes.len() - 1).to_string();
    let file = fs::File::open(site.root().join(&large)).expect("the file");
    file.sync_all().expect("written");
    let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    assert!(proxy.get(&format!("/{large}")).body == Pattern::new(6).take(sizes[6]));
}

fn a_file_that_shrinks_breaks_off(tier: Tier) {
    let site = Webroot::new();
    site.put("a", vec![b'x'; 16 << 20]);
    let proxy = site.serve(tier, "");
    let mut client = Client::connect_with_buffer(16 << 10, &proxy.address());
    client.send("GET /a HTTP/1.1\r\nHost: test\r\n\r\n");
    let head = client.response_head("GET").expect("a head");
    assert_eq!(head.field("content-length"), Some("16777216"));
    let file = fs::File::options().write(true).open(site.root().join("a")).expect("the file");
    file.set_len(1000).expect("cut");
    let (bytes, end) = client.rest();
    assert!(bytes.len() < 16 << 20 && end == End::Reset, "{} bytes, {end:?}", bytes.len());
    assert_eq!(proxy.get("/a").body.len(), 1000);
}

fn a_slow_reader_holds_nobody_up(tier: Tier) {
    let site = Webroot::new();
    site.put("large", vec![b'x'; 32 << 20]).put("small", "small");
    let limit = "[timeouts]\nbody_idle = \"500ms\"";
    let proxy = site.config(tier, "").toml(limit).start();
    let before = proxy.usage();
    let slow: Vec<Client> = (0..8)
        .map(|_| {
            let mut client = Client::connect_with_buffer(16 << 10, &proxy.address());
            client.send("GET /large HTTP/1.1\r\nHost: test\r\n\r\n");
            assert_eq!(client.response_head("GET").expect("a head").status, 200);
            client
        })
        .collect();
    let mut client = proxy.client();
    for _ in 0..100 {
        assert_eq!(text(&get(&mut client, "/small", "")), "small");
    }
    // They take nothing, and are let go.
    let of = |name| proxy.usage().of(name);
    wait_until("slow readers are closed", || of("client connections open") == 1);
    drop((slow, client));
    wait_until("nothing is left", || proxy.usage().excess(&before, 0).is_empty());
    // One that takes what there is, if slowly, gets all of it.
    let mut steady = Client::connect_with_buffer(64 << 10, &proxy.address());
    steady.send("GET /large HTTP/1.1\r\nHost: test\r\n\r\n");
    let head = steady.response_head("GET").expect("a head");
    assert_eq!(steady.skip_body(head.framing), 32 << 20);
    let mut leaver = proxy.client();
    leaver.send("GET /large HTTP/1.1\r\nHost: test\r\n\r\n");
    leaver.some(1000).expect("a beginning");
    leaver.reset_on_close();
    drop((leaver, steady));
    wait_until("nothing is left", || proxy.usage().excess(&before, 0).is_empty());
}

fn nothing_stays_open(tier: Tier) {
    let site = Webroot::new();
    for number in 0..40 {
        site.put(&format!("dir/{number}"), vec![b'x'; number * 10_000]);
    }
    let cache = "[files]\ncache = { max = 16, valid = \"300ms\" }";
    let proxy = site.config(tier, "listing = true").toml(cache).start();
    let before = proxy.usage();
    let mut client = proxy.client();
    for number in 0..1000 {
        let path = match number % 50 {
            number @ ..40 => format!("/dir/{number}"),
            40..45 => "/dir/".to_owned(),
            _ => "/dir/nowhere".to_owned(),
        };
        get(&mut client, &path, "");
    }
    let held = proxy.open_files().iter().filter(|file| file.contains("/dir/")).count();
    assert!(held <= 16, "{held} files are kept");
    drop(client);
    wait_until("nothing is left", || proxy.usage().excess(&before, 0).is_empty());
}

/// Two routes whose files send each other what they do not have.
fn a_circle_ends(tier: Tier) {
    let site = Webroot::new();
    site.put("a", "a");
    let files = |last: &str| {
        format!("[route.files]\nroot = {:?}\ntry = [\"$uri\", \"{last}\"]", site.root())
    };
    let proxy = Config::new(tier)
        .route(&format!("path = \"/\"\n{}", files("@b")))
        .route(&format!("name = \"b\"\ninternal = true\n{}", files("@c")))
        .route(&format!("name = \"c\"\ninternal = true\n{}", files("@b")))
        .start();
    assert_eq!((status(&proxy, "/a"), status(&proxy, "/x"), status(&proxy, "/a")), (200, 500, 200));
}
