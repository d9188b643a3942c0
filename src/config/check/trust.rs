//! Who may speak for clients, and where nobody could.

use super::duplicates;
use crate::config::complaint::Complaints;
use crate::config::file::{File, ListenerTable, TrustedWritten};
use crate::guard::Source;
use crate::plan::Address;

/// Complains of trust that goes too far or has no effect.
pub(super) fn all(file: &File, complaints: &Complaints) {
    list(&file.trusted_proxies, complaints);
    for listener in &file.listeners {
        if let Some(own) = &listener.trusted_proxies {
            list(own, complaints);
            fits_listener(listener, own, complaints);
        }
        somebody_may_connect(file, listener, complaints);
    }
}

fn list(trusted: &TrustedWritten, complaints: &Complaints) {
    let peers = trusted.peers.iter().map(|peers| (peers.value, peers.spot));
    duplicates(peers, |peers, spot| {
        complaints.error(spot, format!("{peers} is listed twice"), "remove one");
    });
    for peers in &trusted.peers {
        if let Source::Network(network) = peers.value
            && network.length() == 0
        {
            let what = format!("{network} trusts everybody: clients may then say who they are");
            complaints.warning(peers.spot, what, "write the networks of your own proxies");
        }
    }
}

/// Peers of a Unix socket have no address, and others are none; only a PROXY header brings one.
fn fits_listener(listener: &ListenerTable, own: &TrustedWritten, complaints: &Complaints) {
    let Some(address) = &listener.address else { return };
    let is_unix = matches!(address.value, Address::Unix(_));
    let told = listener.proxy_protocol.as_ref().is_some_and(|on| on.value);
    for peers in &own.peers {
        match peers.value {
            Source::Unix if !is_unix => {
                let what = "\"unix\" has no effect: this listener is no Unix socket";
                complaints.error(peers.spot, what, "remove it");
            }
            Source::Network(network) if is_unix && !told => {
                let what =
                    format!("{network} has no effect: peers of a Unix socket have no address");
                complaints.error(peers.spot, what, "write \"unix\" to trust whoever may connect");
            }
            _ => {}
        }
    }
}

fn somebody_may_connect(file: &File, listener: &ListenerTable, complaints: &Complaints) {
    let (Some(address), Some(on)) = (&listener.address, &listener.proxy_protocol) else { return };
    let trusted = listener.trusted_proxies.as_ref().unwrap_or(&file.trusted_proxies).plan();
    let (nobody, remedy) = match address.value {
        Address::Unix(_) => (!trusted.unix, "add trusted_proxies = [\"unix\"]"),
        Address::Ip(_) => (
            trusted.networks.is_empty(),
            "add trusted_proxies = [\"10.0.0.5\"], with their networks",
        ),
    };
    if on.value && nobody {
        let what = "nobody could connect: only `trusted_proxies` may send PROXY headers";
        complaints.error(on.spot, what, remedy);
    }
}
