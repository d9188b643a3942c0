//! What becomes of a plan when something is found out.

use super::*;
use crate::config::{self, Machine};

fn plan(upstreams: &str) -> Plan {
    let text = format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\n{upstreams}\n\
         [[route]]\npath = \"/\"\nrespond = {{ status = 200 }}\n"
    );
    let machine = Machine { cpus: vec![0], cpu_quota: None };
    let loaded = config::from_text(&text, "test", &machine);
    loaded.unwrap_or_else(|errors| panic!("{}", errors[0])).plan
}

fn name(text: &str) -> ServerAddress {
    let (host, port) = text.split_once(':').unwrap();
    ServerAddress::Name { host: host.to_owned(), port: port.parse().unwrap() }
}

fn found(addresses: &[&str]) -> Arc<[Found]> {
    let found = |address: &&str| {
        let address = address.parse().unwrap();
        Found { backup: false, address, host: "app:80".to_owned(), weight: 1 }
    };
    addresses.iter().map(found).collect()
}

fn addresses(plan: &Plan, upstream: usize) -> Vec<String> {
    plan.upstreams[upstream].servers.iter().map(|server| server.address.to_string()).collect()
}

const TWO: &str = "[[upstream]]\nname = \"fixed\"\nservers = [\"127.0.0.1:1\"]\n\
                   [[upstream]]\nname = \"named\"\nservers = [\"127.0.0.1:2\", \"app:80\"]";

#[test]
fn what_is_found_changes_the_upstreams_it_concerns() {
    let configured = plan(TWO);
    let mut discovery = Discovery::new("", || {});
    let first = discovery.compose(&configured, None);
    assert_eq!(addresses(&first, 1), ["127.0.0.1:2"]);
    discovery.names.insert(name("app:80"), found(&["192.0.2.1:80", "192.0.2.2:80"]));
    let second = discovery.compose(&configured, Some(&first));
    assert_eq!(addresses(&second, 1), ["127.0.0.1:2", "192.0.2.1:80", "192.0.2.2:80"]);
    assert!(Arc::ptr_eq(&first.upstreams[0], &second.upstreams[0]));
    assert!(Arc::ptr_eq(&first.table, &second.table));
    let third = discovery.compose(&configured, Some(&second));
    assert!(Arc::ptr_eq(&second.upstreams[1], &third.upstreams[1]), "nothing has changed");
}

#[test]
fn a_plan_with_fixed_addresses_starts_no_thread() {
    let mut discovery = Discovery::new("", || {});
    discovery.adopt(&plan("")).unwrap();
    assert!(discovery.worker.is_none());
}

#[test]
fn sticky_cookies_name_the_servers_that_were_found() {
    let sticky = format!("{TWO}\nsticky = {{ name = \"c\" }}");
    let configured = plan(&sticky);
    let mut discovery = Discovery::new("", || {});
    discovery.names.insert(name("app:80"), found(&["192.0.2.1:80"]));
    let plan = discovery.compose(&configured, None);
    let sticky = plan.upstreams[1].sticky.as_ref().unwrap();
    assert!(sticky.set_cookie(0).is_some() && sticky.set_cookie(1).is_some());
    assert!(sticky.set_cookie(2).is_none());
}

#[test]
fn a_file_that_was_read_before_the_last_reload_is_no_news() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("servers.toml");
    std::fs::write(&path, "servers = [\"127.0.0.1:1\"]").unwrap();
    let configured = plan(&format!("[[upstream]]\nname = \"a\"\nservers_file = {path:?}"));
    let mut discovery = Discovery::new("", || {});
    discovery.adopt(&configured).unwrap();
    let first = discovery.compose(&configured, None);
    assert_eq!(addresses(&first, 0), ["127.0.0.1:1"]);
    let members: Arc<[Member]> =
        config::servers_from_text("servers = [\"127.0.0.1:9\"]", "s").unwrap().into();
    assert_eq!(discovery.learn(News::File(0, path.clone(), members.clone())), Change::None);
    assert_eq!(discovery.learn(News::File(1, path, members)), Change::Names);
    let second = discovery.compose(&configured, Some(&first));
    assert_eq!(addresses(&second, 0), ["127.0.0.1:9"]);
}
