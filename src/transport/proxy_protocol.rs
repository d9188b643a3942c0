//! The PROXY protocol, versions 1 and 2: what a proxy sends ahead of everything else on a
//! connection to say whose connection it really is.
//!
//! Source: "The PROXY protocol", versions 1 and 2, in HAProxy's documentation
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>); sections in brackets below.
//!
//! Nothing here touches a socket. A header is judged by its bytes alone, however they arrive.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest header of version 1, its line end included [§2.1].
const V1_MAX: usize = 107;

/// First bytes of version 2 [§2.2].
const V2_SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and protocol, length.
const V2_FIXED: usize = 16;

/// Longest header of version 2 taken here. Behind the addresses it may hold more about a client,
/// such as its certificate, which nobody asks for.
const V2_MAX: usize = 16 << 10;

/// Address family and protocol in version 2 [§2.2].
const UNSPECIFIED: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The client.
    pub source: SocketAddr,
    /// Where the client connected to. Of the same family as `source`.
    pub destination: SocketAddr,
}

impl Endpoints {
    /// From these addresses. IPv4 in the form of IPv6 becomes IPv4, unless only one of the two is.
    pub fn new(source: SocketAddr, destination: SocketAddr) -> Endpoints {
        let plain =
            |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let (source, destination) = (plain(source), plain(destination));
        if source.is_ipv4() == destination.is_ipv4() {
            return Endpoints { source, destination };
        }
        Endpoints { source: as_ipv6(source), destination: as_ipv6(destination) }
    }
}

fn as_ipv6(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    SocketAddr::new(ip.into(), address.port())
}

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preface {
    /// The beginning of a header.
    Incomplete,
    /// A whole header.
    Header {
        /// Its length; what follows is the client's.
        len: usize,
        /// `None`: the sender's own connection, or one of which it says nothing that fits here.
        /// The connection's own addresses count then.
        endpoints: Option<Endpoints>,
    },
}

/// The bytes are no header. Says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoHeader(pub &'static str);

