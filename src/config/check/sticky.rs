//! What sticky cookies need to reach the browser and come back.

use crate::config::complaint::Complaints;
use crate::config::file::{File, RouteTable, StickyTable, UpstreamTable};
use crate::config::source::Spot;
use crate::plan::{CookiePlan, SameSite, ServerAddress};
use crate::route::HostPattern;

/// Complains of cookies that browsers would refuse, or that get in each other's way.
pub(super) fn all(file: &File, complaints: &Complaints) {
    for upstream in &file.upstreams {
        let Some(sticky) = &upstream.sticky else { continue };
        browsers_take(sticky, complaints);
        if has_one_server(upstream) {
            let what = "`sticky` has no effect: the upstream has one server";
            complaints.warning(sticky.spot, what, "remove it, or add servers");
        }
    }
    one_cookie_for_one_upstream(file, complaints);
}

/// Whether it will never have more than one.
fn has_one_server(upstream: &UpstreamTable) -> bool {
    let [only] = &upstream.servers[..] else { return false };
    let address = only.address.as_ref().map(|address| &address.value);
    upstream.servers_file.is_none() && matches!(address, Some(ServerAddress::Fixed(_)))
}

/// RFC 6265bis §5.7: browsers drop such a cookie, and nobody would be told.
fn browsers_take(sticky: &StickyTable, complaints: &Complaints) {
    let cookie = sticky.cookie();
    if let (Some(same_site), false) = (&sticky.same_site, cookie.secure)
        && same_site.value == SameSite::None
    {
        let what = "browsers drop a cookie with same_site = \"none\" that is not secure";
        complaints.error(same_site.spot, what, "add secure = true, or write \"lax\"");
    }
    let Some(name) = &sticky.name else { return };
    let begins = |prefix: &str| {
        name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if begins("__Host-") && !(cookie.secure && cookie.path == "/") {
        let what = format!("browsers drop `{}` unless it is secure and its path is \"/\"", **name);
        complaints.error(name.spot, what, "add secure = true and leave `path` out, or rename it");
    } else if begins("__Secure-") && !cookie.secure {
        let what = format!("browsers drop `{}` unless it is secure", **name);
        complaints.error(name.spot, what, "add secure = true, or rename it");
    }
}

/// Where two upstreams set the same cookie for the same host and path, each overwrites what the
/// other set.
fn one_cookie_for_one_upstream(file: &File, complaints: &Complaints) {
    let cookies: Vec<Cookie<'_>> = file.upstreams.iter().filter_map(Cookie::of).collect();
    for (at, later) in cookies.iter().enumerate() {
        let clash = cookies[..at].iter().find(|earlier| {
            let (one, other) = (&earlier.cookie, &later.cookie);
            (&one.name, &one.path) == (&other.name, &other.path)
                && share_a_host(&file.routes, earlier.upstream, later.upstream)
        });
        if let Some(earlier) = clash {
            let what = format!(
                "the upstream `{}` sets the cookie `{}` too, for the same hosts: each would \
                 overwrite the other's",
                earlier.upstream, later.cookie.name
            );
            complaints.warning(later.spot, what, "rename one, or give each a `path`");
        }
    }
}

struct Cookie<'f> {
    upstream: &'f str,
    cookie: CookiePlan,
    /// Where its name is written.
    spot: Spot,
}

impl Cookie<'_> {
    fn of(upstream: &UpstreamTable) -> Option<Cookie<'_>> {
        let sticky = upstream.sticky.as_ref()?;
        let (name, written) = (upstream.name.as_ref()?, sticky.name.as_ref()?);
        Some(Cookie { upstream: name, cookie: sticky.cookie(), spot: written.spot })
    }
}

fn share_a_host(routes: &[RouteTable], one: &str, other: &str) -> bool {
    let mut to_one = routes.iter().filter(|route| route.leads_to(one));
    to_one.any(|a| routes.iter().any(|b| b.leads_to(other) && may_share(a, b)))
}

fn may_share(one: &RouteTable, other: &RouteTable) -> bool {
    let is_any = |route: &RouteTable| {
        route.hosts.is_empty() || route.hosts.iter().any(|host| host.value == HostPattern::Any)
    };
    let same = |host: &HostPattern| other.hosts.iter().any(|known| known.value == *host);
    is_any(one) || is_any(other) || one.hosts.iter().any(|host| same(&host.value))
}
