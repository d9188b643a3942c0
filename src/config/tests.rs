//! Whole configurations, accepted and refused.

mod access_log;
mod admin;
mod content;
mod edge;
mod files;
mod guards;
mod names;
mod program;
mod refused;
mod retry;
mod steering;
mod telemetry;

use super::*;
use crate::balance::PolicyKind;
use crate::plan::{
    Action, CheckKind, CheckPlan, HashKey, HttpCheck, ServerState, Term, TierChoice,
};
use std::time::Duration;

fn machine() -> Machine {
    Machine { cpus: vec![0, 1, 2, 3], cpu_quota: None }
}

fn accept(text: &str) -> Loaded {
    from_text(text, "corelane.toml", &machine()).unwrap_or_else(|complaints| {
        let lines: Vec<String> = complaints.iter().map(ToString::to_string).collect();
        panic!("refused:\n{}", lines.join("\n"))
    })
}

const LISTENER: &str = "[[listener]]\naddress = \"127.0.0.1:8080\"\n";
const UPSTREAM: &str = "[[upstream]]\nname = \"app\"\nservers = [\"127.0.0.1:3001\"]\n";
const ROUTE: &str = "[[route]]\nupstream = \"app\"\n";

fn shipped() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml");
    fs::read_to_string(path).expect("config.toml")
}

#[test]
fn the_shipped_file_loads() {
    let loaded = accept(&shipped());
    assert_eq!(loaded.summary, "1 listener, 1 upstream (3 servers), 1 route, 4 shards");
    assert_eq!(loaded.warnings, []);
}

/// What the shipped file shows as a default is one: taking the `#:` away changes nothing.
#[test]
fn the_shipped_defaults_are_the_defaults() {
    let spelled_out: String =
        shipped().lines().map(|line| format!("{}\n", line.trim_start_matches("#: "))).collect();
    assert!(spelled_out.contains("\nlevel = \"info\"\n"));
    let [short, long] = [accept(&shipped()), accept(&spelled_out)];
    assert_eq!(format!("{:?}", short.plan), format!("{:?}", long.plan));
    assert_eq!(short.log, long.log);
}

#[test]
fn the_example_of_the_documentation() {
    let loaded = accept(
        r#"
        shards = [0, 2]
        [timeouts]
        response = "20s"
        [[listener]]
        address = "0.0.0.0:8080"
        [[upstream]]
        name = "app"
        balance = "least_conn"
        servers = [
          "10.182.205.169:3000",
          { address = "10.182.205.76:3000", weight = 2, max_connections = 100 },
          { address = "backup.internal:3000", backup = true },
        ]
        timeouts = { connect = "1s", response = "30s" }
        [[route]]
        host = ["akuma.xyz", "*.akuma.xyz"]
        path = "/"
        upstream = "app"
        timeouts = { response = "40s" }
        [[route]]
        path_exact = "/old"
        redirect = { to = "https://$host/new$is_args$args" }
        "#,
    );
    let plan = &loaded.plan;
    assert_eq!(plan.shards.cpus, [0, 2]);
    assert_eq!(plan.shards.max_connections, 50_000);
    assert_eq!(plan.shards.ring.tier, TierChoice::Auto);
    let app = &plan.upstreams[0];
    assert_eq!(app.policy, PolicyKind::LeastConn);
    assert_eq!(app.hash_key, HashKey::ClientIp);
    let members: Vec<String> = app.members.iter().map(|m| m.address.to_string()).collect();
    assert_eq!(members, ["10.182.205.169:3000", "10.182.205.76:3000", "backup.internal:3000"]);
    assert_eq!((app.members[1].weight, app.members[1].max_connections), (2, Some(100)));
    assert!(app.members[2].backup);
    let servers: Vec<String> = app.servers.iter().map(|s| s.address.to_string()).collect();
    assert_eq!(servers, members[..2], "no name has been looked up yet");
    let [route, redirect] = &plan.routes[..] else { panic!("two routes") };
    assert_eq!(route.name, "akuma.xyz,*.akuma.xyz /");
    assert_eq!(route.timeouts.response, Duration::from_secs(40), "the route's own");
    assert_eq!(route.timeouts.connect, Duration::from_secs(1), "its upstream's");
    assert_eq!(redirect.timeouts.response, Duration::from_secs(20), "the global one");
    let Action::Redirect(redirect) = &redirect.action else { panic!("a redirect") };
    let terms: Vec<&Term> = redirect.to.terms().collect();
    assert_eq!((redirect.status, terms), (308, vec![&Term::Host, &Term::IsArgs, &Term::Args]));
    assert_eq!(route_of(plan, Some("www.akuma.xyz"), "/x"), Some(0));
    assert_eq!(route_of(plan, Some("other.example"), "/old"), Some(1));
    assert_eq!(route_of(plan, Some("other.example"), "/"), None);
    assert_eq!(loaded.summary, "1 listener, 1 upstream (3 servers), 2 routes, 2 shards");
}

