//! What may be said of servers by name, and in files.

use super::refused::check_parts;
use super::*;
use crate::plan::ResolverPlan;

#[test]
fn the_resolver() {
    let plan = |table: &str| accept(&format!("{LISTENER}{UPSTREAM}{ROUTE}{table}")).plan.resolver;
    assert_eq!(plan(""), ResolverPlan::default());
    let seconds = Duration::from_secs;
    let all = "[resolver]\nnameservers = [\"127.0.0.1:8600\", \"::1\"]\ntimeout = \"2s\"\n\
               min_ttl = \"5s\"\nmax_ttl = \"1m\"";
    let expected = ResolverPlan {
        nameservers: vec!["127.0.0.1:8600".parse().unwrap(), "[::1]:53".parse().unwrap()],
        timeout: seconds(2),
        min_ttl: seconds(5),
        max_ttl: seconds(60),
    };
    assert_eq!(plan(all), expected);
    let rare = plan("[resolver]\nmin_ttl = \"1h\"");
    assert_eq!((rare.min_ttl, rare.max_ttl), (seconds(3600), seconds(3600)));
}

#[test]
fn wrong_resolvers() {
    check_parts(&[
        (
            "[resolver]\nnameserver = [\"127.0.0.1\"]\ntimeout = \"0s\"\nmin_ttl = \"10ms\"\n\
             max_ttl = 5",
            &[
                "2:1: unknown key `nameserver` in [resolver]; did you mean `nameservers`?",
                "3:11: `timeout` is \"0s\"; write a time from 10ms to 1m",
                "4:11: `min_ttl` is \"10ms\"; write a time from 1s to 8760h",
                "5:11: `max_ttl` is a whole number; write a time with its unit, such as \"10s\"",
            ],
        ),
        (
            "[resolver]\nnameservers = [\"dns.example\", \"127.0.0.1:0\", 53]",
            &[
                "2:16: `dns.example` is not a name server's address; write an IP address, with a \
                 port if that is not 53: \"127.0.0.1:8600\"",
                "2:31: `127.0.0.1:0` has port 0; did you mean \"127.0.0.1:53\"?",
                "2:46: an item of `nameservers` is a whole number; write a string in quotes",
            ],
        ),
        (
            "[resolver]\nnameservers = []\nmin_ttl = \"1m\"\nmax_ttl = \"30s\"",
            &[
                "2:15: `nameservers` is empty; name one, such as \"127.0.0.1:53\", or remove it \
                 for those of the system",
                "4:11: `max_ttl` is \"30s\", but `min_ttl` is 1m; write at least \"1m\"",
            ],
        ),
    ]);
}

fn from_file(servers: &str, more: &str) -> Result<Loaded, Vec<Complaint>> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("app.servers.toml"), servers).unwrap();
    let main = directory.path().join("config.toml").display().to_string();
    let upstream = "[[upstream]]\nname = \"app\"\nservers_file = \"app.servers.toml\"\n";
    let text = format!("{upstream}{more}{LISTENER}{ROUTE}");
    from_text(&text, &main, &machine())
}

#[test]
fn servers_of_a_file() {
    let two = "servers = [\"127.0.0.1:1\", { address = \"127.0.0.1:2\", backup = true }]";
    let loaded = from_file(two, "servers = [\"127.0.0.1:3\", \"127.0.0.1:1\"]\n").unwrap();
    assert_eq!(loaded.summary, "1 listener, 1 upstream (4 servers), 1 route, 4 shards");
    let app = &loaded.plan.upstreams[0];
    let servers: Vec<String> = app.servers.iter().map(|s| s.address.to_string()).collect();
    assert_eq!(servers, ["127.0.0.1:3", "127.0.0.1:1", "127.0.0.1:2"], "each address once");
    // Whoever writes the file may have only such servers for a while.
    let out = "servers = [{ address = \"127.0.0.1:2\", backup = true, state = \"drain\" }]";
    assert_eq!(from_file(out, "").unwrap().warnings, []);
}

#[test]
fn wrong_servers_of_a_file() {
    let wrong = |servers: &str, more: &str| -> Vec<String> {
        let complaints = from_file(servers, more).expect_err("accepted");
        let line = |complaint: &Complaint| {
            let line = complaint.to_string();
            line.rsplit_once('/').map_or(line.clone(), |(_, line)| line.to_owned())
        };
        complaints.iter().map(line).collect()
    };
    assert_eq!(
        wrong("servers = [\n\"127.0.0.1:1\",\n{ address = \"a:1\", wieght = 1 }]", ""),
        ["app.servers.toml:3:20: unknown key `wieght` in a server; did you mean `weight`?"]
    );
    assert_eq!(
        wrong("servers = [\"a:1\", \"a:1\"]", "balance = \"least\"\n"),
        [
            "config.toml:4:11: unknown `balance` \"least\"; did you mean `least_conn`?",
            "app.servers.toml:1:19: the server a:1 is listed twice; remove one; a larger \
             `weight` gives a larger share",
        ]
    );
    let empty = wrong("", "servers = []\n");
    assert_eq!(empty.len(), 2, "{empty:?}");
}

#[test]
fn a_path_that_is_none() {
    let upstream = |path: &str| {
        format!(
            "[[upstream]]\nname = \"b\"\nservers_file = {path}\n\
             [[route]]\npath = \"/b\"\nupstream = \"b\""
        )
    };
    check_parts(&[
        (
            &upstream("\"\""),
            &["3:16: `servers_file` is empty; write the path of a file, or remove it"],
        ),
        (
            &upstream("[\"a\"]"),
            &["3:16: `servers_file` is a list; write the path of a file in quotes, such as \
               \"app.servers.toml\""],
        ),
        (
            &upstream("\"nowhere/b.toml\""),
            &["3:16: `nowhere/b.toml` cannot be read: No such file or directory (os error 2); \
               create it, with servers = [\"127.0.0.1:3000\"] in it, or correct the path"],
        ),
    ]);
}
