//! Networks: the addresses that begin with the same bits (RFC 4632 §3.1, RFC 4291 §2.3).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network, or a single address: the network of its full length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// Its first address.
    first: IpAddr,
    /// How many bits all of its addresses begin with.
    length: u8,
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkError {
    /// It does not begin with an IP address.
    Address,
    /// The length after the slash is no number from 0 to this.
    Length(u8),
    /// The address has bits beyond the length; the network it lies in.
    HostBits(Network),
    /// An IPv4 address in the form of an IPv6 one (RFC 4291 §2.5.5.2); as IPv4.
    Mapped(Network),
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetworkError::Address => write!(f, "not an IP address"),
            NetworkError::Length(most) => {
                write!(f, "what follows the slash is no number from 0 to {most}")
            }
            NetworkError::HostBits(_) => write!(f, "the address goes on beyond its network"),
            NetworkError::Mapped(_) => write!(f, "IPv4 in the form of IPv6"),
        }
    }
}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or an address alone.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub fn parse(text: &str) -> Result<Network, NetworkError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => most,
            // `+8` and `08` parse as numbers, but nobody means them.
            Some(digits) if digits.starts_with(['+', '0']) && digits != "0" => {
                return Err(NetworkError::Length(most));
            }
            Some(digits) => match digits.parse() {
                Ok(length) if length <= most => length,
                _ => return Err(NetworkError::Length(most)),
            },
        };
        let network = Network::containing(address, length);
        if let Some(mapped) = network.as_ipv4() {
            return Err(NetworkError::Mapped(mapped));
        }
        match network.first == address {
            true => Ok(network),
            false => Err(NetworkError::HostBits(network)),
        }
    }

    /// The network of this length in which `address` lies.
    fn containing(address: IpAddr, length: u8) -> Network {
        let first = match address {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() & mask))
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & mask))
            }
        };
        Network { first, length }
    }

    /// The IPv4 network that this one writes as IPv6.
    fn as_ipv4(&self) -> Option<Network> {
        let IpAddr::V6(first) = self.first else { return None };
        let length = self.length.checked_sub(96)?;
        Some(Network::containing(IpAddr::V4(first.to_ipv4_mapped()?), length))
    }

    /// Whether it is of IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.first.is_ipv4()
    }

    /// Whether `address` lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.is_ipv4()
            && (self.first_bits()..=self.last_bits()).contains(&bits(address))
    }

    /// How many bits its addresses have in common.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// Its first address, as a number.
    pub(super) fn first_bits(&self) -> u128 {
        bits(self.first)
    }

    /// Its last address, as a number.
    pub(super) fn last_bits(&self) -> u128 {
        let width: u32 = if self.is_ipv4() { 32 } else { 128 };
        let free = width - u32::from(self.length);
        self.first_bits() | u128::MAX.checked_shr(128 - free).unwrap_or(0)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.is_ipv4(), self.length) {
            (true, 32) | (false, 128) => self.first.fmt(f),
            _ => write!(f, "{}/{}", self.first, self.length),
        }
    }
}

/// Who a client is where clients are counted: its address; of IPv6 the first 64 bits, since that is
/// the smallest network that anybody is given (RFC 6177, RFC 7421). `None`: through a Unix socket.
pub fn client_bits(address: Option<IpAddr>) -> u128 {
    match address {
        None => 0,
        Some(IpAddr::V4(ip)) => 1 << 64 | u128::from(ip.to_bits()),
        Some(IpAddr::V6(ip)) => 2 << 64 | ip.to_bits() >> 64,
    }
}

/// An address as a number.
pub(super) fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap()
    }

    #[test]
    fn networks_print_as_they_are_written() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "192.0.2.1", "::/0", "2001:db8::/33", "::1"] {
            assert_eq!(network(text).to_string(), text);
        }
        assert_eq!(network("192.0.2.1/32").to_string(), "192.0.2.1");
    }

    #[test]
    fn what_is_no_network_gets_an_answer() {
        for (text, error) in [
            ("", NetworkError::Address),
            ("localhost", NetworkError::Address),
            ("10.0.0", NetworkError::Address),
            ("[::1]", NetworkError::Address),
            ("10.0.0.0/", NetworkError::Length(32)),
            ("10.0.0.0/33", NetworkError::Length(32)),
            ("10.0.0.0/+8", NetworkError::Length(32)),
            ("10.0.0.0/08", NetworkError::Length(32)),
            ("10.0.0.0/255.0.0.0", NetworkError::Length(32)),
            ("::/129", NetworkError::Length(128)),
            ("10.1.2.3/8", NetworkError::HostBits(network("10.0.0.0/8"))),
            ("2001:db8::1/64", NetworkError::HostBits(network("2001:db8::/64"))),
            ("::ffff:10.0.0.0/104", NetworkError::Mapped(network("10.0.0.0/8"))),
            ("::ffff:10.0.0.1", NetworkError::Mapped(network("10.0.0.1"))),
        ] {
            assert_eq!(Network::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn clients_are_told_apart_by_their_network() {
        let client = |text: &str| client_bits(Some(text.parse().unwrap()));
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:0:0:1"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
        assert_ne!(client("0.0.0.0"), client("::"));
        assert_ne!(client("0.0.0.0"), client_bits(None));
    }

    #[test]
    fn the_two_families_do_not_mix() {
        assert!(!network("0.0.0.0/0").contains("::1".parse().unwrap()));
        assert!(!network("::/0").contains("10.0.0.1".parse().unwrap()));
    }

    proptest! {
        /// An address lies in a network if their first bits agree, written out as text.
        #[test]
        fn membership_is_a_common_beginning(
            first: u128,
            other: u128,
            length in 0u8..=128,
            v4: bool,
        ) {
            let (width, length) = if v4 { (32, length / 4) } else { (128, length) };
            let address = |bits: u128| match v4 {
                true => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
                false => IpAddr::V6(Ipv6Addr::from_bits(bits)),
            };
            let digits = |bits: u128| format!("{:0width$b}", super::bits(address(bits)));
            let network = Network::containing(address(first), length);
            // A random address is hardly ever near: one that differs late is.
            for candidate in [other, first, first ^ (other & 0xff), first ^ (1 << (other % 128))] {
                let common = usize::from(length);
                let expected = digits(first)[..common] == digits(candidate)[..common];
                prop_assert_eq!(network.contains(address(candidate)), expected);
            }
            prop_assert_eq!(Network::parse(&network.to_string()).ok(), Some(network));
        }
    }
}