fn route_of(plan: &Plan, host: Option<&str>, path: &str) -> Option<usize> {
    plan.table.find(host, path).map(|found| found.route)
}

#[test]
fn auto_shards_follow_cpus_and_quota() {
    let text = format!("{LISTENER}{UPSTREAM}{ROUTE}");
    let cpus = |cpus: &[usize], cpu_quota| {
        let machine = Machine { cpus: cpus.to_vec(), cpu_quota };
        from_text(&text, "corelane.toml", &machine).expect("accepted").plan.shards.cpus
    };
    assert_eq!(cpus(&[3, 5, 7], None), [3, 5, 7]);
    assert_eq!(cpus(&[3, 5, 7], Some(1.5)), [3, 5]);
    assert_eq!(cpus(&[3, 5, 7], Some(0.1)), [3]);
    assert_eq!(cpus(&[3, 5, 7], Some(64.0)), [3, 5, 7]);
    assert_eq!(cpus(&[3, 5, 7], Some(f64::INFINITY)), [3, 5, 7]);
    assert_eq!(cpus(&[3, 5, 7], Some(f64::NAN)), [3, 5, 7]);
}

#[test]
fn an_unused_upstream_is_a_warning() {
    let spare = "[[upstream]]\nname = \"spare\"\nservers = [\"127.0.0.1:1\"]\n";
    let loaded = accept(&format!("{spare}{LISTENER}{UPSTREAM}{ROUTE}"));
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    let expected =
        "corelane.toml:2:8: no route uses the upstream `spare`; add a route or remove it";
    assert_eq!(warnings, [expected]);
}

#[test]
fn an_upstream_without_a_server_in_use_is_a_warning() {
    let servers =
        "[{ address = \"a:1\", state = \"down\" }, { address = \"b:1\", state = \"drain\" }]";
    let upstream = format!("[[upstream]]\nname = \"app\"\nservers = {servers}\n");
    let loaded = accept(&format!("{upstream}{LISTENER}{ROUTE}"));
    let states: Vec<_> = loaded.plan.upstreams[0].members.iter().map(|m| m.state).collect();
    assert_eq!(states, [ServerState::Down, ServerState::Drain]);
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    let expected = "corelane.toml:1:1: every server of the upstream is set to drain or down; its \
                    requests are answered 502 until one is up";
    assert_eq!(warnings, [expected]);
}

#[test]
fn a_long_ejection_is_the_longest_too() {
    let passive = "passive = { ejection = \"5m\" }\nslow_start = \"30s\"\n";
    let loaded = accept(&format!("{UPSTREAM}{passive}{LISTENER}{ROUTE}"));
    let upstream = &loaded.plan.upstreams[0];
    assert_eq!(upstream.passive.max_ejection, Duration::from_secs(300));
    assert_eq!(upstream.slow_start, Duration::from_secs(30));
}

#[test]
fn checks_are_as_written_or_as_by_default() {
    let check = |health: &str| {
        let text = format!("{UPSTREAM}health = {health}\n{LISTENER}{ROUTE}");
        accept(&text).plan.upstreams[0].check.clone().expect("checks")
    };
    let http = HttpCheck {
        method: "GET",
        path: "/".to_owned(),
        host: None,
        statuses: vec![200..=399],
        body: None,
    };
    let default = CheckPlan {
        kind: CheckKind::Http(http.clone()),
        interval: Duration::from_secs(2),
        jitter_percent: 10,
        timeout: Duration::from_secs(1),
        rise: 2,
        fall: 3,
    };
    assert_eq!(check("{}"), default);
    let written = "{ path = \"/healthz\", method = \"OPTIONS\", host = \"a.b:1\", body = \"ok\", \
                   status = [204, \"300-301\"], fall = 1 }";
    let kind = CheckKind::Http(HttpCheck {
        method: "OPTIONS",
        path: "/healthz".to_owned(),
        host: Some("a.b:1".to_owned()),
        statuses: vec![204..=204, 300..=301],
        body: Some("ok".to_owned()),
    });
    assert_eq!(check(written), CheckPlan { kind, fall: 1, ..default.clone() });
    let short = Duration::from_millis(300);
    let expected = CheckPlan { kind: CheckKind::Tcp, interval: short, timeout: short, ..default };
    assert_eq!(check("{ type = \"tcp\", interval = \"300ms\" }"), expected);
}

