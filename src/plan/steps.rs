//! What a route does with a request, step by step, before it answers; and what it does with errors.

use super::program::Matcher;
use super::route::{BodyText, Redirect};
use super::template::Template;

/// One of `steps`.
#[derive(Clone, Debug)]
pub enum Step {
    /// Gives the name with this number a value.
    Set {
        /// The name.
        name: u32,
        /// The value.
        to: Template,
    },
    /// Replaces the query.
    SetArgs(Template),
    /// Takes the steps of `then` if the condition holds.
    If {
        /// The condition.
        condition: Condition,
        /// The steps.
        then: Vec<Step>,
    },
    /// Replaces the path if an expression is found in it.
    Rewrite(Rewrite),
    /// Answers.
    Return(Return),
    /// Takes no further step.
    Break,
    /// From here on it is this route that answers.
    AnswerBy {
        /// Its name.
        name: String,
        /// Its number.
        route: usize,
    },
}

/// When steps are taken.
#[derive(Clone, Debug)]
pub struct Condition {
    /// What is looked at.
    pub text: Template,
    /// What it must be.
    pub test: Test,
    /// It must not be that.
    pub not: bool,
}

/// What a text is tested for.
#[derive(Clone, Debug)]
pub enum Test {
    /// Neither empty nor `0`.
    Set,
    /// The same as this.
    Is(Template),
    /// One of these.
    Among(Vec<String>),
    /// This is found in it.
    Matches(Matcher),
    /// The path of a regular file.
    File,
    /// Of a directory.
    Directory,
    /// Of anything.
    Exists,
    /// Of something executable.
    Executable,
}

/// `rewrite`.
#[derive(Clone, Debug)]
pub struct Rewrite {
    /// What must be found in the path, decoded.
    pub matcher: Matcher,
    /// The new path, decoded; or where to send the client.
    pub to: Template,
    /// The new query, if there is a `?` in what it is replaced by.
    pub args: Option<Template>,
    /// The query of the request goes behind that.
    pub keeps_args: bool,
    /// What follows.
    pub then: Then,
}

/// What follows a rewrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The next step; a route for the new path is looked for after the last one.
    GoOn,
    /// A route for the new path is looked for.
    Last,
    /// This route answers.
    Break,
    /// The client is sent there, with this status.
    Redirect(u16),
}

/// `return`.
#[derive(Clone, Debug)]
pub enum Return {
    /// The connection is closed.
    Close,
    /// The answer with this status: an error page if it is an error.
    Status(u16),
    /// This answer.
    Body {
        /// Its status.
        status: u16,
        /// Its body.
        body: BodyText,
    },
    /// This redirect.
    To(Redirect),
}

/// One of `error_pages`.
#[derive(Clone, Debug)]
pub struct ErrorPage {
    /// The statuses that it is for.
    pub on: Vec<u16>,
    /// Where it is.
    pub to: PageAt,
    /// The status that it is answered with.
    pub status: PageStatus,
    /// It is also for what servers answer.
    pub servers: bool,
}

/// Where an error page is.
#[derive(Clone, Debug)]
pub enum PageAt {
    /// A path, with a query if there is one: looked for as if it had been asked for by GET.
    Path(Template),
    /// The route with this number.
    Route(usize),
    /// The client is sent there.
    Uri(Template),
}

/// The status of an error page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageStatus {
    /// That of the error.
    OfError,
    /// This one.
    Is(u16),
    /// The page's own.
    OfPage,
}
