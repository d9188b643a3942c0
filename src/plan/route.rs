//! What to do with a request once its route is known.

use std::collections::HashMap;

use super::{
    ByHand, ContentPlan, EditsPlan, ExpiresPlan, FilesPlan, Limits, MaintenancePlan, Program,
    RedirectRule, RetryPlan, Template, Timeouts,
};
use crate::guard::Access;

/// One `[[route]]`. How it is found (host, path) lives in [`crate::route::Table`].
#[derive(Clone, Debug)]
pub struct RoutePlan {
    /// For logs and reports: the `name` in the file, or `host path` as written.
    pub name: String,
    /// Which hosts it is for, as written; none: any. For people.
    pub hosts: Vec<String>,
    /// Which paths, likewise.
    pub path: String,
    /// Found only from inside: by name, or after its path was set here. Others get 404.
    pub internal: bool,
    /// What a request goes through before that.
    pub program: Option<Box<Program>>,
    /// What answers.
    pub action: Action,
    /// What the request says of those before it (X-Forwarded-For and the like) goes on as it came,
    /// and nothing is added to it.
    pub pass_forwarding: bool,
    /// Changes to the fields of the forwarded request.
    pub request_fields: EditsPlan,
    /// Changes to the fields of the response, our own fixed ones included.
    pub response_fields: EditsPlan,
    /// How long responses that went well ([`is_ok`](super::is_ok)) stay fresh.
    pub expires: Option<ExpiresPlan>,
    /// The route's timeouts: its own, else its upstream's, else the global ones.
    pub timeouts: Timeouts,
    /// The route's limits, resolved in the same way.
    pub limits: Limits,
    /// When its requests are tried again, resolved likewise.
    pub retry: RetryPlan,
    /// How often requests may come: indices into `Plan::rates`. Each must let a request through, in
    /// this order; others get 429.
    pub rates: Vec<usize>,
    /// Whose requests it answers; others get 403. `None`: everybody's.
    pub access: Option<Access>,
    /// Maintenance, passwords and the like; most routes have nothing of it.
    pub content: Option<Box<ContentPlan>>,
    /// Whether it is closed, if somebody has said so.
    pub by_hand: ByHand,
    /// Which access logs its requests are in: the numbers of targets of the plan's.
    pub access_log: Vec<usize>,
}

impl RoutePlan {
    fn maintenance(&self) -> Option<&MaintenancePlan> {
        self.content.as_ref()?.maintenance.as_ref()
    }

    /// Whom it lets in and what others see while it is closed; `None`: it is open.
    pub fn closed(&self) -> Option<&MaintenancePlan> {
        match self.by_hand.said() {
            None => self.maintenance().filter(|plan| plan.is_on()),
            Some(false) => None,
            Some(true) => Some(self.maintenance().unwrap_or_else(|| MaintenancePlan::usual())),
        }
    }

    /// Has these routes be closed or open by hand as those before them of the same names, unless
    /// what is configured about that is something else now.
    pub fn succeed(routes: &mut [RoutePlan], before: &[RoutePlan]) {
        let mut known: HashMap<&str, Vec<&RoutePlan>> = HashMap::new();
        for route in before.iter().rev() {
            known.entry(route.name.as_str()).or_default().push(route);
        }
        for route in routes {
            let Some(old) = known.get_mut(route.name.as_str()).and_then(Vec::pop) else { continue };
            let says = |route: &RoutePlan| {
                route.maintenance().map(|plan| plan.goes_by().map(std::path::Path::to_owned))
            };
            if says(route) == says(old) {
                route.by_hand = old.by_hand.clone();
            }
        }
    }

    /// Whether it has pages of its own for errors.
    pub fn has_error_pages(&self) -> bool {
        self.program.as_ref().is_some_and(|program| !program.error_pages.is_empty())
    }

    /// Whether anything of it asks about a request when that has been sent.
    pub fn asks_later(&self) -> bool {
        let program = self.program.as_ref();
        !self.response_fields.is_fixed()
            || self.expires.is_some()
            || self.has_error_pages()
            || program.is_some_and(|program| !program.redirects.iter().all(RedirectRule::is_fixed))
    }
}

/// What answers a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// Forward to `Plan::upstreams[index]`.
    Upstream(usize),
    /// A fixed response.
    Respond {
        /// Status code, 200 to 599.
        status: u16,
        /// The body and its type.
        body: BodyText,
    },
    /// A redirect.
    Redirect(Redirect),
    /// Files.
    Files(Box<FilesPlan>),
}

/// A fixed body.
#[derive(Clone, Debug, Default)]
pub struct BodyText {
    /// The `Content-Type`.
    pub content_type: String,
    /// What it says.
    pub text: Template,
}

/// A redirect.
#[derive(Clone, Debug)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// The `Location`.
    pub to: Template,
}