#[test]
fn fixed_answers_and_fields() {
    let loaded = accept(
        r#"
        [[listener]]
        address = "unix:/run/corelane.sock"
        [[route]]
        name = "gone"
        path_regex = '\.php$'
        respond = { status = 410, body = "gone\n", content_type = "text/plain" }
        response_fields = { set = { "X-Reason" = "gone" }, remove = ["Server"] }
        limits = { body = "1MiB" }
        [[route]]
        respond = { status = 204 }
        request_fields = { set = { Host = "app.internal" }, add = { Via = "x" } }
        "#,
    );
    let [gone, rest] = &loaded.plan.routes[..] else { panic!("two routes") };
    let Action::Respond { status: 410, body } = &gone.action else { panic!("a response") };
    assert_eq!((body.text.fixed(), &body.content_type[..]), (Some("gone\n"), "text/plain"));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let edits = gone.response_fields.fixed(Some(200)).expect("without variables");
    assert_eq!(edits.set, [pair("x-reason", "gone")]);
    assert_eq!(edits.remove, ["server"]);
    assert_eq!(gone.limits.body_bytes, Some(1 << 20));
    let edits = rest.request_fields.fixed(None).expect("without variables");
    assert_eq!(edits.set, [pair("host", "app.internal")]);
    assert_eq!(edits.add, [pair("via", "x")]);
    assert_eq!(route_of(&loaded.plan, None, "/a/b.php"), Some(0));
    assert_eq!(loaded.summary, "1 listener, 0 upstreams (0 servers), 2 routes, 4 shards");
}

/// A folder with files to include.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    folder
}

#[test]
fn included_files_add_to_the_main_one() {
    let site = |name: &str| {
        format!("[[route]]\nhost = \"{name}.example\"\nupstream = \"app\"\nname = \"{name}\"\n")
    };
    let folder = folder(&[
        ("main.toml", &format!("include = [\"sites/*.toml\"]\n{LISTENER}{UPSTREAM}")),
        ("sites/b.toml", &site("b")),
        ("sites/a.toml", &site("a")),
        ("sites/a.toml~", "not TOML"),
        ("sites/.hidden.toml", "not TOML"),
        ("sites/folder.toml/x", "not TOML"),
    ]);
    let loaded =
        load(&Origin::Toml(folder.path().join("main.toml")), &machine()).expect("accepted");
    let names: Vec<&str> = loaded.plan.routes.iter().map(|route| &route.name[..]).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn mistakes_in_included_files_are_found_there() {
    let folder = folder(&[
        ("main.toml", &format!("include = [\"a.toml\", \"*.none\", \"m*.toml\"]\n{LISTENER}")),
        ("a.toml", "[timeouts]\n[[route]]\nupstream = \"app\"\nhots = \"a\"\n"),
    ]);
    let complaints =
        load(&Origin::Toml(folder.path().join("main.toml")), &machine()).expect_err("refused");
    let name = |complaint: &Complaint| {
        let folder = format!("{}/", folder.path().display());
        complaint.to_string().replace(&folder, "")
    };
    let lines: Vec<String> = complaints.iter().map(name).collect();
    assert_eq!(
        lines,
        [
            "main.toml:1:32: `m*.toml` includes the file itself; keep the files to include in \
             a folder of their own",
            "a.toml:1:2: `timeouts` cannot be set in an included file; it belongs in the main file",
            "a.toml:3:12: there is no upstream `app`; add [[upstream]] with name = \"app\"",
            "a.toml:4:1: unknown key `hots` in [[route]]; did you mean `host`?",
        ]
    );
}

#[test]
fn a_missing_file_is_named() {
    let complaints =
        load(&Origin::Toml("/nowhere/x.toml".into()), &machine()).expect_err("refused");
    assert_eq!(complaints.len(), 1);
    let line = complaints[0].to_string();
    assert!(line.starts_with("/nowhere/x.toml: the file cannot be read: "), "{line}");
}
