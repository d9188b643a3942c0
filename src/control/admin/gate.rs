//! Who may ask what, by the head of a request.
//!
//! - Over a Unix socket, whoever may open it: its permissions decide. Whoever forwards a port to it
//!   may do so for a browser, so a Host must be `localhost` or an IP address.
//! - Over TCP, changes need the token. On a loopback address looking needs none; on any other it
//!   does.
//! - No browser may be made to ask on behalf of another site: what a page of one asks for is
//!   refused where the request says so (Fetch Metadata, Origin), and a request without the token
//!   must name an address of ours in its Host, since a name could be anybody's (DNS rebinding).
//! - The page itself (`GET /`) is the same for everybody and tells nothing, so it needs no token: a
//!   browser could not send one before there is a page to ask for it.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::{Method, StatusCode};
use subtle::ConstantTimeEq;

use crate::plan::{Address, AdminPlan, Token, is_loopback};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Lets requests in, or not.
#[derive(Clone, Debug)]
pub struct Gate {
    token: Option<Token>,
    way: Way,
}

/// How requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Unix,
    Loopback,
    Public,
}

/// The path of the page.
pub const PAGE: &str = "/";

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The answer's status.
    pub status: StatusCode,
    /// What is wrong, and the remedy.
    pub sentence: &'static str,
}

const fn denied(status: StatusCode, sentence: &'static str) -> Denied {
    Denied { status, sentence }
}

const WRONG_TOKEN: Denied = denied(StatusCode::UNAUTHORIZED, "the token is wrong");
const NO_TOKEN: Denied = denied(
    StatusCode::UNAUTHORIZED,
    "this needs the token of [admin]; send it as Authorization: Bearer TOKEN, or name its file \
     with --token-file",
);
const NO_TOKEN_SET: Denied = denied(
    StatusCode::FORBIDDEN,
    "nothing can be changed through a TCP address without a token; add `token_file` to [admin], or \
     give it a Unix socket",
);
const OTHER_SITE: Denied =
    denied(StatusCode::FORBIDDEN, "a page of another site cannot ask for this");
const OTHER_HOST: Denied = denied(
    StatusCode::FORBIDDEN,
    "the Host of the request is not this address; use an IP address or localhost, or send the \
     token",
);

impl Gate {
    /// The gate of an address.
    pub fn new(plan: &AdminPlan) -> Gate {
        let way = match &plan.address {
            Address::Unix(_) => Way::Unix,
            Address::Ip(_) if plan.is_public() => Way::Public,
            Address::Ip(_) => Way::Loopback,
        };
        Gate { token: plan.token.clone(), way }
    }

    /// Who may change something: `anyone` who may connect, who sends the `token`, or `nobody`.
    pub fn changes(&self) -> &'static str {
        match (self.way, &self.token) {
            (Way::Unix, _) => "anyone",
            (_, Some(_)) => "token",
            (_, None) => "nobody",
        }
    }

    /// Judges a request for `path` that came to the address `local`.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn check(
        &self,
        method: &Method,
        path: &str,
        fields: &HeaderMap,
        local: Option<IpAddr>,
    ) -> Result<(), Denied> {
        let changes = *method != Method::GET && *method != Method::HEAD;
        if path == PAGE && !changes && self.way == Way::Public {
            return Ok(());
        }
        let trusted = self.way == Way::Unix || self.has_token(fields)?;
        let named = match self.way {
            Way::Unix => names_no_other(fields),
            _ => trusted || names_us(fields, local),
        };
        if !named {
            return Err(OTHER_HOST);
        }
        let allowed = if changes { is_of_this_site(fields) } else { is_looked_at_here(fields) };
        if !allowed {
            return Err(OTHER_SITE);
        }
        match &self.token {
            _ if trusted => Ok(()),
            _ if !changes && self.way == Way::Loopback => Ok(()),
            Some(_) => Err(NO_TOKEN),
            None => Err(NO_TOKEN_SET),
        }
    }

    /// Whether the request has the token.
    fn has_token(&self, fields: &HeaderMap) -> Result<bool, Denied> {
        let Some(token) = &self.token else { return Ok(false) };
        let mut values = fields.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Ok(false) };
        let given = match value.as_bytes().split_at_checked(7) {
            Some((scheme, given)) if scheme.eq_ignore_ascii_case(b"bearer ") => given.trim_ascii(),
            _ => return Err(WRONG_TOKEN),
        };
        // Neither the time nor the answer tells how much of it was right.
        let same = bool::from(given.ct_eq(token.reveal().as_bytes()));
        if same && values.next().is_none() { Ok(true) } else { Err(WRONG_TOKEN) }
    }
}

/// What a Host names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Localhost,
    Address(IpAddr),
    /// Anything else, or several.
    Other,
}

