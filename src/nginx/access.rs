//! Who may come in: `allow` and `deny`, passwords, `limit_except`.

use std::net::IpAddr;

use super::scope::Scope;
use super::toml::{self, Table};
use super::tree::{Directive, Word};
use super::work::Work;

/// Everybody.
const ALL: [&str; 3] = ["0.0.0.0/0", "::/0", "unix"];

/// A network: its address, and how many bits of that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

/// A rule that says whether this may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    All,
    Unix,
    Network(Network),
}

/// `allow` and `deny`. nginx takes the first rule that fits, Corelane the narrowest: what an
/// earlier rule covers is left out, then both are the same.
pub(super) fn addresses(scope: &Scope<'_>, table: &mut Table, work: &Work<'_>) {
    let mut rules: Vec<(bool, Source)> = Vec::new();
    for directive in scope.nearest(&["allow", "deny"]) {
        let Some(source) = directive.arguments.first().and_then(|word| source(word, work)) else {
            continue;
        };
        if rules.iter().any(|(_, earlier)| covers(earlier, &source)) {
            let what = format!("`{} {}` has no effect", directive.name.text, directive.argument(0));
            work.complaints.note(directive.place(), what, "a rule before it covers it");
            continue;
        }
        rules.push((directive.is("allow"), source));
    }
    if rules.is_empty() {
        return;
    }
    // Whoever no rule names is let in.
    let others = match rules.iter().position(|(_, source)| *source == Source::All) {
        Some(at) => rules.split_off(at)[0].0,
        None => true,
    };
    let named = |allowed: bool| -> Vec<String> {
        rules.iter().filter(|rule| rule.0 == allowed).map(|rule| written(&rule.1)).collect()
    };
    let (mut allow, mut deny) = (named(true), named(false));
    let rest = || {
        let is_named = |all: &&str| {
            let all = (*all).to_owned();
            !allow.contains(&all) && !deny.contains(&all)
        };
        ALL.iter().copied().filter(is_named).map(str::to_owned).collect::<Vec<_>>()
    };
    match (others, allow.is_empty(), deny.is_empty()) {
        // With `allow`, whoever is in neither list is kept out; without, he is let in.
        (true, true, _) | (false, false, _) => {}
        (true, false, true) => return,
        (true, false, false) => allow.extend(rest()),
        (false, true, _) => deny.extend(rest()),
    }
    for (key, list) in [("allow", allow), ("deny", deny)] {
        if !list.is_empty() {
            table.put(key, toml::list(&list));
        }
    }
}

fn source(word: &Word, work: &Work<'_>) -> Option<Source> {
    match word.text.as_str() {
        "all" => Some(Source::All),
        "unix:" => Some(Source::Unix),
        text => match network(text) {
            Some(network) => Some(Source::Network(network)),
            None => {
                let what = format!("`{text}` is neither an address nor a network");
                let remedy = "write such as `10.0.0.0/8`, `2001:db8::1`, `unix:` or `all`";
                work.complaints.error(word.place, what, remedy);
                None
            }
        },
    }
}

/// Bits of the address behind the network's are taken away, as nginx does.
fn network(text: &str) -> Option<Network> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        Some(bits) => bits.parse::<u8>().ok().filter(|bits| *bits <= most)?,
        None => most,
    };
    let masked = match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::from((u32::from(address) & mask).to_be_bytes())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::from((u128::from(address) & mask).to_be_bytes())
        }
    };
    Some(Network { address: masked, bits })
}

fn covers(outer: &Source, inner: &Source) -> bool {
    match (outer, inner) {
        (Source::All, _) => true,
        (Source::Network(outer), Source::Network(inner)) => {
            outer.bits <= inner.bits
                && outer.address.is_ipv4() == inner.address.is_ipv4()
                && network(&format!("{}/{}", inner.address, outer.bits)) == Some(*outer)
        }
        (outer, inner) => outer == inner,
    }
}

