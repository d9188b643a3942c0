//! `listen` in all of its forms.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use super::complaint::Complaints;
use super::tree::{Directive, Word};

/// One address of a `listen`, as Corelane writes it: `0.0.0.0:80`, `[::]:80`, `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listen {
    pub address: String,
    /// Whether it says `default_server`.
    pub default: bool,
    pub backlog: Option<u32>,
    pub proxy_protocol: bool,
    pub word: Word,
}

impl Listen {
    /// Its port; 0 for a Unix socket.
    pub fn port(&self) -> u16 {
        self.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0)
    }
}

/// What parameters say.
#[derive(Default)]
struct Parameters {
    default: bool,
    backlog: Option<u32>,
    proxy_protocol: bool,
    /// `ipv6only=off`
    both: bool,
}

/// The addresses of one `listen`; none if it was complained of.
pub(super) fn read(directive: &Directive, complaints: &Complaints) -> Vec<Listen> {
    let Some(word) = directive.arguments.first() else { return Vec::new() };
    let mut parameters = Parameters::default();
    for parameter in &directive.arguments[1..] {
        read_parameter(parameter, &mut parameters, complaints);
    }
    let Some(mut addresses) = addresses(word, complaints) else { return Vec::new() };
    if parameters.both {
        let other = addresses.iter().filter_map(|address| address.strip_prefix("[::]:"));
        addresses.extend(other.map(|port| format!("0.0.0.0:{port}")).collect::<Vec<_>>());
    }
    let Parameters { default, backlog, proxy_protocol, .. } = parameters;
    let listen = |address| Listen { address, default, backlog, proxy_protocol, word: word.clone() };
    addresses.into_iter().map(listen).collect()
}

/// A server without any `listen`: port 80, or 8000 for who may not open that.
pub(super) fn by_default(server: &Directive, privileged: bool) -> Listen {
    Listen {
        address: if privileged { "0.0.0.0:80" } else { "0.0.0.0:8000" }.to_owned(),
        default: false,
        backlog: None,
        proxy_protocol: false,
        word: server.name.clone(),
    }
}

/// Complains of what cannot be honoured; the address counts all the same, so that what hangs on it
/// is looked at.
fn read_parameter(word: &Word, found: &mut Parameters, complaints: &Complaints) {
    let text = word.text.as_str();
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let why = match name {
        "default_server" | "default" => {
            found.default = true;
            return;
        }
        "backlog" => match value.parse() {
            Ok(backlog @ 1..) => {
                found.backlog = Some(backlog);
                return;
            }
            _ if value == "-1" => return,
            _ => {
                let what = format!("`{text}` is no length of a queue");
                return complaints.error(word.place, what, "write such as `backlog=4096`");
            }
        },
        "proxy_protocol" => {
            found.proxy_protocol = true;
            return;
        }
        "ipv6only" => {
            found.both = value == "off";
            return;
        }
        "ssl" => {
            let remedy = "listen on a plain port, and let what is before this proxy speak TLS";
            return complaints.error(word.place, "`listen … ssl`: TLS is not spoken yet", remedy);
        }
        "http2" | "quic" | "spdy" => {
            let what = format!("`listen … {name}`: only HTTP/1.1 is spoken");
            return complaints.error(word.place, what, "remove it: clients use HTTP/1.1 then");
        }
        "reuseport" => "each shard has a socket of its own",
        "deferred" | "bind" | "fastopen" | "setfib" | "accept_filter" => "io_uring accepts as well",
        "rcvbuf" | "sndbuf" => "the kernel finds the sizes of its buffers",
        "so_keepalive" => "a dead client is found by its timeouts",
        _ => {
            let what = format!("unknown parameter `{text}` of `listen`");
            return complaints.error(
                word.place,
                what,
                "see nginx's manual for those that there are",
            );
        }
    };
    complaints.note(word.place, format!("`{text}` of `listen` is not needed"), why);
}

/// `80`, `*:80`, `10.0.0.1`, `[::]:80`, `localhost:80`, `unix:/path`; ports may be a range.
fn addresses(word: &Word, complaints: &Complaints) -> Option<Vec<String>> {
    let text = word.text.as_str();
    let refuse = |what: String, remedy: &str| {
        complaints.error(word.place, what, remedy);
        None
    };
    if let Some(path) = text.strip_prefix("unix:") {
        return match path.is_empty() {
            true => refuse("`unix:` has no path".into(), "write such as `unix:/run/site.sock`"),
            false => Some(vec![text.to_owned()]),
        };
    }
    let only_ports = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let (host, ports) = match text.rsplit_once(':') {
        _ if only_ports => ("*", text),
        Some((host, ports)) if !text.ends_with(']') => (host, ports),
        _ => (text, "80"),
    };
    let Some(ports) = port_range(ports) else {
        return refuse(format!("`{text}` has no valid port"), "write a number from 1 to 65535");
    };
    let mut found = Vec::new();
    for port in ports {
        let one = match host.trim_start_matches('[').trim_end_matches(']') {
            "*" | "" => vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))],
            name => match (name.parse::<Ipv4Addr>(), name.parse::<Ipv6Addr>()) {
                (Ok(address), _) => vec![SocketAddr::from((address, port))],
                (_, Ok(address)) => vec![SocketAddr::from((address, port))],
                _ => match (name, port).to_socket_addrs() {
                    Ok(addresses) => addresses.collect(),
                    Err(error) => {
                        let what = format!("`{name}` has no address: {error}");
                        return refuse(what, "write an address of this machine");
                    }
                },
            },
        };
        for address in one.iter().map(ToString::to_string) {
            if !found.contains(&address) {
                found.push(address);
            }
        }
    }
    Some(found)
}

fn port_range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nginx::tree::Place;

    #[test]
    fn addresses_have_many_forms() {
        let table = [
            ("80", Some(vec!["0.0.0.0:80"])),
            ("*:8080", Some(vec!["0.0.0.0:8080"])),
            ("127.0.0.1", Some(vec!["127.0.0.1:80"])),
            ("127.0.0.1:81", Some(vec!["127.0.0.1:81"])),
            ("[::]:80", Some(vec!["[::]:80"])),
            ("[::1]", Some(vec!["[::1]:80"])),
            ("8080-8082", Some(vec!["0.0.0.0:8080", "0.0.0.0:8081", "0.0.0.0:8082"])),
            ("unix:/run/x.sock", Some(vec!["unix:/run/x.sock"])),
            ("unix:", None),
            ("0", None),
            ("65536", None),
            ("127.0.0.1:x", None),
            ("90-80", None),
        ];
        for (text, expected) in table {
            let word = Word { text: text.to_owned(), place: Place::default(), quoted: false };
            let found = addresses(&word, &Complaints::default());
            let expected =
                expected.map(|list| list.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(found, expected, "{text}");
        }
    }
}