/// `None`: there is no Host.
fn named(fields: &HeaderMap) -> Option<Named> {
    let mut hosts = fields.get_all(HOST).iter();
    let host = hosts.next()?;
    let (Ok(host), None) = (host.to_str(), hosts.next()) else { return Some(Named::Other) };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    if name.eq_ignore_ascii_case("localhost") {
        return Some(Named::Localhost);
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<SocketAddr>().map(|address| address.ip());
    Some(address.or_else(|_| bare.parse()).map_or(Named::Other, Named::Address))
}

/// Whether the Host is an address of ours.
fn names_us(fields: &HeaderMap, local: Option<IpAddr>) -> bool {
    match named(fields) {
        Some(Named::Localhost) => true,
        Some(Named::Address(address)) => {
            let canonical = address.to_canonical();
            is_loopback(address) || local.is_some_and(|ip| ip.to_canonical() == canonical)
        }
        Some(Named::Other) | None => false,
    }
}

/// Whether the Host, if there is one, is no name that somebody else could have.
fn names_no_other(fields: &HeaderMap) -> bool {
    named(fields) != Some(Named::Other)
}

/// Whether what is looked at is not asked for by a page of another site, which could not read it,
/// but could hold a place among those who watch. A link there may lead here.
fn is_looked_at_here(fields: &HeaderMap) -> bool {
    let mut sites = fields.get_all(SEC_FETCH_SITE).iter();
    let is_link = fields.get(SEC_FETCH_DEST).is_some_and(|dest| dest == "document");
    is_link || sites.all(|site| site == "same-origin" || site == "none")
}

/// Whether a request comes from no page, or from one of ours.
fn is_of_this_site(fields: &HeaderMap) -> bool {
    let sites = fields.get_all(SEC_FETCH_SITE).iter();
    if !sites.into_iter().all(|site| site == "same-origin" || site == "none") {
        return false;
    }
    let host = fields.get(HOST).map(|host| host.as_bytes()).unwrap_or_default();
    let mut origins = fields.get_all(ORIGIN).iter().map(|origin| origin.as_bytes());
    origins.all(|origin| {
        let schemes: [&[u8]; 2] = [b"http://", b"https://"];
        schemes.iter().any(|scheme| {
            origin.strip_prefix(*scheme).is_some_and(|site| site.eq_ignore_ascii_case(host))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";
    const RIGHT: (&str, &str) = ("authorization", "Bearer 0123456789abcdef");
    const WRONG: (&str, &str) = ("authorization", "Bearer 0123456789abcdeg");
    const HERE: (&str, &str) = ("host", "127.0.0.1:9900");

    fn gate(address: &str, token: Option<&str>) -> Gate {
        let address = match address.strip_prefix("unix:") {
            Some(path) => Address::Unix(path.into()),
            None => Address::Ip(address.parse().unwrap()),
        };
        let token = token.and_then(Token::new);
        Gate::new(&AdminPlan { address, mode: AdminPlan::MODE, token })
    }

    fn ask(gate: &Gate, method: Method, fields: &[(&'static str, &str)]) -> Result<(), Denied> {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        gate.check(&method, "/v1/x", &map, Some("10.0.0.1".parse().unwrap()))
    }

    #[test]
    fn over_a_unix_socket_its_permissions_decide() {
        let gate = gate("unix:/s", None);
        assert_eq!(ask(&gate, Method::GET, &[]), Ok(()));
        for host in ["localhost", "localhost:9900", "127.0.0.1:9900", "10.1.2.3:9900", "[::1]:1"] {
            assert_eq!(ask(&gate, Method::POST, &[("host", host)]), Ok(()), "{host}");
        }
        // A browser's, through a forwarded port: the name may be anybody's.
        for method in [Method::GET, Method::POST] {
            assert_eq!(ask(&gate, method, &[("host", "evil.example:9900")]), Err(OTHER_HOST));
        }
        assert_eq!(ask(&gate, Method::POST, &[("sec-fetch-site", "cross-site")]), Err(OTHER_SITE));
    }

    #[test]
    fn on_loopback_looking_is_free_and_changing_takes_the_token() {
        let open = gate("127.0.0.1:9900", None);
        assert_eq!(ask(&open, Method::GET, &[HERE]), Ok(()));
        for method in [Method::POST, Method::PATCH, Method::PUT, Method::DELETE, Method::OPTIONS] {
            assert_eq!(ask(&open, method, &[HERE]), Err(NO_TOKEN_SET));
        }
        assert_eq!(ask(&open, Method::POST, &[HERE, RIGHT]), Err(NO_TOKEN_SET));
        let closed = gate("127.0.0.1:9900", Some(TOKEN));
        assert_eq!(ask(&closed, Method::GET, &[HERE]), Ok(()));
        assert_eq!(ask(&closed, Method::GET, &[HERE, WRONG]), Err(WRONG_TOKEN));
        assert_eq!(ask(&closed, Method::POST, &[HERE]), Err(NO_TOKEN));
        assert_eq!(ask(&closed, Method::POST, &[HERE, WRONG]), Err(WRONG_TOKEN));
        assert_eq!(ask(&closed, Method::POST, &[HERE, RIGHT]), Ok(()));
    }

    #[test]
    fn on_a_public_address_everything_takes_the_token() {
        let gate = gate("0.0.0.0:9900", Some(TOKEN));
        assert_eq!(ask(&gate, Method::GET, &[HERE]), Err(NO_TOKEN));
        assert_eq!(ask(&gate, Method::GET, &[HERE, RIGHT]), Ok(()));
        let by_name = ("host", "admin.example.com:9900");
        assert_eq!(ask(&gate, Method::POST, &[by_name, RIGHT]), Ok(()));
    }

    #[test]
    fn the_page_needs_no_token_and_nothing_else_goes_with_it() {
        let ask = |gate: &Gate, method: Method, path: &str, host: &str| {
            let map = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
            gate.check(&method, path, &map, Some("10.0.0.1".parse().unwrap()))
        };
        let public = gate("0.0.0.0:9900", Some(TOKEN));
        assert_eq!(ask(&public, Method::GET, PAGE, "admin.example.com"), Ok(()));
        assert_eq!(ask(&public, Method::HEAD, PAGE, "admin.example.com"), Ok(()));
        assert_eq!(ask(&public, Method::POST, PAGE, "10.0.0.1"), Err(NO_TOKEN));
        for path in ["/v1", "/v1/live", "//", "/?", "*"] {
            assert_eq!(ask(&public, Method::GET, path, "10.0.0.1"), Err(NO_TOKEN), "{path}");
        }
        let local = gate("127.0.0.1:9900", Some(TOKEN));
        assert_eq!(ask(&local, Method::GET, PAGE, "localhost:9900"), Ok(()));
        assert_eq!(ask(&local, Method::GET, PAGE, "rebound.example"), Err(OTHER_HOST));
    }

    #[test]
    fn who_may_change_is_said() {
        assert_eq!(gate("unix:/s", None).changes(), "anyone");
        assert_eq!(gate("127.0.0.1:9900", None).changes(), "nobody");
        assert_eq!(gate("127.0.0.1:9900", Some(TOKEN)).changes(), "token");
    }

    #[test]
    fn tokens_are_read_strictly() {
        let gate = gate("127.0.0.1:9900", Some(TOKEN));
        let post = |value| ask(&gate, Method::POST, &[HERE, ("authorization", value)]);
        assert_eq!(post("bearer  0123456789abcdef"), Ok(()));
        for value in ["", "Bearer", "Bearer ", "0123456789abcdef", "Basic 0123456789abcdef"] {
            assert_eq!(post(value), Err(WRONG_TOKEN), "{value}");
        }
        let longer = format!("Bearer {TOKEN}0");
        assert_eq!(post(&longer), Err(WRONG_TOKEN));
        assert_eq!(ask(&gate, Method::POST, &[HERE, RIGHT, RIGHT]), Err(WRONG_TOKEN));
    }

    #[test]
    fn without_the_token_the_host_must_be_ours() {
        let gate = gate("127.0.0.1:9900", None);
        for host in
            ["127.0.0.1", "localhost:9900", "LocalHost", "[::1]:9900", "[::1]", "10.0.0.1:1"]
        {
            assert_eq!(ask(&gate, Method::GET, &[("host", host)]), Ok(()), "{host}");
        }
        for host in ["evil.example", "evil.example:9900", "10.0.0.2:9900", "", "localhost.evil:1"] {
            assert_eq!(ask(&gate, Method::GET, &[("host", host)]), Err(OTHER_HOST), "{host}");
        }
        assert_eq!(ask(&gate, Method::GET, &[]), Err(OTHER_HOST));
        assert_eq!(ask(&gate, Method::GET, &[HERE, ("host", "evil.example")]), Err(OTHER_HOST));
    }

    #[test]
    fn pages_of_other_sites_change_nothing() {
        let gate = gate("127.0.0.1:9900", Some(TOKEN));
        let post = |name, value| ask(&gate, Method::POST, &[HERE, RIGHT, (name, value)]);
        for site in ["cross-site", "same-site", "x"] {
            assert_eq!(post("sec-fetch-site", site), Err(OTHER_SITE), "{site}");
        }
        for site in ["same-origin", "none"] {
            assert_eq!(post("sec-fetch-site", site), Ok(()), "{site}");
        }
        for origin in ["null", "https://evil.example", "http://127.0.0.1:80", "127.0.0.1:9900"] {
            assert_eq!(post("origin", origin), Err(OTHER_SITE), "{origin}");
        }
        assert_eq!(post("origin", "http://127.0.0.1:9900"), Ok(()));
    }

    #[test]
    fn pages_of_other_sites_hold_no_place_of_those_who_watch() {
        let gate = gate("127.0.0.1:9900", None);
        let get =
            |fields: &[(&'static str, &str)]| ask(&gate, Method::GET, &[&[HERE], fields].concat());
        for site in ["cross-site", "same-site"] {
            for dest in ["empty", "iframe", "image"] {
                let fields = [("sec-fetch-site", site), ("sec-fetch-dest", dest)];
                assert_eq!(get(&fields), Err(OTHER_SITE), "{site} {dest}");
            }
            let link = [("sec-fetch-site", site), ("sec-fetch-dest", "document")];
            assert_eq!(get(&link), Ok(()));
        }
        assert_eq!(get(&[("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "empty")]), Ok(()));
        assert_eq!(get(&[]), Ok(()));
    }
}
