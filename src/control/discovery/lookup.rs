//! One lookup of a name: in the hosts file first, then at the name servers.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::record::{Answer, Family, Service, weigh};
use crate::plan::{Found, ResolverPlan, ServerAddress};

/// Each query is repeated twice within the time for a lookup.
const TRIES: u32 = 3;
/// How long an answer for one family of addresses waits for the other's. Some name servers never
/// answer for a family that they do not know.
const GRACE: Duration = Duration::from_millis(500);
/// The most lookups at a time. Each has a socket for each name server and family of addresses.
const LOOKUPS_MAX: usize = 16;

/// Looks names up.
pub struct Client {
    plan: ResolverPlan,
    hosts: Hosts,
    /// Or why nobody can be asked.
    resolver: Result<TokioResolver, String>,
    /// Places for lookups.
    places: Semaphore,
}

impl Client {
    /// With the system's files as they are now.
    pub fn new(plan: &ResolverPlan) -> Client {
        let hosts = Hosts::from_system().unwrap_or_else(|error| {
            tracing::debug!(%error, "there is no hosts file");
            Hosts::default()
        });
        let resolver = resolver(plan).map_err(|error| error.to_string());
        Client { plan: plan.clone(), hosts, resolver, places: Semaphore::new(LOOKUPS_MAX) }
    }

    /// Its settings.
    pub fn plan(&self) -> &ResolverPlan {
        &self.plan
    }

    /// The servers that `name` stands for. Of a part that could not be looked up, what was found
    /// `before` stays.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn look_up(
        self: &Arc<Self>,
        name: &ServerAddress,
        before: &[Found],
    ) -> Result<Answer, String> {
        match name {
            ServerAddress::Fixed(address) => Err(format!("{address} is no name")),
            ServerAddress::Name { host, port } => {
                let host = Host { name: host.clone(), port: *port, weight: 1, backup: false };
                let mut parts = Parts::new(before);
                parts.add(&host, self.host(&host.name).await);
                parts.whole(self.plan.max_ttl)
            }
            ServerAddress::Service(name) => self.service(name, before).await,
        }
    }

    async fn service(self: &Arc<Self>, name: &str, before: &[Found]) -> Result<Answer, String> {
        let lookup = {
            // Nobody closes it.
            let _place = self.places.acquire().await;
            let lookup = self.query(name, RecordType::SRV);
            tokio::time::timeout(self.plan.timeout, lookup).await
        };
        let (records, ttl) = match lookup {
            Ok(Ok(lookup)) => (services(&lookup), ttl(&lookup)),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(late()),
        };
        let mut lookups = JoinSet::new();
        for (record, (weight, backup)) in records.iter().zip(weigh(&records)) {
            let (client, name) = (self.clone(), record.host.clone());
            let host = Host { name, port: record.port, weight, backup };
            lookups.spawn(async move {
                // A target is a complete name: no search list applies (RFC 2782).
                let families = client.host(&format!("{}.", host.name)).await;
                (host, families)
            });
        }
        let mut parts = Parts::new(before);
        while let Some(joined) = lookups.join_next().await {
            // A lookup that panicked has said so; its host has no addresses.
            if let Ok((host, families)) = joined {
                parts.add(&host, families);
            }
        }
        parts.whole(ttl)
    }

    /// The addresses of a host, IPv4 and IPv6.
    async fn host(&self, name: &str) -> [Family; 2] {
        if let Some(known) = self.in_hosts_file(name.trim_end_matches('.')) {
            return known;
        }
        let _place = self.places.acquire().await;
        let mut limit = pin!(sleep_until(Instant::now() + self.plan.timeout));
        let mut v4 = pin!(self.family(name, RecordType::A));
        let mut v6 = pin!(self.family(name, RecordType::AAAA));
        let mut families = [None, None];
        while families.contains(&None) {
            let family = tokio::select! {
                family = &mut v4, if families[0].is_none() => families[0].insert(family),
                family = &mut v6, if families[1].is_none() => families[1].insert(family),
                () = &mut limit => break,
            };
            if matches!(family, Family::Found(..)) {
                let until = limit.deadline().min(Instant::now() + GRACE);
                limit.as_mut().reset(until);
            }
        }
        families.map(|family| family.unwrap_or_else(|| Family::Unknown(late())))
    }

    async fn family(&self, name: &str, kind: RecordType) -> Family {
        match self.query(name, kind).await {
            Ok(lookup) => match addresses(&lookup) {
                found if found.is_empty() => Family::None("it has no address".to_owned()),
                found => Family::Found(found, ttl(&lookup)),
            },
            Err(error) if error.is_no_records_found() => Family::None(error.to_string()),
            Err(error) => Family::Unknown(error.to_string()),
        }
    }

    async fn query(&self, name: &str, kind: RecordType) -> Result<Lookup, NetError> {
        let resolver = self.resolver.as_ref().map_err(|why| NetError::from(why.clone()))?;
        let mut name = Name::from_ascii(name)?;
        // Search lists are the system's, and go with its name servers.
        if !self.plan.nameservers.is_empty() {
            name.set_fqdn(true);
        }
        resolver.lookup(name, kind).await
    }

    /// A host that the file knows is not asked for elsewhere, not even for its other family.
    fn in_hosts_file(&self, name: &str) -> Option<[Family; 2]> {
        let name = Name::from_ascii(name).ok()?;
        let known = [RecordType::A, RecordType::AAAA].map(|kind| {
            let lookup = self.hosts.lookup_static_host(&Query::query(name.clone(), kind));
            lookup.map(|lookup| addresses(&lookup)).unwrap_or_default()
        });
        let any = known.iter().any(|addresses| !addresses.is_empty());
        any.then(|| {
            known.map(|addresses| match addresses.is_empty() {
                true => Family::None("the hosts file has none".to_owned()),
                // When that file changes, there will be another client.
                false => Family::Found(addresses, self.plan.max_ttl),
            })
        })
    }
}

