//! Networks, addresses and `unix` as written, in every list that has them.

use std::net::SocketAddr;

use crate::config::fields::Field;
use crate::config::source::Located;
use crate::guard::{Network, NetworkError, Source};

/// One item of a list.
pub(super) fn read(field: Field<'_>) -> Option<Located<Source>> {
    let text = field.text_or("a network in quotes, such as \"10.0.0.0/8\"")?.value;
    let error = match (text, Network::parse(text)) {
        ("unix", _) => return Some(field.located(Source::Unix)),
        (_, Ok(network)) => return Some(field.located(Source::Network(network))),
        (_, Err(error)) => error,
    };
    field.refuse(format!("`{}` is \"{text}\": {error}", field.key), remedy(text, error))
}

fn remedy(text: &str, error: NetworkError) -> String {
    match error {
        NetworkError::HostBits(meant) => {
            let address = text.split('/').next().unwrap_or_default();
            format!("write \"{meant}\" for the network, or \"{address}\" for the address alone")
        }
        NetworkError::Mapped(meant) => format!("did you mean \"{meant}\"?"),
        NetworkError::Length(_) | NetworkError::Address => match text.parse::<SocketAddr>() {
            Ok(address) => format!("did you mean \"{}\"?", address.ip()),
            Err(_) => {
                "write \"10.0.0.0/8\", \"192.0.2.1\", \"2001:db8::/32\" or \"unix\"".to_owned()
            }
        },
    }
}
