//! What `allow` and `deny` say together.

use super::{Complaints, duplicates};
use crate::config::file::AccessTable;
use crate::config::source::Located;
use crate::guard::{Network, Source, parents};
use crate::plan::Address;

/// Complains of networks that are named twice, and warns of those that change nothing. `listener`:
/// where the clients come in, if that is known.
pub(super) fn check(table: &AccessTable, listener: Option<&Address>, complaints: &Complaints) {
    let all = || table.allow.iter().chain(&table.deny);
    duplicates(all().map(|source| (source.value, source.spot)), |source, spot| {
        let is_named = |list: &[Located<Source>]| list.iter().any(|other| other.value == *source);
        let (what, remedy) = match is_named(&table.allow) && is_named(&table.deny) {
            true => (format!("{source} is both allowed and denied"), "remove it from one list"),
            false => (format!("{source} is listed twice"), "remove one of them"),
        };
        complaints.error(spot, what, remedy);
    });
    warn_of_the_ineffective(table, complaints);
    warn_of_unix(table, listener, complaints);
}

/// A network to which the same would happen if it were not named.
fn warn_of_the_ineffective(table: &AccessTable, complaints: &Complaints) {
    let with_verdict = |list: &'_ [Located<Source>], verdict: bool| {
        let networks = list.iter().filter_map(move |source| match source.value {
            Source::Network(network) => Some((network, verdict, source.spot)),
            Source::Unix => None,
        });
        networks.collect::<Vec<_>>()
    };
    let named = [with_verdict(&table.allow, true), with_verdict(&table.deny, false)].concat();
    let networks: Vec<Network> = named.iter().map(|(network, ..)| *network).collect();
    for ((network, verdict, spot), parent) in named.iter().zip(parents(&networks)) {
        let around = parent.map(|parent| &named[parent]);
        let otherwise = around.map_or(table.allow.is_empty(), |(_, verdict, _)| *verdict);
        if otherwise != *verdict {
            continue;
        }
        let why = match (around, verdict) {
            (Some((outer, ..)), true) => format!("{outer} is allowed already"),
            (Some((outer, ..)), false) => format!("{outer} is denied already"),
            (None, _) => "whoever is not in `allow` is kept out anyway".to_owned(),
        };
        let doing = if *verdict { "allowing" } else { "denying" };
        complaints.warning(*spot, format!("{doing} {network} changes nothing: {why}"), "remove it");
    }
}

fn warn_of_unix(table: &AccessTable, listener: Option<&Address>, complaints: &Complaints) {
    let Some(Address::Unix(_)) = listener else { return };
    let mut all = table.allow.iter().chain(&table.deny);
    if all.clone().any(|source| source.value == Source::Unix) {
        return;
    }
    let Some(first) = all.next() else { return };
    let what = "clients of a Unix socket have no IP address";
    let remedy = match table.allow.is_empty() {
        true => "remove the list",
        false => "all of them are kept out: add \"unix\" to `allow`, or remove the list",
    };
    complaints.warning(first.spot, what, remedy);
}