fn late() -> String {
    "no name server answered in time".to_owned()
}

fn resolver(plan: &ResolverPlan) -> Result<TokioResolver, NetError> {
    let provider = TokioRuntimeProvider::default();
    let mut builder = if plan.nameservers.is_empty() {
        TokioResolver::builder(provider)?
    } else {
        let servers = plan.nameservers.iter().map(name_server).collect();
        TokioResolver::builder_with_config(ResolverConfig::from_name_servers(servers), provider)
    };
    let options: &mut ResolverOpts = builder.options_mut();
    options.timeout = plan.timeout / TRIES;
    options.attempts = TRIES as usize - 1;
    // A name's servers are kept here for as long as they hold, and the hosts file is read here.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.max_active_requests = 1024;
    builder.build()
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut config = NameServerConfig::udp_and_tcp(address.ip());
    config.connections.iter_mut().for_each(|connection| connection.port = address.port());
    config
}

fn addresses(lookup: &Lookup) -> Vec<IpAddr> {
    let address = |data: &RData| match data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    };
    lookup.answers().iter().filter_map(|record| address(&record.data)).collect()
}

/// A target that is the root says that there is no such service (RFC 2782).
fn services(lookup: &Lookup) -> Vec<Service> {
    let service = |data: &RData| match data {
        RData::SRV(srv) if !srv.target.is_root() && srv.port > 0 => Some(Service {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            host: srv.target.to_ascii().trim_end_matches('.').to_ascii_lowercase(),
        }),
        _ => None,
    };
    lookup.answers().iter().filter_map(|record| service(&record.data)).collect()
}

/// Of all records that led to the answer, aliases too.
fn ttl(lookup: &Lookup) -> Duration {
    let least = lookup.answers().iter().map(|record| record.ttl).min();
    Duration::from_secs(least.unwrap_or(0).into())
}

/// A host to which a name leads.
struct Host {
    name: String,
    port: u16,
    weight: u32,
    backup: bool,
}

/// Puts together what was found of several hosts.
struct Parts<'b> {
    before: &'b [Found],
    found: Vec<Found>,
    ttl: Duration,
    /// Why there is less than there might be.
    why: Option<String>,
}

