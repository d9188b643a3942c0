//! Latency as the admin address tells it, and as it is written to a file.

#[macro_use]
mod support;

use std::io::Write as _;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use support::*;

tiered! {
    each_phase_of_each_route_and_server_is_told,
    measurements_outlive_a_reload,
    what_old_requests_took_is_told_too,
    the_log_is_read_by_another_library,
    a_process_that_ends_writes_what_it_has,
    those_beyond_the_first_are_told_together,
    wrong_questions_are_refused,
}

const SLOW: std::time::Duration = std::time::Duration::from_millis(30);

fn latency(admin: &Admin, query: &str) -> Value {
    let answer = ask(&admin.address(), "GET", &format!("/v1/latency{query}"), &[]);
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    serde_json::from_str(answer.text()).expect("JSON")
}

fn count(admin: &Admin, query: &str, phase: &str) -> u64 {
    latency(admin, query)["phases"][phase]["count"].as_u64().expect("a count")
}

fn slow_origin() -> Origin {
    Origin::answering(|_| {
        pause(SLOW);
        ok("slow")
    })
}

/// Routes "quick", "slow" and "own".
fn config(tier: Tier, admin: &Admin, quick: &Origin, slow: &Origin) -> Config {
    Config::new(tier)
        .shards(2)
        .toml(&admin.toml())
        .origin("quick", quick)
        .origin("slow", slow)
        .route("name = \"quick\"\npath = \"/quick\"\nupstream = \"quick\"")
        .route("name = \"slow\"\npath = \"/slow\"\nupstream = \"slow\"")
        .route("name = \"own\"\npath = \"/own\"\nrespond = { status = 200, body = \"own\" }")
}

fn each_phase_of_each_route_and_server_is_told(tier: Tier) {
    let (admin, quick, slow) = (Admin::new(), Origin::saying(ok("quick")), slow_origin());
    let proxy = config(tier, &admin, &quick, &slow).start();
    for (path, times) in [("/quick", 7), ("/slow", 3), ("/own", 2), ("/nowhere", 1)] {
        for _ in 0..times {
            proxy.get(path);
        }
    }
    wait_until("all are recorded", || count(&admin, "", "total") == 13);
    for window in ["lifetime", "10s", "1m", "5m"] {
        let told = |query: &str, phase| count(&admin, &format!("?window={window}{query}"), phase);
        assert_eq!((told("", "total"), told("", "head")), (13, 13), "{window}");
        assert_eq!((told("", "first_byte"), told("", "connect")), (10, 10), "{window}");
        assert_eq!(told("&route=quick", "total"), 7);
        assert_eq!((told("&route=own", "total"), told("&route=own", "body")), (2, 0));
        let server = format!("&server={}", slow.address());
        assert_eq!(told(&server, "first_byte"), 3);
        assert_eq!(told(&format!("{server}&upstream=slow"), "total"), 3);
        assert_eq!(told("&upstream=quick", "total"), 7);
    }
    let told = latency(&admin, "?route=slow");
    let first_byte = &told["phases"]["first_byte"];
    let least = SLOW.as_micros() as u64;
    for number in ["min", "p50", "p90", "p99", "p99.9", "p99.99", "p99.999", "max"] {
        assert!(first_byte[number].as_u64().expect(number) >= least * 98 / 100, "{told}");
    }
    assert!(first_byte["mean"].as_f64().expect("a mean") >= least as f64 * 0.98);
    assert!(first_byte["standard_deviation"].as_f64().is_some());
    let text = ask(&admin.address(), "GET", "/v1/latency.hgrm?route=slow", &[]);
    assert!(text.text().contains("Total count    =            3]"), "{}", text.text());
    proxy.signal(Signal::USR1);
    proxy.await_stderr("connections reused ");
    let lines = proxy.stderr();
    assert!(
        lines.contains("latency, us") && lines.contains("\ntotal                 13"),
        "{lines}"
    );
}

