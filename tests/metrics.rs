//! `/metrics`, as Prometheus reads it.

#[macro_use]
mod support;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::*;

tiered! {
    requests_are_counted_by_route_method_and_status,
    buckets_are_those_of_the_configuration,
    promtool_finds_nothing_to_say,
    protobuf_is_there_for_those_who_ask,
    a_public_address_takes_the_token,
    lines_that_the_access_log_lost_are_counted,
    each_metric_is_documented,
}

/// Prometheus's own, with native histograms on.
const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                        encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.3";

fn scrape(admin: &Admin) -> String {
    let answer = ask(&admin.address(), "GET", "/metrics", &[]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    answer.text().to_owned()
}

/// The value of a series, as it is written; `None`: there is none.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|number| number.parse().expect("a number"))
}

/// One shard for whom routes "app", "own" and "refusing" are; some requests of each.
fn busy(tier: Tier, admin: &Admin, origin: &Origin, more: &str) -> Proxy {
    let refusing = origin_refuses();
    let proxy = Config::new(tier)
        .toml(&admin.toml())
        .toml(more)
        .origin("app", origin)
        .upstream("refusing", &[refusing.server()], "")
        .route("name = \"app\"\npath = \"/\"\nupstream = \"app\"")
        .route("name = \"own\"\npath = \"/own\"\nrespond = { status = 204 }")
        .route("name = \"refusing\"\npath = \"/refusing\"\nupstream = \"refusing\"")
        .start();
    let mut client = proxy.client();
    (0..5).for_each(|_| assert_eq!(client.get("/").status, 200));
    (0..2).for_each(|_| assert_eq!(client.post("/", "12345").status, 200));
    assert_eq!(client.get("/own").status, 204);
    assert_eq!(client.get("/refusing").status, 502);
    let bad = "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
    assert_eq!(proxy.client().request(bad).status, 400);
    let all = "corelane_requests_total{route=\"(none)\",method=\"other\",status=\"4xx\"}";
    wait_until("all are counted", || value(&scrape(admin), all) == Some(1.0));
    proxy
}

fn requests_are_counted_by_route_method_and_status(tier: Tier) {
    let (admin, origin) = (Admin::new(), Origin::saying(ok("hello")));
    let proxy = busy(tier, &admin, &origin, "");
    let kept = proxy.client();
    wait_until("a connection is open", || {
        let idle = "corelane_connections{shard=\"0\",state=\"idle\"}";
        value(&scrape(&admin), idle) >= Some(1.0)
    });
    let text = scrape(&admin);
    let server = format!("upstream=\"app\",server=\"{}\"", origin.address());
    for (series, expected) in [
        ("corelane_requests_total{route=\"app\",method=\"GET\",status=\"2xx\"}", 5.0),
        ("corelane_requests_total{route=\"app\",method=\"POST\",status=\"2xx\"}", 2.0),
        ("corelane_requests_total{route=\"own\",method=\"GET\",status=\"2xx\"}", 1.0),
        ("corelane_requests_total{route=\"refusing\",method=\"GET\",status=\"5xx\"}", 1.0),
        ("corelane_request_body_bytes_total{route=\"app\"}", 10.0),
        ("corelane_response_body_bytes_total{route=\"app\"}", 35.0),
        (&format!("corelane_server_requests_total{{{server},status=\"2xx\"}}"), 7.0),
        (&format!("corelane_server_up{{{server}}}"), 1.0),
        (&format!("corelane_server_status{{{server},status=\"ejected\"}}"), 0.0),
        ("corelane_request_duration_seconds_count{route=\"app\",phase=\"total\"}", 7.0),
        ("corelane_request_duration_seconds_count{route=\"own\",phase=\"head\"}", 1.0),
        (&format!("corelane_server_duration_seconds_count{{{server},phase=\"first_byte\"}}"), 7.0),
        ("corelane_server_changes_total{change=\"ejected\"}", 1.0),
        ("corelane_reloads_total{result=\"ok\"}", 0.0),
        ("corelane_last_reload_successful", 1.0),
        ("corelane_upstream_connections_total{source=\"new\"}", 1.0),
        ("corelane_upstream_connections_total{source=\"pool\"}", 6.0),
        (&format!("corelane_ring_tier_info{{tier=\"{tier}\"}}"), 1.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series}\n{text}");
    }
    for series in ["process_cpu_seconds_total", "process_open_fds", "process_resident_memory_bytes"]
    {
        assert!(value(&text, series) >= Some(0.0), "{series}");
    }
    let own = "corelane_request_duration_seconds_count{route=\"own\",phase=\"first_byte\"}";
    assert_eq!(value(&text, own), None);
    drop(kept);
    // A refused reload is told; what was counted stays.
    proxy.rewrite_text("nonsense = 1");
    assert_eq!(ask(&admin.address(), "POST", "/v1/reload", &[]).status, 422);
    let text = scrape(&admin);
    assert_eq!(value(&text, "corelane_reloads_total{result=\"refused\"}"), Some(1.0));
    assert_eq!(value(&text, "corelane_last_reload_successful"), Some(0.0));
    let app = "corelane_requests_total{route=\"app\",method=\"GET\",status=\"2xx\"}";
    assert_eq!(value(&text, app), Some(5.0));
}

