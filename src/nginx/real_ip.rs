//! `set_real_ip_from` and the directives with it: whose word about clients is taken.

use super::access;
use super::scope::Scope;
use super::tree::Directive;
use super::work::Work;

const NAMES: [&str; 3] = ["set_real_ip_from", "real_ip_header", "real_ip_recursive"];

/// What holds for all servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RealIp {
    /// Who may say for whom a request is. Empty: nobody.
    pub networks: Vec<String>,
    /// Whether that is said by a PROXY header, and not by a field.
    pub by_proxy: bool,
}

/// Reads it. `servers` are the scopes of all servers: it is the same for all of them, or complained
/// of, for it is known whose a connection is before it is known which server it is for.
pub(super) fn read(servers: &[Scope<'_>], work: &Work<'_>) -> RealIp {
    for server in servers {
        in_locations(server.block(), false, work);
    }
    let all: Vec<RealIp> = servers.iter().map(|server| of_server(server, work)).collect();
    let Some(first) = all.first() else { return RealIp::default() };
    if let Some(other) = all.iter().position(|other| other != first) {
        let either = [&servers[other], &servers[0]];
        if let Some(directive) = either.into_iter().find_map(|one| one.one("set_real_ip_from")) {
            let what = "`set_real_ip_from` is not the same for all servers";
            let remedy = "it holds for all: write it once, in `http`, with `real_ip_header`";
            work.complaints.error(directive.place(), what, remedy);
        }
    }
    first.clone()
}

fn in_locations(block: &[Directive], is_location: bool, work: &Work<'_>) {
    for directive in block {
        if is_location && NAMES.contains(&directive.name.text.as_str()) {
            let why = "whose a request is, is known before its location is";
            work.refuse(directive, why, "write it once, in `http`");
        }
        in_locations(directive.children(), is_location || directive.is("location"), work);
    }
}

fn of_server(server: &Scope<'_>, work: &Work<'_>) -> RealIp {
    let said = server.nearest(&["set_real_ip_from"]);
    let Some(first) = said.first() else {
        for directive in NAMES.iter().filter_map(|name| server.one(name)) {
            let what = format!("`{}` has no effect", directive.name.text);
            work.complaints.note(directive.place(), what, "there is no `set_real_ip_from`");
        }
        return RealIp::default();
    };
    let mut networks = Vec::new();
    for directive in &said {
        match access::network_text(directive.argument(0)) {
            Some(network) if !networks.contains(&network) => networks.push(network),
            Some(_) => {}
            None => {
                let why = "proxies are trusted by address";
                work.refuse(directive, why, "write the address or the network");
            }
        }
    }
    networks.sort();
    RealIp { networks, by_proxy: is_by_proxy(server, first, work) }
}

/// Which field names the client, or whether a PROXY header does.
fn is_by_proxy(server: &Scope<'_>, first: &Directive, work: &Work<'_>) -> bool {
    match server.one("real_ip_header") {
        Some(said) if said.argument(0).eq_ignore_ascii_case("x-forwarded-for") => {
            if !server.is_on("real_ip_recursive") {
                let what = "`real_ip_recursive` is always on";
                let why = "the client is the last address in X-Forwarded-For that is not trusted, \
                           and not just the last";
                work.complaints.note(first.place(), what, why);
            }
            let what = "Forwarded is believed where there is no X-Forwarded-For";
            let why = "trusted proxies that set neither should remove both from requests";
            work.complaints.note(first.place(), what, why);
            false
        }
        Some(said) if said.argument(0) == "proxy_protocol" => {
            let what = "only whom `set_real_ip_from` names may send PROXY headers";
            let why = "connections of others are closed; nginx would go by their own addresses";
            work.complaints.note(first.place(), what, why);
            true
        }
        Some(said) => {
            let why = "clients are named by X-Forwarded-For, or by a PROXY header";
            work.refuse(said, why, "write `real_ip_header X-Forwarded-For;`");
            false
        }
        None => {
            let what = "`set_real_ip_from` without `real_ip_header` goes by X-Real-IP";
            let remedy = "which is not honoured: write `real_ip_header X-Forwarded-For;`";
            work.complaints.error(first.place(), what, remedy);
            false
        }
    }
}