impl Parts<'_> {
    fn new(before: &[Found]) -> Parts<'_> {
        Parts { before, found: Vec::new(), ttl: Duration::MAX, why: None }
    }

    fn add(&mut self, host: &Host, families: [Family; 2]) {
        let Host { name, port, weight, backup } = host;
        let (weight, backup) = (*weight, *backup);
        let shown = format!("{name}:{port}");
        // A host without any address is one that fails, whatever is said of it.
        let fails = !families.iter().any(|family| matches!(family, Family::Found(..)));
        for (family, is_v4) in families.into_iter().zip([true, false]) {
            match family {
                Family::Found(addresses, ttl) => {
                    self.ttl = self.ttl.min(ttl);
                    self.found.extend(addresses.into_iter().map(|address| {
                        let address = SocketAddr::new(address, *port);
                        Found { backup, address, host: shown.clone(), weight }
                    }));
                }
                Family::None(why) if !fails => drop(self.why.get_or_insert(why)),
                Family::None(why) | Family::Unknown(why) => {
                    self.why = Some(why);
                    let same =
                        |found: &&Found| found.host == shown && found.address.is_ipv4() == is_v4;
                    let kept = self.before.iter().filter(same);
                    self.found.extend(kept.map(|kept| Found { weight, backup, ..kept.clone() }));
                }
            }
        }
    }

    /// `ttl`: that of what led to the hosts.
    fn whole(self, ttl: Duration) -> Result<Answer, String> {
        if self.ttl == Duration::MAX {
            // Not one answer was good, and what is kept is kept anyway.
            return Err(self.why.unwrap_or_else(|| "it names no server".to_owned()));
        }
        Ok(Answer { found: self.found, ttl: self.ttl.min(ttl) })
    }
}

/// When the system's files that lookups depend on were changed last.
#[derive(Debug, PartialEq, Eq)]
pub struct SystemFiles([Option<SystemTime>; 2]);

impl SystemFiles {
    /// As they are now.
    pub fn look() -> SystemFiles {
        let changed = |path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
        SystemFiles(["/etc/hosts", "/etc/resolv.conf"].map(changed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn v6(last: u16) -> IpAddr {
        IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last])
    }

    fn host(name: &str) -> Host {
        Host { name: name.to_owned(), port: 80, weight: 1, backup: false }
    }

    fn shown(answer: Result<Answer, String>) -> Vec<String> {
        answer.unwrap().found.iter().map(|found| found.address.to_string()).collect()
    }

    const HOUR: Duration = Duration::from_secs(3600);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_family_that_is_not_known_just_now_keeps_its_addresses() {
        let mut parts = Parts::new(&[]);
        let both = [Family::Found(vec![v4(1)], HOUR), Family::Found(vec![v6(1)], SECOND)];
        parts.add(&host("a"), both);
        let first = parts.whole(HOUR).unwrap();
        assert_eq!(first.ttl, SECOND, "the shortest");
        let silent = || Family::Unknown("silence".to_owned());
        let none = || Family::None("none".to_owned());

        let mut parts = Parts::new(&first.found);
        parts.add(&host("a"), [Family::Found(vec![v4(2)], HOUR), silent()]);
        assert_eq!(shown(parts.whole(HOUR)), ["192.0.2.2:80", "[2001:db8::1]:80"]);

        let mut parts = Parts::new(&first.found);
        parts.add(&host("a"), [Family::Found(vec![v4(2)], HOUR), none()]);
        assert_eq!(shown(parts.whole(HOUR)), ["192.0.2.2:80"], "it is known to have none");

        let mut parts = Parts::new(&first.found);
        parts.add(&host("a"), [none(), silent()]);
        assert_eq!(parts.whole(HOUR).unwrap_err(), "silence");
        let mut parts = Parts::new(&first.found);
        parts.add(&host("a"), [none(), none()]);
        assert_eq!(parts.whole(HOUR).unwrap_err(), "none");

        let mut parts = Parts::new(&first.found);
        parts.add(&host("b"), [Family::Found(vec![v4(3)], HOUR), silent()]);
        assert_eq!(shown(parts.whole(HOUR)), ["192.0.2.3:80"], "that was another host's");
    }

    #[test]
    fn a_host_that_is_not_known_just_now_keeps_its_addresses_beside_others() {
        let mut parts = Parts::new(&[]);
        let found = |address| [Family::Found(vec![address], HOUR), Family::None(String::new())];
        parts.add(&host("a"), found(v4(1)));
        parts.add(&host("b"), found(v4(2)));
        let first = parts.whole(HOUR).unwrap();

        let mut parts = Parts::new(&first.found);
        let unknown = || Family::Unknown("silence".to_owned());
        parts.add(&host("a"), found(v4(3)));
        parts.add(&Host { weight: 7, backup: true, ..host("b") }, [unknown(), unknown()]);
        let answer = parts.whole(HOUR).unwrap();
        let kept = &answer.found[1];
        assert_eq!((kept.address.ip(), kept.weight, kept.backup), (v4(2), 7, true));
    }
}