fn measurements_outlive_a_reload(tier: Tier) {
    let (admin, quick, slow) = (Admin::new(), Origin::saying(ok("quick")), slow_origin());
    let first = config(tier, &admin, &quick, &slow);
    let proxy = first.start();
    (0..5).for_each(|_| drop(proxy.get("/quick")));
    wait_until("all are recorded", || count(&admin, "?route=quick", "total") == 5);
    // The route's number is another now, its upstream has another place.
    let second = Config::new(tier)
        .shards(2)
        .toml(&admin.toml())
        .origin("new", &slow)
        .origin("quick", &quick)
        .route("name = \"new\"\npath = \"/new\"\nupstream = \"new\"")
        .route("name = \"quick\"\npath = \"/\"\nupstream = \"quick\"");
    proxy.reload(&second);
    proxy.get("/quick");
    proxy.get("/new");
    wait_until("all are recorded", || count(&admin, "", "total") == 7);
    let server = format!("?server={}", quick.address());
    for window in ["lifetime", "5m"] {
        let window = format!("&window={window}");
        assert_eq!(count(&admin, &format!("?route=quick{window}"), "total"), 6);
        assert_eq!(count(&admin, &format!("?route=new{window}"), "total"), 1);
        assert_eq!(count(&admin, &format!("{server}{window}"), "total"), 6);
    }
    // What the file has no more is told no more, but it counts.
    let gone = ask(&admin.address(), "GET", "/v1/latency?route=own", &[]);
    assert_eq!(gone.status, 404);
}

/// Those that began before a reload, and end after it.
fn what_old_requests_took_is_told_too(tier: Tier) {
    let gate = Gate::shut();
    let (admin, waiting, quick) =
        (Admin::new(), origin_waits_for(&gate), Origin::saying(ok("quick")));
    let before = config(tier, &admin, &quick, &waiting);
    let proxy = before.start();
    let mut client = proxy.client();
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    waiting.await_connections(1);
    let other = before.clone().route("path = \"/more\"\nupstream = \"quick\"");
    proxy.reload(&other);
    proxy.reload(&before);
    gate.open();
    assert_eq!(client.response().status, 200);
    wait_until("it is recorded", || count(&admin, "?route=slow", "total") == 1);
    assert_eq!(count(&admin, "", "total"), 1);
}

/// The package of PyPI that is called hdrhistogram.
const PYTHON: &str = r#"
import sys
from hdrh.log import HistogramLogReader
from hdrh.histogram import HdrHistogram

sums = {}
reader = HistogramLogReader(sys.argv[1], HdrHistogram(1, 3600000000, 2))
while True:
    one = reader.get_next_interval_histogram()
    if one is None:
        break
    tag = one.get_tag()
    if tag not in sums:
        sums[tag] = HdrHistogram(1, 3600000000, 2)
    sums[tag].add(one)
for tag in sorted(sums):
    sum = sums[tag]
    print(tag, sum.get_total_count(), sum.get_min_value(), sum.get_max_value(),
          sum.get_value_at_percentile(50))
"#;

fn python_has_hdrh() -> bool {
    let mut python = Command::new("python3");
    let import = python.args(["-c", "import hdrh.log"]).stderr(Stdio::null()).status();
    import.is_ok_and(|status| status.success())
}

/// For each tag: its count, least, most and median.
fn read_log(path: &std::path::Path) -> Vec<String> {
    let mut python = Command::new("python3");
    let output = python.args(["-c", PYTHON]).arg(path).output().expect("python3");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("a text").lines().map(str::to_owned).collect()
}

