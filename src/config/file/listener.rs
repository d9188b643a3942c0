//! `[[listener]]` and `trusted_proxies` as written.

use super::{AccessTable, source};
use crate::config::address;
use crate::config::fields::{Field, Fields};
use crate::config::source::Located;
use crate::guard::Source;
use crate::plan::{Address, Steering, TrustedProxies};

/// One `[[listener]]`.
#[derive(Debug)]
pub(in crate::config) struct ListenerTable {
    pub name: Option<Located<String>>,
    pub address: Option<Located<Address>>,
    pub backlog: Option<u32>,
    pub steering: Option<Located<Steering>>,
    pub proxy_protocol: Option<Located<bool>>,
    /// Instead of those of the whole file.
    pub trusted_proxies: Option<TrustedWritten>,
    pub forwarded_for: Option<bool>,
    pub access: AccessTable,
}

impl ListenerTable {
    pub(super) fn read(mut fields: Fields<'_>) -> ListenerTable {
        let address = fields.require("address", "address = \"0.0.0.0:8080\"");
        let table = ListenerTable {
            name: fields.get("name").and_then(Field::name),
            address: address.and_then(read_address),
            backlog: fields.get("backlog").and_then(|field| field.whole32(1..=65_535)),
            steering: fields.get("steering").and_then(read_steering),
            proxy_protocol: fields.get("proxy_protocol").and_then(read_proxy_protocol),
            trusted_proxies: fields.get("trusted_proxies").map(TrustedWritten::read),
            forwarded_for: fields.get("forwarded_for").and_then(Field::flag),
            access: AccessTable::read(&mut fields),
        };
        fields.finish();
        table
    }
}

/// Where to listen: of a listener, and of `[admin]`.
pub(super) fn read_address(field: Field<'_>) -> Option<Located<Address>> {
    match address::listener(field.text()?.value) {
        Ok(address) => Some(field.located(address)),
        Err(error) => field.refuse(error.what, error.remedy),
    }
}

fn read_steering(field: Field<'_>) -> Option<Located<Steering>> {
    let words = [("hash", Steering::Hash), ("cpu", Steering::Cpu), ("balance", Steering::Balance)];
    field.placed(|field| field.one_of(&words))
}

fn read_proxy_protocol(field: Field<'_>) -> Option<Located<bool>> {
    if let Some(version @ ("v1" | "v2")) = field.as_text() {
        let what = format!("`proxy_protocol` of a listener is \"{version}\"");
        return field.refuse(what, "write true: both versions are understood");
    }
    field.placed(Field::flag)
}

/// `trusted_proxies`.
#[derive(Debug, Default)]
pub(in crate::config) struct TrustedWritten {
    pub peers: Vec<Located<Source>>,
}

impl TrustedWritten {
    pub(super) fn read(field: Field<'_>) -> TrustedWritten {
        let items = field.one_or_list().into_iter();
        TrustedWritten { peers: items.filter_map(source::read).collect() }
    }

    /// The plan.
    pub fn plan(&self) -> TrustedProxies {
        let networks = self.peers.iter().filter_map(|peers| match peers.value {
            Source::Network(network) => Some(network),
            Source::Unix => None,
        });
        let unix = self.peers.iter().any(|peers| peers.value == Source::Unix);
        TrustedProxies { networks: networks.collect(), unix }
    }
}
