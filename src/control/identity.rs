//! Which servers of a new plan are the same as before.

use std::collections::HashMap;
use std::sync::Arc;

use crate::plan::{Plan, ServerId};

/// Gives servers their numbers.
#[derive(Default)]
pub struct Identities {
    /// By upstream and address. A server that is listed twice is two servers.
    known: HashMap<(String, String), Vec<ServerId>>,
    next: u32,
}

impl Identities {
    /// Gives each server of `plan` the number that it had in the plan before, or one that none ever
    /// had.
    pub fn number(&mut self, plan: &mut Plan) {
        let mut before = std::mem::take(&mut self.known);
        for upstream in &mut plan.upstreams {
            let mut ids = Vec::with_capacity(upstream.servers.len());
            for server in &upstream.servers {
                let name = (upstream.name.clone(), server.address.to_string());
                let same = before.get_mut(&name).filter(|same| !same.is_empty());
                let id = match same {
                    Some(same) => same.remove(0),
                    None => self.new_id(),
                };
                self.known.entry(name).or_default().push(id);
                ids.push(id);
            }
            // What shards have already stays the same to the bit.
            if !upstream.servers.iter().map(|server| server.id).eq(ids.iter().copied()) {
                let servers = &mut Arc::make_mut(upstream).servers;
                servers.iter_mut().zip(ids).for_each(|(server, id)| server.id = id);
            }
        }
    }

    fn new_id(&mut self) -> ServerId {
        let id = ServerId(self.next);
        self.next += 1;
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Machine, from_text};

    /// The numbers of the servers of upstreams "a" and "b".
    fn number(identities: &mut Identities, a: &[&str], b: &[&str]) -> Vec<u32> {
        let upstream = |name: &str, servers: &[&str]| {
            format!("[[upstream]]\nname = {name:?}\nservers = {servers:?}\n")
        };
        let text = format!(
            "[[listener]]\naddress = \"127.0.0.1:0\"\n{}{}\
             [[route]]\npath = \"/a\"\nupstream = \"a\"\n[[route]]\nupstream = \"b\"\n",
            upstream("a", a),
            upstream("b", b)
        );
        let machine = Machine { cpus: vec![0], cpu_quota: None };
        let mut plan = from_text(&text, "test", &machine).expect("accepted").plan;
        identities.number(&mut plan);
        plan.upstreams.iter().flat_map(|upstream| &upstream.servers).map(|s| s.id.0).collect()
    }

    #[test]
    fn who_stays_keeps_its_number_and_no_number_is_used_again() {
        let mut identities = Identities::default();
        let (one, two, three) = ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3");
        assert_eq!(number(&mut identities, &[one, two], &[one]), [0, 1, 2]);
        assert_eq!(number(&mut identities, &[two, three], &[one]), [1, 3, 2]);
        assert_eq!(number(&mut identities, &[one, three, two], &[two]), [4, 3, 1, 5]);
    }
}