fn written(source: &Source) -> String {
    match source {
        Source::All => "all".to_owned(),
        Source::Unix => "unix".to_owned(),
        Source::Network(network) => {
            let whole = if network.address.is_ipv4() { 32 } else { 128 };
            match network.bits == whole {
                true => network.address.to_string(),
                false => format!("{}/{}", network.address, network.bits),
            }
        }
    }
}

/// A network as Corelane writes it, for lists of other directives.
pub(super) fn network_text(text: &str) -> Option<String> {
    match text {
        "unix:" => Some("unix".to_owned()),
        text => network(text).map(|network| written(&Source::Network(network))),
    }
}

/// `auth_basic` and its file.
pub(super) fn passwords(scope: &Scope<'_>, table: &mut Table, work: &Work<'_>) {
    if let Some(directive) = scope.one("satisfy")
        && directive.argument(0) != "all"
    {
        let why = "a request must pass addresses and passwords both";
        work.refuse(directive, why, "write two locations or servers, or `satisfy all;`");
    }
    let Some(realm) = scope.one("auth_basic").filter(|said| said.argument(0) != "off") else {
        return;
    };
    let Some(file) = scope.one("auth_basic_user_file") else {
        let what = "`auth_basic` has no `auth_basic_user_file`";
        work.complaints.error(realm.place(), what, "add it, or write `auth_basic off;`");
        return;
    };
    let (realm, path) = (realm.argument(0), file.argument(0));
    if realm.contains('$') || path.contains('$') {
        let what = "variables in `auth_basic` and its file are not honoured";
        work.complaints.error(file.place(), what, "write a location for each");
        return;
    }
    let path = work.surroundings.folder.join(path).display().to_string();
    table.below(
        "route.basic_auth",
        &[("realm".to_owned(), toml::text(realm)), ("file".to_owned(), toml::text(&path))],
    );
}

/// `limit_except GET { deny all; }`: a step that refuses other methods.
pub(super) fn methods(scope: &Scope<'_>, work: &Work<'_>) -> Option<String> {
    let directive = scope.own("limit_except").next()?;
    let known = [
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "DELETE",
        "MKCOL",
        "COPY",
        "MOVE",
        "OPTIONS",
        "PROPFIND",
        "PROPPATCH",
        "LOCK",
        "UNLOCK",
        "PATCH",
    ];
    let mut methods: Vec<String> = Vec::new();
    for word in &directive.arguments {
        let method = word.text.to_ascii_uppercase();
        if !known.contains(&method.as_str()) {
            let what = format!("`{}` is no method", word.text);
            work.complaints.error(word.place, what, format!("there are {}", known.join(", ")));
        }
        methods.push(method);
    }
    if methods.iter().any(|method| method == "GET") {
        methods.push("HEAD".to_owned());
    }
    let denies = |inner: &Directive| inner.is("deny") && inner.argument(0) == "all";
    if directive.children().len() != 1 || !directive.children().iter().all(denies) {
        let why = "other methods can only be refused for everybody";
        work.refuse(directive, why, "write `limit_except … { deny all; }`");
        return None;
    }
    // No expression: it would forget what the groups of the location found.
    let others = toml::list(&methods);
    Some(format!(
        "{{ if = \"$request_method\", not_among = {others}, then = [{{ return = 403 }}] }}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_cover_others() {
        let source = |text: &str| Source::Network(network(text).unwrap());
        let table = [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "10.0.0.0/8", true),
            ("10.1.2.3", "10.0.0.0/8", false),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/32", "2001:db8:1::/48", true),
        ];
        for (outer, inner, expected) in table {
            assert_eq!(covers(&source(outer), &source(inner)), expected, "{outer} {inner}");
        }
        assert_eq!(network_text("10.1.2.3/8").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(network_text("10.1.2.3/33"), None);
        assert_eq!(network_text("unix:").as_deref(), Some("unix"));
    }
}
