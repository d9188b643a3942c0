//! What a request goes through at its route before that answers it.

use super::steps::{ErrorPage, Step};
use super::template::Template;
use crate::route::Expression;

/// What only some routes have; a route without any of it has no program.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The number of the route whose steps a request takes before it is looked for whose it is.
    pub before: Option<usize>,
    /// Those of the route's hosts that are expressions, if somebody asks for their groups.
    pub hosts: Vec<Matcher>,
    /// The route's path, if that is an expression and somebody asks for its groups.
    pub path: Option<Matcher>,
    /// What a server is asked for.
    pub target: TargetPlan,
    /// What is replaced in the Location and Refresh of its responses: the first rule that fits.
    pub redirects: Vec<RedirectRule>,
    /// What is done first, in order.
    pub steps: Vec<Step>,
    /// What is answered in place of errors: the first that is for one.
    pub error_pages: Vec<ErrorPage>,
}

impl Program {
    /// The page for an error with this status; `of_server`: that a server answered with.
    pub fn error_page(&self, status: u16, of_server: bool) -> Option<&ErrorPage> {
        let is_for = |page: &&ErrorPage| page.on.contains(&status) && (page.servers || !of_server);
        self.error_pages.iter().find(is_for)
    }
}

/// An expression whose groups are asked for.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The expression.
    pub expression: Expression,
    /// Its groups that have names, and the numbers of those ([`Term::Named`](super::Term::Named)).
    pub names: Vec<(usize, u32)>,
}

/// What a server is asked for.
#[derive(Clone, Debug, Default)]
pub enum TargetPlan {
    /// The same that the client asked for.
    #[default]
    AsSent,
    /// The path, its beginning replaced, and the query.
    Replaced {
        /// What the route's path matched, decoded.
        cut: Vec<u8>,
        /// What stands there instead.
        by: String,
    },
    /// This.
    Made(Template),
}

/// A rule about where servers send clients.
#[derive(Clone, Debug)]
pub struct RedirectRule {
    /// What is replaced.
    pub from: RedirectFrom,
    /// What by.
    pub to: Template,
}

impl RedirectRule {
    /// Whether it is the same for all requests.
    pub fn is_fixed(&self) -> bool {
        let from = match &self.from {
            RedirectFrom::Start(start) => start.fixed().is_some(),
            RedirectFrom::Found(_) => true,
        };
        from && self.to.fixed().is_some()
    }
}

/// What a rule is about.
#[derive(Clone, Debug)]
pub enum RedirectFrom {
    /// URIs that begin with this: that part is replaced.
    Start(Template),
    /// URIs in which this is found: all of it is replaced.
    Found(Matcher),
}
