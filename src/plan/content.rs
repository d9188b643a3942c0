//! What a route does about its content and those who ask for it, besides answering: maintenance,
//! other sites' pages (CORS), passwords, compression. Most routes do nothing of it.

mod compress;
mod cors;
mod maintenance;

use std::sync::Arc;

pub use compress::{CompressPlan, TypePattern};
pub use cors::{Asked, CorsPlan, OriginPattern, OriginPatternError, Origins};
pub use maintenance::{ByHand, MaintenancePlan, Page, Switch};

use crate::guard::Passwords;

/// All of it, in the order in which it is asked.
#[derive(Clone, Debug, Default)]
pub struct ContentPlan {
    /// When the route is closed, and for whom.
    pub maintenance: Option<MaintenancePlan>,
    /// Pages of which other sites may read its answers.
    pub cors: Option<CorsPlan>,
    /// Whose requests it answers.
    pub basic_auth: Option<BasicAuthPlan>,
    /// Which answers are compressed.
    pub compress: Option<Arc<CompressPlan>>,
}

impl ContentPlan {
    /// Whether there is nothing of it.
    pub fn is_empty(&self) -> bool {
        let ContentPlan { maintenance, cors, basic_auth, compress } = self;
        maintenance.is_none() && cors.is_none() && basic_auth.is_none() && compress.is_none()
    }
}

/// `basic_auth`: users prove who they are by a password (RFC 7617).
#[derive(Clone, Debug)]
pub struct BasicAuthPlan {
    /// The WWW-Authenticate of a 401.
    pub challenge: Arc<str>,
    /// Who there is.
    pub passwords: Arc<Passwords>,
}

impl BasicAuthPlan {
    /// Users of these passwords; the realm is what browsers call the place, visible ASCII.
    pub fn new(realm: &str, passwords: Arc<Passwords>) -> BasicAuthPlan {
        let realm = realm.replace('\\', "\\\\").replace('"', "\\\"");
        // Names and passwords beyond ASCII come as they are in files (RFC 7617 §2.1).
        let challenge = format!("Basic realm=\"{realm}\", charset=\"UTF-8\"").into();
        BasicAuthPlan { challenge, passwords }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_realm_is_quoted() {
        let passwords = Arc::new(Passwords::parse("").unwrap());
        let challenge = BasicAuthPlan::new("a \"b\\", passwords).challenge;
        assert_eq!(&*challenge, "Basic realm=\"a \\\"b\\\\\", charset=\"UTF-8\"");
    }
}