fn the_log_is_read_by_another_library(tier: Tier) {
    let (admin, quick, slow) = (Admin::new(), Origin::saying(ok("quick")), slow_origin());
    let proxy = config(tier, &admin, &quick, &slow).start();
    (0..20).for_each(|_| drop(proxy.get("/quick")));
    proxy.get("/slow");
    wait_until("all are recorded", || count(&admin, "", "total") == 21);
    let log = ask(&admin.address(), "GET", "/v1/latency.hlog", &[]);
    assert_eq!(log.status, 200);
    assert!(log.text().starts_with("#[Histogram log format version 1.3]\n"), "{}", log.text());
    let hgrm = ask(&admin.address(), "GET", "/v1/latency.hgrm?phase=first_byte", &[]);
    let told = &latency(&admin, "")["phases"]["first_byte"];
    // The distribution says the same: its last line has the most and the count.
    let last = hgrm.text().lines().rfind(|line| !line.starts_with('#')).expect("a line");
    let words: Vec<&str> = last.split_whitespace().collect();
    assert_eq!(words, [&format!("{}.000", told["max"]), "1.000000000000", "21"]);
    if !python_has_hdrh() {
        println!("skipped: python3 has no package hdrhistogram (pip install hdrhistogram)");
        return;
    }
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(log.text().as_bytes()).expect("written");
    let lines = read_log(file.path());
    let numbers = ["count", "min", "max", "p50"].map(|name| told[name].to_string());
    let expected = format!("first_byte {}", numbers.join(" "));
    assert!(lines.contains(&expected), "{expected}: {lines:?}");
    let tags: Vec<&str> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(tags, ["body", "connect", "first_byte", "head", "queue", "total"]);
}

fn a_process_that_ends_writes_what_it_has(tier: Tier) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("latency.hlog");
    let proxy = Config::new(tier)
        .shards(2)
        .toml(&format!("[telemetry]\nhistogram_log = {{ file = {path:?}, interval = \"1h\" }}"))
        .route("path = \"/\"\nrespond = { status = 200, body = \"own\" }")
        .start();
    (0..9).for_each(|_| drop(proxy.get("/")));
    assert!(!path.exists());
    let exit = proxy.terminate();
    assert!(exit.status.success(), "{exit:?}");
    let text = std::fs::read_to_string(&path).expect("a log");
    let tags: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("Tag=")).collect();
    assert!(tags.len() == 2 && tags[0].starts_with("head,"), "{text}");
    assert!(tags[1].starts_with("total,"), "{text}");
    if python_has_hdrh() {
        let lines = read_log(&path);
        assert!(lines[1].starts_with("total 9 "), "{lines:?}");
    }
}

fn those_beyond_the_first_are_told_together(tier: Tier) {
    let (admin, origin) = (Admin::new(), Origin::saying(ok("app")));
    let mut config = Config::new(tier).toml(&admin.toml()).origin("app", &origin);
    for number in 0..258 {
        let route = format!("name = \"{number}\"\npath = \"/{number}\"\nupstream = \"app\"");
        config = config.route(&route);
    }
    let proxy = config.start();
    for path in ["/255", "/256", "/257", "/else"] {
        proxy.get(path);
    }
    wait_until("all are recorded", || count(&admin, "", "total") == 4);
    for (route, requests) in [("255", 1), ("0", 0), ("(other)", 2), ("(none)", 1)] {
        assert_eq!(count(&admin, &format!("?route={route}"), "total"), requests, "{route}");
    }
    let answer = ask(&admin.address(), "GET", "/v1/latency?route=256", &[]);
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("`route=(other)` is all others together"), "{}", answer.text());
}

fn wrong_questions_are_refused(tier: Tier) {
    let (admin, quick, slow) = (Admin::new(), Origin::saying(ok("quick")), slow_origin());
    let _proxy = config(tier, &admin, &quick, &slow).start();
    for (path, status) in [
        ("/v1/latency?window=2m", 400),
        ("/v1/latency?window=1m&window=1m", 400),
        ("/v1/latency?phase=total", 400),
        ("/v1/latency?route=quick&upstream=quick", 400),
        ("/v1/latency.hgrm?phase=none", 400),
        ("/v1/latency.hlog?window=1m", 400),
        ("/v1/latency?route=none", 404),
        ("/v1/latency?server=192.0.2.1:80", 404),
        ("/v1/latency.hlog?upstream=none", 404),
    ] {
        assert_eq!(ask(&admin.address(), "GET", path, &[]).status, status, "{path}");
    }
}
