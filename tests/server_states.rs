//! A server's state, changed while the proxy runs: every shard is told, and obeys at once.
//!
//! The proxy runs inside this process, since nothing sets states from outside yet.

mod support;

use corelane::plan::ServerState;
use corelane::{config, control};
use support::*;

struct Inside {
    running: control::Running,
    address: Address,
}

impl Inside {
    /// A proxy of two shards before these servers.
    fn start(tier: Tier, servers: &[String]) -> Inside {
        let text = Config::new(tier).shards(2).upstream("app", servers, "").render();
        let loaded = config::from_text(&text, "config.toml", &control::machine()).expect("a plan");
        let running = control::start(loaded.plan).expect("a running proxy");
        let address = running.addresses[0].to_string().parse().expect("an address");
        Inside { running, address }
    }

    fn set(&self, origin: &Origin, state: ServerState) {
        let server = origin.address().to_string();
        assert!(self.running.set_server_state("app", &server, state));
    }

    /// Who answers requests on so many connections, which reach both shards.
    fn names(&self, count: usize) -> Vec<String> {
        let get = |_| Client::connect(&self.address).get("/").text().to_owned();
        (0..count).map(get).collect()
    }

    fn all_say(&self, name: &str) -> bool {
        self.names(30).iter().all(|said| said == name)
    }
}

#[test]
fn drain_down_and_up_reach_every_shard() {
    for_each_tier(|tier| {
        let gate = Gate::shut();
        let held = gate.clone();
        let one = Origin::answering(move |request| {
            if request.target == "/held" {
                held.wait();
            }
            ok("one")
        });
        let two = Origin::named("two");
        let proxy = Inside::start(tier, &[one.server(), two.server()]);
        let mut client = Client::connect(&proxy.address);
        wait_until("a request is in progress at the first server", || {
            client = Client::connect(&proxy.address);
            client.send("GET /held HTTP/1.1\r\nHost: test\r\n\r\n");
            client.patience(ms(100));
            let silent = client.try_response() == Err(End::Silent);
            silent && one.requests().iter().any(|request| request.target == "/held")
        });
        client.patience(PATIENCE);
        proxy.set(&one, ServerState::Drain);
        wait_until("all new requests go elsewhere", || proxy.all_say("two"));
        gate.open();
        assert_eq!(client.response().text(), "one", "what was in progress is finished");
        let drained = one.requests().len();
        let (kept, ()) = timed(|| one.await_all_over());
        assert!(kept < ms(2_000), "an idle connection would be kept for 4 s: {kept:?}");
        proxy.set(&one, ServerState::Up);
        proxy.set(&two, ServerState::Down);
        wait_until("the other takes over", || proxy.all_say("one"));
        assert!(one.requests().len() >= drained + 30);
        assert!(!proxy.running.set_server_state("app", "nobody:1", ServerState::Up));
        assert!(!proxy.running.set_server_state("none", "nobody:1", ServerState::Up));
    });
}