/// Reads the first bytes of a connection.
///
/// # Errors
/// [`NoHeader`]; more bytes would not change that.
pub fn parse(bytes: &[u8]) -> Result<Preface, NoHeader> {
    match bytes.first() {
        None => Ok(Preface::Incomplete),
        Some(b'P') => parse_v1(bytes),
        Some(_) => parse_v2(bytes),
    }
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443` and CRLF [§2.1].
fn parse_v1(bytes: &[u8]) -> Result<Preface, NoHeader> {
    const START: &[u8] = b"PROXY ";
    let start = bytes.len().min(START.len());
    if bytes[..start] != START[..start] {
        return Err(NoHeader("the connection begins with no PROXY header"));
    }
    let window = &bytes[..bytes.len().min(V1_MAX)];
    let Some(end) = window.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return match window.len() {
            V1_MAX => Err(NoHeader("the line is too long")),
            _ => Ok(Preface::Incomplete),
        };
    };
    match (window[end], window.get(end + 1)) {
        (b'\r', Some(b'\n')) => {}
        (b'\r', None) if window.len() < V1_MAX => return Ok(Preface::Incomplete),
        _ => return Err(NoHeader("the line does not end as it should")),
    }
    let line = std::str::from_utf8(&window[START.len().min(end)..end]);
    let line = line.map_err(|_| NoHeader("the line is not ASCII"))?;
    let endpoints = match line.split_once(' ').unwrap_or((line, "")) {
        ("TCP4", rest) => Some(v1_endpoints::<Ipv4Addr>(rest)?),
        ("TCP6", rest) => Some(v1_endpoints::<Ipv6Addr>(rest)?),
        // What follows is to be ignored.
        ("UNKNOWN", _) => None,
        _ => return Err(NoHeader("the protocol is not TCP4, TCP6 or UNKNOWN")),
    };
    Ok(Preface::Header { len: end + 2, endpoints })
}

fn v1_endpoints<A: std::str::FromStr + Into<IpAddr>>(text: &str) -> Result<Endpoints, NoHeader> {
    let parts: Vec<&str> = text.split(' ').collect();
    let &[source, destination, source_port, destination_port] = &parts[..] else {
        return Err(NoHeader("there are not two addresses and two ports"));
    };
    let ip = |text: &str| text.parse::<A>().map_err(|_| NoHeader("an address is malformed"));
    let (source, destination) = (ip(source)?.into(), ip(destination)?.into());
    let source = SocketAddr::new(source, v1_port(source_port)?);
    let destination = SocketAddr::new(destination, v1_port(destination_port)?);
    Ok(Endpoints::new(source, destination))
}

/// Decimal, without leading zeros.
fn v1_port(text: &str) -> Result<u16, NoHeader> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|_| plain && (text == "0" || !text.starts_with('0')));
    port.ok_or(NoHeader("a port is malformed"))
}

fn parse_v2(bytes: &[u8]) -> Result<Preface, NoHeader> {
    let start = bytes.len().min(V2_SIGNATURE.len());
    if bytes[..start] != V2_SIGNATURE[..start] {
        return Err(NoHeader("the connection begins with no PROXY header"));
    }
    let is_local = match bytes.get(12) {
        None => return Ok(Preface::Incomplete),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return Err(NoHeader("neither version nor command are known")),
    };
    let Some(&[kind, high, low]) = bytes.get(13..V2_FIXED) else {
        return Ok(Preface::Incomplete);
    };
    let len = V2_FIXED + usize::from(u16::from_be_bytes([high, low]));
    if len > V2_MAX {
        return Err(NoHeader("the header is too long"));
    }
    let least = if is_local { 0 } else { v2_address_bytes(kind)? };
    if len - V2_FIXED < least {
        return Err(NoHeader("the header is too short for its addresses"));
    }
    let Some(addresses) = bytes.get(V2_FIXED..len) else {
        return Ok(Preface::Incomplete);
    };
    let endpoints = match kind {
        _ if is_local => None,
        TCP4 => v2_endpoints::<4>(addresses),
        TCP6 => v2_endpoints::<16>(addresses),
        // Datagrams and Unix sockets, of which there is nothing to learn here.
        _ => None,
    };
    Ok(Preface::Header { len, endpoints })
}

/// How many bytes of addresses a family has at least; families and protocols beyond those known
/// are to be refused.
fn v2_address_bytes(kind: u8) -> Result<usize, NoHeader> {
    if kind & 0x0f > 2 {
        return Err(NoHeader("the transport protocol is not known"));
    }
    match kind >> 4 {
        0 => Ok(0),
        1 => Ok(12),
        2 => Ok(36),
        3 => Ok(216),
        _ => Err(NoHeader("the address family is not known")),
    }
}

/// Two addresses of `N` bytes, and two ports.
fn v2_endpoints<const N: usize>(bytes: &[u8]) -> Option<Endpoints>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = bytes.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (source_port, rest) = rest.split_first_chunk::<2>()?;
    let destination_port = rest.first_chunk::<2>()?;
    let address = |ip: [u8; N], port| SocketAddr::new(ip.into(), u16::from_be_bytes(port));
    Some(Endpoints::new(address(*source, *source_port), address(*destination, *destination_port)))
}

/// The header of version 1 for a client's connection. `None`: a client without an IP address.
pub fn v1_header(endpoints: Option<&Endpoints>) -> Vec<u8> {
    let Some(Endpoints { source, destination }) = endpoints else {
        return b"PROXY UNKNOWN\r\n".to_vec();
    };
    let protocol = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    let (from_port, to_port) = (source.port(), destination.port());
    format!("PROXY {protocol} {from} {to} {from_port} {to_port}\r\n").into_bytes()
}

/// The header of version 2 for a client's connection. `None`: a client without an IP address.
pub fn v2_header(endpoints: Option<&Endpoints>) -> Vec<u8> {
    let mut header = V2_SIGNATURE.to_vec();
    let (kind, addresses) = match endpoints {
        None => (UNSPECIFIED, Vec::new()),
        Some(Endpoints { source, destination }) => {
            let mut addresses = octets(source.ip());
            addresses.extend(octets(destination.ip()));
            addresses.extend(source.port().to_be_bytes());
            addresses.extend(destination.port().to_be_bytes());
            (if source.is_ipv4() { TCP4 } else { TCP6 }, addresses)
        }
    };
    // At most 36 bytes.
    header.extend([0x21, kind, 0, addresses.len() as u8]);
    header.extend(addresses);
    header
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests;
