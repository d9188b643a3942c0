//! Sticky sessions: a cookie that names the server a client came to first.

use std::fmt::{Display, Write};
use std::time::Duration;

use hmac::digest::Key;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Bytes of a server's mark; twice as many characters in the cookie. No two servers of an upstream
/// will ever share one.
const MARK_BYTES: usize = 8;

/// How the cookie is made: `[upstream.sticky]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookiePlan {
    /// Its name, a token (RFC 6265 §4.1.1).
    pub name: String,
    /// Max-Age, whole seconds; `None`: until the browser ends its session.
    pub ttl: Option<Duration>,
    /// SameSite.
    pub same_site: SameSite,
    /// Secure.
    pub secure: bool,
    /// HttpOnly.
    pub http_only: bool,
    /// Path.
    pub path: String,
}

/// Which requests from other sites carry the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// None.
    Strict,
    /// Those that open a page.
    Lax,
    /// All; browsers want `secure` with it.
    None,
}

impl SameSite {
    /// Every choice, in the order of the documentation.
    pub const ALL: [SameSite; 3] = [SameSite::Strict, SameSite::Lax, SameSite::None];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            SameSite::Strict => "strict",
            SameSite::Lax => "lax",
            SameSite::None => "none",
        }
    }

    fn attribute(self) -> &'static str {
        match self {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        }
    }
}

/// The cookie of one upstream, ready for requests.
#[derive(Clone, Debug)]
pub struct StickyPlan {
    /// The cookie's name.
    pub name: String,
    secret: String,
    /// What follows the value in Set-Cookie.
    attributes: String,
    /// In the order of the upstream's servers.
    servers: Vec<Marked>,
}

#[derive(Clone, Debug)]
struct Marked {
    /// The cookie's value.
    mark: String,
    /// The value of Set-Cookie.
    set_cookie: String,
}

impl StickyPlan {
    /// The cookie, of which no servers are known yet.
    pub fn new(cookie: &CookiePlan, secret: &str) -> StickyPlan {
        let (name, secret) = (cookie.name.clone(), secret.to_owned());
        StickyPlan { name, secret, attributes: attributes(cookie), servers: Vec::new() }
    }

    /// Gives marks to the servers with these addresses, of the upstream with this name.
    ///
    /// A server's mark depends on nothing else but the secret, so it is the same in every shard, on
    /// every machine with this configuration, and after a restart, whatever other servers there
    /// are. Who does not know the secret learns nothing from it; without one, who guesses the
    /// names of the upstream and the server can tell that he is right.
    pub fn mark(&mut self, upstream: &str, servers: impl Iterator<Item = impl Display>) {
        let marked = |server: String| {
            let mark = mark(&self.secret, upstream, &server);
            let set_cookie = format!("{}={mark}{}", self.name, self.attributes);
            Marked { mark, set_cookie }
        };
        self.servers = servers.map(|server| marked(server.to_string())).collect();
    }

    /// The server that one of these values of the cookie names. A browser sends several where
    /// other paths or domains have cookies of the same name.
    pub fn server<'v>(&self, mut values: impl Iterator<Item = &'v [u8]>) -> Option<usize> {
        values.find_map(|value| self.servers.iter().position(|s| s.mark.as_bytes() == value))
    }

    /// The value of the Set-Cookie that names this server; none for a number beyond them all.
    pub fn set_cookie(&self, server: usize) -> Option<&str> {
        self.servers.get(server).map(|marked| marked.set_cookie.as_str())
    }
}

/// Neither name holds a NUL, so no two pairs give the same bytes.
fn mark(secret: &str, upstream: &str, server: &str) -> String {
    let mut key = Key::<Hmac<Sha256>>::default();
    let digest = Sha256::digest(secret);
    key[..digest.len()].copy_from_slice(&digest);
    let mut mac = Hmac::<Sha256>::new(&key);
    for part in [upstream.as_bytes(), b"\0", server.as_bytes()] {
        mac.update(part);
    }
    let code = mac.finalize().into_bytes();
    code.iter().take(MARK_BYTES).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn attributes(cookie: &CookiePlan) -> String {
    let mut text = format!("; Path={}", cookie.path);
    if let Some(ttl) = cookie.ttl {
        let _ = write!(text, "; Max-Age={}", ttl.as_secs());
    }
    text.push_str(cookie.same_site.attribute());
    if cookie.secure {
        text.push_str("; Secure");
    }
    if cookie.http_only {
        text.push_str("; HttpOnly");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIE: CookiePlan = CookiePlan {
        name: String::new(),
        ttl: None,
        same_site: SameSite::Lax,
        secure: false,
        http_only: true,
        path: String::new(),
    };

    fn plan(secret: &str, upstream: &str, servers: &[&str]) -> StickyPlan {
        let cookie = CookiePlan { name: "c".into(), path: "/".into(), ..COOKIE };
        let mut plan = StickyPlan::new(&cookie, secret);
        plan.mark(upstream, servers.iter());
        plan
    }

    /// A change here sends every client elsewhere on the next upgrade.
    #[test]
    fn marks_stay_what_they_are() {
        let plan = plan("", "app", &["10.0.0.1:3000", "10.0.0.2:3000"]);
        let marks: Vec<_> = plan.servers.iter().map(|server| server.mark.as_str()).collect();
        assert_eq!(marks, ["e3cf546348c7af11", "4b6a0b951069c605"]);
    }

    #[test]
    fn a_mark_depends_on_names_and_secret_alone() {
        let mark = |secret, upstream, servers: &[&str], at: usize| {
            plan(secret, upstream, servers).servers[at].mark.clone()
        };
        let known = mark("", "app", &["a:1", "b:1"], 1);
        assert_eq!(mark("", "app", &["b:1"], 0), known, "wherever it stands in the list");
        for other in [
            mark("s", "app", &["b:1"], 0),
            mark("", "apq", &["b:1"], 0),
            mark("", "app", &["b:2"], 0),
            mark("", "appb", &[":1"], 0),
        ] {
            assert_ne!(other, known);
        }
        assert_eq!(known.len(), 2 * MARK_BYTES);
    }

    #[test]
    fn the_first_value_that_names_a_server_counts() {
        let here = plan("", "app", &["a:1", "b:1"]);
        let elsewhere = plan("", "other", &["a:1"]);
        let values = [b"b:1", &b""[..], elsewhere.servers[0].mark.as_bytes()];
        assert_eq!(here.server(values.into_iter()), None);
        let mark = here.servers[1].mark.as_bytes();
        assert_eq!(here.server(values.into_iter().chain([mark])), Some(1));
    }

    #[test]
    fn attributes_are_spelled_out() {
        let every = CookiePlan {
            name: "__Secure-c".into(),
            ttl: Some(Duration::from_secs(3600)),
            same_site: SameSite::None,
            secure: true,
            http_only: true,
            path: "/app".into(),
        };
        let none = CookiePlan {
            name: "c".into(),
            http_only: false,
            same_site: SameSite::Strict,
            path: "/".into(),
            ..COOKIE
        };
        for (cookie, expected) in [
            (every, "; Path=/app; Max-Age=3600; SameSite=None; Secure; HttpOnly"),
            (none, "; Path=/; SameSite=Strict"),
        ] {
            let mut plan = StickyPlan::new(&cookie, "");
            plan.mark("app", ["a:1"].into_iter());
            let mark = &plan.servers[0].mark;
            let expected = format!("{}={mark}{expected}", cookie.name);
            assert_eq!(plan.set_cookie(0), Some(expected.as_str()));
            assert_eq!(plan.set_cookie(1), None);
        }
    }
}
