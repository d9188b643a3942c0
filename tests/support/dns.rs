//! A name server over UDP (RFC 1035), with what a test puts into it.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::lock;

/// How a name server fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsFault {
    /// There is no such name.
    NxDomain,
    /// It cannot say.
    ServFail,
    /// It says nothing.
    Silence,
}

/// An SRV record: priority, weight, port and host.
pub type Srv<'a> = (u16, u16, u16, &'a str);

/// A name server on a port of 127.0.0.1. It knows no name at first, and answers NXDOMAIN for what
/// it does not know.
pub struct Dns {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    zone: Mutex<Zone>,
    over: AtomicBool,
}

#[derive(Default)]
struct Zone {
    names: HashMap<String, Entry>,
    /// What is not answered: AAAA queries for these names.
    without_v6: HashSet<String>,
}

enum Entry {
    Records { ttl: u32, records: Vec<Record> },
    Fails(DnsFault),
}

#[derive(Clone)]
struct Record {
    kind: u16,
    data: Vec<u8>,
}

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const HEADER: usize = 12;

impl Dns {
    /// Starts one.
    pub fn start() -> Dns {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("an address");
        let shared = Arc::<Shared>::default();
        let for_thread = shared.clone();
        thread::spawn(move || {
            let mut packet = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                if for_thread.over.load(Ordering::Relaxed) {
                    return;
                }
                if let Some(answer) = lock(&for_thread.zone).answer(&packet[..length]) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Dns { address, shared }
    }

    /// `[resolver]` with this name server; `settings` are further lines.
    pub fn resolver(&self, settings: &str) -> String {
        format!("[resolver]\nnameservers = [\"{}\"]\n{settings}", self.address)
    }

    /// Gives a name these addresses, instead of what it had.
    pub fn set(&self, name: &str, ttl: u32, addresses: &[&str]) {
        let record = |address: &&str| match address.parse().expect("an IP address") {
            IpAddr::V4(address) => Record { kind: A, data: address.octets().to_vec() },
            IpAddr::V6(address) => Record { kind: AAAA, data: address.octets().to_vec() },
        };
        self.put(name, ttl, addresses.iter().map(record).collect());
    }

    /// Gives a name these SRV records, instead of what it had.
    pub fn set_srv(&self, name: &str, ttl: u32, records: &[Srv<'_>]) {
        let record = |&(priority, weight, port, host): &Srv<'_>| {
            let mut data = [priority, weight, port].map(u16::to_be_bytes).concat();
            for label in host.split('.') {
                data.push(label.len() as u8);
                data.extend(label.bytes());
            }
            data.push(0);
            Record { kind: SRV, data }
        };
        self.put(name, ttl, records.iter().map(record).collect());
    }

    fn put(&self, name: &str, ttl: u32, records: Vec<Record>) {
        let entry = Entry::Records { ttl, records };
        lock(&self.shared.zone).names.insert(name.to_owned(), entry);
    }

    /// Lets it fail when it is asked for this name.
    pub fn fail(&self, name: &str, fault: DnsFault) {
        lock(&self.shared.zone).names.insert(name.to_owned(), Entry::Fails(fault));
    }

    /// Lets it say nothing when it is asked for the IPv6 addresses of this name.
    pub fn ignore_v6(&self, name: &str) {
        lock(&self.shared.zone).without_v6.insert(name.to_owned());
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // Wakes the thread.
        if let Ok(socket) = UdpSocket::bind("127.0.0.1:0") {
            let _ = socket.send_to(b"over", self.address);
        }
    }
}

impl Zone {
    fn answer(&mut self, query: &[u8]) -> Option<Vec<u8>> {
        let (name, end) = read_name(query)?;
        let kind = u16::from_be_bytes([*query.get(end)?, *query.get(end + 1)?]);
        if kind == AAAA && self.without_v6.contains(&name) {
            return None;
        }
        let (code, ttl, records) = match self.names.get(&name) {
            Some(Entry::Records { ttl, records }) => {
                let asked_for = records.iter().filter(|record| record.kind == kind);
                (0, *ttl, asked_for.cloned().collect())
            }
            Some(Entry::Fails(DnsFault::ServFail)) => (2, 0, Vec::new()),
            Some(Entry::Fails(DnsFault::NxDomain)) | None => (3, 0, Vec::new()),
            Some(Entry::Fails(DnsFault::Silence)) => return None,
        };
        // The query's number; an answer, with recursion asked for and available.
        let mut answer = query[..2].to_vec();
        answer.extend([0x81, 0x80 | code, 0, 1]);
        answer.extend((records.len() as u16).to_be_bytes());
        answer.extend([0; 4]);
        answer.extend(&query[HEADER..end + 4]);
        for Record { kind, data } in records {
            // The name is that of the question.
            answer.extend([0xc0, HEADER as u8]);
            answer.extend(kind.to_be_bytes());
            answer.extend([0, 1]);
            answer.extend(ttl.to_be_bytes());
            answer.extend((data.len() as u16).to_be_bytes());
            answer.extend(data);
        }
        Some(answer)
    }
}

/// The name in the question, in lower case, and where it ends.
fn read_name(query: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), HEADER);
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let label = query.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
}