fn buckets_are_those_of_the_configuration(tier: Tier) {
    let (admin, origin) = (Admin::new(), Origin::saying(ok("hello")));
    let _proxy = busy(tier, &admin, &origin, "[telemetry]\nbuckets = [\"50us\", \"1h\"]");
    let text = scrape(&admin);
    let bounds: Vec<&str> = text
        .lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once("_bucket{route=\"app\",phase=\"total\",le=\"")?;
            Some(rest.split_once('"')?.0)
        })
        .collect();
    assert_eq!(bounds, ["0.00005", "3600", "+Inf"]);
    let most =
        "corelane_request_duration_seconds_bucket{route=\"app\",phase=\"total\",le=\"3600\"}";
    assert_eq!(value(&text, most), Some(7.0));
}

fn promtool_is_here() -> bool {
    let found = Command::new("promtool").arg("--version").stderr(Stdio::null()).output();
    let is_here = found.is_ok_and(|output| output.status.success());
    if !is_here {
        println!("skipped: there is no promtool (Debian package prometheus)");
    }
    is_here
}

/// A Prometheus of the test's own; ended when dropped.
struct Prometheus {
    child: Child,
    address: Address,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// Scrapes this address each second, native histograms included; says so and gives `None` where
    /// there is none.
    fn scraping(target: &Address) -> Option<Prometheus> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("prometheus.yml");
        let config = format!(
            "scrape_configs:\n- job_name: corelane\n  scrape_interval: 1s\n  \
             static_configs: [{{ targets: [\"{target}\"] }}]\n"
        );
        std::fs::write(&file, config).expect("a file");
        let free = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let started = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={free}"))
            .args(["--enable-feature=native-histograms", "--log.level=error"])
            .spawn();
        let Ok(child) = started else {
            println!("skipped: there is no prometheus");
            return None;
        };
        wait_until("Prometheus answers", || TcpStream::connect(free).is_ok());
        Some(Prometheus { child, address: Address::Tcp(free), _folder: folder })
    }

    /// The value of an expression that has one.
    fn value(&self, expression: &str) -> Option<f64> {
        let encode = |byte: u8| match byte {
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        };
        let query: String = expression.bytes().map(encode).collect();
        let answer = ask(&self.address, "GET", &format!("/api/v1/query?query={query}"), &[]);
        let value: serde_json::Value = serde_json::from_str(answer.text()).ok()?;
        value["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_prometheus_reads_native_histograms() {
    let _alone = alone();
    let origin = Origin::scripted(|conn| {
        loop {
            conn.request()?;
            pause(ms(20));
            conn.send(ok("hello"))?;
        }
    });
    let admin = "[admin]\naddress = \"127.0.0.1:0\"";
    let proxy = Config::new(tiers()[0]).toml(admin).origin("app", &origin).start();
    let Some(prometheus) = Prometheus::scraping(&admin_address(&proxy)) else { return };
    (0..10).for_each(|_| assert_eq!(proxy.get("/").status, 200));
    let total = "corelane_request_duration_seconds{phase=\"total\"}";
    wait_at_most(ms(30_000), "Prometheus has them all", || {
        prometheus.value(&format!("histogram_count({total})")) == Some(10.0)
    });
    let median = prometheus.value(&format!("histogram_quantile(0.5, {total})"));
    assert!(median >= Some(0.018) && median < Some(1.0), "{median:?}");
    let sum = prometheus.value(&format!("histogram_sum({total})"));
    assert!(sum >= Some(0.19) && sum < Some(10.0), "{sum:?}");
}

fn promtool_finds_nothing_to_say(tier: Tier) {
    if !promtool_is_here() {
        return;
    }
    let (admin, origin) = (Admin::new(), Origin::saying(ok("hello")));
    let _proxy = busy(tier, &admin, &origin, "");
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool");
    let text = scrape(&admin);
    check.stdin.take().expect("its input").write_all(text.as_bytes()).expect("it reads");
    let output = check.wait_with_output().expect("its end");
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
}

fn protobuf_is_there_for_those_who_ask(tier: Tier) {
    let (admin, origin) = (Admin::new(), Origin::saying(ok("hello")));
    let _proxy = busy(tier, &admin, &origin, "");
    let answer = ask(&admin.address(), "GET", "/metrics", &[("Accept", PROTOBUF)]);
    assert_eq!(answer.status, 200);
    let kind = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                encoding=delimited";
    assert_eq!(answer.field("content-type"), Some(kind));
    // Messages with their lengths before them, each beginning with its name (field 1, a string).
    let mut rest = answer.body.as_slice();
    let mut names = Vec::new();
    while !rest.is_empty() {
        let length = varint(&mut rest);
        let (mut message, after) = rest.split_at(length);
        rest = after;
        assert_eq!(varint(&mut message), 1 << 3 | 2);
        let length = varint(&mut message);
        names.push(String::from_utf8(message[..length].to_vec()).expect("a name"));
    }
    let text = scrape(&admin);
    let in_text: Vec<&str> = families(&text).collect();
    assert_eq!(names, in_text);
}

fn varint(bytes: &mut &[u8]) -> usize {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let (first, rest) = bytes.split_first().expect("more bytes");
        *bytes = rest;
        number |= usize::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    number
}

fn families(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
}

fn a_public_address_takes_the_token(tier: Tier) {
    let proxy = Config::new(tier)
        .route("path = \"/\"\nrespond = { status = 204 }")
        .toml("[admin]\naddress = \"0.0.0.0:0\"\ntoken = \"0123456789abcdef0123\"")
        .start();
    let port = admin_address(&proxy).port();
    let address: Address = format!("127.0.0.1:{port}").parse().expect("an address");
    let status = |fields: &[_]| ask(&address, "GET", "/metrics", fields).status;
    assert_eq!(status(&[]), 401);
    assert_eq!(status(&[("Authorization", "Bearer 0123456789abcdef0123")]), 200);
}

fn lines_that_the_access_log_lost_are_counted(tier: Tier) {
    let (admin, origin) = (Admin::new(), Origin::saying(ok("hello")));
    let full = "[access_log]\nto = \"/dev/full\"\nbuffer = \"4KiB\"";
    let _proxy = busy(tier, &admin, &origin, full);
    wait_until("the lost lines are counted", || {
        value(&scrape(&admin), "corelane_access_log_lines_lost_total") == Some(10.0)
    });
}

fn each_metric_is_documented(tier: Tier) {
    let (admin, origin) = (Admin::new(), Origin::saying(ok("hello")));
    let _proxy = busy(tier, &admin, &origin, "");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let document = std::fs::read_to_string(path).expect("docs/metrics.md");
    let text = scrape(&admin);
    let told: BTreeSet<&str> = families(&text).collect();
    let documented: BTreeSet<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|name| name.starts_with("corelane_") || name.starts_with("process_"))
        .collect();
    assert_eq!(told, documented);
}

/// A dashboard that asks for what there is not shows nothing, and an alert of that never fires.
#[test]
fn dashboard_and_alerts_ask_for_what_there_is() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a file");
    let documented = read("docs/metrics.md");
    let dashboard = read("scripts/grafana/corelane.json");
    let parsed: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    assert!(parsed["panels"].as_array().is_some_and(|panels| panels.len() > 20));
    for text in [dashboard, read("scripts/grafana/alerts.yaml")] {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names =
            words.filter(|word| word.starts_with("corelane_") || word.starts_with("process_"));
        let mut count = 0;
        for name in names {
            let name = name.strip_suffix("_bucket").unwrap_or(name);
            assert!(documented.contains(&format!("`{name}`")), "{name}");
            count += 1;
        }
        assert!(count > 8, "{count}");
    }
    if !promtool_is_here() {
        return;
    }
    let alerts = folder.join("scripts/grafana/alerts.yaml");
    let check = Command::new("promtool").args(["check", "rules"]).arg(alerts).output();
    let check = check.expect("promtool");
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}
