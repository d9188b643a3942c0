//! `servers_file`: servers in a file that other programs write while the proxy runs.

#[macro_use]
mod support;

use std::fs;
use std::path::Path;

use support::*;

tiered! {
    a_file_that_is_replaced_or_written_anew_takes_effect,
    a_file_that_is_wrong_or_gone_changes_nothing,
    a_link_on_the_way_may_change,
    servers_of_the_file_join_those_of_the_configuration,
}

fn servers(origins: &[&Origin]) -> String {
    let entries: Vec<String> = origins.iter().map(|origin| origin.server()).collect();
    format!("servers = [{}]\n", entries.join(", "))
}

/// One upstream with this servers file.
fn with_file(tier: Tier, path: &Path) -> Config {
    Config::new(tier)
        .toml(&format!("[[upstream]]\nname = \"app\"\nservers_file = {path:?}"))
        .route("path = \"/\"\nupstream = \"app\"")
        .endless()
}

/// As editors and templates do it.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("a new file");
    fs::rename(&new, path).expect("its place");
}

#[track_caller]
fn await_answer(proxy: &Proxy, name: &str) {
    wait_until(name, || proxy.get("/").text() == name);
    // Of all shards, and for good.
    for _ in 0..4 {
        assert_eq!(proxy.get("/").text(), name);
    }
}

fn a_file_that_is_replaced_or_written_anew_takes_effect(tier: Tier) {
    let [one, two, three] = ["one", "two", "three"].map(Origin::named);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.servers.toml");
    fs::write(&path, servers(&[&one])).expect("a file");
    let proxy = with_file(tier, &path).start();
    assert_eq!(proxy.get("/").text(), "one");
    let (took, ()) = timed(|| {
        replace(&path, &servers(&[&two]));
        await_answer(&proxy, "two");
    });
    assert!(took < ms(3_000), "nobody had to wait until somebody looks: {took:?}");
    one.await_all_over();
    let (took, ()) = timed(|| {
        fs::write(&path, servers(&[&three])).expect("the same file");
        await_answer(&proxy, "three");
    });
    assert!(took < ms(3_000), "{took:?}");
    // It holds after a reload, too.
    proxy.reload(&with_file(tier, &path));
    assert_eq!(proxy.get("/").text(), "three");
    replace(&path, &servers(&[&one]));
    await_answer(&proxy, "one");
}

fn a_file_that_is_wrong_or_gone_changes_nothing(tier: Tier) {
    let [one, two] = ["one", "two"].map(Origin::named);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.servers.toml");
    fs::write(&path, servers(&[&one])).expect("a file");
    let proxy = with_file(tier, &path).start();
    let mut client = proxy.client();
    assert_eq!(client.get("/").text(), "one");
    replace(&path, "servers = [\n  \"127.0.0.1:1\",\n  \"127.0.0.1\",\n]\n");
    let complaint = proxy.await_stderr("`127.0.0.1` has no port");
    assert!(complaint.contains("app.servers.toml:3:3: "), "{complaint}");
    proxy.await_stderr("a servers file is refused");
    for wrong in ["", "servers = []", "servers = [", "servers = [\"a:1\"]\nserver = 1"] {
        let refused = || proxy.stderr().matches("a servers file is refused").count();
        let before = refused();
        fs::write(&path, wrong).expect("the same file");
        wait_until("it is refused", || refused() > before);
        assert_eq!(client.get("/").text(), "one", "{wrong}");
    }
    fs::remove_file(&path).expect("a file");
    proxy.await_stderr("a servers file cannot be read");
    assert_eq!(client.get("/").text(), "one");
    assert_eq!(one.connections(), 1, "nothing has changed");
    fs::write(&path, servers(&[&two])).expect("a file");
    await_answer(&proxy, "two");
}

/// As in volumes of Kubernetes, where a directory's name is changed from link to link.
fn a_link_on_the_way_may_change(tier: Tier) {
    let [one, two] = ["one", "two"].map(Origin::named);
    let directory = tempfile::tempdir().expect("a directory");
    for (name, origin) in [("1", &one), ("2", &two)] {
        let version = directory.path().join(name);
        fs::create_dir(&version).expect("a directory");
        fs::write(version.join("app.toml"), servers(&[origin])).expect("a file");
    }
    let data = directory.path().join("..data");
    let link = |to: &str, at: &Path| std::os::unix::fs::symlink(to, at).expect("a link");
    link("1", &data);
    let path = directory.path().join("app.toml");
    link("..data/app.toml", &path);
    let proxy = with_file(tier, &path).start();
    assert_eq!(proxy.get("/").text(), "one");
    let new = directory.path().join("..data_new");
    link("2", &new);
    fs::rename(&new, &data).expect("its place");
    await_answer(&proxy, "two");
}

fn servers_of_the_file_join_those_of_the_configuration(tier: Tier) {
    let [fixed, listed] = ["fixed", "listed"].map(Origin::named);
    let dns = Dns::start();
    let named = origins_on_one_port(&["127.0.0.1", "127.0.0.2"]);
    let port = named[0].address().port();
    dns.set("app.test", 60, &["127.0.0.1", "127.0.0.2"]);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.servers.toml");
    fs::write(&path, servers(&[&listed])).expect("a file");
    let config = Config::new(tier)
        .toml(&dns.resolver(""))
        .upstream("app", &[fixed.server()], &format!("servers_file = {path:?}"))
        .endless();
    let proxy = config.start();
    let names = |proxy: &Proxy| {
        let mut client = proxy.client();
        let mut names: Vec<_> = (0..8).map(|_| client.get("/").text().to_owned()).collect();
        names.sort();
        names.dedup();
        names
    };
    assert_eq!(names(&proxy), ["fixed", "listed"]);
    // Entries may say as much as in the configuration, and be names.
    let entry = format!("servers = [{{ address = \"app.test:{port}\", weight = 2 }}]");
    replace(&path, &entry);
    let all = ["127.0.0.1", "127.0.0.2", "fixed"];
    wait_until("the name has been resolved", || names(&proxy) == all);
    assert_eq!(fixed.connections(), 1, "its idle connection was kept");
}

#[test]
fn a_missing_file_is_an_error_with_place_and_remedy() {
    let Some(tier) = tiers().into_iter().next() else { return };
    let config = with_file(tier, Path::new("nowhere.toml"));
    for arguments in [["run"], ["check"]] {
        let exit = config.run_to_end(&arguments);
        assert!(!exit.status.success());
        let said = exit.stderr;
        assert!(said.contains("config.toml:") && said.contains("nowhere.toml`"), "{said}");
        assert!(said.contains("cannot be read") && said.contains("create it"), "{said}");
    }
}

#[test]
fn a_check_reads_the_file_too() {
    let Some(tier) = tiers().into_iter().next() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.servers.toml");
    fs::write(&path, "servers = [\"127.0.0.1:1\", { address = \"127.0.0.1:2\", wieght = 2 }]")
        .expect("a file");
    let exit = with_file(tier, &path).run_to_end(&["check"]);
    assert!(!exit.status.success());
    let expected =
        "app.servers.toml:1:54: unknown key `wieght` in a server; did you mean `weight`?";
    assert!(exit.stderr.contains(expected), "{}", exit.stderr);
    fs::write(&path, "servers = [\"127.0.0.1:1\", \"127.0.0.1:2\"]").expect("a file");
    let exit = with_file(tier, &path).run_to_end(&["check"]);
    assert!(exit.stdout.contains("1 upstream (2 servers)"), "{}{}", exit.stdout, exit.stderr);
}
