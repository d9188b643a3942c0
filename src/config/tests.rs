//! Whole configurations, accepted and refused.

use super::*;
use crate::balance::PolicyKind;
use crate::plan::{Action, HashKey, RedirectPart, TierChoice};
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

/// The complaints about a text, without the name of the file.
fn refuse(text: &str) -> Vec<String> {
    let complaints = from_text(text, "corelane.toml", &machine()).expect_err("accepted");
    let line = |complaint: &Complaint| {
        let line = complaint.to_string();
        line.strip_prefix("corelane.toml:").map(str::to_owned).unwrap_or(line)
    };
    complaints.iter().map(line).collect()
}

/// The rest of a configuration to which a case adds one mistake.
const REST: &str = r#"
[[listener]]
address = "127.0.0.1:8080"
[[upstream]]
name = "app"
servers = ["127.0.0.1:3001"]
[[route]]
upstream = "app"
"#;

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
        redirect = { to = "https://{host}/new{query}" }
        "#,
    );
    let plan = &loaded.plan;
    assert_eq!(plan.shards.cpus, [0, 2]);
    assert_eq!(plan.shards.max_connections, 50_000);
    assert_eq!(plan.shards.ring.tier, TierChoice::Auto);
    let app = &plan.upstreams[0];
    assert_eq!(app.policy, PolicyKind::LeastConn);
    assert_eq!(app.hash_key, HashKey::ClientIp);
    let servers: Vec<String> = app.servers.iter().map(|s| s.address.to_string()).collect();
    assert_eq!(servers, ["10.182.205.169:3000", "10.182.205.76:3000", "backup.internal:3000"]);
    assert_eq!((app.servers[1].weight, app.servers[1].max_connections), (2, Some(100)));
    assert!(app.servers[2].backup);
    let [route, redirect] = &plan.routes[..] else { panic!("two routes") };
    assert_eq!(route.name, "akuma.xyz,*.akuma.xyz /");
    assert_eq!(route.timeouts.response, Duration::from_secs(40), "the route's own");
    assert_eq!(route.timeouts.connect, Duration::from_secs(1), "its upstream's");
    assert_eq!(redirect.timeouts.response, Duration::from_secs(20), "the global one");
    let Action::Redirect(redirect) = &redirect.action else { panic!("a redirect") };
    let text = |text: &str| RedirectPart::Text(text.to_owned());
    let parts = [text("https://"), RedirectPart::Host, text("/new"), RedirectPart::Query];
    assert_eq!((redirect.status, &redirect.parts[..]), (308, &parts[..]));
    assert_eq!(plan.table.find(Some("www.akuma.xyz"), "/x"), Some(0));
    assert_eq!(plan.table.find(Some("other.example"), "/old"), Some(1));
    assert_eq!(plan.table.find(Some("other.example"), "/"), None);
    assert_eq!(loaded.summary, "1 listener, 1 upstream (3 servers), 2 routes, 2 shards");
}
