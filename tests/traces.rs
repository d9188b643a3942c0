//! Traces that requests are part of, and how much is logged.

#[macro_use]
mod support;

use rustix::process::Signal;
use support::*;

tiered! {
    a_trace_is_passed_on_as_it_came,
    a_request_without_a_trace_gets_one,
    log_lines_name_the_trace,
    modules_have_levels_of_their_own,
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What the log says of the traces of so many requests.
#[track_caller]
fn logged(proxy: &Proxy, requests: usize) -> Vec<String> {
    let path = proxy.dir().join("access.log");
    let read = || std::fs::read_to_string(&path).unwrap_or_default();
    wait_until("all lines are there", || read().matches('\n').count() == requests);
    read().lines().map(str::to_owned).collect()
}

const LOG: &str = "[access_log]\nto = \"access.log\"\nformat = '$trace_id $span_id'";

fn request(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: test\r\n{fields}\r\n")
}

fn a_trace_is_passed_on_as_it_came(tier: Tier) {
    let origin = Origin::saying(ok("hello"));
    for tracing in ["", "[tracing]\ncreate = true"] {
        let proxy = Config::new(tier).toml(LOG).toml(tracing).origin("app", &origin).start();
        let before = origin.requests().len();
        let fields = format!("Traceparent: {VALID}\r\nTracestate: a=1,b=2\r\n");
        proxy.client().request(request(&fields));
        let seen = &origin.await_requests(before + 1)[before];
        assert_eq!(seen.field("traceparent"), Some(VALID));
        assert_eq!(seen.field("tracestate"), Some("a=1,b=2"));
        assert_eq!(logged(&proxy, 1), [format!("{TRACE} 00f067aa0ba902b7")]);
    }
    // What is not valid goes on as well, as long as nothing is to be created.
    let proxy = Config::new(tier).toml(LOG).origin("app", &origin).start();
    let before = origin.requests().len();
    proxy.client().request(request("Traceparent: what\r\n"));
    proxy.client().request(request(""));
    let seen = origin.await_requests(before + 2);
    assert_eq!(seen[before].field("traceparent"), Some("what"));
    assert_eq!(seen[before + 1].field("traceparent"), None);
    assert_eq!(logged(&proxy, 2), ["- -", "- -"]);
}

fn a_request_without_a_trace_gets_one(tier: Tier) {
    for (sampled, flags) in [("", "01"), ("sampled = true", "01"), ("sampled = false", "00")] {
        let origin = Origin::saying(ok("hello"));
        let tracing = format!("[tracing]\ncreate = true\n{sampled}");
        let proxy = Config::new(tier).toml(LOG).toml(&tracing).origin("app", &origin).start();
        let mut client = proxy.client();
        client.request(request(""));
        client.request(request("Traceparent: 00-x\r\nTracestate: a=1\r\n"));
        let twice = format!("Traceparent: {VALID}\r\nTraceparent: {VALID}\r\nTracestate: a=1\r\n");
        client.request(request(&twice));
        let seen = origin.await_requests(3);
        let mut traces = Vec::new();
        for (request, line) in seen.iter().zip(logged(&proxy, 3)) {
            let values = request.fields.all("traceparent");
            let [value] = values[..] else { panic!("one: {values:?}") };
            let parts: Vec<&str> = value.split('-').collect();
            let ["00", trace, span, said] = parts[..] else { panic!("{value}") };
            assert_eq!((trace.len(), span.len(), said), (32, 16, flags), "{value}");
            assert_eq!(request.field("tracestate"), None);
            assert_eq!(line, format!("{trace} {span}"));
            traces.push(trace.to_owned());
        }
        traces.sort();
        traces.dedup();
        assert_eq!(traces.len(), 3, "each is another");
        assert!(!traces.contains(&TRACE.to_owned()));
    }
}

fn log_lines_name_the_trace(tier: Tier) {
    let refusing = origin_refuses();
    let proxy = Config::new(tier).upstream("app", &[refusing.server()], "").start();
    let fields = format!("Traceparent: {VALID}\r\n");
    assert_eq!(proxy.client().request(request(&fields)).status, 502);
    for needle in ["cannot connect", "No server could be reached"] {
        let line = proxy.await_stderr(needle);
        assert!(line.contains(&format!("trace=\"{TRACE}\"")), "{line}");
        assert!(line.contains(&format!("server=\"{}\"", refusing.address())), "{line}");
    }
    // The next request has none.
    assert_eq!(proxy.client().request(request("")).status, 502);
    wait_until("it is logged", || proxy.stderr().matches("status=502").count() == 2);
    let said = proxy.stderr();
    let last = said.lines().rfind(|line| line.contains("status=502")).expect("a line");
    assert!(!last.contains("trace="), "{last}");
}

fn modules_have_levels_of_their_own(tier: Tier) {
    let config = |levels: &str| {
        let log = format!("[log]\nlevel = \"error\"\nlevels = {{ {levels} }}");
        let route = "path = \"/\"\nrespond = { status = 200 }";
        Config::new(tier).toml(&log).route(route)
    };
    let proxy = config("\"control::reload\" = \"info\"").start();
    proxy.get("/none");
    // Waits for a line of that module.
    proxy.reload(&config("proxy = \"debug\", \"control::reload\" = \"info\""));
    let bad = "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
    assert_eq!(proxy.client().request(bad).status, 400);
    let line = proxy.await_stderr("status=400");
    assert!(line.contains("DEBUG") && line.contains("corelane::proxy::reply"), "{line}");
    proxy.signal(Signal::TERM);
    let exit = proxy.wait();
    assert!(!exit.stderr.contains("draining"), "that is of another module: {}", exit.stderr);
}
