//! Where the running proxy can be asked and told things.

use std::fmt;
use std::net::IpAddr;

use super::Address;

/// `[admin]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminPlan {
    /// The address to bind.
    pub address: Address,
    /// Permissions of a Unix socket's file, as chmod(2) takes them.
    pub mode: u32,
    /// What a caller over TCP must know to change anything.
    pub token: Option<Token>,
}

impl AdminPlan {
    /// Permissions where nothing else is said: the proxy's own user, and root.
    pub const MODE: u32 = 0o600;

    /// Whether other machines may reach it.
    pub fn is_public(&self) -> bool {
        match &self.address {
            Address::Ip(address) => !is_loopback(address.ip()),
            Address::Unix(_) => false,
        }
    }
}

/// Whether only this machine reaches this address.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// A secret. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Fewest characters: what is shorter could be guessed.
    pub const CHARACTERS_MIN: usize = 16;

    /// A token, if `text` could be one: long enough, and only characters that an Authorization
    /// field takes (RFC 6750, section 2.1, and other visible ASCII).
    pub fn new(text: &str) -> Option<Token> {
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        (plain && text.len() >= Token::CHARACTERS_MIN).then(|| Token(text.to_owned()))
    }

    /// Its characters, for comparing and for sending.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> AdminPlan {
        let address = Address::Ip(address.parse().unwrap());
        AdminPlan { address, mode: AdminPlan::MODE, token: None }
    }

    #[test]
    fn loopback_addresses_are_not_public() {
        for address in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(!at(address).is_public(), "{address}");
        }
        for address in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[::ffff:10.0.0.1]:1"] {
            assert!(at(address).is_public(), "{address}");
        }
    }

    #[test]
    fn tokens_are_long_plain_and_not_shown() {
        assert!(Token::new("0123456789abcdef").is_some());
        for text in ["", "0123456789abcde", "0123456789abcde f", "0123456789abcdeé"] {
            assert_eq!(Token::new(text), None, "{text}");
        }
        let shown = format!("{:?}", Token::new("0123456789abcdef"));
        assert!(!shown.contains("0123"), "{shown}");
    }
}
